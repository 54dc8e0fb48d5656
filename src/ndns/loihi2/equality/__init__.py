"""Random programs of one node, twice: as a node of this package and as lava's process with the same parameters.

`PROGRAMS[kind](rng, steps)` draws parameters over their ranges, and inputs that reach thresholds exactly, fill the
widths and stay silent. Tests, golden vectors and `bench/equality.py` share them.
"""

from collections.abc import Callable

from ndns.loihi2.equality import graded, s5, spiking, synapses
from ndns.loihi2.equality.pair import Pair, Rng, compare, live

PROGRAMS: dict[str, Callable[[Rng, int], Pair]] = {
    draw.__name__: draw
    for draw in (
        spiking.cuba, spiking.cuba_reset, spiking.cuba_ternary, spiking.cuba_refractory, spiking.cuba_recurrent,
        spiking.rf, spiking.rf_izhikevich, spiking.rf_zero,
        graded.graded, graded.graded_relu, graded.norm_vec_delay, graded.inverse_square_root, graded.product,
        graded.delta, graded.sigma_delta, graded.sigma,
        synapses.dense, synapses.dense_delayed, synapses.sparse, synapses.sparse_delayed,
        s5.s4d, s5.s5, s5.affine, s5.s5_block, s5.s5_block_gelu,
    )
}  # fmt: skip
"""Draws one random program of each kind."""

OWN_MODELS = ("s4d", "s5", "affine", "s5_block", "s5_block_gelu")
"""Kinds without a fixed-point model in lava-nc: compared with own ProcessModels (`lava_procs/s5`)."""

__all__ = ["OWN_MODELS", "PROGRAMS", "Pair", "compare", "live"]
