"""Integer programs as NIR graphs (neuromorphic intermediate representation, nir 1.0): what it can say, and what not.

NIR's nodes are continuous in time and real-valued; a reader chooses the time step. A program becomes such a graph if
its nodes have a counterpart whose forward Euler step with `dt` of one frame is the node's own step without rounding:

    Synapse, ScaledSynapse   Linear, then Delay of (1 + delay) dt
    CubaLIF                  CubaLIF, `recurrent` as a Linear from its output to its input
    Affine without ReLU      Affine

With `decay = (du + 1) / 4096`: tau_syn = dt / decay, w_in = 64 tau_syn / dt; with `leak = dv / 4096`:
tau_mem = dt / leak, r = tau_mem / dt, v_leak = bias tau_mem / dt; v_threshold = 64 vth. Widths, shifts and rounding
have no words in NIR.
"""

from pathlib import Path

import nir
import numpy as np

from ndns.audio.io import RATE
from ndns.errors import UserError
from ndns.files import atomic_path
from ndns.loihi2.nodes import Node
from ndns.loihi2.nodes.cuba import CubaLIF
from ndns.loihi2.nodes.s5_block import Affine
from ndns.loihi2.nodes.scaled_synapse import ScaledSynapse
from ndns.loihi2.nodes.synapse import Synapse
from ndns.loihi2.program import Program

CURRENT_SCALE = 64
"""Lava's LIF shifts its input by 6 bits, and its threshold too."""
FULL_DECAY = 4096

WHY_NOT = {
    "Delta": "sends changes with a value and keeps a residue; NIR has no graded messages",
    "SigmaDelta": "integrates and sends changes with a value; NIR has no graded messages",
    "Sigma": "adds up changes without a leak that come as graded messages",
    "DiagonalSSM": "has complex states; NIR's leaky integrators are real",
    "S5Block": "has complex states, products of two signals and a sigmoid",
    "RF": "has complex states and thresholds on a phase",
    "RFZero": "has complex states and graded spikes",
    "GradedVec": "sends graded messages",
    "NormVecDelay": "multiplies two signals",
    "InvSqrt": "is a nonlinear function",
    "ProdNeuron": "multiplies two signals",
}
"""Nodes without a counterpart, by kind."""


def obstacles(program: Program) -> dict[str, str]:
    """Return why NIR cannot say a node, by the node's name; empty if it can say the program."""
    found = {}
    before: Node | None = None
    for name, node in zip(program.names, program.nodes, strict=True):
        reason = _obstacle(node, before)
        if reason:
            found[name] = f"{type(node).__name__} {reason}"
        before = node
    return found


def _obstacle(node: Node, before: Node | None) -> str:
    kind = type(node).__name__
    if isinstance(node, ScaledSynapse) and node.binary and not isinstance(before, CubaLIF):
        return "counts any message as 1"
    if isinstance(node, CubaLIF):
        options = {"vth_low": "ternary spikes", "reset_interval": "resets at intervals"}
        for field, what in options.items():
            if getattr(node, field) is not None:
                return f"has {what}"
        if node.refractory_period:
            return "has a refractory period"
        if (node.du < 0).any() or (node.dv < 1).any():
            return "has a current or voltage without decay, an infinite time constant"
        return ""
    if isinstance(node, Affine):
        return "ends in a ReLU" if node.relu else ""
    return "" if isinstance(node, Synapse) else WHY_NOT.get(kind, "has no counterpart")


def graph(program: Program) -> nir.NIRGraph:
    """Return the program as a NIR graph; metadata: `dt` in s.

    Raises:
        UserError: a node has no counterpart; names each and says why.
    """
    hindered = obstacles(program)
    if hindered:
        raise UserError(
            "NIR cannot say this program: "
            + "; ".join(f"{name} ({reason})" for name, reason in hindered.items())
            + ". `ndns export netx` and `ndns export onnx` keep such networks whole."
        )
    dt = program.front_end.hop / RATE
    nodes = {"input": nir.Input({"input": np.array([program.shape_in])})}
    edges, last = [], "input"
    for name, node in zip(program.names, program.nodes, strict=True):
        for suffix, part in _parts(node, dt):
            key = f"{name}{suffix}"
            nodes[key] = part
            edges.append((last, key))
            last = key
        if isinstance(node, CubaLIF) and node.recurrent is not None:
            nodes[f"{name}_recurrent"] = nir.Linear(node.recurrent * 2.0**node.recurrent_exp)
            edges += [(name, f"{name}_recurrent"), (f"{name}_recurrent", name)]
    nodes["output"] = nir.Output({"output": np.array([program.shape_out])})
    return nir.NIRGraph(nodes, [*edges, (last, "output")], metadata={"dt": dt})


def _parts(node: Node, dt: float) -> list[tuple[str, nir.NIRNode]]:
    if isinstance(node, Affine):
        scale = 2.0**-node.w_exp
        return [("", nir.Affine(node.weight * scale, node.bias * 2.0**-node.y_exp))]
    if isinstance(node, Synapse):
        exponent = node.weight_exp if isinstance(node, ScaledSynapse) else 0
        return [("", nir.Linear(node.weight * 2.0**exponent)), ("_delay", nir.Delay((1.0 + node.delay) * dt))]
    tau_syn, tau_mem = dt * FULL_DECAY / (node.du + 1), dt * FULL_DECAY / node.dv
    return [
        (
            "",
            nir.CubaLIF(
                tau_syn=tau_syn,
                tau_mem=tau_mem,
                r=tau_mem / dt,
                v_leak=node.bias * tau_mem / dt,
                v_threshold=(node.vth * CURRENT_SCALE).astype(float),
                w_in=CURRENT_SCALE * tau_syn / dt,
            ),
        )
    ]


def write(path: Path, program: Program) -> None:
    """Write a program as a .nir file, atomically; raises as `graph`."""
    content = graph(program)
    with atomic_path(path) as temporary:
        nir.write(temporary, content)
