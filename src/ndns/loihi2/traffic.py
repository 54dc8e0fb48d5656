"""What a network did, and what that means for each core and link of a placement."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.cores_layout import Population, Projection
from ndns.loihi2.cores_placement import Placement, arrives, target_cores
from ndns.loihi2.nodes.base import LAVA, Mode, observe
from ndns.loihi2.program import Program

NEURONS = "events_per_neuron_"
"""Prefix of the optional arrays `(neuron,)` in `activity.npz`: messages that each neuron of a layer sent in the run."""
NAMES = ("layers", "clips")
AXES = {"layers": 1, "clips": 1, "steps": 1, "events": 2, "synops": 2, "events_per_step": 2, "synops_per_step": 2}
"""How many axes each array of `activity.npz` has; all but `NAMES` are counts."""


@dataclass(frozen=True, eq=False)
class Activity:
    """Messages of all layers that send, step by step, clips one after the other.

    Attributes:
        layers: names, in order.
        steps: of each clip, int64 `(clip,)`.
        events: messages sent, `(layer, step)`.
        synops: non-zero weights met by these messages, `(layer, step)`.
        neurons: messages that each neuron sent, `(neuron,)` by layer; a layer that is not here sends uniformly.
        clips: names, in order; empty where nothing was heard.
    """

    layers: tuple[str, ...]
    steps: np.ndarray
    events: np.ndarray
    synops: np.ndarray
    neurons: Mapping[str, np.ndarray] = field(default_factory=dict)
    clips: tuple[str, ...] = ()

    def per_clip(self, values: np.ndarray) -> np.ndarray:
        """Return sums over the steps of each clip, `(..., clip)`, of `(..., step)`."""
        starts = np.concatenate([[0], np.cumsum(self.steps)[:-1]])
        return np.add.reduceat(values, starts, axis=-1)

    def share(self, layer: str, neurons: int) -> np.ndarray:
        """Return what part of a layer's messages each neuron sends, `(neuron,)`, sums to 1."""
        counted = self.neurons.get(layer)
        if counted is None or counted.sum() == 0:
            return np.full(neurons, 1 / neurons)
        return counted / counted.sum()

    def mean(self, layer: str) -> float:
        """Return the messages of a layer in a mean step."""
        return float(self.events[self.layers.index(layer)].mean())


def worst_case(program: Program) -> Activity:
    """Return one step in which every neuron of every layer sends."""
    layers = program.layers
    events = np.array([[layer.neurons] for layer in layers], np.int64).reshape(-1, 1)
    synops = np.array([[layer.synapse.fan_out.sum()] for layer in layers], np.int64).reshape(-1, 1)
    return Activity(tuple(layer.name for layer in layers), np.array([1]), events, synops)


def sends(populations: tuple[Population, ...], activity: Activity) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return each population's shares `(neuron,)` and messages in a mean step, as `cores.place` takes them.

    Populations whose messages nobody counted (inside of a block) send from every neuron in every step; those that send
    to no other population send nothing.
    """
    heard = {projection.source for population in populations for projection in population.inputs}
    shares = {p.name: activity.share(p.name, p.neurons) for p in populations}
    events = {
        p.name: activity.mean(p.name) if p.name in activity.layers else float(p.neurons * (p.name in heard))
        for p in populations
    }
    return shares, events


def read_activity(path: str | Path, layers: Mapping[str, int] | None = None) -> Activity:
    """Read `activity.npz`.

    Args:
        path: file written by `ndns deploy`.
        layers: neurons of the program's sending layers by name, in order; checked if given.

    Raises:
        UserError: no such file or a damaged one, an array is missing or of another kind, or arrays contradict one
            another or the program.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `ndns deploy` first.") from None
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: not an activity file ({' '.join(str(error).split())}).") from None
    for key, axes in (AXES | {key: 1 for key in arrays if key.startswith(NEURONS)}).items():
        if key not in arrays:
            raise UserError(f"{path}: the array {key!r} is missing; run `ndns deploy` again.")
        found, kinds = arrays[key], "U" if key in NAMES else "iu"
        if found.ndim != axes or found.dtype.kind not in kinds or (kinds == "iu" and found.min(initial=0) < 0):
            wanted = "texts" if kinds == "U" else "integers of at least 0"
            raise UserError(
                f"{path}: {key} must be {axes}-dimensional {wanted}, got {found.dtype} {found.shape}; "
                "run `ndns deploy` again."
            )
    names = tuple(str(name) for name in arrays["layers"])
    neurons = {name: arrays[NEURONS + name] for name in names if NEURONS + name in arrays}
    clips = tuple(str(name) for name in arrays["clips"])
    activity = Activity(names, arrays["steps"], arrays["events_per_step"], arrays["synops_per_step"], neurons, clips)
    _check(path, activity, arrays, layers)
    return activity


def _check(path: str | Path, activity: Activity, arrays: Mapping[str, np.ndarray], layers: Mapping[str, int] | None):
    if layers is not None and activity.layers != tuple(layers):
        raise UserError(f"{path}: holds the layers {list(activity.layers)}, but the program has {list(layers)}.")
    if len(activity.clips) != len(activity.steps):
        raise UserError(f"{path}: names {len(activity.clips)} clips and has steps of {len(activity.steps)}.")
    shape = (len(activity.layers), int(activity.steps.sum()))
    if not activity.layers:
        raise UserError(f"{path}: no layer's messages were counted, so there is nothing to cost.")
    if 0 in shape or activity.steps.min() <= 0:
        raise UserError(f"{path}: holds no steps; run `ndns deploy` again.")
    for key, values in (("events", activity.events), ("synops", activity.synops)):
        if values.shape != shape:
            raise UserError(f"{path}: {key}_per_step has the shape {values.shape}; steps and layers say {shape}.")
        if not np.array_equal(activity.per_clip(values.astype(np.int64)).T, arrays[key]):
            raise UserError(f"{path}: {key} and {key}_per_step contradict one another; run `ndns deploy` again.")
    for index, name in enumerate(activity.layers):
        size = layers[name] if layers else None
        if size is not None and activity.events[index].max() > size:
            raise UserError(f"{path}: the layer {name!r} sends more messages a step than its {size} neurons can.")
        counted = activity.neurons.get(name)
        if counted is not None and (
            counted.sum() != activity.events[index].sum() or (size is not None and counted.shape != (size,))
        ):
            raise UserError(f"{path}: {NEURONS}{name} and events_per_step contradict one another.")


@dataclass(frozen=True, eq=False)
class Counts:
    """Operations of each core and messages of each link, step by step.

    Attributes:
        updates: neurons updated, `(core,)`, the same in each step.
        synops, reads, taken, spikes, sent: `(core, step)`: synaptic operations, words read, messages taken in,
            messages made, messages sent (one for each core that a neuron sends to).
        links: messages on each link between routers, `(link, step)`.
        hops_x, hops_y: hops of all messages, `(step,)`.
        longest: hops of the longest route, `(x, y)`.
    """

    updates: np.ndarray
    synops: np.ndarray
    reads: np.ndarray
    taken: np.ndarray
    spikes: np.ndarray
    sent: np.ndarray
    links: np.ndarray
    hops_x: np.ndarray
    hops_y: np.ndarray
    longest: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Load:
    """What one message (for `synops`: one synaptic operation) of a layer means for each core and link.

    All matrices are `(core or link or 1, layer)`; see `Counts` for their names.
    """

    layers: tuple[str, ...]
    updates: np.ndarray
    synops: np.ndarray
    reads: np.ndarray
    taken: np.ndarray
    spikes: np.ndarray
    sent: np.ndarray
    links: np.ndarray
    hops: np.ndarray
    longest: tuple[int, int]

    def counts(self, events: np.ndarray, synops: np.ndarray) -> Counts:
        """Return counts for messages and synaptic operations `(layer, step)`."""
        hops = self.hops @ events
        per_event = (self.reads @ events, self.taken @ events, self.spikes @ events, self.sent @ events)
        return Counts(self.updates, self.synops @ synops, *per_event, self.links @ events, *hops, self.longest)


def load(placement: Placement, shares: Mapping[str, np.ndarray]) -> Load:
    """Return the load of a placement when neurons send as `shares` says.

    Totals over cores are exact for any shares. What a single core gets in a single step is exact in the mean over the
    run if the shares are the run's; within a step it assumes that a layer's messages come from its neurons by these
    shares (docs/cost.md gives the error).
    """
    names = [population.name for population in placement.populations]
    cores = len(placement.cores)
    synops, reads, taken, spikes, sent = np.zeros((5, cores, len(names)))
    for index, population in enumerate(placement.populations):
        rows, bounds = _rows(placement, population.name)
        share = shares[population.name]
        spikes[rows, index] = np.add.reduceat(share, bounds[:-1])
        reached = target_cores(placement.populations, placement.splits, population)
        sent[rows, index] = np.add.reduceat(share * reached, bounds[:-1])
        for projection in population.inputs:
            source, weights = names.index(projection.source), shares[projection.source]
            words = _words(placement, projection, bounds)
            synops[rows, source] += np.diff(projection.below[bounds], axis=0) @ weights
            reads[rows, source] += words @ weights
            taken[rows, source] += (words > 0) @ weights
    totals = synops.sum(axis=0)
    synops /= np.where(totals > 0, totals, 1)
    updates = np.array([core.neurons for core in placement.cores])
    return Load(tuple(names), updates, synops, reads, taken, spikes, sent, *_links(placement, shares))


def exact(placement: Placement, messages: Mapping[str, np.ndarray]) -> Counts:
    """Return counts for known messages, bool `(step, neuron)` by population: no assumption about who sends.

    Links alone still go by how much each neuron sent over all steps given. A population that is not in `messages` but
    sends to others sends from every neuron in every step.
    """
    steps = len(next(iter(messages.values())))
    heard = {projection.source for population in placement.populations for projection in population.inputs}
    fired = {name: sent.astype(np.float32) for name, sent in messages.items()}
    for population in placement.populations:
        if population.name in heard and population.name not in fired:
            fired[population.name] = np.ones((steps, population.neurons), np.float32)
    synops, reads, taken, spikes, sent = np.zeros((5, len(placement.cores), steps))
    shares = {p.name: np.full(p.neurons, 1 / p.neurons) for p in placement.populations}
    events = np.zeros((len(placement.populations), steps))
    for index, population in enumerate(placement.populations):
        cores, bounds = _rows(placement, population.name)
        if population.name in fired:
            own = fired[population.name]
            events[index] = own.sum(axis=1)
            shares[population.name] = own.sum(axis=0) / max(own.sum(), 1)
            spikes[cores] = np.add.reduceat(own, bounds[:-1], axis=1).T
            reached = target_cores(placement.populations, placement.splits, population)
            sent[cores] = np.add.reduceat(own * reached.astype(np.float32), bounds[:-1], axis=1).T
        for projection in population.inputs:
            source = fired[projection.source]
            words = _words(placement, projection, bounds)
            synops[cores] += (source @ np.diff(projection.below[bounds], axis=0).T.astype(np.float32)).T
            reads[cores] += (source @ words.T).T
            taken[cores] += (source @ (words > 0).T.astype(np.float32)).T
    links, hops, longest = _links(placement, shares)
    updates = np.array([core.neurons for core in placement.cores])
    return Counts(updates, synops, reads, taken, spikes, sent, links @ events, *(hops @ events), longest)


def messages_of(program: Program, x: np.ndarray, mode: Mode = LAVA) -> dict[str, np.ndarray]:
    """Run integers `(bin, step)` and return which neurons sent a message, bool `(step, neuron)` by layer."""
    values = np.ascontiguousarray(x.T[None], np.int32)
    seen = {(-1, ""): values}
    for index, node in enumerate(program.nodes):
        values, inner = observe(node, node.init(1), values, mode)
        seen |= {(index, name): sent for name, sent in inner.items()} | {(index, ""): values}
    return {layer.name: seen[layer.node, layer.inner][0] != 0 for layer in program.layers}


def _words(placement: Placement, projection: Projection, bounds: np.ndarray) -> np.ndarray:
    """Return the words of each source on each of a population's cores, float32 `(core, source)`."""
    pairs = pairwise(bounds.tolist())
    return np.array([projection.words(start, stop, placement.chip)[0] for start, stop in pairs], np.float32)


def _rows(placement: Placement, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of a population's cores, and the bounds of their neurons (one more)."""
    cores = placement.cores_of(name)
    return np.array(cores), np.append(placement.splits[name], placement.cores[cores[-1]].stop)


def _links(placement: Placement, shares: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Return messages on each link, `(link, layer)`, and hops, `(2, layer)`, for one message of a layer; longest route.

    Messages go along the row first, then along the column (XY routing). Links are those between neighbouring routers,
    one a direction: east, west, south, north.
    """
    columns, rows = placement.chips * placement.chip.columns, placement.chip.rows
    x = np.array([core.column for core in placement.cores])
    y = np.array([core.row for core in placement.cores])
    names = [population.name for population in placement.populations]
    links = np.zeros((4 * columns * rows, len(names)))
    hops = np.zeros((2, len(names)))
    longest = [0, 0]
    for population in placement.populations:
        targets, _ = _rows(placement, population.name)
        for projection in population.inputs:
            index = names.index(projection.source)
            sources, bounds = _rows(placement, projection.source)
            reaches = arrives(projection, placement.splits[population.name]) * shares[projection.source]
            flow = np.add.reduceat(reaches, bounds[:-1], axis=1)
            to, origin = np.nonzero(flow)
            route = (x[sources[origin]], y[sources[origin]], x[targets[to]], y[targets[to]])
            flow = flow[to, origin]
            links[:, index] += _route(*route, flow, columns, rows)
            for axis, distance in enumerate((abs(route[2] - route[0]), abs(route[3] - route[1]))):
                hops[axis, index] += flow @ distance
                longest[axis] = max(longest[axis], int(distance.max(initial=0)))
    return links, hops, (longest[0], longest[1])


def _route(x0, y0, x1, y1, flow, columns: int, rows: int) -> np.ndarray:
    """Add flows from (x0, y0) to (x1, y1) up on the links of their XY routes, `(4 * columns * rows,)`."""
    east, west, south, north = np.zeros((4, rows + 1, columns + 1))
    ends = ((east, x0 < x1, y0, x0, x1), (west, x0 > x1, y0, x1, x0))
    for table, used, row, start, stop in ends:
        np.add.at(table, (row[used], start[used]), flow[used])
        np.add.at(table, (row[used], stop[used]), -flow[used])
    for table, used, start, stop in ((south, y0 < y1, y0, y1), (north, y0 > y1, y1, y0)):
        np.add.at(table, (start[used], x1[used]), flow[used])
        np.add.at(table, (stop[used], x1[used]), -flow[used])
    horizontal = [np.cumsum(table, axis=1) for table in (east, west)]
    vertical = [np.cumsum(table, axis=0) for table in (south, north)]
    return np.concatenate([table[:rows, :columns].ravel() for table in horizontal + vertical])
