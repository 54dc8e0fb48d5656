"""Unusual recordings: each cell of the table in docs/metrics.md."""

import tracemalloc

import numpy as np
import pytest

from ndns.config import Score
from ndns.metrics.dnsmos import dnsmos
from ndns.metrics.si_snr import si_snr
from ndns.score.clip import measure

RATE = 16_000
MOS = ("ovrl", "sig", "bak", "p808")
GAINS = ("si_snri_data", "si_snri_encdec")
LATE = 320


def voice(samples: int) -> np.ndarray:
    """Harmonics in syllables: every metric takes it for speech."""
    time = np.arange(samples) / RATE
    phase = 2 * np.pi * np.cumsum(130 + 25 * np.sin(2 * np.pi * 0.8 * time)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 18))
    return 0.08 * tone * np.maximum(0, np.sin(2 * np.pi * 2.5 * time)) ** 2


CLEAN = voice(3 * RATE)
NOISE = 0.02 * np.random.default_rng(1).standard_normal(len(CLEAN))
NOISY, DENOISED = CLEAN + NOISE, CLEAN + 0.02 * NOISE


def row(denoised=DENOISED, clean=CLEAN, **settings) -> dict[str, float | None]:
    return measure(denoised, clean, NOISY[: len(clean)], Score(**settings))


@pytest.fixture(scope="module")
def usual() -> dict[str, float | None]:
    found = row()
    assert None not in found.values()
    assert found["delay_samples"] == 0
    assert found["si_snr_aligned"] == found["si_snr"]
    assert found["si_snri_data"] == pytest.approx(20 * np.log10(50), abs=0.2)
    return found


def test_silent_clean_leaves_what_needs_a_reference_empty(usual) -> None:
    found = row(clean=0 * CLEAN)
    assert [found[name] for name in ("si_snr", *GAINS, "si_snr_aligned", "delay_samples", "pesq", "estoi")] == [
        None
    ] * 7
    assert [found[name] for name in MOS] == pytest.approx([usual[name] for name in MOS], abs=1e-6)


def test_silent_denoised_is_as_bad_as_it_gets(usual) -> None:
    found = row(denoised=0 * CLEAN)
    assert (found["si_snr"], found["si_snr_aligned"]) == pytest.approx((-80, -80))
    assert found["delay_samples"] == 0
    assert found["si_snri_data"] == pytest.approx(-80 - si_snr(NOISY, CLEAN))
    assert (found["pesq"], found["estoi"]) == (None, 0)
    assert 1 <= found["ovrl"] < usual["ovrl"]


@pytest.mark.parametrize("factor", [0.2, -1.0])
def test_level_and_sign_change_only_what_listens_to_level(usual, factor) -> None:
    found = row(denoised=factor * DENOISED, dnsmos=factor > 0)
    for name in ("si_snr", *GAINS, "si_snr_aligned"):
        assert found[name] == pytest.approx(usual[name], abs=1e-3)
    assert found["delay_samples"] == 0
    assert found["pesq"] == pytest.approx(usual["pesq"], abs=0.02)
    assert found["estoi"] == pytest.approx(usual["estoi"], abs=1e-6)
    if factor > 0:
        assert [found[name] for name in MOS] == pytest.approx(list(dnsmos(factor * DENOISED)), abs=1e-6)


def test_clipping_counts_as_distortion(usual) -> None:
    found = row(denoised=np.clip(20 * DENOISED, -1, 1), dnsmos=False)
    assert found["si_snr"] < usual["si_snr"] - 3
    assert found["si_snr_aligned"] < usual["si_snr"] - 3
    assert found["pesq"] < usual["pesq"] - 0.2
    assert found["estoi"] < usual["estoi"]


def test_beyond_full_scale_is_limited_for_dnsmos_alone(usual) -> None:
    loud = 20 * DENOISED
    assert np.abs(loud).max() > 1.5
    found = row(denoised=loud)
    assert found["si_snr"] == pytest.approx(usual["si_snr"], abs=1e-3)
    assert [found[name] for name in MOS] == pytest.approx(list(dnsmos(np.clip(loud, -1, 1))), abs=1e-6)


def test_a_delay_has_a_column_of_its_own(usual) -> None:
    found = row(denoised=np.concatenate([np.zeros(LATE), DENOISED[:-LATE]]), dnsmos=False)
    assert found["delay_samples"] == LATE
    assert found["si_snr_aligned"] == pytest.approx(usual["si_snr"], abs=0.3)
    assert found["si_snr"] < usual["si_snr"] - 10
    assert found["si_snri_data"] == pytest.approx(found["si_snr"] - si_snr(NOISY, CLEAN)), "gains know no alignment"
    assert found["pesq"] == pytest.approx(usual["pesq"], abs=0.15)
    assert found["estoi"] < usual["estoi"] - 0.02


def test_a_very_short_clip_has_no_pesq_and_no_estoi() -> None:
    short = slice(RATE // 2, RATE // 2 + 3200)
    found = row(denoised=DENOISED[short], clean=CLEAN[short], dnsmos=False)
    assert (found["pesq"], found["estoi"]) == (None, None)
    assert found["si_snr"] == pytest.approx(si_snr(DENOISED[short], CLEAN[short]))


def test_memory_grows_slowly_with_the_length() -> None:
    rng = np.random.default_rng(0)
    settings = Score(dnsmos=False, pesq=False)

    def peak(minutes: int) -> int:
        clean = rng.standard_normal(minutes * 60 * 16_000, dtype=np.float32) / 10
        noisy = clean + rng.standard_normal(len(clean), dtype=np.float32) / 50
        tracemalloc.start()
        row = measure(noisy, clean, noisy, settings)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert row["estoi"] > 0.9
        assert row["delay_samples"] == 0
        return held

    measure(np.ones(16_000), np.ones(16_000), None, settings)  # what is imported is not counted
    assert peak(3) - peak(1) < 2 * 50e6
