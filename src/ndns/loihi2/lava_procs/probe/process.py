"""Probe: the source and the sink of a lava run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from ndns.errors import UserError

PORTS = 96
"""Input ports and output ports that a probe has; unused ones are idle."""


class Probe(AbstractProcess):
    """Sends a block of integers step by step and stores what comes back in the same step.

    Lava runs only processes that are connected with each other; all of them are connected with the probe. The block
    that came back goes to a file, as lava reads a Var element by element.

    Args:
        blocks: integers to send, `(steps, *shape)` each, one an output port.
        shapes: shapes of what is received, one an input port.
        names: names in the file, one an input port.
        path: the npz file, written at the last step.
    """

    def __init__(
        self, blocks: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]], names: Sequence[str], path: Path
    ) -> None:
        if max(len(blocks), len(shapes)) > PORTS:
            raise UserError(f"one lava run takes at most {PORTS} ports, got {max(len(blocks), len(shapes))}.")
        super().__init__(blocks=list(blocks), names=list(names), path=str(path))
        for index in range(PORTS):
            sends = np.shape(blocks[index])[1:] if index < len(blocks) else (1,)
            takes = shapes[index] if index < len(shapes) else (1,)
            setattr(self, f"send_{index}", OutPort(shape=tuple(sends)))
            setattr(self, f"take_{index}", InPort(shape=tuple(takes)))

    @classmethod
    def around(cls, cells: Sequence, path: Path) -> "Probe":
        """Return a probe connected with all `cells` (`ndns.loihi2.lava_process.Cell`) and close their loops."""
        fed = [
            (cell.process, name, np.asarray(values, np.int32)) for cell in cells for name, values in cell.inputs.items()
        ]
        read = [(index, port) for index, cell in enumerate(cells) for port in cell.recorded]
        names = [f"{index}.{port.name}" for index, port in read]
        probe = cls([values for *_, values in fed], [port.shape for _, port in read], names, path)
        for number, (process, name, _) in enumerate(fed):
            getattr(probe, f"send_{number}").connect(getattr(process, name))
        for number, (_, port) in enumerate(read):
            port.connect(getattr(probe, f"take_{number}"))
        for cell in cells:
            for loop in cell.loops:
                getattr(cell.process, loop.source).connect(loop.process.s_in)
                loop.process.a_out.connect(getattr(cell.process, loop.target))
        return probe
