"""A network that is ready to denoise arrays and streams."""

import sys
import warnings

import numpy as np

from ndns.audio.io import LEAST_RATE, MOST_RATE, RATE, check_scale
from ndns.errors import UserError
from ndns.loihi2.denoiser import framing
from ndns.loihi2.program import Program
from ndns.use import registry
from ndns.use.lane import Lane

BLOCK_SECONDS = 2.0
MOST_CHANNELS = 64
"""More, and more than samples, are samples."""
INTEGERS = {np.dtype(np.int16): 16, np.dtype(np.int32): 32}


def load(model: str | None = None) -> "Model":
    """Return a network that is ready to denoise.

    Args:
        model: a reference model's name, a run's name or its beginning (`sdnn`, `smoke/sdnn-seed1`), or a file: program
            `.net`, checkpoint `.safetensors` (turned into integers now), slayer state dict `.pt`. None takes the first
            reference model, or the only run there is.

    Raises:
        UserError: nothing or more than one fits, the file is damaged, or its hash is not the registry's.

    >>> import ndns, numpy as np
    >>> model = ndns.load("s5-sparse")
    >>> noisy = np.random.default_rng(0).standard_normal((44100, 2)) * 0.1     # a second, stereo
    >>> model.denoise(noisy, 44100).shape
    (44100, 2)
    """
    source = registry.find(str(model) if model is not None else None)
    return Model(read_program(source), source.name)


def read_program(source: registry.Source) -> Program:
    """Return the integer program of a file; what its reader warns of goes to standard error as plain sentences.

    Raises:
        UserError: as `load`.
    """
    from ndns.quantize.imported import import_network

    path = source.verified()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        program = import_network(path)
    for warning in caught:
        print(f"ndns: {warning.message}", file=sys.stderr)
    return program


class Model:
    """A network with the front end that it was trained for.

    Args:
        program: the network.
        name: what to call it.

    Raises:
        UserError: the network is none for audio.
    """

    def __init__(self, program: Program, name: str = "network") -> None:
        framing(program)
        self.program, self.name = program, name

    @property
    def latency_seconds(self) -> float:
        """How long a sample waits at most for the samples that its result depends on, s.

        A frame and the frames for which the mask is awaited; time to compute and, at other rates than 16 kHz, the
        resampling filters come on top.
        """
        frames = self.program.front_end.frames()
        return (frames.n_fft + self.program.mask_delay * frames.hop) / RATE

    def denoise(self, audio: np.ndarray, rate: int = RATE) -> np.ndarray:
        """Denoise a whole recording, each channel by itself.

        Args:
            audio: `(samples,)` or `(samples, channels)`; floats in [-1, 1), or int16 or int32 over their whole range.
            rate: of `audio`, Hz.

        Returns:
            the same shape and type, aligned with `audio`. Integers are limited to their range; floats may leave
            [-1, 1). Networks hear 16 kHz: nothing above 8 kHz is kept.

        Raises:
            UserError: another type or shape, channels first, NaN, floats scaled like integers, or a rate below
                `LEAST_RATE` or above `MOST_RATE`.

        >>> import ndns, numpy as np
        >>> pcm = np.zeros(16000, np.int16)
        >>> ndns.load("s5-sparse").denoise(pcm).dtype
        dtype('int16')
        """
        audio = np.asarray(audio)
        bits = INTEGERS.get(audio.dtype)
        if audio.dtype.kind != "f" and bits is None:
            raise UserError(f"audio of type {audio.dtype}: give floats in [-1, 1), int16 or int32.")
        if audio.ndim not in (1, 2):
            raise UserError(f"audio of shape {audio.shape}: give (samples,) or (samples, channels).")
        if audio.ndim == 2 and audio.shape[1] > max(MOST_CHANNELS, len(audio)):
            raise UserError(f"audio of shape {audio.shape}: channels come last, (samples, channels); give audio.T.")
        stream = self.stream(rate, None if audio.ndim == 1 else audio.shape[1])
        out = np.empty_like(audio)
        size, done = int(BLOCK_SECONDS * rate), 0
        for start in range(0, len(audio) + size, size):
            block = audio[start : start + size]
            part = stream.push(to_floats(block)) if len(block) else stream.finish()
            out[done : done + len(part)] = part if bits is None else to_integers(part, bits)[0]
            done += len(part)
        return out

    def stream(self, rate: int = RATE, channels: int | None = None) -> "Stream":
        """Return a stream: samples in as they come, denoised samples out as soon as they are known.

        Args:
            rate: Hz.
            channels: none for samples `(n,)`, a number for `(n, channels)`.

        Raises:
            UserError: a rate below `LEAST_RATE` or above `MOST_RATE`, or a number of channels below 1.

        >>> import ndns, numpy as np
        >>> model = ndns.load("s5-sparse")
        >>> stream = model.stream()
        >>> sound = np.random.default_rng(0).standard_normal(1000) * 0.1
        >>> parts = [stream.push(sound[:300]), stream.push(sound[300:]), stream.finish()]
        >>> bool((np.concatenate(parts) == model.denoise(sound)).all())
        True
        """
        return Stream(self, rate, channels)


class Stream:
    """A running network; `Model.stream` makes one.

    What `push` and `finish` return, put together, is the denoised signal: as long as what was pushed, and aligned with
    it. A sample is returned as soon as the frames are complete that it depends on: `Model.latency_seconds` after it
    at most at 16 kHz; at other rates the resampling filters add some 60 to 190 ms (docs/use.md).
    """

    def __init__(self, model: Model, rate: int = RATE, channels: int | None = None) -> None:
        """Start from silence; arguments as `Model.stream`."""
        if isinstance(rate, str) or rate != int(rate) or not LEAST_RATE <= rate <= MOST_RATE:
            raise UserError(f"rate {rate!r}: give whole Hz, {LEAST_RATE} to {MOST_RATE}.")
        if channels is not None and channels < 1:
            raise UserError(f"{channels} channels: give at least 1, or none for samples (n,).")
        self.rate, self.channels = int(rate), channels
        self._lanes = [Lane(model.program, self.rate) for _ in range(channels or 1)]
        self._taken = self._given = 0
        self._finished = False

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take any number of samples, return float64 samples that are ready, perhaps none.

        Args:
            samples: floats `(n,)`, or `(n, channels)` for a stream with channels.

        Raises:
            UserError: another shape, integers, floats scaled like integers, or NaN.
            ValueError: the stream is finished.
        """
        if self._finished:
            raise ValueError("the stream is finished; start another")
        samples = np.asarray(samples)
        shape = (len(samples),) if self.channels is None else (len(samples), self.channels)
        if samples.shape != shape or samples.dtype.kind != "f":
            raise UserError(f"{samples.dtype} samples of shape {samples.shape}: give floats of shape {shape}.")
        if not np.isfinite(samples).all():
            raise UserError("the audio contains NaN or infinity; mend it first.")
        check_scale("the audio", samples)
        self._taken += len(samples)
        return self._run(samples.astype(np.float64), last=False)

    def finish(self) -> np.ndarray:
        """End the stream: return the samples that were still awaited."""
        if self._finished:
            raise ValueError("the stream is finished; start another")
        self._finished = True
        rest = self._run(np.zeros((0,) if self.channels is None else (0, self.channels)), last=True)
        if self._given != self._taken:
            raise RuntimeError(f"gave {self._given} of {self._taken} samples at {self.rate} Hz")
        return rest

    def _run(self, samples: np.ndarray, last: bool) -> np.ndarray:
        columns = samples if self.channels else samples[:, None]
        ready = [lane.push(np.ascontiguousarray(columns[:, k]), last) for k, lane in enumerate(self._lanes)]
        out = np.stack(ready, axis=1)[: self._taken - self._given]
        self._given += len(out)
        return out if self.channels else out[:, 0]


def to_floats(samples: np.ndarray) -> np.ndarray:
    """Return floats as they are and integers of b bits divided by `2^(b - 1)`."""
    bits = INTEGERS.get(samples.dtype)
    return samples if bits is None else samples / float(1 << (bits - 1))


def to_integers(samples: np.ndarray, bits: int) -> tuple[np.ndarray, int]:
    """Round floats in [-1, 1) to integers of `bits` bits (ties to even), limited to their range.

    Returns:
        int16 for up to 16 bits, else int32; and how many samples were limited.

    >>> to_integers(np.array([0.5, -1.0, 1.2]), 8)
    (array([  64, -128,  127], dtype=int16), 1)
    """
    top = float(1 << (bits - 1))
    scaled = np.rint(np.asarray(samples, np.float64) * top)
    limited = int(np.count_nonzero((scaled > top - 1) | (scaled < -top)))
    return np.clip(scaled, -top, top - 1).astype(np.int16 if bits <= 16 else np.int32), limited
