"""Reading a plan: `plan.csv`, one row a clip."""

from pathlib import Path

from ndns.config import Mix
from ndns.errors import UserError
from ndns.files import read_csv
from ndns.mixing.draw import Clip, Segment, parse_segments
from ndns.mixing.manifest import SPLITS

COLUMNS = ["clip", "split", "seed", "seconds", "snr_db", "level_dbfs", "speech", "noise", "noise_label"]
RELEASED_COLUMNS = [*COLUMNS, "drawn_level", "true_snr_db", "active_snr_db", "name", "sources"]
"""Columns of a plan of `mix.method: released`."""

GIVEN_COLUMNS = [*COLUMNS, "noisy", "name"]
"""Columns of a plan of `mix.method: given`; `speech` is the clean file."""

PLANS = {"true_snr": COLUMNS, "released": RELEASED_COLUMNS, "given": GIVEN_COLUMNS}

SPEECH_COLUMNS = ["room", "drift_db"]
"""Columns that a plan has besides if `mix.rooms` or `mix.drift_db` are set."""

Row = dict[str, str]


def columns(mix: Mix) -> list[str]:
    """Return the columns of a plan."""
    return PLANS[mix.method] + (SPEECH_COLUMNS if mix.rooms or mix.drift_db else [])


def read_rows(path: Path, split: str, mix: Mix) -> list[Row]:
    """Read the rows of one split; what stands in a row is looked at when its clip is made.

    Raises:
        UserError: no such split, no such plan, or the clips are not those that the settings ask for.
    """
    if split not in SPLITS:
        raise UserError(f"--split: {split!r} is unknown; take train or val.")
    rows = [row for row in read_csv(path, columns(mix)) if row["split"] == split]
    first = mix.released.first if mix.method == "released" else 0
    names = [f"{split}_{first + index:05d}" for index in range(mix.clips(split))]
    if [row["clip"] for row in rows] != names:
        raise other_settings(path)
    return rows


def read_plan(path: Path, split: str, mix: Mix) -> list[Clip]:
    """Read the clips of one split of a plan of `mix.method: true_snr`.

    Raises:
        UserError: as `read_rows` and `planned_clip`.
    """
    return [planned_clip(row, path, mix) for row in read_rows(path, split, mix)]


def planned_clip(row: Row, path: Path, mix: Mix) -> Clip:
    """Parse a row of `mix.method: true_snr` and hold it against the settings.

    Raises:
        UserError: the row is broken, or was drawn with other settings.
    """
    clip = parse_clip(row, path)
    seed = (mix.seed, SPLITS.index(clip.split), int(clip.clip.rsplit("_", 1)[1]))
    ranges = [(mix.snr_db, clip.snr_db), (mix.level_dbfs, clip.level_dbfs)]
    ranges += [((-mix.drift_db, mix.drift_db), level) for level in clip.drift_db]
    within = all(low <= value <= high for (low, high), value in ranges)
    if (clip.seed, clip.seconds) != (seed, mix.seconds) or not within or (clip.room and mix.rooms is None):
        raise other_settings(path)
    return clip


def other_settings(path: Path) -> UserError:
    """Return the error for a plan that does not fit the settings."""
    return UserError(f"{path}: was drawn with other settings; run `ndns mix plan` again.")


def broken(path: Path, row: Row) -> UserError:
    """Return the error for a row that cannot be parsed."""
    return UserError(f"{path}: the row of {row['clip']!r} is broken; run `ndns mix plan` again.")


def parse_clip(row: Row, path: Path) -> Clip:
    """Parse the columns `COLUMNS` of a row.

    Raises:
        UserError: the row is broken.
    """
    try:
        seed = tuple(int(number) for number in row["seed"].split())
        numbers = [float(row[key]) for key in ("seconds", "snr_db", "level_dbfs")]
        speech, noise = parse_segments(row["speech"]), parse_segments(row["noise"])
        drift = tuple(map(float, (row.get("drift_db") or "").split()))
        about = row["noise_label"], row.get("room") or "", drift
        clip = Clip(row["clip"], row["split"], seed, *numbers, speech, noise, *about)
        whole = all(sum(s.samples for s in kind) == clip.samples for kind in (speech, noise))
    except (ValueError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise broken(path, row)
    return clip


def segments_in(row: Row, column: str, path: Path) -> tuple[Segment, ...]:
    """Parse a column of segments.

    Raises:
        UserError: the cell is broken.
    """
    try:
        return parse_segments(row[column])
    except (ValueError, TypeError, AttributeError):
        raise broken(path, row) from None
