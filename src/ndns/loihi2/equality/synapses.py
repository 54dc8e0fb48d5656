"""Random programs of synapses."""

from ndns.loihi2 import lava_shim
from ndns.loihi2.equality.pair import SIZE, Pair, Rng, inputs, pair
from ndns.loihi2.nodes.scaled_synapse import ScaledSynapse, effective_weights


def _synapse(rng: Rng, steps: int, sparse: bool, delayed: bool) -> Pair:
    lava_shim.apply()
    from lava.proc.dense.process import DelayDense, Dense
    from lava.proc.sparse.process import DelaySparse, Sparse
    from lava.utils.weightutils import SignMode
    from scipy.sparse import csr_matrix

    low, high = [(-300, 300), (0, 300), (-300, 1)][rng.integers(3)]
    weights = rng.integers(low, high, (SIZE, SIZE + 2)) * (rng.random((SIZE, SIZE + 2)) < rng.choice([0.3, 1]))
    mode = [None, "mixed", "excitatory", "inhibitory"][rng.integers(4)]
    bits, exponent, binary = int(rng.integers(1, 9)), int(rng.integers(-8, 9)), bool(rng.integers(2))
    if sparse:
        weights[0, 0] = 200 if mode != "inhibitory" else -200  # lava stops with an error if every weight is cut to 0
    effective = effective_weights(weights, mode, bits)
    delay = rng.integers(0, rng.choice([2, 6, 63]), SIZE) if delayed else None
    options = {"weight_exp": exponent, "num_weight_bits": bits, "num_message_bits": 0 if binary else 16}
    options |= {} if mode is None else {"sign_mode": SignMode[mode.upper()]}
    if delayed:
        delays = delay[:, None] * (weights != 0)
        options |= {"delays": csr_matrix(delays) if sparse else delays, "max_delay": int(delay.max())}
    kind = {(False, False): Dense, (False, True): DelayDense, (True, False): Sparse, (True, True): DelaySparse}
    process = kind[sparse, delayed](weights=csr_matrix(weights) if sparse else weights, **options)
    x = inputs(rng, steps, SIZE + 2, 1 << int(rng.integers(1, 19)))
    return pair(ScaledSynapse(effective, delay, exponent, binary), process, x, ("s_in",), outputs=("a_out",))


def dense(rng: Rng, steps: int) -> Pair:
    """Dense synapse with exponent, sign mode and truncated weights."""
    return _synapse(rng, steps, sparse=False, delayed=False)


def dense_delayed(rng: Rng, steps: int) -> Pair:
    """Dense synapse with delays."""
    return _synapse(rng, steps, sparse=False, delayed=True)


def sparse(rng: Rng, steps: int) -> Pair:
    """Sparse synapse."""
    return _synapse(rng, steps, sparse=True, delayed=False)


def sparse_delayed(rng: Rng, steps: int) -> Pair:
    """Sparse synapse with delays."""
    return _synapse(rng, steps, sparse=True, delayed=True)
