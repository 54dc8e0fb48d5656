"""What a plan is worth: recordings on both sides, SNR labels against true SNRs, clips that are too long."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE
from ndns.errors import UserError
from ndns.files import read_csv
from ndns.mix.workers import run_all, track
from ndns.mixing.corpus import manifest_root
from ndns.mixing.draw import SILENCE, Clip, Segment
from ndns.mixing.manifest import KINDS, SPLITS
from ndns.mixing.plan import COLUMNS, RELEASED_COLUMNS, parse_clip
from ndns.mixing.released_clip import ReleasedClip, join, parse_released
from ndns.mixing.released_mix import Label, mix_released

TOLERANCE_DB = 0.01
"""A planned true SNR that is further from the measured one is wrong."""


@dataclass(frozen=True)
class Leak:
    """A recording in both splits; `shared_seconds` counts the samples that both really use."""

    kind: str
    path: str
    train_clips: int
    val_clips: int
    shared_seconds: float


@dataclass(frozen=True)
class LabelError:
    """A clip's labels and what it is, dB; `error_db` is the true SNR minus the label."""

    clip: str
    label_db: float
    true_snr_db: float
    active_snr_db: float
    error_db: float
    drawn_level: int
    level: float


@dataclass(frozen=True)
class LongClip:
    """A clip longer than the limit."""

    clip: str
    seconds: float


@dataclass(frozen=True)
class Audit:
    """Findings about a plan; `labels` is empty for a plan of true SNRs, `wrong` unless the recordings were measured."""

    clips: dict[str, int]
    leaks: list[Leak]
    leaking_val_clips: list[str]
    labels: list[LabelError]
    long_clips: list[LongClip]
    wrong: list[str]

    def as_json(self) -> dict:
        """Return the audit for JSON; values that are not finite become null."""
        labels = [{k: _finite(v) for k, v in asdict(label).items()} for label in self.labels]
        return {**asdict(self), "labels": labels}

    def lines(self) -> list[str]:
        """Return the audit in a few sentences."""
        val = self.clips["val"]
        shared = sum(leak.shared_seconds for leak in self.leaks)
        found = [
            f"{self.clips['train']} clips of train, {val} of val",
            f"leaks: {len(self.leaks)} recordings are in train and in val ({shared:.1f} s of the same samples); "
            f"{len(self.leaking_val_clips)} of {val} val clips hold one",
            f"long clips: {len(self.long_clips)}",
        ]
        if self.labels:
            errors = np.array([label.error_db for label in self.labels])
            known = errors[np.isfinite(errors)]
            spread = f"mean {known.mean():+.2f}, standard deviation {known.std():.2f}, " if len(known) else ""
            ends = f"from {known.min():+.2f} to {known.max():+.2f} dB; " if len(known) else ""
            silent = len(errors) - len(known)
            softer = sum(label.level != label.drawn_level for label in self.labels)
            found.append(
                f"true SNR minus label: {spread}{ends}{np.count_nonzero(np.abs(known) > 1)} clips are more than 1 dB "
                f"off, {silent} are silent on one side; {softer} levels were relabelled because the mixture clipped"
            )
        return found + [f"wrong in the plan: {sentence}" for sentence in self.wrong]


def audit_plan(plan: Path, limit_seconds: float, manifest: Path | None = None, jobs: int = 1) -> Audit:
    """Audit a plan of either method.

    Args:
        plan: `plan.csv`.
        limit_seconds: longer clips are listed.
        manifest: corpus manifest; with it, copies of a recording under other names count as the same one, and every
            mixture of a released plan is made again to check the true SNR and level that the plan states.
        jobs: processes for that.

    Raises:
        UserError: a broken plan, or recordings that are missing.
    """
    rows = read_csv(plan, COLUMNS)
    released: list[ReleasedClip] = []
    if rows and "true_snr_db" in rows[0]:
        missing = [column for column in RELEASED_COLUMNS if column not in rows[0]]
        if missing:
            raise UserError(f"{plan}: the column {missing[0]!r} is missing; run `ndns mix plan` again.")
        released = [parse_released(row, plan) for row in rows]
    clips = [each.clip for each in released] or [parse_clip(row, plan) for row in rows]
    leaks, leaking = _leaks(clips, _identities(manifest))
    return Audit(
        clips={split: sum(clip.split == split for clip in clips) for split in SPLITS},
        leaks=leaks,
        leaking_val_clips=leaking,
        labels=[_label_error(each) for each in released],
        long_clips=[LongClip(clip.clip, clip.seconds) for clip in clips if clip.seconds > limit_seconds],
        wrong=_wrong(released, manifest_root(manifest), jobs) if manifest and released else [],
    )


def _identities(manifest: Path | None) -> dict[str, str]:
    """Path -> hash of its samples, which copies share."""
    rows = read_csv(manifest, ("path", "sha256")) if manifest else []
    return {row["path"]: row["sha256"] for row in rows if row["sha256"]}


def _leaks(clips: Iterable[Clip], identities: Mapping[str, str]) -> tuple[list[Leak], list[str]]:
    uses: dict[tuple[str, str], dict[str, list[tuple[str, Segment]]]] = defaultdict(lambda: {s: [] for s in SPLITS})
    for clip in clips:
        for kind in KINDS:
            for segment in getattr(clip, kind):
                if segment.path != SILENCE:
                    key = kind, identities.get(segment.path, segment.path)
                    uses[key][clip.split].append((clip.clip, segment))
    leaks, leaking = [], set()
    for (kind, _), used in uses.items():
        if used["train"] and used["val"]:
            names = {split: {clip for clip, _ in used[split]} for split in SPLITS}
            leaking |= names["val"]
            shared = _shared([s for _, s in used["train"]], [s for _, s in used["val"]]) / RATE
            path = min(segment.path for _, segment in used["val"])
            leaks.append(Leak(kind, path, len(names["train"]), len(names["val"]), shared))
    return sorted(leaks, key=lambda leak: (leak.kind, leak.path)), sorted(leaking)


def _shared(train: list[Segment], val: list[Segment]) -> int:
    """Samples that lie in a segment of each."""
    a, b = _union(train), _union(val)
    return sum(max(0, min(e, h) - max(s, g)) for s, e in a for g, h in b)


def _union(segments: list[Segment]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted((segment.start, segment.stop) for segment in segments):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def _label_error(each: ReleasedClip) -> LabelError:
    clip = each.clip
    error = each.true_snr_db - clip.snr_db
    return LabelError(
        clip.clip, clip.snr_db, each.true_snr_db, each.active_snr_db, error, each.drawn_level, clip.level_dbfs
    )


def _wrong(released: list[ReleasedClip], root: Path, jobs: int) -> list[str]:
    work = run_all(partial(_measured, root), released, max(1, min(jobs, len(released))))
    sentences = {}
    for each, label in track(work, len(released), "measuring mixtures"):
        for what in ("true_snr_db", "active_snr_db"):
            planned, real = getattr(each, what), getattr(label, what)
            if not (abs(planned - real) <= TOLERANCE_DB or str(planned) == str(real)):
                sentences[each.clip.clip, what] = f"{each.clip.clip} has {what} {real:.3f}, not {planned:.3f}"
        if label.level != each.clip.level_dbfs or label.dropped:
            stated = f"{each.clip.level_dbfs:.0f}"
            sentences[each.clip.clip, "level"] = f"{each.clip.clip} has the level label {label.level}, not {stated}"
    return [sentences[key] for key in sorted(sentences)]


def _measured(root: Path, each: ReleasedClip) -> tuple[ReleasedClip, Label]:
    clip = each.clip
    streams = join(root, clip.speech), join(root, clip.noise)
    return each, mix_released(*streams, int(clip.snr_db), each.drawn_level)[1]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not np.isfinite(value) else value
