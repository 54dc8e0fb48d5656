"""A remote that does not take the files: told in one sentence, nothing half recorded; then the same command works."""

import hashlib
from pathlib import Path

import pytest

from ndns.errors import UserError
from ndns.record.record import record_models
from ndns.record.store import STORE, objects

from ..faults.conftest import disk
from . import servers
from .conftest import tree
from .test_remotes import CONTENT, checkout, configure

DIGESTS = {hashlib.md5(content).hexdigest() for content in CONTENT.values()}
ROOM = 16
"""Kilobytes, enough for one of the model's two files and not for both."""


def obstacle(store: Path) -> Path:
    """Put a file where the store wants the folder of an object."""
    path = store / "files" / "md5" / min(DIGESTS)[:2]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"in the way")
    return path


def refused(root: Path, remote: str | None) -> str:
    """Record, which must fail and change nothing; return what was said."""
    before = tree(root)
    with pytest.raises(UserError) as caught:
        record_models(Path(), remote)
    assert tree(root) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", [None, "results"], ids=["the store of the repository", "another"])
def test_a_file_where_the_remote_wants_a_folder(tmp_path, monkeypatch, name):
    root = checkout(tmp_path / "source")
    store = root / STORE if name is None else tmp_path / "remote"
    configure(root, {"url": str(tmp_path / "remote")})
    monkeypatch.chdir(root)
    path = obstacle(store)
    told = refused(root, name)
    assert told.startswith("DVC: the remote cannot be used (")
    assert "Not a directory" in told
    assert str(path) in told
    path.unlink()
    assert record_models(Path(), name).sent == 3
    assert objects(store).keys() > DIGESTS


def test_a_store_without_room_for_all_is_left_as_it_was(tmp_path, monkeypatch):
    """DVC has sent a part when it learns that the rest does not fit."""
    root = checkout(tmp_path / "source")
    monkeypatch.chdir(root)
    (root / STORE).parent.mkdir(exist_ok=True)
    with disk(root / STORE, ROOM):
        told = refused(root, None)
        assert "files did not reach the remote; see that it is in reach, may be written and has room" in told
        assert objects(STORE) == {}
    assert record_models(Path()).sent == 3
    assert objects(STORE).keys() > DIGESTS


def test_a_server_that_one_can_only_read_from(tmp_path, monkeypatch):
    root = checkout(tmp_path / "source")
    (tmp_path / "server").mkdir()
    with servers.http(tmp_path / "server") as server:
        configure(root, {"url": server.url})
        monkeypatch.chdir(root)
        assert "files did not reach the remote" in refused(root, "results")
        assert server.objects() == []
    configure(root, {"url": str(tmp_path / "server/store")}, local=True)
    assert record_models(Path(), "results").sent == 3
