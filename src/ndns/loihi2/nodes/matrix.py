"""Exact products of integer weights and messages, by the quicker of two ways: event by event, or float64 BLAS."""

from functools import cached_property

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes.kernels import events, largest

_EXACT = 1 << 53
EVENTS_BELOW = 0.08
"""Share of products that are not zero, weight by message, below which messages are followed one by one; measured by
`python bench/matrix.py`."""
WHOLE_ABOVE = 0.2
"""Share of non-zero weights from which whole columns, vectorized, beat a list of the non-zero ones; measured by the
same."""
FEW_STEPS = 4
"""Fewer steps than these are a stream's: calls cost more than the work."""


class Matrix:
    """Integer weights `(out, in)` that are multiplied with many vectors.

    Args:
        weight: int64 `(out, in)`, or `(n,)` for a diagonal.
    """

    def __init__(self, weight: np.ndarray) -> None:
        self.weight = weight
        self.fan_out = (weight != 0).astype(np.int64) if weight.ndim == 1 else np.count_nonzero(weight, axis=0)
        self._kept = self.fan_out.sum() / max(weight.size, 1)
        self._largest = int(np.abs(weight).sum(axis=-1).max(initial=0)) if weight.ndim == 2 else 0

    @cached_property
    def _transposed(self) -> np.ndarray:
        return np.ascontiguousarray(self.weight.T.astype(np.float64))

    @cached_property
    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The weights by column, for compiled loops: one of two forms, the other one empty.

        Returns:
            first entry of each column (one more), rows and values of the non-zero weights, column after column; whole
            columns int32 `(in, out)` where they are quicker to follow.
        """
        if self._kept >= WHOLE_ABOVE:
            lists = np.empty(0, np.uint64), np.empty(0, np.uint32), np.empty(0, np.int32)
            return *lists, np.ascontiguousarray(self.weight.T, np.int32)
        column, row = np.nonzero(self.weight.T)
        start = np.concatenate([[0], np.cumsum(self.fan_out)]).astype(np.uint64)
        return start, row.astype(np.uint32), self.weight[row, column].astype(np.int32), np.empty((0, 0), np.int32)

    @property
    def always_exact(self) -> bool:
        """Whether no vector of 32-bit integers can give a sum beyond 2^53."""
        return self._largest << 31 < _EXACT

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return `weight @ values` over the last axis (elementwise for a diagonal), exact, int64.

        Args:
            values: integers `(batch, steps, in)`.

        Raises:
            UserError: a sum could exceed 2^53, where float64 products stop being exact.
        """
        if self.weight.ndim == 1:
            return values.astype(np.int64) * self.weight
        if int(largest(values.ravel())) * self._largest >= _EXACT:
            raise UserError("a weighted sum of more than 53 bits is not exact; use narrower inputs or weights.")
        few = values.shape[0] * values.shape[1] < FEW_STEPS
        if few or self._kept * np.count_nonzero(values) < EVENTS_BELOW * values.size:
            return self.by_events(values)
        return self.by_blas(values)

    def by_events(self, values: np.ndarray) -> np.ndarray:
        """Return the product message by message: its cost follows the non-zero products."""
        out = np.empty((*values.shape[:2], len(self.weight)), np.int64)
        events(self.columns, values, out)
        return out

    def by_blas(self, values: np.ndarray) -> np.ndarray:
        """Return the product as a dense one of float64, exact below 2^53."""
        return (values.astype(np.float64) @ self._transposed).astype(np.int64)
