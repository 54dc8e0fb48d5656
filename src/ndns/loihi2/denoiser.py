"""From samples to samples through an integer program: encoder, network, mask, decoder.

    x = round_half_even((|X| - offset) * 2**input_exp)        the network's input; |X| over its level where asked for
    Y[t] = relu(v[t] * 2**-output_exp + 1) * X[t - mask_delay]      or a sigmoid of v, see `Program`

The mask multiplies the magnitude; the noisy phase is kept, both of `mask_delay` frames ago, since the network answers
later than the frame came in.
"""

import numpy as np

from ndns.audio.level import Level
from ndns.audio.stft import Decoder, Encoder, Frames, magnitude
from ndns.errors import UserError
from ndns.loihi2.engine import CHUNK, Activity, Recorder, Stream
from ndns.loihi2.nodes.base import LAVA, Mode, State
from ndns.loihi2.program import Program


class Denoiser:
    """Streaming denoiser on the engine.

    `Denoiser(netx.read("program.net")).denoise(noisy)` for a recording; `push` for a stream.

    Attributes:
        program: the network.
        frames: framing of the signal.
        delay_samples: how far `push` lags behind its input.
    """

    def __init__(self, program: Program, mode: Mode = LAVA, record: bool = False) -> None:
        """Start from silence.

        Args:
            program: the network; as many inputs and outputs as its front end has frequency bins.
            mode: numeric mode.
            record: keep count of events for `activity`.

        Raises:
            UserError: the network does not fit its front end.
        """
        self.program, self.mode = program, mode
        self.frames = framing(program)
        self.delay_samples = delay_samples(program)
        self._record = record
        self.reset()

    def reset(self) -> None:
        """Forget everything that was heard."""
        self._encoder, self._decoder = Encoder(self.frames), Decoder(self.frames)
        self._level = Level()
        self._held = np.zeros((self.frames.bins, self.program.mask_delay), np.complex128)
        self._recorder = Recorder(self.program, self.mode) if self._record else None
        self._stream = self._recorder.stream if self._recorder else Stream(self.program, 1, self.mode)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take `(n * hop,)` samples in [-1, 1), return as many; they lag by `delay_samples`.

        Raises:
            ValueError: the number of samples is not a multiple of the hop.
        """
        spectra = self._encoder.push(np.asarray(samples, np.float64))
        x = self.program.encode(magnitude(spectra), self._level)
        out = self._recorder.run(x) if self._recorder else self._stream.run(x.T[None])[0].T
        held = np.concatenate([self._held, spectra], axis=1)
        self._held = held[:, spectra.shape[1] :]
        return self._decoder.push(self.program.mask(out) * held[:, : spectra.shape[1]])

    def denoise(self, samples: np.ndarray) -> np.ndarray:
        """Denoise a whole recording `(samples,)` from silence; the result has its length and is aligned with it."""
        self.reset()
        hop, steps = self.frames.hop, count_steps(self.program, len(samples))
        padded = np.zeros(steps * hop)
        padded[: len(samples)] = samples
        parts = [self.push(padded[at : at + CHUNK * hop]) for at in range(0, len(padded), CHUNK * hop)]
        return np.concatenate(parts)[self.delay_samples : self.delay_samples + len(samples)]

    def activity(self) -> Activity:
        """Return what the network did since the last reset.

        Raises:
            ValueError: the denoiser was made without `record`.
        """
        if self._recorder is None:
            raise ValueError("make the denoiser with record=True")
        return self._recorder.activity()

    def network_state(self) -> State:
        """Return a copy of the network's state."""
        return self._stream.state()


def framing(program: Program) -> Frames:
    """Return the framing of a program's front end.

    Raises:
        UserError: the network's width is not the front end's number of bins.
    """
    frames = program.front_end.frames()
    if (program.shape_in, program.shape_out) != (frames.bins, frames.bins):
        raise UserError(
            f"the program turns {program.shape_in} values into {program.shape_out}, but its front end "
            f"(n_fft {frames.n_fft}) has {frames.bins} bins; it cannot denoise audio."
        )
    return frames


def delay_samples(program: Program) -> int:
    """Return how many samples the stream's output lags: overlap of the frames plus `mask_delay` hops."""
    frames = program.front_end.frames()
    return frames.overlap + program.mask_delay * frames.hop


def count_steps(program: Program, samples: int) -> int:
    """Return the steps that the network runs for a recording of `samples` samples."""
    return framing(program).count(samples) + program.mask_delay


def encode_clip(program: Program, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the spectra complex128 and the network's input int32, both `(bin, step)`, of a whole recording."""
    frames = framing(program)
    padded = np.zeros(count_steps(program, len(samples)) * frames.hop)
    padded[: len(samples)] = samples
    spectra = Encoder(frames).push(padded)
    return spectra, program.encode(magnitude(spectra))


def decode_clip(program: Program, spectra: np.ndarray, out: np.ndarray, samples: int) -> np.ndarray:
    """Return the aligned recording `(samples,)` for the network's output int32 `(bin, step)`; undoes `encode_clip`."""
    held = np.zeros_like(spectra)
    held[:, program.mask_delay :] = spectra[:, : spectra.shape[1] - program.mask_delay]
    lag = delay_samples(program)
    return Decoder(framing(program)).push(program.mask(out) * held)[lag : lag + samples]
