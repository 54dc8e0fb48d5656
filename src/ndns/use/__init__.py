"""Using a network: find it by name, denoise arrays, files and streams with it.

`load` is also `ndns.load`.
"""

from importlib import import_module

__all__ = ["Model", "Stream", "load"]


def __getattr__(name: str) -> object:
    """Import `ndns.use.model` when it is needed: every command passes here, and few of them load a network."""
    if name in __all__:
        return getattr(import_module("ndns.use.model"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
