"""A clone at another path, restored without a network: nothing to do, until something changes."""

import os
import re
from pathlib import Path

import pytest

from .conftest import clone_of, commit, documented, git, offline, said, shell, tree

pytestmark = pytest.mark.workflow
SCORES = "results/tiny/score/noisy/scores.csv"
TRAINED = ["train {run}", "quantize {run}", "deploy {run} on engine", "score {run}", "cost of {run}", "board of tiny"]
SHARDS = ["mixtures of train, shard 0000", "mixtures of val, shard 0000"]
MIXED = ["plan of the mixtures", *SHARDS, "manifest of train", "manifest of val", "score noisy"]


@pytest.fixture(scope="session")
def whole(restored, tmp_path_factory):
    """The restored clone with what is derived; tests must leave it as it is."""
    checkout = restored.copy(tmp_path_factory.mktemp("whole") / "clone")
    result = offline(checkout, "restore", "--derived")
    assert result.returncode == 0, said(result)
    assert "results/tiny/mix/train/0000.tar: computed; it is as recorded" in result.stdout
    return checkout


def planned(checkout, *arguments: str) -> set[str]:
    """What Snakemake would run."""
    result = checkout.snakemake("--dry-run", *arguments)
    assert result.returncode == 0, said(result)
    return set(re.findall(r"^Job \d+: (.+)$", said(result), re.MULTILINE))


def of(run: str, *messages: str) -> set[str]:
    return {message.format(run=run) for message in messages}


def changed_study(checkout, folder: Path, old: str, new: str) -> list[str]:
    """Arguments for Snakemake: the study with another setting."""
    text = (checkout.folder / "tiny.yaml").read_text()
    assert old in text
    (folder / "changed.yaml").write_text(text.replace(old, new))
    return ["--configfile", str(folder / "changed.yaml")]


def test_the_documented_commands_leave_nothing_to_do(restored, recorded, tmp_path):
    """`git clone` and `make setup` are done; the clone was restored without a network."""
    commands = "\n".join(line for line in documented("restore").splitlines() if line.startswith(("snakemake", "dvc")))
    result = shell(restored, commands, tmp_path)
    assert result.returncode == 0, said(result)
    assert "Nothing to be done" in said(result)
    assert "Data and pipelines are up to date." in result.stdout
    here, there = tree(restored.folder), tree(recorded.folder)
    assert {path: data for path, data in there.items() if here.get(path) != data}.keys() == {
        path for path in there if path.startswith(("results/tiny/mix/train/", "results/tiny/mix/val/"))
    }
    assert not list(restored.folder.glob("data/few/*.tar"))


def test_derived_files_come_out_as_they_were(whole, recorded):
    for pattern in ("data/few/*", "results/tiny/mix/**/*"):
        for path in recorded.folder.glob(pattern):
            if path.is_file():
                assert (whole.folder / path.relative_to(recorded.folder)).read_bytes() == path.read_bytes()
    assert planned(whole) == set()


@pytest.mark.parametrize(
    ("old", "new", "jobs"),
    [
        ("seeds: [1]", "seeds: [2]", of("sdnn-seed2", *TRAINED)),
        ("mix: {", "mix: {seed: 2, ", of("sdnn-seed1", *TRAINED, *MIXED)),
        ("hidden: 16", "hidden: 16, threshold: 0.2", of("sdnn-seed1", *TRAINED)),
        ("dnsmos: false", "dnsmos: false, estoi: false", {"score noisy", "score sdnn-seed1", "board of tiny"}),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it_and_nothing_else(whole, tmp_path, old, new, jobs):
    assert planned(whole, *changed_study(whole, tmp_path, old, new)) == jobs


@pytest.mark.parametrize(
    ("module", "jobs"),
    [
        ("score/clip.py", {"score noisy", "score sdnn-seed1", "board of tiny"}),
        ("quantize/sdnn.py", of("sdnn-seed1", *TRAINED[1:])),
        ("cost/report.py", {"cost of sdnn-seed1", "board of tiny"}),
    ],
)
def test_one_changed_line_of_code_reruns_what_depends_on_it_and_nothing_else(whole, tmp_path, module, jobs):
    checkout = whole.copy(tmp_path / "checkout")
    path = checkout.folder / "src/ndns" / module
    path.write_text(path.read_text() + "\nANOTHER = 1\n")
    assert planned(checkout) == jobs


def test_what_is_not_current_is_said_and_is_no_error(clone):
    study = clone.folder / "tiny.yaml"
    study.write_text(study.read_text().replace("dnsmos: false", "dnsmos: false, estoi: false"))
    result = offline(clone, "restore", "tiny")
    assert result.returncode == 0, said(result)
    assert "3 of 13 jobs are not current with this checkout" in result.stdout
    assert f"{SCORES}: setting estoi: true -> false" in result.stdout


def test_changed_results_are_not_overwritten_unless_told(clone):
    scores = clone.folder / SCORES
    recorded = scores.read_bytes()
    scores.write_text("mine\n")
    result = offline(clone, "restore")
    assert result.returncode == 2, said(result)
    assert "results/tiny/score/noisy: differs from what is recorded" in result.stderr
    assert "--force` overwrites it" in result.stderr
    assert scores.read_text() == "mine\n"
    result = offline(clone, "restore", "--force")
    assert result.returncode == 0, said(result)
    assert scores.read_bytes() == recorded
    assert planned(clone) == set()


def test_a_change_that_keeps_size_and_time_is_found_and_overwritten(clone):
    """DVC, like Snakemake, trusts them where it has seen the file before."""
    assert offline(clone, "restore", "tiny").returncode == 0
    scores = clone.folder / SCORES
    recorded, stat = scores.read_bytes(), scores.stat()
    scores.write_bytes(recorded.replace(b"val_00000", b"val_00009"))
    os.utime(scores, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    result = offline(clone, "restore", "tiny")
    assert result.returncode == 2, said(result)
    assert f"{SCORES}: is not what was recorded (1 such files); `ndns restore --force` fetches it" in result.stderr
    result = offline(clone, "restore", "tiny", "--force")
    assert result.returncode == 0, said(result)
    assert scores.read_bytes() == recorded


@pytest.mark.parametrize("stage", ["cost", "board"])
def test_a_stage_is_verified_from_what_is_recorded_of_those_before_it(clone, tmp_path, stage):
    """Its jobs read mixtures, which are not stored: these are made again, but nothing that is stored."""
    result = offline(clone, "verify", stage, "--study", "tiny.yaml", "--scratch", str(tmp_path / "scratch"))
    assert result.returncode == 0, said(result)
    logs = {path.stem.partition("_sdnn")[0] for path in (tmp_path / "scratch/logs/tiny").iterdir()}
    assert logs == {"corpus", "mix_plan", "mix_render_val_0000", stage}


def test_derived_files_that_come_out_otherwise_are_not_taken(clone):
    study = clone.folder / "tiny.yaml"
    study.write_text(study.read_text().replace("few, voices: 5", "few, seed: 2, voices: 5"))
    result = offline(clone, "restore", "tiny", "--derived")
    assert result.returncode == 2, said(result)
    assert "data/few/audio.tar: comes out other than recorded" in result.stderr
    assert not list(clone.folder.rglob("*.tar"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tinny"], "dvc.yaml: the study 'tinny' is not recorded here; recorded are: tiny."),
        (["--remote", "moon"], "remote 'moon' is unknown (known: reference)"),
    ],
)
def test_what_is_not_there_is_named(restored, arguments, message):
    result = restored.ndns("restore", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_nothing_recorded_is_said(committed):
    result = committed.ndns("restore")
    assert result.returncode == 2
    assert "nothing is recorded in this checkout; run a study and `ndns record`." in result.stderr


def test_reference_models_come_along(restored, recorded):
    for name in ("program.net", "checkpoint.safetensors"):
        path = f"reference/models/sdnn/{name}"
        assert (restored.folder / path).read_bytes() == (recorded.folder / path).read_bytes()
    run = recorded.folder / "results/tiny/quantize/sdnn-seed1/program.net"
    assert (restored.folder / "reference/models/sdnn/program.net").read_bytes() == run.read_bytes()
    listed = restored.ndns("models").stdout
    assert "sdnn: The challenge's sigma-delta network" in listed
    assert "not here" not in listed


def test_a_reference_model_that_changed_is_neither_recorded_nor_overwritten(clone):
    program = clone.folder / "reference/models/sdnn/program.net"
    recorded = program.read_bytes()
    program.write_bytes(recorded + b"x")
    before = tree(clone.folder)
    for arguments, message in (
        (["record", "--models"], "reference/models/sdnn/program.net: its SHA-256 is"),
        (["restore"], "reference/models/sdnn: differs from what is recorded"),
    ):
        result = offline(clone, *arguments)
        assert result.returncode == 2, said(result)
        assert message in result.stderr
        assert tree(clone.folder) == before
    assert offline(clone, "restore", "--force").returncode == 0
    assert program.read_bytes() == recorded


def test_a_registry_that_names_other_bytes_stops_the_restore(clone):
    registry = clone.folder / "reference/models.csv"
    digest = re.search(r"[0-9a-f]{64}", registry.read_text())[0]
    registry.write_text(registry.read_text().replace(digest, "0" * 64))
    result = offline(clone, "restore")
    assert result.returncode == 2, said(result)
    assert f"its SHA-256 is {digest}" in result.stderr


def test_a_newer_record_takes_the_place_of_an_older_one(original, tmp_path):
    clone = clone_of(original, tmp_path / "clone")
    assert offline(clone, "restore").returncode == 0
    extra = original.folder / "results/tiny/score/noisy/extra.txt"
    extra.write_text("one more file\n")
    assert original.ndns("record", "tiny.yaml").returncode == 0
    commit(original.folder, "record again")
    git(clone.folder, "pull", "-q")
    result = offline(clone, "restore")
    assert result.returncode == 0, said(result)
    assert (clone.folder / extra.relative_to(original.folder)).read_text() == "one more file\n"
