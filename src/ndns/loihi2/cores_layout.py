"""What a program asks of a chip: populations of neurons, the synapses into them, and how many words these take."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import Affine, S5Block
from ndns.loihi2.nodes.synapse import Synapse
from ndns.loihi2.program import Program
from ndns.loihi2.scenarios import Limits, limits


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population into another; they live on the cores of the targets.

    Attributes:
        source: name of the sending population.
        nonzero: bool `(target, source)`: the synapses that exist.
        weight_bits: width of a stored weight, sign included.
        delay_bits: width of the delay stored in each synapse; 0 without delays.
    """

    source: str
    nonzero: np.ndarray
    weight_bits: int = 8
    delay_bits: int = 0

    @cached_property
    def below(self) -> np.ndarray:
        """Synapses of each source into the first n targets, int32 `(targets + 1, source)`."""
        table = np.zeros((len(self.nonzero) + 1, self.nonzero.shape[1]), np.int32)
        np.cumsum(self.nonzero, axis=0, dtype=np.int32, out=table[1:])
        return table

    def counts(self, start: int, stop: int) -> np.ndarray:
        """Return the synapses of each source into targets `start` to `stop`, `(source,)`."""
        return self.below[stop] - self.below[start]

    def words(self, start: int, stop: int, chip: Limits) -> tuple[np.ndarray, str]:
        """Return the words that each source's list takes on a core with these targets, and the smaller encoding.

        `dense` stores one weight a target, `sparse` one weight and one index a non-zero weight; both start with a
        header and fill whole words. A source without synapses here takes nothing.
        """
        count = self.counts(start, stop)
        present = count > 0
        targets, bits = stop - start, self.weight_bits + self.delay_bits
        index = max(chip.index_bits, math.ceil(math.log2(max(targets, 2))))
        dense = -(-(chip.axon_header_bits + targets * bits) // chip.word_bits)
        sparse = -(-(chip.axon_header_bits + count * (bits + index)) // chip.word_bits) * present
        if int(sparse.sum()) < dense * int(present.sum()):
            return sparse, "sparse"
        return dense * present, "dense"


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one kind.

    Attributes:
        name: as in the program.
        neurons: how many.
        state_bytes: memory of one neuron: state variables and the slots of sums that wait for their step.
        inputs: synapses into these neurons.
    """

    name: str
    neurons: int
    state_bytes: int
    inputs: tuple[Projection, ...] = ()


def populations(program: Program, chip: Limits | None = None) -> tuple[Population, ...]:
    """Return a program's populations: each node that is not a synapse, with the synapse before it.

    Nodes of one width that follow one another without a synapse share their neurons, so their state adds up. The state
    of a node is what it keeps for each neuron from step to step (`node.init`), plus one accumulator for each step that
    an input can wait. Nodes with weights of their own become a population for each set of weights: `<name>.state` and
    `<name>.z` are those inside of an S5 block, real and imaginary parts counted as neurons of their own. A program that
    starts with weights gets the population `frames` before them.

    Raises:
        UserError: a synapse has no neurons after it, or a neuron takes several values (RF, RFZero, ProdNeuron).
    """
    chip = chip or limits()
    found: list[Population] = []
    waiting: Synapse | None = None
    if isinstance(program.nodes[0], Synapse | Affine | DiagonalSSM | S5Block):
        found.append(Population("frames", program.shape_in, chip.state_variable_bytes))
    for name, node in zip(program.names, program.nodes, strict=True):
        if waiting is not None and isinstance(node, Synapse | Affine | DiagonalSSM | S5Block):
            raise UserError(
                f"weights come before those of {name!r}; neurons must stand between to place them on cores."
            )
        if isinstance(node, Synapse):
            waiting = node
            continue
        if isinstance(node, Affine | DiagonalSSM | S5Block):
            found.extend(_weighted(name, node, found[-1].name, chip))
            continue
        if node.shape_in != node.shape_out:
            kind = type(node).__name__
            raise UserError(f"{name!r}: neurons that take several values ({kind}) cannot be placed on cores.")
        state = chip.state_variable_bytes * sum(array.shape == (1, node.shape_out) for array in node.init(1).values())
        inputs: tuple[Projection, ...] = ()
        if waiting is not None:
            delays = int(waiting.delay.max())
            state += (1 + delays) * chip.accumulator_bytes
            bits = stored_bits(waiting.weight)
            inputs = (Projection(found[-1].name, waiting.weight != 0, bits, chip.delay_bits if delays else 0),)
        elif found and found[-1].neurons == node.shape_out:
            last = found.pop()
            state += last.state_bytes
            inputs = tuple(replace(one, source=name) if one.source == last.name else one for one in last.inputs)
        if getattr(node, "recurrent", None) is not None:
            inputs += (Projection(name, node.recurrent != 0, stored_bits(node.recurrent)),)
        found.append(Population(name, node.shape_out, state, inputs))
        waiting = None
    if waiting is not None:
        raise UserError("the program ends in a synapse; it needs neurons after it to be placed on cores.")
    return tuple(found)


def _weighted(name: str, node: Affine | DiagonalSSM | S5Block, source: str, chip: Limits) -> list[Population]:
    """Return the populations of a node that holds weights; its last one bears the node's name."""
    accumulator = chip.accumulator_bytes
    if isinstance(node, Affine):
        projection = Projection(source, node.weight != 0, stored_bits(node.weight))
        return [Population(name, node.shape_out, accumulator, (projection,))]
    if isinstance(node, S5Block):
        inner = _weighted(f"{name}.z", node.ssm, source, chip)
        gate = Projection(f"{name}.z", node.gate.weight != 0, stored_bits(node.gate.weight))
        residual = Projection(source, np.eye(node.shape_in, dtype=bool), node.ssm.message_bits)
        return [*inner, Population(name, node.shape_out, 2 * accumulator, (gate, residual))]
    into, out = (
        [np.diag(part) if part.ndim == 1 else part for part in parts]
        for parts in ((node.b_re, node.b_im), (node.c_re, node.c_im))
    )
    drive, readout = np.concatenate(into), np.concatenate(out, axis=1)
    state = f"{name.removesuffix('.z')}.state"
    inputs = [Projection(state, readout != 0, stored_bits(readout))]
    if node.d.any():
        inputs.append(Projection(source, np.diag(node.d) != 0, stored_bits(node.d)))
    return [
        Population(
            state,
            len(drive),
            chip.state_variable_bytes + accumulator,
            (Projection(source, drive != 0, stored_bits(drive)),),
        ),
        Population(name, node.shape_out, accumulator, tuple(inputs)),
    ]


def stored_bits(weight: np.ndarray) -> int:
    """Return the bits of the narrowest two's complement that holds the weights, without a power of two they share.

    >>> stored_bits(np.array([-140, 102])), stored_bits(np.array([0]))
    (8, 1)
    """
    values = np.asarray(weight, np.int64)
    shared = int(np.bitwise_or.reduce(values, axis=None)) if values.size else 0
    if shared:
        values = values // (shared & -shared)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return 1 + max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
