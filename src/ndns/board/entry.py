"""What the challenge asks of a participant, in one folder that needs nothing beside it."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import yaml

from ndns import __version__
from ndns.audio.io import limit_to_pcm16, read_pcm16, write_pcm16
from ndns.board import lava_inference, write_up
from ndns.board.inputs import Clip, Evidence, System
from ndns.board.listen import ranks
from ndns.board.table import entries, write_table
from ndns.config import Board
from ndns.errors import UserError
from ndns.files import sha256_file, write_text
from ndns.loihi2 import engine, netx
from ndns.loihi2.denoiser import decode_clip, encode_clip

METRICSBOARD = "metricsboard_track_1_validation.yml"
EXAMPLE = "example"
SUMS = "SHA256SUMS"
README = """# Entry of {team} to the Intel N-DNS challenge, track 1

| file | what |
|---|---|
| `{metricsboard}` | the figures with the challenge's keys, on the {clips} validation clips of the study `{study}` |
| `write_up.tex`{pdf} | draft of the two pages; what only the authors know is marked TODO |
| `table.csv` | all systems of the study, with 95 % intervals |
| `lava_inference.py` | runs a model in lava and compares integers and samples with what was deployed |
| `<model>/program.net` | the frozen network: integers, netx HDF5 |
| `<model>/checkpoint.safetensors` | the float weights that it was made from, where it was trained here |
| `<model>/denoised.flac`, `integers.npz` | what it made of `example/noisy.flac`, and its integers in and out |
| `SHA256SUMS` | `sha256sum --check SHA256SUMS` |

In the environment that `make setup` of ndns {version} makes, lava-nc 0.10.0 included:

    python lava_inference.py {model}

Models: {models}. The challenge also wants `metricsboard_track_1_test.yml`: run the study on test set 1 for it.
"""


def write_entry(out: Path, evidence: Evidence, board: Board, checkpoints: Mapping[str, Path]) -> bool:
    """Write the folder, in the place of an earlier entry.

    Args:
        out: the folder.
        evidence: of the study; runs with a program are the entry's models.
        board: team and date.
        checkpoints: run -> float weights, for networks that were trained here.

    Returns:
        whether the write-up is there as PDF, which takes `pdflatex`.

    Raises:
        UserError: no run has a program, one is called `EXAMPLE`, what was deployed is not what its program gives, or
            `out` holds what this function did not write.
    """
    models = [run for run in evidence.runs if run.program and run.cost and run.denoised]
    if not models:
        raise UserError(f"{evidence.study}: no network has a program and denoised clips, so there is nothing to enter.")
    if any(run.name == EXAMPLE for run in models):
        raise UserError(f"models.{EXAMPLE}: an entry keeps its sounds in a folder of this name; rename the model.")
    _check_unedited(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".entry") as temporary:
        folder = Path(temporary) / "entry"
        clip = _example(evidence, models[0])
        folder.mkdir()
        for name, path in (("noisy", clip.noisy), ("clean", clip.clean)):
            write_pcm16(folder / EXAMPLE / f"{name}.flac", read_pcm16(path))
        for run in models:
            _freeze(folder / run.name, run, clip, checkpoints.get(run.name))
        named = {run.name for run in models}
        figures = [e | {"model_path": f"{e['model']}/program.net"} for e in entries(evidence, board.team, board.date)]
        kept = [entry for entry in figures if entry["model"] in named]
        write_text(folder / METRICSBOARD, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))
        write_table(folder / "table.csv", evidence)
        shutil.copy(lava_inference.__file__, folder / "lava_inference.py")
        write_text(folder / "write_up.tex", write_up.render(evidence, board, models))
        pdf = write_pdf(folder / "write_up.tex")
        write_text(folder / "README.md", _readme(evidence, board, models, pdf))
        _sums(folder)
        shutil.rmtree(out, ignore_errors=True)
        folder.rename(out)
    return pdf


def write_pdf(tex: Path) -> bool:
    """Write the PDF beside a LaTeX file; return False where there is no `pdflatex`.

    Raises:
        UserError: LaTeX refuses the file; the sentence holds its first complaint.
    """
    latex = shutil.which("pdflatex")
    if latex is None:
        return False
    with tempfile.TemporaryDirectory() as scratch:
        command = [latex, "-interaction=nonstopmode", "-halt-on-error", f"-output-directory={scratch}", tex.name]
        for _ in range(2):
            ended = subprocess.run(command, cwd=tex.parent, capture_output=True, check=False)
        if ended.returncode:
            said = ended.stdout.decode("utf-8", "replace").splitlines()
            first = next((line for line in said if line.startswith("!")), "it gave no reason")
            raise UserError(f"{tex}: pdflatex refuses it ({first}).")
        shutil.copy(Path(scratch, tex.name).with_suffix(".pdf"), tex.with_suffix(".pdf"))
    return True


def _example(evidence: Evidence, run: System) -> Clip:
    """Return the clip of median improvement."""
    middle = ranks(run.quality["si_snri_data"], 1)
    return evidence.clips[middle[0][1] if middle else 0]


def _freeze(folder: Path, run: System, clip: Clip, checkpoint: Path | None) -> None:
    folder.mkdir()
    shutil.copy(run.program, folder / "program.net")
    if checkpoint:
        shutil.copy(checkpoint, folder / "checkpoint.safetensors")
    program, deployed = netx.read(run.program), read_pcm16(run.denoised[clip.name])
    spectra, x = encode_clip(program, read_pcm16(clip.noisy) / 32768)
    out = engine.run(program, x)
    made, _ = limit_to_pcm16(decode_clip(program, spectra, out, len(deployed)))
    if not np.array_equal(made, deployed):
        raise UserError(f"{run.denoised[clip.name]}: {run.program} gives other samples; run the deploy stage again.")
    write_pcm16(folder / "denoised.flac", deployed)
    with open(folder / "integers.npz", "wb") as handle:
        np.savez_compressed(handle, input=x, output=out)


def _readme(evidence: Evidence, board: Board, models: list[System], pdf: bool) -> str:
    return README.format(
        version=__version__,
        team=board.team,
        study=evidence.study,
        clips=len(evidence.clips),
        metricsboard=METRICSBOARD,
        model=models[0].name,
        models=", ".join(f"`{run.name}`" for run in models),
        pdf=", `write_up.pdf`" if pdf else "",
    )


def _sums(folder: Path) -> None:
    write_text(folder / SUMS, "".join(f"{line}\n" for line in _hashed(folder)))


def _hashed(folder: Path) -> Iterator[str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    yield from (f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}" for path in files)


def _check_unedited(out: Path) -> None:
    """Refuse to delete a folder that is no entry, or one with edits: the write-up is there to be edited."""
    written = (out / SUMS).read_text(encoding="utf-8").splitlines() if (out / SUMS).is_file() else []
    for line in _hashed(out):
        name = line.partition("  ")[2]
        if line not in written and name != SUMS:
            raise UserError(f"{out / name}: is not as this command wrote it and would be lost; move {out} away first.")
