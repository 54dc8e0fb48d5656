"""Rounding in training: exponents, grids, ranges and gradients, by compiled loops and by operations of torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ndns.config import Qat
from ndns.models.quantization import (
    FORGET,
    HEADROOM,
    Quantizer,
    activation_exponent,
    integers,
    rounded,
    table_sigmoid,
    weight_exponent,
)

DTYPES = {"compiled": torch.float32, "torch": torch.float64}


def test_observed_range_is_the_largest_size_and_fades():
    quantizer = Quantizer(["x", "other"], None)
    quantizer.activation("x", torch.tensor([-3.0, 1.0]), torch.tensor([2.0]))
    assert quantizer.extent("x") == 3
    quantizer.activation("x", torch.tensor([0.5]))
    assert quantizer.extent("x") == pytest.approx(3 * FORGET)
    quantizer.eval().activation("x", torch.tensor([9.0]))
    assert quantizer.extent("x") == pytest.approx(3 * FORGET)
    quantizer.train().activation("x", torch.tensor([7.0]))
    assert (quantizer.extent("x"), quantizer.extent("other")) == (7, 0)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.integers(2, 8), st.booleans(), st.sampled_from([*DTYPES]))
def test_weights_lose_the_least(seed, extent, bits, even, way):
    """Of all powers of two, weighed by the power of the inputs: a few large weights may be clipped."""
    rng = np.random.default_rng(seed)
    weight = (extent * rng.standard_t(2, (5, 6))).astype(np.float32)
    power = np.ones(6) if even else rng.exponential(size=6) ** 4

    def lost(values):
        return (power * (values - weight.astype(float)) ** 2).sum()

    def at(exponent):
        top = 2 ** (bits - 1) - 1
        return np.clip(np.rint(weight * 2.0**exponent), -top - 1, top)

    given_power = None if even else torch.from_numpy(power)
    tensor = torch.from_numpy(weight).to(DTYPES[way])
    exponent = weight_exponent(tensor, bits, given_power)
    values, same = integers(tensor, bits, given_power)
    assert exponent == same
    np.testing.assert_array_equal(values, at(exponent))
    np.testing.assert_array_equal(rounded(tensor, bits, given_power), at(exponent) * 2.0**-exponent)
    fits = max(e for e in range(-20, 20) if np.abs(np.rint(weight * 2.0**e)).max() < 2 ** (bits - 1))
    tried = [lost(at(e) * 2.0**-e) for e in range(fits, fits + 4)]
    assert lost(at(exponent) * 2.0**-exponent) == pytest.approx(min(tried))


def test_a_weight_that_meets_silence_is_clipped():
    weight = torch.tensor([[8.0, 0.3, -0.41]])
    fine = rounded(weight, 4, torch.tensor([0.0, 1.0, 1.0]))
    assert fine.tolist() == [[1.75, 0.25, -0.5]]
    assert rounded(weight, 4).tolist() == [[8.0, 0.0, 0.0]]


def test_clipped_weights_keep_their_gradient():
    weight = torch.tensor([[8.0, 0.3]], requires_grad=True)
    rounded(weight, 4, torch.tensor([0.0, 1.0])).sum().backward()
    assert weight.grad.tolist() == [[1.0, 1.0]]


def test_weights_of_nothing_but_zeros_have_the_finest_grid():
    for dtype in DTYPES.values():
        assert weight_exponent(torch.zeros(2, 3, dtype=dtype), 8) == 7
        assert rounded(torch.zeros(2, 3, dtype=dtype), 8).tolist() == [[0.0] * 3] * 2


def test_a_weight_halfway_above_the_largest_integer_does_not_fit():
    for dtype in DTYPES.values():
        # at exponent 0 it would be 128; at -1 it is 64, as near as 127 is
        assert weight_exponent(torch.tensor([127.5], dtype=dtype), 8) == -1
        assert weight_exponent(torch.tensor([127.25], dtype=dtype), 8) == 0


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.integers(8, 16), st.sampled_from([*DTYPES]))
def test_activations_are_rounded_down_within_their_bits(seed, extent, bits, way):
    rng = np.random.default_rng(seed)
    values = (extent * rng.standard_normal((2, 5, 7))).astype(np.float32)
    quantizer = Quantizer(["x"], Qat(activation_bits=bits)).to(DTYPES[way])
    quantizer.activation("x", torch.from_numpy(values[:1]).to(DTYPES[way]))  # the second clip may go beyond
    quantizer.eval().switch(True)
    x = torch.from_numpy(values).to(DTYPES[way]).requires_grad_()
    (made,) = quantizer.activation("x", x)
    made.sum().backward()
    scale, top = 2.0 ** quantizer.exponent("x"), 2 ** (bits - 1)
    wanted = np.clip(np.floor(values.astype(float) * scale), -top, top - 1) / scale
    np.testing.assert_array_equal(made.detach().numpy(), wanted)
    np.testing.assert_array_equal(x.grad.numpy(), 1)


@pytest.mark.parametrize("way", DTYPES)
def test_sigmoid_has_the_values_of_the_table_and_the_gradient_of_the_sigmoid(way):
    quantizer = Quantizer([], Qat())
    quantizer.switch(True)
    edges = torch.tensor([0.0, -0.0, 8.0, 9.0, -9.0, 9.5, -40.0, 40.0])
    x = torch.cat([edges, 6 * torch.randn(992)]).reshape(2, 20, 25).to(DTYPES[way]).requires_grad_()
    value = quantizer.sigmoid(x)
    (3 * value).sum().backward()
    table = 1 / (1 + np.exp(-np.arange(10.0)))
    size = np.minimum(np.abs(x.detach().numpy().astype(float)), 9)
    wanted = np.interp(size, np.arange(10), table)
    wanted = np.where(x.detach().numpy() < 0, 1 - wanted, wanted)
    np.testing.assert_allclose(value.detach().numpy(), wanted, atol=3e-7)
    np.testing.assert_allclose(value.detach().numpy(), table_sigmoid(x.detach()).numpy(), atol=1e-7)
    exact = torch.sigmoid(x.detach().double())
    torch.testing.assert_close(x.grad.double(), 3 * exact * (1 - exact), atol=1e-6, rtol=1e-5)


@given(st.floats(1e-6, 1e6), st.integers(8, 16))
def test_observed_values_fit_with_headroom_and_no_finer_grid_would_do(extent, bits):
    exponent, top = activation_exponent(extent, bits), 2 ** (bits - 1) - 1
    assert HEADROOM * extent * 2.0**exponent <= top < HEADROOM * extent * 2.0 ** (exponent + 1)
