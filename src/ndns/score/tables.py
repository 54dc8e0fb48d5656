"""Score tables for the terminal."""

from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ndns.errors import UserError
from ndns.metrics.stats import Mean, Paired, by_condition, mean_interval, paired
from ndns.score.scores import CONDITIONS, LABELS, Scores, metrics_of


def means_table(rows: Scores, title: str) -> Table:
    """Return one row a metric: mean, 95 % interval, number of clips for which it is defined."""
    table = _table(title, "metric", "mean", "95 % interval", "clips")
    for metric in metrics_of(rows):
        mean = mean_interval([row[metric] for row in rows])
        table.add_row(LABELS[metric], _number(mean.mean), _interval(mean), str(mean.clips))
    return table


def delay_note(rows: Scores) -> str | None:
    """Return a sentence if most clips are late or early and aligning them changes SI-SNR by more than 0.5 dB."""
    gains = [(row["delay_samples"], row["si_snr_aligned"] - row["si_snr"]) for row in rows if row["si_snr"] is not None]
    lags = [lag for lag, gain in gains if lag and gain > 0.5]
    if len(lags) * 2 <= len(gains):
        return None
    lag = round(float(np.median(lags)))
    return (
        f"{len(lags)} of {len(gains)} clips are {'late' if lag > 0 else 'early'} by {abs(lag)} samples (median, "
        f"{abs(lag) / 16:.1f} ms); SI-SNR counts that as noise, `si_snr_aligned` does not."
    )


def conditions_table(rows: Scores, metric: str) -> Table:
    """Return the mean of a metric in each band of SNR and level and for each noise.

    Raises:
        UserError: no such metric in the table.
    """
    if metric not in metrics_of(rows):
        raise UserError(f"--metric {metric}: no such score in the table; it has {', '.join(metrics_of(rows))}.")
    table = _table(LABELS[metric], "condition", "value", "mean", "95 % interval", "clips")
    for condition, groups in by_condition(rows, metric).items():
        for name, mean in groups.items():
            table.add_row(condition, name, _number(mean.mean), _interval(mean), str(mean.clips))
        table.add_section()
    return table


def compare(first: Scores, second: Scores, names: tuple[Path, Path]) -> dict[str, Paired]:
    """Return the paired comparison of each metric that both tables have.

    Raises:
        UserError: the tables are of different clips or conditions.
    """
    by_clip = [{row["clip"]: row for row in rows} for rows in (first, second)]
    for here, there, name, other in ((*by_clip, *names), (*by_clip[::-1], *names[::-1])):
        for missing in sorted(set(here) - set(there)):
            raise UserError(f"{other}: the clip {missing!r} of {name} is missing; score both on the same clips.")
    for clip, row in by_clip[0].items():
        changed = [key for key in CONDITIONS if row[key] != by_clip[1][clip][key]]
        if changed:
            raise UserError(
                f"{names[1]}: {changed[0]} of clip {clip!r} is not that of {names[0]}; these are different mixtures."
            )
    shared = [metric for metric in metrics_of(first) if metric in metrics_of(second)]
    pairs = [(row, by_clip[1][clip]) for clip, row in by_clip[0].items()]
    return {metric: paired([a[metric] for a, _ in pairs], [b[metric] for _, b in pairs]) for metric in shared}


def comparison_table(results: dict[str, Paired], names: tuple[Path, Path]) -> Table:
    """Return one row a metric: both means, difference with interval, p-value."""
    table = _table("second minus first", "metric", "first", "second", "difference", "95 % interval", "p", "clips")
    for metric, result in results.items():
        table.add_row(
            LABELS[metric],
            _number(result.first.mean),
            _number(result.second.mean),
            _number(result.difference.mean, "+"),
            _interval(result.difference),
            "" if result.p_value is None else f"{result.p_value:.4f}",
            str(result.difference.clips),
        )
    table.caption = f"first: {names[0]}\nsecond: {names[1]}\np: sign-flip test, two-sided, a metric at a time"
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 or column == "value" else "right")
    return table


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.3f}"


def _interval(mean: Mean) -> str:
    return "" if mean.low is None else f"{mean.low:.3f} to {mean.high:.3f}"
