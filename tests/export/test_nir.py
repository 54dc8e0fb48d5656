"""NIR graphs beside the engine: a reader that knows nothing of this project steps them by forward Euler."""

from pathlib import Path

import nir
import numpy as np
import pytest
from typer.testing import CliRunner

from ndns.cli import build
from ndns.config import FrontEnd
from ndns.errors import UserError
from ndns.export.nir_graph import WHY_NOT, graph, obstacles, write
from ndns.loihi2 import engine, netx
from ndns.loihi2.nodes import KINDS, Delta, Sigma, Synapse
from ndns.loihi2.nodes.cuba import CubaLIF
from ndns.loihi2.nodes.scaled_synapse import ScaledSynapse
from ndns.loihi2.program import Program

DT = 128 / 16000


def spiking(recurrent: bool = True) -> Program:
    """Synapses with delays, leaky neurons with biases and recurrence; numbers large enough that rounding is small."""
    rng = np.random.default_rng(4)
    lateral = rng.integers(-40, 40, (12, 12)) if recurrent else None
    nodes = (
        ScaledSynapse(rng.integers(-100, 120, (12, 6)), rng.integers(0, 5, 12), weight_exp=3),
        CubaLIF(
            12, vth=3000, du=rng.integers(800, 2000, 12), dv=rng.integers(300, 900, 12),
            bias_mant=rng.integers(-50, 400, 12), bias_exp=7, recurrent=lateral, recurrent_exp=2,
        ),
        ScaledSynapse(rng.integers(-100, 120, (4, 12)), None, weight_exp=4, binary=True),
        CubaLIF(4, vth=8000, du=900, dv=500),
    )  # fmt: skip
    return Program(nodes, ("fc1", "lif1", "fc2", "lif2"), front_end=FrontEnd(n_fft=512, hop=128))


def along_edges(net: nir.NIRGraph) -> list[str]:
    """Nodes as the edges reach them from the input: files keep them in the order of their names."""
    order = ["input"]
    for name in order:
        order += [target for source, target in net.edges if source == name and target not in order]
    return order


def euler(net: nir.NIRGraph, spikes: np.ndarray, dt: float) -> np.ndarray:
    """Step a NIR graph with spikes `(step, in)`; a loop is closed with the outputs of the step before."""
    order = along_edges(net)
    outputs = {name: np.zeros(node.output_type["output"]) for name, node in net.nodes.items()}
    current = {name: np.zeros(node.r.shape) for name, node in net.nodes.items() if isinstance(node, nir.CubaLIF)}
    voltage = {name: value.copy() for name, value in current.items()}
    lines = {name: [np.zeros(len(n.delay))] * 99 for name, n in net.nodes.items() if isinstance(n, nir.Delay)}
    result = []
    for row in spikes:
        before = dict(outputs)
        for name in order:
            node = net.nodes[name]
            senders = [a for a, b in net.edges if b == name]
            x = sum((before if order.index(a) > order.index(name) else outputs)[a] for a in senders)
            if isinstance(node, nir.Input):
                outputs[name] = row.astype(float)
            elif isinstance(node, nir.Linear):
                outputs[name] = node.weight @ x
            elif isinstance(node, nir.Delay):
                lines[name] = [x, *lines[name][:-1]]
                steps = np.rint(node.delay / dt).astype(int)
                outputs[name] = np.array([lines[name][step][k] for k, step in enumerate(steps)])
            elif isinstance(node, nir.CubaLIF):
                current[name] += dt / node.tau_syn * (-current[name] + node.w_in * x)
                voltage[name] += dt / node.tau_mem * (node.v_leak - voltage[name] + node.r * current[name])
                outputs[name] = (voltage[name] > node.v_threshold).astype(float)
                voltage[name] = np.where(outputs[name] > 0, node.v_reset, voltage[name])
            elif isinstance(node, nir.Output):
                outputs[name] = x
                result.append(x)
    return np.array(result)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_reader_gets_the_engines_spikes(tmp_path, recurrent):
    program = spiking(recurrent)
    write(tmp_path / "network.nir", program)
    net = nir.read(tmp_path / "network.nir")
    assert float(net.metadata["dt"]) == DT
    spikes = (np.random.default_rng(1).random((300, 6)) < 0.3).astype(np.int32)
    expected = engine.run(program, spikes.T).T
    found = euler(net, spikes, DT)
    assert 0.05 < expected.mean() < 0.9
    assert np.mean(found != expected) < 0.02


def test_delays_and_neurons_are_said_in_seconds():
    net = graph(spiking())
    delays = spiking().nodes[0].delay
    np.testing.assert_allclose(net.nodes["fc1_delay"].delay, (1 + delays) * DT)
    np.testing.assert_allclose(net.nodes["lif2"].tau_syn, np.full(4, DT * 4096 / 901))
    np.testing.assert_allclose(net.nodes["lif2"].v_threshold, np.full(4, 8000 * 64))
    assert ("lif1", "lif1_recurrent") in net.edges
    assert ("lif1_recurrent", "lif1") in net.edges


def test_every_kind_of_node_is_said_or_refused_with_a_reason():
    said = {"Synapse", "ScaledSynapse", "CubaLIF", "Affine"}
    assert said | set(WHY_NOT) == set(KINDS)
    assert not said & set(WHY_NOT)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"vth_low": -5}, "has ternary spikes"),
        ({"reset_interval": 4}, "has resets at intervals"),
        ({"refractory_period": 2}, "has a refractory period"),
        ({"du": -1}, "infinite time constant"),
        ({"dv": 0}, "infinite time constant"),
    ],
)
def test_neurons_beyond_nirs_words_are_refused(options, reason):
    node = CubaLIF(3, **({"vth": 10, "du": 100, "dv": 100} | options))
    assert reason in obstacles(Program((Synapse(np.ones((3, 3), int)), node), ("fc", "lif")))["lif"]


def test_graded_input_of_a_binary_synapse_is_refused():
    program = Program((ScaledSynapse(np.ones((3, 3), int), binary=True),), ("fc",))
    assert obstacles(program) == {"fc": "ScaledSynapse counts any message as 1"}


def test_denoisers_are_refused_with_a_reason_for_each_node(tmp_path):
    bins = 257
    sdnn = Program((Delta(bins, 6), Synapse(np.zeros((bins, bins), int)), Sigma(bins)), ("input", "fc", "output"))
    netx.write(tmp_path / "sdnn.net", sdnn)
    s5 = Path(__file__).parents[1] / "quantize/golden/s5_sparse.net"
    for path, match in (
        (tmp_path / "sdnn.net", r"input \(Delta sends changes .*; output \(Sigma .*`ndns export netx`"),
        (s5, r"encoder \(Affine ends in a ReLU\); block0 \(S5Block has complex states"),
    ):
        with pytest.raises(UserError, match=match):
            CliRunner().invoke(
                build(),
                ["export", "nir", str(path), str(tmp_path / "out.nir")],
                catch_exceptions=False,
                standalone_mode=False,
            )
    assert [path.name for path in tmp_path.iterdir()] == ["sdnn.net"]


def test_the_command_writes_a_graph_of_a_program_file(tmp_path):
    netx.write(tmp_path / "spiking.net", spiking())
    result = CliRunner().invoke(
        build(), ["export", "nir", str(tmp_path / "spiking.net"), str(tmp_path / "out.nir")], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert set(nir.read(tmp_path / "out.nir").nodes) >= {"fc1", "fc1_delay", "lif1", "lif1_recurrent", "lif2"}


def test_netx_says_where_lava_cannot_follow(tmp_path):
    s5 = Path(__file__).parents[1] / "quantize/golden/s5_sparse.net"
    result = CliRunner().invoke(build(), ["export", "netx", str(s5), str(tmp_path / "out.net")], catch_exceptions=False)
    assert result.exit_code == 0
    assert "which lava.lib.dl.netx refuses" in result.output
    x = np.arange(33 * 20).reshape(33, 20) % 900
    np.testing.assert_array_equal(engine.run(netx.read(tmp_path / "out.net"), x), engine.run(netx.read(s5), x))
