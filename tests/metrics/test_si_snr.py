import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_noise_ratio

from ndns.metrics import si_snr as module
from ndns.metrics.si_snr import aligned, delay, si_snr, si_snr_aligned, si_snr_improvement


def signals(seed: int, samples: int = 4000, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.standard_normal(samples)
    return target + noise * rng.standard_normal(samples), target


def challenge_formula(estimate: np.ndarray, target: np.ndarray) -> float:
    """The challenge's own lines, sample by sample in float64: guards of 1e-8 in the quotient and the logarithm only."""
    target, estimate = target - target.mean(), estimate - estimate.mean()
    projection = sum(map(float.__mul__, target.tolist(), estimate.tolist())) * target / (target**2).sum()
    noise = estimate - projection
    return 10 * np.log10((projection**2).sum() / ((noise**2).sum() + 1e-8) + 1e-8)


def geometry(estimate: np.ndarray, target: np.ndarray) -> float:
    """SI-SNR from the geometry: the ratio is the squared cotangent of the angle between the centred signals."""
    cosine = np.corrcoef(estimate, target)[0, 1]
    return 10 * np.log10(cosine**2 / (1 - cosine**2))


@given(st.integers(0, 1000), st.floats(0.01, 10))
@settings(max_examples=25, deadline=None)
def test_equals_torchmetrics_the_challenge_and_the_correlation_coefficient(seed: int, noise: float) -> None:
    estimate, target = signals(seed, noise=noise)
    value = si_snr(estimate, target)
    reference = scale_invariant_signal_noise_ratio(torch.tensor(estimate), torch.tensor(target))
    # The guards of 1e-8 sit at different places in the three; they show where little correlates.
    tolerance = 1e-4 if value > -25 else 1e-2
    assert value == pytest.approx(float(reference), abs=tolerance)
    assert value == pytest.approx(geometry(estimate, target), abs=tolerance)
    assert value == pytest.approx(challenge_formula(estimate, target), abs=1e-6)


@given(st.floats(0.05, 100), st.floats(-10, 10), st.floats(0.05, 100), st.floats(-10, 10), st.booleans())
@settings(max_examples=25, deadline=None)
def test_scale_offset_and_sign_do_not_matter(a: float, b: float, c: float, d: float, negative: bool) -> None:
    estimate, target = signals(1)
    sign = -1 if negative else 1
    assert si_snr(sign * a * estimate + b, c * target + d) == pytest.approx(si_snr(estimate, target), abs=1e-4)


def test_float32_stays_within_a_thousandth_of_a_decibel() -> None:
    estimate, target = signals(2, samples=480_000)
    assert si_snr(estimate.astype(np.float32), target.astype(np.float32)) == pytest.approx(
        si_snr(estimate, target), abs=1e-3
    )


def test_torch_gives_the_same_values_by_batch_and_a_gradient() -> None:
    pairs = [signals(seed) for seed in range(3)]
    estimate = torch.tensor(np.stack([pair[0] for pair in pairs]), requires_grad=True)
    target = torch.tensor(np.stack([pair[1] for pair in pairs]))
    values = si_snr(estimate, target)
    assert values.detach().numpy() == pytest.approx([si_snr(*pair) for pair in pairs], abs=1e-9)
    values.sum().backward()
    step = estimate.detach() + 1e-2 * estimate.grad / estimate.grad.norm()
    assert (si_snr(step, target) > values.detach()).all()


def test_special_signals_have_the_documented_answers() -> None:
    estimate, target = signals(3)
    silence = np.zeros_like(target)
    assert si_snr(silence, target) == pytest.approx(-80)
    assert si_snr(estimate, silence) == pytest.approx(-80)
    assert si_snr(target, target) > 100
    assert np.isnan(si_snr(np.where(target > 3, np.nan, target), target))
    assert si_snr(np.clip(target, -1, 1), target) < 15
    assert si_snr(np.roll(target, 1), target) < -10
    with pytest.raises(ValueError, match="4000 samples, target 3999"):
        si_snr(estimate, target[:-1])


def test_improvement_is_zero_for_the_input_and_positive_for_less_noise() -> None:
    noisy, target = signals(4)
    better = target + 0.1 * (noisy - target)
    assert si_snr_improvement(noisy, noisy, target) == 0
    assert si_snr_improvement(better, noisy, target) == pytest.approx(20, abs=0.2)


@given(st.integers(-300, 300))
@settings(max_examples=25, deadline=None)
def test_a_delay_is_found_and_removed(lag: int) -> None:
    rng = np.random.default_rng(5)
    long = rng.standard_normal(5000)
    target, estimate = long[500:4500], 0.5 * long[500 - lag : 4500 - lag] + 0.1 * rng.standard_normal(4000)
    value, found = si_snr_aligned(-estimate, target)
    assert found == lag
    assert value == pytest.approx(20 * np.log10(0.5 / 0.1), abs=0.3)
    first, second = aligned(estimate, target, lag)
    assert len(first) == len(second) == 4000 - abs(lag)
    if lag:
        assert si_snr(estimate, target) < value - 10


def test_delay_agrees_with_a_direct_search_and_silence_has_none() -> None:
    estimate, target = signals(6, samples=300)
    estimate = np.roll(estimate, -7)
    products = {lag: abs(np.dot(*aligned(estimate, target, lag))) for lag in range(-50, 51)}
    assert delay(estimate, target, limit=50) == max(products, key=products.get) == -7
    assert delay(np.zeros(300), target) == 0


@pytest.mark.parametrize("lag", [-90, -7, 0, 3, 100])
@pytest.mark.parametrize("more", [-120, 0, 40])
def test_delay_in_blocks_agrees_with_a_direct_search(monkeypatch, lag: int, more: int) -> None:
    monkeypatch.setattr(module, "BLOCK", 64)
    long = np.random.default_rng(7).standard_normal(900)
    target, estimate = long[200:600], long[200 - lag : 600 - lag + more] + 0.3
    products = {shift: abs(np.dot(*aligned(estimate, target, shift))) for shift in range(-150, 151)}
    assert delay(estimate, target, limit=150) == max(products, key=products.get) == lag
