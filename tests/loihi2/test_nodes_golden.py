"""Every node against what lava answered once (`make_golden.py`): no lava needed."""

import json
from pathlib import Path

import numpy as np
import pytest

from ndns.loihi2.equality import PROGRAMS
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta
from ndns.loihi2.nodes.base import Node
from ndns.loihi2.nodes.cuba import CubaLIF
from ndns.loihi2.nodes.graded import GradedVec, InvSqrt, NormVecDelay
from ndns.loihi2.nodes.product import ProdNeuron
from ndns.loihi2.nodes.rf import RF, RFZero
from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import Affine, S5Block
from ndns.loihi2.nodes.scaled_synapse import ScaledSynapse

GOLDEN = Path(__file__).parent / "golden"
CLASSES = {
    kind.__name__: kind
    for kind in (
        CubaLIF, RF, RFZero, GradedVec, NormVecDelay, InvSqrt, ProdNeuron, Delta, SigmaDelta, Sigma, ScaledSynapse,
        DiagonalSSM, Affine, S5Block,
    )
}  # fmt: skip


def _rebuild(described: dict) -> Node:
    fields = {name: value for name, value in described.items() if name != "node"}
    for name, value in fields.items():
        if isinstance(value, dict):
            fields[name] = _rebuild(value)
        elif isinstance(value, list):
            fields[name] = np.array(value)
    return CLASSES[described["node"]](**fields)


def test_there_is_a_file_for_every_kind():
    assert {path.stem for path in GOLDEN.glob("*.npz")} == set(PROGRAMS)


@pytest.mark.parametrize("kind", sorted(PROGRAMS))
def test_lavas_integers(kind):
    with np.load(GOLDEN / f"{kind}.npz", allow_pickle=False) as stored:
        golden = dict(stored)
    nodes, xs, sent = json.loads(golden.pop("nodes").item()), golden.pop("x"), golden.pop("sent")
    assert len(nodes) == len(xs) == len(sent) >= 6
    assert np.count_nonzero(sent) > len(sent)
    for number, (described, x, y) in enumerate(zip(nodes, xs, sent, strict=True)):
        node = _rebuild(described)
        state = node.init(1)
        np.testing.assert_array_equal(node.run(state, x[None])[0], y)
        for name, values in golden.items():
            np.testing.assert_array_equal(state[name][0], values[number], err_msg=name)
