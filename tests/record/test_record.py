"""`ndns record`: all that a run made, once; and nothing that is not current, of no commit, or too large."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import yaml

from ndns.record.store import LIMIT, objects, size

from .conftest import REPOSITORY, commit, git, said, tree

pytestmark = pytest.mark.workflow
CLIP = "results/tiny/deploy/sdnn-seed1/clips/val_00001.flac"


def refused(checkout, *arguments: str) -> str:
    """Record, which must fail and change nothing; return what was said."""
    before = tree(checkout.folder)
    result = checkout.ndns("record", "tiny.yaml", *arguments)
    assert result.returncode == 2, said(result)
    assert tree(checkout.folder) == before
    return result.stderr


def lock(folder: Path) -> dict:
    return yaml.safe_load((folder / "dvc.lock").read_text())["stages"]


def check_store(folder: Path) -> None:
    """Every object is what its name says, and what dvc.lock refers to is there, and nothing else."""
    there = objects(folder / "reference/store")
    assert all(hashlib.md5(path.read_bytes()).hexdigest() == name.removesuffix(".dir") for name, path in there.items())
    wanted = {out["md5"] for stage in lock(folder).values() for out in stage["outs"]}
    lists = [json.loads(there[name].read_text()) for name in wanted if name.endswith(".dir")]
    assert there.keys() == wanted | {entry["md5"] for entries in lists for entry in entries}


def test_the_store_holds_what_the_run_made(recorded):
    check_store(recorded.folder)
    stored = set(objects(recorded.folder / "reference/store"))
    results = recorded.folder / "results/tiny"
    names = {
        path.relative_to(results).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in results.rglob("*")
        if path.is_file()
    }
    for name in ("jobs.json", "ro-crate-metadata.json", "mix/plan.csv", "train/sdnn-seed1/checkpoint.safetensors"):
        assert names[name] in stored
    missing = {name for name, digest in names.items() if digest not in stored}
    assert missing, "mixtures are derived"
    assert all(name.startswith(("mix/train/", "mix/val/")) for name in missing)


def test_job_records_name_every_file_with_its_hash(recorded):
    published = json.loads((recorded.folder / "results/tiny/jobs.json").read_text())
    for path, digest in published["files"].items():
        assert hashlib.sha256((recorded.folder / path).read_bytes()).hexdigest() == digest
    assert CLIP in published["files"]
    listed = recorded.snakemake("--summary", "--nolock").stdout.splitlines()
    outputs = {line.split("\t")[0] for line in listed if line.startswith(("results/", "data/"))}
    assert published["jobs"].keys() == outputs
    assert str(recorded.folder) not in json.dumps(published), "records are true elsewhere too"


def test_a_second_record_changes_no_file(original):
    before = tree(original.folder)
    result = original.ndns("record", "tiny.yaml")
    assert result.returncode == 0, said(result)
    assert "0 files sent" in result.stdout
    assert tree(original.folder) == before
    assert git(original.folder, "status", "--porcelain") == ""


def test_a_dirty_checkout_is_refused_unless_told(original):
    snakefile = original.folder / "Snakefile"
    snakefile.write_text(snakefile.read_text() + "# changed\n")
    assert "differs from its commit in Snakefile" in refused(original)
    result = original.ndns("record", "tiny.yaml", "--dirty")
    assert result.returncode == 0, said(result)


def test_a_study_that_is_not_current_is_refused(original):
    study = original.folder / "tiny.yaml"
    study.write_text(study.read_text().replace("epochs: 2", "epochs: 3"))
    commit(original.folder, "another setting")
    told = refused(original)
    assert "results/tiny/train/sdnn-seed1/checkpoint.safetensors: not current: setting train.epochs: 2 -> 3" in told


def test_a_result_that_changed_after_its_job_is_refused(original):
    scores = original.folder / "results/tiny/score/noisy/scores.csv"
    stat = scores.stat()
    scores.write_bytes(scores.read_bytes().replace(b"1", b"2", 1))
    os.utime(scores, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "results/tiny/score/noisy/scores.csv was changed after its job had made it" in refused(original)


@pytest.mark.parametrize("lost", [False, True], ids=["changed", "lost"])
def test_a_clip_that_is_not_what_its_job_made_is_refused(original, lost):
    """Clips lie beside the outputs that Snakemake knows."""
    clip = original.folder / CLIP
    stat = clip.stat()
    clip.write_bytes(clip.read_bytes()[:-1] + b"x")
    os.utime(clip, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    if lost:
        clip.unlink()
    told = f"absent: {CLIP}" if lost else f"not the bytes that were recorded: {CLIP}"
    assert f"{told}; run snakemake with --forcerun deploy, then record" in refused(original)
    explained = original.ndns("explain", "--study", "tiny.yaml")
    assert explained.returncode == 1
    assert told in explained.stdout


def test_the_store_in_the_repository_has_a_limit(original):
    extra = original.folder / "results/tiny/score/noisy/extra.bin"
    extra.write_bytes(os.urandom(LIMIT))
    told = refused(original)
    assert "the store in the repository holds at most 10 MB" in told
    assert "results/tiny/score/noisy/extra.bin (10.0 MB)" in told
    assert "dvc remote add" in told


def test_the_store_drops_what_is_no_longer_recorded(original):
    before = tree(original.folder / "reference")
    extra = original.folder / "results/tiny/score/noisy/extra.bin"
    extra.write_bytes(b"for a while")
    assert original.ndns("record", "tiny.yaml").returncode == 0
    assert hashlib.md5(b"for a while").hexdigest() in objects(original.folder / "reference/store")
    extra.unlink()
    assert original.ndns("record", "tiny.yaml").returncode == 0
    assert tree(original.folder / "reference") == before
    check_store(original.folder)


def test_a_store_that_does_not_take_a_file_leaves_the_earlier_record(original):
    """Neither dvc.yaml and dvc.lock nor the study's job records and crate speak of what was not kept."""
    taken = {name[:2] for name in objects(original.folder / "reference/store")}
    content = next(text for text in (b"%d" % n for n in range(1000)) if hashlib.md5(text).hexdigest()[:2] not in taken)
    obstacle = original.folder / "reference/store/files/md5" / hashlib.md5(content).hexdigest()[:2]
    obstacle.write_bytes(b"a file where the store wants a folder")
    (original.folder / "results/tiny/score/noisy/extra.bin").write_bytes(content)
    told = refused(original)
    assert told.startswith("ndns: DVC: the remote cannot be used (")
    assert told.count("\n") == 1
    obstacle.unlink()
    result = original.ndns("record", "tiny.yaml")
    assert result.returncode == 0, said(result)
    check_store(original.folder)


def test_nothing_is_sent_unless_asked(committed, tmp_path):
    checkout = committed.copy(tmp_path / "checkout")
    result = checkout.ndns("record", "tiny.yaml", "--no-push")
    assert result.returncode == 0, said(result)
    assert "not sent" in result.stdout
    assert not (checkout.folder / "reference/store").exists()
    assert "tiny-score" in lock(checkout.folder)


def test_the_store_of_this_repository_is_within_its_limit():
    assert size(REPOSITORY / "reference/store") <= LIMIT
    if (REPOSITORY / "dvc.lock").is_file():
        check_store(REPOSITORY)
