"""The entry: everything in one folder, that folder true, and readable LaTeX."""

import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest
import yaml

from ndns.audio.io import limit_to_pcm16, read_pcm16, write_pcm16
from ndns.board import entry, lava_inference
from ndns.board.cli import app
from ndns.board.write_up import tex
from ndns.errors import UserError
from ndns.files import read_csv
from ndns.loihi2 import engine, netx
from ndns.loihi2.denoiser import Denoiser, encode_clip
from ndns.loihi2.nodes import Delta, Sigma, Synapse
from ndns.loihi2.program import Program

RUN = "sdnn-seed1"
needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is absent; install texlive-latex-base"
)


@pytest.fixture
def real(study):
    """The toy study with a true program for its trained run, clips deployed from it, and a checkpoint."""
    weight = 2 * np.random.default_rng(5).integers(-20, 21, (257, 257))
    program = Program((Delta(257, 6), Synapse(weight), Sigma(257)), ("input", "fc1", "output"))
    netx.write(study.root / f"quantize/{RUN}/program.net", program)
    denoiser = Denoiser(program)
    for row in read_csv(study.root / "mix/val.csv"):
        noisy = read_pcm16(study.root / "mix" / row["noisy"]) / 32768
        made, _ = limit_to_pcm16(denoiser.denoise(noisy))
        write_pcm16(study.root / f"deploy/{RUN}/clips/{row['clip']}.flac", made)
    (study.root / f"train/{RUN}/checkpoint.safetensors").write_bytes(b"floats")
    shutil.rmtree(study.root / "quantize/intel_sdnn")
    return study


def write(study, *more: str) -> None:
    checkpoint = f"{RUN}={study.root}/train/{RUN}/checkpoint.safetensors"
    options = [*study.options(), "--checkpoints", checkpoint, "--out", str(study.root / "entry"), *more]
    app(["entry", *options], standalone_mode=False)


def test_the_folder_holds_all_and_its_hashes_hold(real, monkeypatch):
    monkeypatch.setattr(entry, "write_pdf", lambda tex: False)
    write(real)
    write(real, "--settings", '{"team": "a & b", "date": "2026-01-31"}')
    folder = real.root / "entry"
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    listed = {name: digest for digest, name in lines}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert set(listed) == there
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    named = {"program.net", "checkpoint.safetensors", "denoised.flac", "integers.npz"}
    expected = {"README.md", "write_up.tex", "table.csv", "lava_inference.py", entry.METRICSBOARD}
    assert there == expected | {f"{RUN}/{name}" for name in named} | {"example/noisy.flac", "example/clean.flac"}
    (figures,) = yaml.safe_load((folder / entry.METRICSBOARD).read_text())
    assert (folder / figures["model_path"]).read_bytes() == (real.root / f"quantize/{RUN}/program.net").read_bytes()
    row = next(row for row in read_csv(folder / "table.csv") if row["system"] == RUN)
    assert figures["SI-SNR"] == float(row["si_snr"])
    assert "write_up.pdf" not in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", ["thesis.tex", "write_up.tex", f"{RUN}/notes"])
def test_what_is_not_an_entry_or_was_edited_is_not_deleted(real, monkeypatch, name):
    monkeypatch.setattr(entry, "write_pdf", lambda tex: False)
    if name != "thesis.tex":
        write(real)
    mine = real.root / "entry" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("weeks of work")
    with pytest.raises(UserError, match=rf"entry/{name}: .*move"):
        write(real)
    assert mine.read_text() == "weeks of work"


def test_frozen_integers_are_those_of_the_program_on_the_example(real, monkeypatch):
    monkeypatch.setattr(entry, "write_pdf", lambda tex: False)
    write(real)
    folder = real.root / "entry"
    program = netx.read(folder / RUN / "program.net")
    _, x = encode_clip(program, read_pcm16(folder / "example/noisy.flac") / 32768)
    with np.load(folder / RUN / "integers.npz") as frozen:
        np.testing.assert_array_equal(frozen["input"], x)
        np.testing.assert_array_equal(frozen["output"], engine.run(program, x))
    monkeypatch.setattr("ndns.loihi2.lava_bridge.run", engine.run)
    for seconds in ("0", "0.4"):
        assert lava_inference.main([RUN, "--folder", str(folder), "--seconds", seconds]) == 0
    monkeypatch.setattr("ndns.loihi2.lava_bridge.run", lambda program, x: engine.run(program, x) + (x == x.max()))
    assert lava_inference.main([RUN, "--folder", str(folder), "--seconds", "0.4"]) == 1


def test_clips_that_the_program_does_not_give_are_refused_and_nothing_is_left(real):
    for path in (real.root / f"deploy/{RUN}/clips").iterdir():
        write_pcm16(path, read_pcm16(path) // 2)
    with pytest.raises(UserError, match="gives other samples; run the deploy stage again"):
        write(real)
    assert not (real.root / "entry").exists()
    assert not list(real.root.glob(".entry*"))


def test_the_write_up_quotes_the_epoch_whose_weights_were_kept(real, monkeypatch):
    monkeypatch.setattr(entry, "write_pdf", lambda tex: False)
    history = real.root / f"train/{RUN}/history.csv"
    for rows, said in (
        ("1,12.90,0\n2,12.10,1\n3,12.30,1\n4,12.20,1\n", r"Trained for 4 epochs, best validation SI-SNR 12.30\,dB"),
        ("1,12.90,0\n2,12.10,0\n", r"Trained for 2 epochs, best validation SI-SNR 12.10\,dB"),
    ):
        history.write_text(f"epoch,val_si_snr,settled\n{rows}")
        write(real)
        assert said in (real.root / "entry/write_up.tex").read_text()


@pytest.mark.parametrize(("layers", "said"), [(6, True), (7, False)])
def test_layers_too_many_to_name_are_not_announced(real, monkeypatch, layers, said):
    monkeypatch.setattr(entry, "write_pdf", lambda tex: False)
    cost = real.root / f"cost/{RUN}/cost.json"
    found = json.loads(cost.read_text())
    found["layers"] = (3 * found["layers"])[:layers]
    cost.write_text(json.dumps(found))
    write(real)
    assert ("Layers that send messages" in (real.root / "entry/write_up.tex").read_text()) == said


def test_a_model_called_as_the_folder_of_sounds_is_refused(real):
    options = [word.replace(f"{RUN}=", "example=") for word in real.options()]
    with pytest.raises(UserError, match=r"models\.example: an entry keeps its sounds"):
        app(["entry", *options, "--out", str(real.root / "entry")], standalone_mode=False)


def test_no_program_no_entry(real):
    words = real.options()
    pairs = zip(words[::2], words[1::2], strict=True)
    options = [word for pair in pairs if f"cost/{RUN}" not in pair[1] for word in pair]
    with pytest.raises(UserError, match="nothing to enter"):
        app(["entry", *options, "--out", str(real.root / "entry")], standalone_mode=False)


@needs_latex
def test_the_write_up_is_two_pages_at_most_and_holds_the_table(real):
    cost = real.root / f"cost/{RUN}/cost.json"
    found = json.loads(cost.read_text())
    found["layers"][0]["name"] = "in_put & 50 % ~^\\"
    cost.write_text(json.dumps(found))
    write(real, "--settings", '{"team": "Team #1 {x} _µ 漢"}')
    pdf = (real.root / "entry/write_up.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    source = (real.root / "entry/write_up.tex").read_text()
    row = next(row for row in read_csv(real.root / "entry/table.csv") if row["system"] == RUN)
    line = next(line for line in source.splitlines() if line.startswith("sdnn-seed1 &"))
    assert f"{float(row['si_snr']):.2f}" in line
    assert f"{float(row['power_proxy_ops_s']) / 1e6:.2f}" in line
    log = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", f"-output-directory={real.root}", "write_up.tex"],
        cwd=real.root / "entry",
        capture_output=True,
        check=False,
    )
    assert b"(1 page" in log.stdout or b"(2 pages" in log.stdout


@needs_latex
def test_latex_that_is_refused_says_why(tmp_path):
    (tmp_path / "a.tex").write_text("\\documentclass{article}\\begin{document}\\nonsense\\end{document}")
    with pytest.raises(UserError, match="Undefined control sequence"):
        entry.write_pdf(tmp_path / "a.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tex"]


def test_without_latex_there_is_the_source_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert entry.write_pdf(tmp_path / "a.tex") is False


def test_special_characters_of_latex():
    assert tex("a_b & 5 % #1 {x} ~ ^ \\ ± −1\n c") == (
        r"a\_b \& 5 \% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} $\pm$ $-$1 c"
    )
