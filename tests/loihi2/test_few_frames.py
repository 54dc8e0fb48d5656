"""The compiled ways of a stream's few frames against NumPy's of many: same integers, same meters."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.audio.level import Level
from ndns.loihi2.equality.s5 import WIDTH, draw_affine, draw_ssm
from ndns.loihi2.nodes.matrix import FEW_STEPS, WHOLE_ABOVE, Matrix
from ndns.loihi2.nodes.s5_block import Affine, S5Block
from ndns.loihi2.program import Program

QUICK = settings(max_examples=40, deadline=None)
SIZES = st.integers(1, 20)
SEEDS = st.integers(0, 2**32 - 1)
KEPT = st.sampled_from([0.0, WHOLE_ABOVE / 2, WHOLE_ABOVE, 0.6, 1.0])


def drawn(rng, rows, columns, kept):
    return rng.integers(-128, 128, (rows, columns)) * (rng.random((rows, columns)) < kept)


@QUICK
@given(SEEDS, SIZES, SIZES, KEPT)
def test_events_give_the_product(seed, rows, columns, kept):
    rng = np.random.default_rng(seed)
    weight = drawn(rng, rows, columns, kept)
    values = rng.integers(-(2**31), 2**31, (2, 3, columns)).astype(np.int32)
    values[rng.random(values.shape) < 0.3] = 0
    expected = [
        [[sum(int(w) * int(v) for w, v in zip(row, x, strict=True)) for row in weight] for x in part] for part in values
    ]
    assert Matrix(weight).by_events(values).tolist() == expected


@QUICK
@given(SEEDS, SIZES, SIZES, KEPT, st.booleans(), st.integers(-2, 9))
def test_a_layer_frame_by_frame_is_the_layer(seed, rows, columns, kept, relu, shift):
    rng = np.random.default_rng(seed)
    layer = Affine(
        drawn(rng, rows, columns, kept), rng.integers(-900, 900, rows), w_exp=7 + shift, x_exp=5, y_exp=12, relu=relu
    )
    x = rng.integers(-30_000, 30_000, (1, 3 * FEW_STEPS, columns)).astype(np.int32)
    whole, single = layer.init(1), layer.init(1)
    expected = layer.run(whole, x)
    found = [layer.run(single, x[:, t : t + 1]) for t in range(x.shape[1])]
    np.testing.assert_array_equal(np.concatenate(found, axis=1), expected)
    assert {key: int(value[0]) for key, value in single.items()} == {key: int(value[0]) for key, value in whole.items()}
    assert single["overflow"] > 0 or np.abs(expected).max() < 2**15


@pytest.mark.parametrize("field", ["b_exp", "c_exp", "d_exp", "gate"])
def test_a_shift_beyond_63_leaves_the_sign_alone_either_way(field):
    """A processor takes a shift by 64 for one by 0."""
    rng = np.random.default_rng(3)
    ssm = draw_ssm(rng, diagonal=False, wide=False, relu=True)
    gate = draw_affine(rng, WIDTH, WIDTH, x_exp=ssm.y_exp)
    if field == "gate":
        block = S5Block(ssm, replace(gate, w_exp=70))
    else:
        block = S5Block(replace(ssm, **{field: 70}), gate)
    x = rng.integers(-900, 900, (1, 3 * FEW_STEPS, WIDTH)).astype(np.int32)
    state = block.init(1)
    frames = np.concatenate([block.run(state, x[:, t : t + 1]) for t in range(x.shape[1])], axis=1)
    np.testing.assert_array_equal(frames, block.run(block.init(1), x))
    assert len(np.unique(frames)) > 20


@QUICK
@given(SEEDS, st.sampled_from(["none", "shift"]), st.integers(1, 40))
def test_frames_are_encoded_half_to_even(seed, level, frames):
    rng = np.random.default_rng(seed)
    bins = 5
    magnitude = rng.integers(0, 2**14, (bins, frames)) / 2**8  # many fall between two integers
    layer = Affine(np.eye(bins, dtype=np.int64))
    program = Program((layer,), ("layer",), offset=0.25, input_exp=5, level=level)
    gains = 2.0 ** -Level().exponents(magnitude) if level == "shift" else np.ones(frames)
    np.testing.assert_array_equal(program.encode(magnitude), np.rint((magnitude * gains - 0.25) * 32))
    running = Level()
    parts = [program.encode(magnitude[:, t : t + 1], running) for t in range(frames)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), program.encode(magnitude))
