"""Reading HDF5 files of unknown origin: every access is checked and every problem names file and dataset."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ndns.errors import UserError

MAX_BYTES = 1 << 30
"""Largest dataset that is read: a 16384 x 16384 matrix of float32."""


class CheckedGroup:
    """A group of an HDF5 file, seen through checks. Only hard links are followed, so nothing outside is opened.

    Attributes:
        path: the file, for messages.
        name: the group's path inside the file, `/`-separated, for messages.
    """

    def __init__(self, path: Path, group: h5py.Group, name: str = "") -> None:
        self.path, self.name, self._group = path, name, group

    def error(self, key: str, problem: str) -> UserError:
        """Return the exception for the item `key` of this group."""
        return UserError(f"{self.path}: {self._full(key)}: {problem}")

    def keys(self) -> list[str]:
        """Names in this group; h5py gives bytes for one that is not UTF-8, which only damage or malice make."""
        with self._damage(""):
            names = list(self._group)
        return [name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name for name in names]

    def __contains__(self, key: str) -> bool:
        return key in self.keys()

    def attribute(self, key: str) -> object:
        """Return an attribute of this group, or None where it has none of this name."""
        with self._damage(f"attribute {key}"):
            return self._group.attrs.get(key)

    def is_group(self, key: str) -> bool:
        """Tell whether `key` is a group."""
        return isinstance(self._item(key), h5py.Group)

    def is_text(self, key: str) -> bool:
        """Tell whether `key` is a dataset of text."""
        item = self._item(key)
        with self._damage(key):
            return isinstance(item, h5py.Dataset) and item.dtype.kind in "SO"

    def group(self, key: str) -> "CheckedGroup":
        """Return a group inside this one.

        Raises:
            UserError: missing, a link out of the file, or a dataset.
        """
        item = self._item(key)
        if not isinstance(item, h5py.Group):
            raise self.error(key, "expected a group, found a dataset.")
        return CheckedGroup(self.path, item, self._full(key))

    def text(self, key: str) -> str:
        """Return a text dataset, stored as a scalar or as an array of one.

        Raises:
            UserError: missing, or not one text.
        """
        value = np.asarray(self._dataset(key)).reshape(-1)
        if value.size != 1 or not isinstance(value[0], bytes | str):
            raise self.error(key, f"expected one text, found {value.dtype} {value.shape}.")
        try:
            return value[0].decode("ascii") if isinstance(value[0], bytes) else str(value[0])
        except UnicodeDecodeError:
            raise self.error(key, "this text is not ASCII.") from None

    def array(self, key: str) -> np.ndarray:
        """Return a numeric dataset as stored.

        Raises:
            UserError: missing, not numeric, too large, NaN or infinite.
        """
        value = np.asarray(self._dataset(key))
        if value.dtype.kind not in "biuf":
            raise self.error(key, f"expected numbers, found {value.dtype}.")
        if not np.isfinite(value).all():
            raise self.error(key, "contains NaN or infinity; export the network again.")
        return value

    def integers(self, key: str, low: int, high: int) -> np.ndarray:
        """Return a numeric dataset as int64 after checking that all values are integers in [low, high].

        Raises:
            UserError: as `array`, or a value is no integer or out of range.
        """
        value = self.array(key)
        whole = np.rint(value).astype(np.int64) if value.dtype.kind == "f" else value.astype(np.int64)
        if not np.array_equal(whole, value):
            raise self.error(key, "contains values that are not integers; quantize the network before export.")
        if whole.size and (whole.min() < low or whole.max() > high):
            raise self.error(key, f"values {whole.min()} to {whole.max()} do not fit in [{low}, {high}].")
        return whole

    def integer(self, key: str, low: int, high: int) -> int:
        """Return one integer; an array of equal integers counts as one.

        Raises:
            UserError: as `integers`, or the array is empty or its values differ.
        """
        value = self.integers(key, low, high)
        if value.size == 0 or (value != value.flat[0]).any():
            raise self.error(key, f"expected one value, found {value.size} different ones; this is not supported.")
        return int(value.flat[0])

    def _full(self, key: str) -> str:
        return f"{self.name}/{key}".lstrip("/")

    def _item(self, key: str) -> h5py.Group | h5py.Dataset:
        with self._damage(key):
            link = self._group.get(key, getlink=True)
        if link is None:
            raise self.error(key, "is missing; this is not a complete netx network.")
        if not isinstance(link, h5py.HardLink):
            raise self.error(key, "is a link; links are not followed, store the data itself.")
        with self._damage(key):
            return self._group[key]

    def _dataset(self, key: str) -> object:
        item = self._item(key)
        if not isinstance(item, h5py.Dataset):
            raise self.error(key, "expected a dataset, found a group.")
        with self._damage(key):
            elsewhere, dtype, size = item.external or item.is_virtual, item.dtype, item.size
        if elsewhere:
            raise self.error(key, "stores its data in another file; this is not followed, store the data itself.")
        if dtype.kind not in "biufSO" or (dtype.kind == "O" and not h5py.check_string_dtype(dtype)):
            raise self.error(key, f"the type {dtype} is not supported.")
        if size is None or size * dtype.itemsize > MAX_BYTES:
            raise self.error(key, f"holds {size} values of {dtype.itemsize} bytes; at most {MAX_BYTES} bytes are read.")
        with self._damage(key):
            return item[()]

    @contextmanager
    def _damage(self, key: str) -> Iterator[None]:
        """Turn what h5py raises for a broken structure into a sentence."""
        try:
            yield
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise self.error(key, f"cannot be read ({str(error).strip(chr(39))}); the file is damaged.") from None


def open_checked(path: str | Path) -> h5py.File:
    """Open a file for reading.

    Raises:
        UserError: no such file, or not HDF5.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: not an HDF5 file or damaged ({error}).") from None
