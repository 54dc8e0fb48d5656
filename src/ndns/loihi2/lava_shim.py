"""Makes lava-nc 0.10.0 and lava-dl 0.6.0 importable on Python 3.11 without torchvision.

Three obstacles: `lava.magma.compiler.var_model` has dataclass defaults that Python 3.11 refuses unless their classes
are hashable; `lava.lib.dl.slayer` imports an object-detection package that needs torchvision and OpenCV; and lava sets
multiprocessing's start method to `fork` on import, which fails in a process that has used multiprocessing before.
"""

import dataclasses
import functools
import importlib
import importlib.util
import multiprocessing
import sys
import types

from ndns.errors import UserError

MESSAGES = "lava.magma.runtime.message_infrastructure.multiprocessing"
DETECTION = "lava.lib.dl.slayer.object_detection"


def apply() -> None:
    """Prepare `import lava`; call it before the first import of lava. A second call changes nothing.

    Raises:
        UserError: lava is not installed.
    """
    if importlib.util.find_spec("lava") is None:
        raise UserError("lava is not installed; run `make setup`, which installs lava-nc 0.10.0 and lava-dl 0.6.0.")
    if "lava.magma.compiler.var_model" not in sys.modules:
        original = dataclasses.dataclass
        dataclasses.dataclass = functools.partial(original, unsafe_hash=True)
        try:
            importlib.import_module("lava.magma.compiler.var_model")
        finally:
            dataclasses.dataclass = original
    if MESSAGES not in sys.modules:
        multiprocessing.set_start_method(None, force=True)
        importlib.import_module(MESSAGES)
    sys.modules.setdefault(DETECTION, types.ModuleType(DETECTION))
