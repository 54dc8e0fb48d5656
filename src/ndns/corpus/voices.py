"""Synthetic speakers: eSpeak NG accents times variants, at 16 kHz."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy.signal

from ndns.corpus import espeak_child
from ndns.corpus.grammar import text
from ndns.errors import UserError
from ndns.files import sha256_file

ACCENTS = (
    "en", "en-029", "en-GB-scotland", "en-GB-x-gbclan", "en-GB-x-gbcwmd", "en-GB-x-rp", "en-US", "en-US-nyc",
)  # fmt: skip
# Variants that sound voiced and clean (DNSMOS OVRL of at least 2.4 in two accents). Left out: whisper; those of the
# Klatt and SpeechPlayer generators, whose noise comes from the C library and so differs between systems; robots;
# doublets.
HIGH = (
    "Alicia", "Annie", "Nguyen", "aunty", "belinda", "f1", "f2", "f3", "f4", "f5", "shelby", "steph",
)  # fmt: skip
LOW = (
    "Alex", "Andy", "Demonic", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Lee", "Marco", "Mike", "Storm", "boris",
    "croak", "grandpa", "ian", "iven3", "john", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo", "michel",
    "norbert", "pablo", "paul", "quincy", "robert", "victor",
)  # fmt: skip
VAL_SHARE = 0.2
MAX_SPEAKERS = 300


@dataclass(frozen=True)
class Speaker:
    """One synthetic talker: an accent, a variant of the synthesizer, and habits of pitch and speed."""

    accent: str
    variant: str
    pitch: int
    pitch_range: int
    rate: int

    @property
    def label(self) -> str:
        """Name in manifests and paths."""
        return f"{self.accent}-{self.variant}".lower()


@dataclass(frozen=True)
class Utterance:
    """What eSpeak NG is told: `rate` in words a minute, `pitch` and `pitch_range` on its scale of 0 to 99."""

    voice: str
    text: str
    rate: int
    pitch: int
    pitch_range: int


def speakers(seed: int, count: int) -> dict[str, list[Speaker]]:
    """Draw `count` speakers, about one in five for `val`; the splits share no variant, hence no voice.

    More speakers with the same seed only add to those of fewer.

    Raises:
        UserError: more speakers than the voices allow.
    """
    if count > MAX_SPEAKERS:
        raise UserError(
            f"corpus.voices: {count} is more than the {MAX_SPEAKERS} synthetic speakers there are; lower it."
        )
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    val_count = min(max(round(VAL_SHARE * count), 1), count - 1)
    pools: dict[str, list[str]] = {"val": [], "train": []}
    groups = [list(rng.permutation(group)) for group in (LOW, HIGH)]
    for split in ("val", "train"):
        parts = []
        for group in groups:
            cut = round(VAL_SHARE * len(group))
            parts.append(group[:cut] if split == "val" else group[cut:])
        pools[split] = _interleave(*parts)
    return {
        "train": [_speaker(seed, "train", pools["train"], index) for index in range(count - val_count)],
        "val": [_speaker(seed, "val", pools["val"], index) for index in range(val_count)],
    }


def _interleave(low: list[str], high: list[str]) -> list[str]:
    """Spread the shorter list over the longer one, so that the first few voices hold both."""
    places = [(index / len(low), 0, name) for index, name in enumerate(low)]
    places += [((index + 0.5) / len(high), 1, name) for index, name in enumerate(high)]
    return [str(name) for *_, name in sorted(places)]


def _speaker(seed: int, split: str, pool: list[str], index: int) -> Speaker:
    variant = pool[index % len(pool)]
    order = np.random.default_rng(np.random.SeedSequence([seed, 2, *variant.encode()])).permutation(len(ACCENTS))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 3, split == "val", index]))
    return Speaker(
        accent=ACCENTS[order[index // len(pool)]],
        variant=variant,
        pitch=int(rng.integers(28, 58)),
        pitch_range=int(rng.integers(35, 70)),
        rate=int(rng.integers(130, 180)),
    )


def utterance(speaker: Speaker, rng: np.random.Generator, words: int) -> Utterance:
    """Let `speaker` say at least `words` words, a little higher or lower, faster or slower than usual."""
    return Utterance(
        voice=f"gmw/{speaker.accent}+{speaker.variant}",
        text=text(rng, words),
        rate=round(speaker.rate * rng.uniform(0.92, 1.08)),
        pitch=speaker.pitch + int(rng.integers(-6, 7)),
        pitch_range=speaker.pitch_range + int(rng.integers(-10, 11)),
    )


def speak(request: Utterance) -> np.ndarray:
    """Return float64 `(samples,)` at 16 kHz without leading and trailing silence.

    Every utterance gets a process of its own, so its samples do not depend on what was spoken before.

    Raises:
        UserError: eSpeak NG is not installed or does not run here.
    """
    library, data = engine()
    command = [sys.executable, "-I", "-S", espeak_child.__file__, library, data]
    done = subprocess.run(command, input=json.dumps(asdict(request)).encode(), capture_output=True, check=False)
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"espeakng-loader: speech synthesis failed ({reason}); reinstall the package.")
    return resample(_without_edges(np.frombuffer(done.stdout, dtype="<i2").astype(np.float64) / 32768))


@cache
def engine() -> tuple[str, str]:
    """Return the paths of eSpeak NG's shared library and data.

    Raises:
        UserError: the package `espeakng-loader` is absent.
    """
    try:
        import espeakng_loader
    except ImportError:
        raise UserError(
            "espeakng-loader is not installed; `pip install espeakng-loader` or use a folder corpus."
        ) from None
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


def resample(samples: np.ndarray) -> np.ndarray:
    """Bring `(samples,)` from 22.05 to 16 kHz in float64: pass band to 7.2 kHz, 80 dB down from 8 kHz.

    `ndns.audio.io.resample` works in single precision with vector instructions, so its rounding to 16 bits depends on
    the processor; this plain polyphase filter agrees far below one step of PCM16 everywhere.
    """
    return scipy.signal.resample_poly(samples, 320, 441, window=_low_pass())


@cache
def _low_pass() -> np.ndarray:
    rate = espeak_child.RATE_HZ * 320
    return scipy.signal.firwin(2 * 22_050 + 1, 7_600, window=("kaiser", 8.0), fs=rate)


def _without_edges(samples: np.ndarray, threshold: float = 1e-3, kept_s: float = 0.03) -> np.ndarray:
    loud = np.flatnonzero(np.abs(samples) > threshold)
    if not len(loud):
        return samples
    margin = int(kept_s * espeak_child.RATE_HZ)
    return samples[max(loud[0] - margin, 0) : loud[-1] + margin + 1]


def library_version() -> str:
    """Return hashes of the synthesizer's library, phonemes and English dictionary: what its samples depend on."""
    library, data = (Path(path) for path in engine())
    return " ".join(sha256_file(path) for path in (library, data / "phondata", data / "en_dict"))
