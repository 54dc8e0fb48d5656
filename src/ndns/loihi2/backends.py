"""Where an integer program can run: our engine, live lava on the CPU, a Loihi 2 board. All take and give integers."""

import importlib.util
import os
from collections.abc import Callable

import numpy as np

from ndns.errors import UserError
from ndns.loihi2 import engine
from ndns.loihi2.nodes.base import LAVA, MODES, Mode
from ndns.loihi2.program import Program

Runner = Callable[[Program, np.ndarray], np.ndarray]
"""Turns int32 `(bin, step)` into int32 `(bin, step)`, from the initial state."""

BACKENDS = ("engine", "lava", "loihi2")


def mode_named(name: str) -> Mode:
    """Return the numeric mode `name`.

    Raises:
        UserError: there is no such mode.
    """
    if name not in MODES:
        raise UserError(f"--mode: {name!r} is not one of {', '.join(MODES)}.")
    return MODES[name]


def runner(backend: str, mode: Mode = LAVA) -> Runner:
    """Return the function that runs a program on a backend.

    Raises:
        UserError: unknown backend, a mode that it cannot compute, or no board.
    """
    if backend not in BACKENDS:
        raise UserError(f"--backend: {backend!r} is not one of {', '.join(BACKENDS)}.")
    if backend == "engine":
        return lambda program, x: engine.run(program, x, mode)
    if mode != LAVA:
        raise UserError(f"--mode {mode.name}: only the engine computes this; lava's own arithmetic is {LAVA.name}.")
    if backend == "lava":
        from ndns.loihi2 import lava_bridge

        return lava_bridge.run
    require_board()
    from ndns.loihi2 import lava_board

    return lava_board.run


def require_board() -> None:
    """Check for what a run on Loihi 2 needs beyond public packages.

    Raises:
        UserError: names what is missing.
    """
    needs = {
        "Intel's lava-loihi compiler (module lava.utils.loihi2_profiler; from the INRC, not public)": _compiler_found(),
        "a board (set LOIHI_GEN to its generation, e.g. N3B3, and BOARD or PARTITION as the INRC's guide says)": bool(
            os.environ.get("LOIHI_GEN")
        ),
    }
    missing = [what for what, found in needs.items() if not found]
    if missing:
        raise UserError(
            f"--backend loihi2: this machine lacks {' and '.join(missing)}; --backend engine gives lava's integers."
        )


def _compiler_found() -> bool:
    try:
        return importlib.util.find_spec("lava.utils.loihi2_profiler") is not None
    except ModuleNotFoundError:
        return False
