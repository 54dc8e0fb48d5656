"""Work over many clips in processes, one thread each, that survives interruption."""

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from ndns.errors import UserError
from ndns.processes import follow_parent

Task = TypeVar("Task")
Row = dict[str, Any]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

AHEAD = 4
"""Tasks a process that are handed out before one has ended: enough to keep it busy, whatever their number."""


def journaled(function: Callable[[Task], Row], tasks: Mapping[str, Task], journal: Path, jobs: int) -> dict[str, Row]:
    """Return the row of each task, taking from the journal what an interrupted call finished.

    Args:
        function: importable by name; it runs in other processes if `jobs` is above 1.
        tasks: key -> task; a key says everything the row depends on.
        journal: file beside the result; a line a finished task. The caller removes it when the result is written.
        jobs: processes.

    Raises:
        UserError: what a task raised (the others are called off), or a process that died.
    """
    rows = _read(journal)
    pending = {key: task for key, task in tasks.items() if key not in rows}
    if pending:
        journal.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                open(journal, "a", encoding="utf-8") as handle,
                _progress(len(tasks), len(tasks) - len(pending)) as step,
            ):
                for key, row in _finished(function, pending, jobs):
                    handle.write(json.dumps({"key": key, "row": row}) + "\n")
                    handle.flush()
                    rows[key] = row
                    step()
        finally:
            if not rows:
                journal.unlink(missing_ok=True)  # nothing to go on from
    return {key: rows[key] for key in tasks}


def _read(journal: Path) -> dict[str, Row]:
    """Return the journal's rows; a last line that was cut short is removed from the file."""
    if not journal.exists():
        return {}
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(journal, len(whole))
    entries = [json.loads(line) for line in whole.decode("utf-8").splitlines()]
    return {entry["key"]: entry["row"] for entry in entries}


def _finished(function: Callable[[Task], Row], tasks: Mapping[str, Task], jobs: int) -> Iterator[tuple[str, Row]]:
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        for key, task in tasks.items():
            with threadpool_limits(1):  # sums depend on the number of threads, scores must not
                row = function(task)
            yield key, row
        return
    with _one_thread_each():
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=follow_parent)
        try:
            waiting = iter(tasks.items())
            running = {pool.submit(function, task): key for key, task in islice(waiting, AHEAD * jobs)}
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
                    running |= {pool.submit(function, task): key for key, task in islice(waiting, 1)}
        except BrokenProcessPool:
            raise UserError(
                f"a scoring process died, out of memory perhaps; run again with fewer --jobs than {jobs} "
                "(finished clips are kept)."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes started inside use one thread in NumPy's libraries."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    """Yield a function that advances a progress bar on standard error; nothing is shown without a terminal."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("score", total=total, completed=done)
        yield lambda: progress.advance(bar)
