"""The clips of a plan, made when they are asked for."""

from copy import copy
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ndns.audio.io import to_pcm16
from ndns.config import Mix
from ndns.errors import UserError
from ndns.mixing.clip import render_clip
from ndns.mixing.corpus import Pool, Recording, manifest_root, read_corpus, read_recordings
from ndns.mixing.draw import SILENCE, length
from ndns.mixing.levels import Mixture
from ndns.mixing.plan import Row, other_settings, parse_clip, planned_clip, read_rows, segments_in
from ndns.mixing.released_clip import folder_of, join, planned_released, render_released
from ndns.mixing.sources import Sources

STREAMS = ("noisy", "clean", "noise")
CONDITIONS = ["seconds", "snr_db", "level_dbfs", "speaker", "noise_label"]
RELEASED = ["true_snr_db", "active_snr_db", "name"]
"""Columns of a manifest that `mix.method: released` adds; `snr_db` and `level_dbfs` are the released labels."""
GIVEN = ["name"]
"""Columns of a manifest that `mix.method: given` adds: the noisy file's name, whose labels the others are."""


class Made(NamedTuple):
    """A clip: what a manifest says of it (`clip` and `CONDITIONS`, perhaps `RELEASED`), samples, and redraws."""

    row: dict[str, object]
    mixture: Mixture
    redraws: int


class PlanClips:
    """Clips of one split of a plan: `clips[index]` makes the samples that `ndns mix render` stores, sample for sample.

    For training without stored mixtures: build it once and hand it to a `torch.utils.data.Dataset`, whose `__getitem__`
    takes `clips[index].mixture.noisy` and `.clean`, int16 `(samples,)`. A clip depends on nothing but its row, so any
    order, any number of worker processes and any start method give the same clips; each process opens what it reads
    itself, and an instance pickles.

    Args:
        mix: settings that the plan was drawn with.
        plan: `plan.csv`.
        manifest: `data/<corpus>/manifest.csv`, beside its `manifest.json`.
        split: `train` or `val`.
        start: first clip, a place in the split.
        stop: end of the clips, exclusive; None takes all.

    Raises:
        UserError: a plan of other settings, or of recordings that are not usable ones of the split. Making a clip
            raises it for recordings that are missing, unreadable or changed.
    """

    def __init__(
        self, mix: Mix, plan: Path, manifest: Path, split: str, start: int = 0, stop: int | None = None
    ) -> None:
        self._mix, self._plan, self._manifest, self._split = mix, plan, manifest, split
        self._rows = read_rows(plan, split, mix)[start:stop]
        self._root = manifest_root(manifest)
        self._recordings: dict[str, Recording] = {}
        if mix.method == "true_snr":
            paths = self._paths()
            self._recordings = read_recordings(manifest, split, paths)
            self._check(paths)

    def __len__(self) -> int:
        return len(self._rows)

    def part(self, start: int, stop: int) -> "PlanClips":
        """Return the clips from `start` to `stop` (exclusive) of these, with no more in memory than they need."""
        part = copy(self)
        part._rows = self._rows[start:stop]
        part._recordings = {path: self._recordings[path] for path in part._paths()} if self._recordings else {}
        return part

    def __getitem__(self, index: int) -> Made:
        row = self._rows[index]
        return {"true_snr": self._true_snr, "released": self._released, "given": self._given}[self._mix.method](row)

    def __getstate__(self) -> dict[str, object]:
        """Leave behind what each process opens for itself."""
        return {name: value for name, value in vars(self).items() if name not in ("_sources", "_pool")}

    def _true_snr(self, row: Row) -> Made:
        clip, mixture, redraws = render_clip(
            planned_clip(row, self._plan, self._mix), lambda: self._pool, self._sources, self._mix.rooms
        )
        speaker = next(self._recordings[s.path].label for s in clip.speech if s.path != SILENCE)
        values = [clip.seconds, clip.snr_db, mixture.level_dbfs, speaker, clip.noise_label]
        return Made({"clip": clip.clip, **dict(zip(CONDITIONS, values, strict=True))}, mixture, redraws)

    def _released(self, row: Row) -> Made:
        planned = planned_released(row, self._plan, self._mix)
        clip = planned.clip
        speaker = next((folder_of(s.path) for s in clip.speech if s.path != SILENCE), "")
        values = [clip.seconds, clip.snr_db, clip.level_dbfs, speaker, clip.noise_label]
        about = {"clip": clip.clip, **dict(zip(CONDITIONS, values, strict=True))}
        about.update({name: getattr(planned, name) for name in RELEASED})
        return Made(about, render_released(planned, self._root), 0)

    def _given(self, row: Row) -> Made:
        clip, noisy = parse_clip(row, self._plan), segments_in(row, "noisy", self._plan)
        if clip.samples != length(self._mix.seconds):
            raise other_settings(self._plan)
        values = [clip.seconds, clip.snr_db, clip.level_dbfs, "", clip.noise_label]
        about = {"clip": clip.clip, **dict(zip(CONDITIONS, values, strict=True)), "name": row["name"]}
        try:
            streams = [to_pcm16(join(self._root, segments)) for segments in (noisy, clip.speech, clip.noise)]
        except ValueError as error:
            raise UserError(
                f"{noisy[0].path}: {error} (its own, or one of its clean speech or noise, at 16 kHz); store the three "
                "softer by one common factor."
            ) from None
        return Made(about, Mixture(*streams, level_dbfs=clip.level_dbfs), 0)

    @cached_property
    def _sources(self) -> Sources:
        return Sources(self._root, self._recordings)

    @cached_property
    def _pool(self) -> Pool:
        """All recordings of the split, read when the first clip is drawn again."""
        pool = read_corpus(self._manifest).pools[self._split]
        self._recordings.update(pool.by_path())
        return pool

    def _paths(self) -> set[str]:
        """Recordings that the plan names."""
        kinds = ((row, kind) for row in self._rows for kind in ("speech", "noise"))
        return {segment.path for row, kind in kinds for segment in segments_in(row, kind, self._plan)} - {SILENCE}

    def _check(self, paths: set[str]) -> None:
        for path in sorted(paths - self._recordings.keys()):
            raise UserError(
                f"{self._plan}: its recording {path} is not among the usable ones of the split {self._split!r}; "
                "run `ndns mix plan` again."
            )
