"""Size of a program: the challenge's published figure, and widths against a search."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndns.metrics.size import magnitude_bits, signed_bits, size_kb


def test_released_network_is_465_kb():
    """Extremes of the released tensors (published size 465 KB): 8, 8 and 5 bits, and 6 bits a delay."""
    shapes = {(512, 257): -140, (512, 512): -160, (257, 512): -30}
    tensors = [np.zeros(shape, np.int64) for shape in shapes]
    for tensor, extreme in zip(tensors, shapes.values(), strict=True):
        tensor[0, 0] = extreme
    tensors += [np.full(512, 50), np.full(512, 62)]
    assert size_kb(tensors) == 465.5625


@given(st.lists(st.integers(-300, 300), min_size=1, max_size=20))
def test_widths_against_a_search(values):
    low, high, largest = min(values), max(values), max(map(abs, values))
    expected = (
        0 if low == high == 0 else next(b for b in range(1, 20) if -(2 ** (b - 1)) <= low and high < 2 ** (b - 1))
    )
    assert signed_bits(np.array(values)) == expected
    assert magnitude_bits(np.array(values)) == (max(1, int(np.ceil(np.log2(largest)))) if largest else 0)


def test_storage_needs_the_sign():
    weights = [np.array([[-3, 2], [0, 1]])]
    assert size_kb(weights) == pytest.approx(2 * 4 / 8192)
    assert size_kb(weights, signed=True) == pytest.approx(3 * 4 / 8192)
