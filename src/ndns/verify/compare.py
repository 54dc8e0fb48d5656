"""One recorded file against the recomputed one: which level is reached, and where they part."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ndns.errors import UserError
from ndns.files import sha256_file
from ndns.verify.claims import LEVELS, Claim, Level
from ndns.verify.contents import Field, contents

SHOWN = 3
"""Differences of a file that are told in words."""


@dataclass
class Outcome:
    """What a comparison found.

    Attributes:
        path: of the artifact, relative to the checkout.
        claim: pattern of the claim that covers it.
        required: level that had to be reached.
        reached: strongest level that holds, None where none does.
        differences: where the two part, in words, the first few.
        spread: field -> largest absolute difference of numbers that was found, where the claim admits one.
    """

    path: str
    claim: str
    required: Level
    reached: Level | None
    differences: list[str] = field(default_factory=list)
    spread: dict[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the required level is reached."""
        return self.reached is not None and LEVELS.index(self.reached) <= LEVELS.index(self.required)


@dataclass
class _Verdict:
    """One field: what it reaches, and in words why no more."""

    level: Level | None
    difference: str = ""
    spread: float | None = None


def compare(recorded: Path, recomputed: Path, path: str, claim: Claim, required: Level) -> Outcome:
    """Compare two files of one artifact. A claim of level `band` is compared by its bounds here; the band itself is
    for `ndns.verify.band`.

    Raises:
        UserError: the recomputed file cannot be read; a recorded file that cannot is a miss.
    """
    outcome = Outcome(path, claim.artifact, required, None)
    for file, where in ((recorded, "in the checkout"), (recomputed, "from the recomputation")):
        if not file.is_file():
            outcome.differences.append(f"absent {where}")
            return outcome
    if sha256_file(recorded) == sha256_file(recomputed):
        outcome.reached = "bytes"
        return outcome
    ours = contents(recomputed)
    try:
        _fields(outcome, contents(recorded), ours, claim)
    except UserError as error:
        outcome.reached = None
        outcome.differences = [str(error)]
    if outcome.holds:
        outcome.differences = []
    elif not outcome.differences:
        outcome.differences = ["same content in other bytes"]
    return outcome


def compare_hash(recorded: str, recomputed: Path, path: str, claim: Claim, required: Level) -> Outcome:
    """Compare a recomputed file with the SHA-256 of one that was recorded and not stored."""
    outcome = Outcome(path, claim.artifact, required, None)
    if not recomputed.is_file():
        outcome.differences.append("absent from the recomputation")
    elif sha256_file(recomputed) == recorded:
        outcome.reached = "bytes"
    else:
        outcome.differences.append("has another hash than the recorded one, which is not stored")
    return outcome


def _fields(outcome: Outcome, recorded: Mapping[str, Field], recomputed: Mapping[str, Field], claim: Claim) -> None:
    lost, added = ([*a.keys() - b.keys()] for a, b in ((recorded, recomputed), (recomputed, recorded)))
    if lost or added:
        texts = [f"{name}: only in the checkout" for name in sorted(lost)]
        texts += [f"{name}: only in the recomputation" for name in sorted(added)]
        outcome.differences.extend(texts[:SHOWN])
        return
    reached: Level | None = "content"
    labels = _labels(recorded)
    for name in recorded:
        verdict = _field(name, recorded[name], recomputed[name], claim, labels)
        if verdict.spread is not None:
            outcome.spread[name] = verdict.spread
        if verdict.difference and len(outcome.differences) < SHOWN:
            outcome.differences.append(verdict.difference)
        reached = _weaker(reached, verdict.level)
    outcome.reached = reached


def _weaker(a: Level | None, b: Level | None) -> Level | None:
    return None if a is None or b is None else max(a, b, key=LEVELS.index)


def _labels(fields: Mapping[str, Field]) -> list[str]:
    """Names of a table's rows: the cells of its first column, if it has more and no two are the same."""
    first = fields[next(iter(fields))] if len(fields) > 1 else None
    return first if isinstance(first, list) and len(set(first)) == len(first) else []


def _field(name: str, recorded: Field, recomputed: Field, claim: Claim, labels: list[str]) -> _Verdict:
    if _equal(recorded, recomputed):
        return _Verdict("content")
    bound = claim.bound(name)
    if bound == "schema":
        problem = _schema_problem(recorded, recomputed)
        if problem:
            return _Verdict(None, f"{name}: {problem}")
        if claim.level in ("band", "schema"):
            a, b = _floats(recorded), _floats(recomputed)
            gap = None if a is None or b is None else float(_gap(a, b).max())
            return _Verdict(claim.level, _words(name, recorded, recomputed, labels), gap)
        return _Verdict("content")
    limits = (0.0, claim.relative) if bound is None else (bound, 0.0) if bound != "content" else (0.0, 0.0)
    return _numbers(name, recorded, recomputed, limits, labels)


def _equal(a: Field, b: Field) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        inexact = a.dtype.kind in "fc" and b.dtype.kind in "fc"
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=inexact)
    return type(a) is type(b) and a == b


def _numbers(name: str, recorded: Field, recomputed: Field, limits: tuple[float, float], labels: list[str]) -> _Verdict:
    if _shape(recorded) != _shape(recomputed):
        return _Verdict(None, f"{name}: {_shape(recorded)} in the checkout, {_shape(recomputed)} recomputed")
    a, b = _floats(recorded), _floats(recomputed)
    if a is None or b is None:
        return _Verdict(None, _words(name, recorded, recomputed, labels))
    gap = _gap(a, b)
    gap[_blank(recorded) != _blank(recomputed)] = np.inf
    allowed = limits[0] + limits[1] * np.nan_to_num(np.maximum(np.abs(a), np.abs(b)), posinf=0.0)
    wrong = np.nan_to_num(gap, nan=np.inf) > allowed
    if not any(limits):
        return _Verdict(None, f"{_words(name, recorded, recomputed, labels)}{_count(wrong)}")
    if not wrong.any():
        return _Verdict("tolerance", "", float(gap.max()))
    place = int(np.argmax(np.where(wrong, np.nan_to_num(gap, nan=np.inf), -1)))
    words = _words(name, recorded, recomputed, labels, place)
    return _Verdict(None, f"{words}{_count(wrong)}; the claim admits {allowed.flat[place]:.3g}")


def _gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Absolute differences; two that are not a number do not differ."""
    return np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))


def _blank(value: Field) -> np.ndarray:
    """Which cells of a column are empty: readers take these otherwise than those that say `nan`."""
    return np.array([cell == "" for cell in value] if isinstance(value, list) else False)


def _count(wrong: np.ndarray) -> str:
    return f", {int(wrong.sum())} of {wrong.size} differ" if wrong.size > 1 else ""


def _shape(value: Field) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {'x'.join(map(str, value.shape)) or 'scalar'}"
    if isinstance(value, list):
        return f"{len(value)} rows"
    return type(value).__name__


def _floats(value: Field) -> np.ndarray | None:
    """Numbers of a field, flat; empty cells are not a number. None where it holds text or complex numbers."""
    if isinstance(value, np.ndarray):
        return None if value.dtype.kind in "OSUVc" else value.astype(np.float64).reshape(-1)
    if isinstance(value, list):
        try:
            return np.array([float(cell) if cell else math.nan for cell in value], dtype=np.float64)
        except ValueError:
            return None
    return np.array([float(value)]) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _schema_problem(recorded: Field, recomputed: Field) -> str:
    if _shape(recorded) != _shape(recomputed):
        return f"{_shape(recorded)} in the checkout, {_shape(recomputed)} recomputed"
    for value, where in ((recorded, "in the checkout"), (recomputed, "recomputed")):
        numbers = _floats(value)
        empty = value.count("") if isinstance(value, list) else 0
        if numbers is not None and np.count_nonzero(~np.isfinite(numbers)) > empty:
            return f"not finite {where}"
    if (_blank(recorded) != _blank(recomputed)).any():
        return "empty cells beside filled ones"
    return "text beside numbers" if (_floats(recorded) is None) != (_floats(recomputed) is None) else ""


def _words(name: str, recorded: Field, recomputed: Field, labels: list[str], place: int | None = None) -> str:
    """Name the first (or the worst) place at which two fields part."""
    if isinstance(recorded, np.ndarray):
        a, b = recorded.reshape(-1), recomputed.reshape(-1)
        place = int(np.argmax(a != b)) if place is None else place
        index = ", ".join(str(int(part)) for part in np.unravel_index(place, recorded.shape)) if recorded.ndim else ""
        where = f"{name}[{index}]" if index else name
        return f"{where}: {a[place]} in the checkout, {b[place]} recomputed"
    if isinstance(recorded, list):
        unequal = (index for index, pair in enumerate(zip(recorded, recomputed, strict=True)) if pair[0] != pair[1])
        place = next(unequal) if place is None else place
        row = labels[place] if labels and labels[place] != recorded[place] else f"row {place + 1}"
        return f"{name} of {row}: {_short(recorded[place])} in the checkout, {_short(recomputed[place])} recomputed"
    return f"{name}: {_short(recorded)} in the checkout, {_short(recomputed)} recomputed"


def _short(value: Field) -> str:
    text = repr(value) if isinstance(value, str) and not _is_number(value) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
