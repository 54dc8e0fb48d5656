"""Live lava-nc 0.10.0 against the engine, integer by integer; and what is said where lava or a board is missing."""

import fcntl
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ndns.errors import UserError
from ndns.loihi2 import backends, engine, lava_bridge
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta, Synapse
from ndns.loihi2.program import Program

needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed")


@pytest.fixture
def one_lava() -> Iterator[None]:
    """Hold a lock: lava starts at least ten processes a network."""
    with open(Path(tempfile.gettempdir()) / "lava.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.lava
@needs_lava
@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_lava_gives_the_engines_integers(random_sdnn, spectra_like, one_lava, sparse):
    program, x = random_sdnn(21, max_delay=20), spectra_like(22, 9, 200)
    expected = engine.run(program, x)
    assert np.count_nonzero(expected) > expected.size / 2
    np.testing.assert_array_equal(lava_bridge.run(program, x, sparse), expected)


@pytest.mark.lava
@needs_lava
def test_lava_agrees_on_biases_and_odd_weights_up_to_8_bits(spectra_like, one_lava):
    generator = np.random.default_rng(1)
    nodes = (
        Delta(6, 9),
        Synapse(generator.integers(-128, 128, (8, 6)), generator.integers(0, 5, 8)),
        SigmaDelta(8, 4, bias=generator.integers(-900, 900, 8).astype(np.int32)),
        Synapse(2 * generator.integers(-128, 128, (5, 8))),
        Sigma(5),
    )
    program = Program(nodes, ("input", "fc1", "hidden1", "fc2", "output"))
    x = spectra_like(3, 6, 60)
    expected = engine.run(program, x)
    np.testing.assert_array_equal(lava_bridge.run(program, x), expected)
    assert not np.array_equal(
        engine.run(Program((*nodes[:2], SigmaDelta(8, 4), *nodes[3:]), program.names), x), expected
    )


@pytest.mark.lava
@needs_lava
def test_lava_gives_the_engines_integers_for_the_released_network(shared_data, released, one_lava):
    with np.load(shared_data / "golden/intel_sdnn_lava_0.10.0_30s.npz", allow_pickle=False) as golden:
        x = golden["input"][:, 1000:1100]
    out = lava_bridge.run(released, x)
    np.testing.assert_array_equal(out, engine.run(released, x))
    assert np.count_nonzero(out) > 0


def test_lava_is_asked_for_its_own_arithmetic_only():
    with pytest.raises(UserError, match="--mode chip24: only the engine"):
        backends.runner("lava", backends.mode_named("chip24"))
    with pytest.raises(UserError, match="--mode: 'exact' is not one of lava"):
        backends.mode_named("exact")
    with pytest.raises(UserError, match="--backend: 'gpu' is not one of engine, lava, loihi2"):
        backends.runner("gpu")


def test_program_that_netx_cannot_say_is_not_given_to_lava():
    program = Program(
        (Delta(2, 6), Synapse(np.ones((2, 2), int)), SigmaDelta(2, 6, activation="unit")), ("a", "b", "c")
    )
    with pytest.raises(UserError, match="netx does not know"):
        lava_bridge.run(program, np.zeros((2, 3), np.int32))


def test_missing_board_is_explained(monkeypatch):
    monkeypatch.delenv("LOIHI_GEN", raising=False)
    with pytest.raises(UserError, match=r"lava-loihi compiler .* and a board .*LOIHI_GEN.* --backend engine"):
        backends.runner("loihi2")


@needs_lava
def test_shim_is_idempotent_and_leaves_dataclasses_alone():
    code = (
        "import dataclasses, multiprocessing; before = dataclasses.dataclass\n"
        "multiprocessing.set_start_method('fork')\n"
        "from ndns.loihi2 import lava_shim\n"
        "lava_shim.apply(); lava_shim.apply()\n"
        "assert dataclasses.dataclass is before\n"
        "import lava.lib.dl.slayer, lava.magma.compiler.compiler, lava.lib.dl.netx.hdf5\n"
        "print('imported')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "imported", result.stderr
