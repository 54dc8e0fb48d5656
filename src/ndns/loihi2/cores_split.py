"""Cuts one population into runs of neurons that fit a core."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.cores_layout import Population
from ndns.loihi2.scenarios import Limits


class Splitter:
    """Knows what any run of a population's neurons takes: memory, axons, and seconds in a mean step.

    All of it grows with the run, so filling core after core to the brim gives the fewest cores.
    """

    def __init__(
        self,
        population: Population,
        rates: Mapping[str, np.ndarray],
        costs: Mapping[str, float],
        chip: Limits,
    ) -> None:
        """Prepare sums over neurons.

        Args:
            population: to be cut.
            rates: messages that each neuron of a population sends in a mean step, `(neuron,)`, by population.
            costs: seconds of a scenario, by name.
            chip: limits.
        """
        self.population, self._chip, self._costs = population, chip, costs
        self._rates = [rates[projection.source] for projection in population.inputs]
        synops = np.zeros(population.neurons)
        for projection, rate in zip(population.inputs, self._rates, strict=True):
            synops += projection.nonzero @ rate
        self._synops = np.concatenate([[0.0], np.cumsum(synops)])
        self._sends = rates[population.name]
        self._spikes = np.concatenate([[0.0], np.cumsum(self._sends)])

    def split(self, limit_s: float, reached: np.ndarray) -> np.ndarray | None:
        """Return the first neuron of each core, or none if a single neuron takes longer than `limit_s`.

        Args:
            limit_s: seconds that a core may take in a mean step.
            reached: cores that each neuron sends to, int64 `(neuron,)`.

        Raises:
            UserError: a single neuron breaks a limit.
        """
        axons = np.concatenate([[0], np.cumsum(reached)])
        out = np.concatenate([[0.0], np.cumsum(self._sends * reached)])
        starts, start, guess = [], 0, self.population.neurons
        while start < self.population.neurons:
            stop = self._longest(start, guess, limit_s, axons, out)
            if stop == start:
                broken = self.broken(start, start + 1, axons)
                if broken:
                    raise UserError(f"neuron {start} of {self.population.name!r} does not fit a core: {broken}.")
                return None
            starts.append(start)
            start, guess = stop, stop - start
        return np.array(starts)

    def slowest(self, starts: np.ndarray, reached: np.ndarray) -> float:
        """Return the seconds of the slowest core."""
        out = np.concatenate([[0.0], np.cumsum(self._sends * reached)])
        bounds = np.append(starts, self.population.neurons)
        return max(self.seconds(a, b, out) for a, b in pairwise(bounds.tolist()))

    def seconds(self, start: int, stop: int, out: np.ndarray) -> float:
        """Return the largest term of a core's time in a mean step; `out` sums messages sent over neurons."""
        costs = self._costs
        reads = taken = 0.0
        if costs["read_s"] or costs["message_in_s"]:
            for projection, rate in zip(self.population.inputs, self._rates, strict=True):
                words, _ = projection.words(start, stop, self._chip)
                reads += float(words @ rate)
                taken += float((words > 0) @ rate)
        return max(
            (stop - start) * costs["neuron_update_s"],
            (self._synops[stop] - self._synops[start]) * costs["synop_s"],
            reads * costs["read_s"],
            taken * costs["message_in_s"],
            (self._spikes[stop] - self._spikes[start]) * costs["spike_s"]
            + (out[stop] - out[start]) * costs["message_out_s"],
        )

    def broken(self, start: int, stop: int, axons: np.ndarray) -> str | None:
        """Return the limit that neurons `start` to `stop` break on one core, in words, or none."""
        chip, neurons = self._chip, stop - start
        state = self.population.state_bytes
        words = listening = 0
        if self.population.inputs and neurons <= chip.neurons:
            for projection in self.population.inputs:
                lists, _ = projection.words(start, stop, chip)
                words += int(lists.sum())
                listening += int(np.count_nonzero(lists))
        synapse_bytes = words * chip.word_bits // 8
        sends = int(axons[stop] - axons[start])
        for name, value, most in (
            ("neurons", neurons, chip.neurons),
            ("state bytes a neuron", state, chip.state_bytes),
            ("synaptic memory in bytes", synapse_bytes, chip.synapse_bytes),
            ("memory in bytes", synapse_bytes + neurons * state, chip.core_bytes),
            ("input axons", listening, chip.axons_in),
            ("output axons", sends, chip.axons_out),
        ):
            if value > most:
                return f"{name}: {value}, the limit is {most}"
        return None

    def _longest(self, start: int, guess: int, limit_s: float, axons: np.ndarray, out: np.ndarray) -> int:
        """Return the largest stop for which the core fits and keeps its time; `start` if not even one neuron does."""

        def fits(stop: int) -> bool:
            return self.seconds(start, stop, out) <= limit_s and self.broken(start, stop, axons) is None

        end = self.population.neurons
        low, step = start, 1
        probe = min(start + guess, end)
        if fits(probe):
            low = probe
            while low < end and fits(min(low + step, end)):
                low = min(low + step, end)
                step *= 2
            high = min(low + step, end + 1) if low < end else end + 1
        else:
            high = probe
        while high - low > 1:
            middle = (low + high) // 2
            if fits(middle):
                low = middle
            else:
                high = middle
        return low
