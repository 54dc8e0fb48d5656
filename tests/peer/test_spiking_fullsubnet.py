"""Spiking-FullSubNet: a loop written from the description, causality, counts; the released weights where present."""

import numpy as np
import pytest
import torch

from ndns.config import Peer
from ndns.errors import UserError
from ndns.peer import spiking_fullsubnet
from ndns.peer.base import Clip
from ndns.peer.spiking_fullsubnet import (
    GatedSpiking,
    SpikingFullSubNet,
    SpikingFullSubNetPeer,
    load,
    normalised,
    proxy,
    units,
)


@pytest.fixture
def tiny():
    torch.manual_seed(1)
    model = SpikingFullSubNet(12, 10, (3, 1, 1))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "bias" in name:
                value.uniform_(-0.3, 0.3)
    return model.eval()


@torch.no_grad()
def test_neuron_against_its_equations():
    torch.manual_seed(2)
    cell = GatedSpiking(5, 4).eval()
    cell.batchnorm.running_mean.uniform_(-0.2, 0.2)
    cell.batchnorm.running_var.uniform_(0.5, 2)
    cell.bias_ih.uniform_(-0.5, 0.5)
    x = torch.randn(9, 3, 5)
    spikes = cell(x)
    potential = sent = torch.zeros(3, 4)
    for frame in range(9):
        gates = torch.cat([x[frame] @ cell.weight_ih.T + sent @ cell.weight_hh.T] * 2, dim=1) + cell.bias_ih
        keep, target = torch.sigmoid(gates[:, :4]), gates[:, 4:]
        potential = cell.batchnorm(keep * potential + (1 - keep) * target)
        sent = (potential >= 0).float()
        torch.testing.assert_close(spikes[frame], sent)
    assert 0 < spikes.mean() < 1


def test_units_reflect_at_the_ends():
    bins = torch.arange(256.0)[:, None]
    low, high = units(bins, 0, 32, 4, 15)[..., 0], units(bins, 128, 256, 64, 15)[..., 0]
    assert low.shape == (8, 34)
    assert low[0, :16].tolist() == list(range(15, -1, -1))
    assert low[1, 15] == 4
    assert high.shape == (2, 94)
    assert high[1, -15:].tolist() == list(range(254, 239, -1))


def test_causal_norm_is_the_mean_so_far_and_ends_at_the_offline_one():
    x = torch.rand(3, 4, 7) + 0.1
    causal, offline = normalised(x, "causal"), normalised(x, "offline")
    torch.testing.assert_close(causal[:, :, 2], x[:, :, 2] / x[:, :, :3].mean())
    torch.testing.assert_close(causal[:, :, -1], offline[:, :, -1])


def test_causal_network_does_not_hear_the_future(tiny):
    generator = np.random.default_rng(4)
    first = torch.from_numpy(generator.standard_normal(8000).astype(np.float32))
    second = first.clone()
    second[5000:] = 0.5
    a, b = (tiny(x)[0] for x in (first, second))
    torch.testing.assert_close(a[: 5000 - 512], b[: 5000 - 512])
    assert (a[5200:] - b[5200:]).abs().max() > 1e-3
    tiny.norm = "offline"
    assert not torch.allclose(tiny(first)[0][:4000], tiny(second)[0][:4000])


def test_counts_a_network_once_or_every_unit(tiny):
    _, counts = tiny(torch.randn(8000))
    assert [each.units for each in counts] == [1, 8, 3, 2]
    assert [each.neuron_ops for each in counts] == [64 + 24 + 64, 38 + 20 + 24, 94 + 20 + 64, 158 + 20 + 128]
    once = sum(each.synops + 10 * each.neuron_ops for each in counts) / 0.008
    more = sum((each.units - 1) * (each.synops + 10 * each.neuron_ops) for each in counts) / 0.008
    assert proxy(counts, False) == pytest.approx(once)
    assert proxy(counts, True) == pytest.approx(once + more)
    assert all(each.synops > 0 for each in counts)


def test_filter_that_passes_the_present_frame_returns_the_input(tiny):
    with torch.no_grad():
        for model, order in zip(tiny.sb_model["sb_models"], tiny.orders, strict=True):
            readout = model.fc_output_layer
            readout.weight.zero_()
            taps = torch.zeros(2, len(readout.bias) // (2 * order), order)
            taps[0, :, -1] = 1
            readout.bias.copy_(taps.flatten())
    samples = torch.randn(8000)
    torch.testing.assert_close(tiny(samples)[0], samples, atol=1e-4, rtol=0)


def test_weights_are_read_as_tensors_only(tiny, tmp_path):
    path = tmp_path / "w.bin"
    torch.save(tiny.state_dict(), path)
    again = load(path, "causal")
    samples = torch.randn(4000)
    torch.testing.assert_close(again(samples)[0], tiny(samples)[0])
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="not the weights"):
        load(path, "causal")
    torch.save({"x": Peer}, path)
    with pytest.raises(UserError, match="state dict"):
        load(path, "causal")


def test_a_clip_shorter_than_a_frame_is_heard_with_silence_after_it(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(spiking_fullsubnet, "load", lambda path, norm: tiny)
    (tmp_path / "w.bin").touch()
    peer = SpikingFullSubNetPeer(Peer(peer="spiking_fullsubnet", weights=str(tmp_path / "w.bin")))
    noisy = np.random.default_rng(0).uniform(-0.3, 0.3, 700)
    noisy[100:] = 0
    short = peer.denoise(Clip("c0", noisy[:100], tmp_path))[0]
    assert short.shape == (100,)
    np.testing.assert_allclose(short, peer.denoise(Clip("c0", noisy, tmp_path))[0][:100], atol=1e-6)
    assert short.any()


@pytest.mark.parametrize(("size", "parameters", "kilobytes"), [("s", 521, 2084), ("m", 954, 3816)])
def test_released_weights_have_the_published_size(shared_data, size, parameters, kilobytes):
    weights = shared_data / "peer_weights" / "sfsn" / f"baseline_{size}.bin"
    if not weights.is_file():
        pytest.skip("Spiking-FullSubNet's released weights are absent")
    peer = SpikingFullSubNetPeer(Peer(peer="spiking_fullsubnet", weights=str(weights)))
    assert round(peer.facts.parameters / 1000) == parameters
    assert peer.facts.size_kb * 1.024 == pytest.approx(kilobytes, abs=2), "published in units of 1000 bytes"
