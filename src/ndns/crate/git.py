"""What git says of a checkout."""

import subprocess
from pathlib import Path


def git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in a checkout and return its exit code and what it said; without git, 127 and that it is not there."""
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "the program git is not installed")
