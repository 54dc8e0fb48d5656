"""GTCRN as a stream: the released ONNX graph takes one frame and its caches (Rong et al., ICASSP 2024)."""

import math

import numpy as np

from ndns.audio.io import RATE
from ndns.audio.stft import Frames, decode, encode
from ndns.config import Peer as Settings
from ndns.errors import UserError
from ndns.peer.base import Clip, Facts, checked_weights, milliseconds

FRAMES = Frames(512, 256, "sqrt_hann")
INPUTS = ("mix", "conv_cache", "tra_cache", "inter_cache")


class Gtcrn:
    """One spectrum `(1, 257, 1, 2)` in, one out, every 16 ms."""

    def __init__(self, settings: Settings) -> None:
        import onnxruntime

        path = checked_weights(settings.weights, settings.sha256, "gtcrn")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of its own for each cause, none of them public
            raise UserError(f"{path}: onnxruntime cannot read it ({' '.join(str(error).split())}).") from error
        shapes = {node.name: node.shape for node in self._session.get_inputs()}
        if tuple(shapes) != INPUTS or shapes["mix"] != [1, FRAMES.bins, 1, 2]:
            raise UserError(f"{path}: takes {shapes}, not the frame and caches of streaming GTCRN.")
        self._caches = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if name != "mix"}
        macs, parameters = dense_counts(path)
        step_s = FRAMES.hop / RATE
        self.facts = Facts(
            buffer_ms=milliseconds(FRAMES.n_fft),
            removed_samples=FRAMES.overlap,
            parameters=parameters,
            size_kb=path.stat().st_size / 1024,
            macs_s=macs / step_s,
            step_s=step_s,
            note="parameters and multiply-accumulates counted in the ONNX graph, constants folded",
        )

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Run frame by frame."""
        spectra = encode(clip.noisy, FRAMES)
        frames = np.stack([spectra.real, spectra.imag], axis=-1).astype(np.float32)
        out, caches = np.empty_like(spectra), dict(self._caches)
        for index in range(frames.shape[1]):
            fed = {"mix": frames[None, :, index : index + 1], **caches}
            enhanced, *states = self._session.run(None, fed)
            out[:, index] = enhanced[0, :, 0, 0] + 1j * enhanced[0, :, 0, 1]
            caches = dict(zip(INPUTS[1:], states, strict=True))
        return decode(out, len(clip.noisy), FRAMES), {}


def dense_counts(path) -> tuple[int, int]:
    """Return multiply-accumulates of one run of an ONNX graph and its float parameters (constants of rank 1 or more).

    Counted are Conv, ConvTranspose, MatMul, Gemm, GRU and LSTM by their dense formulas; shapes must be static.
    """
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    constants = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    values = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    shapes = {value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in values}
    shapes.update(constants)
    macs = sum(_macs(node, shapes) for node in model.graph.node)
    return macs, sum(math.prod(tensor.dims) for tensor in floats if len(tensor.dims))


def _macs(node, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm", "GRU", "LSTM"):
        return 0
    first, second = (shapes[name] for name in node.input[:2])
    out = shapes.get(node.output[0], ())
    if node.op_type == "Conv":
        return math.prod(out) * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])
    if node.op_type in ("GRU", "LSTM"):
        recurrent = shapes[node.input[2]]
        return first[0] * first[1] * (math.prod(second) + math.prod(recurrent))
    return math.prod(out) * first[-1]
