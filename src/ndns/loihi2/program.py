"""The integer program: a chain of nodes between an encoder and a mask decoder."""

from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np

from ndns.audio.level import Level
from ndns.config import FrontEnd
from ndns.errors import UserError
from ndns.loihi2.nodes.base import Node, Receiver
from ndns.loihi2.nodes.s5_block import SIGMOID_EXP, integer_sigmoid

MASKS = ("relu", "sigmoid")
LEVELS = ("none", "shift")
LARGEST = {"mask_delay": 8, "input_exp": 16, "output_exp": 30}
"""Upper ends of the ranges, from 0, of a program's whole numbers."""


@dataclass(frozen=True)
class Layer:
    """A node whose messages meet weights: what activity is counted of.

    Attributes:
        name: of the node that sends; `frames` for the program's input, `<node>.<sender>` for one inside of a node.
        neurons: how many can send.
        synapse: the node (or part of a node) that receives; its `fan_out` `(in,)` says how many non-zero weights a
            message meets.
        node: index of the node that sends; -1 for the program's input.
        inner: name of the sender inside of the node; empty if the node's output is sent.
    """

    name: str
    neurons: int
    synapse: Any
    node: int
    inner: str = ""

    @property
    def meter(self) -> str:
        """What precedes the names of this layer's meters in the node's state."""
        return f"{self.inner}." if self.inner else ""


@dataclass(frozen=True)
class Program:
    """A network of integers and the front end that it was trained for.

    Input of step t: `round_half_even((|X[t]| - offset) * 2**input_exp)` for each frequency bin, with |X[t]| shifted by
    its running level (`ndns.audio.level`) or not; output v is read as
    the mask `relu(v * 2**-output_exp + 1)`, or the sigmoid of it, which multiplies |X| of `mask_delay` frames ago.

    Attributes:
        nodes: executed one after the other within a step.
        names: one unique name a node.
        front_end: the short-time Fourier transform around the network.
        offset: subtracted from |X|.
        mask_delay: frames by which |X| waits for its mask.
        input_exp: binary digits of the input below the point (6 in the challenge's network).
        output_exp: binary digits of the output below the point (18 in the challenge's network).
        level: `shift` for |X[t]| over its running level, `none` for |X[t]| itself.
        mask_kind: `relu` for `relu(v + 1)`, `sigmoid` for the table of `ndns.loihi2.nodes.s5_block.integer_sigmoid`.

    Raises:
        UserError: the widths of two neighbours differ, names do not match nodes, or a number is out of its range
            (`LARGEST`).
    """

    nodes: tuple[Node, ...]
    names: tuple[str, ...]
    front_end: FrontEnd = field(default_factory=FrontEnd)
    offset: float = 0.2
    mask_delay: int = 1
    input_exp: int = 6
    output_exp: int = 18
    mask_kind: str = "relu"
    level: str = "none"

    def __post_init__(self) -> None:
        if not self.nodes:
            raise UserError("the program has no nodes.")
        if len(self.names) != len(self.nodes) or len(set(self.names)) != len(self.names):
            raise UserError(
                f"the program has {len(self.nodes)} nodes but the names {list(self.names)}; each needs one."
            )
        for key, high in LARGEST.items():
            value = getattr(self, key)
            if type(value) is not int or not 0 <= value <= high:  # a bool is no number of frames
                raise UserError(f"the program's {key} must be an integer from 0 to {high}, got {value!r}.")
        if not abs(self.offset) * 2**self.input_exp < 2**30:  # nor is it NaN
            raise UserError(
                f"the program's offset is {self.offset}; in steps of 2**-{self.input_exp} it must stay below 2**30."
            )
        if self.mask_kind not in MASKS:
            raise UserError(f"the program's mask {self.mask_kind!r} is not one of {', '.join(MASKS)}.")
        if self.level not in LEVELS:
            raise UserError(f"the program's level {self.level!r} is not one of {', '.join(LEVELS)}.")
        for index in range(1, len(self.nodes)):
            gives, takes = self.nodes[index - 1].shape_out, self.nodes[index].shape_in
            if gives != takes:
                raise UserError(
                    f"node {self.names[index - 1]!r} gives {gives} values but {self.names[index]!r} takes {takes}."
                )

    @property
    def shape_in(self) -> int:
        """Integers taken a step: frequency bins."""
        return self.nodes[0].shape_in

    @property
    def shape_out(self) -> int:
        """Integers given a step: frequency bins."""
        return self.nodes[-1].shape_out

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What sends messages to weights, in order: `input`, `hidden1`, `hidden2` for the SDNN.

        A node may hold further senders (`inner`: name -> receiver with `fan_out`), as S5 blocks do, or send to itself
        (`recurrence`: a receiver), as `CubaLIF` may.
        """
        found = []
        if hasattr(self.nodes[0], "fan_out"):
            found.append(Layer("frames", self.shape_in, self.nodes[0], -1))
        for index, (name, node) in enumerate(zip(self.names, self.nodes, strict=True)):
            for inner, receiver in getattr(node, "inner", {}).items():
                found.append(Layer(f"{name}.{inner}", len(receiver.fan_out), receiver, index, inner))
            after = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
            receivers = [one for one in (getattr(node, "recurrence", None), after) if hasattr(one, "fan_out")]
            if receivers:
                found.append(Layer(name, node.shape_out, _all_of(receivers), index))
        return tuple(found)

    def encode(self, magnitude: np.ndarray, level: Level | None = None) -> np.ndarray:
        """Return the int32 input of the network for |X| `(bin, step)`, rounded half to even in float64.

        Args:
            magnitude: of the next frames.
            level: of the frames before; none where these are the first.
        """
        frames = magnitude.shape[1]
        exponents = (level or Level()).exponents(magnitude) if self.level == "shift" else np.zeros(frames, np.int64)
        return _encoded(magnitude, np.ldexp(1.0, -exponents), self.offset, float(1 << self.input_exp))

    def mask(self, output: np.ndarray) -> np.ndarray:
        """Return the float64 mask, at least 0, for the network's integer output of any shape."""
        if self.mask_kind == "sigmoid":
            return integer_sigmoid(output, self.output_exp) * 2.0**-SIGMOID_EXP
        return np.maximum(output * 2.0**-self.output_exp + 1, 0)


def _all_of(receivers: list[Any]) -> Any:
    """Return the only one of several receivers of the same messages, or one that stands for all of them."""
    if len(receivers) == 1:
        return receivers[0]
    return Receiver(sum(one.fan_out for one in receivers), sum(map(dense_fan_out, receivers)))


def dense_fan_out(receiver: Any) -> int:
    """Return how many weights a message meets when zeros count: `dense_fan_out` of one that has it, else targets."""
    return int(getattr(receiver, "dense_fan_out", receiver.shape_out))


@numba.njit(cache=True, nogil=True)
def _encoded(magnitude, gains, offset, scale):
    """Return `round((magnitude * gain - offset) * scale)` of `(bin, step)` and a gain a step, int32, half to even."""
    out = np.empty(magnitude.shape, np.int32)
    for k in range(magnitude.shape[0]):
        for t in range(magnitude.shape[1]):
            out[k, t] = np.rint((magnitude[k, t] * gains[t] - offset) * scale)
    return out
