"""Zero-order hold of a diagonal complex state space, with its own backward pass.

    a = exp(lambda step),  h = (a - 1) / lambda,  s = sqrt(|h|)
    B' = (h / s) B,  C' = C s

A complex factor a row of B keeps zeros where real and imaginary part are both zero. The square root of its size goes to
C: slow states have factors a hundred times smaller than fast ones, and would lose their rows of B on a grid that all
rows share.

As single operations of torch the hold of a block and its gradient are a hundred, which take a CPU longer than the
arithmetic: compiled loops do it in float32. Complex numbers are real tensors with a leading 2, as the parameters are.
"""

import torch

from ndns.models.precision import compiled

SLOWEST = -1e-4
"""Largest real part of lambda: larger ones count as this, without gradient."""


def zero_order_hold(
    lambda_re: torch.Tensor, lambda_im: torch.Tensor, log_step: torch.Tensor, b: torch.Tensor, c: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return transition `(2, state)`, input weights and output weights of the discrete system, differentiable once.

    Args:
        lambda_re: real parts of the poles `(state,)`, in 1 / frame where steps are 1.
        lambda_im: imaginary parts.
        log_step: logarithms of the time steps `(state,)`, in frames.
        b: input weights `(2, state, feature)`.
        c: output weights `(2, feature, state)`.
    """
    return _Hold.apply(lambda_re, lambda_im, log_step, b, c)


class _Hold(torch.autograd.Function):
    """Gradients of complex numbers are `dL/dRe + i dL/dIm`: through `w = f(z)` they are multiplied by `conj(f'(z))`."""

    @staticmethod
    def forward(ctx, lambda_re, lambda_im, log_step, b, c):
        if compiled(b):
            ctx.save_for_backward(lambda_re, lambda_im, log_step, b, c)
            return _kernels().hold(lambda_re, lambda_im, log_step, b, c, SLOWEST)
        pole = torch.complex(lambda_re.clamp(max=SLOWEST), lambda_im)
        step = log_step.exp()
        a = torch.exp(pole * step)
        held = (a - 1) / pole
        size = held.abs().sqrt()
        turn = held / size
        ctx.save_for_backward(lambda_re, pole, step, a, held, size, turn, b, c)
        return torch.view_as_real(a).T, _turned(turn, b), c * size

    @staticmethod
    def backward(ctx, of_a, of_b, of_c):
        if compiled(of_b):
            return _kernels().hold_gradients(*ctx.saved_tensors, SLOWEST, of_a, of_b, of_c)
        lambda_re, pole, step, a, held, size, turn, b, c = ctx.saved_tensors
        of_turn = torch.complex((of_b * b).sum((0, 2)), (of_b[1] * b[0]).sum(1) - (of_b[0] * b[1]).sum(1))
        of_size = (of_c * c).sum((0, 1)) - (of_turn.conj() * turn).real / size
        of_held = of_turn / size + of_size / (2 * size**3) * held
        of_a = torch.complex(of_a[0], of_a[1]) + of_held / pole.conj()
        exponential = of_a * a.conj()
        of_pole = exponential * step - of_held * (held / pole).conj()
        of_log_step = (exponential * pole.conj()).real * step
        of_re = torch.where(lambda_re <= SLOWEST, of_pole.real, 0)
        return of_re, of_pole.imag, of_log_step, _turned(turn.conj().resolve_conj(), of_b), of_c * size


def _turned(factor: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return each row of `(2, state, feature)` times its complex factor `(state,)`."""
    re, im = torch.view_as_real(factor).T[..., None]
    out = torch.mul(rows, re)
    out[0].addcmul_(im, rows[1], value=-1)
    out[1].addcmul_(im, rows[0])
    return out


def _kernels():
    from ndns.models import hold_kernels  # a machine that trains on a GPU alone needs no numba

    return hold_kernels
