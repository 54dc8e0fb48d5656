"""Command lines of the benchmarks."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
SCRIPTS = sorted(path for path in BENCH.glob("*.py") if path.name != "command_line.py")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_benchmark_has_help_and_tells_bad_input_in_a_sentence(path):
    source = path.read_text()
    assert "command_line.parser(__doc__)" in source
    assert "command_line.run(main)" in source


def test_help_measures_nothing_and_names_units_and_defaults():
    for script, told in (("cost.py", "to place the program"), ("modes.py", "the first of the manifest (default: 60)")):
        result = subprocess.run([sys.executable, BENCH / script, "--help"], capture_output=True, text=True, check=True)
        assert result.stdout.startswith(f"usage: {script}")
        assert told in result.stdout


def test_bad_input_is_told_in_a_sentence(tmp_path):
    command = [sys.executable, BENCH / "s5_integers.py", tmp_path / "none.net"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.endswith(f"{tmp_path}/none.net: no such file.\n")
    assert result.stderr.count("\n") == 1
