"""Places a program on the cores of Loihi 2 chips so that the slowest core is as quick as possible.

Every population is cut into runs of consecutive neurons, one run a core; the synapses into these neurons come with
them. For a time T, filling each core until its work takes T or a limit is reached gives the fewest cores that keep T.
`place` searches over T (bisection down to the smallest T that the cores allow, then a sweep up) and takes the
placement whose step, with barrier and links, is shortest in the mean; among equals the one with fewest cores.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.cores_layout import Population, Projection, populations
from ndns.loihi2.cores_picture import picture
from ndns.loihi2.cores_placement import Core, Placement, finish, target_cores
from ndns.loihi2.cores_split import Splitter
from ndns.loihi2.scenarios import Barrier, Limits, limits
from ndns.loihi2.timing import mean_step

__all__ = ["Core", "Objective", "Placement", "Population", "Projection", "picture", "place", "populations"]

Objective = Literal["time", "cores"]
Splits = dict[str, np.ndarray]


def place(
    populations: tuple[Population, ...],
    shares: Mapping[str, np.ndarray],
    events: Mapping[str, float],
    costs: Mapping[str, float],
    barrier: Barrier,
    objective: Objective = "time",
    chips: int = 8,
    chip: Limits | None = None,
) -> Placement:
    """Place populations on cores.

    Args:
        populations: from `populations`; targets may also come before their sources (recurrence).
        shares: what part of a population's messages each neuron sends, `(neuron,)`, sums to 1.
        events: messages that a population sends in a mean step.
        costs: seconds of a scenario, by name (`Scenario.at`).
        barrier: of the same scenario.
        objective: `time` as above; `cores` takes as few cores as the limits allow.
        chips: how many chips there are.
        chip: limits; none means Loihi 2's.

    Raises:
        UserError: a neuron or the whole program breaks a limit; the sentence names it.
    """
    chip = chip or limits()
    room = chip.cores * chips
    rates = {p.name: shares[p.name] * events[p.name] for p in populations}
    splitters = {p.name: Splitter(p, rates, costs, chip) for p in populations}
    fewest = _split_all(populations, splitters, np.inf)
    if fewest is None or (needed := _count(fewest)) > room:
        least = "more" if fewest is None else f"at least {needed}"
        raise UserError(f"cores: the program needs {least}; {chips} chip(s) of {chip.cores} usable cores have {room}.")
    candidates = {needed: finish(populations, fewest, chip)}
    if objective == "time":
        floor_s = 0.0 if barrier.rule == "add" else barrier.at(1)
        for splits in _faster(populations, splitters, fewest, room, floor_s):
            if _count(splits) not in candidates:
                candidates[_count(splits)] = finish(populations, splits, chip)
    if len(candidates) == 1:
        return candidates[needed]
    seconds = {count: mean_step(one, shares, events, costs, barrier) for count, one in candidates.items()}
    return candidates[min(candidates, key=lambda count: (seconds[count], count))]


def _count(splits: Splits) -> int:
    return sum(len(starts) for starts in splits.values())


def _split_all(populations: tuple[Population, ...], splitters: Mapping[str, Splitter], limit_s: float) -> Splits | None:
    """Return the fewest cores of each population whose work takes at most `limit_s`; none if that cannot be.

    Targets are cut first, since output axons count the cores that a neuron sends to; where populations send in a
    circle this repeats until nothing changes.

    Raises:
        UserError: a single neuron breaks a limit.
    """
    splits: Splits = {}
    for _ in range(20):
        before = dict(splits)
        for population in reversed(populations):
            split = splitters[population.name].split(limit_s, target_cores(populations, splits, population))
            if split is None:
                return None
            splits[population.name] = split
        if all(name in before and np.array_equal(before[name], starts) for name, starts in splits.items()):
            return splits
    return None


def _faster(
    populations: tuple[Population, ...], splitters: Mapping[str, Splitter], fewest: Splits, room: int, floor_s: float
) -> Iterator[Splits]:
    """Yield placements from as fast as the cores allow (but no faster than `floor_s`) up to that of fewest cores."""
    slowest = max(splitters[p.name].slowest(fewest[p.name], target_cores(populations, fewest, p)) for p in populations)
    if slowest <= floor_s:
        return
    low, high = max(floor_s, slowest / 2 / room), slowest
    splits = _split_all(populations, splitters, low)
    if splits is not None and _count(splits) <= room:
        yield splits
        high = low
    while high > low * 1.02:
        middle = float(np.sqrt(low * high))
        splits = _split_all(populations, splitters, middle)
        if splits is None or _count(splits) > room:
            low = middle
        else:
            yield splits
            high = middle
    for limit_s in np.geomspace(high, slowest, 10)[1:-1]:
        splits = _split_all(populations, splitters, float(limit_s))
        if splits is not None and _count(splits) <= room:
            yield splits


def recut(
    placement: Placement,
    name: str,
    count: int,
    shares: Mapping[str, np.ndarray],
    events: Mapping[str, float],
    costs: Mapping[str, float],
) -> Placement | None:
    """Return the placement with one population on `count` cores, as even as these allow; none if that cannot be.

    Arguments as in `place`.
    """
    populations, chip = placement.populations, placement.chip
    population = next(p for p in populations if p.name == name)
    if not 1 <= count <= population.neurons:
        return None
    rates = {p.name: shares[p.name] * events[p.name] for p in populations}
    splitter = Splitter(population, rates, costs, chip)
    reached = target_cores(populations, placement.splits, population)
    starts = splitter.split(np.inf, reached)
    if starts is None or len(starts) > count:
        return None
    low, high = 0.0, splitter.slowest(starts, reached)
    best = starts
    for _ in range(40):
        middle = (low + high) / 2
        starts = splitter.split(middle, reached)
        if starts is None or len(starts) > count:
            low = middle
        else:
            best, high = starts, middle
    if len(best) < count:
        return None
    return finish(populations, {**placement.splits, name: best}, chip)
