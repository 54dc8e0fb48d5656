"""What the board is made of: the files of one study, read, checked and joined clip by clip."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ndns.errors import UserError
from ndns.files import read_csv, read_json, read_number, sha256_file

NOISY = "noisy"
CONDITIONS = ("snr_db", "level_dbfs", "noise_label")
SI_SNR = ("si_snr", "si_snri_data", "si_snri_encdec", "si_snr_aligned")
QUALITY = (*SI_SNR, "ovrl", "sig", "bak", "p808", "pesq", "estoi")
COST = (
    "power_proxy_ops_s",
    "power_proxy_events_ops_s",
    "pdp_proxy_ops",
    "parameters",
    "size_kb",
    "latency.total_ms",
    "latency.pipeline_ms",
    "latency.encdec_ms",
    "step_s",
)


@dataclass(frozen=True)
class Clip:
    """One validation mixture; `noisy` and `clean` are absolute or relative to the working folder.

    `snr_db` is that over active speech where the mixture's manifest has it: the label of the challenge's own synthesis
    is many dB off. `conditions` are the labels as scores.csv repeats them.
    """

    name: str
    noisy: Path
    clean: Path
    seconds: float
    snr_db: float
    level_dbfs: float
    noise_label: str
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Activity:
    """What a deployed network did, from `activity.npz`.

    Attributes:
        layers: names, in order.
        clips: clip names, in order of the steps.
        steps: `(clip,)` steps of each clip.
        events: `(layer, step)` messages sent, clips one after the other.
    """

    layers: list[str]
    clips: list[str]
    steps: np.ndarray
    events: np.ndarray

    def of_clip(self, clip: str) -> np.ndarray:
        """Return messages sent `(layer, step)` during one clip."""
        index = self.clips.index(clip)
        start = int(self.steps[:index].sum())
        return self.events[:, start : start + int(self.steps[index])]


@dataclass(frozen=True)
class System:
    """One row of the board: a run, or the unprocessed mixture.

    Attributes:
        name: run name, or `noisy`.
        quality: metric -> `(clip,)` float64 in the order of `Evidence.clips`; NaN where undefined.
        cost: content of cost.json, or None.
        denoised: clip -> file, empty for `noisy`.
        activity: or None where the backend recorded none.
        history: rows of history.csv, empty for a network that was not trained here.
        program: the integer program, or None for a system that has none.
    """

    name: str
    quality: Mapping[str, np.ndarray]
    cost: Mapping[str, Any] | None
    denoised: Mapping[str, Path]
    activity: Activity | None
    history: list[dict[str, str]]
    program: Path | None = None

    @property
    def oracle(self) -> bool:
        """Whether it knows the clean speech: an upper bound, never the best of a table."""
        return bool(figure(self.cost, "oracle"))


@dataclass(frozen=True)
class Evidence:
    """All of a study that the board shows.

    Attributes:
        study: name.
        clips: of the validation mixtures.
        systems: the rows, the unprocessed mixture first.
        files: (role, path, SHA-256) of what was read.
        absent: system that was to be a row -> what it lacks.
    """

    study: str
    clips: list[Clip]
    systems: list[System]
    files: list[tuple[str, str, str]]
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> list[System]:
        """The systems without the unprocessed mixture."""
        return [system for system in self.systems if system.name != NOISY]

    @property
    def noisy(self) -> System | None:
        """The unprocessed mixture, if it was scored."""
        return next((system for system in self.systems if system.name == NOISY), None)


def pairs(option: str, values: list[str]) -> dict[str, Path]:
    """Parse a repeatable option `NAME=PATH`, keeping the order.

    >>> pairs("--scores", ["noisy=a.csv"])
    {'noisy': PosixPath('a.csv')}

    Raises:
        UserError: as `texts`.
    """
    return {name: Path(text) for name, text in texts(option, values).items()}


def texts(option: str, values: list[str]) -> dict[str, str]:
    """Parse a repeatable option `NAME=TEXT`, keeping the order.

    Raises:
        UserError: a value without `=`, an empty side, or a name given twice.
    """
    found: dict[str, str] = {}
    for value in values:
        name, _, text = value.partition("=")
        if not name or not text:
            raise UserError(f"{option} {value!r}: expected NAME=PATH, for example sdnn-seed1=results/x.csv.")
        if name in found:
            raise UserError(f"{option}: {name!r} is given twice; remove one.")
        found[name] = text
    return found


def read_evidence(
    study: str,
    mix: Path,
    scores: Mapping[str, Path],
    costs: Mapping[str, Path],
    deployed: Mapping[str, Path],
    histories: Mapping[str, Path],
    programs: Mapping[str, Path] | None = None,
    absent: Mapping[str, str] | None = None,
) -> Evidence:
    """Read and join the files of a study.

    Raises:
        UserError: a file is missing or malformed, a run has no scores, or scores are not of exactly the mix's clips.
    """
    if not scores:
        raise UserError("--scores: no system is named; give at least one NAME=PATH.")
    programs = programs or {}
    given = {"--costs": costs, "--deployed": deployed, "--histories": histories, "--programs": programs}
    for option, named in given.items():
        stray = [name for name in named if name not in scores]
        if stray:
            raise UserError(f"{option} {stray[0]}: this run has no scores; add --scores {stray[0]}=PATH.")
    clips = _clips(mix)
    names = sorted(scores, key=lambda name: name != NOISY)
    systems = [
        System(
            name=name,
            quality=_quality(scores[name], clips, mix),
            cost=_cost(costs[name]) if name in costs else None,
            denoised=_denoised(deployed[name], clips) if name in deployed else {},
            activity=_activity(deployed[name].with_name("activity.npz")) if name in deployed else None,
            history=_history(histories[name]) if name in histories else [],
            program=_program(programs[name]) if name in programs else None,
        )
        for name in names
    ]
    roles = {"scores": scores, "cost": costs, "deploy": deployed, "history": histories, "program": programs}
    read = [("mix", mix), *((f"{role} {name}", path) for role, given in roles.items() for name, path in given.items())]
    files = [(role, path.as_posix(), sha256_file(path)) for role, path in read]
    return Evidence(study, clips, systems, files, absent or {})


def read_scores(results: Path) -> Evidence:
    """Read the scores of all systems of `results/<study>`, from `mix/val.csv` and `score/*/scores.csv`.

    Raises:
        UserError: nothing was scored, or as `read_evidence`.
    """
    if not results.is_dir():
        raise UserError(f"{results}: no such folder; name that of a study, results/<study>.")
    scores = {path.parent.name: path for path in sorted(results.glob("score/*/scores.csv"))}
    if not scores:
        raise UserError(f"{results}: no system has scores; run the score stage.")
    return read_evidence(results.name, results / "mix" / "val.csv", scores, {}, {}, {})


def system_named(evidence: Evidence, name: str, results: Path) -> System:
    """Return the system of that name.

    Raises:
        UserError: it was not scored in `results`.
    """
    for system in evidence.systems:
        if system.name == name:
            return system
    known = ", ".join(sorted(system.name for system in evidence.systems))
    raise UserError(f"{results}: {name!r} has no scores (scored: {known}).")


def _clips(mix: Path) -> list[Clip]:
    rows = read_csv(mix, ["clip", "noisy", "clean", "seconds", *CONDITIONS])
    if not rows:
        raise UserError(f"{mix}: holds no clips; run the mix stage again.")
    return [
        Clip(
            name=row["clip"],
            noisy=mix.parent / row["noisy"],
            clean=mix.parent / row["clean"],
            seconds=read_number(row["seconds"], mix, "seconds"),
            snr_db=read_number(row.get("active_snr_db") or row["snr_db"], mix, "snr_db"),
            level_dbfs=read_number(row["level_dbfs"], mix, "level_dbfs"),
            noise_label=row["noise_label"],
            conditions=tuple(row[key] for key in CONDITIONS),
        )
        for row in rows
    ]


def _quality(path: Path, clips: list[Clip], mix: Path) -> dict[str, np.ndarray]:
    table = read_csv(path, ["clip", *CONDITIONS, *QUALITY])
    rows = {row["clip"]: row for row in table}
    for clip in clips:
        if clip.name not in rows:
            raise UserError(f"{path}: the clip {clip.name!r} of {mix} is not scored; run the score stage again.")
        check_conditions(path, rows[clip.name], clip.conditions, mix)
    if len(table) != len(clips):
        raise UserError(f"{path}: scores {len(table)} clips but {mix} has {len(clips)}; run the score stage again.")
    return {
        metric: np.array([read_number(rows[clip.name][metric] or "nan", path, metric) for clip in clips])
        for metric in QUALITY
    }


def check_conditions(path: Path, row: Mapping[str, str], conditions: tuple[str, ...], mix: Path) -> None:
    """Check that a row of scores.csv is of the mixture whose labels `CONDITIONS` are given.

    Clips of all studies have the same names, so a change of the mixtures leaves old scores that look right.

    Raises:
        UserError: it is of another.
    """
    if tuple(row[key] for key in CONDITIONS) != conditions:
        raise UserError(
            f"{path}: scores other mixtures than those of {mix} ({row['clip']!r} has other labels); run the score "
            "stage again, or remove the folder if the study has no such system any more."
        )


def _cost(path: Path) -> dict[str, Any]:
    cost = read_json(path)
    for key in COST:
        value = figure(cost, key)
        if not _has(cost, key) or isinstance(value, bool) or not isinstance(value, int | float | None):
            raise UserError(f"{path}: the number {key!r} is missing; run the cost stage again.")
    return cost


def _has(cost: Mapping[str, Any], key: str) -> bool:
    *parts, last = key.split(".")
    for part in parts:
        cost = cost.get(part) if isinstance(cost.get(part), Mapping) else {}
    return last in cost


def figure(cost: Mapping[str, Any] | None, key: str) -> Any:
    """Return the value under a dotted key of cost.json, or None.

    >>> figure({"latency": {"total_ms": 32.0}}, "latency.total_ms")
    32.0
    """
    value: Any = cost
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _denoised(path: Path, clips: list[Clip]) -> dict[str, Path]:
    files = {row["clip"]: path.parent / row["denoised"] for row in read_csv(path, ["clip", "denoised"])}
    missing = [clip.name for clip in clips if clip.name not in files]
    if missing:
        raise UserError(f"{path}: the clip {missing[0]!r} is not denoised; run the deploy stage again.")
    return files


def _activity(path: Path) -> Activity | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            layers, clips, steps, events = (arrays[key] for key in ("layers", "clips", "steps", "events_per_step"))
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: not an activity file ({error}); run the deploy stage again.") from None
    if events.shape != (len(layers), int(steps.sum())) or len(steps) != len(clips):
        raise UserError(f"{path}: events_per_step {events.shape} does not fit layers and steps; run deploy again.")
    return Activity([str(name) for name in layers], [str(name) for name in clips], steps, events)


def _program(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path}: no such program; run the quantize stage again.")
    return path


def _history(path: Path) -> list[dict[str, str]]:
    rows = read_csv(path, ["epoch"])
    for row in rows:
        for key, value in row.items():
            read_number(value or "nan", path, key)
    return rows
