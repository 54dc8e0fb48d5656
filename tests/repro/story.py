"""The whole story in an empty folder: clone, restore, nothing to do, recompute, verify, tamper, caught, mended.

`make clone-check`, or

    python tests/repro/story.py [--study smoke] [--from STAGE] [--folder EMPTY]

tells it of the commit of this checkout, and ends with 1 at the first step that goes otherwise. If that commit has no
record of the study, the story begins with running and recording it in a clone of its own. Where it may, it takes the
network away from all that follows the clone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

REPOSITORY = Path(__file__).resolve().parents[2]
WHO = ["-c", "user.name=story", "-c", "user.email=story@localhost"]
NDNS = [sys.executable, "-c", "from ndns.cli import main; main()"]
SHOWN = 12
"""Lines of a command's output that are printed."""


class Otherwise(Exception):
    """A step that did not go as the story says."""


def offline() -> list[str]:
    """What takes the network from a command, nothing where that is not permitted."""
    for words in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        try:
            if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
                return words
        except FileNotFoundError:
            return []
    return []


class Story:
    """Commands in one checkout, told with what they printed."""

    def __init__(self, folder: Path, study: str, cores: int, network: bool = False) -> None:
        self.folder, self.study, self.cores = folder, study, cores
        self.before = [] if network else offline()
        self.config = f"config/{study}.yaml"
        self.environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, command: list[str], code: int = 0, says: str = "") -> str:
        """Run a command and return what it printed.

        Raises:
            Otherwise: it ends with another exit code or does not say what it should.
        """
        words = [word for word in command if word not in (sys.executable, "-c", "-m")]
        print("$", *("ndns" if word == NDNS[2] else word for word in words), flush=True)
        start = time.monotonic()
        result = subprocess.run(
            [*self.before, *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        said = result.stdout + result.stderr
        lines = [line.rstrip() for line in said.splitlines() if line.strip()]
        hidden = [f"... {len(lines) - SHOWN} lines before"] if len(lines) > SHOWN else []
        print("\n".join(f"    {line}" for line in [*hidden, *lines[-SHOWN:]]))
        print(f"    -> exit code {result.returncode} after {time.monotonic() - start:.1f} s", flush=True)
        if result.returncode != code:
            raise Otherwise(f"exit code {result.returncode} instead of {code}")
        if says not in said:
            raise Otherwise(f"does not say {says!r}")
        return said

    def ndns(self, *words: str, code: int = 0, says: str = "") -> str:
        """Run `ndns`."""
        return self.run([*NDNS, *words], code, says)

    def snakemake(self, *words: str, says: str = "") -> str:
        """Run Snakemake on the study."""
        call = [sys.executable, "-m", "snakemake", "--cores", str(self.cores), "--configfile", self.config]
        return self.run([*call, *words], says=says)

    def dvc_status(self, says: str) -> None:
        """Ask DVC whether the results are the recorded ones."""
        self.run([sys.executable, "-m", "dvc", "status"], says=says)


def clone(source: Path, folder: Path, study: str, cores: int, network: bool = False) -> Story:
    """Clone the commit of a checkout."""
    subprocess.run(["git", "clone", "-q", str(source), str(folder)], check=True)
    head = subprocess.run(["git", "-C", str(source), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    subprocess.run(["git", "-C", str(folder), "checkout", "-q", "--detach", head.stdout.strip()], check=True)
    print(f"$ git clone ... {folder.name}\n    at {head.stdout.strip()}")
    return Story(folder, study, cores, network)


def is_recorded(checkout: Story) -> bool:
    """Tell whether the commit brings the study's results along."""
    lock = checkout.folder / "dvc.lock"
    return lock.is_file() and f"results/{checkout.study}/jobs.json" in lock.read_text(encoding="utf-8")


def publish(checkout: Story) -> None:
    """Run, record and commit the study."""
    checkout.snakemake("--quiet", "all")
    checkout.ndns("record", checkout.study, says="recorded")
    checkout.run(["git", "add", "dvc.yaml", "dvc.lock", "reference"])
    checkout.run(["git", *WHO, "commit", "-qm", f"Record the {checkout.study} study"])


def nothing_to_do(checkout: Story) -> None:
    """Snakemake and DVC agree that all is current, and so does `ndns explain`, by content."""
    checkout.snakemake("--dry-run", says="Nothing to be done")
    checkout.dvc_status("up to date")
    checkout.ndns("explain", "--study", checkout.study, says="jobs are current")


def recompute(checkout: Story, first: str) -> None:
    """Compute everything again in a scratch copy and compare."""
    words = ["--from", first] if first else []
    checkout.ndns("verify", "--study", checkout.config, *words, says="hold what is claimed")


def tamper(checkout: Story) -> str:
    """Add 1 to one sample of a denoised clip and keep the file's time; return its path."""
    clips = sorted((checkout.folder / "results" / checkout.study / "deploy").glob("*/clips/*.flac"))
    path = clips[len(clips) // 2]
    stat = path.stat()
    samples, rate = soundfile.read(path, dtype="int16")
    samples[np.argmin(np.abs(samples))] += 1
    soundfile.write(path, samples, rate, subtype="PCM_16")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    name = path.relative_to(checkout.folder).as_posix()
    print(f"(one sample of {name} is 1 more than it was, its time is as before)")
    return name


def caught(checkout: Story, name: str) -> None:
    """Snakemake and DVC trust size and time; what reads the content sees it."""
    checkout.snakemake("--dry-run", says="Nothing to be done")
    checkout.ndns("explain", name, "--study", checkout.study, code=1, says="not the bytes that were recorded")
    checkout.ndns(
        "verify", name, "--study", checkout.config, "--json", "found.json", code=1, says="1 of 1 artifacts do not hold"
    )
    found = json.loads((checkout.folder / "found.json").read_text())
    if found["misses"] != [name]:
        raise Otherwise(f"{found['misses']} instead of {name}")


def mended(checkout: Story, name: str) -> None:
    """The record gives the file back."""
    checkout.ndns("restore", checkout.study, code=2, says="is not what was recorded")
    checkout.ndns("restore", checkout.study, "--force", says="as recorded")
    nothing_to_do(checkout)
    checkout.ndns("verify", name, "--study", checkout.config, says="hold what is claimed")


def tell(folder: Path, study: str, first: str, cores: int) -> None:
    """The story.

    Raises:
        Otherwise: a step goes otherwise.
    """

    def chapter(title: str, step: Callable, *arguments: object) -> object:
        print(f"\n# {title}", flush=True)
        return step(*arguments)

    source, reader = REPOSITORY, chapter("clone", clone, REPOSITORY, folder / "clone", study, cores)
    if not is_recorded(reader):
        source = folder / "publisher"
        publisher = chapter("the commit has no record of the study: make one", clone, REPOSITORY, source, study, cores)
        publish(publisher)
        reader = chapter("clone that", clone, source, folder / "second clone", study, cores)
    print("no network from here on" if reader.before else "(the network stays: taking it away is not permitted here)")
    chapter("restore", reader.ndns, "restore")
    chapter("nothing to do", nothing_to_do, reader)
    chapter("recompute and verify", recompute, reader, first)
    name = chapter("tamper", tamper, reader)
    chapter("caught", caught, reader, name)
    chapter("mended", mended, reader, name)


def main() -> int:
    """Tell the story and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="smoke", help="name of a file in config/")
    parser.add_argument("--from", dest="first", default="", help="first stage that is recomputed; none: all")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="an empty folder, which stays")
    arguments = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ndns-story-") as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"{folder} is not empty")
        try:
            tell(folder, arguments.study, arguments.first, arguments.cores)
        except Otherwise as error:
            print(f"\nThe story ends here: {error}.")
            return 1
    print(f"\nAll as it should be, after {time.monotonic() - start:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
