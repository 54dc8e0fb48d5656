"""The whole corridor, run by Snakemake for real."""

import base64
import csv
import json
import shutil
import time

import pytest

from ndns.board.added import add, remove
from ndns.mixing import manifest

pytestmark = pytest.mark.workflow


def rows(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def jobs(text):
    """Job counts of a dry run, by rule."""
    lines = text.split("Job stats:", 1)[1].split("\n\n", 1)[0].splitlines() if "Job stats:" in text else []
    return {line.split()[0]: int(line.split()[1]) for line in lines if len(line.split()) == 2 and line[-1].isdigit()}


def test_every_room_leaves_its_files(finished):
    results = finished.folder / "results" / "tiny"
    assert len(rows(results / "mix" / "train.csv")) == 6
    history = rows(results / "train" / "sdnn-seed1" / "history.csv")
    assert len(history) == 2
    noisy = {row["clip"]: float(row["si_snr"]) for row in rows(results / "score" / "noisy" / "scores.csv")}
    denoised = {row["clip"]: float(row["si_snr"]) for row in rows(results / "score" / "sdnn-seed1" / "scores.csv")}
    assert noisy.keys() == denoised.keys()
    assert len(noisy) == 3
    assert all(abs(noisy[clip] - denoised[clip]) > 1e-6 for clip in noisy)
    cost = json.loads((results / "cost" / "sdnn-seed1" / "cost.json").read_text())
    assert cost["neuron_ops_per_step"] == 257 + 32 + 32
    assert 0 < cost["synops_per_step"] <= 257 * 32 + 32 * 32 + 32 * 257
    assert "sdnn-seed1" in (results / "board" / "report.html").read_text()


def test_a_second_run_has_nothing_to_do(finished):
    result = finished.run("--dry-run")
    assert "Nothing to be done" in result.stdout + result.stderr


def test_snakemakes_own_report_holds_the_board(finished, tmp_path):
    page = tmp_path / "snakemake.html"
    result = finished.run("--report", str(page))
    assert result.returncode == 0, result.stdout + result.stderr
    text = page.read_text()
    assert "Scores, costs, curves and audio of every system" in text
    board = (finished.folder / "results" / "tiny" / "board" / "report.html").read_bytes()
    assert base64.b64encode(board).decode() in text
    assert all(f'"{rule}"' in text for rule in ("mix_render", "train", "quantize", "deploy", "score", "cost"))


@pytest.mark.parametrize(
    ("old", "new", "rerun", "kept"),
    [
        ("hidden: 32", "hidden: 24", {"train", "quantize", "deploy", "score", "cost", "board"}, {"corpus", "mix_plan"}),
        ("study: tiny", "study: tiny\nscore: {pesq: false}", {"score", "board"}, {"train", "deploy", "cost"}),
        ("seconds: 3.0", "seconds: 2.5", {"mix_plan", "mix_render", "train"}, {"corpus"}),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it(finished, tmp_path, old, new, rerun, kept):
    copy = type(finished)(tmp_path / "copy")
    shutil.copytree(finished.folder, copy.folder)
    copy.configure(old, new)
    result = copy.run("--dry-run")
    planned = jobs(result.stdout + result.stderr)
    assert rerun <= planned.keys(), result.stdout + result.stderr
    assert not kept & planned.keys()


def test_a_model_begins_with_what_another_one_learned(finished, tmp_path):
    copy = type(finished)(tmp_path / "copy")
    shutil.copytree(finished.folder, copy.folder)
    further = "  further: {network: {hidden: 32}, train: {epochs: 1, batch: 3, threads: 1}, initial: sdnn}\n"
    (copy.folder / "study.yaml").write_text((copy.folder / "study.yaml").read_text() + further)
    target = "results/tiny/train/further-seed1/checkpoint.safetensors"
    result = copy.run("--dry-run", target)
    assert jobs(result.stdout + result.stderr) == {"train": 1, "total": 1}
    result = copy.run(target)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Nothing to be done" in (again := copy.run("--dry-run", target)).stdout + again.stderr
    (copy.folder / "results" / "tiny" / "train" / "sdnn-seed1" / "checkpoint.safetensors").write_bytes(b"others")
    result = copy.run("--dry-run", target)
    assert jobs(result.stdout + result.stderr) == {"train": 1, "total": 1}


def test_a_model_begins_with_a_checkpoint_from_elsewhere_which_is_a_row_too(finished, tmp_path):
    copy = type(finished)(tmp_path / "copy")
    shutil.copytree(finished.folder, copy.folder)
    runs, programs = (copy.folder / "results" / "tiny" / stage for stage in ("train", "quantize"))
    shutil.copy(runs / "sdnn-seed1" / "checkpoint.safetensors", copy.folder / "brought.safetensors")
    further = (
        "  brought: {weights: ./brought.safetensors}\n"
        "  further: {network: {hidden: 32}, train: {epochs: 1, batch: 3, threads: 1}, initial: brought}\n"
    )
    (copy.folder / "study.yaml").write_text((copy.folder / "study.yaml").read_text() + further)
    targets = ["results/tiny/train/further-seed1/checkpoint.safetensors", "results/tiny/quantize/brought/program.net"]
    result = copy.run(*targets)
    assert result.returncode == 0, result.stdout + result.stderr
    own, brought = (programs / run / "program.net" for run in ("sdnn-seed1", "brought"))
    assert brought.read_bytes() == own.read_bytes()
    (copy.folder / "brought.safetensors").write_bytes(b"others")
    result = copy.run("--dry-run", *targets)
    assert jobs(result.stdout + result.stderr) == {"train": 1, "quantize": 1, "total": 2}
    (copy.folder / "brought.safetensors").unlink()
    result = copy.run("--dry-run")
    assert "further: brought.safetensors is absent, so this row is left out" in result.stdout + result.stderr


def test_a_model_hears_speech_that_another_denoiser_cleaned(finished, tmp_path):
    copy = type(finished)(tmp_path / "copy")
    shutil.copytree(finished.folder, copy.folder)
    (copy.folder / "softer.py").write_text("def denoise(samples, rate):\n    return samples / 2\n")
    text = (copy.folder / "study.yaml").read_text()
    text = text.replace("models:\n", "more: [{kind: cleaned, name: soft, by: softer}]\nmodels:\n")
    train = "train: {epochs: 1, batch: 2, threads: 1, fresh: {clips: 4, seconds: 1.0, more_share: 1.0}}"
    text += f"  softer: {{peer: python, callable: 'softer:denoise'}}\n  hears: {{network: {{hidden: 32}}, {train}}}\n"
    (copy.folder / "study.yaml").write_text(text)
    target = "results/tiny/train/hears-seed1/checkpoint.safetensors"
    result = copy.run(target)
    assert result.returncode == 0, result.stdout + result.stderr
    assert jobs(result.stdout + result.stderr) == {"peer_clean": 1, "train": 1, "total": 2}
    own, soft = (manifest.read(copy.folder / "data/few" / name) for name in ("manifest.csv", "more/soft/manifest.csv"))
    assert [row.path for row in soft] == [row.path for row in own if (row.kind, row.split) == ("speech", "train")]
    assert "Nothing to be done" in (again := copy.run("--dry-run", target)).stdout + again.stderr
    (copy.folder / "softer.py").write_text("def denoise(samples, rate):\n    return samples / 3\n")
    result = copy.run("--dry-run", target)
    assert jobs(result.stdout + result.stderr) == {"peer_clean": 1, "train": 1, "total": 2}


def test_a_wrong_key_is_named_before_anything_runs(workspace):
    workspace.configure("hidden: 32", "hiden: 32")
    result = workspace.run("--dry-run")
    assert result.returncode != 0
    assert "models.sdnn.network.hiden: unknown key; did you mean 'hidden'?" in result.stdout + result.stderr
    workspace.configure("study: tiny", "")
    result = workspace.run("--dry-run")
    assert result.returncode != 0
    assert "study: this key is missing; add it." in result.stdout + result.stderr


def test_kill_during_mixing_then_the_same_command(finished, workspace):
    process = workspace.start()
    mix = workspace.folder / "results" / "tiny" / "mix"
    deadline = time.monotonic() + 120
    while process.poll() is None and not any(mix.glob("*/.*.part.tar")):
        assert time.monotonic() < deadline, "mixing never began"
        time.sleep(0.01)
    workspace.kill(process)
    workspace.run("--unlock")
    result = workspace.run("dataset")
    assert result.returncode == 0, result.stdout + result.stderr
    assert not any(mix.rglob("*.part.*"))
    for name in ("plan.csv", "train.csv", "train/0000.tar", "train/0001.tar"):
        assert (mix / name).read_bytes() == (finished.folder / "results" / "tiny" / "mix" / name).read_bytes()


def test_recordings_from_elsewhere_become_a_row_that_stays_until_it_is_removed(finished, tmp_path):
    copy = type(finished)(tmp_path / "copy")
    shutil.copytree(finished.folder, copy.folder)
    results, made = copy.folder / "results" / "tiny", tmp_path / "made"
    made.mkdir()
    for clip in rows(results / "mix" / "val.csv"):
        shutil.copy(results / "deploy" / "sdnn-seed1" / "clips" / f"{clip['clip']}.flac", made)
    add(results, "theirs", made, {"parameters": 7})
    for _ in range(2):
        ended = copy.run()
        assert ended.returncode == 0, ended.stdout + ended.stderr
        board = {row["system"]: row for row in rows(results / "board" / "table.csv")}
        assert board["theirs"]["parameters"] == "7"
        assert board["theirs"]["si_snr"] == board["sdnn-seed1"]["si_snr"]
        (results / "board" / "table.csv").unlink()
    remove(results, "theirs")
    ended = copy.run()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [row["system"] for row in rows(results / "board" / "table.csv")] == ["noisy", "sdnn-seed1"]
    assert not (results / "score" / "theirs").exists()
