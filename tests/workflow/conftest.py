"""A study small enough to run for real in a test."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STUDY = """
study: tiny
corpus: {kind: speak, name: few, voices: 5, utterances: 2, noises: [pink, traffic, typing, babble],
         val_noises: [typing], noise_clips: 2, noise_seconds: 4.0}
mix: {train_clips: 6, val_clips: 3, seconds: 3.0, shard_clips: 4}
models:
  sdnn: {network: {hidden: 32}, train: {epochs: 2, batch: 3, threads: 1}, seeds: [1]}
"""


@dataclass
class Workspace:
    """A folder in which the repository's Snakefile runs."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        """The Snakemake call for the study in this folder."""
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        profile = ["--workflow-profile", str(REPOSITORY / "profiles" / "default")]
        here = ["--directory", str(self.folder), "--configfile", str(self.folder / "study.yaml"), "--cores", "2"]
        return [*snakemake, *profile, *here, *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Run in the background, in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill -9 everything that `start` started."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def configure(self, old: str, new: str) -> None:
        """Replace text in the study's configuration."""
        path = self.folder / "study.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workspace:
    """The tiny study, run to its end once a test session; tests must leave it as it is."""
    workspace = Workspace(tmp_path_factory.mktemp("tiny"))
    (workspace.folder / "study.yaml").write_text(STUDY)
    result = workspace.run()
    assert result.returncode == 0, result.stdout + result.stderr
    return workspace


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    """A folder with the tiny study's configuration and nothing done yet."""
    (tmp_path / "study.yaml").write_text(STUDY)
    return Workspace(tmp_path)
