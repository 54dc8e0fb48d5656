"""Power proxy: hand-computed cases, and the challenge's published figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ndns.metrics.power_proxy import (
    event_rates,
    exact_event_rates,
    pdp_proxy,
    power_proxy,
    synops_per_step,
)


def test_two_layers_by_hand():
    # two clips of 10 and 30 steps, layers of 4 and 5 neurons
    events = np.array([[20, 5], [30, 60]])
    steps, neurons = np.array([10, 30]), np.array([4, 5])
    rates = event_rates(events, steps, neurons)
    assert rates == pytest.approx([(20 / 40 + 30 / 120) / 2, (5 / 50 + 60 / 150) / 2])
    assert exact_event_rates(events, steps, neurons) == pytest.approx([50 / 160, 65 / 200])
    synops = synops_per_step(rates, neurons, np.array([5, 3]))
    assert synops == pytest.approx(0.375 * 20 + 0.25 * 15)
    assert power_proxy(synops, 9, 0.008) == pytest.approx((7.5 + 3.75 + 90) / 0.008)


def test_published_figures_of_the_challenge():
    # 14.52 M-Ops/s and 0.46 M-Ops at 32.015 ms: 103 350 synops a step beside 1281 neurons
    assert power_proxy(103_350, 257 + 512 + 512, 0.008) == pytest.approx(14.52e6)
    assert pdp_proxy(14.52e6, 0.032015) == pytest.approx(0.465e6, rel=1e-3)


@given(
    arrays(np.int64, (3, 2), elements=st.integers(0, 50)),
    st.integers(1, 60),
)
def test_rates_agree_for_clips_of_one_length(events, length):
    steps, neurons = np.full(3, length), np.array([4, 7])
    np.testing.assert_allclose(event_rates(events, steps, neurons), exact_event_rates(events, steps, neurons))


@given(arrays(float, 3, elements=st.floats(0, 1)), st.integers(0, 2), st.floats(0, 1))
def test_more_events_never_cost_less(rates, layer, more):
    neurons, fan_out = np.array([4, 8, 2]), np.array([8, 2, 3])
    raised = rates.copy()
    raised[layer] = min(1, raised[layer] + more)
    before, after = (power_proxy(synops_per_step(r, neurons, fan_out), 14, 0.008) for r in (rates, raised))
    assert after >= before
