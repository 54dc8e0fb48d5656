"""Recordings to train on, held in memory as int16 at 16 kHz: the train split of corpora, and generated noise."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, limit_to_pcm16, read
from ndns.config_train import Fresh
from ndns.errors import UserError
from ndns.mixing import noise
from ndns.mixing.corpus import Groups, Pool, Recording, read_corpus
from ndns.mixing.draw import SILENCE, Segment, draw_speech, generator
from ndns.mixing.sources import header_of

GENERATED, GENERATED_SECONDS = 40, 10
"""Recordings of each family of generated noise, and their length."""
_RMS = 0.05
_PICK, _GENERATE = 0, 1


@dataclass(frozen=True)
class Bank:
    """Recordings and what they are.

    Attributes:
        samples: name -> int16 `(samples,)`; the name of a recording is `<corpus number>/<path>`.
        own: speech and noise of the study's corpus.
        more: speech and noise of further corpora; without groups if there are none.
        generated: noise made from a seed, a group a family; without groups if none is wanted.
    """

    samples: dict[str, np.ndarray]
    own: Pool
    more: Pool
    generated: Groups

    def join(self, segments: Iterable[Segment]) -> np.ndarray:
        """Return segments one after the other, float32 `(samples,)` in [-1, 1)."""
        return _join(self.samples, segments)


def _join(samples: dict[str, np.ndarray], segments: Iterable[Segment]) -> np.ndarray:
    parts = [
        np.zeros(stop - start, np.int16) if path == SILENCE else samples[path][start:stop]
        for path, start, stop in segments
    ]
    return np.concatenate(parts).astype(np.float32) * np.float32(1 / 32768)


def load_bank(settings: Fresh, seed: int, manifests: list[Path]) -> Bank:
    """Read the train split of corpora and generate noise.

    Args:
        settings: of the mixtures.
        seed: of the generated noise, and of what is left out beyond `settings.hours`.
        manifests: of the study's corpus, then of further ones. Recordings whose samples, speaker or type of noise the
            study keeps for validation are left out of all of them.

    Raises:
        UserError: a manifest or recording is missing or broken, there is no speech or no noise to train on, or a
            family of generated noise is unknown or has no others to switch between.
    """
    known = (*noise.FAMILIES, *noise.COMPOSED)
    for name in settings.families:
        if name not in known:
            raise UserError(f"train.fresh.families: unknown noise {name!r}; choose from {', '.join(known)}.")
    corpora = [read_corpus(manifest) for manifest in manifests]
    val = corpora[0].pools["val"]
    families = _families(settings, {group[0].label for group in val.noise})
    hidden = {recording.sha256 for recording in val.by_path().values()}
    samples: dict[str, np.ndarray] = {}
    pools = []
    for number, corpus in enumerate(corpora):
        pool = corpus.pools["train"]
        given = (pool.speech, val.speech), (pool.noise, val.noise)
        kinds = [_kept(groups, other, number, hidden, settings.hours, seed) for groups, other in given]
        pools.append(Pool(*(read_groups(groups, corpus.root, samples) for groups in kinds)))
    own, more = pools[0], Pool(*(sum((getattr(p, kind) for p in pools[1:]), ()) for kind in ("speech", "noise")))
    if not own.speech:
        raise UserError(f"{manifests[0]}: has no speech for train; training on fresh mixtures needs some.")
    generated = _generate(families, own, seed, samples)
    if not (own.noise or more.noise or generated):
        raise UserError(f"{manifests[0]}: has no noise for train; add some or set train.fresh.generated_share.")
    return Bank(samples, own, more, generated)


def _families(settings: Fresh, kept_for_val: set[str]) -> list[str]:
    """Return the families of noise to generate."""
    families = [name for name in settings.families if name not in kept_for_val and settings.generated_share > 0]
    if "switched" in families and len(set(families) - set(noise.COMPOSED)) < 2:
        raise UserError(
            "train.fresh.families: 'switched' needs two others besides babble that the corpus does not keep for "
            "validation; add some."
        )
    return families


def _kept(groups: Groups, val: Groups, number: int, hidden: set[str], hours: float, seed: int) -> Groups:
    """Name recordings by their corpus; leave out labels of `val`, hidden ones and, in random order, beyond `hours`."""
    labels = {group[0].label for group in val}
    usable = [[r for r in group if r.sha256 not in hidden] for group in groups if group[0].label not in labels]
    flat = [recording for group in usable for recording in group]
    order = generator((seed, _PICK, number)).permutation(len(flat))
    kept, left = set(), hours * 3600 * RATE
    for recording in (flat[index] for index in order):
        if recording.samples <= left:
            kept.add(recording.path)
            left -= recording.samples
    named = [tuple(replace(r, path=f"{number}/{r.path}") for r in group if r.path in kept) for group in usable]
    return tuple(group for group in named if group)


def read_groups(groups: Groups, root: Path, samples: dict[str, np.ndarray]) -> Groups:
    """Read recordings into `samples`; return the groups with the lengths that were read.

    Args:
        groups: recordings whose paths are `<name of the corpus>/<path below root>`.
        root: folder of the corpus.
        samples: path -> int16 at 16 kHz; added to.

    Raises:
        UserError: a recording cannot be read, or is not as long as its manifest says.
    """
    found = []
    for group in groups:
        members = []
        for recording in group:
            path = root / recording.path.partition("/")[2]
            header_of(path, recording)
            pcm = limit_to_pcm16(read(path))[0][: recording.samples]
            samples[recording.path] = pcm
            members.append(replace(recording, samples=len(pcm)))
        found.append(tuple(members))
    return tuple(found)


def _generate(families: list[str], own: Pool, seed: int, samples: dict[str, np.ndarray]) -> Groups:
    """Add recordings of each family to `samples`; babble is made of the corpus's own speech."""
    length = GENERATED_SECONDS * RATE
    parts = tuple(name for name in families if name not in noise.COMPOSED)
    groups = []
    for family in families:
        members = []
        for index in range(GENERATED):
            rng = generator((seed, _GENERATE, index, *family.encode()))
            if family == "babble":
                signal = _babble(rng, own, samples, length)
            elif family == "switched":
                signal = noise.switched(rng, length, parts)
            else:
                signal = noise.FAMILIES[family](rng, length)
            name = f"generated/{family}/{index}"
            samples[name] = limit_to_pcm16(noise.unit(signal) * _RMS)[0]
            members.append(Recording(name, family, length, ""))
        groups.append(tuple(members))
    return tuple(groups)


def _babble(rng: np.random.Generator, own: Pool, samples: dict[str, np.ndarray], length: int) -> np.ndarray:
    """Return the sum of 4 to 8 talkers of the corpus, each within 6 dB of the middle."""
    total = np.zeros(length)
    for _ in range(int(rng.integers(4, 9))):
        talker = _join(samples, draw_speech(rng, own, length))
        total += noise.unit(talker.astype(np.float64)) * noise.db(rng.uniform(-6, 6))
    return total
