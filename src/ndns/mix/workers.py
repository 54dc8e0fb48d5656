"""Work spread over processes that end with their parent, results in the order in which they finish."""

import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ndns.errors import UserError
from ndns.processes import LOST, follow_parent

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Tasks that wait for each process."""


def run_all(function: Callable[[T], R], tasks: Iterable[T], jobs: int) -> Iterator[R]:
    """Yield `function(task)` of all tasks as they finish; the first error stops the rest.

    With more than one job, `function` is pickled once for each process and keeps its state there.

    Raises:
        UserError: a process was killed.
    """
    if jobs == 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(function,))
    pending: set[Future[R]] = set()
    try:
        for task in tasks:
            pending.add(pool.submit(_call, task))
            if len(pending) >= AHEAD * jobs:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool:
        raise UserError(LOST) from None
    finally:
        pool.shutdown(cancel_futures=True)


def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield `items`; show how many of `total` are through if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(items, description=what, total=total, console=Console(stderr=True))


_FUNCTION: Callable[[Any], Any]


def _start(function: Callable[[Any], Any]) -> None:
    global _FUNCTION
    _FUNCTION = function
    follow_parent()


def _call(task: Any) -> Any:
    return _FUNCTION(task)
