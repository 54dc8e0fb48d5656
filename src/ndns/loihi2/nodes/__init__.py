"""Nodes of integer programs; see `base` for what a node is and for the numeric modes."""

from ndns.loihi2.nodes.base import MODES, Mode, Node, State
from ndns.loihi2.nodes.cuba import CubaLIF
from ndns.loihi2.nodes.graded import GradedVec, InvSqrt, NormVecDelay
from ndns.loihi2.nodes.product import ProdNeuron
from ndns.loihi2.nodes.rf import RF, RFZero
from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import Affine, S5Block
from ndns.loihi2.nodes.scaled_synapse import ScaledSynapse
from ndns.loihi2.nodes.sigma_delta import Delta, Sigma, SigmaDelta
from ndns.loihi2.nodes.synapse import Synapse

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Affine,
        CubaLIF,
        Delta,
        DiagonalSSM,
        GradedVec,
        InvSqrt,
        NormVecDelay,
        ProdNeuron,
        RF,
        RFZero,
        S5Block,
        ScaledSynapse,
        Sigma,
        SigmaDelta,
        Synapse,
    )
}
"""Nodes by the name under which a program file stores them."""

__all__ = ["KINDS", "MODES", "Delta", "Mode", "Node", "Sigma", "SigmaDelta", "State", "Synapse"]
