"""Raw PCM from one file descriptor to another, in real time: `ndns denoise --stream`."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ndns.errors import UserError
from ndns.use.model import Model, to_floats, to_integers

FORMATS = {"s16": "<i2", "s32": "<i4", "f32": "<f4"}
"""Sample formats of raw PCM, little endian; integers span [-1, 1)."""
READ_BYTES = 1 << 16
INTERRUPTED, BROKEN_PIPE = 130, 141
"""Exit codes of a program that Ctrl-C ended or that nobody reads from any more, as shells have them."""


@dataclass(frozen=True)
class Pcm:
    """Raw PCM: sampling rate in Hz, interleaved channels, and a key of `FORMATS`."""

    rate: int = 16_000
    channels: int = 1
    form: str = "s16"

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample in all channels."""
        return self.channels * np.dtype(FORMATS[self.form]).itemsize


@dataclass
class Outcome:
    """How a stream ended: exit code, and how many samples were limited to full scale."""

    code: int = 0
    limited: int = 0


def run(model: Model, pcm: Pcm, source: int, target: int) -> Outcome:
    """Denoise until the input ends, somebody presses Ctrl-C, or nobody reads the output any more.

    Reads may bring any number of bytes. What is known is written at once; at the end of the input, and at Ctrl-C, the
    samples still on their way are written too, so that as many bytes leave as came. A second Ctrl-C ends it at once.
    Runs in the main thread, which alone hears of Ctrl-C.

    Args:
        model: the network.
        pcm: format of both ends.
        source, target: open file descriptors.

    Raises:
        UserError: NaN or floats scaled like integers in the input.
    """
    stream = model.stream(pcm.rate, pcm.channels)
    model.stream(pcm.rate, pcm.channels).push(np.zeros((pcm.rate // 10 + 1, pcm.channels)))  # compiles and warms up
    outcome, held = Outcome(), b""
    try:
        with _ctrl_c() as pressed:
            while True:
                if pressed in select.select([source, pressed], [], [])[0]:
                    outcome.code, held = INTERRUPTED, b""
                    break
                if not (data := os.read(source, READ_BYTES)):
                    break
                held += data
                whole = len(held) // pcm.frame_bytes * pcm.frame_bytes
                samples, held = _decode(held[:whole], pcm), held[whole:]
                _write(target, stream.push(samples), pcm, outcome)
            _write(target, stream.finish(), pcm, outcome)
    except BrokenPipeError:
        outcome.code = BROKEN_PIPE
    if held and not outcome.code:
        print(f"ndns: the last {len(held)} bytes are no whole sample and were left out.", file=sys.stderr)
    return outcome


@contextmanager
def _ctrl_c() -> Iterator[int]:
    """Yield a descriptor that can be read from after Ctrl-C, which interrupts nothing; a second one does."""
    pressed, press = os.pipe()
    os.set_blocking(press, False)
    before, waker = signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(press)
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: signal.signal(signal.SIGINT, before))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(waker)
        os.close(pressed)
        os.close(press)


def refuse_terminals(source: int, target: int) -> None:
    """Raise a UserError where raw samples would come from a keyboard or go to a screen."""
    for descriptor, what, example in ((source, "input", "arecord ... |"), (target, "output", "| aplay ...")):
        if os.isatty(descriptor):
            raise UserError(f"--stream: standard {what} is a terminal, not raw PCM; put `{example}` there or a file.")


def _decode(data: bytes, pcm: Pcm) -> np.ndarray:
    samples = np.frombuffer(data, FORMATS[pcm.form]).reshape(-1, pcm.channels)
    return to_floats(samples.astype(samples.dtype.newbyteorder("=")))


def _write(target: int, samples: np.ndarray, pcm: Pcm, outcome: Outcome) -> None:
    if pcm.form == "f32":
        encoded = samples
    else:
        encoded, limited = to_integers(samples, 8 * np.dtype(FORMATS[pcm.form]).itemsize)
        outcome.limited += limited
    rest = memoryview(np.ascontiguousarray(encoded, FORMATS[pcm.form]).tobytes())
    try:
        while rest:
            rest = rest[os.write(target, rest) :]
    except OSError as error:
        error.filename = "standard output"
        raise
