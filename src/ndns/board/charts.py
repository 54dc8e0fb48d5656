"""The report's figures as inline SVG, each drawn once for a wide and once for a narrow page."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ndns.board.published import Published
from ndns.board.svg import SHAPES, Canvas, Labels, Scale, label, padded, shape_at, ticks
from ndns.metrics.stats import Mean

WIDE, NARROW = 860, 344
LOOKS = 6
BOLD = 8.4
"""Meand width of a character of a system's name, px."""
LANDMARK = "Intel SDNN baseline"
"""The published entry whose label goes first when there is no room for all."""
REQUIRED_DB = 3.0
"""Improvement of SI-SNR that the challenge requires of an entry, dB."""


@dataclass(frozen=True)
class Point:
    """A system in the scatter: both power proxies in M-Ops/s (challenge's and counted) and SI-SNRi in dB."""

    name: str
    look: int
    proxy: float
    counted: float
    improvement: Mean


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
    return Markup(f'<svg class="swatch s{look % LOOKS}" {box}>{shape_at(0, 0, 5, SHAPES[look % LOOKS])}</svg>')


def scatter(points: Sequence[Point], published: Sequence[Published]) -> Markup:
    """Quality against power: our systems with intervals, published entries in grey."""
    entries = [
        (entry.name, entry.numbers["power_proxy_mops_s"], entry.numbers["si_snri"])
        for entry in published
        if entry.numbers["power_proxy_mops_s"] and entry.numbers["si_snri"] is not None
    ]
    entries.sort(key=lambda entry: entry[0] != LANDMARK)
    xs = [x for _, x, _ in entries] + [x for point in points for x in (point.proxy, point.counted) if x > 0]
    ends = [end for p in points for end in (p.improvement.low, p.improvement.mean, p.improvement.high)]
    ys = [y for _, _, y in entries] + [end for end in ends if end is not None]

    def draw(width: float) -> Canvas:
        canvas = Canvas(width, 430 if width == WIDE else 400)
        decades = (10 ** math.floor(math.log10(min(xs) * 0.99)), 10 ** math.ceil(math.log10(max(xs) * 1.01)))
        x = Scale(*decades, 34, width - 14, log=True)
        y = Scale(*padded(ys, [0.0, REQUIRED_DB + 1]), canvas.height - 42, 30)
        powers = [10.0**n for n in range(round(math.log10(x.low)), round(math.log10(x.high)) + 1)]
        _axes(canvas, x, y, [(v, _thousands(v)) for v in powers], "SI-SNR improvement, dB", "power proxy, M-Ops/s")
        canvas.line(x.start, y(REQUIRED_DB), x.stop, y(REQUIRED_DB), "rule")
        canvas.text(x.stop, y(REQUIRED_DB) - 6, "required: 3 dB", "small", "end")
        labels = Labels(x.stop, canvas.height - 42)
        labels.taken.append((x.stop - 90, y(REQUIRED_DB) - 18, x.stop, y(REQUIRED_DB) + 2))
        for name, px, py in entries:
            labels.block(x(px), y(py), 5)
            canvas.mark(x(px), y(py), 4, "circle", "entry", f"{name}: {px:g} M-Ops/s, {py:g} dB (published)")
        placed = [_system(canvas, labels, x, y, point) for point in points]
        for point, at in zip(points, placed, strict=True):
            spot = labels.place(*at, point.name, 11, x.start, BOLD)
            if spot:
                canvas.text(spot[0], spot[1], point.name, f"name s{point.look % LOOKS}", spot[2])
        for name, px, py in entries:
            spot = labels.place(x(px), y(py), name, 8, x.start)
            if spot:
                canvas.text(spot[0], spot[1], name, "small", spot[2])
        return canvas

    return _both(draw)


def bands(found: Sequence[Band]) -> Markup:
    """SI-SNR improvement in bands of the clips' SNR, with 95 % intervals."""
    values = [value for band in found for _, value in band.values.values()]
    ends = [end for value in values for end in (value.low, value.mean, value.high) if end is not None]

    def draw(width: float) -> Canvas:
        canvas = Canvas(width, 320)
        y = Scale(*_from_zero(ends), canvas.height - 58, 30)
        x = Scale(0, len(found), 34, width - 14)
        _axes(canvas, x, y, [], "SI-SNR improvement, dB", "SNR of the mixture, dB")
        canvas.line(x.start, y(0), x.stop, y(0), "zero")
        looks = sorted({look for band in found for look in band.values})
        for order, look in enumerate(looks):
            shift = (order - (len(looks) - 1) / 2) * min(18.0, (x(1) - x(0)) / (len(looks) + 1))
            spots = [
                (x(index + 0.5) + shift, band, *band.values[look])
                for index, band in enumerate(found)
                if look in band.values
            ]
            canvas.path([(at, y(value.mean)) for at, _, _, value in spots], f"thin s{look % LOOKS}")
            for at, band, name, value in spots:
                _whisker(canvas, at, y, value, look)
                title = f"{name}, {band.name} dB: {_spoken(value)} ({band.clips} clips)"
                canvas.mark(at, y(value.mean), 5, SHAPES[look % LOOKS], f"mark s{look % LOOKS}", title)
        for index, band in enumerate(found):
            canvas.text(x(index + 0.5), canvas.height - 40, band.name, "tick", "middle")
            canvas.text(x(index + 0.5), canvas.height - 26, f"n = {band.clips}", "small", "middle")
        return canvas

    return _both(draw)


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
            _axes(
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
            if panel.title:
                canvas.text(x.stop, start + 2, panel.title, "panel", "end")
        return canvas

    return _both(draw)


def _both(draw: Callable[[float], Canvas]) -> Markup:
    return draw(WIDE).markup("wide") + draw(NARROW).markup("narrow")


def _from_zero(values: Sequence[float]) -> tuple[float, float]:
    low, high = padded(values, [0.0])
    return (0.0 if min(values, default=0.0) >= 0 else low), high


def _axes(
    canvas: Canvas, x: Scale, y: Scale, x_ticks: list[tuple[float, str]], y_name: str, x_name: str, count: int = 5
) -> None:
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


def _system(canvas: Canvas, labels: Labels, x: Scale, y: Scale, point: Point) -> tuple[float, float]:
    kind, shape = f"s{point.look % LOOKS}", SHAPES[point.look % LOOKS]
    at = (x(max(point.proxy, x.low)), y(point.improvement.mean))
    counted = x(max(point.counted, x.low))
    canvas.line(counted, at[1], *at, f"thin {kind}")
    _whisker(canvas, at[0], y, point.improvement, point.look)
    canvas.mark(
        counted, at[1], 4.5, shape, f"hollow {kind}", f"{point.name}, operations counted: {point.counted:.3g} M-Ops/s"
    )
    title = f"{point.name}: {point.proxy:.3g} M-Ops/s, {_spoken(point.improvement)}"
    canvas.mark(*at, 7, shape, f"mark {kind}", title)
    labels.block(*at, 9)
    if point.improvement.low is not None and point.improvement.high is not None:
        labels.taken.append((at[0] - 2, y(point.improvement.high), at[0] + 2, y(point.improvement.low)))
    labels.block(counted, at[1], 6)
    labels.taken.append((min(counted, at[0]), at[1] - 3, max(counted, at[0]), at[1] + 3))
    return at


def _whisker(canvas: Canvas, at: float, y: Scale, value: Mean, look: int) -> None:
    if value.low is not None and value.high is not None:
        canvas.line(at, y(value.low), at, y(value.high), f"whisker s{look % LOOKS}")


def _spoken(value: Mean) -> str:
    if value.low is None or value.high is None:
        return f"{value.mean:.2f} dB"
    return f"{value.mean:.2f} dB, 95 % interval {value.low:.2f} to {value.high:.2f}".replace("-", "−")


def _thousands(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 1 else f"{value:g}"
