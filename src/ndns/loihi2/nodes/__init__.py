"""Nodes of integer programs; see `base` for what a node is and for the numeric modes."""

from ndns.loihi2.nodes.base import MODES, Mode, Node, State
from ndns.loihi2.nodes.sigma_delta import Delta, Sigma, SigmaDelta
from ndns.loihi2.nodes.synapse import Synapse

__all__ = ["MODES", "Delta", "Mode", "Node", "Sigma", "SigmaDelta", "State", "Synapse"]
