"""What scores owe to the seed: mean, lowest and highest run of each model, as a Markdown table."""

from pathlib import Path

import numpy as np

from ndns.board.against import COLUMNS
from ndns.board.columns import Column, heading, number
from ndns.board.inputs import System, read_scores, system_named
from ndns.board.pareto_runs import model_and_seed
from ndns.errors import UserError
from ndns.markdown import table
from ndns.metrics.stats import mean_interval


def markdown(results: Path, base: str | None = None) -> str:
    """Return a row a model: means over clips of each seed's run, their mean and, of several, the lowest and highest.

    `n` tells the fewest clips that a run has a value for, where these are not all.

    Args:
        results: `results/<study>` with `mix/val.csv` and `score/*/scores.csv`.
        base: system whose values are subtracted clip by clip; none shows the values themselves.

    Raises:
        UserError: as `read_scores` and `system_named`, or no scored run is named `<model>-seed<number>`.
    """
    evidence = read_scores(results)
    subtracted = system_named(evidence, base, results) if base else None
    models: dict[str, list[System]] = {}
    for system in evidence.systems:
        if named := model_and_seed(system.name):
            models.setdefault(named[0], []).append(system)
    if not models:
        raise UserError(f"{results}: no run named <model>-seed<number> has scores; run the score stage.")
    heads = [f"{'less `' + base + '`, ' if base else ''}{len(evidence.clips)} clips", "seeds", *map(heading, COLUMNS)]
    rows = [
        (f"`{model}`", len(systems), *(_cell(systems, subtracted, column) for column in COLUMNS))
        for model, systems in models.items()
    ]
    return table(heads, rows) + "\n"


def _cell(systems: list[System], base: System | None, column: Column) -> str:
    values = [system.quality[column.key] - (base.quality[column.key] if base else 0) for system in systems]
    found = [mean_interval(value) for value in values]
    means, fewest = [value.mean for value in found], min(value.clips for value in found)
    if fewest == 0:
        return "–"
    signed = bool(base) or column.key.startswith("si_snri")
    mean, low, high = (
        number(figure, column.decimals, sign=signed) for figure in (np.mean(means), min(means), max(means))
    )
    text = mean if len(means) == 1 else f"{mean} ({low} .. {high})"
    return text + f", n = {fewest}" * (fewest < len(values[0]))
