"""`ndns verify` on a study that really ran: it passes untouched, elsewhere too, and every tampered file is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors import safe_open
from safetensors.numpy import save_file

from ndns.files import sha256_file
from ndns.record.jobs import gather
from ndns.record.study import find
from ndns.verify.records import job_records

pytestmark = pytest.mark.workflow
TINY = "--study", "tiny.yaml"
SHUFFLED = Path(__file__).parent / "shuffled"
"""Files come in another order, as on another file system."""


def found(checkout):
    return json.loads((checkout.folder / "found.json").read_text())


def test_a_recomputation_in_another_place_time_and_order_holds_every_claim(complete, tmp_path):
    """Another folder with a space and unicode in its name, time zone, locale, umask, hash seed, file order, one job."""
    checkout = complete.copy(tmp_path / "a checkout in Ünïcode 雑音")
    settings = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    call = ["verify", *TINY, "--jobs", "1", "--json", "found.json", "--scratch", str(tmp_path / "scratch copy ü")]
    result = checkout.ndns(*call, PYTHONPATH=str(SHUFFLED), **settings)
    assert result.returncode == 0, result.stdout + result.stderr
    artifacts = found(checkout)["artifacts"]
    unequal = [artifact["path"] for artifact in artifacts if artifact["reached"] != "bytes"]
    assert unequal == ["results/tiny/cost/sdnn-seed1/cost.json"], "only readings of the clock differ"
    stages = {artifact["path"].split("/")[2] for artifact in artifacts if artifact["path"].startswith("results")}
    assert stages == {"mix", "train", "quantize", "deploy", "score", "cost", "board"}
    assert "hold what is claimed" in result.stdout
    shutil.rmtree(tmp_path / "scratch copy ü")


def tamper(folder):
    """Change one value in an artifact of each stage; return path -> what the verification must say."""
    results = folder / "results" / "tiny"
    clip = results / "deploy/sdnn-seed1/clips/val_00000.flac"
    samples, rate = soundfile.read(clip, dtype="int16")
    samples[1234] += 1
    soundfile.write(clip, samples, rate, subtype="PCM_16")
    weights = results / "train/sdnn-seed1/checkpoint.safetensors"
    with safe_open(weights, framework="numpy") as handle:
        tensors, metadata = {name: handle.get_tensor(name) for name in handle.keys()}, handle.metadata()  # noqa: SIM118
    name = max(tensors, key=lambda key: tensors[key].size)
    tensors[name].flat[5] = np.nextafter(tensors[name].flat[5], np.float32(1))
    save_file(tensors, weights, metadata)
    scores = results / "score/noisy/scores.csv"
    header, first, *rest = scores.read_text().splitlines()
    place = header.split(",").index("si_snr")
    cells = first.split(",")
    cells[place] = str(float(cells[place]) + 0.02)
    scores.write_text("\n".join([header, ",".join(cells), *rest, ""]))
    report = results / "board/report.html"
    report.write_text(report.read_text().replace("<title>", "<title>Best: ", 1))
    cost = results / "cost/sdnn-seed1/cost.json"
    value = json.loads(cost.read_text())
    value["synops_per_step"] *= 1 + 1e-6
    cost.write_text(json.dumps(value))
    return {
        "results/tiny/deploy/sdnn-seed1/clips/val_00000.flac": "samples[1234, 0]",
        "results/tiny/train/sdnn-seed1/checkpoint.safetensors": name,
        "results/tiny/score/noisy/scores.csv": "si_snr of val_00000",
        "results/tiny/board/report.html": "text of row",
        "results/tiny/cost/sdnn-seed1/cost.json": "synops_per_step",
    }


def test_one_value_changed_in_each_stage_is_caught_and_named(checkout):
    expected = tamper(checkout.folder)
    result = checkout.ndns("verify", *TINY, "--from", "train", "--json", "found.json")
    assert result.returncode == 1, result.stdout + result.stderr
    misses = {a["path"]: a["differences"] for a in found(checkout)["artifacts"] if not a["holds"]}
    assert misses.keys() == expected.keys()
    for path, words in expected.items():
        assert any(words in text for text in misses[path]), (path, misses[path])
        assert path in result.stdout


def test_what_comes_before_the_first_stage_is_taken_as_it_is(checkout, tmp_path):
    scratch = tmp_path / "scratch"
    result = checkout.ndns("verify", "quantize", *TINY, "--from", "quantize", "--scratch", str(scratch))
    assert result.returncode == 0, result.stdout + result.stderr
    assert [path.name for path in (scratch / "logs/tiny").iterdir()] == ["quantize_sdnn-seed1.log"]


def test_a_swapped_and_a_lost_clip_are_caught(checkout):
    clips = checkout.folder / "results/tiny/mix/val"
    shards = sorted(
        path for path in (checkout.folder / "results/tiny/mix").rglob("*") if path.suffix in (".flac", ".tar")
    )
    first, second, third = shards[:3] if len(shards) > 2 else [*shards, None]
    first_bytes = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(first_bytes)
    expected = {first, second}
    if third is not None:
        third.unlink()
        expected.add(third)
    result = checkout.ndns("verify", "mix", *TINY, "--json", "found.json")
    assert result.returncode == 1, result.stdout + result.stderr
    assert set(found(checkout)["misses"]) == {path.relative_to(checkout.folder).as_posix() for path in expected}
    assert clips.is_dir() or shards


def test_a_wrong_seed_is_caught(checkout):
    study = checkout.folder / "tiny.yaml"
    study.write_text(study.read_text().replace("mix: {", "mix: {seed: 2, "))
    result = checkout.ndns("verify", "results/tiny/mix/plan.csv", *TINY, "--json", "found.json")
    assert result.returncode == 1, result.stdout + result.stderr
    assert found(checkout)["misses"] == ["results/tiny/mix/plan.csv"]
    assert "seed of train_00000: '1 0 0' in the checkout, '2 0 0' recomputed" in result.stdout


def test_one_clip_can_be_asked_for(checkout):
    target = "results/tiny/deploy/sdnn-seed1/clips/val_00001.flac"
    result = checkout.ndns("verify", target, *TINY, "--json", "found.json")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [artifact["path"] for artifact in found(checkout)["artifacts"]] == [target]
    assert found(checkout)["first_stage"] == "deploy"


def test_what_is_recorded_but_not_stored_is_compared_by_its_hash(checkout):
    """A restored checkout lacks recordings and mixtures; the record has their hashes."""
    study = find(checkout.folder, "tiny.yaml")
    outputs = [record.path for record in job_records(checkout.folder, study.plan)]
    hashes = {path: sha256_file(checkout.folder / path) for path in outputs}
    gather(checkout.folder, outputs, hashes).write(study.jobs_file)
    tars = [path for path in outputs if path.endswith(".tar")]
    assert len(tars) == 3
    for path in tars:
        (checkout.folder / path).unlink()
    result = checkout.ndns("verify", "deploy", *TINY)
    assert result.returncode == 0, result.stdout + result.stderr
    shard = "results/tiny/mix/val/0000.tar"
    gather(checkout.folder, outputs, hashes | {shard: "0" * 64}).write(study.jobs_file)
    result = checkout.ndns("verify", "mix", *TINY, "--json", "found.json")
    assert result.returncode == 1, result.stdout + result.stderr
    assert found(checkout)["misses"] == [shard]
    assert {a["reached"] for a in found(checkout)["artifacts"] if a["path"] != shard} == {"bytes"}
    assert "has another hash than the recorded one, which is not stored" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: neither a stage (corpus, mix"),
        (["results/other/mix/plan.csv"], "neither a stage"),
        (["mix", "--from", "score"], "comes after the target's stage, mix"),
        (["--from", "polish"], "--from polish: no such stage"),
        (["--study", "gone.yaml"], "gone.yaml: no such study; name a file of config"),
        (["--claims", "gone.yaml"], "gone.yaml: no such settings file"),
        (["--config", "x"], "--config x: expected key=value"),
    ],
)
def test_bad_input_ends_with_2_and_one_sentence(complete, arguments, message):
    result = complete.ndns("verify", *TINY, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_file_of_findings_that_cannot_be_written_does_not_cost_the_findings(checkout):
    result = checkout.ndns("verify", "results/tiny/mix/plan.csv", *TINY, "--json", "config")
    assert result.returncode == 2
    assert "1 of 1 artifacts hold what is claimed" in result.stdout
    assert "config: is a folder; name a file." in result.stderr


def test_a_study_that_did_not_run_cannot_be_verified(bare):
    result = bare.ndns("verify", *TINY)
    assert result.returncode == 2
    assert "no job of the study 'tiny' is recorded; run it, or restore it with `ndns restore`" in result.stderr


def test_a_file_without_a_claim_is_an_error(checkout):
    (checkout.folder / "results/tiny/score/noisy/extra.bin").write_bytes(b"x")
    result = checkout.ndns("verify", "score", *TINY)
    assert result.returncode == 2
    assert "results/tiny/score/noisy/extra.bin: no line of config/claims.yaml covers this artifact" in result.stderr
