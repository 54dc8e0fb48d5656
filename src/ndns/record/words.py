"""Changes of a job's parameters in words."""

import ast
import json
import re
from collections.abc import Mapping

CODE = re.compile(r"[0-9a-f]{16}")
NONE = "(none)"
CODE_CHANGED = "code of the stage changed"


def parameters_changed(then: list[str], now: list[str]) -> list[str]:
    """Say how tracked parameters differ.

    Snakemake keeps them without names: settings are told by their JSON, a code fingerprint by its 16 digits.

    Args:
        then: representations of values as recorded.
        now: the same of the present job.

    >>> parameters_changed(["1", "'{\\"a\\": {\\"b\\": 2}}'"], ["1", "'{\\"a\\": {\\"b\\": 3}}'"])
    ['setting a.b: 2 -> 3']
    """
    gone = [_value(text) for text in then if text not in now]
    come = [_value(text) for text in now if text not in then]
    told = _settings(gone, come) + _code(gone, come)
    rest = [[v for v in values if not (_is_settings(v) or _is_code(v))] for values in (gone, come)]
    if rest[0] or rest[1]:
        told.append(f"parameter: {_shown(rest[0])} -> {_shown(rest[1])}")
    return told


def differences(then: object, now: object, path: str = "") -> list[tuple[str, object, object]]:
    """Return (key path, old, new) for each leaf in which two JSON values differ; a key that is absent has `(none)`."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        keys = dict.fromkeys([*then, *now])
        parts = [differences(then.get(k, NONE), now.get(k, NONE), f"{path}.{k}" if path else str(k)) for k in keys]
        return [difference for part in parts for difference in part]
    return [] if then == now else [(path, then, now)]


def _settings(gone: list[object], come: list[object]) -> list[str]:
    old = [json.loads(value) for value in gone if _is_settings(value)]
    new = [json.loads(value) for value in come if _is_settings(value)]
    if len(old) == len(new) == 1:
        return [f"setting {path}: {_one(a)} -> {_one(b)}" for path, a, b in differences(old[0], new[0])]
    return ["settings changed"] if old or new else []


def _code(gone: list[object], come: list[object]) -> list[str]:
    return [CODE_CHANGED] if any(map(_is_code, [*gone, *come])) else []


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _is_settings(value: object) -> bool:
    return isinstance(value, str) and value.startswith("{")


def _is_code(value: object) -> bool:
    return isinstance(value, str) and CODE.fullmatch(value) is not None


def _shown(values: list[object]) -> str:
    return ", ".join(map(_one, values)) or NONE


def _one(value: object) -> str:
    return NONE if value == NONE else json.dumps(value) if not isinstance(value, str) else value
