"""A program on cores: what each core holds, where it sits, and what it listens to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ndns.loihi2.cores_layout import Population, Projection
from ndns.loihi2.scenarios import Limits


@dataclass(frozen=True)
class Core:
    """One core in use.

    Attributes:
        population: name; the core holds its neurons `start` to `stop`.
        synapse_bytes: synaptic memory in use.
        state_bytes: memory of the neurons' state.
        axons_in: sources that the core listens to.
        axons_out: (neuron, target core) pairs that it sends to.
        encoding: of each projection into it, `dense` or `sparse`.
        column, row: its router; columns go on over the chips, side by side.
    """

    population: str
    start: int
    stop: int
    synapse_bytes: int
    state_bytes: int
    axons_in: int
    axons_out: int
    encoding: tuple[str, ...]
    column: int
    row: int

    @property
    def neurons(self) -> int:
        """Neurons on this core."""
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class Placement:
    """A program on cores.

    Attributes:
        populations: what was placed.
        splits: first neuron of each core, for each population.
        cores: in the order of populations and neurons.
        chip: the limits that hold.
    """

    populations: tuple[Population, ...]
    splits: Mapping[str, np.ndarray]
    cores: tuple[Core, ...]
    chip: Limits

    @property
    def chips(self) -> int:
        """Chips in use."""
        return -(-len(self.cores) // self.chip.cores)

    @property
    def tiles(self) -> int:
        """Routers in use."""
        return len({(core.column, core.row) for core in self.cores})

    def cores_of(self, name: str) -> list[int]:
        """Return the indices of a population's cores."""
        return [index for index, core in enumerate(self.cores) if core.population == name]

    def memory_share(self) -> float:
        """Return the fullest core's synaptic memory as a share of the limit."""
        return max(core.synapse_bytes for core in self.cores) / self.chip.synapse_bytes


def target_cores(
    populations: tuple[Population, ...], splits: Mapping[str, np.ndarray], source: Population
) -> np.ndarray:
    """Return how many cores each neuron of `source` sends to, int64 `(neuron,)`, under the splits known so far."""
    reached = np.zeros(source.neurons, np.int64)
    for population, projection in _projections(populations):
        if projection.source == source.name and population.name in splits:
            reached += arrives(projection, splits[population.name]).sum(axis=0)
    return reached


def arrives(projection: Projection, starts: np.ndarray) -> np.ndarray:
    """Tell to which cores of the targets each source sends, bool `(core, source)`."""
    bounds = np.append(starts, len(projection.nonzero))
    return np.diff(projection.below[bounds], axis=0) > 0


def finish(populations: tuple[Population, ...], splits: Mapping[str, np.ndarray], chip: Limits) -> Placement:
    """Put the cores on the mesh, neighbours in the program next to one another, and fill in what each core holds."""
    cores: list[Core] = []
    for population in populations:
        bounds = np.append(splits[population.name], population.neurons)
        reached = target_cores(populations, splits, population)
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            words, encodings, axons = 0, [], 0
            for projection in population.inputs:
                lists, encoding = projection.words(start, stop, chip)
                words += int(lists.sum())
                axons += int(np.count_nonzero(lists))
                encodings.append(encoding)
            cores.append(
                Core(
                    population.name,
                    start,
                    stop,
                    words * chip.word_bits // 8,
                    (stop - start) * population.state_bytes,
                    axons,
                    int(reached[start:stop].sum()),
                    tuple(encodings),
                    *router(len(cores), chip),
                )
            )
    return Placement(populations, splits, tuple(cores), chip)


def router(index: int, chip: Limits) -> tuple[int, int]:
    """Return column and row of a core's router: down one column, up the next; chips stand side by side."""
    number, inside = divmod(index, chip.cores)
    column, row = divmod(inside // chip.cores_per_router, chip.rows)
    return number * chip.columns + column, row if column % 2 == 0 else chip.rows - 1 - row


def _projections(populations: tuple[Population, ...]) -> list[tuple[Population, Projection]]:
    return [(population, projection) for population in populations for projection in population.inputs]
