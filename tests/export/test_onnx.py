"""ONNX files in onnxruntime beside torch: the network alone, and samples to samples; a step at a time and a clip."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from ndns import models
from ndns.cli import build
from ndns.config import FrontEnd, Sdnn
from ndns.errors import UserError
from ndns.export.check import Runner, denoised, difference, masks
from ndns.export.graphs import exported

sys.path.insert(0, str(Path(__file__).parents[1] / "quantize"))
from s5_network import trained

SMALL = FrontEnd(n_fft=64, hop=16)


def sdnn(mask_delay: int, max_delay: int = 0) -> torch.nn.Module:
    """An untrained SDNN with weights and delays that make it busy."""
    model = models.build(Sdnn(hidden=40, max_delay=max_delay, mask_delay=mask_delay, front_end=SMALL), seed=2)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for index in (1, 2):
            model.get_parameter(f"delay{index}").copy_(torch.rand(40, generator=generator) * (max_delay + 0.9))
        model.weight3.mul_(3)
    return model.eval()


@pytest.fixture(scope="module")
def networks() -> dict[str, torch.nn.Module]:
    """Float S5, S5 that learned with rounding (pruned, relufied), SDNNs with all kinds of waiting."""
    return {
        "s5": trained("dense", steps=4),
        "s5_rounded": trained("dense_qat", steps=4),
        "s5_sparse": trained("sparse", steps=4),
        "s5_bounded": trained("bounded", steps=4),
        "sdnn": sdnn(1),
        "sdnn_delays": sdnn(3, max_delay=9),
        "sdnn_no_wait": sdnn(0, max_delay=2),
    }


NAMES = ("s5", "s5_rounded", "s5_sparse", "s5_bounded", "sdnn", "sdnn_delays", "sdnn_no_wait")


def close(found: np.ndarray, expected: np.ndarray, model: torch.nn.Module) -> None:
    """Equal to float32; where training rounds down, a sum just below a step may end on the other side of it."""
    rounded = hasattr(model, "quantizer") and model.quantizer.enabled
    step = 2.0 ** -model.quantizer.exponent("decoder") if rounded else 0
    np.testing.assert_allclose(found, expected, atol=2e-5 + 4 * step)
    assert np.mean(np.abs(found - expected) > 2e-5 + 2 * step) <= (0.001 if rounded else 0)
    assert np.mean(np.abs(found - expected) > 2e-5) <= (0.03 if rounded else 0)


def runner(model: torch.nn.Module, part: str, form: str) -> Runner:
    return Runner(exported(model, part, form).SerializeToString())


def samples(hops: int, seed: int = 3) -> np.ndarray:
    """A tone that stops and starts, in noise."""
    time = np.arange(hops * 16) / 16000
    tone = 0.4 * np.sin(2 * np.pi * 1300 * time) * (np.sin(2 * np.pi * 9 * time) > 0)
    return (tone + 0.1 * np.random.default_rng(seed).standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_masks_equal_torch_frame_by_frame_and_as_a_clip(networks, name):
    model = networks[name]
    magnitudes = np.abs(np.random.default_rng(0).normal(1, 1, (120, 33))).astype(np.float32)
    expected = masks(model, magnitudes)
    assert expected.std() > 0.03
    close(runner(model, "mask", "step").rows(magnitudes), expected, model)
    close(runner(model, "mask", "clip").run(magnitudes), expected, model)


def test_levels_next_to_powers_of_two_equal_torch(networks):
    """2^k itself, and the float32 numbers beside it."""
    model = networks["s5_bounded"]
    assert model.settings.level == "shift"
    step = runner(model, "mask", "step")
    for power in np.exp2(np.arange(-9, 12, dtype=np.float32)):
        for level in (np.nextafter(power, np.float32(0)), power, np.nextafter(power, np.float32(1e9))):
            step.reset()
            magnitudes = np.full((3, 33), level, np.float32)
            close(step.rows(magnitudes), masks(model, magnitudes), model)


@pytest.mark.parametrize(("pause", "loudness"), [(slice(0, 40), 1), (slice(60, 70), 1), (slice(0, 80), 1000)])
@pytest.mark.parametrize(("form", "run"), [("step", "rows"), ("clip", "run")])
def test_sound_after_silence_and_after_hum_has_torchs_level(networks, pause, loudness, form, run):
    magnitudes = loudness * np.abs(np.random.default_rng(0).normal(1, 1, (90, 33))).astype(np.float32)
    magnitudes[pause] *= 1e-5
    model = networks["s5_bounded"]
    close(getattr(runner(model, "mask", form), run)(magnitudes), masks(model, magnitudes), model)


@pytest.mark.parametrize("name", NAMES)
def test_samples_equal_torch_between_numpys_transforms(networks, name):
    model, noisy = networks[name], samples(150)
    step, clip = runner(model, "whole", "step"), runner(model, "whole", "clip")
    late, lag = step.about["delay_frames"], step.about["delay_samples"]
    assert lag == 48 + 16 * late
    assert late == {"sdnn_delays": 2}.get(name, 0)
    padded = np.concatenate([noisy, np.zeros(lag, np.float32)])
    expected = denoised(model, padded, late)
    assert np.abs(expected[lag:] - noisy).max() > 0.02
    np.testing.assert_allclose(step.rows(padded.reshape(-1, 16)).ravel(), expected, atol=1e-3)
    np.testing.assert_allclose(clip.run(noisy), expected[lag:], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_equals_the_networks_own_forward_away_from_its_edges(networks, name):
    model, noisy = networks[name], samples(200)
    with torch.no_grad():
        forward = model(torch.from_numpy(noisy)[None]).denoised[0].numpy()
    found = runner(model, "whole", "clip").run(noisy)
    assert found.shape == forward.shape
    middle = slice(1600, -400)
    error = (found - forward)[middle]
    agreement_db = 10 * np.log10((forward[middle] ** 2).mean() / (error**2).mean())
    assert agreement_db > (40 if name.startswith("s5") else 18)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 333])
def test_a_clip_of_any_length_keeps_it(networks, length):
    model = networks["sdnn_delays"]
    noisy = samples(21)[:length]
    found = runner(model, "whole", "clip").run(noisy)
    padded = np.concatenate([noisy, np.zeros(80 + -length % 16, np.float32)])
    np.testing.assert_allclose(found, denoised(model, padded, 2)[80 : 80 + length], atol=2e-5)


def test_states_start_again_after_reset_and_matter(networks):
    step = runner(networks["s5"], "mask", "step")
    rows = np.abs(np.random.default_rng(0).normal(1, 1, (5, 33)))
    first = step.rows(rows)
    assert np.abs(step.rows(rows) - first).max() > 1e-4
    step.reset()
    np.testing.assert_array_equal(step.rows(rows), first)


def test_the_file_says_what_it_is(networks):
    model = exported(networks["sdnn_delays"], "whole", "step")
    about = json.loads(model.metadata_props[0].value)
    assert (about["rate"], about["n_fft"], about["hop"], about["window"]) == (16000, 64, 16, "rectangular")
    assert about["network"]["hidden"] == 40
    names = [value.name for value in model.graph.input]
    assert names[-1] == "hop"
    assert [value.name for value in model.graph.output] == [*(f"{name}_next" for name in names[:-1]), "denoised"]
    assert {node.domain for node in model.graph.node} == {""}


def test_a_wrong_network_is_noticed(networks):
    content = exported(networks["s5"], "whole", "step").SerializeToString()
    assert difference(networks["s5"], content, True, False) < 1e-5
    assert difference(networks["s5_sparse"], content, True, False) > 0.05


def test_what_is_not_a_number_never_agrees(networks, tmp_path, monkeypatch):
    run = Runner.run
    monkeypatch.setattr(Runner, "run", lambda self, values: run(self, values) * np.nan)
    models.save(networks["s5"], tmp_path / "checkpoint.safetensors")
    arguments = ["onnx", str(tmp_path / "checkpoint.safetensors"), str(tmp_path / "out.onnx")]
    with pytest.raises(RuntimeError, match="onnxruntime and torch differ by nan"):
        CliRunner().invoke(build(), ["export", *arguments], catch_exceptions=False)
    assert not (tmp_path / "out.onnx").exists()


def test_a_network_that_mutes_everything_agrees_with_itself_alone(networks):
    model = copy.deepcopy(networks["s5"])
    with torch.no_grad():
        model.decoder.zero_()
        model.decoder_bias.fill_(-2)
    assert not masks(model, np.ones((9, 33), np.float32)).any()
    content = {name: exported(each).SerializeToString() for name, each in (("mute", model), ("s5", networks["s5"]))}
    assert difference(model, content["mute"], True, False) == 0
    assert difference(model, content["s5"], True, False) > 0.05


def test_an_unknown_network_is_refused():
    class Other(torch.nn.Module):
        settings = front_end = Sdnn(front_end=SMALL).front_end

    with pytest.raises(UserError, match="Other has no ONNX form here; known: S5, Sdnn"):
        exported(Other(), "mask", "step")


@pytest.mark.parametrize("form", ["step", "clip"])
def test_the_command_writes_what_it_checked(networks, tmp_path, form):
    models.save(networks["s5_sparse"], tmp_path / "checkpoint.safetensors")
    out = tmp_path / "network.onnx"
    arguments = ["onnx", str(tmp_path / "checkpoint.safetensors"), str(out), "--form", form]
    result = CliRunner().invoke(build(), ["export", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "largest difference from torch on noise: " in result.output
    onnx.checker.check_model(out)
    assert Runner(out).run(np.zeros(16)).shape == (16,)


def test_what_is_no_float_network_is_refused(networks, tmp_path):
    golden = Path(__file__).parents[1] / "quantize/golden/s5_sparse.net"
    for arguments, match in (
        (["onnx", str(golden)], "is no checkpoint; ONNX takes the float network"),
        (["onnx", str(golden), "--form", "loop"], "--form: 'loop' is not one of step, clip"),
        (["onnx", "absent.safetensors"], "absent.safetensors: no such file"),
    ):
        arguments.insert(2, str(tmp_path / "out.onnx"))
        with pytest.raises(UserError, match=match):
            CliRunner().invoke(build(), ["export", *arguments], catch_exceptions=False, standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


def test_the_network_itself_is_never_the_output(networks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models.save(networks["s5"], Path("a.safetensors"))
    Path("link.onnx").symlink_to("a.safetensors")
    before = Path("a.safetensors").read_bytes()
    for form in ("onnx", "netx", "nir"):
        for out in ("a.safetensors", "link.onnx"):
            with pytest.raises(UserError, match=f"{out}: is the network itself"):
                CliRunner().invoke(build(), ["export", form, "a.safetensors", out], catch_exceptions=False)
    assert Path("a.safetensors").read_bytes() == before
