"""Using a network: find it by name, denoise arrays, files and streams with it.

`load` is also `ndns.load`.
"""

from ndns.use.model import Model, Stream, load

__all__ = ["Model", "Stream", "load"]
