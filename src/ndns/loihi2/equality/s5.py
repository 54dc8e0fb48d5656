"""Random programs of diagonal state spaces, dense layers and S5 blocks, against own fixed-point lava processes."""

import numpy as np

from ndns.loihi2 import lava_shim
from ndns.loihi2.equality.pair import Pair, Rng, inputs, pair
from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import Affine, S5Block

STATES = 8
WIDTH = 5


def _weights(rng: Rng, shape: tuple[int, ...], bits: int = 8) -> np.ndarray:
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape) * (rng.random(shape) < rng.choice([0.2, 1]))


def draw_ssm(rng: Rng, diagonal: bool, wide: bool, relu: bool | None = None, y_exp: int = 12) -> DiagonalSSM:
    """Draw a state space with transitions inside and on the unit circle, and exponents that make some states clip."""
    shapes = [(STATES,)] * 4 if diagonal else [(STATES, WIDTH)] * 2 + [(WIDTH, STATES)] * 2
    radius = np.where(rng.random(STATES) < 0.2, 1.0, rng.uniform(0.5, 1, STATES))
    transition = radius * np.exp(1j * rng.uniform(0, 2 * np.pi, STATES))
    width = STATES if diagonal else WIDTH
    return DiagonalSSM(
        *(np.clip(np.rint(part * (1 << 15)), -32768, 32767).astype(int) for part in (transition.real, transition.imag)),
        *(_weights(rng, shape) for shape in shapes),
        d=_weights(rng, (width,)) if rng.integers(2) else None,
        b_exp=int(rng.integers(6, 12)),
        c_exp=int(rng.integers(6, 12)),
        x_exp=int(rng.integers(9, 15)),
        y_exp=y_exp,
        bias_x_re=rng.integers(-500, 500, STATES),
        bias_x_im=rng.integers(-500, 500, STATES),
        bias_y=rng.integers(-500, 500, width),
        relu=bool(rng.integers(2)) if relu is None else relu,
        state_bits=24 if wide else 16,
        message_bits=24 if wide else 16,
    )


def s4d(rng: Rng, steps: int) -> Pair:
    """Diagonal input and output maps, 24-bit states and messages."""
    lava_shim.apply()
    from ndns.loihi2.lava_procs.s5.process import DiagonalSSMProcess

    node = draw_ssm(rng, diagonal=True, wide=True)
    x = inputs(rng, steps, node.shape_in, 1 << int(rng.integers(4, 23)))
    return pair(node, DiagonalSSMProcess(node), x, watch=("re", "im"))


def s5(rng: Rng, steps: int) -> Pair:
    """Dense input and output maps, 16-bit states."""
    lava_shim.apply()
    from ndns.loihi2.lava_procs.s5.process import DiagonalSSMProcess

    node = draw_ssm(rng, diagonal=False, wide=False)
    x = inputs(rng, steps, node.shape_in, 1 << int(rng.integers(4, 15)))
    return pair(node, DiagonalSSMProcess(node), x, watch=("re", "im"))


def affine(rng: Rng, steps: int) -> Pair:
    """Dense layer."""
    lava_shim.apply()
    from ndns.loihi2.lava_procs.s5.process import AffineProcess

    node = draw_affine(rng, WIDTH, WIDTH + 2, relu=bool(rng.integers(2)))
    return pair(node, AffineProcess(node), inputs(rng, steps, node.shape_in, 1 << int(rng.integers(4, 15))))


def draw_affine(rng: Rng, width_in: int, width_out: int, relu: bool = False, x_exp: int = 12) -> Affine:
    """Draw a dense layer whose output has 4 to 14 digits below the point."""
    bias = rng.integers(-500, 500, width_out)
    return Affine(
        _weights(rng, (width_out, width_in)), bias, x_exp, int(rng.integers(6, 9)), int(rng.integers(4, 15)), relu
    )


def s5_block(rng: Rng, steps: int) -> Pair:
    """Residual block, relufied."""
    return _block(rng, steps, relu=True)


def s5_block_gelu(rng: Rng, steps: int) -> Pair:
    """Residual block with GELU."""
    return _block(rng, steps, relu=False)


def _block(rng: Rng, steps: int, relu: bool) -> Pair:
    lava_shim.apply()
    from ndns.loihi2.lava_procs.s5.process import S5BlockProcess

    ssm = draw_ssm(rng, diagonal=False, wide=False, relu=relu, y_exp=int(rng.integers(10, 14)))
    ends = (None, False, True)[int(rng.integers(3))]
    node = S5Block(ssm, draw_affine(rng, WIDTH, WIDTH, x_exp=ssm.y_exp), relu, ends)
    x = inputs(rng, steps, node.shape_in, 1 << int(rng.integers(4, 15)))
    return pair(node, S5BlockProcess(node), x, watch=("re", "im"))
