"""Single precision on a GPU: all of its 24 bits, or the 10 of TF32 where a network bears it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Take all bits of float32 in matrix products, whatever the rest of the program does."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
