"""The stage: clips of a mixture, folders of recordings, raw integers; resumable, and equal on any number of jobs."""

import importlib.util
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from typer import Typer
from typer.testing import CliRunner

from ndns.audio.io import limit_to_pcm16, pcm_sha256, read_pcm16, write_pcm16
from ndns.config import FrontEnd
from ndns.deploy import clips as clips_module
from ndns.deploy.cli import command
from ndns.deploy.clips import Job, deploy_mixture
from ndns.deploy.recordings import deploy_folder
from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.loihi2 import engine, netx
from ndns.loihi2.denoiser import Denoiser, encode_clip
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta, Synapse
from ndns.loihi2.program import Program
from ndns.loihi2.traffic import read_activity


def _program() -> Program:
    generator = np.random.default_rng(3)
    nodes = (
        Delta(33, 6),
        Synapse(2 * generator.integers(-20, 21, (24, 33)), generator.integers(0, 9, 24)),
        SigmaDelta(24, 6),
        Synapse(2 * generator.integers(-20, 21, (33, 24))),
        Sigma(33),
    )
    return Program(nodes, ("input", "fc1", "hidden1", "fc2", "output"), FrontEnd(n_fft=64, hop=16))


def _write_other(path: Path) -> None:
    """Write a program that differs in the signs of its last weights."""
    program = _program()
    nodes = (*program.nodes[:3], Synapse(-program.nodes[3].weight), program.nodes[4])
    netx.write(path, Program(nodes, program.names, program.front_end))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with `program.net` and a mixture of three clips of different length, one of them silent."""
    netx.write(tmp_path / "program.net", _program())
    rows = []
    for index, samples in enumerate((1000, 1603, 700)):
        noisy = np.random.default_rng(index).normal(0, 3000, samples) * (index != 2)
        write_pcm16(tmp_path / f"mix/val/noisy/val_{index}.flac", noisy.astype(np.int16))
        rows.append({"clip": f"val_{index}", "noisy": f"val/noisy/val_{index}.flac"})
    write_csv(tmp_path / "mix/val.csv", rows, ["clip", "noisy"])
    return tmp_path


def _run(*arguments: object) -> None:
    app = Typer()
    app.command()(command)
    CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def _deploy(study: Path, out: str = "out", *more: object) -> Path:
    _run(study / "program.net", "--mix", study / "mix/val.csv", "--out", study / out, *more)
    return study / out


def test_mixture_gives_clips_manifest_and_activity(study):
    out = _deploy(study)
    rows = read_csv(out / "manifest.csv")
    assert list(rows[0]) == ["clip", "denoised", "sha256", "removed_delay_samples"]
    program = _program()
    with np.load(out / "activity.npz", allow_pickle=False) as activity:
        assert activity["layers"].tolist() == ["input", "hidden1"]
        assert activity["clips"].tolist() == [row["clip"] for row in rows] == ["val_0", "val_1", "val_2"]
        start = 0
        for index, row in enumerate(rows):
            noisy = read_pcm16(study / f"mix/val/noisy/val_{index}.flac")
            written = read_pcm16(out / row["denoised"])
            expected, _ = limit_to_pcm16(Denoiser(program).denoise(noisy / 32768))
            np.testing.assert_array_equal(written, expected)
            assert row["sha256"] == pcm_sha256(written)
            assert row["removed_delay_samples"] == str(64 - 16 + 16)
            _, did = engine.record(program, encode_clip(program, noisy / 32768)[1])
            stop = start + int(activity["steps"][index])
            np.testing.assert_array_equal(activity["events_per_step"][:, start:stop], did.events_per_step)
            np.testing.assert_array_equal(activity["synops_per_step"][:, start:stop], did.synops_per_step)
            np.testing.assert_array_equal(activity["events"][index], did.events_per_step.sum(axis=1))
            np.testing.assert_array_equal(activity["synops"][index], did.synops_per_step.sum(axis=1))
            np.testing.assert_array_equal(activity["state_min"][index], did.state_min)
            np.testing.assert_array_equal(activity["state_max"][index], did.state_max)
            start = stop
        assert activity["events_per_step"].shape == (2, start)
        assert activity["events_per_step"].dtype == np.int32
        assert activity["synops_per_step"].dtype == np.int64
        assert activity["events"][0, 0] > 0
    assert sorted(path.name for path in out.iterdir()) == ["activity.npz", "clips", "manifest.csv"]


def test_a_program_without_weights_has_an_activity_without_layers(study):
    netx.write(study / "program.net", Program((Delta(33, 6), Sigma(33)), ("a", "b"), FrontEnd(n_fft=64, hop=16)))
    with pytest.raises(UserError, match=r"activity\.npz: no layer's messages were counted"):
        read_activity(_deploy(study) / "activity.npz", {})


def test_jobs_and_repetitions_do_not_change_a_byte(study):
    one, again, two = _deploy(study, "one"), _deploy(study, "again"), _deploy(study, "two", "--jobs", 2)
    for name in ("manifest.csv", "activity.npz", "clips/val_1.flac"):
        assert (one / name).read_bytes() == (again / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize("jobs", [1, 2])
def test_clamped_delays_are_told_once_in_a_sentence(study, capfd, jobs):
    with h5py.File(study / "program.net", "r+") as file:
        file["layer/1/delay"][:] = 64
    deploy_mixture(Job(study / "program.net", "engine", "lava-0.10"), study / "mix/val.csv", study / "out", jobs)
    told = f"{study / 'program.net'}: layer/1/delay: 24 of 24 delays are above 62 and were clamped to it, as lava does."
    assert [line for line in capfd.readouterr().err.splitlines() if "full scale" not in line] == [f"ndns: {told}"]


def test_interrupted_run_goes_on_and_stale_clips_are_computed_again(study, monkeypatch):
    whole = _deploy(study, "whole")
    original, done = clips_module.denoise_clip, []

    def interrupted(*arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(clips_module, "denoise_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        deploy_mixture(Job(study / "program.net", "engine", "lava-0.10"), study / "mix/val.csv", study / "out", 1)
    assert not (study / "out/manifest.csv").exists()
    assert not (study / "out/activity.npz").exists()
    changed = study / "mix/val/noisy/val_0.flac"
    kept = changed.read_bytes()
    calls = []
    monkeypatch.setattr(clips_module, "denoise_clip", lambda *arguments: calls.append(0) or original(*arguments))
    shutil.copytree(study / "out", study / "other")
    _deploy(study)
    assert len(calls) == 1
    assert (study / "out/activity.npz").read_bytes() == (whole / "activity.npz").read_bytes()
    assert (study / "out/manifest.csv").read_bytes() == (whole / "manifest.csv").read_bytes()
    write_pcm16(changed, np.zeros(1000, np.int16))
    calls.clear()
    _deploy(study, "other")
    assert len(calls) == 2
    assert (study / "other/manifest.csv").read_bytes() != (whole / "manifest.csv").read_bytes()
    assert changed.read_bytes() != kept


def test_a_clip_that_another_program_overwrote_is_computed_again(study, monkeypatch):
    """Run A stops after its clips, run B of another program after writing a sound: A's clip is no longer A's."""
    whole, table = _deploy(study, "whole"), study / "mix/val.csv"
    _write_other(study / "other.net")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for program, last in (("program.net", "gather"), ("other.net", "save_clip")):
        with monkeypatch.context() as patch:
            patch.setattr(clips_module, last, stop)
            with pytest.raises(KeyboardInterrupt):
                deploy_mixture(Job(study / program, "engine", "lava-0.10"), table, study / "out", 1)
    assert (study / "out/clips/val_0.flac").read_bytes() != (whole / "clips/val_0.flac").read_bytes()
    _deploy(study)
    for name in ("manifest.csv", "activity.npz", "clips/val_0.flac"):
        assert (study / "out" / name).read_bytes() == (whole / name).read_bytes()


def test_folder_of_recordings_of_any_rate(study):
    tone = np.sin(np.arange(4410) * 0.1)
    (study / "in/deep").mkdir(parents=True)
    soundfile.write(study / "in/a.wav", np.stack([tone, tone], 1) * 0.3, 44_100)
    soundfile.write(study / "in/deep/b.flac", tone[:1600] * 0.3, 16_000)
    _run(study / "program.net", "--audio", study / "in", "--out", study / "out")
    assert len(read_pcm16(study / "out/a.wav")) == 1600
    noisy = read_pcm16(study / "in/deep/b.flac") / 32768
    expected, _ = limit_to_pcm16(Denoiser(_program()).denoise(noisy))
    np.testing.assert_array_equal(read_pcm16(study / "out/deep/b.wav"), expected)
    before = (study / "out/a.wav").stat().st_mtime_ns
    _run(study / "program.net", "--audio", study / "in", "--out", study / "out")
    assert (study / "out/a.wav").stat().st_mtime_ns == before


def test_a_folder_of_recordings_is_not_mistaken_for_more_than_it_is(study):
    pcm = np.random.default_rng(0).integers(-3000, 3000, 800).astype(np.int16)
    for name in ("b.wav", "a.wav"):
        write_pcm16(study / "in" / name, pcm)
    for name in ("._a.wav", ".trash/c.wav"):
        (study / "in" / name).parent.mkdir(exist_ok=True)
        (study / "in" / name).write_bytes(b"Mac OS X")
    arguments = (study / "program.net", "--audio", study / "in", "--out", study / "in/clean")
    for _ in range(2):
        _run(*arguments)
        assert sorted(path.name for path in (study / "in/clean").rglob("*.wav")) == ["a.wav", "b.wav"]
    (study / "in/clean/b.wav").unlink()
    kept = (study / "in/clean/a.wav").stat().st_mtime_ns
    _run(*arguments)
    assert (study / "in/clean/b.wav").read_bytes() == (study / "in/clean/a.wav").read_bytes()
    assert (study / "in/clean/a.wav").stat().st_mtime_ns == kept


def test_what_another_program_or_mode_denoised_is_never_kept_as_this_ones(study):
    write_pcm16(study / "in/a.wav", np.random.default_rng(0).integers(-3000, 3000, 800).astype(np.int16))
    first = (study / "program.net", "--audio", study / "in", "--out", study / "out")
    _run(*first)
    _write_other(study / "other.net")
    before = (study / "out/a.wav").read_bytes()
    for other in ((study / "other.net", *first[1:]), (*first, "--mode", "chip24")):
        with pytest.raises(UserError, match=r"a\.wav: is not known to come from .*choose another --out or delete"):
            _run(*other)
    assert (study / "out/a.wav").read_bytes() == before
    _run(study / "other.net", "--audio", study / "in", "--out", study / "more")
    assert (study / "more/a.wav").read_bytes() != before


def test_a_recording_that_changed_is_denoised_again_and_no_other(study):
    first, changed = np.random.default_rng(0).integers(-3000, 3000, (2, 800)).astype(np.int16)
    arguments = (study / "program.net", "--audio", study / "in", "--out", study / "out")
    other = "deep/ö b.wav"
    for name in ("a.wav", other):
        write_pcm16(study / "in" / name, first)
    _run(*arguments)
    kept = (study / "out" / other).stat().st_mtime_ns
    for pcm in (changed, first, first):
        write_pcm16(study / "in/a.wav", pcm)
        _run(*arguments)
        expected, _ = limit_to_pcm16(Denoiser(_program()).denoise(pcm / 32768))
        np.testing.assert_array_equal(read_pcm16(study / "out/a.wav"), expected)
    before = (study / "out/a.wav").stat().st_mtime_ns
    _run(*arguments)
    assert (study / "out/a.wav").stat().st_mtime_ns == before
    assert (study / "out" / other).stat().st_mtime_ns == kept


def test_samples_beyond_full_scale_are_counted_aloud(study, capsys):
    program = _program()
    nodes = (*program.nodes[:3], Synapse(program.nodes[3].weight * 3), program.nodes[4])
    netx.write(study / "program.net", Program(nodes, program.names, program.front_end))
    write_pcm16(study / "in/loud.flac", np.random.default_rng(0).integers(-30_000, 30_000, 3000).astype(np.int16))
    deploy_folder(Job(study / "program.net", "engine", "lava-0.10"), study / "in", study / "out")
    limited = np.count_nonzero(np.isin(read_pcm16(study / "out/loud.wav"), (-32768, 32767)))
    assert limited > 0
    assert f"ndns: {limited} denoised samples were beyond full scale" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["lava-0.10", "lava-corrected", "chip24"])
def test_raw_integers(study, mode):
    x = np.random.default_rng(0).integers(-20, 900, (33, 80))
    np.save(study / "x.npy", x)
    _run(study / "program.net", "--input", study / "x.npy", "--output", study / "y.npy", "--mode", mode)
    y = np.load(study / "y.npy", allow_pickle=False)
    np.testing.assert_array_equal(y, engine.run(_program(), x, netx_mode(mode)))
    assert y.dtype == np.int32
    assert np.count_nonzero(y) > 0


def netx_mode(name: str):
    from ndns.loihi2.backends import mode_named

    return mode_named(name)


@pytest.mark.lava
@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed")
def test_lava_backend_gives_the_engines_clips(study):
    import fcntl
    import tempfile

    rows = read_csv(study / "mix/val.csv")[:1]
    write_csv(study / "mix/val.csv", rows, ["clip", "noisy"])
    with open(Path(tempfile.gettempdir()) / "lava.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lava = _deploy(study, "lava", "--backend", "lava")
    ours = _deploy(study, "ours")
    for name in ("manifest.csv", "activity.npz"):
        assert (lava / name).read_bytes() == (ours / name).read_bytes()


def test_integers_that_differ_from_the_engines_stop_the_run(monkeypatch):
    def wrong(backend, mode):
        return lambda program, x: engine.run(program, x) + (np.arange(x.shape[1]) == 7)

    monkeypatch.setattr(clips_module, "runner", wrong)
    with pytest.raises(RuntimeError, match="lava and the engine differ at bin 0, step 7"):
        clips_module.denoise_clip(_program(), np.zeros(400), "lava", "lava-0.10")


def test_wrong_input_gets_a_sentence(study):
    program = study / "program.net"
    np.save(study / "float.npy", np.zeros((33, 3)))
    np.save(study / "narrow.npy", np.zeros((32, 3), int))
    np.save(study / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    (study / "zip.npy").write_bytes(b"PK\x03\x04")
    whole = (study / "narrow.npy").read_bytes()
    (study / "huge.npy").write_bytes(whole.replace(b"(32, 3), }     ", b"(32, 3000000000000), }"))
    (study / "header.npy").write_bytes(whole.replace(b"(32, 3)", b"((32, 3"))
    (study / "empty").mkdir()
    (study / "twice").mkdir()
    for name in ("a.wav", "a.flac"):
        write_pcm16(study / "twice" / name, np.zeros(400, np.int16))
    (study / "scaled").mkdir()
    soundfile.write(study / "scaled/a.wav", np.full(400, 3000.0), 16_000, subtype="FLOAT")
    write_csv(study / "mix/double.csv", [{"clip": "a", "noisy": "n"}] * 2, ["clip", "noisy"])
    write_csv(study / "mix/path.csv", [{"clip": "../a", "noisy": "n"}], ["clip", "noisy"])
    write_csv(study / "mix/none.csv", [], ["clip", "noisy"])
    write_csv(study / "mix/gone.csv", [{"clip": "a", "noisy": "gone.flac"}], ["clip", "noisy"])
    out = study / "out"
    cases = [
        ((program,), "exactly one of"),
        ((program, "--mix", study / "mix/val.csv"), "--out is missing"),
        ((program, "--input", study / "float.npy"), "--output is missing"),
        ((program, "--input", study / "float.npy", "--output", out), "array of integers"),
        ((program, "--input", study / "narrow.npy", "--output", out), "has 32 bins, the program takes 33"),
        ((program, "--input", study / "object.npy", "--output", out), r"object\.npy: not an \.npy file of numbers"),
        *(
            (
                (program, "--input", study / f"{name}.npy", "--output", out),
                rf"{name}\.npy: not an \.npy file of numbers",
            )
            for name in ("zip", "huge", "header")
        ),
        ((program, "--input", study / "gone.npy", "--output", out), r"gone\.npy: no such file"),
        ((study / "gone.net", "--input", study / "narrow.npy", "--output", out), r"gone\.net: no such file"),
        ((program, "--audio", study / "gone", "--out", out), "gone: no such folder"),
        ((program, "--audio", study / "empty", "--out", out), "holds no recordings"),
        ((program, "--audio", study / "twice", "--out", out), "same name up to the suffix"),
        ((program, "--audio", study / "twice", "--out", study / "twice"), "choose another"),
        ((program, "--audio", study / "scaled", "--out", out), r"scaled/a\.wav: samples reach 3000; full scale is 1"),
        ((program, "--mix", study / "mix/double.csv", "--out", out), "occurs twice"),
        ((program, "--mix", study / "mix/path.csv", "--out", out), "not a plain name"),
        ((program, "--mix", study / "mix/none.csv", "--out", out), "holds no clips"),
        ((program, "--mix", study / "mix/gone.csv", "--out", out), r"gone\.flac: no such recording"),
        ((program, "--mix", study / "mix/val.csv", "--out", out, "--backend", "loihi2"), "this machine lacks"),
        ((program, "--mix", study / "mix/val.csv", "--out", out, "--mode", "exact"), "--mode: 'exact'"),
    ]
    for arguments, problem in cases:
        with pytest.raises(UserError, match=problem):
            _run(*arguments)
    assert not out.is_file()
    assert not (out / "manifest.csv").exists()
