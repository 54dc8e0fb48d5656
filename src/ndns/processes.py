"""How processes of a pool end: never by Ctrl-C, which is their parent's business, and never later than their parent."""

import multiprocessing
import os
import signal
import threading
from multiprocessing import connection

LOST = (
    "--jobs: a process was killed, perhaps for want of memory; run the same command again with fewer jobs: what is "
    "finished is kept."
)


def follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it is gone: a killed run leaves no process behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
