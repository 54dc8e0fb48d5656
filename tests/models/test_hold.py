"""The zero-order hold's gradient against finite differences and against torch's own operations."""

import pytest
import torch

from ndns.models.hold import SLOWEST, zero_order_hold


def problem(dtype, states=5, features=4, largest=-0.05):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    b = draw(2, states, features)
    b[:, :, 1] = 0
    parts = [largest - draw(states).abs(), 3 * draw(states), draw(states) - 1, b, draw(2, features, states)]
    return [part.to(dtype).requires_grad_() for part in parts]


def by_definition(lambda_re, lambda_im, log_step, b, c):
    pole = torch.complex(lambda_re.clamp(max=SLOWEST), lambda_im)
    a = torch.exp(pole * log_step.exp())
    factor = (a - 1) / pole
    size = factor.abs().sqrt()
    weights = (factor / size)[:, None] * torch.complex(b[0], b[1])
    return torch.stack([a.real, a.imag]), torch.stack([weights.real, weights.imag]), c * size


def test_gradient_equals_finite_differences():
    assert torch.autograd.gradcheck(zero_order_hold, problem(torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_equal_those_of_single_operations(dtype):
    parts, exact = problem(dtype), problem(torch.float64)
    with torch.no_grad():
        for leaves in (parts, exact):
            leaves[0][0] = SLOWEST / 2  # an unstable pole is held back, and its real part learns nothing
            leaves[0][1] = SLOWEST
    found, wanted = zero_order_hold(*parts), by_definition(*exact)
    generator = torch.Generator().manual_seed(1)
    outward = [torch.randn(part.shape, generator=generator, dtype=torch.float64) for part in wanted]
    torch.autograd.backward(found, [gradient.to(dtype) for gradient in outward])
    torch.autograd.backward(wanted, outward)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one.double(), other, rtol=tolerance, atol=tolerance)
    for one, other in zip(parts, exact, strict=True):
        assert torch.allclose(one.grad.double(), other.grad, rtol=tolerance, atol=tolerance * other.grad.abs().max())
    assert parts[0].grad[0] == 0
    assert parts[0].grad[1] != 0


def test_pruned_input_weights_stay_zero():
    assert not zero_order_hold(*problem(torch.float32))[1][:, :, 1].any()
