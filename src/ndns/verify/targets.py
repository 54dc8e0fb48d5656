"""What the command line of `ndns verify` asks for."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from ndns.config import ROOTS
from ndns.errors import UserError
from ndns.verify.records import STAGES, stage_of
from ndns.workflow import overridden


@dataclass(frozen=True)
class Aim:
    """Stages `first` to `last` are computed, and the paths for which `selected` holds are compared.

    `needs` holds for the outputs of the last stage that must be computed for that.
    """

    first: int
    last: int
    selected: Callable[[str], bool]
    needs: Callable[[str], bool]


def resolve(target: str, first: str, study: str, corpus: str) -> Aim:
    """Return what a target means. A target without `first` is computed from the recorded inputs of its own stage.

    Raises:
        UserError: neither a stage nor a path of the study, or `first` is no stage or comes later.
    """
    if first and first not in STAGES:
        raise UserError(f"--from {first}: no such stage; the stages are {', '.join(STAGES)}.")
    if not target:
        return Aim(STAGES.index(first or STAGES[0]), len(STAGES) - 1, lambda path: True, lambda path: True)
    name = Path(os.path.normpath(target)).as_posix()
    stage = target if target in STAGES else stage_of(f"{name}/", study, corpus)
    if stage is None:
        raise UserError(
            f"{target}: neither a stage ({', '.join(STAGES)}) nor a path in results/{study}/<stage>/ or data/{corpus}/."
        )
    last = STAGES.index(stage)
    start = STAGES.index(first) if first else last
    if start > last:
        raise UserError(f"--from {first}: comes after the target's stage, {stage}.")
    if target in STAGES:
        return Aim(start, last, lambda path: stage_of(path, study, corpus) == stage, lambda path: True)

    def selected(path: str) -> bool:
        return path == name or path.startswith(f"{name}/")

    return Aim(start, last, selected, lambda path: selected(path) or name.startswith(f"{path.rpartition('/')[0]}/"))


def overrides(pairs: Iterable[str] | None) -> dict[str, object]:
    """Return the keys that `--config` gives, several of one section together.

    Raises:
        UserError: as `absolute`.

    >>> overrides(["mix={seed: 2}", "mix={seconds: 3}"])
    {'mix': {'seed': 2, 'seconds': 3}}
    """
    found: dict[str, object] = {}
    for pair in pairs or ():
        found = overridden(found, dict([absolute(pair)]))
    return found


def absolute(pair: str) -> tuple[str, object]:
    """Split `key=value` of the command line; folders outside of the checkout become absolute.

    Raises:
        UserError: not `key=value`, or the value is no YAML.
    """
    key, mark, text = pair.partition("=")
    if not (key and mark):
        raise UserError(f"--config {pair}: expected key=value.")
    if key in ROOTS:
        return key, str(Path(text).resolve())
    try:
        return key, yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--config {pair}: the value is not valid YAML ({' '.join(str(error).split())}).") from None
