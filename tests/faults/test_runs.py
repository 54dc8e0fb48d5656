"""Two runs in one checkout, a tampered result: nothing lost, nothing stale in silence."""

import os
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.workflow
SCORES = "results/tiny/score/noisy/scores.csv"


def said(result):
    return result.stdout + result.stderr


def test_two_runs_at_once_in_one_checkout(checkout, complete):
    (checkout.folder / SCORES).unlink()
    first = subprocess.Popen(
        checkout.snakemake_command("--", SCORES),
        cwd=checkout.folder,
        env=checkout.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    locks = checkout.folder / ".snakemake" / "locks"
    while not any(locks.glob("*")):
        assert first.poll() is None, first.stdout.read()
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # however slow the second one starts
    second = checkout.snakemake("--", SCORES)
    first.send_signal(signal.SIGCONT)
    assert second.returncode != 0
    assert "cannot be locked" in said(second)
    assert "--unlock" in said(second)
    output, _ = first.communicate()
    assert first.returncode == 0, output
    assert (checkout.folder / SCORES).read_bytes() == (complete.folder / SCORES).read_bytes()


def test_ctrl_c_leaves_the_last_words_of_a_training(checkout, tmp_path):
    """A terminal sends it to all processes: to the `tee` too through which the words pass."""
    study = checkout.folder / "tiny.yaml"
    study.write_text(study.read_text().replace("epochs: 2", "epochs: 1000"))
    log = tmp_path / "log"
    with open(log, "w") as handle:
        run = subprocess.Popen(
            checkout.snakemake_command("--until", "train"),
            cwd=checkout.folder,
            env=checkout.environment(),
            stdout=handle,
            stderr=handle,
            start_new_session=True,
        )
    while "epoch 1/1000" not in log.read_text():
        assert run.poll() is None, log.read_text()
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(120) != 0
    assert "ndns train: stopped; the same command goes on after epoch" in log.read_text()


def test_a_tampered_result_is_told_though_snakemake_sees_nothing(checkout):
    """With its old time a changed file is current for Snakemake; explain reads it (and verify: tests/repro)."""
    path = checkout.folder / "results/tiny/mix/val.csv"
    stat = path.stat()
    text = path.read_text()
    path.write_text(text.replace("typing", "typinG"))
    assert path.read_text() != text
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "Nothing to be done" in said(checkout.snakemake("--dry-run"))
    told = checkout.ndns("explain", SCORES, "--study", "tiny.yaml")
    assert told.returncode == 1
    assert "input results/tiny/mix/val.csv has other content than when the job read it" in told.stdout
    assert "Snakemake does not notice, since it trusts times" in told.stdout
