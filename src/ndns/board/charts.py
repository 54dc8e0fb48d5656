"""The report's figures as inline SVG, each drawn once for a wide and once for a narrow page."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ndns.board.svg import CHARACTER, SHAPES, Canvas, Scale, label, padded, shape_at, ticks
from ndns.metrics.stats import Mean

WIDE, NARROW = 860, 344
LOOKS = 6
REQUIRED_DB = 3.0
"""Improvement of SI-SNR that the challenge requires of an entry, dB."""


@dataclass(frozen=True)
class Line:
    """A curve `(x, y)`; `dashed` marks the secondary curve of a system."""

    name: str
    look: int
    points: list[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One of several plots above each other with a common x axis."""

    title: str
    lines: list[Line]


@dataclass(frozen=True)
class Band:
    """A range of the clips' SNR and look -> (system, estimate) within it."""

    name: str
    clips: int
    values: dict[int, tuple[str, Mean]]


def swatch(look: int) -> Markup:
    """Return the marker of a system for legends and tables."""
    box = 'viewBox="-8 -8 16 16" width="14" height="14" aria-hidden="true"'
    return Markup(f'<svg class="swatch s{look % LOOKS}" {box}>{shape_at(0, 0, 5, shape_of(look))}</svg>')


def shape_of(look: int) -> str:
    """Return the marker's shape: colour and shape together repeat after 36 systems.

    >>> shape_of(0), shape_of(5), shape_of(6), shape_of(12)
    ('circle', 'cross', 'square', 'triangle')
    """
    return SHAPES[(look + look // LOOKS) % len(SHAPES)]


def bands(found: Sequence[Band]) -> Markup:
    """SI-SNR improvement in bands of the clips' SNR, with 95 % intervals; names are left out where they would touch."""
    values = [value for band in found for _, value in band.values.values()]
    ends = [end for value in values for end in (value.low, value.mean, value.high) if end is not None]

    def draw(width: float) -> Canvas:
        canvas = Canvas(width, 320)
        y = Scale(*_from_zero(ends), canvas.height - 58, 30)
        x = Scale(0, len(found), 34, width - 14)
        axes(canvas, x, y, [], "SI-SNR improvement, dB", "SNR of the mixture, dB")
        canvas.line(x.start, y(0), x.stop, y(0), "zero")
        for border in range(1, len(found)):
            canvas.line(x(border), y.start, x(border), y.stop, "grid")
        looks = sorted({look for band in found for look in band.values})
        for order, look in enumerate(looks):
            shift = (order - (len(looks) - 1) / 2) * min(18.0, (x(1) - x(0)) / (len(looks) + 2))
            spots = [
                (x(index + 0.5) + shift, band, *band.values[look])
                for index, band in enumerate(found)
                if look in band.values
            ]
            canvas.path([(at, y(value.mean)) for at, _, _, value in spots], f"thin s{look % LOOKS}")
            for at, band, name, value in spots:
                whisker(canvas, at, y, value, look)
                title = f"{name}, {band.name} dB: {spoken(value)} ({value.clips} clip{'s' * (value.clips != 1)})"
                canvas.mark(at, y(value.mean), 5, shape_of(look), f"mark s{look % LOOKS}", title)
        every = math.ceil((CHARACTER * max(len(band.name) for band in found) + 4) / (x(1) - x(0)))
        for index, band in list(enumerate(found))[::every]:
            canvas.text(x(index + 0.5), canvas.height - 40, band.name, "tick", "middle")
            canvas.text(x(index + 0.5), canvas.height - 26, f"n = {band.clips}", "small", "middle")
        return canvas

    return both(draw)


def panels(found: Sequence[Panel], x_name: str, y_name: str, height: float = 96, from_zero: bool = True) -> Markup:
    """Curves in one or several plots above each other."""
    xs = [x for panel in found for line in panel.lines for x, _ in line.points]

    def draw(width: float) -> Canvas:
        top, gap, bottom = 26, 22, 40
        canvas = Canvas(width, top + len(found) * (height + gap) - gap + bottom)
        x = Scale(min(xs), max(max(xs), min(xs) + 1e-9), 40, width - 14)
        marks = [(v, label(v)) for v in ticks(x.low, x.high, 8 if width == WIDE else 4)]
        for index, panel in enumerate(found):
            start = top + index * (height + gap)
            values = [value for line in panel.lines for _, value in line.points]
            y = Scale(*(_from_zero(values) if from_zero else padded(values)), start + height, start)
            last = index == len(found) - 1
            axes(
                canvas,
                x,
                y,
                marks if last else [],
                y_name if index == 0 else "",
                x_name if last else "",
                round(height / 32),
            )
            for line in panel.lines:
                kind = f"curve s{line.look % LOOKS}" + (" dashed" if line.dashed else "")
                canvas.path([(x(px), y(py)) for px, py in line.points], kind)
            _name_curves(canvas, x, y, [line for line in panel.lines if line.points and not line.dashed])
            if panel.title:
                canvas.text(x.stop, start + 2, panel.title, "panel", "end")
        return canvas

    return both(draw)


def _name_curves(canvas: Canvas, x: Scale, y: Scale, lines: Sequence[Line]) -> None:
    """Put each system's mark on its curve, one beside the other, since colours repeat."""
    for order, line in enumerate(lines if len(lines) > 1 else ()):
        px, py = line.points[int((order + 0.5) / len(lines) * len(line.points))]
        canvas.mark(x(px), y(py), 4.5, shape_of(line.look), f"mark s{line.look % LOOKS}", line.name)


def both(draw: Callable[[float], Canvas]) -> Markup:
    """Draw for a wide and for a narrow page."""
    return draw(WIDE).markup("wide") + draw(NARROW).markup("narrow")


def _from_zero(values: Sequence[float]) -> tuple[float, float]:
    low, high = padded(values, [0.0])
    return (0.0 if min(values, default=0.0) >= 0 else low), high


def axes(
    canvas: Canvas, x: Scale, y: Scale, x_ticks: list[tuple[float, str]], y_name: str, x_name: str, count: int = 5
) -> None:
    """Draw both axes with their names, and grid lines at about `count` values of y."""
    for value in ticks(min(y.low, y.high), max(y.low, y.high), count):
        canvas.line(x.start, y(value), x.stop, y(value), "grid")
        canvas.text(x.start - 7, y(value) + 4, label(value), "tick", "end")
    for value, text in x_ticks:
        canvas.line(x(value), y.start, x(value), y.start + 4, "axis")
        anchor = "end" if x(value) > x.stop - 12 else "middle"
        canvas.text(x(value), y.start + 17, text, "tick", anchor)
    canvas.line(x.start, y.start, x.stop, y.start, "axis")
    if y_name:
        canvas.text(2, y.stop - 14, y_name, "title")
    if x_name:
        canvas.text(x.stop, canvas.height - 5, x_name, "title", "end")


def whisker(canvas: Canvas, at: float, y: Scale, value: Mean, look: int) -> None:
    """Draw the interval of an estimate, if it has one."""
    if value.low is not None and value.high is not None:
        canvas.line(at, y(value.low), at, y(value.high), f"whisker s{look % LOOKS}")


def spoken(value: Mean) -> str:
    """Return an estimate in words."""
    if value.low is None or value.high is None:
        return f"{value.mean:.2f} dB"
    return f"{value.mean:.2f} dB, 95 % interval {value.low:.2f} to {value.high:.2f}".replace("-", "−")
