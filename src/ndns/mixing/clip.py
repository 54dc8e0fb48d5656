"""Rendering of one clip, with other recordings where the planned ones are silent."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ndns.errors import UserError
from ndns.mixing.corpus import Pool
from ndns.mixing.draw import Clip, draw_noise, draw_speech, generator
from ndns.mixing.levels import Mixture, active_powers, active_snr_db, mix
from ndns.mixing.sources import Sources
from ndns.mixing.speech import heard

SILENT_POWER = 1e-7
"""Speech or noise below -70 dBFS in the active frames counts as silence."""

BURST_RATIO = 1e-3
"""Noise whose power in the active frames is 30 dB below that of the whole clip sounds only where nobody speaks."""

SNR_TOLERANCE_DB = 0.05
"""Largest difference between the plan's SNR and that of the rounded signals."""

MAX_DRAWS = 50
"""As the challenge's MAXTRIES."""


class Rendered(NamedTuple):
    """A mixture, the clip it came from (as planned or as drawn again), and how often it was drawn again."""

    clip: Clip
    mixture: Mixture
    redraws: int


def render_clip(clip: Clip, pool: Callable[[], Pool], sources: Sources, rooms: str | None = None) -> Rendered:
    """Render a clip; `pool` is asked for the split's recordings only if something is drawn again.

    Speech or noise that is silent (see the constants above) is replaced: redraw k = 1, 2, ... draws a speaker or a
    noise type of the split and new segments from `SeedSequence([*clip.seed, k])`; SNR, level, room and drift stay.
    Noise is replaced likewise if rounding makes another 20 ms frame of the speech active, or one less, and the SNR of
    what was rounded is off by more than the tolerance (5 of 10 000 clips of 1 s in `bench/mix.py`).

    Raises:
        UserError: a recording cannot be read, or 50 draws gave silence.
    """
    for redraw in range(MAX_DRAWS):
        clean, noise = (sources.join(segments).astype(np.float64) for segments in (clip.speech, clip.noise))
        clean = heard(clip, clean, rooms)
        speech_power, noise_power = active_powers(clean, noise)
        silent = "speech" if speech_power < SILENT_POWER else "noise"
        if silent == "noise" and noise_power >= max(SILENT_POWER, BURST_RATIO * float((noise**2).mean())):
            mixture = mix(clean, noise, clip.snr_db, clip.level_dbfs)
            if abs(active_snr_db(mixture.clean, mixture.noise) - clip.snr_db) <= SNR_TOLERANCE_DB:
                return Rendered(clip, mixture, redraw)
        clip = _drawn_again(clip, pool(), silent, redraw + 1)
    raise UserError(
        f"{clip.clip}: {MAX_DRAWS} draws of the split {clip.split!r} gave silent {silent}; "
        f"remove its silent {silent} recordings from the corpus."
    )


def _drawn_again(clip: Clip, pool: Pool, silent: str, redraw: int) -> Clip:
    rng = generator((*clip.seed, redraw))
    if silent == "speech":
        return replace(clip, speech=draw_speech(rng, pool, clip.samples))
    label, noise = draw_noise(rng, pool, clip.samples)
    return replace(clip, noise_label=label, noise=noise)
