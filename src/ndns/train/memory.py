"""How a training process uses the machine: threads wait asleep, and freed memory stays for the next step."""

import ctypes
import platform

WAITING = {"OMP_WAIT_POLICY": "passive"}
"""Environment that must be set before torch is imported: threads of matrix products that wait actively would take the
cores from the compiled loops between them (and from other programs)."""

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_memory() -> None:
    """Tell glibc's malloc not to hand large blocks back to the system.

    Each step takes and frees some hundred MB; mapping them anew costs a page fault every 4 KiB, about a fifth of
    the step on a CPU. Does nothing where the C library is another one.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, _NEVER)
