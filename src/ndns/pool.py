"""The same function over many items, in one or several processes, results in the order of the items."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from ndns.errors import UserError
from ndns.processes import LOST, follow_parent

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
            min(jobs, len(items)), mp_context=multiprocessing.get_context("spawn"), initializer=follow_parent
        )
        try:
            for item, result in zip(items, executor.map(function, items, chunksize=chunk), strict=True):
                yield item, result
                advance()
        except BrokenProcessPool:
            raise UserError(LOST) from None
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


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
