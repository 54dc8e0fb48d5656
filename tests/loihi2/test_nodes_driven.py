"""Random programs of every kind against lava's own ProcessModels, stepped here without lava's runtime."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ndns.loihi2 import lava_shim
from ndns.loihi2.equality import PROGRAMS

lava_shim.apply()

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("kind", [kind for kind in PROGRAMS if kind != "cuba_recurrent"])
@QUICK
@given(seed=SEEDS, steps=st.integers(2, 60))
def test_node_gives_lavas_integers(kind, seed, steps):
    pair = PROGRAMS[kind](np.random.default_rng(seed), steps)
    ours, lavas = pair.ours(), pair.driven()
    for name, values in lavas.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


@pytest.mark.parametrize("kind", list(PROGRAMS))
@QUICK
@given(seed=SEEDS, cuts=st.lists(st.integers(0, 40), max_size=4))
@example(seed=0, cuts=[])
def test_pieces_and_batches_give_the_same_integers(kind, seed, cuts):
    rng = np.random.default_rng(seed)
    pair = PROGRAMS[kind](rng, 40)
    x = np.concatenate([pair.x[:, ::-1], pair.x])
    whole = pair.node.init(2)
    y = pair.node.run(whole, x)
    np.testing.assert_array_equal(y[1], pair.ours()["sent"])
    state, edges = pair.node.init(2), [0, *sorted(cuts), 40]
    pieces = [pair.node.run(state, x[:, start:stop]) for start, stop in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), y)
    assert y.dtype == np.int32
    assert y.shape == (2, 40, pair.node.shape_out)
    for name, value in whole.items():
        np.testing.assert_array_equal(state[name], value, err_msg=name)
