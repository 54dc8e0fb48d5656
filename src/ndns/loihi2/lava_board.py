"""Runs an integer program on a Loihi 2 board through Intel's lava-loihi compiler.

This file follows the public tutorials of lava-dl (`netx`, PilotNet SDNN) and HAS NOT RUN ON A BOARD: neither a board
nor the compiler, which Intel gives to members of its research community, was at hand. Adapters carry the input
integers to the chip and the output sums back.
"""

import numpy as np

from ndns.errors import UserError
from ndns.loihi2 import lava_bridge, netx
from ndns.loihi2.program import Program


def run(program: Program, x: np.ndarray) -> np.ndarray:
    """Run a clip int32 `(bin, step)` on the board, return int32 `(bin, step)`.

    Raises:
        UserError: the program has a node that netx does not know, or the compiler lacks the adapters.
    """
    if not netx.in_netx_words(program):
        raise UserError("this program has nodes that lava's netx does not know; use the engine.")
    network = lava_bridge.load(program, sparse=True)
    try:
        from lava.proc import embedded_io
    except ImportError:
        raise UserError("lava-loihi is installed without lava.proc.embedded_io; install the INRC's release.") from None
    from lava.magma.core.run_configs import Loihi2HwCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    source = Source(data=np.ascontiguousarray(x, np.int32))
    sink = Sink(shape=(program.shape_out,), buffer=x.shape[1])
    to_chip = embedded_io.spike.PyToNxAdapter(shape=(program.shape_in,), num_message_bits=16)
    from_chip = embedded_io.spike.NxToPyAdapter(shape=(program.shape_out,), num_message_bits=24)
    source.s_out.connect(to_chip.inp)
    to_chip.out.connect(network.in_layer.neuron.a_in)
    network.out.connect(from_chip.inp)
    from_chip.out.connect(sink.a_in)
    return lava_bridge.execute(network, sink, x.shape[1], Loihi2HwCfg(select_tag="fixed_pt"))
