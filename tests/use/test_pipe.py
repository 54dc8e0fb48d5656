"""`ndns denoise --stream`: bytes equal to the whole recording's, latency of the model, ends of all kinds."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import BinaryIO

import numpy as np
import pytest

from ndns.errors import UserError
from ndns.loihi2 import netx
from ndns.use import Model
from ndns.use.model import to_integers
from ndns.use.pipe import BROKEN_PIPE, READ_BYTES, Outcome, Pcm, run

from .networks import S5, noise

COMMAND = [sys.executable, "-c", "from ndns.cli import main; main()", "denoise", "--stream", "--model", str(S5)]
LATENCY = 64
"""Samples of the network for tones: one frame."""


@pytest.fixture(scope="module")
def small() -> Model:
    return Model(netx.read(S5), "small")


def piped(model: Model, pcm: Pcm, chunks: list[bytes]) -> tuple[bytes, Outcome]:
    """Feed chunks through pipes while `run` works; return what came out."""
    (source, feed), (drain, target) = os.pipe(), os.pipe()
    received = bytearray()

    def write():
        for chunk in chunks:
            os.write(feed, chunk)
        os.close(feed)

    def read():
        while data := os.read(drain, 1 << 16):
            received.extend(data)

    threads = [threading.Thread(target=work, daemon=True) for work in (write, read)]
    for thread in threads:
        thread.start()
    try:
        outcome = run(model, pcm, source, target)
    finally:
        os.close(target)
        for thread in threads:
            thread.join(30)
        os.close(source)
        os.close(drain)
    return bytes(received), outcome


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut into pieces of the given sizes, again and again."""
    pieces, at = [], 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize("sizes", [[1 << 16], [1, 2, 3, 997], [32]])
def test_bytes_equal_the_whole_recordings(small, sizes):
    pcm16 = to_integers(noise(9001)[:, 0] * 4, 16)[0]
    found, outcome = piped(small, Pcm(), cut(pcm16.tobytes(), sizes))
    assert found == small.denoise(pcm16).tobytes()
    assert outcome == Outcome()


@pytest.mark.parametrize(
    ("form", "rate", "channels"), [("s16", 16000, 2), ("s32", 16000, 1), ("f32", 48000, 1), ("s16", 44100, 2)]
)
def test_other_formats_rates_and_channels(small, form, rate, channels):
    sound = noise(4000, channels)
    audio = sound.astype(np.float32) if form == "f32" else to_integers(sound, int(form[1:]))[0]
    found, _ = piped(small, Pcm(rate, channels, form), cut(audio.tobytes(), [1001]))
    whole = small.denoise(audio, rate)
    assert len(found) == len(audio.tobytes())
    step = 1e-7 if form == "f32" else 0 if rate == 16000 else 1
    np.testing.assert_allclose(np.frombuffer(found, audio.dtype).reshape(whole.shape), whole, atol=step)


def test_a_sample_that_is_cut_in_the_middle_is_left_out_aloud(small, capfd):
    pcm16 = to_integers(noise(500)[:, 0], 16)[0]
    found, outcome = piped(small, Pcm(), [pcm16.tobytes() + b"x"])
    assert found == small.denoise(pcm16).tobytes()
    assert outcome.code == 0
    assert "the last 1 bytes are no whole sample" in capfd.readouterr().err


def test_no_input_gives_no_output(small):
    assert piped(small, Pcm(), []) == (b"", Outcome())


def test_nan_is_refused_and_loud_samples_are_counted(small):
    for value, match in ((np.nan, "NaN"), (-32768, "samples reach 32768; full scale is 1")):
        with pytest.raises(UserError, match=match):
            piped(small, Pcm(form="f32"), [np.array([0, value], "<f4").tobytes()])
    loud = np.sign(noise(3000)[:, 0]).astype("<f4")
    whole = to_integers(small.denoise(loud.astype(float)), 16)
    found, outcome = piped(small, Pcm(), [to_integers(loud, 16)[0].tobytes()])
    assert outcome.limited == to_integers(small.denoise(to_integers(loud, 16)[0] / 32768), 16)[1] > 0
    assert len(found) == whole[0].nbytes


class Running:
    """The command in a process, with unbuffered pipes, after its first samples."""

    def __init__(self, *options: str, stdin: int | BinaryIO = subprocess.PIPE) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([*COMMAND, *options], stdin=stdin, stdout=pipe, stderr=pipe, bufsize=0)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        for end in (self.process.stdin, self.process.stdout, self.process.stderr):
            if end:
                end.close()

    def read(self, size: int, seconds: float) -> bytes:
        """Read up to `size` bytes for at most `seconds`."""
        found, end = b"", time.monotonic() + seconds
        while len(found) < size:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            data = self.process.stdout.read(size - len(found)) if ready else b""
            if not data:
                break
            found += data
        return found


def test_output_follows_input_by_the_latency_and_ctrl_c_ends_it_whole():
    pcm16 = to_integers(noise(LATENCY * 12 + 5)[:, 0], 16)[0]
    whole = Model(netx.read(S5)).denoise(pcm16).tobytes()
    with Running() as running:
        feed = running.process.stdin
        feed.write(pcm16[:LATENCY].tobytes())
        first = running.read(2 * 16, 60)
        assert first == whole[: 2 * 16], "the first hop comes with the first whole frame"
        assert running.read(1, 0.3) == b"", "nothing can come before its frame is whole"
        feed.write(pcm16[LATENCY:].tobytes())
        ready = 2 * (len(pcm16) // 16 * 16 - LATENCY + 16)
        rest = running.read(ready - len(first), 60)
        assert first + rest == whole[:ready]
        running.process.send_signal(signal.SIGINT)
        assert first + rest + running.read(1 << 20, 60) == whole
        assert running.process.wait(60) == 130
        assert running.process.stderr.read() == b""


def test_ctrl_c_while_a_block_is_computed_gives_every_sample_that_was_read(tmp_path):
    pcm16 = to_integers(noise(20 * READ_BYTES // 2)[:, 0], 16)[0]
    (tmp_path / "in.raw").write_bytes(pcm16.tobytes())
    rate = 1000  # sixteen times as many samples for the network, so that a block takes long
    with open(tmp_path / "in.raw", "rb") as source, Running("--rate", str(rate), stdin=source) as running:
        found = running.read(1000, 60)
        time.sleep(0.05)
        running.process.send_signal(signal.SIGINT)
        found += running.read(pcm16.nbytes, 60)
        assert running.process.wait(60) == 130
        assert running.process.stderr.read() == b""
    assert 1000 < len(found) < pcm16.nbytes
    assert len(found) % READ_BYTES == 0
    whole = Model(netx.read(S5)).denoise(pcm16[: len(found) // 2], rate)
    np.testing.assert_allclose(np.frombuffer(found, "<i2"), whole, atol=1)


def test_a_reader_that_goes_away_ends_the_stream_quietly():
    with Running() as running:
        running.process.stdin.write(bytes(2 * LATENCY))
        assert len(running.read(2, 60)) == 2
        running.process.stdout.close()
        with pytest.raises(BrokenPipeError):  # noqa: PT012 (which write meets the closed pipe depends on timing)
            for _ in range(200):
                running.process.stdin.write(bytes(2 * LATENCY))
                time.sleep(0.05)
        assert running.process.wait(60) == BROKEN_PIPE
        assert running.process.stderr.read() == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_full_is_told_of_standard_output():
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(COMMAND, input=bytes(4000), stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"ndns: standard output: no space left")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--format", "s8"], "--format: 's8' is not one of s16, s32, f32"),
        (["in.wav", "out.wav"], "--stream reads standard input"),
        (["--rate", "999999999999"], "less than or equal to 1000000"),
        (["--rate", "3"], "greater than or equal to 1000"),
    ],
)
def test_wrong_options_end_with_a_sentence(options, sentence):
    result = subprocess.run([*COMMAND, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert sentence in result.stderr


@pytest.mark.parametrize(("closed", "what"), [("<&-", "input"), (">&-", "output")])
def test_a_closed_end_is_refused(closed, what):
    result = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *COMMAND], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert f"standard {what} is closed" in result.stderr


def test_a_terminal_is_refused():
    leader, follower = os.openpty()
    try:
        result = subprocess.run(COMMAND, stdin=follower, capture_output=True, text=True)
    finally:
        os.close(leader)
        os.close(follower)
    assert result.returncode == 2
    assert "standard input is a terminal" in result.stderr
