"""S5 from float weights to integers: near the float network, alike in every way of running, counted event by event."""

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from ndns import models
from ndns.config import Qat
from ndns.errors import UserError
from ndns.loihi2 import engine, lava_bridge, netx
from ndns.loihi2.denoiser import Denoiser
from ndns.models.quantization import weight_exponent
from ndns.models.s5 import quantized
from ndns.quantize.checkpoint import quantize_checkpoint
from ndns.quantize.cli import command
from ndns.quantize.parent import denoise
from ndns.quantize.s5 import program_of

sys.path.insert(0, str(Path(__file__).parent))
from s5_network import GOLDEN, VARIANTS, magnitudes, trained


@functools.cache
def network(variant: str) -> models.S5:
    return trained(variant)


@functools.cache
def program(variant: str):
    return program_of(network(variant))


@pytest.mark.parametrize("variant", VARIANTS)
def test_integers_follow_the_float_network(variant):
    """Correlation of the raw output with the float parent's; 1 would be without rounding."""
    net, integers = network(variant), program(variant)
    magnitude = magnitudes(400)
    with torch.no_grad():
        parent = net.mask_output(torch.from_numpy(magnitude)[None].float())[0].numpy()
    out = engine.run(integers, integers.encode(magnitude)) * 2.0**-integers.output_exp
    error = np.sqrt(np.mean((out - parent) ** 2)) / parent.std()
    assert parent.std() > 0.1
    assert error < (0.5 if variant == "sparse_4bit" else 0.15)


@pytest.mark.parametrize("variant", ["dense_qat", "sparse"])
def test_slow_states_do_not_lose_what_each_step_rounds_away(variant):
    """Mean loss of a state in a step, beside the same recurrence without rounding; else -0.5 and -1.5."""
    ssm = program(variant).nodes[1].ssm
    net = network(variant)
    with torch.no_grad():
        bias = net.blocks[0].folded(net.sparsifier, "block0").bias_x.double().numpy() * 2.0**ssm.x_exp
    u = np.random.default_rng(4).integers(-600, 600, (1, 4000, ssm.shape_in), dtype=np.int32)
    transition = (ssm.a_re + 1j * ssm.a_im) * 2.0**-ssm.a_exp
    into = (ssm.b_re + 1j * ssm.b_im) * 2.0 ** (ssm.x_exp - ssm.u_exp - ssm.b_exp)
    state, exact, errors = ssm.init(1), np.zeros(len(transition), complex), []
    for step in range(u.shape[1]):
        ssm.run(state, u[:, step : step + 1])
        exact = transition * exact + into @ u[0, step] + bias[0] + 1j * bias[1]
        errors.append(state["re"][0] + 1j * state["im"][0] - exact)
    lost = np.mean(errors[1000:], axis=0) * (1 - transition)
    assert not state["overflow"].any()
    assert np.abs(1 / (1 - transition)).max() > 20
    assert abs(lost.real.mean()) < 0.25
    assert abs(lost.imag.mean()) < 0.25


@pytest.mark.parametrize("variant", ["dense", "sparse", "bounded"])
def test_whole_clip_streaming_and_batch_agree_bit_for_bit(variant):
    integers = program(variant)
    clips = np.stack([integers.encode(magnitudes(300, seed)) for seed in (1, 2)])
    whole = engine.run(integers, clips)
    stream = engine.Stream(integers)
    np.testing.assert_array_equal(np.stack([stream.step(frame) for frame in clips[0].T], axis=1), whole[0])
    np.testing.assert_array_equal(engine.run(integers, clips[1]), whole[1])
    at_once = engine.Stream(integers)
    at_once.run(np.ascontiguousarray(clips[:1].transpose(0, 2, 1)))
    frame_by_frame = stream.state()
    for name, expected in at_once.state().items():  # states, their ranges, counts of overflow
        np.testing.assert_array_equal(frame_by_frame[name], expected, err_msg=name)
    assert len(np.unique(whole)) > 1000


@pytest.mark.parametrize("variant", ["dense_qat", "sparse"])
def test_stored_program_gives_lavas_integers(variant):
    with np.load(GOLDEN / f"s5_{variant}.npz", allow_pickle=False) as stored:
        x, y = stored["x"], stored["y"]
    assert x.shape[1] >= 200
    np.testing.assert_array_equal(engine.run(netx.read(GOLDEN / f"s5_{variant}.net"), x), y)


@pytest.mark.lava
@pytest.mark.parametrize("variant", ["dense", "sparse", "bounded"])
def test_program_runs_in_lava_bit_for_bit(variant):
    integers = program(variant)
    x = integers.encode(magnitudes(200, seed=7))
    np.testing.assert_array_equal(lava_bridge.run(integers, x), engine.run(integers, x))


def test_a_stored_program_denoises_with_the_same_bounded_mask(tmp_path):
    net, integers = network("bounded"), program("bounded")
    assert [(node.ssm.relu, node.relu, node.ends_in_relu) for node in integers.nodes[1:-1]] == [(True, True, False)] * 3
    netx.write(tmp_path / "program.net", integers)
    again = netx.read(tmp_path / "program.net")
    rng = np.random.default_rng(0)
    noisy = 0.2 * np.sin(0.4 * np.arange(8000)) + 0.05 * rng.standard_normal(8000)
    denoised = Denoiser(again).denoise(noisy)
    stream = Denoiser(again)
    pieces = [stream.push(piece) for piece in np.append(noisy, np.zeros(stream.delay_samples)).reshape(-1, 16)]
    np.testing.assert_array_equal(np.concatenate(pieces)[stream.delay_samples :], denoised)
    np.testing.assert_array_equal(Denoiser(again).denoise(noisy / 4), denoised / 4)  # its level does not matter
    parent = denoise(net, noisy)
    assert np.sqrt(np.mean((denoised - parent) ** 2)) < 0.05 * parent.std()
    mask = again.mask(engine.run(again, again.encode(magnitudes(100))))
    assert 0 <= mask.min() < mask.max() <= 1


def test_effective_macs_are_nonzero_activations_times_nonzero_weights():
    integers = program("sparse")
    x = integers.encode(magnitudes(50))
    _, activity = engine.record(integers, x)
    synops = dict(zip(activity.layers, activity.synops_per_step, strict=True))
    assert list(synops)[:4] == ["frames", "encoder", "block0.state", "block0.z"]
    encoder, block, decoder = integers.nodes[0], integers.nodes[1], integers.nodes[-1]
    np.testing.assert_array_equal(synops["frames"], _products(encoder.weight, x.T))
    after = encoder.run(encoder.init(1), x.T[None])[0]
    into = sum(_products(weight, after) for weight in (block.ssm.b_re, block.ssm.b_im, np.diag(block.ssm.d)))
    np.testing.assert_array_equal(synops["encoder"], into)
    _, sent = block.observed(block.init(1), after[None])
    readout = np.concatenate([block.ssm.c_re, block.ssm.c_im], axis=1)
    np.testing.assert_array_equal(synops["block0.state"], _products(readout, sent["state"][0]))
    np.testing.assert_array_equal(synops["block0.z"], _products(block.gate.weight, sent["z"][0]))
    events = dict(zip(activity.layers, activity.events_per_step, strict=True))
    assert 0 < events["block0.state"].mean() < sent["state"].shape[2]
    assert synops["block2"].sum() <= events["block2"].sum() * len(decoder.weight)
    assert activity.state_min[2] < 0 < activity.state_max[2]


def _products(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.einsum("oi,ti->t", (weight != 0).astype(int), (x != 0).astype(int))


def test_pruned_weights_stay_zero_and_4_bits_are_4_bits():
    nodes = program("sparse_4bit").nodes
    assert max(np.abs(nodes[1].ssm.b_re).max(), np.abs(nodes[0].weight).max()) <= 8
    weights = [
        nodes[0].weight,
        nodes[-1].weight,
        *(getattr(n.ssm, name) for n in nodes[1:-1] for name in ("b_re", "c_re")),
    ]
    assert 0.05 < sum(np.count_nonzero(w) for w in weights) / sum(w.size for w in weights) <= 0.31


def test_a_feature_that_hardly_ever_fires_leaves_the_integers_to_the_others():
    """Relative rounding error of the direct path where features fire, beside that with the usual floor of BatchNorm."""
    source, errors = network("sparse"), {}
    usual = source.settings.variance_floor
    for floor in (usual, 1e-5):
        net = models.build(source.settings.model_copy(update={"variance_floor": floor})).eval()
        net.load_state_dict(source.state_dict())
        for block in net.blocks:
            block.norm.running_var[:] = 0.25
            block.norm.running_var[:4] = 1e-12
        exact = [block.folded(net.sparsifier, f"block{i}").d[4:] for i, block in enumerate(net.blocks)]
        ssms = [node.ssm for node in program_of(net).nodes[1:-1]]
        assert len(exact) == len(ssms) == 3
        errors[floor] = [
            np.std(ssm.d[4:] * 2.0**-ssm.d_exp - d.detach().numpy()) / np.std(d.detach().numpy())
            for ssm, d in zip(ssms, exact, strict=True)
        ]
    assert max(errors[usual]) < 0.25
    assert min(np.divide(errors[1e-5], errors[usual])) > 3


def test_weights_of_silent_features_are_clipped_for_the_others():
    """In the program and in training: the folded weights of one silent feature are 15 times those of the others."""
    net = models.build(network("sparse").settings).eval()
    net.load_state_dict(network("sparse").state_dict())
    with torch.no_grad():
        for block in net.blocks:
            block.norm.running_mean.zero_()
            block.norm.running_var.fill_(0.25)[0] = 1e-12
            block.norm.weight.fill_(1)
            block.d.copy_(torch.linspace(0.51, 0.98, len(block.d)))
    net.quantizer.switch(True)
    for index, (block, node) in enumerate(zip(net.blocks, program_of(net).nodes[1:-1], strict=True)):
        folded = block.folded(net.sparsifier, f"block{index}")
        assert node.ssm.d_exp > weight_exponent(folded.d, 8)
        assert node.ssm.b_exp > weight_exponent(folded.b, 8)
        seen = quantized(folded, net.quantizer)
        np.testing.assert_array_equal(seen.d.detach(), node.ssm.d * 2.0**-node.ssm.d_exp)
        np.testing.assert_array_equal(seen.b[0].detach(), node.ssm.b_re * 2.0**-node.ssm.b_exp)


def test_a_checkpoint_without_observed_ranges_is_refused(tmp_path):
    models.save(models.build(network("dense").settings), tmp_path / "checkpoint.safetensors")
    with pytest.raises(UserError, match="ranges were observed"):
        quantize_checkpoint(tmp_path / "checkpoint.safetensors")


@pytest.mark.parametrize(("name", "value"), [("encoder", torch.nan), ("blocks.1.norm.running_var", torch.inf)])
def test_a_checkpoint_with_nan_or_infinity_is_refused(name, value, tmp_path):
    model = models.build(network("dense").settings)
    state = network("dense").state_dict()
    model.load_state_dict(state | {name: torch.full_like(state[name], value)})
    models.save(model, tmp_path / "checkpoint.safetensors")
    with pytest.raises(UserError, match=r"checkpoint\.safetensors: holds NaN or infinity"):
        quantize_checkpoint(tmp_path / "checkpoint.safetensors")


@pytest.mark.parametrize(
    ("name", "extent", "match"),
    [
        ("input", 146.0, "input's range of 146 leaves -1 .* train with more qat.activation_bits"),
        ("input", 0.09, "input's range of 0.09 leaves 18 .* 0 to 16; train on louder clips"),
        ("decoder", 250.0, "decoder's range of 250 leaves -2 .* train with more qat.activation_bits"),
        ("decoder", 1e-8, "decoder's range of 1e-08 leaves 41 .* 0 to 30; train on louder clips"),
    ],
)
def test_a_range_that_no_program_can_hold_is_refused_before_anything_is_written(tmp_path, name, extent, match):
    source = network("dense_qat")
    qat = Qat(activation_bits=8 if extent > 1 else 16)
    net = models.build(source.settings.model_copy(update={"qat": qat}))
    net.load_state_dict(source.state_dict())
    net.quantizer.extents[net.quantizer.index[name]] = extent
    models.save(net, tmp_path / "checkpoint.safetensors")
    app = Typer()
    app.command()(command)
    arguments = ["--checkpoint", str(tmp_path / "checkpoint.safetensors"), "--out", str(tmp_path / "program.net")]
    with pytest.raises(UserError, match=match):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not (tmp_path / "program.net").exists()


@pytest.mark.parametrize("extent", [101.0, 0.3])
def test_the_widest_ranges_that_a_program_can_hold_are_read_back(tmp_path, extent):
    """101 fits into 8 bits with none below the point, 0.3 into 16 bits with 16."""
    source = network("dense_qat")
    net = models.build(source.settings.model_copy(update={"qat": Qat(activation_bits=8 if extent > 1 else 16)})).eval()
    net.load_state_dict(source.state_dict())
    net.quantizer.extents[net.quantizer.index["input"]] = extent
    netx.write(tmp_path / "program.net", program_of(net))
    again = netx.read(tmp_path / "program.net")
    assert again.input_exp == (0 if extent > 1 else 16)
    np.testing.assert_array_equal(again.encode(np.full((33, 1), 1.0)), 1 << again.input_exp)
