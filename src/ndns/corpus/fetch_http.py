"""One file over HTTP: resumed where the server allows it, from the start where it does not."""

import http.client
import io
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ndns.errors import UserError

BLOCK = 1 << 20
GONE = {400, 401, 403, 404, 410, 451}
"""Answers that asking again does not change."""
BROKEN = (OSError, http.client.HTTPException)
"""What a failing network or server raises: time-outs, resets, short answers (URLError is an OSError)."""


@dataclass(frozen=True)
class Retry:
    """How patient a download is: `attempts` in a row without a new byte, pauses that double, all times in s."""

    attempts: int = 6
    pause: float = 1.0
    longest_pause: float = 60.0
    timeout: float = 60.0


class Unreachable(UserError):
    """No answer from a server, however often it was asked."""


class Stopped(Exception):
    """The run was interrupted; what has arrived stays."""


class _ServerBusy(OSError):
    def __init__(self, code: int, pause: float) -> None:
        super().__init__(f"the server answers {code}")
        self.pause = pause


def offered_bytes(url: str, name: str, retry: Retry, stop: threading.Event) -> int | None:
    """Ask for the size of a file without fetching a byte; none if the server does not tell.

    Raises:
        UserError: the server does not have the file.
        Unreachable: it does not answer, or answers 5xx each time.
    """
    request = urllib.request.Request(url, headers=_headers(), method="HEAD")
    for failures in range(1, retry.attempts + 1):
        try:
            with urllib.request.urlopen(request, timeout=retry.timeout) as response:
                return _number(response.headers.get("Content-Length"))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (405, 501):
                return None
            _refuse(error.code, url, name)
            problem: Exception = _busy(error)
        except BROKEN as error:
            problem = error
        if failures < retry.attempts:
            _pause(problem, failures, retry, stop)
    raise Unreachable(f"{name}: {url} cannot be reached ({_reason(problem)}); check the network and run again.")


def download(
    url: str,
    target: Path,
    expected: int | None,
    retry: Retry,
    stop: threading.Event,
    report: Callable[[int], None] = lambda arrived: None,
) -> None:
    """Fetch `url` into `target`; bytes gather in `<target>.part`, from which a later call goes on.

    Args:
        url: http or https.
        target: complete file; not written before all bytes have arrived. Its content is the caller's to check.
        expected: size in bytes, if known.
        retry: patience; attempts that bring new bytes do not count.
        stop: once set, the download ends with `Stopped` within a block.
        report: called with the number of bytes that have arrived.

    Raises:
        UserError: the server does not have the file, offers another size, or breaks off too often.
    """
    partial = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    best, failures = _size(partial), 0
    while True:
        try:
            _transfer(url, target, partial, expected, retry.timeout, stop, report)
            break
        except BROKEN as error:
            arrived = _size(partial)
            failures = 0 if arrived > best else failures + 1
            best = max(best, arrived)
            if failures >= retry.attempts:
                raise UserError(
                    f"{target.name}: {url} broke off {failures} times in a row after {arrived} bytes"
                    f" ({_reason(error)}); run again to go on from there."
                ) from None
            _pause(error, max(failures, 1), retry, stop)
    partial.replace(target)
    _tag_of(partial).unlink(missing_ok=True)


def _transfer(
    url: str,
    target: Path,
    partial: Path,
    expected: int | None,
    timeout: float,
    stop: threading.Event,
    report: Callable[[int], None],
) -> None:
    """Make one request and append what it brings."""
    have = _size(partial)
    if expected is not None and have == expected > 0:
        return
    if expected is not None and have > expected:
        _discard(partial)
        have = 0
    tag = _tag_of(partial)
    extra = {"Range": f"bytes={have}-"} if have else {}
    if have and tag.is_file():
        extra["If-Range"] = tag.read_text(encoding="utf-8")
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=_headers() | extra), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            _after_the_end(error, partial, have)
            return
        _refuse(error.code, url, target.name)
        raise _busy(error) from None
    with response:
        start, total = _span(response, have, partial)
        if expected is not None and total is not None and total != expected:
            raise UserError(
                f"{target.name}: {url} offers {total} bytes instead of {expected}; it is another file, so get it "
                "from elsewhere or mend the row in sources.csv."
            )
        if start == 0:
            _note_version(response, tag)
        _append(response, partial, start, total, stop, report)


def _append(
    response: http.client.HTTPResponse,
    partial: Path,
    start: int,
    total: int | None,
    stop: threading.Event,
    report: Callable[[int], None],
) -> None:
    """Write the answer behind the first `start` bytes, each block at once."""
    arrived = start
    with ExitStack() as stack:
        with _local(partial):
            handle = stack.enter_context(open(partial, "ab" if start else "wb", buffering=0))
        while total is None or arrived < total:
            if stop.is_set():
                raise Stopped
            block = response.read1(BLOCK)
            if not block:
                break
            with _local(partial):
                _write_all(handle, block)
            arrived += len(block)
            report(arrived)
    if total is not None and arrived != total:
        raise ConnectionError(f"{arrived} of {total} bytes came")


def _write_all(handle: io.FileIO, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[handle.write(rest) :]


@contextmanager
def _local(path: Path) -> Iterator[None]:
    """Turn a failing disk into a sentence; it is not the network's fault and no reason to try again."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); make room there and run again.") from None


def _span(response: http.client.HTTPResponse, have: int, partial: Path) -> tuple[int, int | None]:
    """Return the first byte of an answer and the size of the whole file, if it tells."""
    if response.status == 200:
        return 0, _number(response.headers.get("Content-Length"))
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status != 206 or not match or int(match[1]) != have:
        _discard(partial)
        raise ConnectionError(f"the server's answer {response.status} does not fit the request")
    return have, _number(match[3])


def _after_the_end(error: urllib.error.HTTPError, partial: Path, have: int) -> None:
    """Judge 416: all bytes are there, or the file has changed and starts anew."""
    match = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    if not match or int(match[1]) != have:
        _discard(partial)
        raise ConnectionError("the file on the server is shorter than what has arrived")


def _note_version(response: http.client.HTTPResponse, tag: Path) -> None:
    """Keep what identifies the server's version of the file, so that two versions are never joined."""
    etag = response.headers.get("ETag", "")
    version = response.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    if version:
        tag.write_text(version, encoding="utf-8")
    else:
        tag.unlink(missing_ok=True)


def _refuse(code: int, url: str, name: str) -> None:
    if code in GONE:
        raise UserError(f"{name}: {url} answers {code}; get the file from elsewhere, or mend the row in sources.csv.")


def _busy(error: urllib.error.HTTPError) -> _ServerBusy:
    return _ServerBusy(error.code, float(_number(error.headers.get("Retry-After")) or 0))


def _pause(problem: Exception, failures: int, retry: Retry, stop: threading.Event) -> None:
    asked = problem.pause if isinstance(problem, _ServerBusy) else 0.0
    if stop.wait(min(max(asked, retry.pause * 2 ** (failures - 1)), retry.longest_pause)):
        raise Stopped


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def _headers() -> dict[str, str]:
    return {"User-Agent": "ndns", "Accept-Encoding": "identity"}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tag_of(partial: Path) -> Path:
    return partial.with_name(partial.name + ".version")


def _discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _tag_of(partial).unlink(missing_ok=True)
