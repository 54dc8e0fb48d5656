"""How settings are checked: strict sections, and errors that name key, file and line."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ndns.errors import UserError

T = TypeVar("T")


class Section(BaseModel):
    """Base of all settings: unknown keys are errors, values are checked, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def check_ranges(section: Section, *keys: str) -> None:
    """Raise ValueError if the range `(low, high)` under one of the keys has its bounds the wrong way round."""
    for key in keys:
        low, high = getattr(section, key)
        if low > high:
            raise ValueError(f"{key}: the lower bound {low} is above the upper bound {high}")


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML (or JSON) mapping.

    Raises:
        UserError: no such file, not YAML, or not a mapping of keys.
    """
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{path}: no such settings file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())}).") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected keys and values, found {type(value).__name__}.")
    return value


def validated(adapter: TypeAdapter[T], value: Any, files: list[str | Path]) -> T:
    """Check a value; the sentence of the error names each wrong key, and its place in `files`.

    Raises:
        UserError: an unknown key, a missing key or a wrong value.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problems = [_sentence(problem, value, files) for problem in error.errors()]
        raise UserError(" ".join(problems)) from None


def _sentence(problem: Any, value: Any, files: list[str | Path]) -> str:
    keys = _keys(problem["loc"], value)
    where = ".".join(map(str, keys)) or "settings"
    place = _place(keys, files)
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(keys[-1]), _known_keys(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it."
        return f"{place}{where}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{place}{where}: this key is missing; add it."
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = f" (found {given!r})" if isinstance(given, int | float | str | None) else ""
    return f"{place}{where}: {message[0].lower() + message[1:]}{shown}."


def _keys(location: tuple[int | str, ...], value: Any) -> list[int | str]:
    """Drop the tags of unions from pydantic's location: what remains are keys that a user wrote or should write."""
    keys: list[int | str] = []
    for index, part in enumerate(location):
        in_mapping = isinstance(value, Mapping) and part in value
        if in_mapping or (isinstance(value, list | tuple) and isinstance(part, int)):
            keys.append(part)
            value = value[part]
        elif index == len(location) - 1:
            keys.append(part)
    return keys


def _known_keys() -> list[str]:
    return sorted({name for section in Section.__subclasses__() for name in section.model_fields})


def _place(keys: list[int | str], files: list[str | Path]) -> str:
    """Return `file:line: ` of the deepest of `keys` that one of the files holds, the last file first."""
    for path in reversed(files):
        node = yaml.compose(Path(path).read_text(encoding="utf-8"))
        line = None
        for key in keys:
            children = node.value if isinstance(node, yaml.MappingNode) else []
            found = next(((k, v) for k, v in children if k.value == str(key)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        if line is not None:
            return f"{path}:{line}: "
    return ""
