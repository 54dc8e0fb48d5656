"""Scales, ticks and label places as rules that hold for all inputs."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ndns.board.charts import WIDE, Band, Line, Panel, bands, panels, shape_of
from ndns.board.published import published
from ndns.board.scatter import Point, scatter
from ndns.board.sections import LATENCY, POWER
from ndns.board.svg import SHAPES, Labels, Scale, padded, shape_at, ticks
from ndns.metrics.stats import Mean

SANE = st.floats(-1e4, 1e4)


@given(SANE, st.floats(1e-3, 1e4), st.integers(2, 9))
@example(1.0, 4001.0, 2)
@example(5.0001, 4.9998, 2)
def test_ticks_are_even_inside_and_about_as_many_as_asked(low, span, count):
    found = ticks(low, low + span, count)
    assert 1 <= len(found) <= count + 1
    assert all(low - 1e-6 * span <= value <= low + span * (1 + 1e-6) for value in found)
    gaps = [b - a for a, b in pairwise(found)]
    assert all(gap == pytest.approx(gaps[0], rel=1e-3) for gap in gaps)


@given(st.lists(SANE, min_size=1, max_size=9), st.lists(SANE, max_size=2))
def test_padded_range_holds_all_values(values, include):
    low, high = padded(values, include)
    assert low < min([*values, *include]) + 1e-12
    assert high > max([*values, *include]) - 1e-12
    assert low < high


def test_scales_are_linear_and_logarithmic():
    assert Scale(0, 10, 100, 0)(2.5) == 75
    assert Scale(1, 10_000, 0, 400, log=True)(100) == pytest.approx(200)


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300), st.text("abc ", min_size=1, max_size=20)), max_size=25))
def test_labels_never_overlap_and_stay_inside(points):
    labels = Labels(300, 300)
    for x, y, _ in points:
        labels.block(x, y, 4)
    blocked = len(labels.taken)
    placed = [labels.place(x, y, text, 8, 10) for x, y, text in points]
    boxes = labels.taken[blocked:]
    assert len(boxes) == sum(spot is not None for spot in placed)
    for index, a in enumerate(boxes):
        assert a[0] >= 10
        assert a[2] <= 300
        for b in [*boxes[:index], *labels.taken[:blocked]]:
            assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]


def test_a_lone_label_stands_right_of_its_point():
    assert Labels(300, 300).place(50, 50, "name", 8, 0) == (58, 54, "start")


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_surround_their_point(shape):
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", shape_at(40, 60, 5, shape))]
    xs, ys = numbers[0::2], numbers[1::2]
    assert sum(xs) / len(xs) == pytest.approx(40, abs=1)
    assert sum(ys) / len(ys) == pytest.approx(60, abs=1)


def test_colour_and_shape_tell_36_systems_apart():
    assert len({(look % 6, shape_of(look)) for look in range(36)}) == 36


@pytest.mark.parametrize("axis", [POWER, LATENCY])
@given(st.lists(st.tuples(st.floats(0.02, 1e5), st.floats(-20, 20)), min_size=1, max_size=20))
def test_scatter_keeps_every_mark_inside(axis, systems):
    points = [Point(f"run{i}", i, x, x / 2, Mean(9, y, y - 1, y + 1)) for i, (x, y) in enumerate(systems)]
    wide = str(scatter(points, published(), axis)).split("</svg>")[0]
    height = float(re.search(r'height="([\d.]+)"', wide).group(1))
    for x, y in re.findall(r'<circle cx="(-?[\d.]+)" cy="(-?[\d.]+)"', wide):
        assert 0 <= float(x) <= WIDE
        assert 0 <= float(y) <= height
    for name in (point.name for point in points):
        assert f"<title>{name}:" in wide
    with_cost = [entry for entry in published() if entry.numbers[axis.key] and entry.numbers["si_snri"] is not None]
    assert wide.count('class="entry"') == len(with_cost) >= 16


def test_text_in_drawings_is_escaped():
    drawn = str(panels([Panel("<x>", [Line("a", 0, [(0, 1), (1, 2)])])], "t & s", "y"))
    assert "<x>" not in drawn
    assert "&lt;x&gt;" in drawn
    assert "t &amp; s" in drawn


@pytest.mark.parametrize("latency", [30.0, 300.0, 700.0, 2500.0])
def test_the_limit_is_written_inside_the_drawing(latency):
    drawn = str(scatter([Point("a", 0, latency, None, Mean(9, 5.0, 4.0, 6.0))], [], LATENCY))
    found = re.findall(r'<text class="small" x="([\d.]+)" [^>]*text-anchor="(\w+)">(allowed[^<]*)', drawn)
    assert len(found) == 2
    for x, anchor, text in found:
        start = float(x) - {"start": 0, "end": 6 * len(text)}[anchor]
        assert start >= 34, "the numbers of the other axis stand left of it"


def test_a_cost_of_nothing_has_a_place_where_there_is_a_zero():
    assert not POWER.shows(0.0)
    assert not LATENCY.shows(None)
    drawn = str(scatter([Point("a", 0, 0.0, 0.0, Mean(9, 5.0, 4.0, 6.0))], [], LATENCY))
    assert "<title>a: 0 ms, 5.00 dB" in drawn
    assert "<title>a, algorithmic: 0 ms</title>" in drawn


@pytest.mark.parametrize("first", [-5, -10, -15, -30])
def test_names_of_bands_never_touch(first):
    names = [f"{low} to {low + 5}" for low in range(first, 25, 5)]
    drawn = str(bands([Band(name, 9, {0: ("a", Mean(9, 3.0, 2.0, 4.0))}) for name in names]))
    for part in drawn.split("</svg>")[:2]:
        shown = re.findall(r'<text class="tick" x="([\d.]+)" y="280.0"[^>]*>([^<]+)', part)
        assert len(shown) >= 2
        for (a, one), (b, other) in pairwise(shown):
            assert float(b) - float(a) > 6.25 * (len(one) + len(other)) / 2
