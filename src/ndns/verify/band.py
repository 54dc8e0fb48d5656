"""Whether a retrained network lies in the spread of other seeds.

The value of a run, say its best validation SI-SNR, is one draw of what training gives. The band is the 95 % prediction
interval for one more draw from the same normal distribution, mean +- t(0.975, n - 1) s sqrt(1 + 1/n), over n >= 3 other
seeds with the same settings. With three seeds it is wide (5 standard deviations to each side), and it should be.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import t

from ndns.config import CleanedCorpus, TrainedModel
from ndns.errors import UserError
from ndns.files import read_csv, read_number, sha256_bytes, write_csv
from ndns.verify.claims import Band
from ndns.workflow import Plan, settings

SEEDS = 3
TABLE = "config/bands.csv"
COLUMNS = ("settings", "study", "model", "seed", "column", "take", "value")


@dataclass(frozen=True)
class Spread:
    """Interval `low..high` that one more seed should lie in, from `seeds` others."""

    low: float
    high: float
    seeds: int

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:.4f}..{self.high:.4f} from {self.seeds} seeds"


def spread(values: list[float]) -> Spread:
    """Return the 95 % prediction interval for one more draw.

    Raises:
        ValueError: fewer than three values.

    >>> str(spread([1.0, 2.0, 3.0]))
    '-2.9683..6.9683 from 3 seeds'
    """
    if len(values) < SEEDS:
        raise ValueError(f"{len(values)} seeds; a band needs {SEEDS}")
    reach = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) * math.sqrt(1 + 1 / len(values))
    middle = statistics.fmean(values)
    return Spread(middle - reach, middle + reach, len(values))


def value_of(folder: Path, band: Band) -> float:
    """Return the one value that stands for a run.

    Raises:
        UserError: no such table or column, no row, or a cell that is no finite number.
    """
    path = folder / band.file
    numbers = [_finite(row[band.column], path, band.column) for row in read_csv(path, [band.column])]
    if not numbers:
        raise UserError(f"{path}: has no row; restore the file, or train again.")
    return {"max": max, "min": min, "last": lambda values: values[-1]}[band.take](numbers)


def settings_key(plan: Plan, run: str) -> str:
    """Return 16 hexadecimal digits over everything but the seed that a trained run's value depends on."""
    model, _ = plan.trained[run]
    parts = [settings(plan.study.corpus), settings(plan.study.mix), settings(model, seeds=[])]
    further = [plan.more[name] for name in plan.further(run)]
    parts += [settings(corpus) for corpus in further]
    parts += [settings(plan.peers[corpus.by]) for corpus in further if isinstance(corpus, CleanedCorpus)]
    while isinstance(model, TrainedModel) and model.initial:
        model = plan.study.models[model.initial]
        parts.append(settings(model, seeds=[]) if isinstance(model, TrainedModel) else settings(model))
    return sha256_bytes("\n".join(parts).encode())[:16]


def recorded_values(root: Path, plan: Plan, run: str, band: Band) -> dict[int, float]:
    """Return seed -> value of other seeds of a run's model: from the checkout's results and from `config/bands.csv`."""
    model, seed = plan.trained[run]
    key = settings_key(plan, run)
    found: dict[int, float] = {}
    if (root / TABLE).is_file():
        for row in read_csv(root / TABLE, COLUMNS):
            if (row["settings"], row["column"], row["take"]) == (key, band.column, band.take):
                found[_seed(row["seed"], root / TABLE)] = _finite(row["value"], root / TABLE, "value")
    for other, (sibling, number) in plan.trained.items():
        folder = root / "results" / plan.study.study / "train" / other
        if sibling is model and (folder / band.file).is_file():
            found[number] = value_of(folder, band)
    found.pop(seed, None)
    return found


def _finite(text: str, path: Path, column: str) -> float:
    number = read_number(text, path, column)
    if not math.isfinite(number):
        raise UserError(f"{path}: {column}: {text} is not a finite number; train again, or drop the row.")
    return number


def _seed(text: str, path: Path) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{path}: seed: {text!r} is not a number such as 1; mend it, or run `ndns bands`.") from None


def write_bands(root: Path, plan: Plan, band: Band) -> int:
    """Add the values of a study's trained runs to `config/bands.csv`, and return how many it has of this study.

    Raises:
        UserError: the study has not been run.
    """
    path = root / TABLE
    rows = {
        tuple(row[name] for name in COLUMNS[:-1]): row for row in (read_csv(path, COLUMNS) if path.is_file() else [])
    }
    for run, (_, seed) in plan.trained.items():
        value = value_of(root / "results" / plan.study.study / "train" / run, band)
        model = run.removesuffix(f"-seed{seed}")
        cells = (settings_key(plan, run), plan.study.study, model, str(seed), band.column, band.take, value)
        rows[cells[:-1]] = dict(zip(COLUMNS, cells, strict=True))
    write_csv(path, [rows[key] for key in sorted(rows)], list(COLUMNS))
    return sum(row["study"] == plan.study.study for row in rows.values())


def band_problem(folder: Path, values: Mapping[int, float], band: Band) -> str:
    """Return why a run's folder does not lie in the band of other seeds, or nothing."""
    if len(values) < SEEDS:
        return (
            f"a band needs {SEEDS} other seeds with these settings, {len(values)} are recorded; train more seeds, or "
            f"record them with `ndns bands`"
        )
    value, limits = value_of(folder, band), spread(list(values.values()))
    if value in limits:
        return ""
    return f"{band.take} {band.column} is {value:.4f}, outside of the band {limits}"
