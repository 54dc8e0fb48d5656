"""Random programs of neurons that send integers: graded vectors, products, sigma-delta."""

import numpy as np

from ndns.loihi2 import lava_shim
from ndns.loihi2.equality.pair import SIZE, Pair, Rng, inputs, pair
from ndns.loihi2.nodes.graded import GradedVec, InvSqrt, NormVecDelay
from ndns.loihi2.nodes.product import ProdNeuron
from ndns.loihi2.nodes.sigma_delta import Delta, Sigma, SigmaDelta


def _graded(rng: Rng, steps: int, relu: bool) -> Pair:
    lava_shim.apply()
    from lava.proc.graded.process import GradedReluVec
    from lava.proc.graded.process import GradedVec as LavaGradedVec

    vth = int(rng.choice([0, 1, rng.integers(1, 5000)]))
    process = (GradedReluVec if relu else LavaGradedVec)(shape=(SIZE,), vth=vth, exp=int(rng.integers(0, 8)))
    x = inputs(rng, steps, SIZE, 2**31 - 1)
    x[rng.random(x.shape) < 0.1] = vth
    x[rng.random(x.shape) < 0.1] = -vth
    return pair(GradedVec(SIZE, vth, relu), process, x)


def graded(rng: Rng, steps: int) -> Pair:
    """Graded vector."""
    return _graded(rng, steps, relu=False)


def graded_relu(rng: Rng, steps: int) -> Pair:
    """Graded vector with ReLU."""
    return _graded(rng, steps, relu=True)


def norm_vec_delay(rng: Rng, steps: int) -> Pair:
    """Normalization vector."""
    lava_shim.apply()
    from lava.proc.graded.process import NormVecDelay as LavaNormVecDelay

    vth = int(rng.choice([0, 1, rng.integers(1, 5000)]))
    x = inputs(rng, steps, 2 * SIZE, 1 << int(rng.integers(2, 24)))
    process = LavaNormVecDelay(shape=(SIZE,), vth=vth)
    return pair(NormVecDelay(SIZE, vth), process, x, ("a_in1", "a_in2"), ("v",), outputs=("s_out", "s2_out"))


def inverse_square_root(rng: Rng, steps: int) -> Pair:
    """Fixed-point inverse square root, one neuron as in lava."""
    lava_shim.apply()
    from lava.proc.graded.process import InvSqrt as LavaInvSqrt

    x = np.floor(2.0 ** rng.uniform(0, 24, (steps, 1))).astype(np.int32)
    x[0], x[-1] = 0, (1 << 24) - 1
    return pair(InvSqrt(1), LavaInvSqrt(shape=(1,)), x)


def product(rng: Rng, steps: int) -> Pair:
    """Product neurons."""
    lava_shim.apply()
    from lava.proc.prodneuron.process import ProdNeuron as LavaProdNeuron

    vth, exp = int(rng.choice([0, 1, rng.integers(1, 5000)])), int(rng.choice([0, 6, rng.integers(0, 16)]))
    x = inputs(rng, steps, 2 * SIZE, 1 << int(rng.integers(2, 24)))
    return pair(ProdNeuron(SIZE, vth, exp), LavaProdNeuron(shape=(SIZE,), vth=vth, exp=exp), x, ("a_in1", "a_in2"))


def delta(rng: Rng, steps: int) -> Pair:
    """Delta encoder."""
    lava_shim.apply()
    from lava.proc.sdn.process import Delta as LavaDelta

    fields = _sdn_fields(rng)
    x = inputs(rng, steps, SIZE, 1 << int(rng.integers(2, 20)))
    return pair(Delta(SIZE, **fields), LavaDelta(shape=(SIZE,), **fields), x, watch=("act", "residue"))


def _sdn_fields(rng: Rng) -> dict[str, int]:
    fields = {
        "spike_exp": int(rng.choice([6, rng.integers(0, 9)])),
        "state_exp": int(rng.choice([6, rng.integers(0, 9)])),
    }
    return fields | {"vth": int(rng.choice([0, 1, 6, rng.integers(0, 4096)]))}


def sigma_delta(rng: Rng, steps: int) -> Pair:
    """Sigma-delta neurons with ReLU or unit activation and bias."""
    lava_shim.apply()
    from lava.proc.sdn.process import ActivationMode
    from lava.proc.sdn.process import SigmaDelta as LavaSigmaDelta

    fields, relu = _sdn_fields(rng), bool(rng.integers(2))
    bias = rng.integers(-(1 << 15), 1 << 15, SIZE) >> rng.integers(0, 16)
    node = SigmaDelta(SIZE, **fields, bias=bias, activation="relu" if relu else "unit")
    act_mode = ActivationMode.RELU if relu else ActivationMode.UNIT
    process = LavaSigmaDelta(shape=(SIZE,), **fields, bias=bias, act_mode=act_mode)
    x = inputs(rng, steps, SIZE, 1 << int(rng.integers(3, 29)))
    x[rng.random(x.shape) < 0.1] = fields["vth"] << (fields["spike_exp"] + fields["state_exp"])
    return pair(node, process, x, watch=("sigma", "act", "residue"))


def sigma(rng: Rng, steps: int) -> Pair:
    """Running sum, with wrap at 32 bits."""
    lava_shim.apply()
    from lava.proc.sdn.process import Sigma as LavaSigma

    x = inputs(rng, steps, SIZE, 1 << int(rng.integers(3, 31)))
    return pair(Sigma(SIZE), LavaSigma(shape=(SIZE,)), x, watch=("sigma",))
