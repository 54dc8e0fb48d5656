"""Lava processes on a block of integers: how this package compares its nodes with lava's fixed-point models.

Two ways, same answer (`tests/loihi2/test_nodes_lava.py` compares them with each other):

- `run_live`: lava compiles and runs the processes under `Loihi2SimCfg(select_tag="fixed_pt")`, an OS process each.
  Starting takes seconds, so many processes share one run. Two runs at once starve each other.
- `drive`: lava's own builder makes the ProcessModel and its `run_spk` is called here, step by step; ports are lava's,
  only the channel behind them is a list. Fast enough for property-based tests.
"""

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ndns.errors import UserError
from ndns.loihi2 import lava_shim


@dataclass(frozen=True)
class Loop:
    """A process between an output and an input port of the same process: a recurrent synapse.

    Attributes:
        source: output port of the cell's process.
        process: what lies between; not connected yet.
        target: input port of the cell's process, which adds up what reaches it.
    """

    source: str
    process: Any
    target: str


@dataclass(frozen=True)
class Cell:
    """A lava process that is connected to nothing, and what it is fed.

    Attributes:
        process: the process.
        inputs: for each of its input ports the integers `(steps, *port shape)`.
        loops: recurrent synapses (`run_live` only).
        last: process whose output ports are all recorded, if another one: the end of a chain (`run_live` only).
        watch: names of variables of `process` that are reported as well.
    """

    process: Any
    inputs: Mapping[str, np.ndarray]
    loops: Sequence[Loop] = ()
    last: Any = None
    watch: Sequence[str] = ()

    @property
    def recorded(self) -> list[Any]:
        """Output ports that are recorded."""
        return list((self.process if self.last is None else self.last).out_ports)


def run_live(cells: Sequence[Cell], tag: str = "fixed_pt") -> list[dict[str, np.ndarray]]:
    """Run all `cells` in one lava run.

    Args:
        cells: all with the same number of steps.
        tag: which of lava's ProcessModels, `fixed_pt` (integers) or `floating_pt`.

    Returns:
        for each cell what its output ports sent, `(steps, *port shape)`, and the watched variables after the last step.

    Raises:
        UserError: the number of steps differs between inputs, or lava is not installed.
    """
    lava_shim.apply()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from ndns.loihi2.lava_procs.probe.process import Probe

    steps = _common_steps(cells)
    with tempfile.TemporaryDirectory() as folder:
        probe = Probe.around(cells, Path(folder) / "received.npz")
        try:
            probe.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag=tag))
            watched = [{name: getattr(cell.process, name).get() for name in cell.watch} for cell in cells]
        finally:
            probe.stop()
        with np.load(Path(folder) / "received.npz", allow_pickle=False) as received:
            return [
                {port.name: received[f"{index}.{port.name}"] for port in cell.recorded} | variables
                for index, (cell, variables) in enumerate(zip(cells, watched, strict=True))
            ]


def run_chain(nodes: Sequence[Any], x: np.ndarray) -> np.ndarray:
    """Run a chain of S5 nodes inside lava, each as its own process (`lava_procs/s5`).

    Args:
        nodes: `DiagonalSSM`, `Affine` and `S5Block`, one feeding the next within a step.
        x: integers `(steps, shape_in of the first)`.

    Returns:
        integers `(steps, shape_out of the last)`.

    Raises:
        UserError: a node is of another kind, or lava is not installed.
    """
    lava_shim.apply()
    from ndns.loihi2.lava_procs.s5.process import PROCESSES

    strange = [type(node).__name__ for node in nodes if type(node) not in PROCESSES]
    if strange:
        raise UserError(f"a chain in lava takes {[kind.__name__ for kind in PROCESSES]}, not {strange[0]}.")
    processes = [PROCESSES[type(node)](node) for node in nodes]
    for before, after in itertools.pairwise(processes):
        before.s_out.connect(after.a_in)
    return run_live([Cell(processes[0], {"a_in": x}, last=processes[-1])])[0]["s_out"]


def drive(cell: Cell, model_class: type | None = None) -> dict[str, np.ndarray]:
    """Step the ProcessModel of one process here, without lava's runtime.

    Args:
        cell: a single process, without loops.
        model_class: the ProcessModel; found as lava does it (`fixed_pt`) if not given.

    Returns:
        what each output port sent, `(steps, *port shape)`, and the watched variables after each step.
    """
    lava_shim.apply()
    from lava.magma.compiler.builders.py_builder import PyProcessBuilder
    from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
    from lava.magma.compiler.utils import VarInitializer
    from lava.magma.core.run_configs import Loihi2SimCfg

    process, steps = cell.process, _common_steps([cell])
    if model_class is None:
        choice = ProcGroupDiGraphs._find_proc_models(process)
        model_class = Loihi2SimCfg(select_tag="fixed_pt").select(process, choice)
    builder = PyProcessBuilder(model_class, 0, process.proc_params)
    builder.set_variables([VarInitializer(var.name, var.shape, var.init, var.id) for var in process.vars])
    model = builder.build()
    feeds = {port.name: _Feed(cell.inputs[port.name]) for port in process.in_ports}
    records = {port.name: _Record() for port in process.out_ports}
    watched = {name: _Record() for name in cell.watch}
    for port in [*process.in_ports, *process.out_ports]:
        kind = getattr(model_class, port.name)
        behind = feeds.get(port.name) or records[port.name]
        setattr(model, port.name, kind.cls([behind], model, port.shape, kind.d_type))
    for step in range(steps):
        model.time_step = step + 1
        model.run_spk()
        for name, record in watched.items():
            record.send(np.array(getattr(model, name)))
    return {name: np.stack(record.sent) for name, record in (records | watched).items()}


def _common_steps(cells: Sequence[Cell]) -> int:
    lengths = {len(values) for cell in cells for values in cell.inputs.values()}
    if len(lengths) != 1:
        raise UserError(f"inputs of one lava run need the same number of steps, got {sorted(lengths)}.")
    return lengths.pop()


class _Feed:
    """Stands in for the receiving end of lava's channel, which holds int32."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = iter(np.asarray(values, np.int32))

    def recv(self) -> np.ndarray:
        return next(self.values)


class _Record:
    """Stands in for the sending end of lava's channel, which holds int32."""

    def __init__(self) -> None:
        self.sent: list[np.ndarray] = []

    def send(self, values: np.ndarray) -> None:
        self.sent.append(np.asarray(values).astype(np.int32))
