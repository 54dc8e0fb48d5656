"""DNSMOS: predicted mean opinion scores of speech without a reference (P.835 arXiv 2110.01763, P.808 2010.15258).

The networks are the published ones, run by onnxruntime on one thread. A clip is judged in windows of 9.01 s, one a
second, and the windows' scores are averaged. Neighbouring windows share eight seconds, so the costly layers (four
convolutions over 10 ms frames up to the first pooling, 99 % of the work) run once a second of audio instead of nine
times. Only the two pooled frames at either end of a window, where those layers see the zero padding, are computed for
each window.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ndns.errors import UserError

RATE = 16_000
WINDOW_SECONDS = 9.01
WINDOW = int(WINDOW_SECONDS * RATE)

MODELS = {
    "sig_bak_ovr.onnx": "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    "model_v8.onnx": "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
}
"""SHA-256 of the model files in the package `speechmos` 0.0.1.1 (P.835 and P.808)."""

SIG_FIT = (-0.08397278, 1.22083953, 0.0052439)
BAK_FIT = (-0.13166888, 1.60915514, -0.39604546)
OVRL_FIT = (-0.06766283, 1.11546468, 0.04602535)
"""Polynomials, highest power first, from the P.835 network's output to the opinion scale."""

FRAME, HOP = 320, 160
FRAMES = 900
BLOCK = RATE // HOP
HALO = 4  # one frame for each convolution before the first pooling
FRAMES_TENSOR = "mos_estimator_logpow/concat:0"
POOLED_TENSOR = "mos_estimator_logpow/conv2d_3/Relu:0_pooling0"
OUTPUT_TENSOR = "Identity:0"


class Dnsmos(NamedTuple):
    """Predicted opinion scores, about 1 to 5: overall, speech, background (P.835) and overall (P.808)."""

    ovrl: float
    sig: float
    bak: float
    p808: float


def dnsmos(samples: np.ndarray, every_window: bool = False) -> Dnsmos:
    """Return the DNSMOS scores of a clip, as the challenge's and Microsoft's scripts compute them.

    What it says about special input: silence is judged like any sound (it gets a number, which means little); a clip
    shorter than 9.01 s is doubled until it is long enough; clipping and level are part of what the networks judge;
    a delay hardly matters.

    Args:
        samples: `(samples,)` at 16 kHz, within [-1, 1].
        every_window: judge every whole window. The reference skips those whose end is rounded down to one sample too
            few: windows 7 to 23, hence 14 of the 21 windows of a 30 s clip (microsoft/DNS-Challenge issue 130).

    Raises:
        ValueError: not one-dimensional, empty, not a number somewhere, or outside [-1, 1].
        UserError: the model files are missing or not the published ones.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"expected samples of one channel, got shape {samples.shape}")
    if not (np.abs(samples) <= 1).all():
        raise ValueError("samples are outside [-1, 1] or not a number")
    while len(samples) < WINDOW:
        samples = np.append(samples, samples)
    windows = window_starts(len(samples), every_window)
    raw = np.array([_judge(features) for features in _window_features(samples, windows)], dtype=np.float64)
    p808 = [_p808(samples[start * RATE : start * RATE + WINDOW]) for start in windows]
    sig, bak, ovrl = (np.polyval(fit, raw[:, i]).mean() for i, fit in enumerate((SIG_FIT, BAK_FIT, OVRL_FIT)))
    return Dnsmos(float(ovrl), float(sig), float(bak), float(np.mean(p808)))


def window_starts(samples: int, every_window: bool = False) -> list[int]:
    """Return the starts, in seconds, of the windows judged in a clip of at least 9.01 s.

    >>> window_starts(30 * RATE), len(window_starts(30 * RATE, every_window=True))
    ([0, 1, 2, 3, 4, 5, 6], 21)
    """
    starts = range(int(samples // RATE - WINDOW_SECONDS) + 1)
    if every_window:
        return list(starts)
    return [start for start in starts if int((start + WINDOW_SECONDS) * RATE) - start * RATE == WINDOW]


def _window_features(samples: np.ndarray, windows: list[int]) -> Iterator[np.ndarray]:
    """Yield, a window, the P.835 network's features `(1, 32, 450, 80)` after its first pooling."""
    padded = np.pad(samples, (HALO * HOP, HALO * HOP + FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    blocks: dict[int, np.ndarray] = {}
    for start in windows:
        seconds = range(start, start + FRAMES // BLOCK)
        blocks = {second: blocks[second] if second in blocks else _block(frames, second) for second in seconds}
        features = np.concatenate([blocks[second] for second in seconds], axis=2)
        first = HALO + start * BLOCK
        ends = np.stack([frames[first : first + 2 * HALO], frames[first + FRAMES - 2 * HALO : first + FRAMES]])
        head, tail = _run("trunk", ends)
        features[0, :, : HALO // 2] = head[:, : HALO // 2]
        features[0, :, -HALO // 2 :] = tail[:, -HALO // 2 :]
        yield features


def _block(frames: np.ndarray, second: int) -> np.ndarray:
    """Return the features `(1, 32, 50, 80)` of one second, as if the signal went on before and after it."""
    pooled = _run("trunk", frames[None, second * BLOCK : (second + 1) * BLOCK + 2 * HALO])
    return pooled[:, :, HALO // 2 : -HALO // 2]


def _judge(features: np.ndarray) -> np.ndarray:
    """Return the P.835 network's output `(3,)`: speech, background, overall."""
    return _run("head", features)[0]


def _p808(window: np.ndarray) -> float:
    """Return the P.808 score of one window `(WINDOW,)`; its features drop the last 160 samples."""
    return float(_run("p808", log_mel(window[:-HOP])[None])[0, 0])


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return the P.808 network's features `(frame, 120)`: mel spectrogram in dB below its maximum, (dB + 40) / 40.

    As `librosa.feature.melspectrogram(n_fft=321, hop_length=160, n_mels=120)` and `power_to_db(ref=max)`.
    """
    from scipy.fft import rfft

    window, bank = _mel_tables()
    padded = np.pad(samples, FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME + 1)[::HOP]
    spectra = rfft(frames * window, axis=1)
    power = (spectra.real**2 + spectra.imag**2) @ bank
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    decibels -= decibels.max()
    return (np.maximum(decibels, -80) + 40) / 40


@cache
def _mel_tables() -> tuple[np.ndarray, np.ndarray]:
    """Return the periodic Hann window `(321,)` and the mel filters `(161, 120)`, float32.

    Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above, triangles of equal area.
    """
    size, bands = FRAME + 1, 120
    linear, step = 1000 / (200 / 3), np.log(6.4) / 27
    mels = np.linspace(0, linear + np.log(RATE / 2 / 1000) / step, bands + 2)
    edges = np.where(mels < linear, mels * 200 / 3, 1000 * np.exp(step * (mels - linear)))
    bins = np.fft.rfftfreq(size, 1 / RATE)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    bank = np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return window.astype(np.float32), bank.astype(np.float32)


def _run(part: str, values: np.ndarray) -> np.ndarray:
    session = _sessions()[part]
    return session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(values, dtype=np.float32)})[0]


@cache
def _sessions() -> dict[str, Any]:
    """Load the networks once a process; P.835 in two parts, cut after its first pooling."""
    p835, p808 = (model_file(name).read_bytes() for name in MODELS)
    trunk = _part(p835, (FRAMES_TENSOR, ("window", "frame", FRAME)), (POOLED_TENSOR, ("window", 32, "pooled", 80)))
    head = _part(p835, (POOLED_TENSOR, ("window", 32, FRAMES // 2, 80)), (OUTPUT_TENSOR, ("window", 3)))
    return {"trunk": _session(trunk), "head": _session(head), "p808": _session(p808)}


def model_file(name: str) -> Path:
    """Return the path of a model file of the package `speechmos` after checking its hash.

    Raises:
        UserError: the package is not installed, or the file is not the published one.
    """
    package = importlib.util.find_spec("speechmos")
    if package is None or not package.submodule_search_locations:
        raise UserError(
            "speechmos: the package with the DNSMOS models is not installed; pip install speechmos==0.0.1.1"
        )
    path = Path(package.submodule_search_locations[0]) / "dnsmos_models" / name
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != MODELS[name]:
        raise UserError(f"{path}: not the published DNSMOS model; reinstall speechmos==0.0.1.1.")
    return path


def _part(model: bytes, source: tuple[str, tuple], target: tuple[str, tuple]) -> bytes:
    """Return the part of an ONNX model between two tensors, given as name and shape, as a model of its own."""
    import onnx

    whole = onnx.load_model_from_string(model)
    needed, nodes = {target[0]}, []
    for node in reversed(whole.graph.node):
        if needed & set(node.output):
            nodes.insert(0, node)
            needed |= set(node.input) - {source[0]}
    weights = [weight for weight in whole.graph.initializer if weight.name in needed]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (source, target)]
    graph = onnx.helper.make_graph(nodes, "part", ends[:1], ends[1:], weights)
    opsets = whole.opset_import
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=whole.ir_version).SerializeToString()


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
