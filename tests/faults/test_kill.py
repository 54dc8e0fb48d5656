"""kill -9 in every stage, at moments that a seed draws: the same command goes on, and what comes out is the same.

NDNS_TEST_KILLS says how often (3); with `make test-kill`, 20 times, every rule twice, and each must be struck.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from ndns.files import sha256_file
from ndns.verify.claims import load_claims
from ndns.verify.compare import compare
from ndns.verify.records import files_of

from .conftest import spoil

pytestmark = pytest.mark.workflow
KILLS = int(os.environ.get("NDNS_TEST_KILLS", "3"))
SEED = 21
COMMANDS = {
    "corpus": "ndns corpus",
    "mix_plan": "ndns mix plan",
    "mix_render": "ndns mix render",
    "mix_gather": "ndns mix gather",
    "train": "ndns train",
    "quantize": "ndns quantize",
    "deploy": "ndns deploy",
    "score": "ndns score",
    "cost": "ndns cost",
    "board": "ndns board",
}
"""Rule -> how its command begins, in the order of the work."""
HANG = 300


def draw():
    """The rules in which a run is killed, in their order, each with a share of the job's time and a victim."""
    rng = random.Random(SEED)
    rules = [rule for _ in range(KILLS // len(COMMANDS)) for rule in COMMANDS]
    rules += rng.sample(list(COMMANDS), KILLS % len(COMMANDS))
    victims = ["all", "snakemake", "job"]
    return [(rule, rng.random(), rng.choice(victims)) for rule in sorted(rules, key=[*COMMANDS].index)]


class Run:
    """A run of Snakemake in a checkout."""

    def __init__(self, checkout, log):
        self.checkout, self.log = checkout, log
        with open(log, "w") as handle:
            self.process = subprocess.Popen(
                checkout.snakemake_command("--printshellcmds"),
                cwd=checkout.folder,
                env=checkout.environment(),
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def reaches(self, command):
        """Wait until a job with this command starts; return whether it did before the run ended."""
        deadline = time.monotonic() + HANG
        while command not in self.log.read_text():
            if self.process.poll() is not None:
                return command in self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return True

    def wait(self, seconds):
        """Wait so long, but not longer than until a job ends."""
        ended, deadline = self.log.read_text().count("Finished jobid"), time.monotonic() + seconds
        while time.monotonic() < deadline and self.log.read_text().count("Finished jobid") == ended:
            time.sleep(0.01)

    def kill(self, victim, command):
        """Kill -9 everything, Snakemake alone (its jobs go on), or the running job alone (Snakemake then gives up)."""
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        jobs = [process for process in children if is_job(process, command)] if victim == "job" else []
        for process in jobs or ([] if victim == "snakemake" else children):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        if not jobs:
            self.process.kill()
        self.process.wait(HANG)


def is_job(process, command):
    """Tell whether a process is a running command of a rule."""
    with contextlib.suppress(psutil.NoSuchProcess):
        words = process.cmdline()
        program = command.removeprefix("ndns ").split()
        return any(word.endswith("/ndns") for word in words) and all(word in words for word in program)
    return False


def seconds(jobs, rule):
    """How long a rule's jobs took, on the average."""
    times = {tuple(r.job["log"]): r.job["endtime"] - r.job["starttime"] for r in jobs[rule]}
    return sum(times.values()) / len(times)


def of_the_checkout(folder):
    """Processes whose working folder is the checkout."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(folder):
                found.append(process)
    return found


def gone(folder):
    """Wait until no process works in a folder; return whether that came true."""
    deadline = time.monotonic() + HANG
    while of_the_checkout(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not of_the_checkout(folder)


def whole(folder, wanted):
    """Fail unless each result that is there is one that an undisturbed run gives."""
    for path, digest in wanted.items():
        if (folder / path).exists():
            assert sha256_file(folder / path) == digest, path


def ask_for(folder, jobs, rule):
    """Leave something to do for a rule and those after it; what a kill left half done stays."""
    rules = [*COMMANDS]
    if all((folder / record.path).exists() for record in jobs[rule]):
        spoil(folder, jobs[rule])
    for later in rules[rules.index(rule) + 1 :]:
        spoil(folder, jobs[later])


def test_killed_anywhere_the_same_command_goes_on(complete, jobs, wanted, tmp_path):
    """What comes before the first rule that is struck is taken from the finished study."""
    checkout, drawn = complete.copy(tmp_path / "checkout"), draw()
    refused, struck = False, []
    for number, (rule, share, victim) in enumerate(drawn):
        ask_for(checkout.folder, jobs, rule)
        run = Run(checkout, tmp_path / f"{number}.log")
        started = run.reaches(COMMANDS[rule])
        run.wait(share * seconds(jobs, rule) if started else 0)
        run.kill(victim, COMMANDS[rule])
        struck.append((rule, victim, run.process.returncode))
        whole(checkout.folder, wanted)
        if victim != "job" and not refused and any((checkout.folder / ".snakemake" / "locks").glob("*")):
            told = checkout.snakemake()
            assert told.returncode != 0
            assert "--unlock" in told.stdout + told.stderr
            refused = True
        shutil.rmtree(checkout.folder / ".snakemake" / "locks", ignore_errors=True)
    print(*struck, sep="\n")
    assert refused
    assert sum(code != 0 for *_, code in struck) >= 0.6 * KILLS, struck
    assert 2 * len(COMMANDS) > KILLS or {rule for rule, _, code in struck if code} == COMMANDS.keys(), struck
    result = checkout.snakemake()
    assert result.returncode == 0, result.stdout + result.stderr
    claims = load_claims(checkout.folder / "config" / "claims.yaml")
    runs = {"trained": ["sdnn-seed1"]}
    paths = [p for p in files_of(complete.folder, "tiny", "few") if not claims.is_ignored(p) and "/board/" not in p]
    assert {p for p in files_of(checkout.folder, "tiny", "few") if not claims.is_ignored(p)} >= {*paths}
    for path in paths:
        claim = claims.claim(path, runs)
        outcome = compare(complete.folder / path, checkout.folder / path, path, claim, claim.required(True))
        assert outcome.holds, outcome
        assert outcome.reached == "bytes" or "/cost/" in path, outcome
    again = checkout.snakemake("--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
    assert gone(checkout.folder), "a process outlived its parent"


def test_what_a_killed_verification_started_ends_with_it(checkout, tmp_path):
    scratch = tmp_path / "scratch"
    call = [sys.executable, "-c", "from ndns.cli import main; main()", "verify", "train", "--study", "tiny.yaml"]
    with open(tmp_path / "log", "w") as log:
        verification = subprocess.Popen(
            [*call, "--scratch", str(scratch)], cwd=checkout.folder, env=checkout.environment(), stdout=log, stderr=log
        )
    deadline = time.monotonic() + HANG
    while not any(is_job(process, "ndns train") for process in of_the_checkout(scratch)):
        assert verification.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    verification.kill()
    verification.wait()
    assert gone(scratch)
    assert not list(scratch.rglob("checkpoint.safetensors")), "the job went on to its end"
