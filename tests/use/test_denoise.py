"""`ndns denoise` on recordings of any rate, length and channel count, with a network that lets everything pass and
with the released one."""

import os
import subprocess
import sys
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ndns import models
from ndns.audio.io import read
from ndns.config import FrontEnd, Sdnn
from ndns.errors import UserError
from ndns.loihi2 import netx
from ndns.loihi2.denoiser import Denoiser
from ndns.loihi2.nodes import Delta, Sigma, Synapse
from ndns.loihi2.program import Program
from ndns.metrics.si_snr import si_snr
from ndns.use.cli import MORE, denoise_command
from ndns.use.lane import Lane
from ndns.use.model import Model, load
from ndns.use.recordings import denoise_file, plan

from .networks import noise, passing

CLI = typer.Typer()
CLI.command(context_settings=MORE)(denoise_command)


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(CLI, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("network") / "passing.net"
    netx.write(path, passing())
    return path


def test_sixteen_kilohertz_passes_bit_for_bit(network, tmp_path):
    pcm = np.random.default_rng(1).integers(-32768, 32768, 40_123).astype(np.int16)
    soundfile.write(tmp_path / "in.wav", pcm, 16000)
    invoke(tmp_path / "in.wav", tmp_path / "out.wav", "--model", network)
    found, rate = soundfile.read(tmp_path / "out.wav", dtype="int16")
    assert rate == 16000
    np.testing.assert_array_equal(found, pcm)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_other_rates_keep_length_and_place(tmp_path, rate):
    frames = int(2.7 * rate) + 13
    sound = noise(frames, seed=rate, keep=min(0.8, 0.8 * 16000 / rate))
    soundfile.write(tmp_path / "in.wav", sound, rate, subtype="PCM_24")
    denoise_file(Model(passing()), tmp_path / "in.wav", tmp_path / "out.wav")
    found, found_rate = soundfile.read(tmp_path / "out.wav", always_2d=True)
    assert (found_rate, found.shape) == (rate, sound.shape)
    correlation = np.fft.irfft(np.fft.rfft(found[:, 0]) * np.conj(np.fft.rfft(sound[:, 0])))
    assert correlation.argmax() == 0
    middle = slice(rate // 20, -rate // 20)
    error = found[middle] - sound[middle]
    assert 10 * np.log10((sound[middle] ** 2).mean() / (error**2).mean()) > 60
    assert np.abs(found[-rate // 100 :]).max() > 0.02


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 3000),
    st.sampled_from([4000, 11025, 16000, 44100]),
    st.integers(1, 3),
    st.sampled_from([(8, 2), (32, 8)]),
)
def test_any_length_rate_and_channel_count_is_kept(tmp_path_factory, frames, rate, channels, framing):
    folder = tmp_path_factory.mktemp("any")
    soundfile.write(folder / "in.wav", noise(frames, channels), rate)
    reported = []
    assert denoise_file(Model(passing(*framing)), folder / "in.wav", folder / "out.wav", reported.append) == 0
    found = soundfile.info(folder / "out.wav")
    assert (found.frames, found.samplerate, found.channels) == (frames, rate, channels)
    assert sum(reported) == frames
    assert sorted(path.name for path in folder.iterdir()) == ["in.wav", "out.wav"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=8))
def test_blocks_do_not_show(sizes):
    program = passing(32, 8)
    sound = noise(sum(sizes))[:, 0]
    edges = [0, *accumulate(sizes)]
    lane = Lane(program, 44100)
    parts = [lane.push(sound[a:b], i == len(sizes) - 1) for i, (a, b) in enumerate(pairwise(edges))]
    whole = Lane(program, 44100).push(sound, True)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-12)


def test_channels_are_independent_and_equal_the_denoiser(released_network, tmp_path, shared_data):
    speech = [read(path)[:48000] for path in sorted((shared_data / "speech_noise_mini/clean").glob("*.flac"))[:2]]
    length = min(map(len, speech))
    both = np.stack([sound[:length] for sound in speech], axis=1) + noise(length, 2)
    soundfile.write(tmp_path / "in.wav", both, 16000, subtype="DOUBLE")
    denoise_file(Model(released_network), tmp_path / "in.wav", tmp_path / "out.wav")
    found, _ = soundfile.read(tmp_path / "out.wav")
    for channel in range(2):
        expected = Denoiser(released_network).denoise(both[:, channel])
        np.testing.assert_array_equal(found[:, channel], expected)
        assert np.abs(expected - both[:, channel]).max() > 0.01


@pytest.fixture(scope="module")
def released_network(shared_data) -> Program:
    with pytest.warns(UserWarning, match="clamped"):
        return netx.read(shared_data / "peer_weights/intel_sdnn/network.net")


def test_released_network_removes_low_frequency_noise(shared_data, tmp_path):
    speech = read(sorted((shared_data / "speech_noise_mini/clean").glob("*.flac"))[3])[: 16000 * 8].astype(float)
    hum = noise(len(speech), seed=5, keep=0.04)[:, 0]
    mixture = speech + hum * speech.std() / hum.std()
    mixture *= 0.05 / mixture.std()
    sound = np.stack([mixture, np.zeros(len(mixture))], axis=1)
    soundfile.write(tmp_path / "in.wav", sound, 16000)
    output = invoke(
        tmp_path / "in.wav", tmp_path / "out.flac", "--model", shared_data / "peer_weights/intel_sdnn/network.net"
    )
    assert "1 of 512 delays are above 62" in output
    found, _ = soundfile.read(tmp_path / "out.flac")
    before, after = si_snr(mixture, speech), si_snr(found[:, 0], speech)
    assert before == pytest.approx(0, abs=0.3)
    assert after - before > 3.5
    assert not found[:, 1].any()


@pytest.mark.parametrize(
    ("given_subtype", "suffix", "expected"),
    [
        ("PCM_16", ".wav", "PCM_16"),
        ("PCM_24", ".wav", "PCM_24"),
        ("PCM_24", ".flac", "PCM_24"),
        ("FLOAT", ".wav", "FLOAT"),
        ("FLOAT", ".flac", "PCM_24"),
        ("PCM_U8", ".flac", "PCM_16"),
    ],
)
def test_sample_format_is_kept_where_the_suffix_holds_it(tmp_path, given_subtype, suffix, expected):
    sound = noise(3000, keep=0.5)
    soundfile.write(tmp_path / "in.wav", sound, 16000, subtype=given_subtype)
    out = tmp_path / f"out{suffix}"
    denoise_file(Model(passing()), tmp_path / "in.wav", out)
    assert (soundfile.info(out).subtype, soundfile.info(out).format) == (expected, suffix[1:].upper())
    stored, _ = soundfile.read(tmp_path / "in.wav")
    found, _ = soundfile.read(out)
    step = {"PCM_16": 2.0**-15, "PCM_24": 2.0**-23, "FLOAT": 1e-8}[expected]
    np.testing.assert_allclose(found, stored, atol=1.01 * step)


def test_compressed_24_bits_stay_24_bits(tmp_path):
    soundfile.write(tmp_path / "in.caf", noise(3000), 16000, subtype="ALAC_24")
    denoise_file(Model(passing()), tmp_path / "in.caf", tmp_path / "out.wav")
    np.testing.assert_allclose(*(soundfile.read(tmp_path / name)[0] for name in ("in.caf", "out.wav")), atol=2e-7)


def test_samples_beyond_full_scale_are_limited_and_counted(network, tmp_path):
    sound = np.sin(np.arange(8000) / 9) * 1.5
    soundfile.write(tmp_path / "in.wav", sound, 16000, subtype="FLOAT")
    output = invoke(tmp_path / "in.wav", tmp_path / "out.flac", "--model", network)
    count = np.count_nonzero(np.abs(soundfile.read(tmp_path / "in.wav")[0]) > 1)
    assert f"{count} samples were limited" in output
    found, _ = soundfile.read(tmp_path / "out.flac")
    np.testing.assert_allclose(found, np.clip(sound, -1, 1), atol=1e-6)


def test_memory_does_not_grow_with_ten_minutes(network, tmp_path):
    script = """
import resource, sys, numpy, soundfile
from pathlib import Path
from ndns.use.model import load
from ndns.use.recordings import denoise_file
folder, network = Path(sys.argv[1]), load(sys.argv[2])
for name, seconds in (("short", 5), ("long", 600)):
    with soundfile.SoundFile(folder / f"{name}.wav", "w", 44100, 1, subtype="PCM_16") as out:
        for _ in range(seconds):
            out.write(numpy.random.default_rng(0).standard_normal(44100) * 0.05)
peaks = []
for name in ("short", "long"):
    denoise_file(network, folder / f"{name}.wav", folder / f"{name}.flac")
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
assert soundfile.info(folder / "long.flac").frames == 600 * 44100
print(peaks[1] - peaks[0])
"""
    command = [sys.executable, "-c", script, str(tmp_path), str(network)]
    result = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    growth = float(result.stdout)
    held_whole = 600 * 44100 * 8 / 2**20
    assert growth < 40 < held_whole / 4, f"peak memory grew by {growth:.0f} MiB"


def test_a_folder_becomes_a_folder(network, tmp_path):
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    soundfile.write(source / "a.wav", noise(2000), 16000)
    soundfile.write(source / "deep/b.flac", noise(1500), 8000)
    soundfile.write(source / "deep/c.ogg", noise(1500, 2), 44100)
    (source / "notes.txt").write_text("no audio")
    (source / "deep/._b.flac").write_bytes(b"Mac OS X")
    invoke(source, tmp_path / "out", "--model", network)
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["a.wav", "deep/b.flac", "deep/c.wav"]
    assert soundfile.info(tmp_path / "out/deep/c.wav").channels == 2


def test_a_glob_takes_what_it_names_and_finished_files_can_be_left(network, tmp_path):
    for name in ("a1.wav", "a2.wav", "b.wav"):
        soundfile.write(tmp_path / name, noise(1000), 16000)
    out = tmp_path / "out"
    out.mkdir()
    (out / "a1.wav").write_bytes(b"finished")
    invoke(tmp_path / "a*.wav", out, "--model", network, "--skip-existing")
    assert (out / "a1.wav").read_bytes() == b"finished"
    assert sorted(path.name for path in out.iterdir()) == ["a1.wav", "a2.wav"]
    invoke(tmp_path / "a*.wav", out, "--model", network)
    assert soundfile.info(out / "a1.wav").frames == 1000


def test_an_output_folder_inside_the_input_is_not_input(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(100), 16000)
    (tmp_path / "out").mkdir()
    soundfile.write(tmp_path / "out/a.wav", noise(100), 16000)
    assert plan(str(tmp_path), tmp_path / "out") == [(tmp_path / "a.wav", tmp_path / "out/a.wav")]


def refused(*arguments: object, match: str) -> None:
    with pytest.raises(UserError, match=match):
        CliRunner().invoke(CLI, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)


def test_the_recording_itself_is_never_the_output(network, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(100), 16000)
    before = path.read_bytes()
    (tmp_path / "link.wav").symlink_to(path)
    os.link(path, tmp_path / "hard.wav")
    for target in (path, tmp_path / "link.wav", tmp_path / "hard.wav", tmp_path):
        refused(path, target, "--model", network, match="is the recording itself")
    refused(tmp_path, tmp_path, "--model", network, match="is the recording itself")
    assert path.read_bytes() == before


def test_bad_input_gets_a_sentence_and_leaves_nothing(network, tmp_path):
    (tmp_path / "text.wav").write_text("hello")
    soundfile.write(tmp_path / "nan.wav", np.r_[noise(9000)[:, 0], np.nan], 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "good.flac", noise(60000), 16000)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "good.flac").read_bytes()[:40000])
    soundfile.write(tmp_path / "whole.wav", noise(60000), 16000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:40000])
    soundfile.write(tmp_path / "integers.wav", noise(60000) * 32768, 16000, subtype="FLOAT")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out.wav"
    for source, target, match in (
        ("absent.wav", out, "absent.wav: no such recording, folder or glob"),
        ("empty", tmp_path / "o", "holds no recordings"),
        ("text.wav", out, "text.wav: cannot be read as audio"),
        ("nan.wav", out, "nan.wav: contains NaN"),
        ("cut.flac", out, r"cut.flac: (cannot be decoded|ends) after"),
        ("cut.wav", out, "cut.wav: ends after 39956 of 120000 bytes of samples; the file is cut short"),
        ("integers.wav", out, r"integers.wav: samples reach \d+; full scale is 1, so divide them"),
        ("good.flac", tmp_path / "out.mp3", "out.mp3: can write .wav and .flac only"),
        (".", tmp_path / "good.flac", "has to be a folder"),
    ):
        refused(tmp_path / source, target, "--model", network, match=match)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("share", [0.3, 0.9, 1.0])
def test_an_ogg_that_is_cut_short_is_refused(tmp_path, share):
    whole = tmp_path / "in.ogg"
    soundfile.write(whole, noise(60_000), 16000)
    content = whole.read_bytes()
    (tmp_path / "cut.ogg").write_bytes(content[: int(share * len(content))])
    model = Model(passing(8, 2))
    if share == 1:
        assert denoise_file(model, tmp_path / "cut.ogg", tmp_path / "out.wav") == 0
        assert soundfile.info(tmp_path / "out.wav").frames == 60_000
        return
    with pytest.raises(UserError, match=r"cut\.ogg: is damaged or cut short \((ends within a page|the last page)"):
        denoise_file(model, tmp_path / "cut.ogg", tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()


def test_an_empty_recording_has_no_flac(tmp_path):
    soundfile.write(tmp_path / "in.wav", noise(0), 16000)
    with pytest.raises(UserError, match=r"in.wav: holds no samples, which .flac cannot say"):
        denoise_file(Model(passing(8, 2)), tmp_path / "in.wav", tmp_path / "out.flac")


def test_two_recordings_for_one_output_are_refused(tmp_path):
    for name in ("a.ogg", "a.wav"):
        soundfile.write(tmp_path / name, noise(100), 16000)
    with pytest.raises(UserError, match=r"a.wav: .*a.ogg would become the same file"):
        plan(str(tmp_path), tmp_path / "out")


def test_a_container_that_cannot_hold_the_channels_is_named(tmp_path):
    soundfile.write(tmp_path / "in.wav", noise(100, 12), 16000)
    with pytest.raises(UserError, match=r"out.flac: cannot hold 12 channels at 16000 Hz"):
        denoise_file(Model(passing()), tmp_path / "in.wav", tmp_path / "out.flac")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_a_network_that_is_none_for_audio_is_refused(tmp_path):
    soundfile.write(tmp_path / "in.wav", noise(100), 16000)
    program = Program((Delta(9, 6), Synapse(np.zeros((9, 9), int)), Sigma(9)), ("a", "b", "c"))
    netx.write(tmp_path / "small.net", program)
    refused(tmp_path / "in.wav", tmp_path / "out.wav", "--model", tmp_path / "small.net", match="cannot denoise audio")
    assert not (tmp_path / "out.wav").exists()


def test_a_float_checkpoint_is_quantized_on_the_fly(tmp_path):
    network = models.build(Sdnn(hidden=16, front_end=FrontEnd(n_fft=32, hop=8)), seed=3)
    models.save(network, tmp_path / "checkpoint.safetensors")
    program = load(tmp_path / "checkpoint.safetensors").program
    assert [layer.neurons for layer in program.layers] == [17, 16, 16]
    soundfile.write(tmp_path / "in.wav", noise(900), 16000)
    invoke(tmp_path / "in.wav", tmp_path / "out.wav", "--model", tmp_path / "checkpoint.safetensors")
    pcm = soundfile.read(tmp_path / "in.wav")[0]
    expected = Denoiser(program).denoise(pcm)
    np.testing.assert_allclose(soundfile.read(tmp_path / "out.wav")[0], expected, atol=2**-15)


def test_loud_samples_keep_their_value_in_every_integer_format(tmp_path):
    for subtype in ("PCM_16", "PCM_24", "PCM_32"):
        pcm = np.array([32767, -32768, 30000, -1, 1] * 50, np.int32) << 16
        soundfile.write(tmp_path / "in.wav", pcm, 16000, subtype=subtype)
        assert denoise_file(Model(passing(8, 2)), tmp_path / "in.wav", tmp_path / "out.wav") == 0
        found, _ = soundfile.read(tmp_path / "out.wav", dtype="int32")
        np.testing.assert_array_equal(found, pcm)


def test_a_folder_with_a_suffix_is_no_output_for_one_recording(network, tmp_path):
    soundfile.write(tmp_path / "in.wav", noise(100), 16000)
    (tmp_path / "out.wav").mkdir()
    (tmp_path / "out.wav/in.wav").mkdir()
    refused(tmp_path / "in.wav", tmp_path / "out.wav", "--model", network, match=r"out.wav.in.wav: is a folder")


def test_in_and_out_or_stream_have_to_be_named(network, tmp_path):
    refused("--model", network, match="name a recording IN and an output OUT, or use --stream")
    refused(tmp_path / "in.wav", "--model", network, match="name a recording IN and an output OUT")


def test_options_of_streams_are_refused_for_recordings(network, tmp_path):
    for option, value in (("--rate", 48000), ("--channels", 2), ("--format", "s16")):
        refused(tmp_path / "a.wav", tmp_path / "b.wav", option, value, match=f"{option} is for --stream")


def test_an_unquoted_pattern_never_overwrites_a_recording(network, tmp_path):
    names = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav")]
    for path in names:
        soundfile.write(path, noise(1000), 16000)
    before = names[1].read_bytes()
    refused(*names[:2], "--model", network, match=r"b.wav: is there already, beside .*a.wav; .* quote it")
    refused(*names, "--model", network, match=r"c.wav is neither IN nor OUT; quote a pattern")
    assert names[1].read_bytes() == before
    (tmp_path / "out").mkdir()
    for _ in range(2):
        invoke(names[0], tmp_path / "out/a.wav", "--model", network)
        invoke(names[1], names[0], "--model", network)


def test_bad_recordings_do_not_keep_the_others_from_being_done(network, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.wav", "c.wav", "e.wav"):
        soundfile.write(source / name, noise(1000), 16000)
    (source / "b.wav").write_text("hello")
    (source / "d.wav").write_bytes((source / "a.wav").read_bytes()[:500])
    command = [sys.executable, "-c", "from ndns.cli import main; main()", "denoise", source, out, "--model", network]
    for skip in ([], ["--skip-existing"]):
        result = subprocess.run([*map(str, command), *skip], capture_output=True, text=True)
        assert result.returncode == 2
        for sentence in (
            "b.wav: cannot be read",
            "d.wav: ends after",
            f"2 of {2 if skip else 5} recordings were left out",
        ):
            assert sentence in result.stderr
        assert sorted(path.name for path in out.iterdir()) == ["a.wav", "c.wav", "e.wav"]
