"""30 s of real speech through Intel's released network: integers that lava-nc 0.10.0 computed."""

import numpy as np

from ndns.loihi2 import engine


def test_all_integers_of_the_golden_clip(shared_data, released):
    with np.load(shared_data / "golden/intel_sdnn_lava_0.10.0_30s.npz", allow_pickle=False) as golden:
        x, expected = golden["input"], golden["output"]
    assert expected.shape == (257, 3751)
    out, activity = engine.record(released, x)
    np.testing.assert_array_equal(out, expected)
    assert activity.layers == ("input", "hidden1", "hidden2")
    assert (activity.events_per_step.sum(axis=1) > 0).all()
