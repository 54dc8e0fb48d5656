"""What `mix.rooms` and `mix.drift_db` do to the speech of a clip: the sound of a recorded room, a level that drifts.

Both come before the SNR is set, so the SNR of the plan is the true one of what is heard. The clean signal keeps room
and drift: what a denoiser is asked to remove is the noise.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, SUFFIXES, read
from ndns.config import Mix
from ndns.errors import UserError
from ndns.mixing.draw import Clip, generator, length
from ndns.mixing.manifest import SPLITS

ROOMS = 999
"""Key of the generator that shares rooms out between the splits; no split has this number."""

VAL_SHARE = 0.2
"""Of the rooms."""

KNOT_SECONDS = 5.0
"""Between two places at which a drift is drawn; in between decibels change linearly."""

Draw = Callable[[np.random.Generator], dict[str, object]]


def rooms_of(mix: Mix, split: str) -> list[str]:
    """Return the impulse responses of a split, paths below `mix.rooms`, sorted.

    A folder is a room, and a room is in one split only; a fifth of the rooms (one at least) are val's.

    Raises:
        UserError: fewer than two folders with recordings.
    """
    if mix.rooms is None:
        return []
    folders: dict[str, list[str]] = {}
    for folder, _, names in os.walk(mix.rooms):
        inside = Path(folder).relative_to(mix.rooms)
        paths = [(inside / n).as_posix() for n in sorted(names) if Path(n).suffix.lower() in SUFFIXES and n[0] != "."]
        if paths:
            folders[inside.as_posix()] = paths
    if len(folders) < 2:
        raise UserError(
            f"mix.rooms: {mix.rooms} has recordings in {len(folders)} folders; two rooms at least are needed."
        )
    order = generator((mix.seed, ROOMS)).permutation(len(folders))
    held = set(order[: max(round(VAL_SHARE * len(folders)), 1)].tolist())
    chosen = [name for place, name in enumerate(sorted(folders)) if (place in held) == (split == SPLITS[1])]
    return sorted(path for name in chosen for path in folders[name])


def drawing(mix: Mix, split: str) -> Draw:
    """Return what draws a clip's room and drift, as fields of `Clip`."""
    rooms = rooms_of(mix, split)
    knots = int(np.ceil(mix.seconds / KNOT_SECONDS)) + 1

    def draw(rng: np.random.Generator) -> dict[str, object]:
        drawn: dict[str, object] = {}
        if rooms and rng.random() < mix.room_share:
            drawn["room"] = rooms[int(rng.integers(len(rooms)))]
        if mix.drift_db:
            knots_db = rng.uniform(-mix.drift_db, mix.drift_db, knots).round(3)
            drawn["drift_db"] = tuple(map(float, knots_db.clip(-mix.drift_db, mix.drift_db)))
        return drawn

    return draw


def heard(clip: Clip, speech: np.ndarray, rooms: str | None) -> np.ndarray:
    """Return speech `(samples,)` float64 in the clip's room and with its drift.

    The response counts from its direct sound (its largest sample) on, which is scaled to 1, so that speech is neither
    late nor louder.

    Raises:
        UserError: the response is missing, cannot be read, or is silent.
    """
    if clip.room:
        from scipy.signal import fftconvolve  # takes a second to import, which clips without rooms need not spend

        speech = fftconvolve(speech, _response(Path(rooms or "", clip.room)))[: len(speech)]
    if clip.drift_db:
        at = np.arange(len(clip.drift_db)) * length(KNOT_SECONDS)
        speech = speech * 10 ** (np.interp(np.arange(len(speech)), at, clip.drift_db) / 20)
    return speech


@lru_cache(64)
def _response(path: Path) -> np.ndarray:
    response = read(path, RATE).astype(np.float64)
    direct = int(np.argmax(np.abs(response)))
    if not response[direct]:
        raise UserError(f"{path}: the impulse response is silent; remove it and plan again.")
    return response[direct:] / response[direct]
