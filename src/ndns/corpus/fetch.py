"""Fetching the challenge's data: ask what the servers have, check the disk, download, check, unpack, report.

Below the root, `.fetch/archives` holds what has arrived, `.fetch/state` what is done, `.fetch/unpacking` what is being
unpacked; `sources.lock.csv` the sizes and hashes of first downloads.
"""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from ndns.audio.io import SUFFIXES
from ndns.config import Fetch
from ndns.corpus.fetch_http import Retry, Stopped, Unreachable, download, offered_bytes
from ndns.corpus.fetch_sources import Archive, Lock, Part, read_sources
from ndns.corpus.unpack import RESERVED, Interrupted, unpack
from ndns.corpus.unpack_zip import Corrupt
from ndns.errors import UserError
from ndns.files import held, sha256_file, write_json

NAMED = 8
"""Reasons that an error gives one by one."""


@dataclass
class _Run:
    """What the steps share."""

    settings: Fetch
    retry: Retry
    say: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def root(self) -> Path:
        return Path(self.settings.root)

    @property
    def own(self) -> Path:
        return self.root / RESERVED

    @property
    def existing(self) -> Path | None:
        return Path(self.settings.existing) if self.settings.existing else None

    def state(self, archive: Archive) -> Path:
        return self.own / "state" / f"{archive.name}.json"

    def arrived(self, part: Part) -> Path:
        return self.own / "archives" / part.name

    def given(self, part: Part) -> Path | None:
        """The part in the existing copy, below it as in `sources.csv` or directly in it."""
        if self.existing is None:
            return None
        places = (self.existing / part.name, self.existing / Path(part.name).name)
        return next((path for path in places if path.is_file()), None)


def fetch(
    settings: Fetch, jobs: int = 1, retry: Retry | None = None, say: Callable[[str], None] | None = None
) -> dict[str, object]:
    """Bring all archives of `settings.sets` below `settings.root`; what is done already is not done again.

    Args:
        settings: sources, sets, places.
        jobs: archives that are downloaded and unpacked at once.
        retry: patience with the network.
        say: takes a line for each archive that is done; default is standard error.

    Returns:
        What `<root>/fetched.json` holds: by set its root folder, archives, files, bytes and missing archives.

    Raises:
        UserError: no such source or copy, missing or corrupt parts (by name), too little room.
    """
    run = _Run(settings, retry or Retry(), say or (lambda line: print(f"ndns fetch: {line}", file=sys.stderr)))
    if run.existing is not None and not run.existing.is_dir():
        raise UserError(f"corpus_root: {run.existing} is not a folder; name an existing copy or leave it out.")
    archives = read_sources(Path(settings.sources), settings.sets)
    with held(run.own / "lock", f"{run.root}: another fetch is at work there; wait for it or end it."):
        lock = Lock(run.root / "sources.lock.csv")
        copies = {group: copy for group in settings.sets if (copy := _copy(run, group, archives)) is not None}
        wanted = [archive for archive in archives if archive.group not in copies]
        open_ = [_filled(archive, lock) for archive in wanted if not _is_done(run, archive)]
        open_, failures = _offered(run, open_)
        if failures and not settings.partial:
            raise _refusal(failures, len(archives))
        _check_room(run, open_, jobs)
        failures |= _work(run, open_, lock, jobs)
        if failures and not settings.partial:
            raise _refusal(failures, len(archives))
        report = _report(run, archives, copies, failures)
    write_json(run.root / "fetched.json", report)
    return report


def _copy(run: _Run, group: str, archives: Sequence[Archive]) -> Path | None:
    """Return the existing unpacked copy of a set, if there is one.

    Raises:
        UserError: the copy has some of the set's folders, but not all.
    """
    if run.existing is None:
        return None
    folders = sorted({archive.folder for archive in archives if archive.group == group})
    present = [folder for folder in folders if _has_audio(run.existing, folder)]
    if not present:
        return None
    absent = [folder for folder in folders if folder not in present]
    if absent and not run.settings.partial:
        raise UserError(
            f"{run.existing}: the copy of {group} lacks {', '.join(absent)}; complete it, or set fetch.partial to "
            "go on without."
        )
    return run.existing


def _has_audio(root: Path, folder: str) -> bool:
    """Tell whether a folder with this end of its path, at most two levels down, holds a recording."""
    for place in (folder, f"*/{folder}", f"*/*/{folder}"):
        for found in root.glob(place):
            for _, _, names in os.walk(found):
                if any(name.lower().endswith(SUFFIXES) for name in names):
                    return True
    return False


def _is_done(run: _Run, archive: Archive) -> bool:
    """Tell whether the archive was unpacked and each of its files still has its size."""
    try:
        state = json.loads(run.state(archive).read_text(encoding="utf-8"))
        if any(part.sha256 and part.sha256 not in state["parts"].values() for part in archive.parts):
            return False
        return all((run.root / name).stat().st_size == size for name, size in state["files"].items())
    except (FileNotFoundError, ValueError):  # the latter: a power cut left the state empty or torn
        return False


def _filled(archive: Archive, lock: Lock) -> Archive:
    return replace(archive, parts=tuple(lock.known(part) for part in archive.parts))


def _offered(run: _Run, archives: Sequence[Archive]) -> tuple[list[Archive], dict[str, str]]:
    """Ask the servers for what is not here yet; return the archives with sizes, and why others cannot be had."""
    found, failures = [], {}
    silent: dict[str, str] = {}

    def sized(part: Part) -> Part:
        here = run.given(part) or run.arrived(part)
        if here.is_file():
            return replace(part, bytes=part.bytes if part.bytes is not None else here.stat().st_size)
        server = urlsplit(part.url).netloc
        if server in silent:
            raise UserError(silent[server])
        try:
            offered = offered_bytes(part.url, part.name, run.retry, run.stop)
        except Unreachable:
            silent[server] = f"{server} did not answer, so it was not asked again"
            raise
        if part.bytes is not None and offered is not None and offered != part.bytes:
            raise UserError(
                f"{part.name}: {part.url} offers {offered} bytes instead of {part.bytes}; it is another file, so get "
                "it from elsewhere or mend the row in sources.csv."
            )
        return part if part.bytes is not None else replace(part, bytes=offered)

    for archive in archives:
        try:
            found.append(replace(archive, parts=tuple(map(sized, archive.parts))))
        except UserError as error:
            failures[archive.name] = str(error)
    return found, failures


def _check_room(run: _Run, archives: Sequence[Archive], jobs: int) -> None:
    """Compare what is still to be written with what is free, before the first byte.

    Raises:
        UserError: too little room.
    """
    loads = sorted((_to_download(run, archive) for archive in archives), reverse=True)
    downloads = sum(loads) if run.settings.keep_archives else sum(loads[:jobs])
    need = sum(archive.unpacked for archive in archives) + downloads
    free = shutil.disk_usage(run.root).free
    if need > free:
        raise UserError(
            f"{run.root}: {need / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, set fetch.root "
            "to a larger disk, or name fewer fetch.sets."
        )


def _to_download(run: _Run, archive: Archive) -> int:
    """Bytes of an archive that are not on this disk yet; a size nobody tells counts as the unpacked one."""
    total = 0
    for part in archive.parts:
        if run.given(part) or run.arrived(part).is_file():
            continue
        size = part.bytes if part.bytes is not None else archive.unpacked // len(archive.parts)
        partial = run.arrived(part).with_name(Path(part.name).name + ".part")
        total += max(size - (partial.stat().st_size if partial.is_file() else 0), 0)
    return total


def _work(run: _Run, archives: Sequence[Archive], lock: Lock, jobs: int) -> dict[str, str]:
    """Fetch and unpack; return what failed. Ctrl-C stops the workers, and what has arrived stays."""
    failures: dict[str, str] = {}
    total = sum(part.bytes or 0 for archive in archives for part in archive.parts if run.given(part) is None)
    with _bar(total) as arrived, ThreadPoolExecutor(jobs) as executor:
        tasks = {executor.submit(_one, run, archive, lock, arrived): archive for archive in archives}
        try:
            for task in as_completed(tasks):
                try:
                    task.result()
                except UserError as error:
                    failures[tasks[task].name] = str(error)
                    run.say(str(error))
        except BaseException:
            run.stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
            raise
    return failures


def _one(run: _Run, archive: Archive, lock: Lock, arrived: Callable[[str, int], None]) -> None:
    """Bring one archive from its servers to its place."""
    pairs = [_checked(run, part, lambda count, name=part.name: arrived(name, count)) for part in archive.parts]
    parts, paths = [part for part, _ in pairs], [path for _, path in pairs]
    try:
        files = unpack(archive.name, paths, run.own / "unpacking" / archive.name, run.root, run.stop)
    except Interrupted:
        raise Stopped from None
    except Corrupt:
        _drop_unproven(run, archive)
        raise
    lock.note([part for part, given in zip(parts, archive.parts, strict=True) if not given.sha256])
    write_json(run.state(archive), {"parts": {part.name: part.sha256 for part in parts}, "files": files})
    if not run.settings.keep_archives:
        for part in parts:
            run.arrived(part).unlink(missing_ok=True)
    run.say(f"{archive.name}: {len(files)} files, {sum(files.values()) / 1e9:.2f} GB")


def _checked(run: _Run, part: Part, report: Callable[[int], None]) -> tuple[Part, Path]:
    """Return a part with its true size and hash, and where it lies; a wrong download is tried once more from the start.

    Raises:
        UserError: size or hash are not those of `sources.csv` or of the first download.
    """
    given = run.given(part)
    path = given or run.arrived(part)
    for again in (True, False):
        if not path.is_file():
            download(part.url, path, part.bytes, run.retry, run.stop, report)
        if run.stop.is_set():
            raise Stopped
        size = path.stat().st_size
        report(size)
        digest = sha256_file(path)
        if part.bytes in (None, size) and part.sha256 in ("", digest):
            return replace(part, bytes=size, sha256=digest), path
        if given is None:
            path.unlink()
        if given is not None or not again:
            break
    wrong = f"{size} bytes instead of {part.bytes}" if part.bytes not in (None, size) else _hashes(part, digest)
    where = "replace this copy" if given else f"{part.url} sends a damaged or another file; get it from elsewhere"
    raise UserError(f"{part.name}: corrupt ({wrong}); {where}.")


def _hashes(part: Part, digest: str) -> str:
    return f"SHA-256 is {digest} instead of {part.sha256}"


def _drop_unproven(run: _Run, archive: Archive) -> None:
    """Remove a download that no hash vouches for and that does not unpack, so that the next call fetches it anew."""
    for part in archive.parts:
        if not part.sha256:
            run.arrived(part).unlink(missing_ok=True)


def _refusal(failures: dict[str, str], count: int) -> UserError:
    shared: dict[str, list[str]] = {}
    for name, reason in failures.items():
        shared.setdefault(reason.rstrip("."), []).append(name)
    told = [reason if len(names) == 1 else f"{reason} ({len(names)} archives)" for reason, names in shared.items()]
    others = [name for names in list(shared.values())[NAMED:] for name in names]
    more = f" | and {len(others)} more: {', '.join(others)}" if others else ""
    text = " | ".join(told[:NAMED]) + more
    return UserError(f"{len(failures)} of {count} archives cannot be used: {text}. (fetch.partial goes on without.)")


def _report(run: _Run, archives: Sequence[Archive], copies: dict[str, Path], failures: dict[str, str]) -> dict:
    report: dict[str, object] = {}
    for group in run.settings.sets:
        of_group = [archive for archive in archives if archive.group == group]
        if group in copies:
            absent = sorted({a.folder for a in of_group if not _has_audio(copies[group], a.folder)})
            report[group] = {"root": str(copies[group]), "from": "existing copy", "missing": absent}
            continue
        done = [archive for archive in of_group if archive.name not in failures]
        sizes = [size for a in done for size in json.loads(run.state(a).read_text(encoding="utf-8"))["files"].values()]
        report[group] = {
            "root": str(run.root),
            "from": "archives",
            "archives": len(done),
            "files": len(sizes),
            "bytes": sum(sizes),
            "missing": sorted(archive.name for archive in of_group if archive.name in failures),
        }
    return report


@contextmanager
def _bar(total: int) -> Iterator[Callable[[str, int], None]]:
    """Yield a function that takes a part's name and its bytes so far; without a terminal it does nothing."""
    if not sys.stderr.isatty():
        yield lambda name, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    counts: dict[str, int] = {}
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Fetching", total=total)

        def arrived(name: str, count: int) -> None:
            counts[name] = count
            bar.update(task, completed=sum(list(counts.values())))

        yield arrived
