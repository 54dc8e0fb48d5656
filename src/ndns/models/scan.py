"""Diagonal complex linear recurrence over time, with its own backward pass.

    x[t] = a x[t - 1] + u[t],   x[-1] = 0,   a complex and constant over time

`a` does not change with time, so a chunk of `c` steps is one product with the lower-triangular Toeplitz matrix of the
powers of `a`; the last states of the chunks obey the same recurrence with `a^c` and are found by calling it again. On a
CPU in float32 a compiled loop over time is faster than the products and is used instead.

Real and imaginary parts are separate real tensors: compilers and reduced precision support complex types weakly.
"""

import torch

from ndns.models.scan_kernels import scan_rows

CHUNK = 32
"""Steps of a chunk. Products cost O(chunk) multiply-adds a state and step; larger chunks suit GPUs."""


def diagonal_scan(
    a_re: torch.Tensor, a_im: torch.Tensor, u_re: torch.Tensor, u_im: torch.Tensor, chunk: int = CHUNK
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the states of the recurrence, differentiable in all four arguments.

    Args:
        a_re, a_im: transition `(state,)`.
        u_re, u_im: drive `(batch, state, time)`.
        chunk: steps of a chunk, at least 2.

    Returns:
        real and imaginary part of the states, each `(batch, state, time)`.

    Raises:
        ValueError: shapes do not match or the chunk is shorter than 2.
    """
    if a_re.shape != a_im.shape or a_re.ndim != 1 or u_re.shape != u_im.shape or u_re.ndim != 3:
        raise ValueError(f"expected (state,) and (batch, state, time), got {a_re.shape} and {u_re.shape}")
    if u_re.shape[1] != a_re.shape[0] or chunk < 2:
        raise ValueError(f"{u_re.shape[1]} driven states for {a_re.shape[0]} transitions, chunk {chunk}")
    return _Scan.apply(a_re, a_im, u_re, u_im, chunk)


class _Scan(torch.autograd.Function):
    """`dL/du` is the same recurrence run backward in time with the conjugate of `a`."""

    @staticmethod
    def forward(ctx, a_re, a_im, u_re, u_im, chunk):
        x_re, x_im = _scan(a_re, a_im, u_re, u_im, chunk, reverse=False)
        ctx.save_for_backward(a_re, a_im, x_re, x_im)
        ctx.chunk = chunk
        return x_re, x_im

    @staticmethod
    def backward(ctx, grad_re, grad_im):
        a_re, a_im, x_re, x_im = ctx.saved_tensors
        g_re, g_im = _scan(a_re, -a_im, grad_re, grad_im, ctx.chunk, reverse=True)
        later_re, later_im, before_re, before_im = g_re[..., 1:], g_im[..., 1:], x_re[..., :-1], x_im[..., :-1]
        da_re = (later_re * before_re).sum((0, 2)) + (later_im * before_im).sum((0, 2))
        da_im = (later_im * before_re).sum((0, 2)) - (later_re * before_im).sum((0, 2))
        return da_re, da_im, g_re, g_im, None


def _scan(a_re, a_im, u_re, u_im, chunk, reverse):
    if u_re.device.type == "cpu" and u_re.dtype == torch.float32:
        return scan_rows(a_re, a_im, u_re, u_im, reverse)
    if reverse:
        x_re, x_im = chunked_scan(a_re, a_im, u_re.flip(-1), u_im.flip(-1), chunk)
        return x_re.flip(-1), x_im.flip(-1)
    return chunked_scan(a_re, a_im, u_re, u_im, chunk)


def chunked_scan(a_re, a_im, u_re, u_im, chunk=CHUNK):
    """The recurrence by products with Toeplitz matrices, in plain torch on any device; arguments as `diagonal_scan`."""
    batch, states, steps = u_re.shape
    pieces = -(-steps // chunk)
    length = min(chunk, steps)
    padding = pieces * length - steps
    a = torch.complex(a_re, a_im)[:, None]
    powers = torch.cat([torch.ones_like(a), a.expand(-1, length)], dim=1).cumprod(dim=1)
    lag = torch.arange(length, device=a_re.device)
    lag = lag[None, :] - lag[:, None]  # row: step of the drive, column: step of the state
    toeplitz = torch.where(
        lag >= 0, powers[:, lag.clamp(min=0)], torch.zeros((), dtype=powers.dtype, device=a_re.device)
    )

    def rows(u):
        return torch.nn.functional.pad(u, (0, padding)).reshape(batch, states, pieces * length).transpose(0, 1)

    re, im = (rows(u).reshape(states, batch * pieces, length) for u in (u_re, u_im))
    x_re = torch.bmm(re, toeplitz.real) - torch.bmm(im, toeplitz.imag)
    x_im = torch.bmm(re, toeplitz.imag) + torch.bmm(im, toeplitz.real)
    x_re, x_im = (x.reshape(states, batch, pieces, length) for x in (x_re, x_im))
    if pieces > 1:
        last_re, last_im = (x[..., -1].transpose(0, 1) for x in (x_re, x_im))
        carry = chunked_scan(powers[:, length].real, powers[:, length].imag, last_re, last_im, chunk)
        from_re, from_im = (torch.nn.functional.pad(c.transpose(0, 1)[..., :-1], (1, 0))[..., None] for c in carry)
        factor = powers[:, None, None, 1:]
        x_re, x_im = (
            x_re + factor.real * from_re - factor.imag * from_im,
            x_im + factor.imag * from_re + factor.real * from_im,
        )
    return tuple(x.reshape(states, batch, -1)[..., :steps].transpose(0, 1).contiguous() for x in (x_re, x_im))
