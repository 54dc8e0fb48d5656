"""The sigma-delta network against lava-dl slayer: same weights, same input, same messages, outputs and gradients."""

import sys
from pathlib import Path

import pytest
import torch
from torchmetrics.audio import ScaleInvariantSignalNoiseRatio

from ndns import models
from ndns.config import FrontEnd
from ndns.config import Sdnn as Settings
from ndns.errors import UserError
from ndns.metrics.si_snr import si_snr
from ndns.models import Sdnn, from_slayer_state_dict, load_slayer, to_slayer_state_dict

sys.path.insert(0, str(Path(__file__).parent))
from slayer_network import SlayerNetwork


def network(hidden=48, delays=True, seed=5, **settings):
    """A network with weights large enough to keep all layers busy and delays spread over their range."""
    model = Sdnn(Settings(hidden=hidden, **settings), seed=seed)
    with torch.no_grad():
        for index in (1, 2, 3):
            model.get_parameter(f"weight{index}").mul_(3)
        for delay in (model.delay1, model.delay2):
            delay.mul_(20 if delays else 0)
    return model


def magnitudes(batch=2, frames=90, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 4 * torch.rand(batch, 257, 1, generator=generator) * torch.rand(batch, 257, frames, generator=generator) ** 2


@pytest.mark.parametrize("delays", [False, True])
@pytest.mark.parametrize("hidden", [16, 48])
def test_messages_and_output_equal_slayer_bit_for_bit(hidden, delays):
    model = network(hidden, delays)
    magnitude = magnitudes()
    with torch.no_grad():
        theirs = SlayerNetwork(model).messages(magnitude)
        raw = model.mask_output(magnitude)
        sent = model.events(magnitude)
    assert torch.equal(raw, theirs[-1])
    assert torch.equal(sent["input"], theirs[0])
    assert torch.equal(sent["hidden1"], theirs[1])
    assert torch.equal(sent["hidden2"], theirs[2])
    assert all((messages != 0).float().mean() > 0.01 for messages in sent.values())


@pytest.mark.parametrize("delays", [False, True])
def test_gradients_equal_slayer(delays):
    model = network(delays=delays)
    reference = SlayerNetwork(model)
    magnitude = magnitudes(seed=1)
    weight = torch.randn(2, 257, 90, generator=torch.Generator().manual_seed(2))
    (model.mask_output(magnitude) * weight).sum().backward()
    (reference(magnitude) * weight).sum().backward()
    theirs = {name: parameter.grad for name, parameter in reference.named_parameters() if parameter.grad is not None}
    ours = to_slayer_state_dict_of_gradients(model)
    for name, gradient in ours.items():
        expected = theirs[name].reshape(gradient.shape)
        assert expected.abs().max() > 0, name
        error = (gradient - expected).abs().max() / expected.abs().max()
        assert error < 1e-4, f"{name}: {error}"


@pytest.mark.parametrize(
    ("settings", "batch", "frames"),
    [
        ({"hidden": 1, "max_delay": 0}, 1, 30),
        ({"hidden": 7, "threshold": 0.3, "max_delay": 5, "offset": -0.5}, 3, 65),
        ({"hidden": 33, "front_end": FrontEnd(n_fft=96, hop=24)}, 2, 2),
    ],
)
def test_odd_sizes_equal_slayer(settings, batch, frames):
    model = network(**settings)
    reference = SlayerNetwork(model)
    magnitude = magnitudes(batch, frames)[:, : model.weight1.shape[1]]
    ours, theirs = model.mask_output(magnitude), reference(magnitude)
    assert torch.equal(ours, theirs)
    for output in (ours, theirs):
        (output * magnitude).sum().backward()
    expected = reference.blocks[1].synapse.weight.grad.reshape(model.weight1.shape)
    assert torch.allclose(model.weight1.grad, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item() + 1e-12)


def test_loss_is_the_challenges():
    """train_sdnn.py: 0.001 * MSE of magnitudes + 100 - mean SI-SNR, noisy phase, rectangular centred frames."""
    model = network()
    generator = torch.Generator().manual_seed(4)
    clean = 0.1 * torch.randn(2, 8000, generator=generator).cumsum(-1).sin()
    noisy = clean + 0.05 * torch.randn(2, 8000, generator=generator)
    window = torch.ones(512)
    spectra, target = (torch.stft(x, 512, window=window, return_complex=True) for x in (noisy, clean))
    with torch.no_grad():
        mask = torch.relu(SlayerNetwork(model)(spectra.abs()) + 1)
        phase = spectra.angle()
        mixed = torch.complex(spectra.abs() * mask * torch.cos(phase), spectra.abs() * mask * torch.sin(phase))
        denoised = torch.istft(mixed, 512, window=window, length=8000)
        score = ScaleInvariantSignalNoiseRatio()(denoised, clean)
        expected = 0.001 * torch.mean((spectra.abs() * mask - target.abs()) ** 2) + 100 - score
        output = model(noisy)
        assert model.loss(output, clean).item() == pytest.approx(expected.item(), abs=0.02)
        assert si_snr(output.denoised, denoised).min() > 40


def to_slayer_state_dict_of_gradients(model):
    """Gradients of the network under slayer's names: weights of the three layers and the two delays."""
    shadow = Sdnn(model.settings)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            shadow.get_parameter(name).copy_(parameter.grad)
    names = ("synapse.weight", "delay.delay")
    return {key: value for key, value in to_slayer_state_dict(shadow).items() if key.endswith(names)}


def test_weights_travel_both_ways():
    model = network()
    again = from_slayer_state_dict(to_slayer_state_dict(model))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name


@pytest.mark.parametrize("mask_delay", [0, 1, 3])
def test_step_equals_the_whole_clip(mask_delay):
    model = network(mask_delay=mask_delay)
    magnitude = magnitudes()
    with torch.no_grad():
        whole = model.mask_output(magnitude)
    state, frames = None, []
    for t in range(magnitude.shape[-1]):
        raw, state = model.step(magnitude[..., t], state)
        frames.append(raw)
    assert torch.equal(torch.stack(frames, dim=-1), whole)


def test_mask_delay_shifts_the_mask_against_the_spectrum():
    noisy = 0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(3))
    outputs = []
    for mask_delay in (0, 1, 2):
        model = network(mask_delay=mask_delay)
        with torch.no_grad():
            magnitude = torch.stft(noisy, 512, 128, window=torch.ones(512), return_complex=True).abs()
            raw, denoised = model.mask_output(magnitude), model(noisy).magnitude
        outputs.append(denoised)
        inner = slice(4, -4)
        shifted = torch.roll(torch.relu(raw + 1), 1 - mask_delay, dims=-1)
        assert torch.allclose(denoised[..., inner], (magnitude * shifted)[..., inner], atol=1e-5)
    assert not torch.allclose(outputs[0], outputs[1])


def test_delays_are_clamped():
    model = network(max_delay=7)
    with torch.no_grad():
        model.delay1.fill_(100)
        model.mask_output(magnitudes(frames=4))
    assert model.delay1.max() == 7


def test_checkpoint_round_trip_and_broken_files(tmp_path):
    model = network()
    models.save(model, tmp_path / "c.safetensors")
    again = models.load(tmp_path / "c.safetensors")
    assert again.settings == model.settings
    assert torch.equal(again.mask_output(magnitudes()), model.mask_output(magnitudes()))
    data = (tmp_path / "c.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"cut\.safetensors: not a safetensors file"):
        models.load(tmp_path / "cut.safetensors")
    with pytest.raises(UserError, match=r"absent\.safetensors: no such checkpoint"):
        models.load(tmp_path / "absent.safetensors")


def test_pickles_and_wrong_state_dicts_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"x": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match=r"evil\.pt"):
        load_slayer(tmp_path / "evil.pt")
    states = to_slayer_state_dict(network())
    states.pop(next(key for key in states if key.endswith("synapse.weight")))
    torch.save(states, tmp_path / "short.pt")
    with pytest.raises(UserError, match=r"short\.pt"):
        load_slayer(tmp_path / "short.pt")


def test_released_network_equals_slayer(shared_data):
    model = load_slayer(shared_data / "peer_weights" / "intel_sdnn" / "network.pt")
    assert tuple(model.weight1.shape) == (512, 257)
    magnitude = magnitudes(1, 60)
    with torch.no_grad():
        assert torch.equal(model.mask_output(magnitude), SlayerNetwork(model)(magnitude))
