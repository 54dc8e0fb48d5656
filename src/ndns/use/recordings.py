"""Recordings as files: which become which, and denoising them block by block into files that appear only when whole.

Memory does not grow with the recording. What lies above 8 kHz is lost, since the networks work at 16 kHz.
"""

import errno
import glob
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from ndns.audio.io import check_pages, check_scale, info
from ndns.audio.names import hidden
from ndns.errors import UserError
from ndns.files import atomic_path
from ndns.use.model import BLOCK_SECONDS, Model, to_integers

READABLE = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".w64", ".rf64", ".caf", ".au")
FORMATS = {".wav": "WAV", ".flac": "FLAC"}
BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
DEEP = {name: name for name in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")}
DEEP |= {"ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32"}
"""Sample formats that keep more than 16 bits; all others become PCM_16. FLAC holds at most 24 bits."""
WAV_LIMIT = 4_000_000_000

Report = Callable[[int], None]


def plan(source: str, target: Path) -> list[tuple[Path, Path]]:
    """Return (input, output) for every recording that `source` names, sorted by input.

    In a folder, names that begin with a dot are none, nor is what lies in a `target` inside of it. What a glob finds in
    `target` is left out, unless all of it lies there.

    Raises:
        UserError: nothing is there, two recordings would become the same file, or one would replace another.
    """
    path = Path(source)
    if path.is_file():
        return [(path, _writable(target / path.name) if target.is_dir() else target)]
    there = target.resolve()
    if path.is_dir():
        inside = path.resolve() in there.parents
        found = [child for child in path.rglob("*") if child.suffix.lower() in READABLE and child.is_file()]
        found = [child for child in found if not hidden(child.relative_to(path))]
        found = [child for child in found if not (inside and child.resolve().is_relative_to(there))]
        base = path
    else:
        found = [Path(name) for name in glob.glob(source, recursive=True) if Path(name).is_file()]
        found = [child for child in found if not child.resolve().is_relative_to(there)] or found
        base = None
        if not found:
            raise UserError(f"{source}: no such recording, folder or glob.")
    if not found:
        raise UserError(f"{source}: holds no recordings ({', '.join(READABLE)}).")
    if target.is_file():
        raise UserError(f"{target}: OUT has to be a folder for several recordings; this is a file.")
    recordings = {child.resolve() for child in found}
    taken: dict[Path, Path] = {}
    for child in sorted(found):
        out = _writable(target / (child.relative_to(base) if base else child.name))
        if out in taken:
            raise UserError(f"{child}: {taken[out]} would become the same file {out}; rename one.")
        if out.resolve() in recordings and out.resolve() != child.resolve():
            raise UserError(f"{out}: is a recording that {child} would replace; name another output.")
        taken[out] = child
    return [(child, out) for out, child in taken.items()]


def _writable(out: Path) -> Path:
    return out if out.suffix.lower() in FORMATS else out.with_suffix(".wav")


def check_output(source: Path, target: Path) -> None:
    """Refuse an output that cannot be written or is the recording itself.

    Raises:
        UserError: another suffix than .wav and .flac, a folder, or both names mean one file.
    """
    if target.suffix.lower() not in FORMATS:
        raise UserError(f"{target}: can write .wav and .flac only; choose one of these suffixes.")
    if target.is_dir():
        raise UserError(f"{target}: is a folder; name another output.")
    if target.exists() and target.samefile(source):
        raise UserError(f"{target}: is the recording itself; name another output.")


def check_pattern(source: Path, target: Path) -> None:
    """Refuse OUT where it may be the second recording of an unquoted pattern: there, beside IN and after it.

    Raises:
        UserError: says to quote the pattern or to name another output.
    """
    alike = target.parent.resolve() == source.parent.resolve() and target.suffix.lower() == source.suffix.lower()
    if target.is_file() and alike and source.name < target.name and not target.samefile(source):
        raise UserError(
            f"{target}: is there already, beside {source}; if both come from a pattern, quote it and name OUT, "
            "else delete it or name another output."
        )


def denoise_file(model: Model, source: Path, target: Path, report: Report = lambda frames: None) -> int:
    """Denoise one recording into `target`, which appears only when it is whole.

    Rate, channel count and number of frames are the recording's; the sample format too, where the suffix can hold it.

    Args:
        model: the network.
        source: anything that libsndfile reads.
        target: .wav or .flac.
        report: called with the number of frames of each block that is done.

    Returns:
        how many samples were limited to full scale.

    Raises:
        UserError: the recording is missing, not audio, cut short, holds NaN or floats scaled like integers, or is
            empty and .flac is asked for.
    """
    header = info(source)
    check_output(source, target)
    check_pages(source, source)
    if header.frames == 0 and target.suffix.lower() == ".flac":
        raise UserError(f"{source}: holds no samples, which .flac cannot say; remove it or choose .wav.")
    stream = model.stream(header.rate, header.channels)
    limited = 0
    with atomic_path(target) as temporary, soundfile.SoundFile(source) as recording:
        options = _format(target, header.frames * header.channels, recording.subtype)
        bits = BITS.get(options["subtype"])
        with _writer(temporary, target, header.rate, header.channels, options) as out:
            for block in _blocks(recording, source, header.frames):
                part = stream.push(block) if len(block) else stream.finish()
                if bits is not None:
                    part, beyond = to_integers(part, bits)
                    limited += beyond
                    part = part if bits == 16 else part << (32 - bits)
                out.write(part)
                report(len(block))
        if info(temporary).frames != header.frames:  # libsndfile does not notice that the disk was full
            raise OSError(errno.ENOSPC, "cut short", str(target))
    return limited


@contextmanager
def progress(jobs: list[tuple[Path, Path]]) -> Iterator[Callable[[Path], Report]]:
    """Yield a function that starts the bar of a recording; without a terminal nothing is shown."""
    if not sys.stderr.isatty():
        yield lambda path: lambda frames: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        numbers = {path: index for index, (path, _) in enumerate(jobs, 1)}
        task = bar.add_task("", total=None)

        def start(path: Path) -> Report:
            count = f" ({numbers[path]} of {len(jobs)})" if len(jobs) > 1 else ""
            bar.reset(task, total=info(path).frames, description=escape(path.name) + count)
            return lambda frames: bar.advance(task, frames)

        yield start


def _blocks(recording: soundfile.SoundFile, source: Path, frames: int) -> Iterator[np.ndarray]:
    """Yield blocks `(n, channels)` float64, and an empty one after the last."""
    size = int(BLOCK_SECONDS * recording.samplerate)
    done = 0
    while done < frames:
        try:
            block = recording.read(size, dtype="float64", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UserError(f"{source}: cannot be decoded after {done} frames ({error}); replace it.") from None
        expected = min(size, frames - done)
        done += len(block)
        if len(block) < expected:
            raise UserError(f"{source}: ends after {done} of {frames} frames; the file is cut short.")
        if not np.isfinite(block).all():
            raise UserError(f"{source}: contains NaN or infinite samples; export it again.")
        check_scale(source, block)
        yield block
    yield np.zeros((0, recording.channels))


def _format(target: Path, samples: int, subtype: str) -> dict[str, str]:
    """Return format and subtype for soundfile: bits are kept where the container can hold them."""
    container = FORMATS[target.suffix.lower()]
    subtype = DEEP.get(subtype, "PCM_16")
    if container == "FLAC":
        return {"format": "FLAC", "subtype": "PCM_16" if subtype == "PCM_16" else "PCM_24"}
    size = 8 if subtype == "DOUBLE" else 4
    return {"format": "RF64" if samples * size > WAV_LIMIT else "WAV", "subtype": subtype}


def _writer(path: Path, target: Path, rate: int, channels: int, options: dict[str, str]) -> soundfile.SoundFile:
    path.touch()  # tells why a file cannot be opened, which libsndfile calls "System error"
    try:
        return soundfile.SoundFile(path, "w", rate, channels, **options)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{target}: cannot hold {channels} channels at {rate} Hz ({error}); choose .wav.") from None
