"""Scores of one run of a study: manifests in, `scores.csv` out."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ndns.audio.io import pcm_sha256, read_pcm16
from ndns.config import Score
from ndns.errors import UserError
from ndns.files import read_csv, sha256_bytes
from ndns.fingerprint import fingerprint
from ndns.score.clip import Row, measure
from ndns.score.parallel import journaled
from ndns.score.scores import COLUMNS, CONDITIONS, Scores, write_scores

MIX_COLUMNS = ("clip", "noisy", "clean", "noisy_sha256", "clean_sha256", *CONDITIONS)
DENOISED_COLUMNS = ("clip", "denoised", "sha256")


@dataclass(frozen=True)
class Recording:
    """A file and the SHA-256 of the decoded samples that its manifest states."""

    path: Path
    sha256: str
    manifest: Path

    def samples(self) -> np.ndarray:
        """Return the samples `(samples,)`, float64 in [-1, 1).

        Raises:
            UserError: unreadable, or not what the manifest states.
        """
        pcm = read_pcm16(self.path)
        if pcm_sha256(pcm) != self.sha256:
            raise UserError(
                f"{self.path}: the samples are not those that {self.manifest} states; "
                "delete both and run the stage that wrote them again."
            )
        return pcm / 32768


@dataclass(frozen=True)
class Clip:
    """One clip to score; `denoised` equals `noisy` for the run `noisy`."""

    denoised: Recording
    clean: Recording
    noisy: Recording
    settings: Score

    def key(self) -> str:
        """Return a digest of everything that the scores depend on."""
        content = [self.denoised.sha256, self.clean.sha256, self.noisy.sha256]
        return sha256_bytes(json.dumps([content, self.settings.model_dump(), fingerprint("score")]).encode())


def score_study(mix: Path, denoised: Path | None, out: Path, settings: Score, jobs: int) -> Scores:
    """Score each clip of a mixture manifest, write the table, return its rows.

    Args:
        mix: `mix/<split>.csv`.
        denoised: `deploy/<run>/manifest.csv`; None scores the noisy clips themselves.
        out: the table to write; what an interrupted call finished is kept beside it until the table is whole.
        settings: which metrics.
        jobs: processes, one thread each.

    Raises:
        UserError: manifests that do not belong together, a recording that is not what its manifest states, clips of
            different lengths.
    """
    conditions = read_csv(mix, MIX_COLUMNS)
    if not conditions:
        raise UserError(f"{mix}: holds no clip; run the stage mix again.")
    clips = _clips(conditions, mix, denoised, settings)
    keys = {name: clip.key() for name, clip in clips.items()}
    journal = out.with_name(f"{out.name}.journal")
    measured = journaled(score_clip, {keys[name]: clip for name, clip in clips.items()}, journal, jobs)
    rows: Scores = [
        {"clip": row["clip"], **{name: row[name] for name in CONDITIONS}, **measured[keys[row["clip"]]]}
        for row in conditions
    ]
    write_scores(out, rows, COLUMNS)
    journal.unlink(missing_ok=True)
    return rows


def score_clip(clip: Clip) -> Row:
    """Read, verify and measure one clip.

    Raises:
        UserError: as `Recording.samples`, or the lengths differ.
    """
    denoised, clean, noisy = (recording.samples() for recording in (clip.denoised, clip.clean, clip.noisy))
    for samples, recording in ((clean, clip.clean), (noisy, clip.noisy)):
        if len(samples) != len(denoised):
            raise UserError(
                f"{clip.denoised.path} has {len(denoised)} samples but {recording.path} has {len(samples)}; "
                "both must be as long as the noisy clip."
            )
    return measure(denoised, clean, noisy, clip.settings)


def _clips(conditions: list[dict[str, str]], mix: Path, denoised: Path | None, settings: Score) -> dict[str, Clip]:
    outputs = {} if denoised is None else _outputs(denoised, {row["clip"] for row in conditions}, mix)
    clips: dict[str, Clip] = {}
    for row in conditions:
        if row["clip"] in clips:
            raise UserError(f"{mix}: the clip {row['clip']!r} is there twice; run the stage mix again.")
        clean, noisy = (Recording(mix.parent / row[part], row[f"{part}_sha256"], mix) for part in ("clean", "noisy"))
        clips[row["clip"]] = Clip(outputs.get(row["clip"], noisy), clean, noisy, settings)
    return clips


def _outputs(manifest: Path, wanted: set[str], mix: Path) -> dict[str, Recording]:
    rows = read_csv(manifest, DENOISED_COLUMNS)
    outputs = {row["clip"]: Recording(manifest.parent / row["denoised"], row["sha256"], manifest) for row in rows}
    for missing in sorted(wanted - set(outputs)):
        raise UserError(f"{manifest}: the clip {missing!r} of {mix} is missing; run the stage deploy again.")
    for extra in sorted(set(outputs) - wanted):
        raise UserError(f"{manifest}: the clip {extra!r} is not in {mix}; the two belong to different mixtures.")
    return outputs
