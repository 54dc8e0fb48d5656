"""Nodes of integer programs; see `base` for what a node is and for the numeric modes."""

from ndns.loihi2.nodes.base import MODES, Mode, Node, State
from ndns.loihi2.nodes.sigma_delta import Delta, Sigma, SigmaDelta
from ndns.loihi2.nodes.synapse import Synapse

KINDS: dict[str, type] = {kind.__name__: kind for kind in (Delta, Sigma, SigmaDelta, Synapse)}
"""Nodes by the name under which a program file stores them."""

__all__ = ["KINDS", "MODES", "Delta", "Mode", "Node", "Sigma", "SigmaDelta", "State", "Synapse"]
