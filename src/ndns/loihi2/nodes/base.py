"""What every node of an integer program is: a frozen dataclass that turns integers into integers, step by step.

A node is data (weights, widths, thresholds); what changes from step to step lives in a `State` that the caller owns.
Running `n` steps at once or in pieces gives the same integers, because `run` leaves in the state all that the next
step needs. Integers are lava's to the bit: int32 with wrap at 32 bits, `>>` rounds toward minus infinity.

Numeric modes (`MODES`) say where lava's CPU models and the chip's declared limits part:

| name | SigmaDelta | states | messages |
|---|---|---|---|
| `lava-0.10` | lava-nc 0.10.0: the residue is taken before the message loses its low bits | 32 bits | 32 bits |
| `lava-corrected` | what was sent is integrated back, so nothing is lost for good | 32 bits | 32 bits |
| `chip24` | as `lava-0.10` | 24 bits, wrap | 16 bits, wrap |
| `chip24-saturate` | as `lava-0.10` | 24 bits, saturate | 16 bits, saturate |
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ndns.loihi2.nodes.kernels import widen

State = dict[str, np.ndarray]
"""Arrays that carry a node from one step to the next, batch first; all of them can be saved with `np.savez`."""


@dataclass(frozen=True)
class Mode:
    """Numeric mode: widths are in bits including the sign; 32 means lava's plain int32."""

    name: str
    corrected: bool = False
    state_bits: int = 32
    message_bits: int = 32
    saturate: bool = False


LAVA = Mode("lava-0.10")
CORRECTED = Mode("lava-corrected", corrected=True)
CHIP24 = Mode("chip24", state_bits=24, message_bits=16)
CHIP24_SATURATE = Mode("chip24-saturate", state_bits=24, message_bits=16, saturate=True)
MODES = {mode.name: mode for mode in (LAVA, CORRECTED, CHIP24, CHIP24_SATURATE)}


@dataclass(frozen=True, eq=False)
class Receiver:
    """What messages meet that go elsewhere than to the next node alone.

    Attributes:
        fan_out: non-zero weights that each sender's message meets, `(sender,)`.
        shape_out: neurons that receive: weights that a message would meet without zeros.
    """

    fan_out: np.ndarray
    shape_out: int


@runtime_checkable
class Node(Protocol):
    """One element of the chain. Implementations are frozen dataclasses; arrays in them are read-only by convention."""

    @property
    def shape_in(self) -> int:
        """Number of integers taken a step."""

    @property
    def shape_out(self) -> int:
        """Number of integers given a step."""

    def init(self, batch: int) -> State:
        """Return the state before the first step; neurons include `meters(batch)`."""

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Advance `state` in place by `steps` steps.

        Args:
            state: from `init` (or restored), changed in place.
            x: int32 `(batch, steps, shape_in)`, C order.
            mode: numeric mode; a run keeps one mode from its first step to its last.

        Returns:
            int32 `(batch, steps, shape_out)`.
        """


def observe(node: Node, state: State, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Run a node; return its output and what its inner senders sent, `(batch, steps, sender)` by name.

    Nodes with senders inside (S5) have `observed` for this; the others have none.
    """
    observed = getattr(node, "observed", None)
    return observed(state, x, mode) if observed else (node.run(state, x, mode), {})


METERS = ("low", "high", "overflow")
"""What `meters` returns, in the order in which compiled loops take it."""


def meters(batch: int) -> State:
    """Return the arrays by which a neuron reports on itself, each `(batch,)` int64.

    `low` and `high` are the extremes of the node's main state variable since they were last reset, `overflow` counts
    how often a state or message did not fit the mode's width (0 when the mode has none below 32 bits).
    """
    return {key: np.zeros(batch, np.int64) for key in METERS}


def meter_of(state: State, name: str = "") -> tuple[np.ndarray, ...]:
    """Return the meters of a state, or with `name` those of what is inside of its node."""
    return tuple(state[f"{name}{key}"] for key in METERS)


def note_range(state: State, values: np.ndarray) -> None:
    """Widen `low` and `high` by `values` `(batch, ...)`."""
    if values.size:
        widen(state["low"], state["high"], values.reshape(len(values), -1))


def fit(values: np.ndarray, bits: int, saturate: bool) -> tuple[np.ndarray, np.ndarray]:
    """Bring integers into `bits` bits two's complement.

    Args:
        values: integers `(batch, ...)`, int32 or int64.
        bits: width including the sign, at most 32.
        saturate: clip to the range; otherwise wrap around.

    Returns:
        the fitted values (same dtype) and how many did not fit `(batch,)` int64.

    >>> fit(np.array([[7, 8, -9]]), 4, saturate=False)[0]
    array([[ 7, -8,  7]])
    """
    high = (1 << (bits - 1)) - 1
    outside = (values > high) | (values < -high - 1)
    fitted = np.clip(values, -high - 1, high) if saturate else ((values + (high + 1)) & (2 * high + 1)) - (high + 1)
    return fitted, np.count_nonzero(outside.reshape(len(values), -1), axis=1).astype(np.int64)
