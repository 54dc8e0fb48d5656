"""What clip scores say about a system: means with confidence intervals, paired comparison, breakdown by condition.

Resampling is over clips, seeded, and therefore the same on every machine. Intervals are percentile bootstrap; with
fewer than about ten clips they are too narrow.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

RESAMPLES = 2000
FLIPS = 10_000
EXACT_UP_TO = 13
CHUNK = 1_000_000

Row = TypeVar("Row")


@dataclass(frozen=True)
class Mean:
    """Mean of `clips` values with its confidence interval `low` to `high`; all None where there is no value.

    The interval of a single value is None.
    """

    clips: int
    mean: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Paired:
    """Second system minus first over the same clips: interval of the difference and two-sided p-value."""

    first: Mean
    second: Mean
    difference: Mean
    p_value: float | None


def mean_interval(
    values: Iterable[float | None], confidence: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> Mean:
    """Return the mean with its percentile bootstrap interval; None and NaN (undefined scores) are left out.

    >>> mean_interval([1.0, 1.0, None])
    Mean(clips=2, mean=1.0, low=1.0, high=1.0)
    """
    known = _known(values)
    if len(known) == 0:
        return Mean(0, None)
    if len(known) == 1:
        return Mean(1, float(known[0]))
    generator = np.random.default_rng(seed)
    draws = (generator.integers(0, len(known), (rows, len(known))) for rows in _chunks(resamples, len(known)))
    means = np.concatenate([known[draw].mean(axis=1) for draw in draws])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Mean(len(known), float(known.mean()), float(low), float(high))


def paired(
    first: Sequence[float | None], second: Sequence[float | None], confidence: float = 0.95, seed: int = 0
) -> Paired:
    """Compare two systems on the same clips; pairs in which either score is undefined are left out.

    The p-value is that of the sign-flip permutation test of the mean difference: how often differences at least as
    large come up when each clip's difference gets a random sign. All sign patterns up to 13 clips, 10 000 random ones
    beyond (so no p-value below 1e-4).

    Raises:
        ValueError: the numbers of clips differ.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} clips cannot be paired")
    pairs = np.array([_number(a, b) for a, b in zip(first, second, strict=True)], dtype=np.float64).reshape(-1, 2)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    difference = pairs[:, 1] - pairs[:, 0]
    means = [mean_interval(values, confidence, seed) for values in (pairs[:, 0], pairs[:, 1], difference)]
    return Paired(*means, sign_flip_p(difference, seed))


def sign_flip_p(differences: np.ndarray, seed: int = 0) -> float | None:
    """Return the two-sided p-value of the sign-flip test of mean zero for `(clips,)`, None without a clip."""
    count = len(differences)
    if count == 0:
        return None
    observed = abs(differences.sum()) * (1 - 1e-12)
    if count <= EXACT_UP_TO:
        patterns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ differences) >= observed))
    generator = np.random.default_rng(seed)
    extreme = 0
    for rows in _chunks(FLIPS, count):
        signs = 2 * generator.integers(0, 2, (rows, count), dtype=np.int8) - 1
        extreme += int(np.count_nonzero(np.abs(signs @ differences) >= observed))
    return (extreme + 1) / (FLIPS + 1)


def breakdown(
    rows: Iterable[Row], group: Callable[[Row], str], value: Callable[[Row], float | None], seed: int = 0
) -> dict[str, Mean]:
    """Return the mean of `value` in each `group` of the rows, groups in the order of their first row.

    >>> breakdown([("a", 1.0), ("b", 2.0), ("a", 3.0)], lambda r: r[0], lambda r: r[1])["a"].mean
    2.0
    """
    groups: dict[str, list[float | None]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(value(row))
    return {name: mean_interval(values, seed=seed) for name, values in groups.items()}


def band(value: float, width: float = 5.0) -> str:
    """Name the band of `width` that holds `value`; its lower bound belongs to it.

    >>> band(-5.0), band(-0.0), band(20)
    ('-5 to 0', '0 to 5', '20 to 25')
    """
    low = float(np.floor(value / width) * width) + 0.0  # not "-0"
    return f"{low:g} to {low + width:g}"


def by_condition(rows: Sequence[Mapping[str, object]], metric: str) -> dict[str, dict[str, Mean]]:
    """Return the breakdown of a metric by `snr_db` band, `level_dbfs` band and `noise_label`, each in order.

    Args:
        rows: score rows with numbers (or None) in `snr_db`, `level_dbfs` and the metric.
        metric: column to average.
    """
    conditions: dict[str, dict[str, Mean]] = {}
    for column in ("snr_db", "level_dbfs"):
        known = sorted((row for row in rows if row[column] is not None), key=lambda row: row[column])
        conditions[column] = breakdown(known, lambda row, c=column: band(row[c]), lambda row: row[metric])
    labelled = sorted((row for row in rows if row["noise_label"]), key=lambda row: row["noise_label"])
    conditions["noise_label"] = breakdown(labelled, lambda row: str(row["noise_label"]), lambda row: row[metric])
    return conditions


def _known(values: Iterable[float | None]) -> np.ndarray:
    known = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return known[np.isfinite(known)]


def _number(*values: float | None) -> list[float]:
    return [np.nan if value is None else value for value in values]


def _chunks(rows: int, columns: int) -> Iterator[int]:
    """Split `rows` so that a block of `rows x columns` stays small."""
    step = max(1, CHUNK // columns)
    for start in range(0, rows, step):
        yield min(step, rows - start)
