"""Reference pipeline for neuromorphic speech denoising."""

from importlib import import_module as _import_module

__version__ = "0.1.0"
__all__ = ["load"]


def load(model=None):
    """Return a network that is ready to denoise: `ndns.use.model.load`.

    Imported by name at the first call: a stage's fingerprint follows import statements, and this file belongs to every
    stage.
    """
    return _import_module("ndns.use").load(model)
