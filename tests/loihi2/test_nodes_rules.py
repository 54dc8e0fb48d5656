"""What nodes promise beyond lava's integers: meaning, numeric modes, meters, refusals."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.errors import UserError
from ndns.loihi2 import lava_shim
from ndns.loihi2.equality import PROGRAMS, compare
from ndns.loihi2.equality.s5 import WIDTH, draw_affine, draw_ssm
from ndns.loihi2.lava_process import Cell, drive
from ndns.loihi2.nodes import kernels
from ndns.loihi2.nodes.base import CHIP24, CHIP24_SATURATE, MODES
from ndns.loihi2.nodes.cuba import CubaLIF
from ndns.loihi2.nodes.graded import GradedVec, InvSqrt, NormVecDelay, inverse_square_root
from ndns.loihi2.nodes.product import ProdNeuron
from ndns.loihi2.nodes.rf import RF, RFZero
from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import Affine, S5Block, integer_sigmoid
from ndns.loihi2.nodes.scaled_synapse import ScaledSynapse, effective_weights

SEEDS = st.integers(0, 2**32 - 1)
QUICK = settings(max_examples=20, deadline=None)


def _run(node, x, mode=MODES["lava-0.10"]):
    state = node.init(1)
    return node.run(state, np.asarray(x, np.int32)[None], mode)[0], state


def test_lif_without_leak_counts_to_its_threshold():
    spikes, _ = _run(CubaLIF(1, vth=10, du=4095, dv=0), np.full((44, 1), 1))
    assert np.flatnonzero(spikes).tolist() == [10, 21, 32, 43]  # 11 inputs exceed 10


def test_lif_decays_by_its_time_constants():
    node = CubaLIF(1, vth=131071, du=round(4096 * (1 - np.exp(-1 / 5))) - 1, dv=round(4096 * (1 - np.exp(-1 / 20))))
    state = node.init(1)
    node.run(state, np.array([[[10000]]], np.int32))
    node.run(state, np.zeros((1, 4, 1), np.int32))
    assert state["u"][0, 0] == pytest.approx(64 * 10000 * np.exp(-4 / 5), rel=1e-3)


def test_refractory_neuron_stays_silent_for_its_period():
    spikes, _ = _run(CubaLIF(1, vth=0, du=4095, dv=4096, refractory_period=3), np.ones((12, 1)))
    assert np.flatnonzero(spikes).tolist() == [0, 4, 8]


def test_recurrent_spike_arrives_one_step_later():
    weight = np.array([[0, 0], [64, 0]])
    node = CubaLIF(2, vth=50, du=4095, dv=4096, recurrent=weight)
    spikes, _ = _run(node, [[60, 0], [0, 0], [0, 0]])
    assert spikes.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_lif_counts_wrapped_currents():
    _, state = _run(CubaLIF(1, vth=0, du=-1), np.full((3, 1), 1 << 17))
    assert state["overflow"][0] >= 2


def test_rf_resonates_at_its_own_period():
    node = RF.from_period(2, period=np.array([16.0, 5.0]), alpha=0.05, vth=200)
    phase = 2 * np.pi * np.arange(400) / 16
    wave = np.repeat(np.rint(40 * np.stack([np.cos(phase), np.sin(phase)], axis=1)), 2, axis=1)
    spikes, _ = _run(node, wave)
    assert spikes[100:, 0].sum() == pytest.approx(300 / 16, abs=1)
    assert spikes[100:, 1].sum() == 0


def test_rf_zero_sends_the_amplitude_of_its_bin():
    tau, dt, freqs = 0.05, 0.001, np.array([50.0, 200.0])
    node = RFZero.from_frequency(freqs, tau, dt, uth=100)
    turns = 2 * np.pi * 50 * dt * np.arange(1000)
    wave = np.repeat(np.rint(100 * np.stack([np.cos(turns), np.sin(turns)], axis=1)), 2, axis=1)
    sent, _ = _run(node, wave)
    late = sent[500:, 0][sent[500:, 0] > 0]
    assert len(late) == pytest.approx(25, abs=1)
    amplitude = 100 / (1 - np.exp(-dt / tau))
    assert np.cos(2 * np.pi / 20) - 0.005 < late.mean() / amplitude <= 1.005  # sampled up to one step after phase 0
    assert sent[500:, 1].max() < late.mean() / 10


def test_rf_zero_wraps_in_lava_and_is_exact_on_24_bits():
    node = RFZero(1, lct=0, lst=32768, uth=0)  # a quarter turn a step
    x = np.zeros((2, 2), np.int64)
    x[0, 0] = 70000
    for mode, expected in ((MODES["lava-0.10"], 70000 - 131072), (CHIP24_SATURATE, 70000)):
        state = node.init(1)
        node.run(state, x[None].astype(np.int32), mode)
        assert state["v"][0, 0] == expected


@QUICK
@given(SEEDS)
def test_narrow_modes_change_nothing_that_fits(seed):
    x = np.random.default_rng(seed).integers(-40, 40, (20, 6))
    for node in (GradedVec(6), GradedVec(6, relu=True), NormVecDelay(3), ProdNeuron(3, exp=2), RFZero(3, 20000, 9000)):
        expected, _ = _run(node, x)
        for mode in (CHIP24, CHIP24_SATURATE):
            sent, state = _run(node, x, mode)
            np.testing.assert_array_equal(sent, expected)
            assert state["overflow"][0] == 0


@pytest.mark.parametrize("node", [GradedVec(1), ProdNeuron(1), NormVecDelay(1)])
def test_narrow_modes_cut_and_count_what_does_not_fit(node):
    x = np.full((3, node.shape_in), 1 << 17)
    wrapped, counted = _run(node, x, CHIP24)
    saturated, _ = _run(node, x, CHIP24_SATURATE)
    assert counted["overflow"][0] > 0
    assert saturated.max() == (1 << 15) - 1
    assert wrapped.max() == 0  # 2^17 and 2^34 are multiples of 2^16


def test_inverse_square_root_is_close():
    x = np.arange(1 << 6, 1 << 20, 997)
    exact = 4096 / np.sqrt(x / 4096)
    np.testing.assert_allclose(inverse_square_root(x), exact, rtol=0.02, atol=2)


def test_sigmoid_is_close_and_odd():
    x = np.arange(-(1 << 10), 1 << 10)
    y = integer_sigmoid(x, 6)
    np.testing.assert_allclose(y / 2**14, 1 / (1 + np.exp(-x / 64)), atol=0.013)
    np.testing.assert_array_equal(y + integer_sigmoid(-x, 6), 1 << 14)


@QUICK
@given(SEEDS)
def test_s4d_stays_within_its_rounding_of_lavas_float_model(seed):
    """Per step less than 4 state units are floored away; they decay with |a| and reach the output through 2 |c|."""
    lava_shim.apply()
    from lava.proc.s4d.models import S4dModel
    from lava.proc.s4d.process import S4d

    rng = np.random.default_rng(seed)
    size = 6
    a = rng.uniform(0.3, 0.95, size) * np.exp(1j * rng.uniform(0, 2 * np.pi, size))
    a_re, a_im = np.rint(a.real * 2**15).astype(int), np.rint(a.imag * 2**15).astype(int)
    b_re, b_im, c_re, c_im = rng.integers(-128, 128, (4, size))
    node = DiagonalSSM(a_re, a_im, b_re, b_im, c_re, c_im, u_exp=8, x_exp=12, y_exp=10, state_bits=24, message_bits=24)
    x = rng.integers(-256, 256, (80, size))
    exact_a, exact_c = (a_re + 1j * a_im) / 2**15, (c_re + 1j * c_im) / 2**7 / 2**2
    process = S4d(shape=(size,), a=exact_a, b=(b_re + 1j * b_im) / 2**7 * 2**4, c=exact_c, s4_state=0)
    floats = drive(Cell(process, {"a_in": x}), S4dModel)["s_out"]
    sent, state = _run(node, x)
    bound = 2 * np.abs(exact_c) * 4 / (1 - np.abs(exact_a)) + 2
    assert state["overflow"][0] == 0
    assert (np.abs(sent - floats) <= bound).all()
    assert np.abs(floats).max() > 4 * bound.min()


def test_complex_relu_passes_the_whole_number():
    one, zero = np.array([0]), np.array([0])
    for sign, expected in ((1, 2 * 40), (-1, 0)):
        node = DiagonalSSM(
            one, zero, np.array([sign]), np.array([1]), zero, np.array([-1]), a_exp=0, b_exp=0, c_exp=0, u_exp=0,
            x_exp=0, y_exp=0, relu=True,
        )  # fmt: skip
        assert _run(node, [[40]])[0].tolist() == [[expected]]  # the imaginary part counts only if the real one is > 0


def test_state_saturates_and_is_counted():
    node = DiagonalSSM(
        np.array([1 << 14]), np.array([0]), np.array([100]), np.array([0]), np.array([1]), np.array([0]), a_exp=14,
        b_exp=0, c_exp=0, u_exp=0, x_exp=0, y_exp=0,
    )  # fmt: skip
    sent, state = _run(node, np.full((5, 1), 100))
    assert state["re"][0, 0] == state["high"][0] == (1 << 15) - 1
    assert state["overflow"][0] == 2 + 4  # states of steps 4 and 5; outputs of steps 2 to 5
    assert sent[:, 0].tolist() == [20000] + [(1 << 15) - 1] * 4


def test_s5_block_of_zero_weights_is_the_identity_on_positive_values():
    rng = np.random.default_rng(0)
    drawn = draw_ssm(rng, diagonal=False, wide=False, relu=True)
    zero = {name: np.zeros_like(getattr(drawn, name)) for name in ("c_re", "c_im", "d", "bias_y")}
    fields = {name: getattr(drawn, name) for name in drawn.__dataclass_fields__} | zero
    block = S5Block(DiagonalSSM(**fields), draw_affine(rng, WIDTH, WIDTH))
    x = rng.integers(-1000, 1000, (30, WIDTH))
    np.testing.assert_array_equal(_run(block, x)[0], np.maximum(x, 0))


@QUICK
@given(SEEDS, st.integers(-6, 6))
def test_scaled_synapse_scales_the_plain_sum(seed, exponent):
    rng = np.random.default_rng(seed)
    weight, x = rng.integers(-200, 200, (4, 5)), rng.integers(-50, 50, (9, 5))
    sent, _ = _run(ScaledSynapse(weight, weight_exp=exponent), x)
    np.testing.assert_array_equal(sent[1:], np.floor(x[:-1] @ weight.T * 2.0**exponent))


def test_effective_weights_of_every_sign_mode():
    weights = np.array([[5, -7, 300, -300]])
    assert effective_weights(weights, "excitatory", 8).tolist() == [[5, 0, 255, 0]]
    assert effective_weights(weights, "inhibitory", 7).tolist() == [[0, -6, 0, -254]]
    assert effective_weights(weights, "mixed", 8).tolist() == [[4, -8, 254, -256]]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: CubaLIF(2, vth=131072), "vth"),
        (lambda: CubaLIF(2, vth=1, du=4096), "du"),
        (lambda: CubaLIF(2, vth=1, bias_mant=np.array([1, 2, 3])), "bias_mant"),
        (lambda: CubaLIF(2, vth=1.5), "vth"),
        (lambda: CubaLIF(2, vth=1, reset_interval=0), "reset_interval"),
        (lambda: CubaLIF(2, vth=1, recurrent=np.zeros((2, 3), int)), "recurrent"),
        (lambda: CubaLIF(1, vth=1, recurrent=np.array([[1 << 32]])), "recurrent"),
        (lambda: CubaLIF(1, vth=1, recurrent=np.ones((1, 1), int), recurrent_exp=64), "recurrent_exp"),
        (lambda: RF(2, 5000, 0, 1), "cos_decay"),
        (lambda: RF(2, 0, 0, 1, decay_bits=0), "decay_bits"),
        (lambda: RFZero(2, 40000, 0), "lct"),
        (lambda: ProdNeuron(2, exp=32), "exp"),
        (lambda: InvSqrt().run(InvSqrt().init(1), np.array([[[-1]]], np.int32)), "InvSqrt"),
        (lambda: DiagonalSSM(*np.ones((6, 3), int), d=np.full(3, 200)), "d must fit in 8 bits"),
        (lambda: DiagonalSSM(np.ones(3, int), *np.ones((5, 2), int)), "a_im"),
        (lambda: Affine(np.ones(3, int)), "weight"),
        (lambda: ScaledSynapse(np.ones((2, 2), int), weight_exp=40), "weight_exp"),
        (lambda: effective_weights(np.ones((2, 2)), "positive"), "sign_mode"),
    ],
)
def test_impossible_parameters_are_refused_by_name(make, named):
    with pytest.raises(UserError, match=named):
        make()


@pytest.mark.parametrize(("name", "where"), [("sent", (3, 1)), ("v", (-1, 2))])
def test_comparison_notices_one_wrong_integer(name, where):
    ours = PROGRAMS["cuba"](np.random.default_rng(1), 12).ours()
    lavas = {key: values.copy() for key, values in ours.items()}
    lavas["v"] = lavas["v"][-1]  # as after a live run
    assert compare(ours, lavas) == (12 * 6 + 12 * 6 + 6, 0)
    ours[name][where] += 1
    assert compare(ours, lavas)[1] == 1


def test_comparison_refuses_another_shape():
    with pytest.raises(ValueError, match="sent"):
        compare({"sent": np.zeros((3, 2))}, {"sent": np.zeros((3, 1))})


def test_compiled_loops_give_what_numpy_gives():
    rng = np.random.default_rng(3)
    wide = rng.integers(-(1 << 40), 1 << 40, (2, 50)) >> rng.integers(0, 40, (2, 50))
    narrow = np.array([-(1 << 31), (1 << 31) - 1, 0, -5], np.int32)
    overflow = np.array([1, 0])
    np.testing.assert_array_equal(kernels.clipped(wide, 127, overflow), np.clip(wide, -128, 127))
    np.testing.assert_array_equal(overflow - [1, 0], ((wide > 127) | (wide < -128)).sum(axis=1))
    low, high = np.array([-3, 5]), np.array([3, 1 << 50])
    kernels.widen(low, high, wide)
    np.testing.assert_array_equal(low, np.minimum([-3, 5], wide.min(axis=1)))
    np.testing.assert_array_equal(high, np.maximum([3, 1 << 50], wide.max(axis=1)))
    assert kernels.largest(narrow) == 1 << 31
    assert kernels.largest(wide.ravel()) == np.abs(wide).max()
    assert kernels.largest(narrow[:0]) == 0
    table = np.array([0, 10, 40, 50])
    x = np.array([0, 4, 6, -4, 8, 12, 20, -99, 11], np.int32)
    by_hand = [0, 10, 25, 99 - 10, 40, 50, 50, 99 - 50, 47]
    np.testing.assert_array_equal(kernels.piecewise(x, 2, table, 99), by_hand)


@QUICK
@given(SEEDS, st.booleans(), st.booleans())
def test_a_block_gives_a_stream_the_integers_of_the_whole_clip(seed, relu, gate_relu):
    """Frame by frame a compiled loop runs, many frames at once NumPy does: outputs, states and meters agree."""
    rng = np.random.default_rng(seed)
    ssm = draw_ssm(rng, diagonal=False, wide=False, relu=relu, y_exp=12)
    block = S5Block(ssm, draw_affine(rng, WIDTH, WIDTH, relu=gate_relu, x_exp=ssm.y_exp), relu)
    x = rng.integers(-(2**15), 2**15, (1, 60, WIDTH)).astype(np.int32)
    whole, streamed = block.init(1), block.init(1)
    expected = block.run(whole, x)
    found = np.concatenate([block.run(streamed, x[:, t : t + 1]) for t in range(x.shape[1])], axis=1)
    assert np.unique(expected).size > 50
    np.testing.assert_array_equal(found, expected)
    for name, value in whole.items():
        np.testing.assert_array_equal(streamed[name], value, err_msg=name)


@pytest.mark.parametrize("steps", [1, 20])
def test_a_sum_far_beyond_its_width_saturates_and_is_counted(steps):
    layer = Affine(np.full((1, 600), 127), x_exp=6, w_exp=7, y_exp=45)
    x, state = np.full((1, steps, 600), 2**15 - 1, np.int32), layer.init(1)
    assert layer.run(state, x).ravel().tolist() == [2**15 - 1] * steps
    assert layer.run(state, -x).ravel().tolist() == [-(2**15)] * steps
    assert state["overflow"][0] == 2 * steps


@pytest.mark.parametrize("steps", [1, 20])
def test_sums_that_are_not_exact_are_refused_at_once_and_in_a_stream(steps):
    drawn = draw_ssm(np.random.default_rng(1), diagonal=False, wide=False)
    heavy = {"b_re": np.full_like(drawn.b_re, 2**31 - 1), "weight_bits": 32}
    ssm = dataclasses.replace(drawn, **heavy)
    block = S5Block(ssm, Affine(np.eye(WIDTH, dtype=np.int64), x_exp=ssm.y_exp, y_exp=12))
    with pytest.raises(UserError, match="more than 53 bits"):
        block.run(block.init(1), np.full((1, steps, WIDTH), 2**31 - 1, np.int32))
