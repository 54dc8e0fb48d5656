"""Differences of systems on the same clips: means by hand, intervals, and the sentences for what was not scored."""

import numpy as np
import pytest
from typer.testing import CliRunner

from ndns.board.against import COLUMNS, markdown
from ndns.board.cli import app
from ndns.errors import UserError
from ndns.files import read_csv, write_csv


def cells(table, name):
    row = next(line for line in table.splitlines() if line.startswith(f"| `{name}` |"))
    return dict(zip((column.key for column in COLUMNS), row.split(" | ")[1:], strict=True))


def number(text):
    return float(text.split()[0].rstrip("|").replace("−", "-"))


def column(study, name, key):
    return np.array([float(row[key]) for row in read_csv(study.root / f"score/{name}/scores.csv")])


def test_differences_are_taken_clip_by_clip(study):
    found = cells(markdown(study.root, "intel_sdnn"), "sdnn-seed1")
    difference = column(study, "sdnn-seed1", "si_snri_data") - column(study, "intel_sdnn", "si_snri_data")
    assert number(found["si_snri_data"]) == pytest.approx(difference.mean(), abs=0.006)
    low, high = (number(end) for end in found["si_snri_data"].partition("[")[2].rstrip("] |").split(" to "))
    assert difference.min() - 0.006 <= low < difference.mean() < high <= difference.max() + 0.006
    assert number(found["ovrl"]) == pytest.approx(0.2)
    assert "[" not in found["ovrl"]  # the same for every clip
    assert found["pesq"].startswith("–")  # nowhere scored


def test_a_worse_clip_lowers_the_difference(study):
    before = number(cells(markdown(study.root, "noisy"), "intel_sdnn")["si_snri_data"])
    path = study.root / "score/intel_sdnn/scores.csv"
    rows = read_csv(path)
    rows[2]["si_snri_data"] = str(float(rows[2]["si_snri_data"]) - 6)
    write_csv(path, rows, list(rows[0]))
    after = number(cells(markdown(study.root, "noisy"), "intel_sdnn")["si_snri_data"])
    assert after == pytest.approx(before - 6 / len(rows), abs=0.011)


def test_a_difference_over_fewer_clips_says_so(study):
    path = study.root / "score/sdnn-seed1/scores.csv"
    rows = read_csv(path)
    rows[0]["ovrl"] = rows[1]["si_snri_data"] = ""
    write_csv(path, rows, list(rows[0]))
    found = cells(markdown(study.root, "intel_sdnn"), "sdnn-seed1")
    assert found["ovrl"] == "+0.20 [n = 5]"
    assert found["si_snri_data"].endswith(", n = 5]")
    assert "n =" not in found["bak"]


def test_command_prints_every_other_run(study):
    printed = CliRunner().invoke(app, ["against", "intel_sdnn", str(study.root)])
    assert printed.exit_code == 0
    assert printed.output == markdown(study.root, "intel_sdnn")
    assert [line.split("`")[1] for line in printed.output.splitlines()[2:]] == ["sdnn-seed1"]


def test_what_was_not_scored_is_named(study):
    with pytest.raises(UserError, match="'gtcrn' has no scores \\(scored: intel_sdnn, noisy, sdnn-seed1\\)"):
        markdown(study.root, "gtcrn")
    (study.root / "empty").mkdir()
    with pytest.raises(UserError, match="run the score stage"):
        markdown(study.root / "empty", "noisy")
    with pytest.raises(UserError, match="no such folder; name that of a study"):
        markdown(study.root / "nowhere", "noisy")
