"""Upper bound: the ideal ratio mask, computed from the clean speech (Wang, Narayanan and Wang 2014, beta 0.5)."""

import numpy as np

from ndns.audio.io import read_pcm16
from ndns.audio.stft import Frames, decode, encode
from ndns.config import Peer as Settings
from ndns.errors import UserError
from ndns.peer.base import Clip, Facts, milliseconds

FRAMES = Frames(512, 128, "sqrt_hann")


class IdealRatioMask:
    """Mask `sqrt(|S|^2 / (|S|^2 + |N|^2))` on the noisy spectrum, N = noisy - clean."""

    def __init__(self, settings: Settings) -> None:
        self.facts = Facts(
            buffer_ms=milliseconds(FRAMES.n_fft),
            removed_samples=FRAMES.overlap,
            step_s=FRAMES.hop / 16_000,
            oracle=True,
            note="oracle: knows the clean speech",
        )

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Return the masked clip.

        Raises:
            UserError: the clean speech is missing, unreadable or not as long as the clip.
        """
        clean = read_pcm16(clip.clean) / 32768
        if len(clean) != len(clip.noisy):
            raise UserError(f"{clip.clean}: has {len(clean)} samples, its noisy clip {len(clip.noisy)}; mix again.")
        mixture, speech = encode(clip.noisy, FRAMES), encode(clean, FRAMES)
        wanted, unwanted = np.abs(speech) ** 2, np.abs(mixture - speech) ** 2
        total = wanted + unwanted
        mask = np.sqrt(np.divide(wanted, total, out=np.zeros_like(total), where=total > 0))
        return decode(mixture * mask, len(clip.noisy), FRAMES), {}
