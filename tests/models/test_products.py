"""Matrix products of training against float64."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ndns.models import products
from ndns.models.products import linear, product, weight_gradient


@pytest.fixture(autouse=True, params=["oneDNN", "torch"])
def library(request, monkeypatch):
    """Both libraries, whatever this CPU is given."""
    if request.param == "oneDNN" and not torch.backends.mkldnn.is_available():
        pytest.skip("this torch was built without oneDNN")
    monkeypatch.setattr(products, "ONEDNN", request.param == "oneDNN")
    return request.param


def inputs(shape, rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(*shape, columns, generator=generator),
        torch.randn(rows, columns, generator=generator),
        torch.randn(rows, generator=generator),
    )


sizes = st.integers(1, 70)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 9), min_size=1, max_size=2), sizes, sizes, st.booleans(), st.integers(0, 2**31))
def test_linear_and_its_gradients_equal_those_of_float64(shape, rows, columns, biased, seed):
    x, weight, bias = inputs(shape, rows, columns, seed)
    leaves = [x, weight, *([bias] if biased else [])]
    exact = [leaf.double().requires_grad_() for leaf in leaves]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    out, reference = linear(*leaves), torch.nn.functional.linear(*exact)
    assert out.is_contiguous()
    assert torch.allclose(out.double(), reference, atol=1e-4)
    outward = torch.randn(out.shape, generator=torch.Generator().manual_seed(seed + 1))
    out.backward(outward)
    reference.backward(outward.double())
    for leaf, true in zip(leaves, exact, strict=True):
        assert torch.allclose(leaf.grad.double(), true.grad, atol=1e-4)


def test_products_take_transposed_views():
    x, weight, _ = inputs((5, 31), 24, 40, seed=1)
    gradient = torch.randn(5, 31, 24)
    assert torch.allclose(product(gradient, weight.T), gradient @ weight, atol=1e-4)
    assert torch.allclose(weight_gradient(gradient, x), torch.einsum("btn,btk->nk", gradient, x), atol=1e-4)


def test_a_gradient_that_is_a_view_is_taken():
    x, weight, bias = inputs((4, 9), 6, 5, seed=2)
    weight.requires_grad_()
    linear(x, weight, bias).transpose(1, 2).square().sum().backward()
    expected = 2 * torch.einsum("btn,btk->nk", torch.nn.functional.linear(x, weight.detach(), bias), x)
    assert torch.allclose(weight.grad, expected, atol=1e-4)


def test_only_float32_goes_to_onednn(library, monkeypatch):
    monkeypatch.setattr(torch.nn.functional, "linear", None)
    x, weight, bias = inputs((3, 7), 8, 9, seed=3)
    if library == "oneDNN":
        assert linear(x, weight, bias).shape == (3, 7, 8)
        x, weight, bias = x.double(), weight.double(), bias.double()
    with pytest.raises(TypeError):
        linear(x, weight, bias)
