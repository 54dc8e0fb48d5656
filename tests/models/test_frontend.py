"""The training front end beside torch's own transforms."""

import pytest
import torch

from ndns.config import FrontEnd
from ndns.models.frontend import istft, masked_istft, moduli, stft

FRONT_ENDS = [
    FrontEnd(),
    FrontEnd(window="sqrt_hann"),
    FrontEnd(n_fft=64, hop=16),
    FrontEnd(n_fft=64, hop=32),
    FrontEnd(n_fft=63, hop=21, window="sqrt_hann"),
]


def window(front_end):
    return torch.from_numpy(front_end.frames().taper())


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
@pytest.mark.parametrize("samples", [1000, 1280, 5001])
def test_transforms_and_gradient_equal_torch(front_end, samples):
    generator = torch.Generator().manual_seed(samples)
    noisy, factor = torch.randn(2, 2, samples, dtype=torch.float64, generator=generator)
    spectra = stft(noisy, front_end)
    theirs = torch.stft(noisy, front_end.n_fft, front_end.hop, window=window(front_end), return_complex=True)
    assert torch.allclose(spectra, theirs, atol=1e-12)
    mask = torch.rand(spectra.shape, dtype=torch.float64, generator=generator).requires_grad_()
    ours = masked_istft(spectra, mask, samples, front_end)
    expected = torch.istft(theirs * mask, front_end.n_fft, front_end.hop, window=window(front_end), length=samples)
    assert torch.allclose(ours, expected, atol=1e-12)
    gradients = [torch.autograd.grad((value * factor).sum(), mask)[0] for value in (ours, expected)]
    assert torch.allclose(*gradients, atol=1e-12)
    assert gradients[0].abs().max() > 0.1


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
def test_a_mask_of_ones_gives_the_clip_back(front_end):
    noisy = torch.randn(3, 2345, generator=torch.Generator().manual_seed(1))
    spectra = stft(noisy, front_end)
    ones = torch.ones(spectra.shape)
    assert torch.allclose(masked_istft(spectra, ones, 2345, front_end), noisy, atol=1e-5)
    assert torch.allclose(istft(spectra, 2345, front_end), noisy, atol=1e-5)


def test_moduli_equal_torch_within_a_rounding():
    spectra = stft(torch.randn(2, 3000, generator=torch.Generator().manual_seed(2)), FrontEnd())
    ours, theirs = moduli(spectra), spectra.abs()
    assert ours.shape == theirs.shape
    assert torch.allclose(ours, theirs, rtol=3e-7, atol=0)
    assert torch.equal(moduli(spectra.to(torch.complex128)), spectra.to(torch.complex128).abs())
