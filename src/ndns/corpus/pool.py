"""The same function over many items, in one or several processes, results in the order of the items."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int, title: str, chunk: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield `(item, function(item))` in order; a progress bar appears on a terminal.

    Args:
        function: picklable; an exception in it ends the iteration with that exception.
        items: picklable.
        jobs: processes; 1 works in this process.
        title: text of the progress bar.
        chunk: items that a process takes at once.
    """
    with _progress(title, len(items)) as advance:
        if jobs <= 1 or len(items) <= 1:
            for item in items:
                yield item, function(item)
                advance()
            return
        executor = ProcessPoolExecutor(
            min(jobs, len(items)), mp_context=multiprocessing.get_context("spawn"), initializer=_follow_parent
        )
        try:
            for item, result in zip(items, executor.map(function, items, chunksize=chunk), strict=True):
                yield item, result
                advance()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it is gone: a killed run leaves no process behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function that moves the bar by one; without a terminal on standard error it does nothing."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
