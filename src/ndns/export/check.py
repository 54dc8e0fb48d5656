"""An ONNX file beside the torch network that it came from: both run, and their results are compared."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from ndns.audio.stft import Decoder, Encoder, magnitude


class Runner:
    """An ONNX file of `ndns.export.graphs` in onnxruntime, on one CPU thread.

    Attributes:
        about: the file's metadata.
    """

    def __init__(self, model: str | Path | bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.about = json.loads(self._session.get_modelmeta().custom_metadata_map["ndns"])
        *states, given = self._session.get_inputs()
        types = {"tensor(float)": np.float32, "tensor(double)": np.float64}
        self._zeros = {state.name: np.zeros(state.shape, types[state.type]) for state in states}
        self._given = given.name
        self.reset()

    def reset(self) -> None:
        """Start from silence."""
        self._states = dict(self._zeros)

    def run(self, values: np.ndarray) -> np.ndarray:
        """Run a step or a clip on float32 values; a step's states stay here for the next one."""
        *after, out = self._session.run(None, {**self._states, self._given: np.asarray(values, np.float32)})
        self._states = dict(zip(self._states, after, strict=True))
        return out

    def rows(self, values: np.ndarray) -> np.ndarray:
        """Run a step over the rows `(step, in)`, return `(step, out)`."""
        return np.array([self.run(row) for row in values])


@torch.no_grad()
def masks(model: torch.nn.Module, magnitudes: np.ndarray) -> np.ndarray:
    """Return the masks `(frame, bin)` that `model.step` gives for |STFT| `(frame, bin)`."""
    raw, state = [], None
    for row in torch.from_numpy(np.asarray(magnitudes, np.float32)):
        out, state = model.step(row[None], state)
        raw.append(out[0])
    before = [torch.zeros_like(raw[0]), *raw[:-1]] if getattr(model.settings, "mask_delay", 1) == 0 else raw
    return model.mask(torch.stack(before)).numpy()


def denoised(model: torch.nn.Module, samples: np.ndarray, late: int) -> np.ndarray:
    """Return what a stream gives for whole hops of samples: NumPy's Fourier transform around `model.step`.

    Args:
        model: the network.
        samples: `(n hop,)`.
        late: frames by which a mask is late.
    """
    frames = model.front_end.frames()
    spectra = Encoder(frames).push(samples)
    mask = masks(model, magnitude(spectra).T).T
    held = np.concatenate([np.zeros((frames.bins, late)), spectra], axis=1)[:, : spectra.shape[1]]
    return Decoder(frames).push(held * mask)


def difference(model: torch.nn.Module, proto: bytes, whole: bool, clip: bool, steps: int = 100) -> float:
    """Return the largest difference between an ONNX file and torch on noise, over the largest value of torch.

    NaN if either gives NaN; over 1 where torch gives silence.

    The noise swells and fades, and ends in as much silence as the stream lags, which a clip is padded with.

    Args:
        model: what was exported.
        proto: the ONNX file's bytes.
        whole: samples in and out; else the network by itself.
        clip: the file takes a clip; else a step.
        steps: frames to run.
    """
    frames = model.front_end.frames()
    runner, generator = Runner(proto), np.random.default_rng(1)
    swell = np.repeat(np.sin(np.arange(steps) / 20) ** 2, frames.hop)
    samples = (generator.standard_normal(steps * frames.hop) * 0.1 * swell).astype(np.float32)
    lag = frames.overlap + runner.about["delay_frames"] * frames.hop
    samples[-lag:] = 0
    if whole:
        expected, given = denoised(model, samples, runner.about["delay_frames"]), samples.reshape(steps, -1)
        if clip:
            expected, given = expected[lag:], samples[:-lag]
    else:
        given = magnitude(Encoder(frames).push(samples)).T.astype(np.float32)
        expected = masks(model, given)
    found = (runner.run(given) if clip else runner.rows(given)).reshape(expected.shape)
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))
