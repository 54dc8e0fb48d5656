"""Ablation table: means over seeds, differences to the base seed by seed."""

import pytest
from typer.testing import CliRunner

from ndns.board.ablation import ablation
from ndns.board.cli import app
from ndns.errors import UserError

VALUES = {"base": {1: 8.0, 2: 8.4}, "wider": {1: 8.5, 2: 8.5}, "relu": {2: 8.1}}


@pytest.fixture
def folder(tmp_path):
    for model, seeds in VALUES.items():
        for seed, value in seeds.items():
            write(tmp_path, f"{model}-seed{seed}", [value - 1, value])
    return tmp_path


def write(folder, run, values):
    (folder / run).mkdir()
    rows = "".join(f"{epoch},{value}\n" for epoch, value in enumerate(values, 1))
    (folder / run / "history.csv").write_text("epoch,val_si_snr\n" + rows)


def test_differences_are_taken_seed_by_seed(folder):
    base, wider, relu = ablation(folder, "base")
    assert (base.model, base.seeds, base.si_snr, base.difference) == ("base", (1, 2), pytest.approx(8.2), None)
    assert (wider.model, wider.difference) == ("wider", pytest.approx(0.3))
    assert (wider.difference_low, wider.difference_high) == (pytest.approx(0.1), pytest.approx(0.5))
    assert (relu.model, relu.seeds, relu.difference) == ("relu", (2,), pytest.approx(-0.3))  # against 8.4, not the mean


def test_command_prints_the_table(folder):
    printed = CliRunner().invoke(app, ["ablation", str(folder), "--base", "base"])
    assert printed.exit_code == 0
    assert "| `wider` | 2 | 8.50 (8.50 .. 8.50) | +0.30 (+0.10 .. +0.50) |" in printed.output


def test_what_cannot_be_compared_is_refused(folder):
    with pytest.raises(UserError, match="no finished run of 'dense'"):
        ablation(folder, "dense")
    write(folder, "empty-seed1", [8.0, ""])
    with pytest.raises(UserError, match=r"empty-seed1/history\.csv: val_si_snr: '' is not a number"):
        ablation(folder, "base")
    write(folder, "longer-seed1", [8.0, 8.1, 8.2])
    (folder / "empty-seed1" / "history.csv").unlink()
    with pytest.raises(UserError, match="different epochs"):
        ablation(folder, "base")
