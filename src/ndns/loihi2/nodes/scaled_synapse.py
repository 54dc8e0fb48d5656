"""Synapses with lava's weight fields: exponent, sign mode, number of weight bits, binary spikes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes.base import LAVA, Mode, State
from ndns.loihi2.nodes.synapse import Synapse

SignMode = Literal["mixed", "excitatory", "inhibitory"]


@dataclass(frozen=True, eq=False)
class ScaledSynapse(Synapse):
    """A synapse whose sums are shifted by an exponent, from graded or binary spikes.

        a_j[t] = shift(sum_i weight[j, i] m_i[t - 1 - delay[j]], -weight_exp),   m_i = (s_i != 0) if binary else s_i

    int32 with wrap; a negative exponent rounds toward minus infinity.

    lava: `proc.dense.Dense`, `DelayDense`, `proc.sparse.Sparse`, `DelaySparse` with `weight_exp`, and
    `num_message_bits = 0` for `binary`; `effective_weights` applies `sign_mode` and `num_weight_bits`.

    Attributes:
        weight_exp: binary exponent of the weights, -31 to 31.
        binary: any non-zero message counts as 1.
    """

    weight_exp: int = 0
    binary: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -31 <= self.weight_exp <= 31:
            raise UserError(f"ScaledSynapse: weight_exp must be within -31 and 31, got {self.weight_exp}.")

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Advance by messages int32 `(batch, steps, in)`, return sums int32 `(batch, steps, out)`; any mode."""
        messages = (x != 0).astype(np.int32) if self.binary else x
        sums = super().run(state, messages, mode)
        return sums << self.weight_exp if self.weight_exp > 0 else sums >> -self.weight_exp


def effective_weights(weights: np.ndarray, sign_mode: SignMode | None = None, num_weight_bits: int = 8) -> np.ndarray:
    """Return the integers that lava's synapse computes with, for the weights given to it.

    Weights are cut to integers (toward zero), clipped to [0, 255] (excitatory), [-255, 0] (inhibitory) or
    [-256, 255] (mixed), and lose their lowest `8 - num_weight_bits` bits (one more if mixed), rounding toward minus
    infinity, or toward zero where inhibitory.

    lava: `utils.weightutils.clip_weights`, `truncate_weights`, as `proc.dense` and `proc.sparse` call them.

    Args:
        weights: `(out, in)`.
        sign_mode: none to find it from the signs of the weights, as lava does.
        num_weight_bits: 1 to 8.

    Raises:
        UserError: `num_weight_bits` or `sign_mode` is not one of the above.

    >>> effective_weights(np.array([[3, -3, 300]]))
    array([[  2,  -4, 254]], dtype=int32)
    """
    if not 1 <= num_weight_bits <= 8:
        raise UserError(f"num_weight_bits must be within 1 and 8, got {num_weight_bits}.")
    weights = np.asarray(weights).astype(np.int32)
    if sign_mode is None:
        lowest, highest = np.min(weights), np.max(weights)
        sign_mode = "excitatory" if lowest >= 0 else "inhibitory" if highest <= 0 else "mixed"
    if sign_mode not in ("mixed", "excitatory", "inhibitory"):
        raise UserError(f"sign_mode must be mixed, excitatory or inhibitory, got {sign_mode!r}.")
    sign, mixed = -1 if sign_mode == "inhibitory" else 1, sign_mode == "mixed"
    clipped = np.clip(sign * weights, -256 if mixed else 0, 255)
    dropped = 8 - num_weight_bits + mixed
    return sign * ((clipped >> dropped) << dropped)
