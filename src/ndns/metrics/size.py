"""Parameters and size of a program, as the N-DNS challenge counts them."""

from collections.abc import Iterable

import numpy as np


def magnitude_bits(values: np.ndarray) -> int:
    """Return ceil(log2(max |value|)), the challenge's width of a tensor: no sign, and 2^n counts as n bits.

    A tensor of zeros takes 0 bits, one that holds only -1, 0, 1 takes 1 (the challenge's formula would give 0).

    >>> magnitude_bits(np.array([-160, 74])), magnitude_bits(np.array([-30, 28])), magnitude_bits(np.array([64]))
    (8, 5, 6)
    """
    largest = int(np.abs(np.asarray(values, np.int64)).max(initial=0))
    return 0 if largest == 0 else max(1, (largest - 1).bit_length())


def signed_bits(values: np.ndarray) -> int:
    """Return the width of the narrowest two's complement that holds a tensor; 0 for zeros alone.

    >>> signed_bits(np.array([-160, 74])), signed_bits(np.array([-128, 127])), signed_bits(np.array([0]))
    (9, 8, 0)
    """
    values = np.asarray(values, np.int64)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return 0 if low == high == 0 else 1 + max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)


def size_kb(tensors: Iterable[np.ndarray], signed: bool = False) -> float:
    """Return the size in KB of 1024 bytes: width of each tensor times its values.

    Args:
        tensors: weights and delays, integers.
        signed: count what storage needs (`signed_bits`) instead of what the challenge counts.

    >>> size_kb([np.full(1024, 3)])
    0.25
    """
    width = signed_bits if signed else magnitude_bits
    return sum(width(tensor) * np.size(tensor) for tensor in tensors) / 8 / 1024


def stored_bytes(values: np.ndarray) -> int:
    """Return the bytes that storing a tensor takes, in the smaller of two forms.

    Dense: `signed_bits` a value. Sparse (matrices only): value and row index of each non-zero value, and where each
    column starts; indices take as many bits as they need.

    >>> stored_bytes(np.full((64, 64), 100)), stored_bytes(100 * np.eye(64, dtype=int))
    (4096, 168)
    """
    width = signed_bits(values)
    bits = width * np.size(values)
    if np.ndim(values) == 2:
        rows, columns = np.shape(values)
        count = int(np.count_nonzero(values))
        index = max(rows - 1, 1).bit_length()
        bits = min(bits, count * (width + index) + columns * max(count, 1).bit_length())
    return -(-bits // 8)
