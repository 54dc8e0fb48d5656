"""A small corpus as the corpus stage leaves it: speech-like and noise recordings of several rates, and its manifest."""

import csv
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

COLUMNS = ["path", "kind", "label", "split", "seconds", "rate", "channels", "licence", "sha256", "status"]


def speech_like(rng, rate, seconds):
    """Harmonic syllables with pauses between them, `(samples,)`."""
    time = np.arange(int(rate * seconds)) / rate
    pitch = rng.uniform(90, 220)
    voiced = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 9))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time + rng.uniform(0, 6)), 0, None) ** 2
    return 0.15 * voiced * syllables


def noise_like(rng, rate, seconds):
    """White noise with a slow swell, `(samples,)`."""
    time = np.arange(int(rate * seconds)) / rate
    return 0.1 * rng.standard_normal(len(time)) * (1 + 0.5 * np.sin(2 * np.pi * 0.7 * time))


@dataclass
class Corpus:
    """A corpus under construction: `add` recordings, then `save`."""

    folder: Path
    rows: list[dict] = field(default_factory=list)

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.csv"

    def add(self, path, kind, label, split, samples, rate=16_000, status="ok"):
        """Write float samples `(samples,)` or `(samples, channels)` as PCM16."""
        file = self.folder / "audio" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pcm = np.rint(np.asarray(samples) * 32767).astype("<i2")
        soundfile.write(file, pcm, rate, subtype="PCM_16")
        values = [path, kind, label, split, len(pcm) / rate, rate, 1 if pcm.ndim == 1 else pcm.shape[1], "CC0"]
        sha256 = hashlib.sha256(pcm.tobytes()).hexdigest()
        self.rows.append(dict(zip(COLUMNS, [*values, sha256, status], strict=True)))

    def save(self):
        with open(self.manifest, "w", newline="") as handle:
            writer = csv.DictWriter(handle, COLUMNS)
            writer.writeheader()
            writer.writerows(sorted(self.rows, key=lambda row: row["path"]))
        about = {"root": str(self.folder / "audio"), "kind": "folder", "recordings": len(self.rows), "skipped": {}}
        self.manifest.with_suffix(".json").write_text(json.dumps(about))
        return self


def build(folder: Path) -> Corpus:
    """Five speakers and five noise types; 16 kHz mono, 44.1 kHz stereo, 8 kHz and 48 kHz."""
    corpus, rng = Corpus(folder), np.random.default_rng(5)
    rates = {"anna": 16_000, "ben": 44_100, "cleo": 8_000, "dora": 16_000, "emil": 48_000}
    for speaker, rate in rates.items():
        split = "val" if speaker in ("dora", "emil") else "train"
        for take, seconds in enumerate((0.7, 1.3, 4.1)):
            samples = speech_like(rng, rate, seconds)
            if rate == 44_100:
                samples = np.stack([samples, 0.5 * samples], axis=1)
            corpus.add(f"{speaker}/{take}.flac", "speech", speaker, split, samples, rate)
    kinds = {"hiss": 16_000, "rain": 44_100, "fan": 16_000, "wind": 16_000, "street": 44_100}
    for noise, rate in kinds.items():
        split = "val" if noise in ("wind", "street") else "train"
        for take, seconds in enumerate((0.9, 5.3)):
            samples = noise_like(rng, rate, seconds)
            if rate == 44_100:
                samples = np.stack([samples, noise_like(rng, rate, seconds)], axis=1)
            corpus.add(f"noise/{noise}{take}.wav", "noise", noise, split, samples, rate)
    corpus.add("noise/broken.wav", "noise", "hum", "val", np.zeros(16_000), status="silent")
    return corpus.save()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    """The corpus of `build`; tests must leave it as it is."""
    return build(tmp_path_factory.mktemp("corpus"))
