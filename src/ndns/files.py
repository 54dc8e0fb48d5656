"""Small helpers for files that must be whole or absent: atomic writes, hashes, CSV tables."""

import csv
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, TextIO

from ndns.errors import UserError

FULL = 64 * 1024
"""A disk with fewer free bytes is full."""


LONG_NAME = 200
"""Bytes of a name from which on that of its temporary file could pass the 255 that file systems bear."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffix); it is renamed to `path` only if the block succeeds.

    Raises:
        UserError: the disk is full or must not be written.
    """
    path = Path(path)
    stem = path.stem if len(os.fsencode(path.name)) < LONG_NAME else sha256_bytes(os.fsencode(path.name))[:32]
    temporary = path.with_name(f".{stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except Exception as error:
        if problem := disk_problem(error, path):
            raise UserError(problem) from error
        raise


def disk_problem(error: Exception, path: Path) -> str | None:
    """Return a sentence if an error while reading or writing `path` is the disk's or the path's, None for any other.

    Libraries tell a full disk each in their own way (libsndfile in none), so the space that is left is looked at too.
    """
    if isinstance(error, UnicodeEncodeError) and "\udc80" <= error.object[error.start] <= "\udcff":
        return f"{error.object!a}: the name is not UTF-8; rename the file."
    number = error.errno if isinstance(error, OSError) else None
    place = getattr(error, "filename", None) or path
    if number in (errno.EACCES, errno.EPERM):
        return f"{place}: {os.strerror(number)}; mend the permissions of file and folder."
    if number == errno.EISDIR:
        return f"{path}: is a folder; name a file."
    if number == errno.ENOTDIR or (number == errno.EEXIST and Path(place).is_file()):  # the latter by making folders
        return f"{path}: passes through a file as if it were a folder; mend the path."
    if number == errno.EROFS:
        return f"{path}: lies on a read-only file system; make it writable or choose another folder."
    full = number in (errno.ENOSPC, errno.EDQUOT) or (not isinstance(error, UserError) and _free(path) < FULL)
    return f"{path}: no space left on the disk; free some, then run the same command again." if full else None


def _free(path: Path) -> int:
    """Bytes left on the disk of the nearest folder that exists."""
    return shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.is_dir())).free


@contextmanager
def held(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file for one process, not for those that it forks; the lock ends with it, the file stays.

    Where the file system has no locks, as some of clusters, nothing is held.

    Args:
        path: of the lock file; its folder is made.
        refusal: what to say where another process holds it.

    Raises:
        UserError: with `refusal`; or the disk is full or must not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open(path, "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        if problem := disk_problem(error, path):
            raise UserError(problem) from error
        raise
    with handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise UserError(refusal) from None
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 `text` atomically, with `\\n` line ends on every system."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON with sorted keys; NaN and infinity raise ValueError."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal text."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check_sha256(path: str | Path, expected: str) -> None:
    """Check a file that came from elsewhere before it is used.

    Raises:
        UserError: it is missing, or its SHA-256 is another one.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file.")
    if (found := sha256_file(path)) != expected:
        raise UserError(f"{path}: its SHA-256 is {found}, expected {expected}; fetch the file again.")


def write_csv(path: str | Path, rows: Iterable[Mapping[str, object]], columns: list[str]) -> None:
    """Write `rows` atomically with exactly `columns`; floats keep full precision, None becomes an empty cell."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: str | Path, required: Iterable[str] = ()) -> list[dict[str, str]]:
    """Read a CSV table as a list of rows of text.

    Raises:
        UserError: the file is missing, not UTF-8, lacks a required column, or has a row of more or fewer cells.
    """
    path = Path(path)
    rows = []
    with _table(path) as handle:
        reader = csv.DictReader(handle)
        _check_columns(path, reader.fieldnames, required)
        for row in reader:
            if None in row or None in row.values():
                word = "many" if None in row else "few"
                raise UserError(f"{path}: line {reader.line_num} has too {word} cells; mend the row.")
            rows.append(row)
    return rows


def read_number(text: str, path: str | Path, column: str) -> float:
    """Return the number in a cell of a table.

    Raises:
        UserError: it holds none.
    """
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{path}: {column}: {text!r} is not a number; mend it, or write the file again.") from None


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not JSON ({error}); write it again.") from None


def read_columns(path: str | Path, columns: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of `columns`, row by row: several times faster and smaller than `read_csv`.

    Raises:
        UserError: as `read_csv`, or a row is too short.
    """
    path = Path(path)
    with _table(path) as handle:
        reader = csv.reader(handle)
        header = next(reader, [])
        _check_columns(path, header, columns)
        try:
            yield from map(itemgetter(*map(header.index, columns)), filter(None, reader))
        except IndexError:
            raise UserError(f"{path}: line {reader.line_num} has too few cells.") from None


@contextmanager
def _table(path: Path) -> Iterator[TextIO]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:  # spreadsheets begin with a mark
            yield handle
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a UTF-8 CSV table ({error}).") from None


def _check_columns(path: Path, header: Sequence[str] | None, required: Iterable[str]) -> None:
    for name in required:
        if name not in (header or []):
            raise UserError(f"{path}: the column {name!r} is missing; found {header or 'no header'}.")
