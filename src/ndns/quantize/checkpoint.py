"""Our own checkpoints: safetensors with the network's settings as metadata `ndns`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.program import Program
from ndns.quantize import converter


def quantize_checkpoint(path: Path) -> Program:
    """Return the program of `checkpoint.safetensors`.

    Raises:
        UserError: no such file, not safetensors, in numbers that NumPy lacks (bfloat16), with NaN or infinity, without
            settings, of an unknown kind, or not quantizable.
    """
    from pydantic import ValidationError
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: _tensor(path, file, key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file ({error}).") from None
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise UserError(f"{path}: holds NaN or infinity; train again.")
    try:
        settings = json.loads(metadata["ndns"])
        kind = str(settings["kind"])
    except (KeyError, ValueError, TypeError):
        raise UserError(f"{path}: its metadata lack the network's settings (ndns); train writes them.") from None
    try:
        return converter(kind)(tensors, settings)
    except ValidationError as error:
        raise UserError(
            f"{path}: the metadata ndns are not settings of a network ({error.errors()[0]['msg']})."
        ) from None
    except (UserError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None


def _tensor(path: Path, file: Any, key: str) -> np.ndarray:
    try:
        tensor = file.get_tensor(key)
        problem = "" if tensor.dtype.isbuiltin == 1 else tensor.dtype.name  # another package may have taught NumPy
    except (TypeError, AttributeError) as error:
        problem = str(error)
    if problem:
        raise UserError(f"{path}: the tensor {key!r} cannot be read ({problem}); save it as float32.")
    return tensor
