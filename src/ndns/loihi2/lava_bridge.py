"""Runs an integer program in live lava (lava-nc's fixed-point models on the CPU), as a reference for the engine.

lava starts at least ten operating-system processes a network: run one network at a time. Sources and sinks are lava's
own ring buffers: lava imports every file beside a module that defines a Process, so this package defines none.
"""

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np

from ndns.errors import UserError
from ndns.loihi2 import lava_shim, netx
from ndns.loihi2.lava_process import run_chain
from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import Affine, S5Block
from ndns.loihi2.program import Program


def run(program: Program, x: np.ndarray, sparse: bool = True) -> np.ndarray:
    """Run a clip from the initial state in lava.

    Args:
        program: the network; nodes that netx can say, or a chain of S5 nodes (`ndns.loihi2.lava_procs.s5`).
        x: int32 `(bin, step)`.
        sparse: sparse synapses (about three times as fast) instead of netx's default dense ones; same integers.

    Returns:
        int32 `(bin, step)`.

    Raises:
        UserError: the program has a node that lava's netx does not know, or lava is not installed.
    """
    if x.shape[1] and all(isinstance(node, Affine | DiagonalSSM | S5Block) for node in program.nodes):
        return run_chain(program.nodes, np.ascontiguousarray(x.T, np.int32)).T.astype(np.int32)
    if not netx.in_netx_words(program):
        raise UserError("this program has nodes that lava's netx does not know; use the engine.")
    lava_shim.apply()
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    steps = x.shape[1]
    if steps == 0:
        return np.zeros((program.shape_out, 0), np.int32)
    network = load(program, sparse)
    source = Source(data=np.ascontiguousarray(x, np.int32))
    sink = Sink(shape=(program.shape_out,), buffer=steps)
    source.s_out.connect(network.in_layer.neuron.a_in)
    network.out.connect(sink.a_in)
    return execute(network, sink, steps, Loihi2SimCfg(select_tag="fixed_pt"))


def load(program: Program, sparse: bool = True):
    """Build lava's process `netx.hdf5.Network` for a program (lava not yet running)."""
    lava_shim.apply()
    from lava.lib.dl.netx import hdf5

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.net"
        netx.write(path, program)
        network = hdf5.Network(net_config=str(path), sparse_fc_layer=sparse)
        network.net_config.f.close()
    return network


def execute(network, sink, steps: int, run_config) -> np.ndarray:
    """Run a connected network for `steps` steps, return what the sink holds as int32 `(bin, step)`."""
    from lava.magma.core.run_conditions import RunSteps

    network._log_config.level = logging.ERROR
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network.run(condition=RunSteps(num_steps=steps), run_cfg=run_config)
        return sink.data.get().astype(np.int32)
    finally:
        network.stop()
