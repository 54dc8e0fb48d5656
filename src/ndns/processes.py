"""How processes of a pool end: never by Ctrl-C, which is their parent's business, and never later than their parent.

And what makes them fast side by side.
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

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Options of glibc's `mallopt`."""


def follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it is gone: a killed run leaves no process behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def keep_freed_memory(size: int = 1 << 28) -> None:
    """Keep up to `size` bytes that arrays free for the next ones, where the C library is glibc.

    It would return them to the system and get them again, zeroed page by page, for every array of a few MB.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_TRIM_THRESHOLD, size)
        library.mallopt(_MMAP_THRESHOLD, 1 << 25)
