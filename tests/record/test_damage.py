"""A store in which an object was cut short or lost: told, nothing of it taken, and with a sound store all goes on."""

import hashlib
from pathlib import Path

import pytest

from ndns.errors import UserError
from ndns.record.record import record_models
from ndns.record.restore import restore
from ndns.record.store import STORE, objects

from .conftest import commit
from .test_remotes import CONTENT, MODEL, checkout, clone


@pytest.mark.parametrize("length", [None, 0, 5000], ids=["lost", "empty", "truncated"])
def test_a_damaged_object_is_told_and_not_taken(tmp_path, monkeypatch, capfd, length):
    source = checkout(tmp_path / "source")
    monkeypatch.chdir(source)
    record_models(Path())
    commit(source, "record")
    monkeypatch.chdir(clone(source, tmp_path / "clone", {}))
    place = objects(Path(STORE))[hashlib.md5(CONTENT["program.net"]).hexdigest()]
    sound = place.read_bytes()
    place.unlink()
    if length is not None:
        place.write_bytes(sound[:length])
    with pytest.raises(UserError, match="lacks a file, or holds one that is not what its hash says"):
        restore(Path(), None)
    assert "Traceback" not in capfd.readouterr().err
    assert not (MODEL / "program.net").exists()
    place.unlink(missing_ok=True)
    place.write_bytes(sound)
    restore(Path(), None)
    assert {path.name: path.read_bytes() for path in MODEL.iterdir()} == CONTENT
