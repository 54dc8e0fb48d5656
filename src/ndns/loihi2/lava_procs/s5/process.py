"""Processes of an S5 network; parameters are those of the nodes."""

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import Affine, S5Block


class DiagonalSSMProcess(AbstractProcess):
    """Diagonal state space (S4D or S5), without latency.

    Args:
        node: its parameters (`ndns.loihi2.nodes.s5.DiagonalSSM`).
    """

    def __init__(self, node: DiagonalSSM) -> None:
        super().__init__(node=node)
        self.a_in = InPort(shape=(node.shape_in,))
        self.s_out = OutPort(shape=(node.shape_out,))
        self.re = Var(shape=node.a_re.shape, init=0)
        self.im = Var(shape=node.a_re.shape, init=0)


class AffineProcess(AbstractProcess):
    """Dense layer without latency.

    Args:
        node: its parameters (`ndns.loihi2.nodes.s5_block.Affine`).
    """

    def __init__(self, node: Affine) -> None:
        super().__init__(node=node)
        self.a_in = InPort(shape=(node.shape_in,))
        self.s_out = OutPort(shape=(node.shape_out,))
        self.weight = Var(shape=node.weight.shape, init=node.weight)
        self.bias = Var(shape=node.bias.shape, init=node.bias)


class S5BlockProcess(AbstractProcess):
    """Residual block with state space and gate, without latency.

    Args:
        node: its parameters (`ndns.loihi2.nodes.s5_block.S5Block`).
    """

    def __init__(self, node: S5Block) -> None:
        super().__init__(node=node)
        self.a_in = InPort(shape=(node.shape_in,))
        self.s_out = OutPort(shape=(node.shape_out,))
        self.re = Var(shape=node.ssm.a_re.shape, init=0)
        self.im = Var(shape=node.ssm.a_re.shape, init=0)
        self.sigmoid = Var(shape=(10,), init=np.rint(2**14 / (1 + np.exp(-np.arange(10.0)))).astype(np.int32))


PROCESSES = {DiagonalSSM: DiagonalSSMProcess, Affine: AffineProcess, S5Block: S5BlockProcess}
"""Process of each node, so that a chain of nodes becomes a chain of processes."""
