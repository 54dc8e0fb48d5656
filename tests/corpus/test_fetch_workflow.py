"""`snakemake dns4` for real, against a server on the loopback."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .fetch_server import Faults
from .fetch_site import NAME, WAVS, sources, tar_bz2, unpacked

pytestmark = pytest.mark.workflow
REPOSITORY = Path(__file__).parents[2]
STUDY = """
study: d
fetch: {sources: sources.csv, sets: [dns4], root: disk}
corpus: {kind: dns4, name: d, root: disk}
models: {sdnn: {seeds: [1]}}
"""


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    here = ["--directory", str(folder), "--configfile", str(folder / "study.yaml"), "--cores", "2"]
    return subprocess.run([*command, *here, *arguments], capture_output=True, text=True, check=False)


def test_target_refuses_by_name_then_goes_on(tmp_path, site):
    (tmp_path / "study.yaml").write_text(STUDY)
    site.files["noise.tar.bz2"] = tar_bz2({"datasets_fullband/noise_fullband/n.wav": b"noise"})
    sources(tmp_path, site, {"name": NAME}, {"name": "noise.tar.bz2", "folder": "noise_fullband"})
    site.faults["noise.tar.bz2"] = Faults(wrong=1000)
    first = snakemake(tmp_path, "dns4")
    assert first.returncode != 0
    assert "noise.tar.bz2: corrupt or cut short" in first.stderr
    assert unpacked(tmp_path / "disk") == WAVS, "a failed run keeps what is done"
    assert not (tmp_path / "disk/fetched.json").exists()

    site.faults["noise.tar.bz2"] = Faults()
    site.asked.clear()
    second = snakemake(tmp_path, "dns4")
    assert second.returncode == 0, second.stderr
    assert {name for _, name, _ in site.asked} == {"noise.tar.bz2"}
    assert json.loads((tmp_path / "disk/fetched.json").read_text())["dns4"]["files"] == 4


def test_corpus_waits_for_the_fetch_unless_there_is_a_copy(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "sources.csv").write_text("")
    target = ["--dry-run", "data/d/manifest.csv"]
    assert re.search(r"^fetch +1$", snakemake(tmp_path, *target).stdout, re.MULTILINE)
    copy = snakemake(tmp_path, *target, "--config", "corpus_root=/copy")
    assert re.search(r"^corpus +1$", copy.stdout, re.MULTILINE)
    assert "fetch" not in copy.stdout
