"""Drawing a plan of `mix.method: true_snr`."""

from collections.abc import Iterator
from pathlib import Path

from ndns.config import Mix
from ndns.errors import UserError
from ndns.files import write_csv
from ndns.mixing.corpus import Corpus, Pool
from ndns.mixing.draw import Clip, draw_noise, draw_speech, generator, length
from ndns.mixing.manifest import SPLITS
from ndns.mixing.plan import columns
from ndns.mixing.speech import Draw, drawing


def draw_clip(mix: Mix, pool: Pool, split: str, index: int, drawn: Draw = lambda _: {}) -> Clip:
    """Draw clip `index` of a split; `drawn` gives its room and drift, last, so that all else is as without them."""
    seed = (mix.seed, SPLITS.index(split), index)
    rng = generator(seed)
    snr_db, level_dbfs = float(rng.uniform(*mix.snr_db)), float(rng.uniform(*mix.level_dbfs))
    speech = draw_speech(rng, pool, length(mix.seconds))
    noise_label, noise = draw_noise(rng, pool, length(mix.seconds))
    parts = speech, noise, noise_label
    return Clip(f"{split}_{index:05d}", split, seed, mix.seconds, snr_db, level_dbfs, *parts, **drawn(rng))


def draw_plan(mix: Mix, corpus: Corpus) -> Iterator[Clip]:
    """Draw all clips, `train` before `val`.

    Raises:
        UserError: a split has no speech or no noise.
    """
    for split in SPLITS:
        pool = corpus.pools[split]
        for kind, groups in (("speech", pool.speech), ("noise", pool.noise)):
            if not groups:
                raise UserError(
                    f"corpus: the split {split!r} has no usable {kind} of at least 0.1 s; "
                    f"add {kind} recordings or change the corpus settings so that {split} gets some."
                )
        drawn = drawing(mix, split)
        for index in range(mix.clips(split)):
            yield draw_clip(mix, pool, split, index, drawn)


def write_plan(mix: Mix, corpus: Corpus, path: Path) -> None:
    """Write `plan.csv`.

    Raises:
        UserError: as `draw_plan`; no file is written then.
    """
    write_csv(path, (clip.row() for clip in draw_plan(mix, corpus)), columns(mix))
