"""Training through the command's own function: it learns, repeats itself, and survives kill -9."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ndns import models
from ndns.config import TrainedModel
from ndns.errors import UserError
from ndns.files import read_csv, sha256_file
from ndns.processes import WAITING, wait_for_products
from ndns.train.run import train

SMALL = {"hidden": 24}


def settings(epochs=3, network=SMALL, **changes):
    return TrainedModel(network=network, train={"epochs": epochs, "batch": 4, "threads": 1, **changes}, seeds=[1])


def run(mix, out, seed=1, **changes):
    train(settings(**changes), seed, [mix / "train.csv"], mix / "val.csv", out)
    return models.load(out / "checkpoint.safetensors").state_dict()


def command(model, mix, out):
    """The command line of a run; Lightning starts further processes with the same one."""
    line = [str(Path(sys.executable).with_name("ndns")), "train", "--settings", model.model_dump_json(), "--seed", "1"]
    line += ["--train-mix", str(mix / "train.csv"), "--val-mix", str(mix / "val.csv"), "--out", str(out)]
    return line


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_loss_falls_and_the_best_epoch_is_kept(mix, tmp_path):
    run(mix, tmp_path, epochs=8, learning_rate=0.01)
    rows = read_csv(tmp_path / "history.csv")
    losses = [float(row["train_loss"]) for row in rows]
    assert len(rows) == 8
    assert losses[-1] < losses[0] - 0.5
    assert {"epoch", "val_loss", "val_si_snr", "learning_rate", "rate_hidden1"} <= rows[0].keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.safetensors", "history.csv"]


def test_history_holds_the_rate_that_was_asked_for_though_some_weights_learn_slower(mix, tmp_path):
    run(mix, tmp_path, epochs=2, network={"kind": "s5", "width": 0.0625, "blocks": 1}, learning_rate=0.004)
    assert [float(row["learning_rate"]) for row in read_csv(tmp_path / "history.csv")] == [0.004, 0.004]


def test_a_seed_repeats_and_another_differs(mix, tmp_path):
    first, again, other = (run(mix, tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert equal(first, again)
    assert not equal(first, other)
    assert (tmp_path / "a" / "history.csv").read_bytes() == (tmp_path / "b" / "history.csv").read_bytes()


def test_terminated_then_kill_9_then_the_same_command(mix, tmp_path):
    model = settings(epochs=6)
    whole = tmp_path / "whole"
    train(model, 1, [mix / "train.csv"], mix / "val.csv", whole)
    cut = tmp_path / "cut"
    for ending in (signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen(command(model, mix, cut), stderr=subprocess.DEVNULL, start_new_session=True)
        deadline, state = time.monotonic() + 120, cut / ".resume" / "last.ckpt"
        before = state.stat().st_mtime_ns if state.is_file() else None
        while process.poll() is None and (not state.is_file() or state.stat().st_mtime_ns == before):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        done = process.poll() is not None
        if not done:
            os.killpg(process.pid, ending)
        assert process.wait() in ({0} if done else {-ending, 128 + ending})
    result = subprocess.run(command(model, mix, cut), capture_output=True, text=True, check=True)
    assert "going on after the last whole epoch" in result.stderr or (cut / "checkpoint.safetensors").is_file()
    for name in ("history.csv", "checkpoint.safetensors"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_second_training_in_the_same_folder_is_kept_out(mix, tmp_path, power_cut, held_elsewhere, capsys):
    model = settings(epochs=3)
    with power_cut():
        train(model, 1, [mix / "train.csv"], mix / "val.csv", tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / ".resume").iterdir()}
    with held_elsewhere(tmp_path / ".resume" / "lock"):
        for seed in (1, 2):
            with pytest.raises(UserError, match="another training is at work there"):
                train(model, seed, [mix / "train.csv"], mix / "val.csv", tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / ".resume").iterdir()} == before
    train(model, 1, [mix / "train.csv"], mix / "val.csv", tmp_path)
    assert "going on after the last whole epoch" in capsys.readouterr().err
    assert not (tmp_path / ".resume").exists()


@pytest.mark.parametrize("network", ["sdnn", "s5"])
def test_an_interrupted_run_ends_like_a_whole_one(mix, tmp_path, power_cut, capsys, network):
    """Dropout, schedule, pruning and batch statistics go on where they stopped, too."""
    sparse = {"density": 0.3, "start": 0.1, "end": 0.6}
    kinds = {"sdnn": SMALL, "s5": {"kind": "s5", "width": 0.0625, "dropout": 0.2, "sparsity": sparse}}
    chosen = {"network": kinds[network], "epochs": 4, "schedule": "cosine", "warmup": 0.2, "crop_seconds": 0.5}
    whole = run(mix, tmp_path / "whole", **chosen)
    with power_cut():
        run(mix, tmp_path / "cut", **chosen)
    torch.manual_seed(99)
    capsys.readouterr()
    assert equal(run(mix, tmp_path / "cut", **chosen, workers=1), whole), "other workers read the same clips"
    assert "going on after the last whole epoch.\n" in capsys.readouterr().err
    histories = [(tmp_path / name / "history.csv").read_bytes() for name in ("whole", "cut")]
    assert histories[0] == histories[1]


def test_going_on_after_the_code_has_changed_is_told(mix, tmp_path, power_cut, capsys, monkeypatch):
    with monkeypatch.context() as patch, power_cut():
        patch.setattr("ndns.train.run.fingerprint", lambda stage: f"earlier code of {stage}")
        run(mix, tmp_path, epochs=3)
    run(mix, tmp_path, epochs=3)
    told = capsys.readouterr().err
    assert f"last whole epoch, which other code trained; delete {tmp_path}/.resume to train all of it anew." in told


def test_two_processes_train_like_one(mix, tmp_path):
    """Three validation clips over two processes: means have to weigh clips, not processes."""
    alone, shared = settings(epochs=2), settings(epochs=2, devices=2, strategy="ddp")
    train(alone, 1, [mix / "train.csv"], mix / "val.csv", tmp_path / "alone")
    subprocess.run(command(shared, mix, tmp_path / "shared"), capture_output=True, check=True, timeout=240)
    pairs = zip(*(read_csv(tmp_path / name / "history.csv") for name in ("alone", "shared")), strict=True)
    for one, two in pairs:
        for column in one:
            assert float(one[column]) == pytest.approx(float(two[column]), rel=1e-5), column


def test_changed_settings_start_again(mix, tmp_path, capsys):
    folder = tmp_path / ".resume"
    folder.mkdir(parents=True)
    (folder / "last.ckpt").write_bytes(b"from another run")
    (folder / "key.txt").write_text("another key")
    run(mix, tmp_path, epochs=1)
    assert "starting again" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_damaged_training_state_is_named_and_stays(mix, tmp_path, power_cut, kept):
    with power_cut():
        run(mix, tmp_path)
    state, best = (tmp_path / ".resume" / name for name in ("last.ckpt", "best.safetensors"))
    state.write_bytes(state.read_bytes()[: int(kept * state.stat().st_size)])
    with pytest.raises(UserError, match=r"last\.ckpt: damaged.*delete .*\.resume to train from the beginning"):
        run(mix, tmp_path)
    assert best.is_file()


def test_killed_while_the_training_state_is_removed_then_the_same_command(mix, tmp_path, monkeypatch):
    def killed(folder):
        (folder / "best.safetensors").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda folder, **_: folder.is_dir() and killed(folder))
        with pytest.raises(KeyboardInterrupt):
            run(mix, tmp_path)
    before = (tmp_path / "history.csv").read_bytes()
    run(mix, tmp_path)
    assert (tmp_path / "history.csv").read_bytes() == before
    assert not (tmp_path / ".resume").exists()


def test_training_begins_with_the_weights_of_another_model(mix, tmp_path):
    first, second, alone = tmp_path / "first", tmp_path / "second", tmp_path / "alone"
    run(mix, first, epochs=1)
    model = settings(epochs=1, learning_rate=1e-12).model_copy(update={"initial": "first"})
    sources = [mix / "train.csv"], mix / "val.csv"
    train(model, 1, *sources, second, initial=first / "checkpoint.safetensors")
    train(model, 1, *sources, alone)
    weights = [models.load(folder / "checkpoint.safetensors").weight2 for folder in (first, second, alone)]
    assert torch.allclose(weights[0], weights[1], rtol=0, atol=1e-9)
    assert (weights[0] - weights[2]).abs().max() > 1e-3


def test_settings_that_are_not_those_of_the_initial_weights_are_told(mix, tmp_path, capsys):
    before = {"kind": "s5", "width": 0.0625, "blocks": 1, "mask": "sigmoid", "level": "shift"}
    models.save(models.build(settings(network=before).network, 1), tmp_path / "a.safetensors")

    def said(**changes):
        model = settings(epochs=1, network={**before, **changes}).model_copy(update={"initial": "a"})
        sources = [mix / "train.csv"], mix / "val.csv"
        train(model, 1, *sources, tmp_path / "out", initial=tmp_path / "a.safetensors")
        return capsys.readouterr().err

    assert "a.safetensors was trained with other settings: mask sigmoid, now relu." in said(mask="relu")
    assert "other settings" not in said(qat={"start": 0.5}, compressed_loss=30)


def test_initial_weights_with_another_hash_are_refused(mix, tmp_path):
    checkpoint, out = tmp_path / "brought.safetensors", tmp_path / "out"
    model = settings(epochs=1).model_copy(update={"initial": "brought"})
    models.save(models.build(model.network, 1), checkpoint)
    line = [*command(model, mix, out), "--initial", str(checkpoint), "--initial-sha256"]
    for sha256, ended, said in (("0" * 64, 2, "its SHA-256 is"), (sha256_file(checkpoint), 0, "")):
        result = subprocess.run([*line, sha256], capture_output=True, text=True)
        assert (result.returncode, said in result.stderr) == (ended, True), result.stderr
        assert (out / "checkpoint.safetensors").exists() == (ended == 0)


def test_an_interrupted_run_goes_on_only_with_the_same_initial_weights(mix, tmp_path, power_cut, capsys):
    for name, seed in (("a", 1), ("b", 2)):
        run(mix, tmp_path / name, seed, epochs=1)
    model = settings(epochs=3).model_copy(update={"initial": "parent"})

    def go_on(name):
        train(
            model,
            1,
            [mix / "train.csv"],
            mix / "val.csv",
            tmp_path / "x",
            initial=tmp_path / name / "checkpoint.safetensors",
        )
        return capsys.readouterr().err

    with power_cut():
        go_on("a")
    assert "going on" in go_on("a")
    with power_cut():
        go_on("a")
    assert "initial weights have changed; starting again" in go_on("b")


def test_crops_longer_than_the_clips_are_named(mix, tmp_path):
    with pytest.raises(UserError, match=r"crop_seconds: 3 s is longer"):
        run(mix, tmp_path, crop_seconds=3.0)


@pytest.mark.parametrize(
    ("n_fft", "crop_seconds", "name"),
    [(32000, None, r"the clips of .*train\.csv \(16000\)"), (512, 0.016, r"train\.crop_seconds \(256\)")],
)
def test_clips_that_are_not_longer_than_half_a_frame_are_named(mix, tmp_path, n_fft, crop_seconds, name):
    network = {"hidden": 4, "front_end": {"n_fft": n_fft, "hop": n_fft // 4}}
    with pytest.raises(UserError, match=rf"n_fft: half a frame \({n_fft // 2} samples\) is not shorter than {name}"):
        run(mix, tmp_path, network=network, crop_seconds=crop_seconds)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_not_a_number_stops_with_its_place(mix, tmp_path):
    with pytest.raises(UserError, match=r"loss is nan in epoch \d+, batch \d+; lower train\.learning_rate"):
        run(mix, tmp_path, epochs=4, learning_rate=1e30, clip_norm=1e30)
    assert not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    ("threads", "found", "expected"), [(1, None, None), (2, None, None), (3, None, "passive"), (8, "active", "active")]
)
def test_threads_of_products_wait_asleep_where_loops_have_their_own(monkeypatch, threads, found, expected):
    monkeypatch.setenv(WAITING, found or "")
    if found is None:
        monkeypatch.delenv(WAITING)
    wait_for_products(threads)
    assert os.environ.get(WAITING) == expected


def test_absent_gpu_is_named(mix, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="accelerator"):
        run(mix, tmp_path, accelerator="gpu")


@pytest.mark.parametrize("devices", [0, -1])
def test_impossible_devices_are_named(mix, tmp_path, devices):
    with pytest.raises(UserError, match=r"train\.accelerator, devices or strategy: .*devices"):
        run(mix, tmp_path, devices=devices)


def test_missing_mixture_is_named(tmp_path):
    with pytest.raises(UserError, match=r"train\.csv: no such file"):
        train(settings(), 1, [Path("train.csv")], Path("val.csv"), tmp_path)
