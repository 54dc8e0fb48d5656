"""The synthetic corpus: eSpeak NG speech and generated noise, the same samples on every machine."""

import json
import shutil
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy

from ndns.audio.io import RATE, pcm_sha256, read_pcm16, to_pcm16, write_pcm16
from ndns.audio.shards import write_shard
from ndns.config import SpeakCorpus
from ndns.corpus.voices import Speaker, Utterance, library_version, speak, speakers, utterance
from ndns.errors import UserError
from ndns.files import sha256_bytes, sha256_file
from ndns.journal import Journal
from ndns.mixing import noise
from ndns.mixing.manifest import Recording
from ndns.pool import each

LICENCE = "CC0-1.0"
ARCHIVE, PARTS = "audio.tar", ".parts"
SPEECH_PEAK = 0.5
NOISE_RMS, NOISE_PEAK = 0.05, 0.9
FAMILIES = (*noise.FAMILIES, *noise.COMPOSED)


@dataclass(frozen=True)
class Talker:
    """One voice of a babble: what it says, where in its loop it starts (share), and how loud it is."""

    utterance: Utterance
    start: float
    gain_db: float


@dataclass(frozen=True)
class Recipe:
    """Everything that one recording's samples depend on, besides the code; `path` is that of the archive's member.

    `utterance` is set for speech. Noise has a `family`, the entropy of its generator and a length in samples; `parts`
    are the families of `switched`, `talkers` the voices of `babble`.
    """

    path: str
    kind: str
    label: str
    split: str
    utterance: Utterance | None = None
    family: str = ""
    entropy: tuple[int, ...] = ()
    samples: int = 0
    parts: tuple[str, ...] = ()
    talkers: tuple[Talker, ...] = ()


def build(settings: SpeakCorpus, out: Path, jobs: int) -> list[Recording]:
    """Write `audio.tar` below `out` and return all recordings.

    Finished recordings wait in the folder `.parts` until all are done, so that an interrupted run goes on.

    Raises:
        UserError: unknown noise families, a split without noise, too many voices, or no eSpeak NG.
    """
    wanted = {recipe.path: recipe for recipe in recipes(settings)}
    keys = {path: recipe_key(recipe) for path, recipe in wanted.items()}
    recordings: list[Recording] = []
    parts = out / PARTS
    for left_by_a_kill in (*parts.rglob(".*.part.flac"), *out.glob(".audio.*.part.tar")):
        left_by_a_kill.unlink()
    with Journal(parts / "journal.jsonl", set(wanted)) as journal:
        todo = []
        for path, recipe in wanted.items():
            known = journal.get(path, keys[path])
            if known is not None and _is_whole(parts / path, known["sha256"]):
                recordings.append(_recording(recipe, **known))
            else:
                todo.append((parts, recipe))
        for (_, recipe), result in each(_render_file, todo, jobs, "Rendering"):
            journal.add(recipe.path, keys[recipe.path], result)
            recordings.append(_recording(recipe, **result))
    write_shard(out / ARCHIVE, ((path, (parts / path).read_bytes()) for path in sorted(wanted)))
    shutil.rmtree(parts)
    return recordings


def recipes(settings: SpeakCorpus) -> list[Recipe]:
    """Plan every recording of the corpus.

    Raises:
        UserError: unknown noise families, a split without noise, or too many voices.
    """
    families = split_families(settings.noises, settings.val_noises)
    cast = speakers(settings.seed, settings.voices)
    plan = []
    for split, group in cast.items():
        for speaker in group:
            plan.extend(_speech(settings, split, speaker, index) for index in range(settings.utterances))
    for split, names in families.items():
        for name in names:
            plan.extend(_noise(settings, split, name, names, cast[split], k) for k in range(settings.noise_clips))
    return plan


def split_families(noises: list[str], val_noises: list[str]) -> dict[str, list[str]]:
    """Return the families of each split.

    Raises:
        UserError: an unknown or repeated family, a `val_noises` entry that is not in `noises`, a split without noise,
            or `switched` without two other families to switch between.
    """
    for name in noises:
        if name not in FAMILIES:
            raise UserError(f"corpus.noises: unknown noise {name!r}; choose from {', '.join(FAMILIES)}.")
    if len(set(noises)) < len(noises):
        raise UserError("corpus.noises: a noise is named twice; name each once.")
    for name in val_noises:
        if name not in noises:
            raise UserError(f"corpus.val_noises: {name!r} is not in corpus.noises; add it there or remove it here.")
    families = {
        "train": [name for name in noises if name not in val_noises],
        "val": [name for name in noises if name in val_noises],
    }
    for split, names in families.items():
        if not names:
            raise UserError(f"corpus.val_noises: no noise is left for {split}; name some but not all of corpus.noises.")
        if "switched" in names and len(_parts(names)) < 2:
            raise UserError(
                f"corpus.noises: 'switched' is in {split} and needs two other families there besides babble; add some."
            )
    return families


def render(recipe: Recipe) -> np.ndarray:
    """Return the recording's int16 samples at 16 kHz; they depend on the recipe only."""
    if recipe.utterance is not None:
        samples = speak(recipe.utterance)
        return to_pcm16(samples * (SPEECH_PEAK / np.abs(samples).max()))
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(recipe.entropy)))
    if recipe.family == "babble":
        signal = babble(recipe.talkers, recipe.samples)
    elif recipe.family == "switched":
        signal = noise.switched(rng, recipe.samples, recipe.parts)
    else:
        signal = noise.FAMILIES[recipe.family](rng, recipe.samples)
    signal = noise.unit(signal) * NOISE_RMS
    peak = np.abs(signal).max()
    return to_pcm16(signal * (NOISE_PEAK / peak) if peak > NOISE_PEAK else signal)


def babble(talkers: tuple[Talker, ...], samples: int) -> np.ndarray:
    """Return the sum of several talkers `(samples,)`, each looped from its own starting point."""
    total = np.zeros(samples)
    for talker in talkers:
        voice = noise.unit(speak(talker.utterance)) * noise.db(talker.gain_db)
        start = int(talker.start * len(voice))
        total += voice[(start + np.arange(samples)) % len(voice)]
    return total


def recipe_key(recipe: Recipe) -> str:
    """Return the hash under which a finished recording is kept: recipe, rendering code and libraries."""
    return sha256_bytes((json.dumps(asdict(recipe), sort_keys=True) + _renderer()).encode())


@cache
def _renderer() -> str:
    here = Path(__file__).parent
    code = [sha256_file(here / f"{name}.py") for name in ("speak", "voices", "espeak_child")]
    code.append(sha256_file(noise.__file__))
    return " ".join([*code, np.__version__, scipy.__version__, library_version()])


def _speech(settings: SpeakCorpus, split: str, speaker: Speaker, index: int) -> Recipe:
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 4, index, *speaker.label.encode()]))
    return Recipe(
        path=f"speech/{speaker.label}/{speaker.label}_{index:03d}.flac",
        kind="speech",
        label=speaker.label,
        split=split,
        utterance=utterance(speaker, rng, words=int(rng.integers(6, 20))),
    )


def _noise(
    settings: SpeakCorpus, split: str, name: str, families: list[str], cast: list[Speaker], index: int
) -> Recipe:
    entropy = (settings.seed, 5, index, *name.encode())
    return Recipe(
        path=f"noise/{name}/{name}_{index:03d}.flac",
        kind="noise",
        label=name,
        split=split,
        family=name,
        entropy=entropy,
        samples=max(1, round(settings.noise_seconds * RATE)),
        parts=_parts(families) if name == "switched" else (),
        talkers=_talkers(entropy, cast, settings.noise_seconds) if name == "babble" else (),
    )


def _talkers(entropy: tuple[int, ...], cast: list[Speaker], seconds: float) -> tuple[Talker, ...]:
    """Draw 4 to 8 talkers, each within 6 dB of the middle; with fewer speakers some say two things at once."""
    rng = np.random.default_rng(np.random.SeedSequence([*entropy, 6]))
    count = int(rng.integers(4, 9))
    order = [cast[i] for _ in range(-(-count // len(cast))) for i in rng.permutation(len(cast))][:count]
    return tuple(
        Talker(
            utterance=utterance(speaker, rng, words=int(seconds * speaker.rate / 60)),
            start=float(rng.uniform()),
            gain_db=float(rng.uniform(-6, 6)),
        )
        for speaker in order
    )


def _parts(families: list[str]) -> tuple[str, ...]:
    return tuple(name for name in families if name not in noise.COMPOSED)


def _render_file(task: tuple[Path, Recipe]) -> dict[str, object]:
    out, recipe = task
    pcm = render(recipe)
    write_pcm16(out / recipe.path, pcm)
    return {"sha256": pcm_sha256(pcm), "samples": len(pcm)}


def _recording(recipe: Recipe, sha256: str, samples: int) -> Recording:
    return Recording(
        path=f"{ARCHIVE}/{recipe.path}",
        kind=recipe.kind,
        label=recipe.label,
        split=recipe.split,
        seconds=samples / RATE,
        rate=RATE,
        channels=1,
        licence=LICENCE,
        sha256=sha256,
    )


def _is_whole(path: Path, sha256: str) -> bool:
    """Say whether a finished recording is still there and decodes to the same samples."""
    if not path.is_file():
        return False
    try:
        return pcm_sha256(read_pcm16(path)) == sha256
    except UserError:
        return False
