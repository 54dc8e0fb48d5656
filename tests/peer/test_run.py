"""Peers through the corridor: commands, functions, lags, interruptions."""

import importlib
import json
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch

from ndns.audio.io import pcm_sha256, read_pcm16, write_pcm16
from ndns.audio.stft import encode
from ndns.config import Peer
from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.loihi2 import engine, netx
from ndns.loihi2.denoiser import Denoiser
from ndns.metrics.si_snr import si_snr
from ndns.peer.base import Clip
from ndns.peer.ideal_ratio_mask import IdealRatioMask
from ndns.peer.run import peer_of, run_peer

SCRIPT = """
import sys, numpy as np, soundfile
samples, rate = soundfile.read(sys.argv[1], dtype="int16")
soundfile.write(sys.argv[2], np.concatenate([np.zeros(160, "int16"), samples // 2]), rate, subtype="PCM_16")
"""


def run(mix, **settings):
    out = mix.parent / "deploy"
    run_peer(Peer(**settings), mix, out, mix.parent / "cost.json")
    cost = json.loads((mix.parent / "cost.json").read_text())
    return read_csv(out / "manifest.csv"), [read_pcm16(out / "clips" / f"c{i}.flac") for i in range(2)], cost


def noisy(mix, index=0):
    return read_pcm16(mix.parent / "val" / "noisy" / f"c{index}.flac")


def test_command_runs_without_a_shell_and_its_delay_is_removed(mix):
    script = mix.parent / "half; touch gone $(x) 'y.py"
    script.write_text(SCRIPT)
    rows, clips, cost = run(
        mix,
        peer="command",
        command=[sys.executable, str(script), "{input}", "{output}"],
        delay_ms=10.0,
        latency_ms=20.0,
        parameters=7,
    )
    for index, clip in enumerate(clips):
        expected = noisy(mix, index) // 2
        assert np.abs(clip.astype(int) - expected).max() <= 1
        assert rows[index]["sha256"] == pcm_sha256(clip)
    assert rows[0]["removed_delay_samples"] == "160"
    assert not (mix.parent / "gone").exists()
    assert cost["latency"]["total_ms"] == pytest.approx(30.0)
    assert cost["parameters"] == 7
    assert cost["power_proxy_ops_s"] is None
    assert cost["real_time_factor"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/no/such/program", "{input}", "{output}"], "cannot be run"),
        ([sys.executable, "-c", "import sys; sys.exit('broken {input}{output}')"], "ended with 1 on c0"),
        ([sys.executable, "-c", "'{input} {output}'"], "wrote nothing"),
    ],
)
def test_broken_command_is_named(mix, words, said):
    with pytest.raises(UserError, match=said):
        run(mix, peer="command", command=words)
    assert not (mix.parent / "cost.json").exists()


def test_function_of_a_module_in_the_working_folder(mix, monkeypatch):
    monkeypatch.chdir(mix.parent)
    (mix.parent / "my_peer_module.py").write_text("def quieter(samples, rate):\n    return samples / 4\n")
    _, clips, cost = run(mix, peer="python", callable="my_peer_module:quieter", latency_ms=32.0)
    np.testing.assert_allclose(clips[1], noisy(mix, 1) / 4, atol=0.51)
    assert cost["latency"]["total_ms"] == 32.0
    (mix.parent / "my_short_module.py").write_text("def cut(samples, rate):\n    return samples[:100]\n")
    with pytest.raises(UserError, match="gave 100 samples"):
        run(mix, peer="python", callable="my_short_module:cut")
    with pytest.raises(UserError, match="cannot be imported"):
        run(mix, peer="python", callable="my_short_module:absent")


@pytest.fixture
def interrupted(mix, monkeypatch):
    """Clips that a run on `mix` began, which Ctrl-C ended during the second; `denoise` goes on as usual after that."""
    calls, denoise = [], IdealRatioMask.denoise

    def fragile(self, clip):
        calls.append(clip.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return denoise(self, clip)

    monkeypatch.setattr(IdealRatioMask, "denoise", fragile)
    with pytest.raises(KeyboardInterrupt):
        run(mix, peer="ideal_ratio_mask")
    return calls


def test_interrupted_run_goes_on_without_doing_work_twice(mix, interrupted):
    assert not (mix.parent / "deploy" / "manifest.csv").exists()
    _, clips, _ = run(mix, peer="ideal_ratio_mask")
    assert interrupted == ["c0", "c1", "c1"]
    _, whole, _ = run(mix, peer="ideal_ratio_mask")
    np.testing.assert_array_equal(clips[0], whole[0])


@pytest.mark.parametrize("changed", ["sound", "clean", "code"])
def test_finished_clips_of_other_inputs_are_made_again(mix, interrupted, monkeypatch, changed):
    if changed == "code":
        monkeypatch.setattr("ndns.peer.run.fingerprint", lambda stage: "another")
    else:
        path = mix.parent / {"sound": "deploy/clips/c0.flac", "clean": "val/clean/c0.flac"}[changed]
        write_pcm16(path, read_pcm16(path)[::-1].copy())
    run(mix, peer="ideal_ratio_mask")
    assert interrupted == ["c0", "c1", "c0", "c1"]


def test_function_that_was_mended_makes_all_clips_again(mix, monkeypatch):
    monkeypatch.chdir(mix.parent)
    module = mix.parent / "my_fragile_module.py"
    module.write_text(
        "calls = []\n\ndef f(samples, rate):\n    calls.append(1)\n"
        "    return 0 * samples if len(calls) < 2 else samples + 1 // 0\n"
    )
    settings = {"peer": "python", "callable": "my_fragile_module:f"}
    with pytest.raises(UserError, match=r"failed on c1 \(ZeroDivisionError: .*my_fragile_module\.py:5\); mend"):
        run(mix, **settings)
    module.write_text("def f(samples, rate):\n    return samples\n")
    del sys.modules["my_fragile_module"]
    importlib.invalidate_caches()
    _, clips, _ = run(mix, **settings)
    np.testing.assert_array_equal(clips[0], noisy(mix, 0))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def f(samples, rate):\n    return samples.repeat(3)\n", "gave 72000 samples for 24000 of c0"),
        ("def f(samples, rate):\n    return samples * float('nan')\n", "gave NaN or infinite samples for c0"),
        ("def f(samples, rate):\n    return samples, rate\n", r"failed on c0 \(ValueError"),
        (
            "def f(samples, rate):\n    return (samples * 32767).astype('int16')\n",
            "returned int16 for c0; return floats",
        ),
        ("def f(samples, rate):\n    return samples * 1j\n", "returned complex64 for c0; return floats"),
        ("def f(samples, rate):\n    return samples * 32768\n", "samples reach .*full scale is 1"),
        ("def f(samples, rate):\n    raise SystemExit('no licence')\n", r"failed on c0 \(SystemExit: no licence"),
        ("def f(samples, rate:\n", r"its module fails when it is imported \(SyntaxError"),
        ("f = nothing\n", r"its module fails when it is imported \(NameError: .*py:1\)"),
    ],
)
def test_broken_function_is_named(mix, monkeypatch, source, says):
    monkeypatch.chdir(mix.parent)
    name = f"my_broken_module_{zlib.crc32(source.encode())}"
    (mix.parent / f"{name}.py").write_text(source)
    with pytest.raises(UserError, match=says):
        run(mix, peer="python", callable=f"{name}:f")
    assert not (mix.parent / "cost.json").exists()


def test_command_may_say_anything(mix):
    script = mix.parent / "loud.py"
    script.write_text(SCRIPT + "sys.stderr.buffer.write(bytes([255, 254]))\n")
    _, clips, _ = run(mix, peer="command", command=[sys.executable, str(script), "{input}", "{output}"])
    assert clips[0].any()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("soundfile.write(sys.argv[2], samples * np.nan, rate, subtype='FLOAT')", "contains NaN"),
        ("soundfile.write(sys.argv[2], samples * 9e5, rate, subtype='FLOAT')", "full scale is 1"),
        ("open(sys.argv[2], 'w').write('no sound')", "cannot be read as audio"),
    ],
)
def test_command_whose_output_is_no_use_is_named(mix, line, says):
    script = mix.parent / "broken.py"
    script.write_text(SCRIPT + line + "\n")
    with pytest.raises(UserError, match=rf"^{sys.executable}: what it wrote for c0 is no use: .*{says}"):
        run(mix, peer="command", command=[sys.executable, str(script), "{input}", "{output}"])


def test_command_that_listens_hears_nothing(mix):
    script = mix.parent / "listens.py"
    script.write_text("import sys\nassert not sys.stdin.read()\n" + SCRIPT)
    command = ["peer: command", f"command: [{sys.executable}, {script}, '{{input}}', '{{output}}']"]
    (mix.parent / "mine.yaml").write_text("\n".join(command) + "\n")
    options = ["--settings", mix.parent / "mine.yaml", "--mix", mix, "--out", mix.parent / "deploy"]
    words = [sys.executable, "-c", "from ndns.cli import main; main()", "peer", "run", *options]
    heard, said = os.pipe()  # never says that it ends, as a terminal does not
    try:
        subprocess.run([*map(str, words), "--cost", mix.parent / "cost.json"], stdin=heard, timeout=60, check=True)
    finally:
        os.close(heard)
        os.close(said)
    assert (mix.parent / "cost.json").is_file()


@pytest.mark.parametrize("name", ["c0", "../c1", ".c1", ""])
def test_names_that_are_no_files_of_their_own_are_refused(mix, name):
    rows = read_csv(mix)
    write_csv(mix, [rows[0], rows[1] | {"clip": name}], list(rows[0]))
    with pytest.raises(UserError, match=f"val.csv: the clip '{name}' occurs twice or is not a plain name"):
        run(mix, peer="ideal_ratio_mask")
    assert not (mix.parent / "deploy").exists()


def test_file_that_is_no_network_is_named(mix):
    weights = mix.parent / "w.onnx"
    weights.write_bytes(b"x")
    with pytest.raises(UserError, match=r"w\.onnx: onnxruntime cannot read it"):
        run(mix, peer="gtcrn", weights=str(weights))


def test_ideal_ratio_mask_is_far_better_than_its_input(mix):
    _, clips, cost = run(mix, peer="ideal_ratio_mask")
    for index, clip in enumerate(clips):
        clean = read_pcm16(mix.parent / "val" / "clean" / f"c{index}.flac") / 32768
        assert si_snr(clip / 32768, clean) > si_snr(noisy(mix, index) / 32768, clean) + 6
    assert cost["oracle"] is True


def test_clean_speech_of_another_length_is_named(mix):
    path = mix.parent / "val/clean/c1.flac"
    write_pcm16(path, read_pcm16(path)[:-500])
    with pytest.raises(UserError, match=r"c1\.flac: has 23500 samples, its noisy clip 24000"):
        run(mix, peer="ideal_ratio_mask")


@pytest.mark.parametrize(
    "values",
    [{"peer": "command", "command": ["x"]}, {"peer": "python"}, {"peer": "gtcrn"}, {"peer": "folder"}],
)
def test_incomplete_settings_are_refused(values):
    with pytest.raises(ValueError, match=r"needed|needs"):
        Peer(**values)


def test_weights_that_changed_are_refused(mix):
    weights = mix.parent / "w.onnx"
    weights.write_bytes(b"x")
    with pytest.raises(UserError, match="expected 0000"):
        run(mix, peer="gtcrn", weights=str(weights), sha256="0" * 64)


def test_recordings_already_made_are_a_peer_without_a_time(mix, tmp_path):
    made = tmp_path / "made"
    for index in range(2):
        late = np.concatenate([np.zeros(160, np.int16), noisy(mix, index) // 2])
        write_pcm16(made / f"c{index}.wav", late)
    facts = {"delay_ms": 10.0, "latency_ms": 8.0, "power_proxy_ops_s": 5e6}
    rows, clips, cost = run(mix, peer="folder", folder=str(made), **facts)
    for index, clip in enumerate(clips):
        np.testing.assert_array_equal(clip, noisy(mix, index) // 2)
    assert rows[0]["removed_delay_samples"] == "160"
    assert cost["real_time_factor"] is None
    assert cost["power_proxy_ops_s"] == 5e6
    assert cost["latency"]["algorithmic_ms"] == 18.0
    with pytest.raises(UserError, match="not those that were added"):
        run(mix, peer="folder", folder=str(made), sha256="0" * 64)
    (made / "c1.wav").unlink()
    with pytest.raises(UserError, match=r"no recording of c1; call the file c1\.wav"):
        run(mix, peer="folder", folder=str(made))


def test_rnnoise_lag_is_removed(mix):
    pytest.importorskip("pyrnnoise", reason="the package pyrnnoise is not installed")
    _, clips, cost = run(mix, peer="rnnoise")
    assert len(clips[0]) == len(noisy(mix))
    assert clips[0].any()
    assert abs(cost["latency"]["network_ms"]) < 1
    assert cost["latency"]["algorithmic_ms"] == 30.0
    weights = 65 * 3 * 128 + 128 * 3 * 384 + 6 * 384 * 1152 + 3 * 1152 + 1536 * 32 + 1536
    assert cost["macs_s"] == 100 * weights, "shapes of the layers: two convolutions, three GRUs, two readouts"
    assert cost["parameters"] == weights + 128 + 384 + 6 * 1152 + 32 + 1
    assert 2500 < cost["size_kb"] < 4 * cost["parameters"] / 1024


def test_noisereduce_is_said_to_hear_the_whole_clip(mix):
    pytest.importorskip("noisereduce", reason="the package noisereduce is not installed")
    _, clips, cost = run(mix, peer="noisereduce")
    assert 0 < np.abs(clips[0].astype(float)).mean() < np.abs(noisy(mix).astype(float)).mean()
    assert cost["latency"]["total_ms"] is None


def test_gtcrn_counts_and_improves(mix, shared_data):
    weights = shared_data / "peer_weights" / "gtcrn" / "gtcrn_simple.onnx"
    if not weights.is_file():
        pytest.skip("GTCRN's released weights are absent")
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    _, clips, cost = run(mix, peer="gtcrn", weights=str(weights))
    assert cost["parameters"] == pytest.approx(48_200, rel=0.01)
    assert cost["macs_s"] == pytest.approx(33e6, rel=0.1)
    assert np.abs(clips[0][-2000:]).max() < 2 * np.abs(noisy(mix)).max()
    assert clips[0].any()


@pytest.mark.parametrize("network", ["intel_sdnn", "intel_sdnn_nodelay"])
def test_the_challenges_network_in_float_answers_like_its_integers(mix, shared_data, network):
    folder = shared_data / "peer_weights" / network
    if not (folder / "network.pt").is_file():
        pytest.skip("Intel's released weights are absent")
    _, clips, cost = run(mix, peer="sdnn_float", weights=str(folder / "network.pt"))
    program = netx.read(folder / "network.net")
    rates = []
    for index, clip in enumerate(clips):
        heard = noisy(mix, index).astype(np.float64)
        integer = Denoiser(program).denoise(heard / 32768) * 32768
        likeness, change = (si_snr(*map(torch.from_numpy, (clip * 1.0, other))).item() for other in (integer, heard))
        assert likeness > max(25, change + 3), "what the two do apart is less than what they do to the clip"
        events = engine.record(program, program.encode(np.abs(encode(heard / 32768, program.front_end.frames()))))[1]
        rates.append(events.events_per_step.mean(axis=1) / [257, 512, 512])
    synops = np.mean(rates, axis=0) @ [257 * 512, 512 * 512, 512 * 257]
    assert cost["power_proxy_ops_s"] == pytest.approx((synops + 10 * (257 + 512 + 512)) / 0.008, rel=0.01)
    assert cost["parameters"] == 2 * 257 * 512 + 512 * 512
    peer = peer_of(Peer(peer="sdnn_float", weights=str(folder / "network.pt")))
    short = peer.denoise(Clip("c0", noisy(mix)[:100] / 32768, mix))[0]
    assert short.shape == (100,)
    assert short.any()
