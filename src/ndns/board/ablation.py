"""What each changed setting is worth: final validation SI-SNR of trained networks beside those of a base, by seed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ndns.board.pareto_runs import model_and_seed
from ndns.errors import UserError
from ndns.files import read_csv, read_number
from ndns.markdown import table

COLUMNS = ("model", "seeds", "validation SI-SNR, dB", "to the base, dB")


@dataclass(frozen=True)
class Row:
    """One model of an ablation.

    Attributes:
        model: its name.
        seeds: those that were trained.
        si_snr: validation SI-SNR in dB after the last epoch, mean over seeds.
        low, high: smallest and largest of them.
        difference: mean over the seeds that both have of its value less the base's; none for the base, or without any.
        difference_low, difference_high: smallest and largest of those differences.
    """

    model: str
    seeds: tuple[int, ...]
    si_snr: float
    low: float
    high: float
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None


def ablation(folder: Path, base: str) -> list[Row]:
    """Compare the runs below `results/<study>/train`: the base first, then the others, the best difference first.

    Raises:
        UserError: no finished run of the base, or runs that ended at different epochs.
    """
    values: dict[str, dict[int, float]] = {}
    epochs: dict[str, str] = {}
    for path in sorted(folder.glob("*/history.csv")):
        named = model_and_seed(path.parent.name)
        rows = read_csv(path, ["epoch", "val_si_snr"])
        if named and rows:
            model, seed = named
            values.setdefault(model, {})[seed] = read_number(rows[-1]["val_si_snr"], path, "val_si_snr")
            epochs[str(path)] = rows[-1]["epoch"]
    if base not in values:
        raise UserError(f"{folder}: holds no finished run of {base!r} (found: {', '.join(values) or 'none'}).")
    if len(set(epochs.values())) > 1:
        told = ", ".join(f"{path} ({epoch})" for path, epoch in epochs.items())
        raise UserError(f"{folder}: runs ended at different epochs, which cannot be compared: {told}.")
    rows = [_row(model, found, {} if model == base else values[base]) for model, found in values.items()]
    return sorted(rows, key=lambda row: (row.model != base, row.difference is None, -(row.difference or 0)))


def _row(model: str, found: dict[int, float], base: dict[int, float]) -> Row:
    differences = [found[seed] - base[seed] for seed in found if seed in base]
    summary = (float(np.mean(differences)), min(differences), max(differences)) if differences else (None,) * 3
    numbers = list(found.values())
    return Row(model, tuple(sorted(found)), float(np.mean(numbers)), min(numbers), max(numbers), *summary)


def markdown(rows: list[Row]) -> str:
    """Return the table as Markdown."""
    return table(COLUMNS, map(_cells, rows)) + "\n"


def _cells(row: Row) -> tuple[object, ...]:
    change = ""
    if row.difference is not None:
        change = f"{row.difference:+.2f} ({row.difference_low:+.2f} .. {row.difference_high:+.2f})"
    return f"`{row.model}`", len(row.seeds), f"{row.si_snr:.2f} ({row.low:.2f} .. {row.high:.2f})", change
