"""A command that does not outlive this process."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = 'read -r line; kill -KILL "-$1"'
"""Reads a pipe until it closes, which it does when the process at the other end is gone, then kills a process group."""


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end without input and return its exit code and what it said.

    It and all that it starts are a process group of their own, which ends with this process: by Ctrl-C or any other
    exception, and when this process is killed, which it cannot notice itself: a shell stands guard.
    """
    watched, held = os.pipe()
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    words = ["sh", "-c", GUARD, "guard", str(child.pid)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    guard = subprocess.Popen(words, stdin=watched, start_new_session=True, **quiet)
    try:
        out, err = child.communicate()
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise
    finally:
        guard.kill()
        guard.wait()
        os.close(watched)
        os.close(held)
    return subprocess.CompletedProcess(command, child.returncode, out, err)
