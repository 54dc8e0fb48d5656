import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ndns.metrics.stats import Mean, band, breakdown, by_condition, mean_interval, paired, sign_flip_p


def test_interval_agrees_with_scipy_s_bootstrap() -> None:
    values = np.random.default_rng(0).gamma(2, 3, 80)
    reference = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", random_state=1
    ).confidence_interval
    mean = mean_interval(values)
    assert mean.mean == pytest.approx(values.mean())
    assert (mean.low, mean.high) == pytest.approx(tuple(reference), abs=0.1)
    assert mean_interval(values) == mean
    assert mean_interval(values, seed=1) != mean


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    intervals = [mean_interval(rng.normal(5, 2, 40), resamples=400) for _ in range(200)]
    covered = np.mean([interval.low <= 5 <= interval.high for interval in intervals])
    assert 0.88 < covered < 0.99


def test_undefined_scores_are_left_out() -> None:
    assert mean_interval([None, float("nan")]) == Mean(0, None)
    assert mean_interval([2.0, None]) == Mean(1, 2.0)
    assert mean_interval([1.0, 3.0, None]).mean == 2
    result = paired([1.0, None, 3.0, 4.0], [2.0, 5.0, None, 6.0])
    assert (result.first.mean, result.second.mean, result.difference.mean) == (2.5, 4.0, 1.5)
    assert result.difference.clips == 2
    assert paired([None], [1.0]).p_value is None


@pytest.mark.parametrize("clips", [6, 13, 40])
def test_p_value_agrees_with_scipy_s_permutation_test(clips: int) -> None:
    differences = np.random.default_rng(clips).normal(0.3, 1, clips)
    reference = scipy_stats.permutation_test(
        (differences, np.zeros(clips)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        random_state=0,
    )
    tolerance = 1e-12 if clips <= 13 else 0.02
    assert sign_flip_p(differences) == pytest.approx(reference.pvalue, abs=tolerance)


def test_p_value_separates_a_real_difference_from_none() -> None:
    rng = np.random.default_rng(3)
    first = rng.normal(10, 3, 60)
    assert paired(first, first + rng.normal(0.5, 0.5, 60)).p_value == pytest.approx(1 / 10_001)
    assert paired(first, first + rng.normal(0, 0.5, 60)).p_value > 0.05
    assert paired(first, first).p_value == 1


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_order_of_the_systems_turns_the_sign_only(values: list[float]) -> None:
    other = [value / 2 + 1 for value in values]
    there, back = paired(values, other), paired(other, values)
    assert there.difference.mean == pytest.approx(-back.difference.mean)
    assert there.p_value == back.p_value
    assert 0 < there.p_value <= 1


def test_breakdown_by_condition() -> None:
    rows = [
        {"snr_db": 7.0, "level_dbfs": -20.0, "noise_label": "wind", "si_snr": 4.0},
        {"snr_db": -5.0, "level_dbfs": -20.1, "noise_label": "engine", "si_snr": 1.0},
        {"snr_db": -0.1, "level_dbfs": None, "noise_label": "", "si_snr": 2.0},
        {"snr_db": 5.0, "level_dbfs": -16.0, "noise_label": "wind", "si_snr": None},
    ]
    result = by_condition(rows, "si_snr")
    assert {key: (mean.clips, mean.mean) for key, mean in result["snr_db"].items()} == {
        "-5 to 0": (2, 1.5),
        "5 to 10": (1, 4.0),
    }
    assert list(result["level_dbfs"]) == ["-25 to -20", "-20 to -15"]
    assert {key: mean.mean for key, mean in result["noise_label"].items()} == {"engine": 1.0, "wind": 4.0}


@given(st.floats(-200, 200, allow_subnormal=False), st.sampled_from([1.0, 2.5, 5.0]))
def test_a_band_holds_its_value(value: float, width: float) -> None:
    low, high = map(float, band(value, width).split(" to "))
    assert low <= value < high
    assert not band(-abs(value) * 0, width).startswith("-")


def test_groups_keep_the_order_of_their_first_row() -> None:
    groups = breakdown(["b", "a", "b"], str, lambda row: 1.0)
    assert [(name, mean.clips) for name, mean in groups.items()] == [("b", 2), ("a", 1)]


def test_pairing_refuses_different_counts() -> None:
    with pytest.raises(ValueError, match="3 and 2 clips"):
        paired([1, 2, 3], [1, 2])
