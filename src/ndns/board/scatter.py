"""Quality against a cost: our systems with intervals, published entries in grey."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ndns.board.charts import LOOKS, REQUIRED_DB, WIDE, axes, both, shape_of, spoken, whisker
from ndns.board.published import Published
from ndns.board.svg import Canvas, Labels, Scale, label, padded, ticks
from ndns.metrics.stats import Mean

BOLD = 8.4
"""Mean width of a character of a system's name, px."""
ROOM = 110
"""Kept free for what is written at the limit, px."""
LANDMARK = "Intel SDNN baseline"
"""The published entry whose label goes first when there is no room for all."""


@dataclass(frozen=True)
class Axis:
    """What the systems cost.

    Attributes:
        title: with unit.
        unit: of the figures under the pointer.
        key: of the published entries' numbers.
        second: what the hollow marks are.
        log: by the logarithm, in whole decades.
        limit: largest value that the challenge allows, or None.
    """

    title: str
    unit: str
    key: str
    second: str
    log: bool = False
    limit: float | None = None

    def shows(self, cost: float | None) -> bool:
        """Whether a cost has a place on it: zero has none on a logarithmic one."""
        return cost is not None and (cost > 0 or not self.log)


@dataclass(frozen=True)
class Point:
    """A system: its cost, the same counted another way (or None), both in the axis's unit, and SI-SNRi in dB."""

    name: str
    look: int
    cost: float
    second: float | None
    improvement: Mean


def scatter(points: Sequence[Point], published: Sequence[Published], axis: Axis) -> Markup:
    """Draw SI-SNR improvement against a cost."""
    entries = [
        (entry.name, entry.numbers[axis.key], entry.numbers["si_snri"])
        for entry in published
        if entry.numbers[axis.key] and entry.numbers["si_snri"] is not None
    ]
    entries.sort(key=lambda entry: entry[0] != LANDMARK)
    xs = [x for _, x, _ in entries] + [x for point in points for x in (point.cost, point.second) if x]
    ends = [end for p in points for end in (p.improvement.low, p.improvement.mean, p.improvement.high)]
    ys = [y for _, _, y in entries] + [end for end in ends if end is not None]

    def draw(width: float) -> Canvas:
        canvas = Canvas(width, 430 if width == WIDE else 400)
        x, marks = _across(xs, axis, width)
        y = Scale(*padded(ys, [0.0, REQUIRED_DB + 1]), canvas.height - 42, 30)
        axes(canvas, x, y, marks, "SI-SNR improvement, dB", axis.title)
        labels = Labels(x.stop, canvas.height - 42)
        canvas.line(x.start, y(REQUIRED_DB), x.stop, y(REQUIRED_DB), "rule")
        canvas.text(x.start + 4, y(REQUIRED_DB) - 6, "required: 3 dB", "small")
        labels.taken.append((x.start, y(REQUIRED_DB) - 18, x.start + 94, y(REQUIRED_DB) + 2))
        if axis.limit is not None:
            canvas.line(x(axis.limit), y.start, x(axis.limit), y.stop, "rule")
            text = f"allowed: {axis.limit:g} {axis.unit}"
            side = -1 if x(axis.limit) - ROOM > x.start else 1
            canvas.text(x(axis.limit) + 6 * side, y.stop + 10, text, "small", "end" if side < 0 else "start")
            ends = sorted((x(axis.limit) + ROOM * side, x(axis.limit) - 2 * side))
            labels.taken.append((ends[0], y.stop, ends[1], y.stop + 14))
            labels.taken.append((x(axis.limit) - 2, y.stop, x(axis.limit) + 2, y.start))
        for name, px, py in entries:
            labels.block(x(px), y(py), 5)
            canvas.mark(x(px), y(py), 4, "circle", "entry", f"{name}: {px:g} {axis.unit}, {py:g} dB (published)")
        placed = [_system(canvas, labels, x, y, point, axis) for point in points]
        for point, at in zip(points, placed, strict=True):
            spot = labels.place(*at, point.name, 11, x.start, BOLD)
            if spot:
                canvas.text(spot[0], spot[1], point.name, f"name s{point.look % LOOKS}", spot[2])
        for name, px, py in entries:
            spot = labels.place(x(px), y(py), name, 8, x.start)
            if spot:
                canvas.text(spot[0], spot[1], name, "small", spot[2])
        return canvas

    return both(draw)


def _across(xs: Sequence[float], axis: Axis, width: float) -> tuple[Scale, list[tuple[float, str]]]:
    """Return the scale across and its marks."""
    if axis.log:
        decades = (10 ** math.floor(math.log10(min(xs) * 0.99)), 10 ** math.ceil(math.log10(max(xs) * 1.01)))
        x = Scale(*decades, 34, width - 14, log=True)
        powers = [10.0**n for n in range(round(math.log10(x.low)), round(math.log10(x.high)) + 1)]
        return x, [(value, _thousands(value)) for value in powers]
    high = padded(xs, [axis.limit or 0.0])[1]
    x = Scale(0.0, high, 34, width - 14)
    return x, [(value, label(value)) for value in ticks(0.0, high, 8 if width == WIDE else 5)]


def _system(canvas: Canvas, labels: Labels, x: Scale, y: Scale, point: Point, axis: Axis) -> tuple[float, float]:
    kind, shape = f"s{point.look % LOOKS}", shape_of(point.look)
    at = (x(max(point.cost, x.low)), y(point.improvement.mean))
    whisker(canvas, at[0], y, point.improvement, point.look)
    if axis.shows(point.second):
        second = x(max(point.second, x.low))
        canvas.line(second, at[1], *at, f"thin {kind}")
        title = f"{point.name}, {axis.second}: {point.second:.3g} {axis.unit}"
        canvas.mark(second, at[1], 4.5, shape, f"hollow {kind}", title)
        labels.block(second, at[1], 6)
        labels.taken.append((min(second, at[0]), at[1] - 3, max(second, at[0]), at[1] + 3))
    title = f"{point.name}: {point.cost:.3g} {axis.unit}, {spoken(point.improvement)}"
    canvas.mark(*at, 7, shape, f"mark {kind}", title)
    labels.block(*at, 9)
    if point.improvement.low is not None and point.improvement.high is not None:
        labels.taken.append((at[0] - 2, y(point.improvement.high), at[0] + 2, y(point.improvement.low)))
    return at


def _thousands(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 1 else f"{value:g}"
