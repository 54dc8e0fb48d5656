"""Pareto board of a tiny table: gains against arithmetic by hand, rounding, the figure, wrong input."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from typer.testing import CliRunner

from ndns.board.cli import app, pareto
from ndns.board.pareto_figure import figure
from ndns.board.pareto_runs import Run
from ndns.board.pareto_table import Model
from ndns.errors import UserError
from ndns.files import read_csv, write_csv

CONDITIONS = {"snr_db": 5.0, "level_dbfs": -20.0, "noise_label": "fan"}
HEADER = ",".join(["clip", *CONDITIONS, "si_snr"])
CLIPS = (("a", -1.0), ("b", 1.0))
"""Clips and how many dB theirs is off the mean; the silent clip `c` has no SI-SNR."""


def add(root, run, quality, macs, size=1000, latency=10.0, energy=2.0, gap=0.1):
    """Write what the board reads of one run: clip by clip SI-SNR around `quality` dB, and its costs."""
    for stage in ("quantize", "score", "cost"):
        (root / stage / run).mkdir(parents=True)
    write_csv(root / "mix/val.csv", [{"clip": clip, **CONDITIONS} for clip in "abc"], ["clip", *CONDITIONS])
    scores = [{"clip": clip, "si_snr": quality + off} for clip, off in CLIPS] + [{"clip": "c", "si_snr": None}]
    scores = [CONDITIONS | row for row in scores]
    write_csv(root / "score" / run / "scores.csv", scores, ["clip", *CONDITIONS, "si_snr"])
    parent = [
        {"clip": clip, "si_snr_float": quality + gap + off, "si_snr_rounded": quality + gap / 2 + off}
        for clip, off in CLIPS
    ]
    write_csv(root / "quantize" / run / "parent.csv", parent, ["clip", "si_snr_float", "si_snr_rounded"])
    spread = {
        end: {"frame_latency_s": 1e-6 * factor * latency, "free_running": {"step_j": 1e-6 * factor * energy}}
        for end, factor in (("low", 0.5), ("value", 1.0), ("high", 2.0))
    }
    cost = {
        "synops_per_step_events": macs, "elementwise_ops_per_step": 7, "neuron_ops_per_step": 5,
        "synops_per_step": 10 * macs, "deployed_bytes": size, "parameters_nonzero": 3,
        "loihi2": {"scenarios": {"fitted": spread | {"cores": 4}}},
    }  # fmt: skip
    (root / "cost" / run / "cost.json").write_text(json.dumps(cost))


@pytest.fixture
def study(tmp_path):
    """Dense at 8 dB, 100 MACs and 10 dB, 10 000 MACs; sparse at 9 dB on the mean of two seeds, and one outside."""
    root = tmp_path / "results" / "toy"
    add(root, "dense_k025-seed1", 8.0, 100, size=1000, latency=10.0, energy=1.0)
    add(root, "dense_k050-seed1", 10.0, 10_000, size=4000, latency=40.0, energy=9.0)
    add(root, "dense_k100-seed1", 9.5, 50_000)
    add(root, "sparse_k050-seed1", 9.4, 240, size=2500, latency=10.0, energy=1.0, gap=0.3)
    add(root, "sparse_k050-seed2", 8.6, 260, size=2500, latency=10.0, energy=1.0)
    add(root, "sparse_k050_ptq-seed2", 8.1, 250)
    add(root, "sparse_k025-seed1", 7.5, 50)
    return root


def test_gains_bands_and_rounding_are_those_by_hand(study, tmp_path):
    out = tmp_path / "board"
    assert CliRunner().invoke(app, ["pareto", str(study), "--out", str(out)]).exit_code == 0
    rows = {row["model"]: row for row in read_csv(out / "pareto.csv")}
    assert list(rows) == [
        "dense_k025", "dense_k050", "dense_k100", "sparse_k025", "sparse_k050", "sparse_k050_ptq",
    ]  # fmt: skip
    sparse = {
        key: float(value) for key, value in rows["sparse_k050"].items() if key not in ("model", "remark") and value
    }
    # Half way in dB between the two dense networks of the front is the geometric mean of their costs.
    assert (sparse["seeds"], sparse["si_snr_db"], sparse["effective_macs"]) == (2, 9.0, 250)
    assert sparse["gain_macs"] == pytest.approx(math.sqrt(100 * 10_000) / 250, rel=1e-4)
    assert sparse["gain_macs_low"] == pytest.approx(100 * 100**0.3 / 250, rel=1e-4)
    assert sparse["gain_macs_high"] == pytest.approx(100 * 100**0.7 / 250, rel=1e-4)
    assert sparse["gain_bytes"] == pytest.approx(2000 / 2500, rel=1e-4)
    assert (sparse["si_snr_low_db"], sparse["si_snr_high_db"]) == (8.6, 9.4)
    assert (sparse["gap_db"], sparse["gap_worst_db"]) == pytest.approx((0.2, 0.3))
    assert (sparse["si_snr_float_db"], sparse["si_snr_rounded_db"]) == pytest.approx((9.2, 9.1))
    assert sparse["qat_gain_db"] == pytest.approx(8.6 - 8.1), "of the seed that both have"
    assert rows["sparse_k025"]["gain_macs"] == rows["dense_k050"]["gain_macs"] == ""
    assert rows["sparse_k025"]["remark"] == "worse than all dense networks; dense_k025: +0.50 dB at 2.00x its MACs"


def test_network_that_multiplies_nothing_is_named_and_compared_with_none(study, tmp_path):
    add(study, "dense_k012-seed1", 5.0, 0)
    add(study, "sparse_k012-seed1", 9.0, 0)
    pareto(study, tmp_path)
    rows = {row["model"]: row for row in read_csv(tmp_path / "pareto.csv")}
    assert (rows["sparse_k012"]["effective_macs"], rows["sparse_k012"]["gain_macs"]) == ("0.0", "")
    assert rows["dense_k012"]["remark"] == rows["sparse_k012"]["remark"]
    assert rows["dense_k012"]["remark"].startswith("multiplies nothing")
    assert float(rows["sparse_k050"]["gain_macs"]) == pytest.approx(4.0), "the front is as before"
    titles = [t.text for t in ElementTree.parse(tmp_path / "pareto.svg").iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 2 * 8 - 2, "no place on the axis of MACs"


@pytest.mark.parametrize(
    ("name", "width", "family"),
    [("dense_k0125", 0.125, "dense"), ("dense_k050_ptq", 0.5, "dense_ptq"), ("sparse_k150", 1.5, "sparse")],
)
def test_name_tells_width_and_family(name, width, family):
    model = Model(name, ())
    assert (model.width, model.family) == (width, family)


def test_chip_table_has_each_scenario(study, tmp_path):
    pareto(study, tmp_path)
    rows = {row["model"]: row for row in read_csv(tmp_path / "pareto_chip.csv")}
    sparse = rows["sparse_k050"]
    assert (sparse["scenario"], float(sparse["cores"])) == ("fitted", 4)
    assert [float(sparse[f"latency_{end}_us"]) for end in ("low", "value", "high")] == [5, 10, 20]
    assert (float(sparse["gain_latency"]), float(sparse["gain_energy"])) == pytest.approx((2.0, 3.0), rel=1e-4)
    text = (tmp_path / "pareto.md").read_text()
    assert "| 4.00x (1.59x .. 10.05x) | 0.80x |" in text
    assert "42x lower latency and 149x less energy" in text


def test_figure_shows_each_model_on_both_axes(study, tmp_path):
    pareto(study, tmp_path)
    svg = ElementTree.parse(tmp_path / "pareto.svg").getroot()
    titles = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert "sparse_k050: 9.00 dB, 250 effective MACs a frame" in titles
    assert "dense_k050: 10.00 dB, 4k bytes deployed" in titles
    assert len(titles) == 2 * 6


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("cost/dense_k050-seed1/cost.json", "{}", "'synops_per_step_events' is missing"),
        ("cost/dense_k050-seed1/cost.json", "{", "not JSON"),
        ("quantize/dense_k050-seed1/parent.csv", "clip,si_snr_float,si_snr_rounded\na,1,1\n", "not those of"),
        ("score/dense_k050-seed1/scores.csv", f"{HEADER}\na,5.0,-20.0,fan,loud\n", "si_snr: 'loud' is not a number"),
        ("score/dense_k050-seed1/scores.csv", f"{HEADER}\na,5.5,-20.0,fan,1\n", "'a' has other labels"),
        ("score/dense_k050-seed1/scores.csv", f"{HEADER}\nd,5.0,-20.0,fan,1\n", "'d' has other labels"),
    ],
)
def test_wrong_input_gets_a_sentence_and_leaves_nothing(study, tmp_path, file, text, says):
    (study / file).write_text(text)
    with pytest.raises(UserError, match=says):
        pareto(study, tmp_path / "board")
    assert not (tmp_path / "board").exists()


def test_runs_that_the_study_no_longer_has_are_no_part_of_the_named_ones(study, tmp_path):
    old = study / "score/sparse_k050-seed2/scores.csv"
    old.write_text(f"{HEADER}\nd,5.0,-20.0,fan,1\n")  # of mixtures that were drawn before
    named = [f"--run={run}" for run in ("dense_k025-seed1", "dense_k050-seed1", "sparse_k050-seed1")]
    result = CliRunner().invoke(app, ["pareto", str(study), *named, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.exception
    rows = {row["model"]: (row["seeds"], row["si_snr_db"]) for row in read_csv(tmp_path / "pareto.csv")}
    assert rows == {"dense_k025": ("1", "8.0"), "dense_k050": ("1", "10.0"), "sparse_k050": ("1", "9.4")}


def test_a_study_without_parents_is_refused(tmp_path):
    with pytest.raises(UserError, match="run `snakemake pareto`"):
        pareto(tmp_path, tmp_path / "board")


def lone(name, macs, quality=8.0):
    figures = {"effective_macs": macs, "deployed_bytes": macs}
    return Model(name, (Run(name, 1, quality, quality, quality, figures, {}),))


def values_across(drawn):
    return re.findall(r'<text class="" x="[\d.]+" y="390.0" text-anchor="middle">([^<]+)', drawn)


@pytest.mark.parametrize("macs", [3.0, 3000.0, 1400.0, 7e5])
def test_the_axes_of_a_single_network_have_numbers(macs):
    shown = values_across(figure([lone("dense_k050", macs)]))
    assert len(shown) >= 2 * 2


def test_numbers_across_many_decades_do_not_touch():
    shown = values_across(figure([lone(f"dense_k{n}", 10.0**n) for n in range(1, 9)]))
    assert 2 * 5 < len(shown) < 2 * 12


def outline(points):
    corners = [tuple(map(float, corner.split(","))) for corner in points.split()]
    return tuple((round(x - corners[0][0], 1), round(y - corners[0][1], 1)) for x, y in corners)


def test_many_families_differ_and_stay_inside():
    drawn = figure([lone(f"family_{'x' * n}", 1000.0 + n, 8 + n) for n in range(20)])
    root = ElementTree.fromstring(drawn)
    width = float(root.get("width"))
    texts = [text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.text.startswith("family")]
    assert all(float(text.get("x")) + 7 * len(text.text) <= width for text in texts[:20])
    marks = re.findall(r'<g fill="(#\w+)"><\w+ (?:points="([^"]*)")?', drawn)[:20]
    assert len({(colour, outline(points)) for colour, points in marks}) == 20
