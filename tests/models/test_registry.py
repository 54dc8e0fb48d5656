"""Checkpoints and imported weights: what is read, and what is refused with its reason."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from ndns import models
from ndns.config import S5, FrontEnd
from ndns.config import Sdnn as Settings
from ndns.errors import UserError

SETTINGS = Settings(hidden=8)


def state(**changes):
    """slayer's state dict of a small network, with changes; None removes a key."""
    whole = models.to_slayer_state_dict(models.Sdnn(SETTINGS)) | changes
    return {name: value for name, value in whole.items() if value is not None}


def test_initial_values_are_portable_and_seeded():
    first, again, other = (models.build(SETTINGS, seed) for seed in (1, 1, 2))
    assert torch.equal(first.weight2, again.weight2)
    assert not torch.equal(first.weight2, other.weight2)
    assert first.weight1.abs().max() <= 1 / 257**0.5
    assert (first.weight1.flatten()[0].item(), first.delay2[-1].item()) == (0.001474825432524085, 0.06052996218204498)
    assert 0 <= first.delay1.min() <= first.delay1.max() < 1


def test_unknown_kind_and_too_small_threshold_are_named():
    with pytest.raises(UserError, match=r"network\.kind: 'rnn' is not one of"):
        models.build(SimpleNamespace(kind="rnn"))
    with pytest.raises(UserError, match=r"threshold: 0\.01 is below the chip's step 1/64"):
        models.build(Settings(threshold=0.01))


@pytest.mark.parametrize(
    ("metadata", "tensors", "reason"),
    [
        ({}, {}, "lacks the network's settings"),
        ({"ndns": "{"}, {}, "lacks the network's settings"),
        ({"ndns": '{"kind": "rnn"}'}, {}, "a network of kind 'rnn' is unknown"),
        ({"ndns": '{"kind": ["sdnn"]}'}, {}, "is unknown; known are"),
        ({"ndns": '{"kind": "sdnn", "hidden": -1}'}, {}, "wrong settings in its metadata"),
        ({}, {"delay1": None}, "delay1 has the shape none"),
        ({}, {"extra": torch.zeros(1)}, "extra has the shape"),
        ({}, {"weight1": torch.zeros(8, 256)}, r"weight1 has the shape \(8, 256\)"),
        ({}, {"weight1": torch.full((8, 257), torch.nan)}, "holds NaN or infinity"),
        ({}, {"weight1": torch.full((8, 257), torch.nan).to(torch.float8_e4m3fn)}, "holds NaN or infinity"),
    ],
)
def test_checkpoints_that_do_not_fit_are_refused(tmp_path, metadata, tensors, reason):
    if tensors:
        metadata = {"ndns": json.dumps(SETTINGS.model_dump())}
    whole = models.Sdnn(SETTINGS).state_dict() | tensors
    path = tmp_path / "c.safetensors"
    save_file({name: value for name, value in whole.items() if value is not None}, path, metadata=metadata)
    with pytest.raises(UserError, match=rf"c\.safetensors: .*{reason}"):
        models.load(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"blocks.2.synapse.weight": None}, r"blocks\.2\.synapse\.weight is missing"),
        ({"blocks.2.synapse.weight": torch.zeros(8, 9, 1, 1, 1)}, r"has the shape \(8, 9\), not \(8, 8\)"),
        ({"blocks.2.synapse.weight": torch.zeros(8, 8, 3, 3, 1)}, r"not \(receivers, senders, 1, 1, 1\)"),
        ({"blocks.3.synapse.weight": torch.zeros(257, 8)}, "should be a float tensor of 5 dimensions"),
        ({"blocks.1.synapse.weight": torch.full((8, 257, 1, 1, 1), torch.nan)}, "NaN or infinity"),
        ({"blocks.1.delay.delay": torch.zeros(1)}, "holds 1 delays, the layer has 8 neurons"),
        ({"blocks.1.neuron.bias": torch.ones(1)}, "is not zero; this network has no biases"),
        ({"blocks.1.neuron.delta.threshold": torch.full((1,), 0.25)}, "thresholds differ"),
        ({"blocks.4.synapse.weight": torch.zeros(1)}, "is not part of the challenge's network"),
        ({"blocks.2.delay.delay": "seven"}, "found str"),
    ],
)
def test_state_dicts_that_do_not_fit_are_refused(changes, reason):
    with pytest.raises(UserError, match=reason):
        models.from_slayer_state_dict(state(**changes))


def test_networks_without_delays_stay_without():
    model = models.from_slayer_state_dict(state(**{"blocks.1.delay.delay": None, "blocks.2.delay.delay": None}))
    assert model.settings.max_delay == 0
    assert not model.delay1.any()


def test_delays_beyond_the_chip_are_clamped():
    model = models.from_slayer_state_dict(state(**{"blocks.2.delay.delay": torch.full((8,), 64.0)}))
    assert model.settings.max_delay == 62
    assert model.delay2.max() == 62


@pytest.mark.parametrize(("name", "delay"), [("intel_sdnn", 62), ("intel_sdnn_nodelay", 0)])
def test_released_networks(shared_data, name, delay):
    path = shared_data / "peer_weights" / name / "network.pt"
    model = models.load_slayer(path)
    assert (model.settings.hidden, model.threshold, model.settings.max_delay) == (512, 6 / 64, delay)
    assert model.delay2.max() == delay
    released = torch.load(path, weights_only=True, map_location="cpu")
    for key, value in models.to_slayer_state_dict(model).items():
        assert torch.equal(value, released[key].clamp(max=62) if "delay.delay" in key else released[key]), key


def small(**changes):
    """A small S5 with values that no other seed has."""
    return S5(kind="s5", width=0.0625, blocks=1, **changes)


def test_weights_of_another_model_are_taken_over_and_pruned_anew():
    pruned = models.build(small(sparsity={"density": 0.2}), 1).eval()
    pruned.on_progress(1.0)
    network = models.build(small(sparsity={"density": 0.5}, qat={}), 2).eval()
    magnitude = torch.rand(2, 257, 40, generator=torch.Generator().manual_seed(1))
    assert not torch.allclose(network.mask_output(magnitude), pruned.mask_output(magnitude), atol=0.1)
    models.take_over(network, pruned, "parent")
    assert torch.equal(network.mask_output(magnitude), pruned.mask_output(magnitude))
    assert all(network.get_buffer(f"sparsifier.mask_{name}").all() for name in ("encoder", "decoder", "block0_b"))
    assert network.sparsifier.calls == 0
    models.take_over(models.build(small(), 3), pruned, "parent")


def test_a_recurrence_keeps_its_time_constants_with_frames_twice_as_far_apart():
    parent, child = models.build(small(), 1), models.build(small(front_end=FrontEnd(window="sqrt_hann", hop=256)), 2)
    models.take_over(child, parent, "parent")
    a, twice = (n.blocks[0].discrete(n.blocks[0].b, n.blocks[0].c)[0] for n in (parent, child))
    a, twice = (torch.complex(*part.double()) for part in (a, twice))
    assert torch.allclose(a**2, twice, rtol=0, atol=1e-6)
    assert (a - twice).abs().max() > 0.1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(hidden=8), "of kind 's5', not 'sdnn'"),
        (small(front_end=FrontEnd(n_fft=256, hop=64)), r"encoder does not have the shape \(12, 129\)"),
        (S5(kind="s5", width=0.0625, blocks=2), "blocks.1"),
    ],
)
def test_initial_weights_that_do_not_fit_are_refused(settings, reason):
    with pytest.raises(UserError, match=f"^parent: .*{reason}"):
        models.take_over(models.build(settings), models.build(small()), "parent")


def test_initial_weights_of_a_larger_network_are_refused():
    network = models.build(small())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UserError, match=r"^parent: quantizer\.extents does not have the shape \(6,\)"):
        models.take_over(network, models.build(S5(kind="s5", width=0.0625, blocks=2), 5), "parent")
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_network_with_delays_keeps_the_step_of_its_frames():
    network = models.build(Settings(hidden=8, front_end=FrontEnd(hop=256)))
    with pytest.raises(UserError, match="parent: frames every 128 samples, not 256"):
        models.take_over(network, models.build(SETTINGS), "parent")
