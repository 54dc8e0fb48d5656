"""A run on Loihi 2: placement, time and energy under every scenario."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ndns.audio.io import read_pcm16
from ndns.config import Cost
from ndns.loihi2 import scenarios, timing
from ndns.loihi2.cores import Objective, Placement, Population, place, populations
from ndns.loihi2.denoiser import encode_clip
from ndns.loihi2.program import Program
from ndns.loihi2.scenarios import Scenario
from ndns.loihi2.traffic import Activity, Counts, exact, messages_of, sends

Messages = list[dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Chip:
    """A program with what it did: all that a placement and its timing need.

    Attributes:
        populations: of the program.
        activity: of the run.
        messages: of the clips that were run again, bool `(step, neuron)` by layer; empty to go by shares.
        depth: sets of weights that a frame passes, one a step.
    """

    populations: tuple[Population, ...]
    activity: Activity
    messages: Messages
    depth: int

    def placed(self, scenario: Scenario, chips: int, objective: Objective = "time") -> Placement:
        """Return the placement for a scenario."""
        shares, events = sends(self.populations, self.activity)
        return place(self.populations, shares, events, scenario.at("value"), scenario.barrier, objective, chips)

    def counts(self, placement: Placement) -> Iterator[Counts]:
        """Yield the operations of each core, clip by clip or block by block."""
        if not self.messages:
            yield from timing.counts_by_share(placement, self.activity)
        for messages in self.messages:
            yield exact(placement, messages)

    @property
    def clips(self) -> int:
        """Clips that `counts` covers."""
        return len(self.messages) or len(self.activity.steps)


def chip_of(program: Program, activity: Activity, noisy: Sequence[Path], settings: Cost) -> Chip:
    """Return a program with its activity; the first `exact_clips` noisy clips are run again on the engine.

    If these give other messages than the activity has (it came from another numeric mode or machine), they are not
    used, the work of cores goes by shares, and standard error says so.
    """
    placed = populations(program)
    again = noisy[: settings.exact_clips] if program.layers else []
    messages: Messages = []
    start = 0
    for path, steps in zip(again, activity.steps.tolist(), strict=False):
        _, x = encode_clip(program, read_pcm16(path) / 32768)
        sent = messages_of(program, x)
        counted = np.array([sent[layer].sum(axis=1) for layer in activity.layers])
        if not np.array_equal(counted, activity.events[:, start : start + steps]):
            print(
                f"ndns: {path}: the program sends other messages than the activity has, so each core gets its share of "
                "the work; the activity is of another numeric mode, machine or program.",
                file=sys.stderr,
            )
            return Chip(placed, activity, [], _depth(placed))
        messages.append(sent)
        start += steps
    return Chip(placed, activity, messages, _depth(placed))


def _depth(placed: tuple[Population, ...]) -> int:
    return sum(bool(population.inputs) for population in placed)


def loihi2(
    program: Program,
    activity: Activity,
    noisy: Sequence[Path],
    settings: Cost,
    step_s: float,
    latency_s: float,
) -> dict[str, object]:
    """Return the part `loihi2` of `cost.json`.

    Keys: `counts` (`exact`: the work of each core in each step is known from running clips again; `share`: each core
    gets its share of the run), `clips` covered, `cores_min` (fewest cores that hold the program), `grid` (routers and
    cores of a chip), and `scenarios` by name, see `ndns.loihi2.timing.summary`; each has its `placement`: of each core
    `population`, `neurons` (first, end), `router` (column, row) and `load`, its mean time over that of the slowest.
    """
    chip = chip_of(program, activity, noisy, settings)
    results = {}
    for name in scenarios.names():
        scenario = scenarios.load(name)
        placement = chip.placed(scenario, settings.chips)
        busy = np.zeros(len(placement.cores))
        steps = timing.run(placement, _watched(chip.counts(placement), scenario, busy), scenario)
        results[name] = timing.summary(steps, placement, scenario, chip.clips, step_s, latency_s, chip.depth)
        results[name]["placement"] = _where(placement, busy)
    fewest = chip.placed(scenarios.load(scenarios.names()[0]), settings.chips, "cores")
    return {
        "counts": "exact" if chip.messages else "share",
        "clips": chip.clips,
        "cores_min": len(fewest.cores),
        "grid": {key: getattr(fewest.chip, key) for key in ("columns", "rows", "cores", "cores_per_router")},
        "scenarios": results,
    }


def _watched(counts: Iterator[Counts], scenario: Scenario, busy: np.ndarray) -> Iterator[Counts]:
    """Hand counts on and add the seconds of each core's largest term to `busy` `(core,)`."""
    for block in counts:
        busy += timing.core_terms(block, scenario.at("value")).max(axis=0).sum(axis=1)
        yield block


def _where(placement: Placement, busy: np.ndarray) -> list[dict[str, object]]:
    load = busy / (busy.max() or 1.0)
    return [
        {
            "population": core.population,
            "neurons": [core.start, core.stop],
            "router": [core.column, core.row],
            "load": round(float(share), 4),
        }
        for core, share in zip(placement.cores, load, strict=True)
    ]
