"""The Fourier transform around a network while it trains: whole clips, centred frames, as in the N-DNS baseline.

A deployed network sees the causal frames of `ndns.audio.stft` instead. Frame `t` here is centred on sample `t * hop`
and mirrored at the clip's edges; the causal frame `t` ends at sample `(t + 1) * hop`. Away from the edges both cut
the same frames, `n_fft / 2 / hop` frames apart.
"""

import torch

from ndns.config import FrontEnd


def stft(samples: torch.Tensor, front_end: FrontEnd) -> torch.Tensor:
    """Return the complex spectra `(batch, bin, frame)` of `samples` `(batch, samples)`: `1 + samples // hop` frames.

    Raises:
        RuntimeError: the signal is not longer than half a frame, which the mirrored edge needs.
    """
    return torch.stft(
        samples, front_end.n_fft, front_end.hop, window=_window(front_end, samples), center=True, return_complex=True
    )


def istft(spectra: torch.Tensor, samples: int, front_end: FrontEnd) -> torch.Tensor:
    """Return `(batch, samples)` from complex spectra `(batch, bin, frame)`: least-squares overlap-add."""
    window = _window(front_end, spectra.real)
    return torch.istft(spectra, front_end.n_fft, front_end.hop, window=window, center=True, length=samples)


def _window(front_end: FrontEnd, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(front_end.frames().taper(), dtype=like.dtype, device=like.device)
