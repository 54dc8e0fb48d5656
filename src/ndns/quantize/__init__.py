"""Stage `quantize`: from float weights to an integer program.

One module a model kind; `CONVERTERS` names them by the `kind` in a checkpoint's settings.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ndns.errors import UserError

if TYPE_CHECKING:
    from ndns.loihi2.program import Program

Converter = Callable[[dict[str, np.ndarray], dict[str, Any]], "Program"]
"""Turns a checkpoint's tensors and settings into a program; raises UserError with a sentence about what is wrong."""

CONVERTERS = {"sdnn": "ndns.quantize.sdnn", "s5": "ndns.quantize.s5"}
"""Modules with a function `convert` (a `Converter`), by model kind."""


def converter(kind: str) -> Converter:
    """Return the converter of a model kind.

    Raises:
        UserError: no converter for this kind.
    """
    if kind not in CONVERTERS:
        raise UserError(f"a network of kind {kind!r} cannot be quantized; known: {', '.join(CONVERTERS)}.")
    return import_module(CONVERTERS[kind]).convert
