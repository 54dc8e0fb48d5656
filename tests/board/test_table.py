"""Means and intervals against NumPy and theory; the challenge's file holds exactly its keys."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ndns.board.cli import app
from ndns.board.published import published
from ndns.board.table import COLUMNS, estimate
from ndns.errors import UserError
from ndns.files import read_csv, write_csv

KEYS = [
    *("team", "model", "date", "SI-SNR", "SI-SNRi_data", "SI-SNRi_enc+dec", "MOS_ovrl", "MOS_sig", "MOS_bak"),
    *("latency_enc+dec_ms", "latency_total_ms", "power_proxy_Ops/s", "PDP_proxy_Ops", "params", "size_kilobytes"),
    "model_path",
]


def board(study, *more: str) -> None:
    app(["run", *study.options(), "--out", str(study.root / "board"), *more], standalone_mode=False)


def test_interval_matches_theory_for_a_large_normal_sample():
    values = np.random.default_rng(0).normal(3, 2, 1000)
    found = estimate(values)
    assert found.mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / np.sqrt(1000)
    assert found.high - found.mean == pytest.approx(half, rel=0.1)
    assert found.mean - found.low == pytest.approx(half, rel=0.1)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=40))
def test_interval_lies_within_the_values(values):
    found = estimate(np.array(values))
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert estimate(np.array([*values, np.nan])) == found


def test_large_samples_are_resampled_in_pieces():
    values = np.random.default_rng(1).normal(0, 1, 5000)
    found = estimate(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(5000), rel=0.1)


def test_one_clip_has_no_interval_and_none_no_mean():
    assert estimate(np.array([2.5, np.nan])).low is None
    assert estimate(np.array([np.nan])) is None


def test_table_holds_means_and_costs(study):
    board(study)
    rows = read_csv(study.root / "board/table.csv")
    assert list(rows[0]) == COLUMNS
    assert [row["system"] for row in rows] == ["noisy", "sdnn-seed1", "intel_sdnn"]
    for row in rows:
        scores = read_csv(study.root / f"score/{row['system']}/scores.csv")
        for metric in ("si_snr", "si_snri_data", "ovrl", "estoi"):
            assert float(row[metric]) == pytest.approx(np.mean([float(s[metric]) for s in scores]), abs=1e-6)
            assert float(row[f"{metric}_low"]) <= float(row[metric]) <= float(row[f"{metric}_high"])
        assert row["pesq"] == row["pesq_low"] == ""
    cost = json.loads((study.root / "cost/intel_sdnn/cost.json").read_text())
    assert float(rows[2]["power_proxy_ops_s"]) == cost["power_proxy_ops_s"]
    assert float(rows[2]["latency_pipeline_ms"]) == cost["latency"]["pipeline_ms"]
    assert rows[0]["power_proxy_ops_s"] == ""


def test_a_mean_over_fewer_clips_says_so(study, capsys):
    path = study.root / "score/sdnn-seed1/scores.csv"
    rows = read_csv(path)
    for row, pesq in zip(rows, ("2.8", "2.2", "1.5", "1.0", "", ""), strict=True):
        row["pesq"] = pesq
    write_csv(path, rows, list(rows[0]))
    board(study)
    found = {row["system"]: row for row in read_csv(study.root / "board/table.csv")}
    assert (found["sdnn-seed1"]["pesq"], found["sdnn-seed1"]["pesq_clips"]) == ("1.875", "4")
    assert (found["sdnn-seed1"]["ovrl_clips"], found["noisy"]["pesq_clips"]) == ("6", "0")
    assert (study.root / "board/report.html").read_text().count("n = 4") == 1
    app(["show", str(study.root)], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "1.88*" in shown
    assert "* undefined for some of the clips, which are left out" in shown
    assert shown.count("*") == 2


def test_metricsboard_has_exactly_the_keys_of_the_challenge(study):
    board(study, "--settings", '{"team": "a: team", "date": "2026-01-31"}')
    entries = yaml.safe_load((study.root / "board/metricsboard_track_1_validation.yml").read_text())
    assert [entry["model"] for entry in entries] == ["sdnn-seed1", "intel_sdnn"]
    table = {row["system"]: row for row in read_csv(study.root / "board/table.csv")}
    for entry in entries:
        assert list(entry) == KEYS
        row = table[entry["model"]]
        assert (entry["team"], entry["date"]) == ("a: team", "2026-01-31")
        assert entry["SI-SNRi_data"] == float(row["si_snri_data"])
        assert entry["MOS_bak"] == float(row["bak"])
        assert entry["power_proxy_Ops/s"] > 1e6
        assert entry["params"] == 526336
        assert entry["latency_enc+dec_ms"] == 0.02
        assert entry["model_path"] == f"{study.root}/quantize/{entry['model']}/program.net"
        assert Path(entry["model_path"]).is_file()


def test_only_systems_with_a_program_are_entries(study):
    shutil.rmtree(study.root / "quantize" / "intel_sdnn")
    board(study)
    entries = yaml.safe_load((study.root / "board/metricsboard_track_1_validation.yml").read_text())
    assert [entry["model"] for entry in entries] == ["sdnn-seed1"]
    assert len(read_csv(study.root / "board/table.csv")) == 3
    with pytest.raises(UserError, match=r"gone\.net: no such program"):
        board(study, "--programs", f"intel_sdnn={study.root}/gone.net")


def test_algorithmic_latency_of_a_network_has_its_pipeline_and_a_peer_says_its_own(study):
    cost = study.root / "cost/intel_sdnn/cost.json"
    found = json.loads(cost.read_text())
    found["latency"] |= {"algorithmic_ms": 30.0, "pipeline_ms": 20.0}
    cost.write_text(json.dumps(found))
    board(study)
    rows = {row["system"]: row for row in read_csv(study.root / "board/table.csv")}
    assert float(rows["sdnn-seed1"]["latency_algorithmic_ms"]) == pytest.approx(32 + 40.02)
    assert float(rows["intel_sdnn"]["latency_algorithmic_ms"]) == 30
    assert rows["noisy"]["latency_algorithmic_ms"] == ""


def test_date_is_empty_unless_given(study):
    board(study)
    entries = yaml.safe_load((study.root / "board/metricsboard_track_1_validation.yml").read_text())
    assert {entry["date"] for entry in entries} == {""}


def test_show_prints_table_and_report(study, capsys):
    board(study)
    app(["show", str(study.root / "board")], standalone_mode=False)
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "sdnn-seed1" in line)
    assert "14.50" in row
    assert "±" in row
    assert str(study.root / "board/report.html") in shown.replace("\n", "")
    assert max(map(len, shown.split("report:")[0].splitlines())) <= 80


@pytest.mark.parametrize("which", ["test_1", "validation"])
def test_published_products_agree_or_carry_a_remark(which):
    entries = published(which)
    assert len(entries) > 15
    for entry in entries:
        numbers = entry.numbers
        if numbers["power_proxy_mops_s"] is None:
            continue
        product = numbers["power_proxy_mops_s"] * numbers["latency_total_ms"] / 1000
        assert entry.note or numbers["pdp_proxy_mops"] == pytest.approx(product, rel=0.02, abs=0.006), entry.name


def test_baseline_is_published_as_the_challenge_gives_it():
    baseline = next(entry for entry in published() if entry.name == "Intel SDNN baseline")
    assert (baseline.numbers["si_snr"], baseline.numbers["power_proxy_mops_s"]) == (12.26, 14.52)
