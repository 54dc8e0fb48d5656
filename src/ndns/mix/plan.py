"""The plan: `plan.csv`, one row a clip."""

from collections.abc import Iterator
from pathlib import Path

from ndns.config import Mix
from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.mix.corpus import SPLITS, Corpus, Pool
from ndns.mix.draw import Clip, draw_noise, draw_speech, generator, length, parse_segments

COLUMNS = ["clip", "split", "seed", "seconds", "snr_db", "level_dbfs", "speech", "noise", "noise_label"]


def draw_clip(mix: Mix, pool: Pool, split: str, index: int) -> Clip:
    """Draw clip `index` of a split."""
    seed = (mix.seed, SPLITS.index(split), index)
    rng = generator(seed)
    snr_db, level_dbfs = float(rng.uniform(*mix.snr_db)), float(rng.uniform(*mix.level_dbfs))
    speech = draw_speech(rng, pool, length(mix.seconds))
    noise_label, noise = draw_noise(rng, pool, length(mix.seconds))
    return Clip(f"{split}_{index:05d}", split, seed, mix.seconds, snr_db, level_dbfs, speech, noise, noise_label)


def draw_plan(mix: Mix, corpus: Corpus) -> Iterator[Clip]:
    """Draw all clips, `train` before `val`.

    Raises:
        UserError: a split has no speech or no noise.
    """
    for split, clips in _clips(mix).items():
        pool = corpus.pools[split]
        for kind, groups in (("speech", pool.speech), ("noise", pool.noise)):
            if not groups:
                raise UserError(
                    f"corpus: the split {split!r} has no usable {kind} of at least 0.1 s; "
                    f"add {kind} recordings or change the corpus settings so that {split} gets some."
                )
        for index in range(clips):
            yield draw_clip(mix, pool, split, index)


def write_plan(mix: Mix, corpus: Corpus, path: Path) -> None:
    """Write `plan.csv`.

    Raises:
        UserError: as `draw_plan`; no file is written then.
    """
    write_csv(path, (clip.row() for clip in draw_plan(mix, corpus)), COLUMNS)


def read_plan(path: Path, split: str, mix: Mix) -> list[Clip]:
    """Read the clips of one split.

    Args:
        path: `plan.csv`.
        split: `train` or `val`.
        mix: settings that the plan must have been drawn with.

    Raises:
        UserError: no such split, a broken row, or a plan of other settings.
    """
    if split not in SPLITS:
        raise UserError(f"--split: {split!r} is unknown; take train or val.")
    clips = [parse_clip(row, path) for row in read_csv(path, COLUMNS) if row["split"] == split]
    expected = [(f"{split}_{i:05d}", (mix.seed, SPLITS.index(split), i)) for i in range(_clips(mix)[split])]
    in_range = all(_within(mix, clip) for clip in clips)
    if [(clip.clip, clip.seed) for clip in clips] != expected or not in_range:
        raise UserError(f"{path}: was drawn with other settings; run `ndns mix plan` again.")
    return clips


def _clips(mix: Mix) -> dict[str, int]:
    return dict(zip(SPLITS, (mix.train_clips, mix.val_clips), strict=True))


def _within(mix: Mix, clip: Clip) -> bool:
    ranges = ((mix.snr_db, clip.snr_db), (mix.level_dbfs, clip.level_dbfs))
    return clip.seconds == mix.seconds and all(low <= value <= high for (low, high), value in ranges)


def parse_clip(row: dict[str, str], path: Path) -> Clip:
    """Parse a row of the plan.

    Raises:
        UserError: the row is broken.
    """
    try:
        seed = tuple(int(number) for number in row["seed"].split())
        numbers = [float(row[key]) for key in ("seconds", "snr_db", "level_dbfs")]
        speech, noise = parse_segments(row["speech"]), parse_segments(row["noise"])
        clip = Clip(row["clip"], row["split"], seed, *numbers, speech, noise, row["noise_label"])
        whole = all(sum(s.samples for s in kind) == clip.samples for kind in (speech, noise))
    except (ValueError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise UserError(f"{path}: the row of {row['clip']!r} is broken; run `ndns mix plan` again.")
    return clip
