"""Runs a program on files outside a study: a folder of recordings, or one array of integers."""

import tokenize
import zipfile
from pathlib import Path

import numpy as np

from ndns.audio.io import SUFFIXES, limit_to_pcm16, read_scaled, write_pcm16
from ndns.audio.names import hidden
from ndns.deploy.clips import Job, denoise_clip, warn_limited
from ndns.deploy.progress import track
from ndns.errors import UserError
from ndns.files import atomic_path, sha256_file, write_text
from ndns.loihi2 import netx
from ndns.loihi2.backends import mode_named, runner
from ndns.loihi2.denoiser import framing
from ndns.loihi2.program import Program

STAMP = ".deployed.txt"
"""In the folder of what was denoised: the program's hash, backend and mode, then a line a finished recording: the hash
of the file that it came from, and its name."""


def deploy_folder(job: Job, source: Path, target: Path) -> list[Path]:
    """Denoise every recording below `source` into `target` as 16 kHz mono .wav of the same relative name.

    What the same program, backend and mode gave for the same recording is left alone, so that an interrupted run goes
    on. Names that begin with a dot are none, nor is what lies in `target`.

    Returns:
        the files written or found, sorted.

    Raises:
        UserError: no such folder, no recordings, two recordings that differ only in their suffix, an unreadable one, or
            `target` holds what another program, backend or mode gave.
    """
    if not source.is_dir():
        raise UserError(f"{source}: no such folder.")
    if target.resolve() == source.resolve():
        raise UserError(f"{target}: --out is the folder of the recordings; choose another.")
    program = netx.read_aloud(job.program)
    framing(program)
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    found = [path for path in found if not hidden(path.relative_to(source))]
    if target.resolve().is_relative_to(source.resolve()):
        found = [path for path in found if not path.resolve().is_relative_to(target.resolve())]
    if not found:
        raise UserError(f"{source}: holds no recordings ({', '.join(SUFFIXES)}).")
    targets = [(target / path.relative_to(source)).with_suffix(".wav") for path in found]
    seen: dict[Path, Path] = {}
    for path, out in zip(found, targets, strict=True):
        if out in seen:
            raise UserError(f"{path}: {seen[out].name} has the same name up to the suffix; rename one.")
        seen[out] = path
    finished = _finished(job, target, targets)
    beyond = 0
    for path, out in track(list(zip(found, targets, strict=True)), len(found), "deploy"):
        name, origin = str(out.relative_to(target)), sha256_file(path)
        if not out.is_file() or finished.get(name) != origin:
            denoised, _ = denoise_clip(program, read_scaled(path), job.backend, job.mode)
            samples, limited = limit_to_pcm16(denoised)
            write_pcm16(out, samples)
            with open(target / STAMP, "a", encoding="utf-8") as kept:
                kept.write(f"\n{origin} {name}")
            beyond += limited
    warn_limited(beyond)
    return targets


def _finished(job: Job, target: Path, outputs: list[Path]) -> dict[str, str]:
    """Return the hash of the file that each finished recording came from, by the recording's name in `target`.

    Raises:
        UserError: another program, backend or mode gave what is there.
    """
    kept = target / STAMP
    first, *lines = kept.read_text("utf-8", "replace").split("\n") if kept.is_file() else [""]
    if first == job.stamp():
        return {name: origin for origin, _, name in (line.partition(" ") for line in lines)}
    if there := next(filter(Path.is_file, outputs), None):
        raise UserError(
            f"{there}: is not known to come from {job.program}, {job.backend} and {job.mode}; "
            f"choose another --out or delete {target}."
        )
    write_text(kept, job.stamp())
    return {}


def deploy_integers(program: Program, source: Path, target: Path, backend: str, mode: str) -> None:
    """Run integers `(bin, step)` from an .npy file, write the network's integers int32 `(bin, step)` as .npy.

    Raises:
        UserError: no such file, not an .npy array of integers, or the wrong number of bins.
    """
    try:
        x = np.load(source, mmap_mode="r", allow_pickle=False)  # mapped, lest a damaged header asks for all memory
    except FileNotFoundError:
        raise UserError(f"{source}: no such file.") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, tokenize.TokenError):
        raise UserError(f"{source}: not an .npy file of numbers.") from None
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "iu" or x.ndim != 2:
        raise UserError(f"{source}: expected an .npy array of integers (bins, steps).")
    if x.shape[0] != program.shape_in:
        raise UserError(f"{source}: has {x.shape[0]} bins, the program takes {program.shape_in}.")
    if x.size and (x.min() < -(1 << 31) or x.max() >= 1 << 31):
        raise UserError(f"{source}: values {x.min()} to {x.max()} do not fit in 32 bits.")
    out = runner(backend, mode_named(mode))(program, x.astype(np.int32))
    with atomic_path(target) as temporary, open(temporary, "wb") as handle:
        np.save(handle, out, allow_pickle=False)
