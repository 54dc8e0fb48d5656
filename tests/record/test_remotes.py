"""Every kind of remote that docs/reproduce.md names, against a real server: recorded there, restored elsewhere."""

import hashlib
import shutil
from pathlib import Path

import pytest
from dvc_data.index import collect

from ndns.errors import UserError
from ndns.record.record import record_models
from ndns.record.restore import restore
from ndns.record.store import LIMIT, STORE, size
from ndns.use import registry

from . import servers
from .conftest import REPOSITORY, commit, git

SERVERS = [servers.local, servers.webdav, servers.s3, servers.ssh]
CONTENT = {"program.net": bytes(range(256)) * 40, "checkpoint.safetensors": b"weights" * 3000}
"""Bytes of a model: DVC does not read them."""
MODEL = Path("reference/models/tone")


def checkout(folder: Path) -> Path:
    """A repository with one reference model, not yet recorded."""
    shutil.copytree(REPOSITORY / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "*.local"))
    shutil.copyfile(REPOSITORY / ".gitignore", folder / ".gitignore")
    shutil.copyfile(REPOSITORY / ".dvcignore", folder / ".dvcignore")
    (folder / MODEL).mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / MODEL / name).write_bytes(content)
    registry.add(folder, "tone", *(folder / MODEL / name for name in CONTENT), "A tone.")
    git(folder, "init", "-q")
    return folder


def configure(folder: Path, section: dict[str, str], local: bool = False, name: str = "results") -> None:
    """Add to the settings of a remote, as `dvc remote add` and `dvc remote modify --local` do."""
    path = folder / ".dvc" / ("config.local" if local else "config")
    with open(path, "a", encoding="utf-8") as handle:
        handle.write(f"['remote \"{name}\"']\n" + "".join(f"    {key} = {value}\n" for key, value in section.items()))


def clone(source: Path, folder: Path, options: dict[str, str]) -> Path:
    """A clone that knows how to sign in."""
    git(source, "clone", "-q", str(source), str(folder))
    if options:
        configure(folder, options, local=True)
    assert not (folder / MODEL).exists()
    return folder


@pytest.fixture(params=SERVERS, ids=lambda server: server.__name__)
def remote(request, tmp_path):
    """A server with nothing on it."""
    folder = tmp_path / "server"
    folder.mkdir()
    with request.param(folder) as server:
        yield server


def test_what_is_recorded_to_a_remote_is_restored_from_it(remote, tmp_path, monkeypatch):
    source = checkout(tmp_path / "source")
    configure(source, {"url": remote.url})
    if remote.options:
        configure(source, remote.options, local=True)
    monkeypatch.chdir(source)
    report = record_models(Path(), "results")
    commit(source, "record")
    # both files and the list of their folder
    assert (report.files, report.sent, report.store, len(remote.objects())) == (2, 3, None, 3)
    assert not (source / "reference/store").exists()
    assert record_models(Path(), "results").sent == 0

    monkeypatch.chdir(clone(source, tmp_path / "a clone", remote.options))
    restore(Path(), None)
    assert {path.name: path.read_bytes() for path in MODEL.iterdir()} == CONTENT

    spoiled = hashlib.md5(CONTENT["program.net"]).hexdigest()
    remote.spoil(next(name for name in remote.objects() if name.replace("/", "").endswith(spoiled)))
    monkeypatch.chdir(clone(source, tmp_path / "deceived", remote.options))
    with pytest.raises(UserError, match=f"^{MODEL}: the remote .* holds one that is not what its hash says"):
        restore(Path(), None)
    assert not (MODEL / "program.net").exists()


def test_a_static_server_publishes_what_was_written_by_another_way(tmp_path, monkeypatch):
    """As the documentation says: the public address is committed, the maintainer's own is not."""
    source = checkout(tmp_path / "source")
    (tmp_path / "server").mkdir()
    with servers.http(tmp_path / "server") as server:
        configure(source, {"url": server.url})
        configure(source, {"url": str(tmp_path / "server/store")}, local=True)
        monkeypatch.chdir(source)
        assert record_models(Path(), "results").sent == 3
        commit(source, "record")

        monkeypatch.chdir(clone(source, tmp_path / "clone", {}))
        restore(Path(), None)
        assert {path.name: path.read_bytes() for path in MODEL.iterdir()} == CONTENT

        (MODEL / "program.net").write_bytes(b"another")
        registry.add(Path(), "tone", *(MODEL / name for name in CONTENT), "A tone.")
        with pytest.raises(UserError, match="DVC: "):
            record_models(Path(), "results")

    monkeypatch.chdir(clone(source, tmp_path / "another clone", {}))
    configure(Path(), {"url": str(tmp_path / "server/store")}, local=True, name="mirror")
    restore(Path(), None, "mirror")
    assert {path.name: path.read_bytes() for path in MODEL.iterdir()} == CONTENT


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "/nowhere/at/all"])
def test_a_remote_that_is_not_there_is_told_in_one_sentence(tmp_path, monkeypatch, url):
    source = checkout(tmp_path / "source")
    configure(source, {"url": url.format(port=servers.free_port())})
    monkeypatch.chdir(source)
    record_models(Path(), "results", push=False)
    commit(source, "record")
    monkeypatch.chdir(clone(source, tmp_path / "clone", {}))
    with pytest.raises(UserError, match=f"^{MODEL}: the remote is out of reach") as caught:
        restore(Path(), None)
    assert "\n" not in str(caught.value)
    assert not MODEL.exists()


def test_equal_files_count_once_against_the_limit_of_the_store(tmp_path, monkeypatch):
    source = checkout(tmp_path / "source")
    monkeypatch.chdir(source)
    most = LIMIT * 6 // 10
    for name, byte in (("one", b"1"), ("same", b"1"), ("other", b"2")):
        program = tmp_path / name
        program.write_bytes(byte * most)
        kept = registry.keep(Path(), name, program, "program")
        registry.add(Path(), name, kept, None, name)
        if name == "other":
            with pytest.raises(UserError, match=r"reference/models: 12\.0 MB with what is recorded already"):
                record_models(Path())
        else:
            record_models(Path())
    assert most < size(STORE) < LIMIT


def test_a_restore_that_was_killed_while_dvc_listed_its_files_is_made_up_for(tmp_path, monkeypatch):
    """DVC keeps that list, piece by piece, outside of the checkout, and would take the pieces for the whole."""
    source = checkout(tmp_path / "source")
    monkeypatch.chdir(source)
    program = registry.keep(Path(), "noise", source / MODEL / "program.net", "program")
    registry.add(Path(), "noise", program, None, "Noise.")
    record_models(Path())
    commit(source, "record")
    monkeypatch.chdir(clone(source, tmp_path / "clone", {}))
    listed, listing = [], collect._collect_from_index

    def killed(*arguments, **options):
        if listed:
            raise KeyboardInterrupt
        listed.append(listing(*arguments, **options))

    with monkeypatch.context() as patch:
        patch.setattr(collect, "_collect_from_index", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(Path(), None)
    restore(Path(), None)
    assert {path.name: path.read_bytes() for path in MODEL.iterdir()} == CONTENT
    assert Path("reference/models/noise/program.net").read_bytes() == CONTENT["program.net"]
