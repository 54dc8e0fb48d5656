"""The Fourier transform around a network while it trains: whole clips, centred frames, as in the N-DNS baseline.

A deployed network sees the causal frames of `ndns.audio.stft` instead. Frame `t` here is centred on sample `t * hop`
and mirrored at the clip's edges; the causal frame `t` ends at sample `(t + 1) * hop`. Away from the edges both cut
the same frames, `n_fft / 2 / hop` frames apart.

Spectra are `(batch, bin, frame)` as torch's are, and as there a frame's bins lie side by side in memory.
"""

from functools import lru_cache

import torch

from ndns.config import FrontEnd


def stft(samples: torch.Tensor, front_end: FrontEnd) -> torch.Tensor:
    """Return the complex spectra `(batch, bin, frame)` of `samples` `(batch, samples)`: `1 + samples // hop` frames.

    Raises:
        RuntimeError: the signal is not longer than half a frame, which the mirrored edge needs.
    """
    half = front_end.n_fft // 2
    padded = torch.nn.functional.pad(samples[:, None], (half, half), mode="reflect")[:, 0]
    return _analyse(padded, front_end).transpose(1, 2)


def moduli(spectra: torch.Tensor) -> torch.Tensor:
    """Return |X| of complex spectra `(batch, bin, frame)`, same shape, without gradient."""
    rows = spectra.detach().transpose(1, 2)
    if rows.device.type == "cpu" and rows.dtype == torch.complex64:
        from ndns.models import kernels

        return kernels.magnitude(rows.contiguous()).transpose(1, 2)
    return rows.abs().transpose(1, 2)


def istft(spectra: torch.Tensor, samples: int, front_end: FrontEnd) -> torch.Tensor:
    """Return `(batch, samples)` from complex spectra `(batch, bin, frame)`: least-squares overlap-add."""
    window = _taper(front_end, spectra.real)
    return torch.istft(spectra, front_end.n_fft, front_end.hop, window=window, center=True, length=samples)


def masked_istft(spectra: torch.Tensor, mask: torch.Tensor, samples: int, front_end: FrontEnd) -> torch.Tensor:
    """Return `istft(spectra * mask, samples, front_end)`, differentiable with respect to the mask only, and faster.

    Args:
        spectra: complex, `(batch, bin, frame)`.
        mask: real, same shape.
        samples: length of the result.
        front_end: that the spectra were made with.
    """
    return _MaskedIstft.apply(spectra.transpose(1, 2), mask.transpose(1, 2), samples, front_end)


class _MaskedIstft(torch.autograd.Function):
    """With X, m `(batch, frame, bin)`: y = overlap-add(taper * irfft(X m)) / envelope.

    The adjoint of irfft over n samples is rfft times c / n with c = 1 at 0 Hz and at half the rate, else 2; so the
    gradient of m is `c / n * Re(conj(X) * rfft(taper * frames(g / envelope)))`.
    """

    @staticmethod
    def forward(ctx, spectra: torch.Tensor, mask: torch.Tensor, samples: int, front_end: FrontEnd) -> torch.Tensor:
        ctx.save_for_backward(spectra)
        ctx.front_end = front_end
        rows = torch.fft.irfft(spectra * mask, n=front_end.n_fft)
        if front_end.window != "rectangular":
            rows *= _taper(front_end, mask)
        start = front_end.n_fft // 2
        envelope = _envelope(front_end, mask.shape[1], mask.dtype, mask.device)
        return (_overlap_add(rows, front_end.hop) / envelope)[:, start : start + samples]

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        (spectra,) = ctx.saved_tensors
        front_end = ctx.front_end
        frames, samples = spectra.shape[1], gradient.shape[1]
        envelope = _envelope(front_end, frames, gradient.dtype, gradient.device)
        start = front_end.n_fft // 2
        padded = gradient.new_zeros(len(gradient), len(envelope))
        torch.div(gradient, envelope[start : start + samples], out=padded[:, start : start + samples])
        adjoint = _analyse(padded, front_end)
        scale = gradient.new_full((adjoint.shape[2],), 2 / front_end.n_fft)
        scale[:: (front_end.n_fft + 1) // 2] /= 2  # an odd n_fft has no bin at half the rate
        both = torch.view_as_real(spectra) * torch.view_as_real(adjoint)
        return None, torch.add(both[..., 0], both[..., 1]).mul_(scale), None, None


def _analyse(padded: torch.Tensor, front_end: FrontEnd) -> torch.Tensor:
    """Return spectra `(batch, frame, bin)` of the frames that fit in `padded` `(batch, samples)`."""
    rows = padded.unfold(1, front_end.n_fft, front_end.hop)
    if front_end.window != "rectangular":
        rows = rows * _taper(front_end, padded)
    return torch.fft.rfft(rows)


def _overlap_add(rows: torch.Tensor, hop: int) -> torch.Tensor:
    """Return `(batch, n_fft + (frames - 1) * hop)` from `rows` `(batch, frame, n_fft)`."""
    batch, frames, n_fft = rows.shape
    parts = rows.unflatten(2, (n_fft // hop, hop))
    total = rows.new_zeros(batch, frames + n_fft // hop - 1, hop)
    for index in range(n_fft // hop):
        total[:, index : index + frames] += parts[:, :, index]
    return total.flatten(1)


@lru_cache(maxsize=4)
def _envelope(front_end: FrontEnd, frames: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Sum of squared windows at each sample; 1 where it vanishes (only in the mirrored edge, which is cut off)."""
    squared = _taper(front_end, torch.empty(0, dtype=dtype, device=device)) ** 2
    envelope = _overlap_add(squared.expand(1, frames, -1), front_end.hop)[0]
    return envelope.masked_fill_(envelope < 1e-11, 1)


def _taper(front_end: FrontEnd, like: torch.Tensor) -> torch.Tensor:
    return _held_taper(front_end, like.dtype, like.device)


@lru_cache(maxsize=4)
def _held_taper(front_end: FrontEnd, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(front_end.frames().taper(), dtype=dtype, device=device)
