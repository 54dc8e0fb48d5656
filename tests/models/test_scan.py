"""The recurrence against a float64 loop, its gradient against finite differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.models.scan import chunked_scan, diagonal_scan


def problem(batch, states, steps, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    radius = 0.5 + 0.5 * torch.rand(states, generator=generator, dtype=dtype)
    angle = 6.3 * torch.rand(states, generator=generator, dtype=dtype)
    drive = torch.randn(2, batch, states, steps, generator=generator, dtype=dtype)
    return radius * angle.cos(), radius * angle.sin(), drive[0], drive[1]


def loop(a_re, a_im, u_re, u_im):
    a, u = torch.complex(a_re, a_im).to(torch.complex128), torch.complex(u_re, u_im).to(torch.complex128)
    x, out = torch.zeros_like(u[..., 0]), []
    for t in range(u.shape[-1]):
        x = a * x + u[..., t]
        out.append(x)
    return torch.stack(out, dim=-1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 200), st.integers(2, 33), st.integers(0, 99))
def test_chunks_equal_the_float64_loop(batch, states, steps, chunk, seed):
    arguments = problem(batch, states, steps, seed)
    re, im = diagonal_scan(*arguments, chunk=chunk)
    assert torch.allclose(torch.complex(re, im), loop(*arguments), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scan", [diagonal_scan, chunked_scan])
def test_float32_on_long_clips(scan):
    arguments = [tensor.float() for tensor in problem(2, 7, 3751, 1)]
    re, im = scan(*arguments)
    reference = loop(*arguments)
    assert (torch.complex(re, im) - reference).abs().max() < 2e-5 * reference.abs().max()


@pytest.mark.parametrize("steps", [1, 5, 21])
def test_gradient_equals_finite_differences(steps):
    arguments = [tensor.requires_grad_() for tensor in problem(2, 3, steps, 2)]
    assert torch.autograd.gradcheck(lambda *values: diagonal_scan(*values, chunk=4), arguments)


def test_compiled_loop_and_chunks_have_the_same_gradient():
    weights = torch.randn(2, 2, 4, 90, generator=torch.Generator().manual_seed(0))
    gradients = []
    for dtype in (torch.float32, torch.float64):
        arguments = [tensor.to(dtype).requires_grad_() for tensor in problem(2, 4, 90, 3)]
        re, im = diagonal_scan(*arguments)
        (re * weights[0].to(dtype) + im * weights[1].to(dtype)).sum().backward()
        gradients.append([argument.grad.double() for argument in arguments])
    for single, double in zip(*gradients, strict=True):
        assert torch.allclose(single, double, rtol=1e-4, atol=1e-4 * double.abs().max())


def test_wrong_shapes_are_refused():
    a_re, a_im, u_re, u_im = problem(1, 3, 4, 0)
    with pytest.raises(ValueError, match="3 driven states for 2"):
        diagonal_scan(a_re[:2], a_im[:2], u_re, u_im)
