"""Networks trained elsewhere: netx files, slayer's state dicts and checkpoints of ours."""

import dataclasses
import re
from pathlib import Path

import numpy as np

from ndns.config import FrontEnd
from ndns.errors import UserError
from ndns.files import check_sha256
from ndns.loihi2 import netx
from ndns.loihi2.program import Program
from ndns.quantize import sdnn
from ndns.quantize.checkpoint import quantize_checkpoint


def import_network(path: Path, sha256: str | None = None, mask_delay: int | None = None) -> Program:
    """Return the program in a released `network.net` or `network.pt`, or of a checkpoint.

    Args:
        path: netx HDF5, a slayer state dict (read without unpickling objects), or `checkpoint.safetensors`.
        sha256: expected hash of the file.
        mask_delay: frames by which |X| waits for its mask; none keeps the file's, or 1.

    Raises:
        UserError: the hash differs, the suffix is unknown, the content is not such a network, or a checkpoint is given
            another mask delay than its own.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    if sha256 is not None:
        check_sha256(path, sha256)
    if path.suffix == ".safetensors":
        if mask_delay is not None:
            raise UserError(f"{path}: a checkpoint brings its mask delay; leave --mask-delay out.")
        return quantize_checkpoint(path)
    if path.suffix == ".net":
        program = netx.read(path)
    elif path.suffix in (".pt", ".pth"):
        program = _from_slayer(path)
    else:
        raise UserError(f"{path}: expected netx (.net), a slayer state dict (.pt) or a checkpoint (.safetensors).")
    return program if mask_delay is None else dataclasses.replace(program, mask_delay=mask_delay)


def _from_slayer(path: Path) -> Program:
    """Read the challenge's baseline: input, dense blocks with delays, output."""
    tensors = _tensors(path)
    blocks = sorted({int(match[1]) for key in tensors if (match := re.match(r"blocks\.(\d+)\.", key))})
    if len(blocks) < 3 or blocks != list(range(len(blocks))):
        raise UserError(f"{path}: expected the tensors blocks.0 ... blocks.N of a slayer network, found {blocks}.")
    known = re.compile(r"blocks\.\d+\.(neuron\.bias|neuron\.delta\.threshold|delay\.delay|synapse\.weight)")
    unknown = sorted(key for key in tensors if not known.fullmatch(key))
    if unknown:
        raise UserError(f"{path}: the tensor {unknown[0]!r} is not supported; only plain sigma-delta blocks are.")
    biased = [key for key, value in tensors.items() if key.endswith("neuron.bias") and value.any()]
    if biased:
        raise UserError(f"{path}: {biased[0]!r} is not zero; neurons with a bias are not supported.")
    senders = [f"blocks.{index}.neuron.delta.threshold" for index in blocks[:-1]]
    try:
        weights = [tensors[f"blocks.{index}.synapse.weight"] for index in blocks[1:]]
        thresholds = [tensors[name] for name in senders]
    except KeyError as error:
        raise UserError(f"{path}: the tensor {error} is missing.") from None
    for name, threshold in zip(senders, thresholds, strict=True):
        if threshold.size != 1:
            raise UserError(f"{path}: {name!r} holds {threshold.size} values; a layer has one threshold.")
    delays = [tensors.get(f"blocks.{index}.delay.delay") for index in blocks[1:]]
    delays = [None if delay is None or not delay.any() else delay for delay in delays]
    weights = [
        weight.reshape(weight.shape[:2]) if weight.size == np.prod(weight.shape[:2]) else weight for weight in weights
    ]
    try:
        return sdnn.build(weights, delays, [value.item() for value in thresholds], FrontEnd(), 0.2, 1)
    except (UserError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None


def _tensors(path: Path) -> dict[str, np.ndarray]:
    import torch

    from ndns.models.slayer import unpacked

    content = unpacked(path)
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise UserError(f"{path}: not a state dict of plain tensors; save network.state_dict() instead.")
    for key, value in content.items():
        if not value.is_floating_point() or value.layout != torch.strided or value.is_meta:
            raise UserError(f"{path}: the tensor {str(key)!r} is not plain floats ({value.dtype}, {value.layout}).")
    return {str(key): value.detach().to(torch.float32).numpy() for key, value in content.items()}
