"""Archives on a server of one's own, and the table of sources that names them."""

import csv
import hashlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ndns.config import Fetch
from ndns.corpus.fetch import fetch
from ndns.corpus.fetch_http import Retry

from .fetch_server import Site, start

HURRY = Retry(attempts=3, pause=0.01, longest_pause=0.02, timeout=5)
NAME = "clean_fullband/read.tar.bz2"


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return np.random.default_rng(seed).bytes(size)


def tar_bz2(files: dict[str, bytes]) -> bytes:
    """A tar archive, compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


WAVS = {f"datasets_fullband/clean_fullband/read_speech/{i}.wav": noise(90_000, i) for i in range(3)}
ARCHIVE = tar_bz2(WAVS)


@pytest.fixture
def site(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    site = Site({NAME: ARCHIVE})
    server = start(site)
    yield site
    server.shutdown()
    server.server_close()


def sources(folder: Path, site: Site, *rows: dict) -> Path:
    path = folder / "sources.csv"
    defaults = {"set": "dns4", "folder": "clean_fullband/read_speech", "bytes": "", "sha256": "", "unpacked_gb": ""}
    with open(path, "w", newline="") as handle:
        writer = csv.DictWriter(handle, [*defaults, "archive", "name", "url"])
        writer.writeheader()
        for row in rows or ({"name": NAME},):
            own = {"archive": Path(row["name"]).name, "url": site.url + row["name"]}
            writer.writerow({**defaults, **own, **row})
    return path


def published(data: bytes = ARCHIVE, name: str = NAME) -> dict:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture
def go(tmp_path, site):
    def call(*rows: dict, sets=("dns4",), jobs: int = 1, **settings) -> dict:
        table = sources(tmp_path, site, *rows)
        section = Fetch(sources=str(table), sets=list(sets), root=str(tmp_path / "root"), **settings)
        return fetch(section, jobs, HURRY, say=lambda line: None)

    return call


def unpacked(root: Path) -> dict[str, bytes]:
    """All files below the root except the fetching's own."""
    names = [path for path in root.rglob("*") if path.is_file() and ".fetch" not in path.parts]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in names if p.suffix == ".wav"}
