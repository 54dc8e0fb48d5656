"""The engine against a step-by-step reference written from the equations, with Python integers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.config import FrontEnd
from ndns.errors import UserError
from ndns.loihi2 import engine
from ndns.loihi2.nodes import CubaLIF, Delta, GradedVec, Sigma, SigmaDelta, Synapse, synapse
from ndns.loihi2.nodes.base import CHIP24, CHIP24_SATURATE, CORRECTED, LAVA, MODES, Mode, fit
from ndns.loihi2.nodes.s5_block import Affine
from ndns.loihi2.program import Program, dense_fan_out
from ndns.loihi2.traffic import messages_of


def _fitted(value: int, bits: int, saturate: bool) -> int:
    half = 1 << (bits - 1)
    return max(-half, min(half - 1, value)) if saturate else (value + half) % (2 * half) - half


def _sdnn_reference(program: Program, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return output and messages of each sending layer, one Python integer at a time."""

    def state(value: int) -> int:
        return _fitted(value, mode.state_bits, mode.saturate)

    steps = x.shape[1]
    signal = [[int(v) for v in row] for row in x]
    sent = []
    for node in program.nodes:
        if isinstance(node, Synapse):
            weight = node.weight.tolist()
            arrives = [[0] * steps for _ in weight]
            for j, row in enumerate(weight):
                for t in range(1 + int(node.delay[j]), steps):
                    past = t - 1 - int(node.delay[j])
                    arrives[j][t] = sum(w * message[past] for w, message in zip(row, signal, strict=True))
            signal = arrives
            continue
        result = []
        for j, row in enumerate(signal):
            sigma = act = residue = 0
            values = []
            for value in row:
                if isinstance(node, Delta):
                    new = state(value << 12)
                else:
                    sigma = state(sigma + value)
                    new = sigma
                if isinstance(node, Sigma):
                    values.append(sigma)
                    continue
                if isinstance(node, SigmaDelta):
                    bias = 0 if node.bias is None else int(node.bias[j])
                    new = sigma + (bias << 12)
                    new = state(max(new, 0) if node.activation == "relu" else new)
                difference = new - act + residue
                fires = abs(difference) >= node.vth << 12
                message = _fitted((difference if fires else 0) >> 6, mode.message_bits, mode.saturate)
                if mode.corrected:
                    act += message << 6
                else:
                    act, residue = new, state(0 if fires else difference)
                values.append(message)
            result.append(values)
        signal = result
        sent.append(np.array(signal))
    return np.array(signal), sent[:-1]


@pytest.mark.parametrize("mode", MODES.values(), ids=list(MODES))
@pytest.mark.parametrize("largest", [6, 127])
def test_every_mode_follows_the_equations(random_sdnn, spectra_like, mode, largest):
    program, x = random_sdnn(1, largest=largest, max_delay=9), spectra_like(2, 9, 90)
    expected, sent = _sdnn_reference(program, x, mode)
    out, activity = engine.record(program, x, mode)
    np.testing.assert_array_equal(out, expected)
    assert np.count_nonzero(expected) > expected.size / 4
    np.testing.assert_array_equal(activity.events_per_step, [np.count_nonzero(layer, axis=0) for layer in sent])
    synops = [
        ((layer.synapse.weight != 0).astype(int) @ (messages != 0)).sum(axis=0)
        for layer, messages in zip(program.layers, sent, strict=True)
    ]
    np.testing.assert_array_equal(activity.synops_per_step, synops)


def test_bias_and_identity_activation_follow_the_equations(spectra_like):
    generator = np.random.default_rng(5)
    nodes = (
        Delta(6, 6),
        Synapse(2 * generator.integers(-20, 21, (8, 6)), generator.integers(0, 5, 8)),
        SigmaDelta(8, 3, bias=generator.integers(-200, 200, 8).astype(np.int32), activation="unit"),
        Synapse(generator.integers(-128, 128, (4, 8))),
        Sigma(4),
    )
    program, x = Program(nodes, ("a", "b", "c", "d", "e")), spectra_like(3, 6, 60)
    np.testing.assert_array_equal(engine.run(program, x), _sdnn_reference(program, x, LAVA)[0])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_width_of_chunks_does_not_change_the_integers(random_sdnn, spectra_like, data):
    mode = data.draw(st.sampled_from(list(MODES.values())))
    program = random_sdnn(data.draw(st.integers(0, 99)))
    x = spectra_like(data.draw(st.integers(0, 99)), 9, 150)
    cuts = sorted(data.draw(st.lists(st.integers(0, 150), max_size=6)))
    stream = engine.Stream(program, mode=mode)
    pieces = [stream.run(x.T[None, a:b])[0].T for a, b in zip([0, *cuts], [*cuts, 150], strict=True)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), engine.run(program, x, mode))


def test_a_batch_is_its_clips(random_sdnn, spectra_like):
    program = random_sdnn(4)
    clips = np.stack([spectra_like(seed, 9, 200) for seed in range(3)])
    batch = engine.run(program, clips)
    assert len({clip.tobytes() for clip in batch}) == 3
    for clip, out in zip(clips, batch, strict=True):
        np.testing.assert_array_equal(out, engine.run(program, clip))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_all_ways_to_multiply_agree(data):
    """Events by columns, events by listed weights, and BLAS give the exact product whatever the densities."""
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    targets, sources, rows = (data.draw(st.integers(1, 40)) for _ in range(3))
    weight = generator.integers(-256, 256, (targets, sources))
    weight[generator.random(weight.shape) > data.draw(st.floats(0, 1))] = 0
    messages = generator.integers(-200_000, 200_000, (rows, sources)).astype(np.int32)
    messages //= data.draw(st.sampled_from([1, 1000, 100_000]))
    messages[generator.random(messages.shape) > data.draw(st.floats(0, 1))] = 0
    node = Synapse(weight)
    expected = messages.astype(np.int64) @ weight.T
    np.testing.assert_array_equal(node.products(messages[None])[0], expected)
    np.testing.assert_array_equal(synapse._column_products(messages, node._columns), expected)


def test_float32_product_is_refused_where_it_would_round():
    """2**24 + 1 is no float32: dense large messages must not take the BLAS path."""
    node = Synapse(np.full((3, 64), 255))
    messages = np.full((1, 16, 64), (1 << 17) + 1, np.int32)
    np.testing.assert_array_equal(node.products(messages), np.full((1, 16, 3), 255 * 64 * ((1 << 17) + 1)))


@pytest.mark.parametrize("mode", [LAVA, CORRECTED], ids=lambda mode: mode.name)
def test_kernel_and_fitted_path_agree_where_nothing_overflows(random_sdnn, spectra_like, mode):
    program, x = random_sdnn(7), spectra_like(8, 9, 120)
    wide = Mode("wide", mode.corrected, state_bits=31, message_bits=31)
    np.testing.assert_array_equal(engine.run(program, x, mode), engine.run(program, x, wide))


def test_corrected_neuron_tracks_its_activation_and_released_one_drifts(spectra_like):
    """What the receiver has summed stays within a threshold only if cut-off bits are not forgotten."""
    generator = np.random.default_rng(0)
    sums = generator.integers(-3_000_000, 3_000_000, (1, 4000, 20)).astype(np.int32) | 63
    sums[:, 1:] -= sums[:, :-1].copy()
    error = {}
    for mode in (LAVA, CORRECTED):
        node = SigmaDelta(20, 6)
        state = node.init(1)
        received = node.run(state, sums, mode).sum(axis=1, dtype=np.int64) << 6
        error[mode.name] = np.abs(np.maximum(state["sigma"], 0) - received).max()
    assert error["lava-corrected"] < 6 << 12 < error["lava-0.10"]


def test_overflow_and_range_are_reported_a_layer(random_sdnn, spectra_like):
    program, x = random_sdnn(1, largest=127), spectra_like(2, 9, 300)
    _, free = engine.record(program, x)
    assert not free.overflow.any()
    assert free.state_max.max() > 1 << 23
    for mode in (CHIP24, CHIP24_SATURATE):
        _, bound = engine.record(program, x, mode)
        assert bound.overflow.max() > 0
        assert bound.state_max.max() < 1 << 23
        assert bound.state_min.min() >= -(1 << 23)
    assert free.state_max[0] == x.max() << 12
    assert free.state_min[0] == min(x.min() << 12, 0)


def test_overflow_of_nodes_that_send_to_no_weights_is_reported_too(random_sdnn, spectra_like):
    heavy = Affine(np.full((3, 3), 127), x_exp=6, w_exp=0, y_exp=6)
    names = ("first", "between", "last")
    chain = Program((heavy, GradedVec(3, vth=1 << 16), heavy), names, FrontEnd(n_fft=4, hop=2))
    _, activity = engine.record(chain, np.full((3, 5), 1000, np.int32))
    assert activity.layers == ("frames", "between")
    assert activity.overflow.tolist() == [0, 15]  # of `first`; `last` hears nothing
    _, activity = engine.record(replace(chain, nodes=(heavy, GradedVec(3), heavy)), np.full((3, 5), 1000, np.int32))
    assert activity.overflow.tolist() == [0, 30]
    program, x = random_sdnn(1, largest=127), spectra_like(2, 9, 300)
    stream = engine.Stream(program, 1, CHIP24)
    stream.run(x.T[None])
    lost = [value[0] for name, value in stream.state().items() if name.endswith("/overflow")]
    assert engine.record(program, x, CHIP24)[1].overflow.sum() == sum(lost)
    assert lost[-1] > 0


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1), st.integers(2, 32), st.booleans())
def test_fit_is_twos_complement(values, bits, saturate):
    fitted, overflow = fit(np.array([values]), bits, saturate)
    assert fitted[0].tolist() == [_fitted(value, bits, saturate) for value in values]
    assert overflow[0] == sum(value != _fitted(value, bits, True) for value in values)


def test_delay_of_every_length_arrives_on_time():
    delay = np.arange(63)
    node = Synapse(np.full((63, 1), 2), delay)
    x = np.zeros((1, 70, 1), np.int32)
    x[0, 3] = 7
    out = node.run(node.init(1), x)[0]
    expected = np.zeros((70, 63), int)
    for target in range(63):
        expected[min(3 + 1 + target, 69), target] = 14 if 4 + target < 70 else 0
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("weight", "delay", "problem"),
    [
        (np.zeros((2, 2)), None, "integer matrix"),
        (np.full((2, 2), 256), None, "do not fit"),
        (np.ones((2, 3), int), np.array([0, 63]), "delays"),
        (np.ones((2, 3), int), np.array([0, 1, 2]), "delay must be 2"),
    ],
)
def test_wrong_synapses_are_refused(weight, delay, problem):
    with pytest.raises(ValueError, match=problem):
        Synapse(weight, delay)


def test_program_whose_layers_do_not_fit_is_refused():
    with pytest.raises(UserError, match="'a' gives 4 values but 'b' takes 3"):
        Program((Delta(4, 6), Synapse(np.ones((2, 3), int))), ("a", "b"))
    with pytest.raises(UserError, match="each needs one"):
        Program((Delta(4, 6), Synapse(np.ones((2, 4), int))), ("a", "a"))


def test_input_that_is_not_integer_or_misshaped_is_refused(random_sdnn):
    program = random_sdnn(1)
    with pytest.raises(ValueError, match="integers of 32 bits"):
        engine.run(program, np.zeros((9, 3)))
    with pytest.raises(ValueError, match="expected"):
        engine.run(program, np.zeros((8, 3), int))
    assert engine.run(program, np.zeros((9, 0), int)).shape == (7, 0)


@pytest.mark.parametrize("follower", [True, False])
def test_spikes_that_return_to_their_own_layer_count(follower):
    """Against a loop over spikes and weights; the power proxy counts zero weights, events do not."""
    rng = np.random.default_rng(6)
    weights = [rng.integers(-99, 99, shape) * (rng.random(shape) < 0.6) for shape in ((7, 5), (7, 7), (5, 7))]
    lif = CubaLIF(7, vth=40, du=4095, dv=300, recurrent=weights[1])
    after = (Synapse(weights[2]), Sigma(5)) if follower else (GradedVec(7, vth=0), Synapse(weights[2]), Sigma(5))
    nodes = (Synapse(weights[0]), lif, *after)
    names = ("fc1", "lif", "fc2", "output") if follower else ("fc1", "lif", "graded", "fc2", "output")
    program = Program(nodes, names)
    x = rng.integers(0, 2, (5, 60)).astype(np.int32)
    counts = []
    engine.Stream(program).run(np.ascontiguousarray(x.T[None]), counts)
    spikes = messages_of(program, x)["lif"]
    assert 0 < spikes.mean() < 1
    targets = np.vstack([weights[1], weights[2]]) if follower else weights[1]
    expected = [sum(np.count_nonzero(targets[:, neuron]) for neuron in np.flatnonzero(step)) for step in spikes]
    layers = {layer.name: layer for layer in program.layers}
    assert list(layers) == (["frames", "lif"] if follower else ["frames", "lif", "graded"])
    np.testing.assert_array_equal(counts[1][1][0], expected)
    assert dense_fan_out(layers["lif"].synapse) == len(targets)
