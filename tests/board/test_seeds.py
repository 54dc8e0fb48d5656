"""Scores over the seeds of a model: mean, lowest and highest by hand, and the sentences for what was not scored."""

import numpy as np
import pytest
from typer.testing import CliRunner

from ndns.board.cli import app
from ndns.board.seeds import markdown
from ndns.errors import UserError
from ndns.files import read_csv, write_csv


def shift(study, seed, db):
    """Add another seed of `sdnn`, better by `db` on each clip."""
    rows = read_csv(study.root / "score/sdnn-seed1/scores.csv")
    for row in rows:
        row["si_snri_data"] = str(float(row["si_snri_data"]) + db)
    folder = study.root / f"score/sdnn-seed{seed}"
    folder.mkdir()
    write_csv(folder / "scores.csv", rows, list(rows[0]))


def cells(table, model):
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return dict(zip(rows[0][1:], next(row for row in rows if row[0] == f"`{model}`")[1:], strict=True))


def values(study, name, key="si_snri_data"):
    return np.array([float(row[key]) for row in read_csv(study.root / f"score/{name}/scores.csv")])


def test_mean_lowest_and_highest_seed(study):
    mean = values(study, "sdnn-seed1").mean()
    assert cells(markdown(study.root), "sdnn")["SI-SNRi data, dB"] == f"{mean:+.2f}".replace("-", "−")
    shift(study, 2, -1.0)
    shift(study, 3, 0.25)
    found = cells(markdown(study.root), "sdnn")
    assert found["seeds"] == "3"
    wanted = f"{mean - 0.25:+.2f} ({mean - 1:+.2f} .. {mean + 0.25:+.2f})"
    assert found["SI-SNRi data, dB"] == wanted.replace("-", "−")
    assert found["OVRL"].count(found["OVRL"].split(" ")[0]) == 3  # the same for each seed
    assert found["PESQ"] == "–"  # nowhere scored


def test_a_base_is_subtracted_on_the_same_clips(study):
    shift(study, 2, 2.0)
    difference = (values(study, "sdnn-seed1") - values(study, "intel_sdnn")).mean()
    found = cells(markdown(study.root, "intel_sdnn"), "sdnn")["SI-SNRi data, dB"]
    assert found == f"{difference + 1:+.2f} ({difference:+.2f} .. {difference + 2:+.2f})".replace("-", "−")


def test_a_clip_without_a_value_does_not_count(study):
    path = study.root / "score/sdnn-seed1/scores.csv"
    rows = read_csv(path)
    rows[0]["si_snri_data"] = ""
    write_csv(path, rows, list(rows[0]))
    rest = np.mean([float(row["si_snri_data"]) for row in rows[1:]])
    assert cells(markdown(study.root), "sdnn")["SI-SNRi data, dB"] == f"{rest:+.2f}, n = 5".replace("-", "−")


def test_command_prints_the_table(study):
    printed = CliRunner().invoke(app, ["seeds", str(study.root), "--base", "intel_sdnn"])
    assert printed.exit_code == 0
    assert printed.output == markdown(study.root, "intel_sdnn")


def test_what_was_not_scored_is_named(study):
    with pytest.raises(UserError, match="'gtcrn' has no scores"):
        markdown(study.root, "gtcrn")
    (study.root / "empty").mkdir()
    with pytest.raises(UserError, match="run the score stage"):
        markdown(study.root / "empty")
    with pytest.raises(UserError, match="no such folder; name that of a study"):
        markdown(study.root / "nowhere")
    (study.root / "score/sdnn-seed1").rename(study.root / "score/sdnn")
    with pytest.raises(UserError, match="no run named <model>-seed<number>"):
        markdown(study.root)
