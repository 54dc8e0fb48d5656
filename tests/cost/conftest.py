"""A small run as `ndns deploy` leaves it: a random program of 257-24-16-257 neurons on three short clips."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ndns.audio.io import limit_to_pcm16, write_pcm16
from ndns.loihi2 import netx
from ndns.loihi2.denoiser import Denoiser
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta, Synapse
from ndns.loihi2.program import Program

SIZES = (257, 24, 16, 257)


@dataclass(frozen=True)
class Run:
    """Files of one run, and the program in them."""

    program: Program
    net: Path
    activity: Path
    mix: Path
    denoised: Path

    def options(self) -> list[str]:
        """Return the options of `ndns cost run` but for --out."""
        paths = {"--activity": self.activity, "--mix": self.mix, "--denoised": self.denoised}
        return [str(self.net), *(text for pair in paths.items() for text in map(str, pair))]


def small_program(mask_delay: int = 2) -> Program:
    """Return a program with delays and zero weights."""
    generator = np.random.default_rng(5)
    nodes, names = [Delta(SIZES[0], 6)], ["input"]
    for index in (1, 2, 3):
        weight = 2 * generator.integers(-20, 21, (SIZES[index], SIZES[index - 1]))
        weight[generator.random(weight.shape) < 0.3] = 0
        last = index == 3
        delay = None if last else generator.integers(0, 9, SIZES[index])
        nodes += [Synapse(weight, delay), Sigma(SIZES[index]) if last else SigmaDelta(SIZES[index], 6)]
        names += [f"fc{index}", "output" if last else f"hidden{index}"]
    return Program(tuple(nodes), tuple(names), mask_delay=mask_delay)


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def make(root: Path, program: Program) -> Run:
    generator = np.random.default_rng(7)
    denoiser = Denoiser(program, record=True)
    activities, mixed, made = [], [], []
    for index, samples in enumerate((8000, 8000, 14_000)):
        clip = f"val_{index:05d}"
        tone = np.sin(np.arange(samples) * (0.03 + 0.02 * index)) * 0.2
        noisy, _ = limit_to_pcm16(tone + generator.normal(0, 0.05, samples))
        denoised, _ = limit_to_pcm16(denoiser.denoise(noisy / 32768))
        write_pcm16(root / f"noisy/{clip}.flac", noisy)
        write_pcm16(root / f"clips/{clip}.flac", denoised)
        activities.append(denoiser.activity())
        mixed.append({"clip": clip, "noisy": f"noisy/{clip}.flac"})
        made.append({"clip": clip, "denoised": f"clips/{clip}.flac"})
    events = np.concatenate([a.events_per_step for a in activities], axis=1)
    synops = np.concatenate([a.synops_per_step for a in activities], axis=1)
    np.savez(
        root / "activity.npz",
        layers=np.array(activities[0].layers),
        clips=np.array([row["clip"] for row in mixed]),
        steps=np.array([a.events_per_step.shape[1] for a in activities]),
        events=np.array([a.events_per_step.sum(axis=1) for a in activities]),
        synops=np.array([a.synops_per_step.sum(axis=1) for a in activities]),
        events_per_step=events,
        synops_per_step=synops,
    )
    write_rows(root / "val.csv", mixed)
    write_rows(root / "manifest.csv", made)
    netx.write(root / "program.net", program)
    return Run(program, root / "program.net", root / "activity.npz", root / "val.csv", root / "manifest.csv")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Run:
    """Return a finished run."""
    return make(tmp_path_factory.mktemp("cost"), small_program())


@pytest.fixture
def changed_activity(small_run, tmp_path) -> Callable[..., Path]:
    """Return a function that writes a copy of the activity with some arrays replaced."""

    def write(**changes: np.ndarray) -> Path:
        with np.load(small_run.activity) as file:
            arrays = {key: file[key] for key in file.files}
        np.savez(tmp_path / "activity.npz", **(arrays | changes))
        return tmp_path / "activity.npz"

    return write
