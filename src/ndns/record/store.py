"""DVC in this process: commit, push, pull, and the store inside the repository."""

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ndns.errors import UserError
from ndns.files import atomic_path
from ndns.record.dvcfile import locked, stages

STORE = Path("reference/store")
"""Where the remote `reference` lies: in the repository, so that a clone needs no network."""
REMOTE = "reference"
LIMIT = 10_000_000
"""Bytes that the store in the repository may hold."""


@contextmanager
def repository(root: Path) -> Iterator[Any]:
    """Open and lock the checkout's DVC repository; what is received from any remote is hashed before it is used.

    DVC reads its settings anew whenever it takes its lock: only while that is held do changes of them hold.

    Raises:
        UserError: DVC fails in the block; the sentence says what it said.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    logging.getLogger("dvc_data").setLevel(logging.CRITICAL)  # tells each file's error with a traceback
    try:
        with Repo(str(root)) as repo, lock_repo(repo):
            # DVC keeps lists of what to fetch from call to call; a killed call leaves one that lacks files.
            repo.drop_data_index()
            for remote in repo.config["remote"].values():
                remote["verify"] = True
            yield repo
    except LockError as error:
        raise UserError(
            f"{root.resolve()}: another DVC command runs in this checkout; wait for it ({error})."
        ) from None
    except DvcException as error:
        raise UserError(f"DVC: {_chain(error)}") from None


def _chain(error: BaseException) -> str:
    """All that an error and its causes say, in one line."""
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        text = " ".join(str(cause).split())
        if text and text not in said:
            said.append(text)
        cause = cause.__cause__
    return "; ".join(said)


def commit(repo: Any, names: list[str]) -> list[Any]:
    """Note the hashes of the outputs of stages in dvc.lock, copy what is new into the cache, return DVC's stages.

    As `dvc commit --force` for each of them, but dvc.yaml is read once, not twice a stage, and nothing goes into DVC's
    cache of runs, from which only `dvc repro` would take it.
    """
    found = [stage for stage in repo.index.stages if stage.addressing in names]
    for stage in found:
        stage.save(run_cache=False)
        stage.commit()
    found[0].dvcfile.dump_stages(found, update_pipeline=False)
    return found


def push(repo: Any, committed: list[Any], remote: str | None) -> int:
    """Send what remotes lack, each output to the one that dvc.yaml names for it; return how many files that were.

    As `dvc push` of these stages, but dvc.yaml and dvc.lock are not read again, which DVC does twice a stage.

    Raises:
        UserError: the remote is unknown, does not take files, or a file does not arrive.
    """
    _known(repo, remote)
    used: dict[Any, set] = {}
    for stage in committed:
        for place, objects in stage.get_used_objs(push=True).items():
            used.setdefault(place, set()).update(objects)
    try:
        results = [repo.cloud.push(objects, odb=place) for place, objects in used.items() if objects]
    except OSError as error:  # while DVC asks what is there already
        raise UserError(f"DVC: the remote cannot be used ({error}); mend that, then record again.") from None
    if failed := sum(len(result.failed) for result in results):
        raise UserError(
            f"DVC: {failed} files did not reach the remote; see that it is in reach, may be written and has room, then "
            "record again."
        )
    return sum(len(result.transferred) for result in results)


@contextmanager
def undone(root: Path, *files: Path) -> Iterator[None]:
    """If the block fails, take what it added out of the store in the repository, and put files back as they were."""
    kept = objects(root / STORE).keys()
    before = {path: path.read_bytes() if path.is_file() else None for path in files}
    try:
        yield
    except BaseException:
        # First what takes room: on a full disk the files could not be written.
        _drop(file for digest, file in objects(root / STORE).items() if digest not in kept)
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            elif not path.is_file() or path.read_bytes() != content:
                with atomic_path(path) as temporary:
                    temporary.write_bytes(content)
        raise


def pull(repo: Any, names: list[str], remote: str | None, force: bool) -> None:
    """Fetch outputs and put them into place.

    A remote that is named takes the place of those in dvc.yaml: DVC itself would skip what was recorded to another one.
    Nor would it see, before it deletes what differs, that it has nothing to put there.

    Raises:
        UserError: a file does not come, or is not what its hash says; nothing is then put into place or deleted.
    """
    from dvc.exceptions import CheckoutError, DownloadError

    _known(repo, remote)
    if remote is not None:
        repo.config["core"]["remote"] = remote
        repo.config["remote"] = dict.fromkeys(repo.config["remote"], repo.config["remote"][remote])
    try:
        repo.fetch(targets=names)
        if lacking := _lacking(repo, names):
            raise CheckoutError(lacking, {})
        repo.checkout(targets=names, force=force)
    except (CheckoutError, DownloadError) as error:
        places = getattr(error, "target_infos", names)
        raise UserError(
            f"{', '.join(sorted(places))}: the remote is out of reach, or lacks a file, or holds one that "
            "is not what its hash says; name another remote (--remote), or push again from where the files are."
        ) from None


def _lacking(repo: Any, names: list[str]) -> list[str]:
    """Outputs of stages that are not in place and not, or not whole, in DVC's cache."""
    cached = _cached(repo)
    outs = [out for stage in repo.index.stages if stage.addressing in names for out in stage.outs]
    held = [_referred(out.hash_info.value, cached) <= cached.keys() for out in outs]
    return [str(out) for out, there in zip(outs, held, strict=True) if not there and out.workspace_status()]


def _known(repo: Any, remote: str | None) -> None:
    if remote is not None and remote not in repo.config["remote"]:
        known = ", ".join(sorted(repo.config["remote"])) or "none"
        raise UserError(f"remote {remote!r} is unknown (known: {known}); add it with `dvc remote add {remote} URL`.")


def is_reference(repo: Any, remote: str | None) -> bool:
    """Tell whether a remote is the store in the repository."""
    return (remote or repo.config["core"].get("remote")) == REMOTE


def objects(store: Path) -> dict[str, Path]:
    """Return MD5 -> file of everything in a DVC store."""
    files = [path for path in (store / "files" / "md5").glob("??/*") if path.is_file()]
    return {path.parent.name + path.name: path for path in files}


def _cached(repo: Any) -> dict[str, Path]:
    return objects(Path(repo.cache.local.path).parents[1])


def in_cache(repo: Any, path: Path) -> bool:
    """Tell whether DVC's cache holds the bytes of a file, or of every file in a folder."""
    cached = _cached(repo)
    inside = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    return all(md5(item) in cached for item in inside)


def md5(path: Path) -> str:
    """Return the name that DVC gives to a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "md5").hexdigest()


def size(store: Path) -> int:
    """Return the bytes that a store holds."""
    return sum(path.stat().st_size for path in objects(store).values())


def prune(root: Path) -> int:
    """Delete from the store in the repository what no recorded stage refers to; return how many files that were."""
    store = objects(root / STORE)
    used = {digest for out in in_reference(root) for digest in _referred(out["md5"], store)}
    gone = store.keys() - used
    _drop(store[digest] for digest in gone)
    return len(gone)


def _drop(files: Iterable[Path]) -> None:
    """Delete objects of a store, and folders that become empty."""
    for file in files:
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()


def held(root: Path, but: Collection[str]) -> dict[str, int]:
    """Return MD5 -> bytes of what the store in the repository holds for recorded stages, some stages excepted."""
    store = objects(root / STORE)
    used = {digest for out in in_reference(root, but) for digest in _referred(out["md5"], store)}
    return {digest: store[digest].stat().st_size for digest in used & store.keys()}


def in_reference(root: Path, but: Collection[str] = ()) -> list[dict]:
    """Return the outputs in dvc.lock that belong to the store in the repository, those of some stages excepted."""
    found = []
    entries = stages(root)
    for name, entry in locked(root).items():
        if name not in entries:
            continue
        named = {path: out[path]["remote"] for out in entries[name]["outs"] if isinstance(out, dict) for path in out}
        mine = [out for out in entry.get("outs", []) if named.get(out["path"], REMOTE) == REMOTE]
        found += mine if name not in but else []
    return found


def _referred(digest: str, store: dict[str, Path]) -> set[str]:
    """A hash and, for a list of a folder, all hashes on it."""
    if not digest.endswith(".dir") or digest not in store:
        return {digest}
    return {digest, *(entry["md5"] for entry in json.loads(store[digest].read_text(encoding="utf-8")))}
