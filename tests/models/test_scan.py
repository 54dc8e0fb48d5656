"""The recurrence against a float64 loop, its gradient against finite differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.models.scan import chunked_scan, complex_relu, diagonal_scan, rectified_scan


def problem(batch, states, steps, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    radius = 0.5 + 0.5 * torch.rand(states, generator=generator, dtype=dtype)
    angle = 6.3 * torch.rand(states, generator=generator, dtype=dtype)
    drive = torch.randn(batch, steps, 2 * states, generator=generator, dtype=dtype)
    return torch.stack([radius * angle.cos(), radius * angle.sin()]), drive


def complex_of(values):
    states = values.shape[-1] // 2
    return torch.complex(values[..., :states].double(), values[..., states:].double())


def loop(a, u):
    transition, drive = torch.complex(a[0].double(), a[1].double()), complex_of(u)
    x, out = torch.zeros_like(drive[:, 0]), []
    for t in range(drive.shape[1]):
        x = transition * x + drive[:, t]
        out.append(x)
    return torch.stack(out, dim=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 200), st.integers(2, 33), st.integers(0, 99))
def test_chunks_equal_the_float64_loop(batch, states, steps, chunk, seed):
    a, u = problem(batch, states, steps, seed)
    assert torch.allclose(complex_of(diagonal_scan(a, u, chunk=chunk)), loop(a, u), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scan", [diagonal_scan, chunked_scan])
def test_float32_on_long_clips(scan):
    a, u = (tensor.float() for tensor in problem(2, 7, 3751, 1))
    reference = loop(a, u)
    assert (complex_of(scan(a, u)) - reference).abs().max() < 2e-5 * reference.abs().max()


@pytest.mark.parametrize("steps", [1, 18])
def test_gradient_equals_finite_differences(steps):
    arguments = [tensor.requires_grad_() for tensor in problem(2, 2, steps, 2)]
    assert torch.autograd.gradcheck(lambda a, u: diagonal_scan(a, u, chunk=4), arguments)
    assert torch.autograd.gradcheck(lambda a, u: complex_relu(diagonal_scan(a, u, chunk=4)), arguments)
    assert torch.autograd.gradcheck(lambda a, u: rectified_scan(a, u, chunk=4)[1], arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rectified_scan_is_the_relu_of_the_scan(dtype):
    first, second = ([part.to(dtype).requires_grad_() for part in problem(2, 5, 40, 4)] for _ in range(2))
    states, out = rectified_scan(*first)
    plain = diagonal_scan(*second)
    assert not states.requires_grad
    assert torch.equal(states, plain)
    assert torch.equal(out, complex_relu(plain))
    for result in (out, complex_relu(plain)):
        (result * torch.linspace(-1, 1, 10, dtype=dtype)).sum().backward()
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize(("batch", "threads"), [(2, 1), (3, 2), (1, 3), (3, 3)])
def test_compiled_loops_and_chunks_have_the_same_values_and_gradients(batch, threads):
    weights = torch.randn(batch, 90, 8, generator=torch.Generator().manual_seed(0))
    before, found = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    try:
        for dtype in (torch.float32, torch.float64):
            arguments = [tensor.to(dtype).requires_grad_() for tensor in problem(batch, 4, 90, 3)]
            out = complex_relu(diagonal_scan(*arguments))
            (out * weights.to(dtype)).sum().backward()
            found.append([out.detach().double(), *(argument.grad.double() for argument in arguments)])
    finally:
        torch.set_num_threads(before)
    for single, double in zip(*found, strict=True):
        assert double.std() > 0.1
        assert torch.allclose(single, double, rtol=1e-4, atol=1e-4 * double.abs().max())


def test_complex_relu_passes_the_whole_number():
    x = torch.tensor([[[1.0, -1.0, 0.0, -2.0, 3.0, 4.0]]])
    for dtype in (torch.float32, torch.float64):
        assert complex_relu(x.to(dtype)).tolist() == [[[1.0, 0.0, 0.0, -2.0, 0.0, 0.0]]]


def test_wrong_shapes_are_refused():
    a, u = problem(1, 3, 4, 0)
    with pytest.raises(ValueError, match="6 driven numbers for 2"):
        diagonal_scan(a[:, :2], u)
    with pytest.raises(ValueError, match="expected"):
        diagonal_scan(a[0], u)
