"""Diagonal complex linear recurrence over time, with its own backward pass.

    x[t] = a x[t - 1] + u[t],   x[-1] = 0,   a complex and constant over time

`a` does not change with time, so a chunk of `c` steps is one product with the lower-triangular Toeplitz matrix of the
powers of `a`; the last states of the chunks obey the same recurrence with `a^c` and are found by calling it again. On a
CPU in float32 a compiled loop over time is faster than the products and is used instead.

Complex vectors are real tensors whose last axis holds all real parts, then all imaginary parts: compilers and reduced
precision support complex types weakly, and one matrix product makes, or takes, both parts.
"""

import torch

from ndns.models.precision import full_precision

CHUNK = 32
"""Steps of a chunk. Products cost O(chunk) multiply-adds a state and step; larger chunks suit GPUs."""


def diagonal_scan(a: torch.Tensor, u: torch.Tensor, chunk: int = CHUNK) -> torch.Tensor:
    """Return the states of the recurrence, differentiable in both arguments.

    Args:
        a: transition `(2, state)`: real and imaginary parts.
        u: drive `(batch, time, 2 state)`.
        chunk: steps of a chunk, at least 2.

    Returns:
        the states `(batch, time, 2 state)`.

    Raises:
        ValueError: shapes do not match or the chunk is shorter than 2.
    """
    if a.ndim != 2 or len(a) != 2 or u.ndim != 3:
        raise ValueError(f"expected (2, state) and (batch, time, 2 state), got {tuple(a.shape)} and {tuple(u.shape)}")
    if u.shape[2] != a.numel() or chunk < 2:
        raise ValueError(f"{u.shape[2]} driven numbers for {a.shape[1]} complex transitions, chunk {chunk}")
    return _Scan.apply(a, u, chunk)


def complex_relu(x: torch.Tensor) -> torch.Tensor:
    """Return complex `(batch, time, 2 state)` where the real part is positive, 0 elsewhere; imaginary signs stay."""
    return _ComplexRelu.apply(x)


class _Scan(torch.autograd.Function):
    """`dL/du` is the same recurrence run backward in time with the conjugate of `a`."""

    @staticmethod
    def forward(ctx, a, u, chunk):
        x = _kernels().scan(a, u) if _compiled(u) else chunked_scan(a, u, chunk)
        ctx.save_for_backward(a, x)
        ctx.chunk = chunk
        return x

    @staticmethod
    def backward(ctx, gradient):
        a, x = ctx.saved_tensors
        if _compiled(gradient):
            return *_kernels().scan_gradients(a, gradient, x), None
        conjugate = torch.stack([a[0], -a[1]])
        g = chunked_scan(conjugate, gradient.flip(1), ctx.chunk).flip(1)
        states = a.shape[1]
        (later_re, later_im), (before_re, before_im) = (
            (part[..., :states], part[..., states:]) for part in (g[:, 1:], x[:, :-1])
        )
        da_re = (later_re * before_re).sum((0, 1)) + (later_im * before_im).sum((0, 1))
        da_im = (later_im * before_re).sum((0, 1)) - (later_re * before_im).sum((0, 1))
        return torch.stack([da_re, da_im]), g, None


class _ComplexRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        out = _where_positive(x, x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, gradient):
        (out,) = ctx.saved_tensors
        return _where_positive(gradient, out)


def _where_positive(values, by):
    """Return complex values where the real part of `by` is positive."""
    if _compiled(values):
        return _kernels().where_positive(values, by)
    states = by.shape[-1] // 2
    passed = by[..., None, :states] > 0
    return (values.unflatten(-1, (2, states)) * passed).flatten(-2)


def _compiled(values: torch.Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype == torch.float32


def _kernels():
    from ndns.models import scan_kernels  # a machine that trains on a GPU alone needs no numba

    return scan_kernels


def chunked_scan(a: torch.Tensor, u: torch.Tensor, chunk: int = CHUNK) -> torch.Tensor:
    """The recurrence by products with Toeplitz matrices, in plain torch on any device; arguments as `diagonal_scan`."""
    batch, steps, states = len(u), u.shape[1], a.shape[1]
    pieces = -(-steps // chunk)
    length = min(chunk, steps)
    transition = torch.complex(a[0], a[1])[:, None]
    powers = torch.cat([torch.ones_like(transition), transition.expand(-1, length)], dim=1).cumprod(dim=1)
    lag = torch.arange(length, device=a.device)
    lag = lag[None, :] - lag[:, None]  # row: step of the drive, column: step of the state
    toeplitz = torch.where(lag >= 0, powers[:, lag.clamp(min=0)], torch.zeros((), dtype=powers.dtype, device=a.device))
    padded = torch.nn.functional.pad(u, (0, 0, 0, pieces * length - steps))
    re, im = padded.unflatten(2, (2, states)).permute(2, 3, 0, 1).reshape(2, states, batch * pieces, length)
    with full_precision():
        x_re = torch.bmm(re, toeplitz.real) - torch.bmm(im, toeplitz.imag)
        x_im = torch.bmm(re, toeplitz.imag) + torch.bmm(im, toeplitz.real)
    x = torch.stack([x_re, x_im]).reshape(2, states, batch, pieces, length)
    if pieces > 1:
        last = x[..., -1].permute(2, 3, 0, 1).flatten(2)
        over = powers[:, length]
        carry = chunked_scan(torch.stack([over.real, over.imag]), last, chunk)
        carry = torch.nn.functional.pad(carry[:, :-1], (0, 0, 1, 0)).unflatten(2, (2, states)).permute(2, 3, 0, 1)
        from_re, from_im = carry[..., None]
        factor = powers[:, None, None, 1:]
        x = x + torch.stack(
            [factor.real * from_re - factor.imag * from_im, factor.imag * from_re + factor.real * from_im]
        )
    return x.flatten(3)[..., :steps].permute(2, 3, 0, 1).flatten(2)
