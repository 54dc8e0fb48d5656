"""ProcessModel of the probe."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from ndns.loihi2.lava_procs.probe.process import PORTS, Probe


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PyProbe(PyLoihiProcessModel):
    """Send everything, then receive everything, as int32; the last step writes the file."""

    def __init__(self, proc_params) -> None:
        super().__init__(proc_params)
        self.blocks = proc_params["blocks"]
        self.received: list[list[np.ndarray]] = [[] for _ in proc_params["names"]]

    def run_spk(self) -> None:
        """Advance one step."""
        for index, block in enumerate(self.blocks):
            getattr(self, f"send_{index}").send(block[self.time_step - 1])
        for index, taken in enumerate(self.received):
            taken.append(getattr(self, f"take_{index}").recv())
        if self.time_step == len(self.blocks[0]):
            names = self.proc_params["names"]
            np.savez(self.proc_params["path"], **dict(zip(names, map(np.stack, self.received), strict=True)))


for _index in range(PORTS):
    setattr(PyProbe, f"send_{_index}", LavaPyType(PyOutPort.VEC_DENSE, np.int32))
    setattr(PyProbe, f"take_{_index}", LavaPyType(PyInPort.VEC_DENSE, np.int32))
