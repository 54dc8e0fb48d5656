"""What a file says, whatever its bytes: named fields of numbers or text, read when they are asked for."""

import csv
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import soundfile
import yaml
from safetensors import SafetensorError, safe_open

from ndns.errors import UserError

Field = np.ndarray | list | str | int | float | bool | None
Reader = Callable[[Path], Mapping[str, Field]]
AUDIO = (".flac", ".wav", ".ogg")
DAMAGE = (
    *(OSError, ValueError, EOFError, SafetensorError, soundfile.LibsndfileError, yaml.YAMLError, csv.Error),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, NotImplementedError),
    *(KeyError, RuntimeError),  # HDF5
)
"""What the readers of formats raise for a damaged file."""


class Lazy(Mapping[str, Field]):
    """Fields that are read one at a time, so that an archive of any size fits."""

    def __init__(self, path: Path, readers: Mapping[str, Callable[[], Field]]) -> None:
        self._path, self._readers = path, dict(readers)

    def __getitem__(self, name: str) -> Field:
        with _named(self._path):
            return self._readers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._readers

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def contents(path: Path) -> Mapping[str, Field]:
    """Return the fields of a file: columns, key paths, arrays, decoded samples, archive members.

    A list holds the text cells of a table's column. Formats: CSV, JSON, YAML, FLAC/WAV, TAR of these, safetensors,
    NPZ, HDF5; of any other file the only field is its text.

    Raises:
        UserError: the file is not what its name says.
    """
    with _named(path):
        return READERS.get(path.suffix.lower(), _text)(path)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in errors of the libraries that read it."""
    try:
        yield
    except DAMAGE as error:
        raise UserError(f"{path}: cannot be read as {path.suffix or 'text'} ({_first_line(error)}).") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _table(text: str) -> dict[str, Field]:
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    if len(set(header)) < len(header):
        raise ValueError("a column is there twice")
    if any(len(row) != len(header) for row in rows):
        raise ValueError("a row has more or fewer cells than the header")
    return {name: [row[index] for row in rows] for index, name in enumerate(header)}


def _csv(path: Path) -> dict[str, Field]:
    with open(path, encoding="utf-8", newline="") as handle:
        text = handle.read()
    if not text:
        raise ValueError("empty")
    return _table(text)


def flattened(value: object, prefix: str = "") -> dict[str, Field]:
    """Return the leaves of nested mappings and lists by their path, `layers.0.name`; empty ones stay `{}`, `[]`."""
    if isinstance(value, Mapping | list) and value:
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        return {name: leaf for key, item in pairs for name, leaf in flattened(item, f"{prefix}{key}.").items()}
    return {
        prefix[:-1]: value if isinstance(value, str | int | float | bool | None) else json.dumps(value, default=str)
    }


def _json(path: Path) -> dict[str, Field]:
    return flattened(json.loads(path.read_text(encoding="utf-8")))


def _yaml(path: Path) -> dict[str, Field]:
    return flattened(yaml.safe_load(path.read_text(encoding="utf-8")))


def _samples(source: Path | io.BytesIO) -> dict[str, Field]:
    with soundfile.SoundFile(source) as sound:
        kind = {"PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32"}.get(sound.subtype, "float32")
        samples = sound.read(dtype=kind, always_2d=True)
        if len(samples) != sound.frames:
            raise ValueError(f"ends after {len(samples)} of {sound.frames} samples")
        return {"samples": samples, "rate": sound.samplerate, "subtype": sound.subtype}


def _tar(path: Path) -> Lazy:
    with tarfile.open(path, "r:") as archive:
        members = [(entry.name, entry.offset_data, entry.size) for entry in archive if entry.isreg()]
        odd = [entry.name for entry in archive.getmembers() if not (entry.isreg() or entry.isdir())]
    if odd:
        raise ValueError(f"member {odd[0]!r} is neither file nor folder")

    def data(offset: int, size: int) -> bytes:
        with open(path, "rb") as handle:
            handle.seek(offset)
            return handle.read(size)

    def text(*place: int) -> Field:
        return data(*place).decode("utf-8", errors="surrogateescape")

    def samples(*place: int) -> Field:
        return _samples(io.BytesIO(data(*place)))["samples"]

    def rate(*place: int) -> Field:
        return soundfile.info(io.BytesIO(data(*place))).samplerate

    readers: dict[str, Callable[[], Field]] = {"members": lambda: [name for name, _, _ in members]}
    for name, *place in members:
        sound = Path(name).suffix.lower() in AUDIO
        readers[name] = partial(samples if sound else text, *place)
        if sound:
            readers[f"{name}@rate"] = partial(rate, *place)
    return Lazy(path, readers)


def _safetensors(path: Path) -> Lazy:
    with safe_open(path, framework="numpy") as handle:
        names, metadata = sorted(handle.keys()), handle.metadata() or {}

    def tensor(name: str) -> Field:
        with safe_open(path, framework="numpy") as handle:
            return handle.get_tensor(name)

    texts = {f"metadata.{key}": (lambda text=text: text) for key, text in metadata.items()}
    return Lazy(path, {name: (lambda name=name: tensor(name)) for name in names} | texts)


def _npz(path: Path) -> Lazy:
    def array(name: str) -> Field:
        with np.load(path, allow_pickle=False) as handle:
            return handle[name]

    with np.load(path, allow_pickle=False) as handle:
        return Lazy(path, {name: (lambda name=name: array(name)) for name in handle.files})


def _hdf5(path: Path) -> dict[str, Field]:
    fields: dict[str, Field] = {}

    def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            fields[name] = _array(item[()])
        fields.update({f"{name}@{key}": _array(value) for key, value in item.attrs.items()})

    with h5py.File(path) as handle:
        visit("", handle)
        handle.visititems(visit)
    return fields


def _array(value: object) -> Field:
    value = value.decode() if isinstance(value, bytes) else value
    return value if isinstance(value, str) else np.asarray(value)


def _text(path: Path) -> dict[str, Field]:
    return {"text": path.read_bytes().decode("utf-8", errors="surrogateescape").splitlines()}


READERS: dict[str, Reader] = {
    ".csv": _csv,
    ".json": _json,
    ".yml": _yaml,
    ".yaml": _yaml,
    ".tar": _tar,
    ".safetensors": _safetensors,
    ".npz": _npz,
    ".net": _hdf5,
    ".h5": _hdf5,
    **dict.fromkeys(AUDIO, _samples),
}
