"""`ndns denoise`: run a network on any recording, block by block, aligned and as long as the original.

Each channel is a lane of its own: resample to 16 kHz, denoise, drop the stream's delay, resample back. Memory does not
grow with the recording. What lies above 8 kHz is lost, since the networks work at 16 kHz.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndns.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from ndns.loihi2.program import Program

READABLE = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".w64", ".rf64", ".caf", ".au")
FORMATS = {".wav": "WAV", ".flac": "FLAC"}
DEEP = {"PCM_24": "PCM_24", "PCM_32": "PCM_32", "FLOAT": "FLOAT", "DOUBLE": "DOUBLE"}
"""Sample formats that keep more than 16 bits; all others become PCM_16. FLAC holds at most 24 bits."""
BLOCK_SECONDS = 2.0
MARGIN = 64
"""Silent samples at 16 kHz appended beyond the delay, so that rounding of rates never leaves the end short."""
WAV_LIMIT = 4_000_000_000
PROGRAMS = "results"

Report = Callable[[int], None]


def denoise_command(
    source: Annotated[str, typer.Argument(metavar="IN", help="a recording, a folder of recordings, or a quoted glob")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help=".wav or .flac file; a folder for a folder or glob")],
    model: Annotated[
        str | None,
        typer.Option(
            help="checkpoint.safetensors, program .net, slayer .pt, or the start of a run's name below results/"
        ),
    ] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="leave finished files of an interrupted call alone")
    ] = False,
) -> None:
    """Remove noise from recordings of any rate, length and channel count."""
    jobs = plan(source, target)
    if skip_existing:
        jobs = [(path, out) for path, out in jobs if not out.exists()]
    program = load_program(model)
    for path, out in jobs:
        check_output(path, out)
    with progress(jobs) as start:
        for path, out in jobs:
            limited = denoise_file(program, path, out, start(path))
            if limited:
                print(f"ndns: {out}: {limited} samples were limited to full scale.", file=sys.stderr)


def plan(source: str, target: Path) -> list[tuple[Path, Path]]:
    """Return (input, output) for every recording that `source` names, sorted by input.

    Raises:
        UserError: nothing is there, or two recordings would become the same file.
    """
    path = Path(source)
    if path.is_file():
        return [(path, target / path.name if target.is_dir() else target)]
    if path.is_dir():
        inside = target.resolve() != path.resolve() and target.resolve()
        found = [child for child in path.rglob("*") if child.suffix.lower() in READABLE and child.is_file()]
        found = [child for child in found if not (inside and child.resolve().is_relative_to(inside))]
        base = path
    else:
        import glob

        found = [Path(name) for name in glob.glob(source, recursive=True) if Path(name).is_file()]
        base = None
        if not found:
            raise UserError(f"{source}: no such recording, folder or glob.")
    if not found:
        raise UserError(f"{source}: holds no recordings ({', '.join(READABLE)}).")
    if target.is_file():
        raise UserError(f"{target}: OUT has to be a folder for several recordings; this is a file.")
    taken: dict[Path, Path] = {}
    for child in sorted(found):
        out = target / (child.relative_to(base) if base else child.name)
        out = out if out.suffix.lower() in FORMATS else out.with_suffix(".wav")
        if out in taken:
            raise UserError(f"{child}: {taken[out]} would become the same file {out}; rename one.")
        taken[out] = child
    return [(child, out) for out, child in taken.items()]


def check_output(source: Path, target: Path) -> None:
    """Refuse an output that cannot be written or is the recording itself.

    Raises:
        UserError: another suffix than .wav and .flac, or both names mean one file.
    """
    if target.suffix.lower() not in FORMATS:
        raise UserError(f"{target}: can write .wav and .flac only; choose one of these suffixes.")
    if target.exists() and target.samefile(source):
        raise UserError(f"{target}: is the recording itself; name another output.")


def load_program(model: str | None) -> "Program":
    """Return the integer program of a file or of a run below `results/`.

    Args:
        model: `.safetensors` (quantized now), `.net` or `.pt` file; a run's name or its beginning, also as
            `<study>/<run>`; None for the only run there is.

    Raises:
        UserError: no such file or run, or more than one run fits.
    """
    from ndns.quantize.checkpoint import quantize_checkpoint
    from ndns.quantize.imported import import_network

    path = Path(model) if model and Path(model).is_file() else None
    if path is None:
        if model and Path(model).suffix in (".safetensors", ".net", ".pt", ".pth"):
            raise UserError(f"{model}: no such file.")
        path = find_program(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        program = quantize_checkpoint(path) if path.suffix == ".safetensors" else import_network(path)
    for warning in caught:
        print(f"ndns: {warning.message}", file=sys.stderr)
    return program


def find_program(name: str | None, results: Path = Path(PROGRAMS)) -> Path:
    """Return `results/<study>/quantize/<run>/program.net` of the run that a name or its beginning means.

    Raises:
        UserError: none or several fit; the sentence lists what exists.
    """
    runs = {f"{path.parts[-4]}/{path.parts[-2]}": path for path in sorted(results.glob("*/quantize/*/program.net"))}
    study, _, run = (name or "").rpartition("/")
    inside = {key: path for key, path in runs.items() if not study or key.split("/")[0] == study}
    exact = [key for key in inside if key.split("/")[1] == run]
    fitting = exact if len(exact) == 1 else [key for key in inside if key.split("/")[1].startswith(run)]
    if len(fitting) == 1:
        return runs[fitting[0]]
    if not runs:
        raise UserError(f"--model: no network below {results}/ yet; run a study first or name a file.")
    if not fitting:
        raise UserError(f"--model {name}: no such file or run; there are {', '.join(runs)}.")
    asked = f"--model {name}: fits" if name else "--model: name one of"
    raise UserError(f"{asked} {', '.join(fitting)}; give one as STUDY/RUN.")


def denoise_file(program: "Program", source: Path, target: Path, report: Report = lambda frames: None) -> int:
    """Denoise one recording into `target`, which appears only when it is whole.

    Rate, channel count and number of frames are the recording's; the sample format too, where the suffix can hold it.

    Args:
        program: the network.
        source: anything that libsndfile reads.
        target: .wav or .flac.
        report: called with the number of frames of each block that is done.

    Returns:
        how many samples were limited to full scale.

    Raises:
        UserError: the recording is missing, not audio, cut short, holds NaN, or is empty and .flac is asked for.
    """
    import numpy as np
    import soundfile

    from ndns.audio.io import info
    from ndns.files import atomic_path

    header = info(source)
    check_output(source, target)
    if header.frames == 0 and target.suffix.lower() == ".flac":
        raise UserError(f"{source}: holds no samples, which .flac cannot say; remove it or choose .wav.")
    lanes = [Lane(program, header.rate) for _ in range(header.channels)]
    written = limited = 0
    with atomic_path(target) as temporary, soundfile.SoundFile(source) as recording:
        options = _format(target, header.frames * header.channels, recording.subtype)
        floating = options["subtype"] in ("FLOAT", "DOUBLE")
        with _writer(temporary, target, header.rate, header.channels, options) as out:
            for block, last in _blocks(recording, source, header.frames):
                cleaned = np.stack([lane.push(block[:, k], last) for k, lane in enumerate(lanes)], axis=1)
                cleaned = cleaned[: header.frames - written]
                if not floating:
                    limited += int(np.count_nonzero(np.abs(cleaned) > 1))
                out.write(cleaned)
                written += len(cleaned)
                report(len(block))
        if written != header.frames:
            raise RuntimeError(f"{target}: wrote {written} of {header.frames} frames")
    return limited


class Lane:
    """One channel on its way through the network: blocks at the recording's rate in and out, delay removed."""

    def __init__(self, program: "Program", rate: int) -> None:
        """Start from silence.

        Args:
            program: the network.
            rate: sampling rate of the recording, Hz.

        Raises:
            UserError: the network is none for audio.
        """
        import numpy as np
        import soxr

        from ndns.audio.io import RATE
        from ndns.loihi2.denoiser import Denoiser

        self._denoiser = Denoiser(program)
        self._late = self._denoiser.delay_samples
        self._pending = np.zeros(0)
        same = rate == RATE
        self._to_network = None if same else soxr.ResampleStream(rate, RATE, 1, "float64", "HQ")
        self._from_network = None if same else soxr.ResampleStream(RATE, rate, 1, "float64", "HQ")

    def push(self, block: "np.ndarray", last: bool) -> "np.ndarray":
        """Take samples `(n,)` and return those that are ready; with `last` at least as many as were taken in all."""
        import numpy as np

        parts = [self._pending, self._to_network.resample_chunk(block, last) if self._to_network else block]
        if last:
            parts.append(np.zeros(self._denoiser.delay_samples + MARGIN))
        samples = np.concatenate(parts)
        hop = self._denoiser.frames.hop
        if last:
            samples = np.pad(samples, (0, -len(samples) % hop))
        ready = len(samples) // hop * hop
        self._pending = samples[ready:]
        cleaned = self._denoiser.push(samples[:ready])
        early, self._late = self._late, max(0, self._late - len(cleaned))
        cleaned = cleaned[early:]
        return self._from_network.resample_chunk(cleaned, last) if self._from_network else cleaned


@contextmanager
def progress(jobs: list[tuple[Path, Path]]) -> Iterator[Callable[[Path], Report]]:
    """Yield a function that starts the bar of a recording; without a terminal nothing is shown."""
    if not sys.stderr.isatty():
        yield lambda path: lambda frames: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        numbers = {path: index for index, (path, _) in enumerate(jobs, 1)}
        task = bar.add_task("", total=None)

        def start(path: Path) -> Report:
            from rich.markup import escape

            from ndns.audio.io import info

            count = f" ({numbers[path]} of {len(jobs)})" if len(jobs) > 1 else ""
            bar.reset(task, total=info(path).frames, description=escape(path.name) + count)
            return lambda frames: bar.advance(task, frames)

        yield start


def _blocks(recording, source: Path, frames: int) -> Iterator[tuple["np.ndarray", bool]]:
    """Yield blocks `(n, channels)` float64 and whether each is the last; a recording without frames gives one."""
    import numpy as np
    import soundfile

    size = max(1, int(BLOCK_SECONDS * recording.samplerate))
    done = 0
    while True:
        try:
            block = recording.read(size, dtype="float64", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UserError(f"{source}: cannot be decoded after {done} frames ({error}); replace it.") from None
        done += len(block)
        if len(block) < min(size, frames - done + len(block)):
            raise UserError(f"{source}: ends after {done} of {frames} frames; the file is cut short.")
        if not np.isfinite(block).all():
            raise UserError(f"{source}: contains NaN or infinite samples; export it again.")
        yield block, done >= frames
        if done >= frames:
            return


def _format(target: Path, samples: int, subtype: str) -> dict[str, str]:
    """Return format and subtype for soundfile: bits are kept where the container can hold them."""
    container = FORMATS[target.suffix.lower()]
    subtype = DEEP.get(subtype, "PCM_16")
    if container == "FLAC":
        return {"format": "FLAC", "subtype": "PCM_16" if subtype == "PCM_16" else "PCM_24"}
    size = 8 if subtype == "DOUBLE" else 4
    return {"format": "RF64" if samples * size > WAV_LIMIT else "WAV", "subtype": subtype}


def _writer(path: Path, target: Path, rate: int, channels: int, options: dict[str, str]):
    import soundfile

    try:
        return soundfile.SoundFile(path, "w", rate, channels, **options)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{target}: cannot hold {channels} channels at {rate} Hz ({error}); choose .wav.") from None
