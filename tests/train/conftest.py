"""A tiny mixture in the mix stage's format: tones that beat in noise of low frequency."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from ndns.audio.io import RATE, limit_to_pcm16, pcm_sha256, write_pcm16
from ndns.files import write_csv
from ndns.train.learner import Chronicle

FILES = ["noisy", "clean", "noise"]
COLUMNS = ["clip", *FILES, "seconds", "snr_db", "level_dbfs", "speaker", "noise_label", *(f"{n}_sha256" for n in FILES)]


def write_mix(folder: Path, split: str, clips: int, seconds: float) -> Path:
    """Write clips and the manifest `<folder>/<split>.csv`; return its path."""
    rows = []
    for index in range(clips):
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([len(split), index])))
        time = np.arange(round(seconds * RATE)) / RATE
        clean = 0.2 * np.sin(2 * np.pi * generator.uniform(200, 1500) * time) * np.sin(2 * np.pi * 2 * time) ** 2
        noise = 0.1 * np.cumsum(generator.normal(0, 0.05, len(time)))
        noise -= np.convolve(noise, np.ones(400) / 400, mode="same")
        parts = {"clean": clean, "noise": noise, "noisy": clean + noise}
        row = {"clip": f"{split}_{index:05}", "seconds": seconds, "snr_db": 5, "level_dbfs": -20}
        row |= {"speaker": "tone", "noise_label": "drift"}
        for name, samples in parts.items():
            pcm, _ = limit_to_pcm16(samples)
            row[name] = f"{split}/{name}/{row['clip']}.flac"
            row[f"{name}_sha256"] = pcm_sha256(pcm)
            write_pcm16(folder / row[name], pcm)
        rows.append(row)
    write_csv(folder / f"{split}.csv", rows, COLUMNS)
    return folder / f"{split}.csv"


@pytest.fixture(scope="session")
def mix(tmp_path_factory) -> Path:
    """Folder with train.csv (8 clips) and val.csv (3 clips) of one second."""
    folder = tmp_path_factory.mktemp("mix")
    write_mix(folder, "train", 8, 1.0)
    write_mix(folder, "val", 3, 1.0)
    return folder


CORPUS_COLUMNS = ["path", "kind", "label", "split", "seconds", "rate", "channels", "licence", "sha256", "status"]


def write_corpus(folder: Path, recordings: dict[str, np.ndarray]) -> Path:
    """Write recordings, named `<split>/<kind>/<label>.flac`, and their manifest in the corpus stage's format."""
    rows = []
    for path, samples in recordings.items():
        split, kind, name = path.split("/")
        pcm, _ = limit_to_pcm16(samples)
        write_pcm16(folder / path, pcm)
        row = {"path": path, "kind": kind, "label": name.removesuffix(".flac"), "split": split, "rate": RATE}
        row |= {"seconds": len(pcm) / RATE, "channels": 1, "licence": "CC0-1.0", "sha256": pcm_sha256(pcm)}
        rows.append(row | {"status": "ok"})
    write_csv(folder / "manifest.csv", rows, CORPUS_COLUMNS)
    (folder / "manifest.json").write_text(json.dumps({"root": str(folder), "kind": "folder"}))
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def corpora(tmp_path_factory) -> list[Path]:
    """Manifests of a small corpus with both splits, and of a further one with a recording and labels of its val."""
    rng = np.random.Generator(np.random.PCG64(8))
    time = np.arange(RATE) / RATE

    def voice(seconds: float, pitch: float) -> np.ndarray:
        at = np.arange(round(seconds * RATE)) / RATE
        return 0.2 * np.sin(2 * np.pi * pitch * at) * (np.sin(2 * np.pi * 1.7 * at) > -0.3)

    first = {f"train/speech/voice{index}.flac": voice(0.8 + index, 180 + 60 * index) for index in range(3)}
    first |= {f"train/noise/hiss{index}.flac": 0.1 * rng.standard_normal(RATE * (index + 1)) for index in range(2)}
    first |= {
        "val/speech/hidden.flac": voice(1.0, 777.0),
        "val/noise/typing.flac": 0.1 * np.sin(2 * np.pi * 3000 * time),
    }
    further = {"train/speech/other.flac": voice(1.5, 333.0), "train/speech/copy.flac": first["val/speech/hidden.flac"]}
    further |= {
        "train/speech/hidden.flac": voice(1.2, 555.0),
        "train/noise/typing.flac": 0.1 * np.sin(2 * np.pi * 2000 * time),
    }
    folder = tmp_path_factory.mktemp("corpora")
    return [write_corpus(folder / "first", first), write_corpus(folder / "further", further)]


@pytest.fixture
def power_cut(monkeypatch) -> Callable[[], AbstractContextManager]:
    """A block whose training run has to end, by an exception, after its second epoch was saved."""

    @contextmanager
    def block():
        save = Chronicle.on_train_epoch_end

        def interrupted(chronicle, trainer, learner):
            save(chronicle, trainer, learner)
            if trainer.current_epoch == 1:
                raise RuntimeError("power cut")

        with monkeypatch.context() as patch:
            patch.setattr(Chronicle, "on_train_epoch_end", interrupted)
            with pytest.raises(RuntimeError, match="power cut"):
                yield

    return block
