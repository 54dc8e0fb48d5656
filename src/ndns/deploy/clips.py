"""Runs a program on the noisy clips of a mixture manifest, several at a time, and goes on where it stopped."""

import shutil
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ndns.audio.io import limit_to_pcm16, pcm_sha256, read_pcm16, write_pcm16
from ndns.deploy.activity import gather, save_clip
from ndns.deploy.progress import track
from ndns.errors import UserError
from ndns.files import read_csv, sha256_bytes, sha256_file, write_csv, write_text
from ndns.loihi2 import engine, netx
from ndns.loihi2.backends import mode_named, runner
from ndns.loihi2.denoiser import Denoiser, decode_clip, delay_samples, encode_clip, framing
from ndns.loihi2.engine import Activity
from ndns.loihi2.program import Program
from ndns.processes import LOST, follow_parent

COLUMNS = ["clip", "denoised", "sha256", "removed_delay_samples"]


@dataclass(frozen=True)
class Job:
    """What a worker needs: the program's file, where it runs, and the numeric mode."""

    program: Path
    backend: str
    mode: str

    def stamp(self) -> str:
        """Return one line that differs for each program, backend and mode."""
        return f"{sha256_file(self.program)} {self.backend} {self.mode}"


def deploy_mixture(job: Job, manifest: Path, folder: Path, jobs: int) -> None:
    """Write `manifest.csv`, `clips/<clip>.flac` and `activity.npz` into `folder`.

    Finished clips are kept in `folder/.parts` until all are done, so that an interrupted run goes on; a clip whose
    noisy samples, program, backend or mode changed is computed again.

    Raises:
        UserError: a file is missing or wrong, or a clip name occurs twice.
    """
    rows = read_csv(manifest, required=("clip", "noisy"))
    clips = [row["clip"] for row in rows]
    seen: set[str] = set()
    for clip in clips:
        if clip in seen or Path(clip).name != clip or clip.startswith("."):
            raise UserError(f"{manifest}: the clip {clip!r} occurs twice or is not a plain name.")
        seen.add(clip)
    if not rows:
        raise UserError(f"{manifest}: holds no clips.")
    program = netx.read_aloud(job.program)
    framing(program)
    runner(job.backend, mode_named(job.mode))
    if job.backend != "engine":
        jobs = 1
    parts = folder / ".parts"
    parts.mkdir(parents=True, exist_ok=True)
    stamp = job.stamp()
    tasks = [(clip, manifest.parent / row["noisy"], folder, stamp) for clip, row in zip(clips, rows, strict=True)]
    run_all(job, tasks, jobs)
    removed, results = delay_samples(program), [_stamp_file(folder, clip).read_text().split() for clip in clips]
    table = [
        {
            "clip": clip,
            "denoised": f"clips/{clip}.flac",
            "sha256": sha256,
            "removed_delay_samples": removed,
        }
        for clip, (_, sha256, _) in zip(clips, results, strict=True)
    ]
    gather(folder / "activity.npz", clips, [parts / f"{clip}.npz" for clip in clips])
    write_csv(folder / "manifest.csv", table, COLUMNS)
    shutil.rmtree(parts)
    warn_limited(sum(int(limited) for _, _, limited in results))


def run_all(job: Job, tasks: list[tuple[str, Path, Path, str]], jobs: int) -> None:
    """Work through `(clip, noisy, folder, stamp)` tasks in `jobs` processes; the first error stops the rest."""
    if jobs == 1:
        _start(job)
        for task in track(tasks, len(tasks), "deploy"):
            _deploy_clip(task)
        return
    with ProcessPoolExecutor(min(jobs, len(tasks)), initializer=_start_worker, initargs=(job,)) as pool:
        futures = [pool.submit(_deploy_clip, task) for task in tasks]
        try:
            for future in track(as_completed(futures), len(futures), "deploy"):
                future.result()
        except BrokenProcessPool:
            raise UserError(LOST) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def warn_limited(samples: int) -> None:
    """Say on standard error how many samples were beyond full scale and were cut to it."""
    if samples:
        print(f"ndns: {samples} denoised samples were beyond full scale and were cut to it.", file=sys.stderr)


_JOB: Job
_PROGRAM: Program


def _start(job: Job) -> None:
    global _JOB, _PROGRAM
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # once told is enough
        _JOB, _PROGRAM = job, netx.read(job.program)


def _start_worker(job: Job) -> None:
    """After Ctrl-C the parent lets running clips finish and cancels the others."""
    follow_parent()
    _start(job)


def _stamp_file(folder: Path, clip: str) -> Path:
    return folder / ".parts" / f"{clip}.txt"


def _deploy_clip(task: tuple[str, Path, Path, str]) -> None:
    clip, noisy, folder, stamp = task
    pcm = read_pcm16(noisy)
    stamp = sha256_bytes(f"{stamp} {pcm_sha256(pcm)}".encode())
    done, sound = _stamp_file(folder, clip), folder / "clips" / f"{clip}.flac"
    if done.is_file() and sound.is_file() and done.read_text().split()[:1] == [stamp]:
        return
    done.unlink(missing_ok=True)  # what it vouches for is overwritten before the new one is there
    denoised, activity = denoise_clip(_PROGRAM, pcm / 32768, _JOB.backend, _JOB.mode)
    samples, limited = limit_to_pcm16(denoised)
    write_pcm16(sound, samples)
    save_clip(folder / ".parts" / f"{clip}.npz", activity)
    write_text(done, f"{stamp} {pcm_sha256(samples)} {limited}\n")


def denoise_clip(program: Program, samples: np.ndarray, backend: str, mode: str) -> tuple[np.ndarray, Activity]:
    """Denoise `(samples,)` on a backend; return the aligned recording and what the network did.

    Other backends than the engine report no events: these come from the engine, after its output integers were found
    equal to the backend's.

    Raises:
        UserError: the backend is not available.
        RuntimeError: the backend's integers differ from the engine's.
    """
    if backend == "engine":
        denoiser = Denoiser(program, mode_named(mode), record=True)
        return denoiser.denoise(samples), denoiser.activity()
    spectra, x = encode_clip(program, samples)
    out = runner(backend, mode_named(mode))(program, x)
    expected, activity = engine.record(program, x)
    if not np.array_equal(out, expected):
        bin_, step = (int(axis[0]) for axis in np.nonzero(out != expected))
        raise RuntimeError(f"{backend} and the engine differ at bin {bin_}, step {step}")
    return decode_clip(program, spectra, out, len(samples)), activity
