"""The one exception for input that the caller can mend, and how its sentences list names."""

from collections.abc import Sequence


def some(names: Sequence[str], most: int) -> str:
    """Name the first `most` and count the others.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


class UserError(Exception):
    """Bad input: one sentence that names the file or key and the mend. The command line prints it and exits with 2."""
