"""Product neurons: multiply two graded inputs."""

from dataclasses import dataclass

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes.base import LAVA, Mode, State, meters, note_range
from ndns.loihi2.nodes.graded import fit32, multiplied


@dataclass(frozen=True, eq=False)
class ProdNeuron:
    """Product of two graded inputs of the same step.

        v = x1 x2 >> exp;  s = v if |v| > vth else 0

    The product is int32 with wrap, `>>` rounds toward minus infinity. In the 24-bit modes the product is exact, the
    shifted value is fitted to the state width and the message to the message width.
    Channels in: `[x1 (n), x2 (n)]`.

    lava: `proc.prodneuron.ProdNeuron`.

    Attributes:
        size: neurons.
        vth: threshold.
        exp: binary digits of one factor below the point, 0 to 31.

    Raises:
        UserError: `exp` is outside of its range.
    """

    size: int
    vth: int = 1
    exp: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.exp <= 31:
            raise UserError(f"ProdNeuron: exp must be within 0 and 31, got {self.exp}.")

    @property
    def shape_in(self) -> int:
        """First factors, then second factors."""
        return 2 * self.size

    @property
    def shape_out(self) -> int:
        """Neurons."""
        return self.size

    def init(self, batch: int) -> State:
        """Return meters alone: the node has no memory."""
        return meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn int32 `(batch, steps, 2 size)` into graded spikes int32 `(batch, steps, size)`."""
        first, second = x[..., : self.size], x[..., self.size :]
        v, missed = multiplied(first, second, self.exp, mode)
        note_range(state, v)
        out, cut = fit32(v * (np.abs(v) > self.vth), mode.message_bits, mode)
        state["overflow"] += missed + cut
        return out
