"""Products of activations with a weight matrix, as training needs them.

On a CPU with AVX-512 oneDNN computes them in float32, whose code fits itself to the processor. torch's own products go
to MKL, which on processors of other makers than Intel leaves half of that vector unit unused; where the unit is AVX2,
MKL is the faster one, with weight gradients by half.
"""

import torch

from ndns.models.precision import compiled

ONEDNN = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
"""Whether products in float32 on this CPU go to oneDNN."""


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Return `x @ weight.T + bias`, differentiable once.

    Args:
        x: `(..., in)`.
        weight: `(out, in)`.
        bias: `(out,)`.

    Returns:
        `(..., out)`, contiguous.
    """
    return _Linear.apply(x, weight, bias) if _by_onednn(x) else torch.nn.functional.linear(x, weight, bias)


def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Return the same without a gradient of its own; `weight` may be a transposed view."""
    if _by_onednn(x):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return torch.nn.functional.linear(x, weight, bias)


def weight_gradient(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the gradient `(out, in)` of the weight from those of the product `(..., out)` and `x` `(..., in)`."""
    return product(gradient.flatten(0, -2).T, x.flatten(0, -2).T)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        return (
            product(gradient, weight.T) if ctx.needs_input_grad[0] else None,
            weight_gradient(gradient, x) if ctx.needs_input_grad[1] else None,
            gradient.flatten(0, -2).sum(0) if ctx.needs_input_grad[2] else None,
        )


def _by_onednn(x: torch.Tensor) -> bool:
    return ONEDNN and compiled(x)
