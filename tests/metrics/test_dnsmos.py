import librosa
import numpy as np
import pytest
from speechmos import dnsmos as reference

from ndns.errors import UserError
from ndns.metrics import dnsmos as module
from ndns.metrics.dnsmos import RATE, WINDOW, dnsmos, log_mel, window_starts

KEYS = ("ovrl_mos", "sig_mos", "bak_mos", "p808_mos")
TOLERANCE = 1e-4


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Harmonics under a syllable-like envelope, in noise: enough like speech to move every score."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    tone = sum(np.sin(k * pitch) / k for k in range(1, 20))
    envelope = np.maximum(0, np.sin(2 * np.pi * 3 * time + seed)) ** 2
    return (0.1 * tone * envelope + 0.003 * rng.standard_normal(len(time))).astype(np.float32)


def expected(samples: np.ndarray) -> list[float]:
    scores = reference.run(samples, RATE)
    return [float(scores[key]) for key in KEYS]


@pytest.mark.parametrize("samples", [WINDOW, 5 * RATE + 123, 3000, 12 * RATE + 1], ids=str)
def test_equals_the_reference_program(samples: int) -> None:
    clip = voice(13)[:samples]
    assert list(dnsmos(clip)) == pytest.approx(expected(clip), abs=TOLERANCE)


def test_equals_the_reference_program_on_real_speech(shared_data) -> None:
    files = sorted((shared_data / "speech_noise_mini" / "clean").glob("*.flac"))[:3]
    clip = np.concatenate([librosa.load(path, sr=RATE)[0] for path in files])[: 11 * RATE]
    noisy = clip + 0.01 * np.random.default_rng(0).standard_normal(len(clip)).astype(np.float32)
    clean_scores, noisy_scores = dnsmos(clip), dnsmos(noisy)
    assert list(noisy_scores) == pytest.approx(expected(noisy), abs=TOLERANCE)
    assert clean_scores.ovrl > noisy_scores.ovrl + 0.3


def test_judges_the_windows_that_the_reference_judges() -> None:
    """The reference's own slicing expression, evaluated for clips up to two minutes."""
    for seconds in range(10, 120):
        samples = seconds * RATE + 17
        hops = int(np.floor(samples / RATE) - 9.01) + 1
        lengths = [len(range(samples)[int(i * RATE) : int((i + 9.01) * RATE)]) for i in range(hops)]
        assert window_starts(samples) == [i for i, length in enumerate(lengths) if length >= int(9.01 * RATE)]
        assert window_starts(samples, every_window=True) == list(range(seconds - 9))


def test_every_window_counts_when_asked() -> None:
    """Windows 7 and 8 hold other sound than 0 to 6: only `every_window` hears the whole of it."""
    clip = np.concatenate([np.tile(voice(1), 15), 0.2 * np.random.default_rng(1).standard_normal(3 * RATE)])
    clip = np.clip(clip, -1, 1).astype(np.float32)
    whole = dnsmos(clip, every_window=True)
    each = [dnsmos(clip[i * RATE : i * RATE + WINDOW]) for i in range(9)]
    assert list(whole) == pytest.approx(np.mean(each, axis=0), abs=TOLERANCE)
    assert list(dnsmos(clip)) == pytest.approx(np.mean(each[:7], axis=0), abs=TOLERANCE)
    assert whole.bak < dnsmos(clip).bak - 0.05


def test_features_equal_librosa() -> None:
    clip = voice(3)
    mel = librosa.feature.melspectrogram(y=clip, sr=RATE, n_fft=321, hop_length=160, n_mels=120)
    assert log_mel(clip) == pytest.approx(((librosa.power_to_db(mel, ref=np.max) + 40) / 40).T, abs=1e-5)
    filters = module._mel_tables()[1].T
    assert filters == pytest.approx(librosa.filters.mel(sr=RATE, n_fft=321, n_mels=120), abs=1e-7)


def test_silence_gets_the_reference_s_number() -> None:
    silence = np.zeros(RATE, np.float32)
    assert list(dnsmos(silence)) == pytest.approx(expected(silence), abs=TOLERANCE)


@pytest.mark.parametrize(
    "bad", [np.full(RATE, 1.01), np.array([0.0, np.nan]), np.zeros(0), np.zeros((2, RATE))], ids=str
)
def test_refuses_what_the_networks_cannot_judge(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"outside|shape"):
        dnsmos(bad)


def test_refuses_another_model_file(monkeypatch, tmp_path) -> None:
    folder = tmp_path / "speechmos" / "dnsmos_models"
    folder.mkdir(parents=True)
    original = module.model_file("model_v8.onnx").read_bytes()
    (folder / "model_v8.onnx").write_bytes(original[:-1] + bytes([original[-1] ^ 1]))

    class Package:
        submodule_search_locations = (str(tmp_path / "speechmos"),)

    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: Package)
    with pytest.raises(UserError, match=r"model_v8\.onnx: not the published DNSMOS model"):
        module.model_file("model_v8.onnx")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install speechmos==0\.0\.1\.1"):
        module.model_file("model_v8.onnx")
