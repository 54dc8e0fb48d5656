"""Small building blocks for inline SVG: scales, ticks and a canvas that escapes all text."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from markupsafe import Markup, escape

SHAPES = ("circle", "square", "triangle", "diamond", "wedge", "cross")
CHARACTER = 6.6
"""Estimated width of a character of the small chart type, px; labels are placed by it."""


@dataclass(frozen=True)
class Scale:
    """Map `[low, high]` to `[start, stop]` pixels, linearly or by the logarithm."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel position of a value."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        at = math.log10(value) if self.log else value
        return self.start + (at - low) / (high - low) * (self.stop - self.start)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round values (1, 2 or 5 times a power of ten apart) within `[low, high]`, about `count` of them.

    >>> ticks(0, 9, 5)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    large_enough = next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    # Steps of 5 can miss a range that is shorter than one of them; steps of 2 cannot.
    return _multiples(large_enough * power, low, high) or _multiples(2 * power, low, high)


def _multiples(step: float, low: float, high: float) -> list[float]:
    places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [round(place * step, 10) for place in places]


def padded(values: Iterable[float], include: Iterable[float] = (), share: float = 0.06) -> tuple[float, float]:
    """Return a range that holds the finite values and `include` with a margin; never empty."""
    finite = [value for value in (*values, *include) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    margin = (high - low) * share or max(abs(high), 1.0) * share
    return low - margin, high + margin


def label(value: float) -> str:
    """Return a short number with a true minus sign.

    >>> label(-2.0), label(0.25)
    ('−2', '0.25')
    """
    return f"{value:g}".replace("-", "−")


@dataclass
class Canvas:
    """A drawing of `width` times `height` px; colours come from the page's style classes."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a straight line of a style class."""
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def path(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """Draw a polyline of a style class."""
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{text}"/>')

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """Write text with its baseline at `y`."""
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def mark(self, x: float, y: float, size: float, shape: str, kind: str, title: str) -> None:
        """Draw one of `SHAPES` with a title that appears under the pointer."""
        self.parts.append(f'<g class="{kind}"><title>{escape(title)}</title>{shape_at(x, y, size, shape)}</g>')

    def box(self, x: float, y: float, w: float, h: float, kind: str, title: str = "", strength: float = 1.0) -> None:
        """Draw a rectangle of a style class, `strength` from 0 (clear) to 1, with a title under the pointer."""
        place = f'x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
        faint = "" if strength == 1 else f' fill-opacity="{strength:.2f}"'
        text = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f'<rect class="{kind}" {place}{faint}>{text}</rect>')

    def markup(self, kind: str) -> Markup:
        """Return the finished `<svg>` of a style class."""
        box = f'viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" height="{self.height:g}"'
        return Markup(f'<svg class="{kind}" {box}>{"".join(self.parts)}</svg>')


def shape_at(x: float, y: float, r: float, shape: str) -> str:
    """Return the SVG element of a marker with radius `r` px around a point."""
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}"/>'
    corners = {
        "square": ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)),
        "triangle": ((0, -1.15), (1.05, 0.75), (-1.05, 0.75)),
        "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
        "wedge": ((0, 1.15), (1.05, -0.75), (-1.05, -0.75)),
        "cross": (
            *((-1.1, -0.4), (-0.4, -0.4), (-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4)),
            *((1.1, 0.4), (0.4, 0.4), (0.4, 1.1), (-0.4, 1.1), (-0.4, 0.4), (-1.1, 0.4)),
        ),
    }[shape]
    points = " ".join(f"{x + dx * r:.1f},{y + dy * r:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}"/>'


@dataclass
class Labels:
    """Places for text beside points, so that no label covers a point or another label."""

    width: float
    height: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def block(self, x: float, y: float, r: float) -> None:
        """Keep the square of half-width `r` around a point free."""
        self.taken.append((x - r, y - r, x + r, y + r))

    def place(
        self, x: float, y: float, text: str, gap: float, left: float, character: float = CHARACTER
    ) -> tuple[float, float, str] | None:
        """Return baseline position and anchor for a label beside `(x, y)`, or None where it does not fit.

        Args:
            x, y: the point, px.
            text: the label.
            gap: distance from the point, px.
            left: labels start at this x or right of it.
            character: estimated width of a character, px.
        """
        wide = character * len(text)
        slant = 0.7 * gap
        options = (
            *((gap, 4, "start"), (-gap, 4, "end"), (0, -gap, "middle"), (0, gap + 9, "middle")),
            *(
                (slant, -slant, "start"),
                (slant, slant + 9, "start"),
                (-slant, -slant, "end"),
                (-slant, slant + 9, "end"),
            ),
        )
        for dx, dy, anchor in options:
            start = x + dx - {"start": 0, "end": wide, "middle": wide / 2}[anchor]
            box = (start, y + dy - 10, start + wide, y + dy + 3)
            inside = box[0] >= left and box[2] <= self.width and box[1] >= 0 and box[3] <= self.height
            if inside and not any(_overlap(box, other) for other in self.taken):
                self.taken.append(box)
                return x + dx, y + dy, anchor
        return None


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
