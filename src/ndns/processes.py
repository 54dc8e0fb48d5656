"""How processes end and use the machine: those of a pool never end by Ctrl-C or later than their parent; how
threads wait; freed memory stays for the next arrays.
"""

import ctypes
import multiprocessing
import os
import signal
import threading
from multiprocessing import connection

LOST = (
    "--jobs: a process was killed, perhaps for want of memory; run the same command again with fewer jobs: what is "
    "finished is kept."
)

WAITING = "OMP_WAIT_POLICY"
ACTIVE_WAITING = 2
"""Threads up to which those of matrix products wait actively between two products, which saves waking them up."""

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Options of glibc's `mallopt`."""
_NEVER = 2**31 - 1


def follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it is gone: a killed run leaves no process behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def wait_for_products(threads: int) -> None:
    """Choose how the `threads` of matrix products wait; to be called before torch is imported.

    Where compiled loops run in threads of their own between the products (`ndns.models.kernels.each`), threads that
    wait actively would take the cores from them.
    """
    if threads > ACTIVE_WAITING:
        os.environ.setdefault(WAITING, "passive")


def keep_freed_memory() -> None:
    """Tell glibc's malloc to keep what arrays free, not hand large blocks back to the system.

    A training step takes and frees some hundred MB, a mixture some tens; mapping them anew costs a page fault every
    4 KiB, about a fifth of a training step on a CPU. Does nothing where the C library is another one.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
