"""Spiking and S5 nodes as members of a program: stored, read back, executed by the engine."""

import numpy as np
import pytest

from ndns.loihi2 import engine, netx
from ndns.loihi2.equality.s5 import WIDTH, draw_affine, draw_ssm
from ndns.loihi2.nodes.base import Node
from ndns.loihi2.nodes.cuba import CubaLIF
from ndns.loihi2.nodes.graded import GradedVec
from ndns.loihi2.nodes.rf import RF
from ndns.loihi2.nodes.s5_block import S5Block
from ndns.loihi2.nodes.scaled_synapse import ScaledSynapse
from ndns.loihi2.nodes.sigma_delta import Sigma
from ndns.loihi2.program import Program

BINS = 8


def _s5() -> tuple[Node, ...]:
    rng = np.random.default_rng(3)
    ssm = draw_ssm(rng, diagonal=False, wide=False, relu=True)
    return (
        draw_affine(rng, BINS, WIDTH),
        S5Block(ssm, draw_affine(rng, WIDTH, WIDTH, x_exp=ssm.y_exp)),
        draw_affine(rng, WIDTH, BINS),
    )


def _spiking() -> tuple[Node, ...]:
    rng = np.random.default_rng(4)
    weight = [rng.integers(-120, 120, shape) for shape in ((6, BINS), (6, 6), (BINS, 3))]
    return (
        GradedVec(BINS, vth=3),
        ScaledSynapse(weight[0], delay=np.arange(6), weight_exp=-2),
        CubaLIF(6, vth=30, du=742, dv=200, recurrent=weight[1], recurrent_exp=-1, refractory_period=2),
        RF.from_period(3, np.array([4.0, 7.0, 11.0]), 0.1, vth=1),
        ScaledSynapse(weight[2], binary=True),
        Sigma(BINS),
    )


@pytest.mark.parametrize("build", [_s5, _spiking])
def test_program_survives_its_file_and_gives_the_nodes_integers(build, tmp_path):
    nodes = build()
    program = Program(nodes, tuple(f"node{index}" for index in range(len(nodes))))
    netx.write(tmp_path / "program.net", program)
    again = netx.read(tmp_path / "program.net")
    assert [type(node) for node in again.nodes] == [type(node) for node in nodes]
    x = np.random.default_rng(5).integers(-900, 900, (BINS, 300)).astype(np.int32)
    y = x.T[None].astype(np.int32)
    for node in nodes:
        y = node.run(node.init(1), y)
    assert len(np.unique(y)) > 20
    np.testing.assert_array_equal(engine.run(again, x), y[0].T)
