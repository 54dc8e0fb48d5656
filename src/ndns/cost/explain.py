"""Which layer and core sets the pace, and what moving or splitting it would gain."""

from dataclasses import replace

import numpy as np

from ndns.cost.chip import Chip
from ndns.loihi2 import timing
from ndns.loihi2.cores import Placement, recut
from ndns.loihi2.scenarios import Scenario
from ndns.loihi2.traffic import Counts, sends


def explain(chip: Chip, placement: Placement, scenario: Scenario) -> dict[str, object]:
    """Return who sets the pace, at the middle of a scenario.

    Returns:
        `scenario`, `cores`, `step_s` (mean), `pace` (share of steps by term), `slowest` (the core that sets the pace
        most often: `index`, `population`, `neurons`, `share`), and one entry of `layers` a population: `name`, `cores`,
        `pace` (share of steps in which one of its cores sets the pace), `term` (which of its terms does so most),
        `busy` (its slowest core's mean time / mean step), `split_gain` (share by which the mean step shortens with one
        core more; negative is slower), `merge_gain` (with one core less; none if it has one or the limits forbid it),
        `limit_gain` (if its cores took no time at all: no placement of this layer can gain more).
    """
    counts = list(chip.counts(placement))
    steps = _steps(placement, counts, scenario)
    mean = float(steps.seconds.mean())
    names = np.array([core.population for core in placement.cores])
    setter = np.where(steps.core >= 0, names[steps.core], "")
    busy = busy_seconds(counts, scenario)
    layers = []
    for population in placement.populations:
        own = setter == population.name
        terms = np.bincount(steps.term[own], minlength=len(timing.TERMS))
        mine = names == population.name
        layers.append(
            {
                "name": population.name,
                "cores": int(mine.sum()),
                "pace": float(own.mean()),
                "term": timing.TERMS[int(terms.argmax())] if own.any() else None,
                "busy": float(busy[mine].max() / mean),
                "split_gain": _gain(chip, placement, scenario, population.name, 1, mean),
                "merge_gain": _gain(chip, placement, scenario, population.name, -1, mean),
                "limit_gain": 1 - float(_steps(placement, _without(counts, mine), scenario).seconds.mean()) / mean,
            }
        )
    pace = np.bincount(steps.term, minlength=len(timing.TERMS)) / len(steps.term)
    return {
        "scenario": scenario.name,
        "cores": len(placement.cores),
        "step_s": mean,
        "pace": {name: float(part) for name, part in zip(timing.TERMS, pace, strict=True) if part > 0},
        "slowest": _slowest(steps, placement),
        "layers": layers,
    }


def _steps(placement: Placement, counts: list[Counts], scenario: Scenario) -> timing.Steps:
    return timing.run(placement, counts, scenario)["value"]


def busy_seconds(counts: list[Counts], scenario: Scenario) -> np.ndarray:
    """Return the mean seconds of each core's largest term, `(core,)`."""
    costs = scenario.at("value")
    terms = [timing.core_terms(block, costs).max(axis=0) for block in counts]
    return np.concatenate(terms, axis=1).mean(axis=1)


def _slowest(steps: timing.Steps, placement: Placement) -> dict[str, object] | None:
    """Return the core that sets the pace most often; none if links or the barrier always do."""
    inside = steps.core[steps.core >= 0]
    if not len(inside):
        return None
    index = int(np.bincount(inside).argmax())
    core = placement.cores[index]
    return {
        "index": index,
        "population": core.population,
        "neurons": [core.start, core.stop],
        "share": float((steps.core == index).mean()),
    }


def _without(counts: list[Counts], mine: np.ndarray) -> list[Counts]:
    """Return the counts with some cores doing nothing."""
    keep = ~mine[:, None]
    return [
        replace(
            block,
            updates=block.updates * ~mine,
            **{key: getattr(block, key) * keep for key in ("synops", "reads", "taken", "spikes", "sent")},
        )
        for block in counts
    ]


def _gain(chip: Chip, placement: Placement, scenario: Scenario, name: str, more: int, mean: float) -> float | None:
    """Return by what share the mean step shortens when a population gets `more` cores; none if that cannot be."""
    shares, events = sends(chip.populations, chip.activity)
    count = len(placement.cores_of(name)) + more
    other = recut(placement, name, count, shares, events, scenario.at("value"))
    if other is None:
        return None
    return 1 - float(_steps(other, list(chip.counts(other)), scenario).seconds.mean()) / mean
