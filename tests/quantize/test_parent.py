"""The float parent of a program: frames and timing of the deployed integers; what rounding costs, clip by clip."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ndns import models
from ndns.audio import stft
from ndns.audio.io import to_pcm16, write_pcm16
from ndns.config import FrontEnd, Sdnn
from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.loihi2.denoiser import Denoiser
from ndns.metrics.si_snr import si_snr
from ndns.quantize import parent
from ndns.quantize.checkpoint import quantize_checkpoint
from ndns.quantize.cli import command
from ndns.quantize.parent import denoise, write_parent

sys.path.insert(0, str(Path(__file__).parent))
from s5_network import trained


def sound(samples: int, seed: int = 0, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A noisy and a clean tone, cut to full scale, on the PCM16 grid: a file holds exactly these samples."""
    generator = np.random.default_rng(seed)
    clean = 0.3 * np.sin(2 * np.pi * 900 * np.arange(samples) / 16000)
    noisy = clean + 0.1 * generator.standard_normal(samples)
    return tuple(np.clip(np.rint(32768 * gain * x), -32768, 32767) / 32768 for x in (noisy, clean))


def manifest(folder: Path, *pairs: tuple[np.ndarray, np.ndarray]) -> Path:
    rows = []
    for index, pair in enumerate(pairs):
        row = {"clip": f"c{index}"}
        for part, samples in zip(("noisy", "clean"), pair, strict=True):
            row[part] = f"{part}{index}.flac"
            write_pcm16(folder / row[part], to_pcm16(samples))
        rows.append(row)
    write_csv(folder / "val.csv", rows, ["clip", "noisy", "clean"])
    return folder / "val.csv"


@pytest.fixture(scope="module")
def s5() -> models.S5:
    return trained("sparse")


@pytest.fixture
def checkpoint(s5, tmp_path) -> Path:
    models.save(s5, tmp_path / "checkpoint.safetensors")
    return tmp_path / "checkpoint.safetensors"


@pytest.mark.parametrize("mask_delay", [0, 1, 3])
def test_a_network_with_its_own_integers_gives_the_deployed_samples(mask_delay, tmp_path):
    """Float network and program of a sigma-delta network hold the same numbers, so framing and timing must agree."""
    settings = Sdnn(hidden=24, threshold=0.13, mask_delay=mask_delay, front_end=FrontEnd(n_fft=64, hop=16))
    network = models.build(settings, seed=3)
    with torch.no_grad():
        for weight in (network.weight1, network.weight2, network.weight3):
            weight.mul_(3)
    models.save(network, tmp_path / "checkpoint.safetensors")
    noisy, _ = sound(1003)
    deployed = Denoiser(quantize_checkpoint(tmp_path / "checkpoint.safetensors")).denoise(noisy)
    found = denoise(network.eval(), noisy)
    assert np.std(deployed - noisy) > 0.02
    np.testing.assert_allclose(found, deployed, atol=1e-6)


def test_frames_are_causal_and_masks_those_of_single_steps(s5):
    noisy, _ = sound(995)
    frames = s5.front_end.frames()
    spectra = stft.encode(noisy, frames)
    state, masks = None, []
    for frame in torch.from_numpy(np.abs(spectra.T)).float():
        raw, state = s5.step(frame[None], state)
        masks.append(np.maximum(1 + raw[0].double().numpy(), 0))
    expected = stft.decode(np.stack(masks, axis=1) * spectra, len(noisy), frames)
    np.testing.assert_allclose(denoise(s5, noisy), expected, atol=1e-3)


def test_table_has_both_networks_and_counts_what_leaves_full_scale(s5, checkpoint, tmp_path):
    quiet, loud = sound(8000), sound(8000, 1, gain=3.3)
    mix = manifest(tmp_path, quiet, loud, (quiet[0], 0 * quiet[1]))
    command(checkpoint=checkpoint, mix=mix, parent=tmp_path / "parent.csv")
    rows = read_csv(tmp_path / "parent.csv")
    assert [row["clip"] for row in rows] == ["c0", "c1", "c2"]
    assert rows[2]["si_snr_float"] == rows[2]["si_snr_rounded"] == ""
    for kind, on in (("float", False), ("rounded", True)):
        s5.quantizer.enabled = on
        for row, (noisy, clean) in zip(rows, (quiet, loud), strict=False):
            out = 32768 * denoise(s5, noisy)
            cut = np.clip(np.rint(out), -32768, 32767)
            assert float(row[f"si_snr_{kind}"]) == pytest.approx(float(si_snr(cut / 32768, clean)), abs=1e-6)
            assert int(row[f"limited_{kind}"]) == np.count_nonzero(np.rint(out) != cut)
    assert int(rows[0]["limited_float"]) == 0 < int(rows[1]["limited_float"])
    assert all(row["si_snr_float"] != row["si_snr_rounded"] for row in rows[:2])


def test_a_network_without_rounding_of_its_own_runs_once_a_clip(tmp_path, monkeypatch):
    models.save(models.build(Sdnn(hidden=8), seed=3), tmp_path / "sdnn.safetensors")
    ran = []
    monkeypatch.setattr(parent, "denoise", lambda *given: ran.append(given) or denoise(*given))
    write_parent(tmp_path / "sdnn.safetensors", manifest(tmp_path, sound(4000), sound(4000, 1)), tmp_path / "p.csv")
    for row in read_csv(tmp_path / "p.csv"):
        assert row["si_snr_float"] == row["si_snr_rounded"] != ""
        assert row["limited_float"] == row["limited_rounded"] == "0"
    assert len(ran) == 2


def test_rounding_of_the_parent_explains_the_integers(s5, checkpoint):
    """The rounded float network is nearer to the integers than the float network is."""
    noisy, _ = sound(8000)
    integers = Denoiser(quantize_checkpoint(checkpoint)).denoise(noisy)
    distance = {}
    for on in (False, True):
        s5.quantizer.enabled = on
        distance[on] = np.std(denoise(s5, noisy) - integers)
    assert 0 < distance[True] < 0.6 * distance[False]


def test_wrong_input_gets_a_sentence_and_leaves_nothing(checkpoint, tmp_path):
    out = tmp_path / "parent.csv"
    mix = manifest(tmp_path, (np.zeros(320), np.zeros(300)))
    with pytest.raises(UserError, match="'c0' differ in length"):
        write_parent(checkpoint, mix, out)
    write_csv(mix, [], ["clip", "noisy", "clean"])
    with pytest.raises(UserError, match="holds no clips"):
        write_parent(checkpoint, mix, out)
    with pytest.raises(UserError, match="belong together"):
        command(checkpoint=checkpoint, parent=out)
    with pytest.raises(UserError, match="belong together"):
        command(import_=checkpoint, mix=mix, parent=out)
    with pytest.raises(UserError, match="nothing to write"):
        command(checkpoint=checkpoint)
    assert not out.exists()
