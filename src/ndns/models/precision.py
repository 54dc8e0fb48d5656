"""Single precision: compiled loops on a CPU; on a GPU all 24 bits, or the 10 of TF32 where a network bears it."""

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


def compiled(values: torch.Tensor) -> bool:
    """Tell whether compiled loops take these values (float32 on a CPU); torch operations take all others."""
    return values.device.type == "cpu" and values.dtype == torch.float32
