"""A small study in the file formats of docs/architecture.md, made without the other stages."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ndns.audio.io import RATE, read, to_pcm16, write_pcm16
from ndns.board.inputs import CONDITIONS, Evidence, pairs, read_evidence
from ndns.metrics.si_snr import si_snr

LAYERS = {"input": (257, 512), "hidden1": (512, 512), "hidden2": (512, 257)}
QUALITY = ["si_snr", "si_snri_data", "si_snri_encdec", "si_snr_aligned", "ovrl", "sig", "bak", "p808", "pesq", "estoi"]


@dataclass
class Files:
    """Where the study lies and the command line options that name its files."""

    root: Path
    runs: list[str]

    def evidence(self) -> Evidence:
        """What the report is made of."""
        options = self.options()
        named = {
            key: pairs(key, [options[i + 1] for i, option in enumerate(options) if option == key])
            for key in ("--scores", "--costs", "--deployed", "--histories")
        }
        return read_evidence("toy", self.root / "mix/val.csv", *named.values())

    def options(self) -> list[str]:
        """Options of `ndns board run` without --out and --settings."""
        options = ["--study-name", "toy", "--mix", str(self.root / "mix/val.csv")]
        for name in ["noisy", *self.runs]:
            options += ["--scores", f"{name}={self.root}/score/{name}/scores.csv"]
        for name in self.runs:
            options += ["--costs", f"{name}={self.root}/cost/{name}/cost.json"]
            options += ["--deployed", f"{name}={self.root}/deploy/{name}/manifest.csv"]
            if (self.root / "train" / name).exists():
                options += ["--histories", f"{name}={self.root}/train/{name}/history.csv"]
            if (self.root / "quantize" / name).exists():
                options += ["--programs", f"{name}={self.root}/quantize/{name}/program.net"]
        return options


def rows_to(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def voice(generator: np.random.Generator, samples: int) -> np.ndarray:
    """A buzz with vibrato and syllables: something that looks like speech in a spectrogram."""
    t = np.arange(samples) / RATE
    pitch = 120 + 60 * generator.random() + 10 * np.sin(2 * np.pi * 3 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 25))
    return buzz * np.clip(np.sin(2 * np.pi * 2.1 * t + generator.random() * 6), 0, 1)


def build(root: Path, clips: int = 6, seconds: float = 1.5, speech: list[Path] = (), noise: list[Path] = ()) -> Files:
    """Write mix, deploy, score, cost and train files of two runs: one trained, one imported."""
    generator = np.random.Generator(np.random.PCG64(7))
    files = Files(root, ["sdnn-seed1", "intel_sdnn"])
    shares = {"sdnn-seed1": 0.55, "intel_sdnn": 0.75}
    mix, scores, deployed = [], {name: [] for name in ["noisy", *files.runs]}, {name: [] for name in files.runs}
    for index in range(clips):
        clip, samples = f"val_{index:05d}", int(seconds * RATE)
        clean = read(speech[index])[:samples] if speech else voice(generator, samples)
        dirt = np.resize(read(noise[index]), samples) if noise else generator.standard_normal(samples)
        clean = np.resize(clean, samples).astype(float)
        snr = -5 + 25 * (index + 0.5) / clips
        clean *= 0.03 / clean.std()
        dirt = dirt / dirt.std() * 0.03 * 10 ** (-snr / 20)
        sounds = {"noisy": clean + dirt, "clean": clean, "noise": dirt}
        for kind, sound in sounds.items():
            write_pcm16(root / f"mix/val/{kind}/{clip}.flac", to_pcm16(np.clip(sound, -1, 0.99)))
        row = {"clip": clip, **{kind: f"val/{kind}/{clip}.flac" for kind in sounds}, "seconds": seconds}
        mix.append(
            {
                **row,
                "snr_db": snr,
                "level_dbfs": -28,
                "speaker": "a",
                "noise_label": ["fan", "rain & <b>wind</b>"][index % 2],
            }
        )
        before = float(si_snr(sounds["noisy"], clean))
        for name, share in {"noisy": 1.0, **shares}.items():
            output = (
                clean * (1 if name == "noisy" else 0.97)
                + dirt * share
                + 0.002 * generator.standard_normal(samples) * (share < 1)
            )
            if name != "noisy":
                write_pcm16(root / f"deploy/{name}/clips/{clip}.flac", to_pcm16(np.clip(output, -1, 0.99)))
                deployed[name].append(
                    {"clip": clip, "denoised": f"clips/{clip}.flac", "sha256": "0", "removed_delay_samples": 512}
                )
            after = float(si_snr(output, clean))
            quality = dict.fromkeys(QUALITY, "") | {
                "si_snr": after,
                "si_snri_data": after - before,
                "si_snri_encdec": after - before,
                "si_snr_aligned": after,
            }
            quality |= {
                "ovrl": 3 - share,
                "sig": 3.4 - share,
                "bak": 4 - 2 * share,
                "p808": 3.1 - share / 2,
                "estoi": 0.9 - share / 3,
            }
            scores[name].append({"clip": clip, **{key: mix[-1][key] for key in CONDITIONS}, **quality})
    rows_to(root / "mix/val.csv", mix)
    for name, rows in scores.items():
        rows_to(root / f"score/{name}/scores.csv", rows)
    for number, (name, rows) in enumerate(deployed.items()):
        rows_to(root / f"deploy/{name}/manifest.csv", rows)
        _activity(root, name, [row["clip"] for row in rows], int(seconds * 125) + 3, number)
    rows_to(
        root / "train/sdnn-seed1/history.csv",
        [
            {"epoch": epoch, "train_loss": 96 - 4 * (1 - 0.7**epoch), "val_loss": 97 - 4 * (1 - 0.75**epoch)}
            | {"train_si_snr": 4 + 4 * (1 - 0.7**epoch), "val_si_snr": 3.5 + 4 * (1 - 0.75**epoch)}
            for epoch in range(1, 9)
        ],
    )
    return files


def _activity(root: Path, name: str, clips: list[str], steps: int, number: int) -> None:
    generator = np.random.Generator(np.random.PCG64(number))
    wave = 0.2 + 0.1 * np.sin(np.arange(steps * len(clips)) / 40)
    events = np.array(
        [generator.binomial(n, wave * (0.8 - 0.2 * number) / (k + 1)) for k, (n, _) in enumerate(LAYERS.values())]
    )
    np.savez(
        root / f"deploy/{name}/activity.npz",
        layers=np.array(list(LAYERS)),
        clips=np.array(clips),
        steps=np.full(len(clips), steps),
        events_per_step=events.astype(np.int32),
    )
    cost = {
        "layers": [{"name": k, "neurons": n, "fan_out": f, "event_rate": 0.1} for k, (n, f) in LAYERS.items()],
        "power_proxy_ops_s": 14.5e6 - 3e6 * number,
        "power_proxy_events_ops_s": 9.25e6 - 2e6 * number,
        "pdp_proxy_ops": 0.465e6,
        "parameters": 526336,
        "size_kb": 465.56,
        "latency": {"buffer_ms": 32.0, "encdec_ms": 0.02, "network_ms": 0.0, "total_ms": 32.02, "pipeline_ms": 40.02},
        "step_s": 0.008,
        "loihi2": {"grid": {"columns": 8, "rows": 4, "cores": 120, "cores_per_router": 4}}
        | {"scenarios": {"scaled": _scenario(number)}},
    }
    (root / f"cost/{name}").mkdir(parents=True)
    (root / f"cost/{name}/cost.json").write_text(json.dumps(cost))
    (root / f"quantize/{name}").mkdir(parents=True)
    (root / f"quantize/{name}/program.net").write_bytes(b"integers")


def _scenario(number: int) -> dict:
    ends = {
        end: {
            "step_s": {"mean": 4e-6 * factor, "worst": 9e-6 * factor},
            "dynamic_step_j": 1.5e-6 * factor,
            "real_time": {"power_w": 0.1 * factor},
            "keeps_real_time": number == 0,
        }
        for end, factor in {"low": 1, "value": 2, "high": 5}.items()
    }
    layers = [("input", 40), ("hidden1", 30), ("hidden2", 20 + number)]
    placement = [
        {
            "population": name,
            "neurons": [5 * index, 5 * index + 5],
            "load": (index + 1) / cores,
        }
        for name, cores in layers
        for index in range(cores)
    ]
    for index, core in enumerate(placement):
        core["router"] = [index // 16, index // 4 % 4]
    return {"title": "constants & ranges", "cores": len(placement), "placement": placement, **ends}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The report of such a study, rendered once a module."""
    from ndns.board.cli import app

    files = build(tmp_path_factory.mktemp("report") / "toy")
    app(["run", *files.options(), "--out", str(files.root / "board")], standalone_mode=False)
    return files.root / "board" / "report.html"


@pytest.fixture
def study(tmp_path) -> Files:
    """A fresh study of 6 clips of 1.5 s (one noise label holds HTML) with runs sdnn-seed1 and intel_sdnn."""
    return build(tmp_path / "toy")


@pytest.fixture
def evidence(study):
    return study.evidence()
