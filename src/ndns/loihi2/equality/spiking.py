"""Random programs of neurons that spike: CUBA and resonate-and-fire."""

import numpy as np

from ndns.loihi2 import lava_shim
from ndns.loihi2.equality.pair import SIZE, Pair, Rng, inputs, pair
from ndns.loihi2.lava_process import Loop
from ndns.loihi2.nodes.cuba import CubaLIF
from ndns.loihi2.nodes.rf import RF, RFZero
from ndns.loihi2.nodes.scaled_synapse import effective_weights


def _cuba_fields(rng: Rng) -> dict[str, int | np.ndarray]:
    """Draw CUBA parameters, with the corners of the decays and small thresholds overrepresented."""
    return {
        "vth": int(rng.choice([0, 1, rng.integers(1, 50), rng.integers(0, 131072), 131071])),
        "du": int(rng.choice([-1, 0, 742, 4095, rng.integers(-1, 4096)])),
        "dv": int(rng.choice([0, 200, 4096, rng.integers(0, 4097)])),
        "bias_mant": rng.integers(-4096, 4096, SIZE) >> rng.integers(0, 13),
        "bias_exp": int(rng.choice([0, 6, 7, -3, rng.integers(-13, 8)])),
    }


def cuba(rng: Rng, steps: int) -> Pair:
    """LIF with hard reset at spikes, half of them with decays and thresholds of each neuron's own."""
    lava_shim.apply()
    from lava.proc.lif.process import LIF

    fields = _cuba_fields(rng)
    if rng.integers(2):
        fields |= {"du": rng.integers(-1, 4096, SIZE), "dv": rng.integers(0, 4097, SIZE)}
        fields["vth"] = rng.integers(0, 200, SIZE)
    x = inputs(rng, steps, SIZE, 1 << int(rng.choice([17, rng.integers(3, 25)])))
    return pair(CubaLIF(SIZE, **fields), LIF(shape=(SIZE,), **fields), x, watch=("u", "v"))


def cuba_reset(rng: Rng, steps: int) -> Pair:
    """LIF whose states are zeroed at intervals."""
    lava_shim.apply()
    from lava.proc.lif.process import LIFReset

    fields = _cuba_fields(rng) | {"reset_interval": int(rng.integers(1, 20)), "reset_offset": int(rng.integers(0, 40))}
    x = inputs(rng, steps, SIZE, 1 << int(rng.integers(3, 18)))
    return pair(CubaLIF(SIZE, **fields), LIFReset(shape=(SIZE,), **fields), x, watch=("u", "v"))


def cuba_ternary(rng: Rng, steps: int) -> Pair:
    """LIF with spikes of both signs."""
    lava_shim.apply()
    from lava.proc.lif.process import TernaryLIF

    fields = _cuba_fields(rng)
    high = fields.pop("vth")
    low = -int(rng.choice([0, 1, high, rng.integers(0, 131072)]))
    x = inputs(rng, steps, SIZE, 1 << int(rng.integers(3, 20)))
    process = TernaryLIF(shape=(SIZE,), vth_hi=high, vth_lo=low, **fields)
    return pair(CubaLIF(SIZE, vth=high, vth_low=low, **fields), process, x, watch=("u", "v"))


def cuba_refractory(rng: Rng, steps: int) -> Pair:
    """LIF with refractory period, at decays of all or nothing: there lava's float model is exact."""
    lava_shim.apply()
    from lava.proc.lif.process import LIFRefractory

    all_u, all_v = bool(rng.integers(2)), bool(rng.integers(2))
    vth, period = int(rng.integers(0, 200)), int(rng.integers(1, 9))
    bias = rng.integers(-4, 16, SIZE)
    process = LIFRefractory(
        shape=(SIZE,), du=float(all_u), dv=float(all_v), vth=vth, bias_mant=bias, refractory_period=period
    )
    node = CubaLIF(SIZE, vth, 4095 if all_u else -1, 4096 if all_v else 0, bias, bias_exp=6, refractory_period=period)
    return pair(node, process, inputs(rng, steps, SIZE, 64), tag="floating_pt")


def cuba_recurrent(rng: Rng, steps: int) -> Pair:
    """LIF with a dense synapse from its spikes to its input."""
    lava_shim.apply()
    from lava.proc.dense.process import Dense
    from lava.proc.lif.process import LIF

    fields = _cuba_fields(rng) | {"vth": int(rng.integers(0, 2000))}
    weights, exponent = rng.integers(-256, 256, (SIZE, SIZE)), int(rng.integers(-3, 7))
    node = CubaLIF(SIZE, recurrent=effective_weights(weights), recurrent_exp=exponent, **fields)
    synapse = Dense(weights=weights, weight_exp=exponent)
    x = inputs(rng, steps, SIZE, 4096)
    loops = (Loop("s_out", synapse, "a_in"),)
    return pair(node, LIF(shape=(SIZE,), **fields), x, watch=("u", "v"), loops=loops, drives=False)


def _rf(rng: Rng, steps: int, izhikevich: bool) -> Pair:
    lava_shim.apply()
    from lava.proc.rf.process import RF as LavaRF
    from lava.proc.rf_iz.process import RF_IZ

    period, alpha = float(rng.choice([4, rng.uniform(1.5, 60)])), float(rng.choice([0, 0.01, rng.uniform(0, 0.5)]))
    limit, state_exp = 1 << int(rng.integers(4, 22)), int(rng.choice([1, 6, rng.integers(1, 10)]))
    fields = {"state_exp": state_exp, "decay_bits": int(rng.choice([12, rng.integers(4, 15)]))}
    fields["vth"] = int(rng.choice([1, 2, rng.integers(1, min(limit, (1 << 23) - 1 >> state_exp))]))
    node = RF.from_period(SIZE, period, alpha, izhikevich=izhikevich, **fields)
    process = (RF_IZ if izhikevich else LavaRF)(shape=(SIZE,), period=period, alpha=alpha, **fields)
    return pair(node, process, inputs(rng, steps, 2 * SIZE, limit), ("a_real_in", "a_imag_in"), ("real", "imag"))


def rf(rng: Rng, steps: int) -> Pair:
    """Resonate-and-fire, spike at phase zero."""
    return _rf(rng, steps, izhikevich=False)


def rf_izhikevich(rng: Rng, steps: int) -> Pair:
    """Resonate-and-fire with threshold and reset."""
    return _rf(rng, steps, izhikevich=True)


def rf_zero(rng: Rng, steps: int) -> Pair:
    """Resonate-and-fire with graded spikes, beyond 16-bit states (32-bit products wrap) too."""
    lava_shim.apply()
    from lava.proc.resfire.process import RFZero as LavaRFZero

    freqs, tau = rng.uniform(0, 500, SIZE), rng.uniform(0.005, 1, SIZE)
    uth = int(rng.choice([0, 1, rng.integers(1, 3000)]))
    node = RFZero.from_frequency(freqs, tau, uth=uth)
    process = LavaRFZero(shape=(SIZE,), freqs=freqs, decay_tau=tau, uth=uth)
    return pair(
        node, process, inputs(rng, steps, 2 * SIZE, 1 << int(rng.integers(3, 18))), ("u_in", "v_in"), ("u", "v")
    )
