"""Mixtures as the challenge lays them out, for code that reads folders of .wav files (its loader is `DNSAudio`)."""

import re
from functools import partial
from itertools import groupby
from pathlib import Path

from ndns.audio.io import read_pcm16, write_pcm16
from ndns.audio.shards import container
from ndns.errors import UserError
from ndns.files import read_csv
from ndns.mix.workers import run_all, track
from ndns.mixing.clips import STREAMS

COLUMNS = ["clip", *STREAMS, "snr_db", "level_dbfs", "speaker", "noise_label"]
KEPT = 100
"""Bytes that a name keeps of the speaker and of the noise type, as `MAXFILELEN` of the challenge does characters."""

READ_BY_LOADERS = re.compile(r"(snr|tl|fileid_)(?=-?\d)")
"""A loader takes the first such place of a name for the SNR, the level or the number."""

Files = dict[str, str]
"""Stream -> path below the exported folder."""


def export(manifest: Path, out: Path, jobs: int = 1) -> int:
    """Write `noisy/<sources>_snr<S>_tl<L>_fileid_<K>.wav`, `clean/clean_fileid_<K>.wav`, `noise/noise_fileid_<K>.wav`.

    Mono 16 kHz PCM16, the samples of the mixtures. `<K>` is the clip's number, `<S>` and `<L>` are its SNR and level
    as whole decibels; for `mix.method: released` the name is the released script's own.

    Args:
        manifest: results/<study>/mix/<split>.csv.
        out: folder; files of the same names are written again, any other file in its three folders is refused, because
            loaders take every file that they find.
        jobs: processes.

    Returns:
        The number of clips.

    Raises:
        UserError: no such mixtures, a broken row, two clips of one number, or foreign files in the folder.
    """
    rows = read_csv(manifest, COLUMNS)
    named = [(row, _names_in(row, manifest)) for row in rows]
    known = {path for _, files in named for path in files.values()}
    if len(known) != len(rows) * len(STREAMS):
        raise UserError(f"{manifest}: two clips have the same number; run `ndns mix gather` again.")
    for stream in STREAMS:
        for path in sorted((out / stream).glob("*")):
            if f"{stream}/{path.name}" not in known and not path.name.startswith("."):
                raise UserError(f"{path}: is none of the clips of {manifest}; export to an empty folder.")
    tasks = [list(group) for _, group in groupby(named, lambda pair: container(manifest.parent / pair[0]["noisy"]))]
    for _ in track(
        run_all(partial(_write, manifest.parent, out), tasks, max(1, min(jobs, len(tasks)))), len(tasks), "export"
    ):
        pass
    return len(rows)


def names(row: dict[str, str]) -> Files:
    """Return the paths of a clip.

    >>> row = {"clip": "val_00007", "snr_db": "-3.6", "level_dbfs": "-21.2", "speaker": "a/b", "noise_label": "tl9"}
    >>> names(row)["noisy"]
    'noisy/a-b_tl-x9_snr-4_tl-21_fileid_7.wav'
    """
    number = int(row["clip"].rsplit("_", 1)[1])
    noisy = row.get("name")
    if not noisy:
        sources = "_".join(_safe(row[key]) for key in ("speaker", "noise_label"))
        snr, level = (round(float(row[key])) for key in ("snr_db", "level_dbfs"))
        noisy = f"{sources}_snr{snr}_tl{level}_fileid_{number}.wav"
    return {"noisy": f"noisy/{noisy}", **{s: f"{s}/{s}_fileid_{number}.wav" for s in ("clean", "noise")}}


def _names_in(row: dict[str, str], manifest: Path) -> Files:
    try:
        return names(row)
    except (AttributeError, IndexError, TypeError, ValueError):
        raise UserError(f"{manifest}: the row of {row['clip']!r} is broken; run `ndns mix gather` again.") from None


def _safe(label: str) -> str:
    safe = READ_BY_LOADERS.sub(r"\1-x", re.sub(r"[^\w.+-]", "-", label)).replace("_snr", "-snr")
    return safe.encode()[:KEPT].decode(errors="ignore")


def _write(folder: Path, out: Path, clips: list[tuple[dict[str, str], Files]]) -> None:
    for row, files in clips:
        for stream, path in files.items():
            write_pcm16(out / path, read_pcm16(folder / row[stream]))
