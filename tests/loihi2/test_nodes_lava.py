"""Nodes against lava's runtime: its compiler, its channels, an OS process for every lava process."""

import numpy as np
import pytest

from ndns.errors import UserError
from ndns.loihi2.equality import PROGRAMS, compare, live
from ndns.loihi2.equality.s5 import WIDTH, draw_affine, draw_ssm
from ndns.loihi2.lava_process import run_chain, run_live
from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import S5Block
from ndns.loihi2.nodes.sigma_delta import Sigma

pytestmark = [pytest.mark.lava, pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")]


def test_every_kind_live_driven_and_ours_agree():
    drawn = [(kind, draw(np.random.default_rng(seed), 50)) for kind, draw in PROGRAMS.items() for seed in (1, 2, 3)]
    for (kind, pair), lavas in zip(drawn, live([pair for _, pair in drawn]), strict=True):
        ours = pair.ours()
        assert compare(ours, lavas) == (sum(np.size(values) for values in lavas.values()), 0), kind
        assert not pair.drives or compare(pair.driven(), lavas)[1] == 0, kind
    assert sum(pair.ours()["sent"].any() for _, pair in drawn) > len(drawn) / 2


def test_s5_network_runs_inside_lava():
    rng = np.random.default_rng(5)
    states = [draw_ssm(rng, diagonal=False, wide=False, relu=True) for _ in range(2)]
    blocks = [S5Block(ssm, draw_affine(rng, WIDTH, WIDTH, x_exp=ssm.y_exp)) for ssm in states]
    nodes = [draw_affine(rng, 7, WIDTH), *blocks, draw_affine(rng, WIDTH, 7)]
    x = rng.integers(-3000, 3000, (250, 7)).astype(np.int32)
    y = x[None]
    for node in nodes:
        y = node.run(node.init(1), y)
    assert np.unique(y).size > 100
    np.testing.assert_array_equal(run_chain(nodes, x), y[0])


def test_s4d_chain_runs_inside_lava():
    node = draw_ssm(np.random.default_rng(6), diagonal=True, wide=True)
    assert isinstance(node, DiagonalSSM)
    x = np.random.default_rng(7).integers(-5000, 5000, (300, node.shape_in)).astype(np.int32)
    np.testing.assert_array_equal(run_chain([node, node], x), _twice(node, x))


def _twice(node: DiagonalSSM, x: np.ndarray) -> np.ndarray:
    return node.run(node.init(1), node.run(node.init(1), x[None]))[0]


def test_inputs_of_different_length_are_refused():
    pairs = [PROGRAMS["sigma"](np.random.default_rng(0), steps) for steps in (3, 4)]
    with pytest.raises(UserError, match="same number of steps"):
        run_live([pair.cell for pair in pairs])


def test_chain_takes_s5_nodes_only():
    with pytest.raises(UserError, match="not Sigma"):
        run_chain([Sigma(3)], np.zeros((2, 3), np.int32))
