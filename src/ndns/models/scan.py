"""Diagonal complex linear recurrence over time, with its own backward pass.

    x[t] = a x[t - 1] + u[t],   x[-1] = 0,   a complex and constant over time

`a` does not change with time, so a chunk of `c` steps is one product with the lower-triangular Toeplitz matrix of the
powers of `a`; the last states of the chunks obey the same recurrence with `a^c` and are found by calling it again. On a
CPU in float32 a compiled loop over time is faster than the products and is used instead.

Complex vectors are real tensors whose last axis holds all real parts, then all imaginary parts: compilers and reduced
precision support complex types weakly, and one matrix product makes, or takes, both parts.
"""

import torch

from ndns.models.precision import compiled, full_precision

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
    _check(a, u, chunk)
    return _Scan.apply(a, u, chunk)


def rectified_scan(a: torch.Tensor, u: torch.Tensor, chunk: int = CHUNK) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the states, without gradient, and their `complex_relu`, differentiable: one pass over memory on a CPU.

    Arguments and errors as `diagonal_scan`.
    """
    _check(a, u, chunk)
    return _RectifiedScan.apply(a, u, chunk)


def complex_relu(x: torch.Tensor) -> torch.Tensor:
    """Return complex `(batch, time, 2 state)` where the real part is positive, 0 elsewhere; imaginary signs stay."""
    return _ComplexRelu.apply(x)


def _check(a: torch.Tensor, u: torch.Tensor, chunk: int) -> None:
    if a.ndim != 2 or len(a) != 2 or u.ndim != 3:
        raise ValueError(f"expected (2, state) and (batch, time, 2 state), got {tuple(a.shape)} and {tuple(u.shape)}")
    if u.shape[2] != a.numel() or chunk < 2:
        raise ValueError(f"{u.shape[2]} driven numbers for {a.shape[1]} complex transitions, chunk {chunk}")


class _Scan(torch.autograd.Function):
    """`dL/du` is the same recurrence run backward in time with the conjugate of `a`."""

    @staticmethod
    def forward(ctx, a, u, chunk):
        x = _kernels().scan(a, u) if compiled(u) else chunked_scan(a, u, chunk)
        ctx.save_for_backward(a, x)
        ctx.chunk = chunk
        return x

    @staticmethod
    def backward(ctx, gradient):
        a, x = ctx.saved_tensors
        if compiled(gradient):
            return *_kernels().scan_gradients(a, gradient, x), None
        return *_gradients(a, gradient, x, ctx.chunk), None


class _RectifiedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, u, chunk):
        if compiled(u):
            x, out = _kernels().rectified_scan(a, u)
        else:
            x = chunked_scan(a, u, chunk)
            out = _where_positive(x, x)
        ctx.save_for_backward(a, x)
        ctx.mark_non_differentiable(x)
        ctx.set_materialize_grads(False)
        ctx.chunk = chunk
        return x, out

    @staticmethod
    def backward(ctx, _, gradient):
        a, x = ctx.saved_tensors
        if gradient is None:
            return None, None, None
        if compiled(gradient):
            return *_kernels().scan_gradients(a, gradient, x, rectified=True), None
        return *_gradients(a, _where_positive(gradient, x), x, ctx.chunk), None


def _gradients(
    a: torch.Tensor, gradient: torch.Tensor, x: torch.Tensor, chunk: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of `a` and of the drive from that of the states `x`."""
    g = chunked_scan(torch.stack([a[0], -a[1]]), gradient, chunk, reverse=True)
    states = a.shape[1]
    later, before = g[:, 1:], x[:, :-1]
    alike = (later * before).sum((0, 1))
    crossed = later[..., states:] * before[..., :states] - later[..., :states] * before[..., states:]
    return torch.stack([alike[:states] + alike[states:], crossed.sum((0, 1))]), g


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
    if compiled(values):
        return _kernels().where_positive(values, by)
    states = by.shape[-1] // 2
    passed = by[..., None, :states] > 0
    return (values.unflatten(-1, (2, states)) * passed).flatten(-2)


def _kernels():
    from ndns.models import scan_kernels  # a machine that trains on a GPU alone needs no numba

    return scan_kernels


def chunked_scan(a: torch.Tensor, u: torch.Tensor, chunk: int = CHUNK, reverse: bool = False) -> torch.Tensor:
    """The recurrence by products with Toeplitz matrices, in plain torch on any device; arguments as `diagonal_scan`.

    With `reverse` time runs backward: `x[t] = a x[t + 1] + u[t]`.
    """
    batch, steps, states = len(u), u.shape[1], a.shape[1]
    length = min(chunk, steps)
    pieces = -(-steps // length)
    padded = torch.nn.functional.pad(u, (0, 0, 0, pieces * length - steps)) if pieces * length > steps else u
    rows = padded.unflatten(2, (2, states)).unflatten(1, (pieces, length)).permute(4, 0, 1, 3, 2)
    rows = rows.reshape(states, batch * pieces, 2 * length)
    powers = _powers(a, length)
    inner = _real(_toeplitz(powers[:, :length], reverse))
    with full_precision():
        if pieces == 1:
            x = rows @ inner
        else:
            edge = 0 if reverse else length - 1
            last = (rows @ inner[:, :, edge::length]).unflatten(1, (batch, pieces))
            over = torch.stack([powers[:, length].real, powers[:, length].imag])
            carry = chunked_scan(over, last.permute(1, 2, 3, 0).flatten(2), chunk, reverse)
            carry = torch.nn.functional.pad(carry[:, 1:], (0, 0, 0, 1)) if reverse else _delayed(carry)
            carry = carry.unflatten(2, (2, states)).permute(3, 0, 1, 2).reshape(states, batch * pieces, 2)
            fading = powers[:, 1:].flip(1) if reverse else powers[:, 1:]
            x = torch.baddbmm(carry @ _real(fading[:, None]), rows, inner)
    x = x.reshape(states, batch, pieces, 2, length).permute(1, 2, 4, 3, 0)
    return x.reshape(batch, pieces * length, 2 * states)[:, :steps]


def _powers(a: torch.Tensor, count: int) -> torch.Tensor:
    """Return `a^0 .. a^count`, complex `(state, count + 1)`."""
    transition = torch.complex(a[0], a[1])[:, None]
    return torch.cat([torch.ones_like(transition), transition.expand(-1, count)], dim=1).cumprod(dim=1)


def _toeplitz(powers: torch.Tensor, reverse: bool) -> torch.Tensor:
    """Return `(state, step of the drive, step of the state)`: the power of `a` for the steps between the two."""
    place = torch.arange(powers.shape[1], device=powers.device)
    lag = place[:, None] - place if reverse else place - place[:, None]
    zero = torch.zeros((), dtype=powers.dtype, device=powers.device)
    return torch.where(lag >= 0, powers[:, lag.clamp(min=0)], zero)


def _real(matrix: torch.Tensor) -> torch.Tensor:
    """Return complex `(state, n, m)` as the real `(state, 2 n, 2 m)` that acts on real, then imaginary parts."""
    return torch.cat([torch.cat([matrix.real, matrix.imag], 2), torch.cat([-matrix.imag, matrix.real], 2)], 1)


def _delayed(values: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(values[:, :-1], (0, 0, 1, 0))
