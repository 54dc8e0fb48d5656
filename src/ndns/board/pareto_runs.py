"""What the Pareto board reads: integer quality, float parents and costs of a study's trained networks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ndns.board.inputs import CONDITIONS, check_conditions
from ndns.errors import UserError
from ndns.files import read_csv, read_json, read_number

FIGURES = {
    "effective_macs": "synops_per_step_events",
    "elementwise_ops": "elementwise_ops_per_step",
    "neuron_ops": "neuron_ops_per_step",
    "synops": "synops_per_step",
    "deployed_bytes": "deployed_bytes",
    "parameters_nonzero": "parameters_nonzero",
}
"""Column -> key of cost.json: all a frame, or of the program."""
SPREADS = ("low", "value", "high")


@dataclass(frozen=True)
class Chip:
    """One scenario's figures of a run, each as (low, value, high).

    Attributes:
        cores: that the program takes.
        latency_us: of a frame from input to output.
        energy_uj: of a frame where the next one follows at once, static power included.
    """

    cores: float
    latency_us: tuple[float, ...]
    energy_uj: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """One trained and deployed network: mean SI-SNR over the clips in dB, and costs.

    Attributes:
        model: name in the configuration, `<family>_k<width without its point, 0125 for 0.125>`, `_ptq` at its end
            if it was trained without rounding.
        seed: of the training.
        integer: SI-SNR of the program.
        unrounded: of the float network on the same frames.
        rounded: of the float network, rounded as in training.
        figures: the columns of `FIGURES`.
        chips: by scenario.
    """

    model: str
    seed: int
    integer: float
    unrounded: float
    rounded: float
    figures: Mapping[str, float]
    chips: Mapping[str, Chip]


def read_runs(results: Path, names: Sequence[str] = ()) -> list[Run]:
    """Read the named runs of `results/<study>`, or without names all that have a table of their float parent.

    Raises:
        UserError: there is none, or a file is missing, of other clips, or lacks a number.
    """
    named = [results / "quantize" / name / "parent.csv" for name in names]
    parents = named or sorted(results.glob("quantize/*/parent.csv"))
    if not parents:
        raise UserError(f"{results}: holds no quantize/<run>/parent.csv; run `snakemake pareto` for this study.")
    mix = results / "mix" / "val.csv"
    labels = {row["clip"]: tuple(row[key] for key in CONDITIONS) for row in read_csv(mix, ("clip", *CONDITIONS))}
    for path in (results / "score" / parent.parent.name / "scores.csv" for parent in parents):
        for row in read_csv(path, ("clip", *CONDITIONS)):
            check_conditions(path, row, labels.get(row["clip"], ()), mix)
    runs = [_run(results, path) for path in parents]
    for run in runs:
        if run.chips.keys() != runs[0].chips.keys():
            raise UserError(f"{results}/cost: the costs are not all of the same scenarios; run the cost stage again.")
    return runs


def model_and_seed(run: str) -> tuple[str, int] | None:
    """Split a trained run's name, none if it is not `<model>-seed<number>`.

    >>> model_and_seed("dense_k050-seed2")
    ('dense_k050', 2)
    """
    found = re.fullmatch(r"(.+)-seed(\d+)", run)
    return (found[1], int(found[2])) if found else None


def _run(results: Path, parent: Path) -> Run:
    name = parent.parent.name
    named = model_and_seed(name)
    if named is None:
        raise UserError(f"{parent}: the run {name!r} is not named <model>-seed<number>.")
    scores = results / "score" / name / "scores.csv"
    integer = _values(scores, "si_snr")
    unrounded, rounded = (_values(parent, f"si_snr_{kind}") for kind in ("float", "rounded"))
    for values, path in ((unrounded, parent), (rounded, parent)):
        if values.keys() != integer.keys():
            raise UserError(f"{path}: its clips are not those of {scores}; run `ndns quantize --parent` again.")
    means = [float(np.mean(list(values.values()))) for values in (integer, unrounded, rounded)]
    path = results / "cost" / name / "cost.json"
    cost = read_json(path)
    figures = {column: _number(cost, key, path) for column, key in FIGURES.items()}
    scenarios = _part(cost, "loihi2.scenarios", path)
    chips = {scenario: _chip(cost, f"loihi2.scenarios.{scenario}", path) for scenario in scenarios}
    return Run(*named, *means, figures, chips)


def _values(path: Path, column: str) -> dict[str, float]:
    """Return clip -> value of those clips that have one."""
    rows = read_csv(path, ("clip", column))
    values = {row["clip"]: read_number(row[column], path, column) for row in rows if row[column]}
    if not values:
        raise UserError(f"{path}: {column} has no value; run the stage that wrote it again.")
    return values


def _chip(cost: dict, key: str, path: Path) -> Chip:
    def spread(part: str, factor: float) -> tuple[float, ...]:
        return tuple(factor * _number(cost, f"{key}.{end}.{part}", path) for end in SPREADS)

    cores = _number(cost, f"{key}.cores", path)
    return Chip(cores, spread("frame_latency_s", 1e6), spread("free_running.step_j", 1e6))


def _part(cost: dict, key: str, path: Path) -> object:
    value: object = cost
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise UserError(f"{path}: {key!r} is missing; run the cost stage again.")
        value = value[part]
    return value


def _number(cost: dict, key: str, path: Path) -> float:
    value = _part(cost, key, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{path}: {key!r} is not a number; run the cost stage again.")
    return float(value)
