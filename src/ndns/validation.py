"""How settings are checked: strict sections, and errors that name key, file and line."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from ndns.errors import UserError

T = TypeVar("T")
NAME = r"^[a-z0-9][a-z0-9_]*$"
"""What names of studies, models and corpora look like."""
SHOWN = 3
"""Problems that a sentence names one by one."""


class Section(BaseModel):
    """Base of all settings: unknown keys are errors, values are checked, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_values_for_numbers(cls, given: Any) -> Any:
        for key, value in given.items() if isinstance(given, Mapping) else ():
            truth = [item for item in (value if isinstance(value, list | tuple) else [value]) if isinstance(item, bool)]
            field = cls.model_fields.get(key)
            types = list(_types(field.annotation)) if truth and field else []
            if bool not in types and (int in types or float in types):
                raise ValueError(f"{key}: expected a number, found {truth[0]}")
        return given


def _types(annotation: Any) -> Iterator[Any]:
    """All types that a field's annotation is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _types(part)


def check_ranges(section: Section, *keys: str) -> None:
    """Raise ValueError if the range `(low, high)` under one of the keys has its bounds the wrong way round."""
    for key in keys:
        low, high = getattr(section, key)
        if low > high:
            raise ValueError(f"{key}: the lower bound {low} is above the upper bound {high}")


class _Twice(Exception):
    """A key that a mapping holds twice, and its lines."""


class _Loader(yaml.SafeLoader):
    """Takes a key of a mapping once: YAML itself keeps the last and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        lines: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"):
            line = key.start_mark.line + 1
            if key.value in lines:
                raise _Twice(key.value, lines[key.value], line)
            lines[key.value] = line
        return super().construct_mapping(node, deep)


def check_keys_once(path: str | Path) -> None:
    """Raise a UserError where a mapping of a file that somebody else reads holds a key twice."""
    with suppress(yaml.YAMLError):
        _load(path, _text(path))


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML (or JSON) mapping.

    Raises:
        UserError: no such file, not YAML, a key that is there twice, or not a mapping of keys.
    """
    try:
        value = _load(path, Path(path).read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{path}: no such settings file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())}).") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected keys and values, found {type(value).__name__}.")
    return value


def _load(path: str | Path, text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except _Twice as twice:
        key, first, line = twice.args
        raise UserError(f"{path}:{line}: the key {key!r} is there already, in line {first}; remove one.") from None
    finally:
        loader.dispose()


def _text(path: str | Path) -> str:
    """Return a file's text with blanks for tabs, which JSON may have and YAML may not."""
    return Path(path).read_text(encoding="utf-8").replace("\t", " ")


def validated(adapter: TypeAdapter[T], value: Any, files: list[str | Path]) -> T:
    """Check a value; the sentence of the error names the first wrong keys, and their places in `files`.

    Raises:
        UserError: an unknown key, a missing key or a wrong value.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problems = error.errors()
        sentences = [_sentence(problem, value, files) for problem in problems[:SHOWN]]
        more = [f"And {len(problems) - SHOWN} more."] if len(problems) > SHOWN else []
        raise UserError(" ".join(sentences + more)) from None


def _sentence(problem: Any, value: Any, files: list[str | Path]) -> str:
    kind, given = problem["type"], problem["input"]
    keys = [key for key in _keys(problem["loc"], value, kind == "missing") if key != "[key]"]
    if kind.startswith("union_tag") and isinstance(given, Mapping):
        keys.append("kind")
    complaint = _complaint(problem, keys)
    if not keys and kind == "value_error":  # of the whole study: names its key itself
        return f"{_place(complaint.partition(': ')[0].split('.'), files)}{complaint}"
    where = ".".join(map(str, keys)) or "settings"
    return f"{_place(keys, files)}{where}: {complaint}"


def _complaint(problem: Any, keys: list[int | str]) -> str:
    kind, given = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return f"unknown key; {_hint(str(keys[-1]))}"
    if kind == "union_tag_invalid":
        return f"{given['kind']!r} is not one of {problem['ctx']['expected_tags'].replace(chr(39), '')}."
    if kind == "missing" or (kind == "union_tag_not_found" and isinstance(given, Mapping)):
        return "this key is missing; add it."
    message = problem["msg"].removeprefix("Value error, ")
    if kind in ("union_tag_not_found", "model_type", "model_attributes_type", "dict_type"):
        message = "expected keys and values"
    elif kind == "string_pattern_mismatch" and problem["ctx"]["pattern"] == NAME:
        message = "use small letters, digits and underscores"
    elif kind == "string_type" and isinstance(given, int | float | date):
        message = "expected text; put it in quotes"
    shown = f" (found {given})" if isinstance(given, date) else ""
    if isinstance(given, int | float | str | None):
        shown = f" (found {given!r})"
    return f"{message[0].lower() + message[1:]}{shown}."


def _hint(key: str) -> str:
    known = _known_keys()
    if key in known:
        return "it belongs to another section."
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "remove it."


def _keys(location: tuple[int | str, ...], value: Any, missing: bool) -> list[int | str]:
    """Drop the tags of unions from pydantic's location: what remains are keys that a user wrote or should write."""
    keys: list[int | str] = []
    for index, part in enumerate(location):
        in_mapping = isinstance(value, Mapping) and part in value
        below = location[index + 1 :]
        if in_mapping and below and below[0] in value and not isinstance(value[part], Mapping | list | tuple):
            continue  # a tag that is the name of a key, too: `peer`
        if in_mapping or (isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)):
            keys.append(part)
            value = value[part]
        elif missing and index == len(location) - 1:
            keys.append(part)
    return keys


def _known_keys() -> list[str]:
    return sorted({name for section in Section.__subclasses__() for name in section.model_fields})


def _place(keys: list[int | str], files: list[str | Path]) -> str:
    """Return `file:line: ` of the deepest of `keys` that one of the files holds, the last file first."""
    for path in reversed(files):
        node = yaml.compose(_text(path))
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
