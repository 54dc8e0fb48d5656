"""What is claimed about each kind of artifact: `config/claims.yaml`, first match wins.

`python -m ndns.verify.claims > workflow/schemas/claims.schema.json` writes the schema again.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, model_validator

from ndns.errors import UserError
from ndns.validation import Section, load_yaml, validated

Level = Literal["bytes", "content", "tolerance", "band", "schema"]
LEVELS: tuple[Level, ...] = ("bytes", "content", "tolerance", "band", "schema")
"""Strongest first."""


class Band(Section):
    """The one value of a run that must lie in the spread of other seeds."""

    file: str = Field("history.csv", description="table in the artifact's folder")
    column: str
    take: Literal["max", "min", "last"] = Field("max", description="which row counts")


class Claim(Section):
    """One kind of artifact."""

    artifact: str = Field(
        description="pattern: * within a name, ** over folders; {trained}, {imported}, {peer} are the study's runs, "
        "{cleaned} its corpora of that kind"
    )
    level: Level = Field(description="what must be reached where environments differ")
    same_environment: Level | None = Field(
        None, description="what must be reached on the same processor with the same libraries; none: the level itself"
    )
    bounds: dict[str, Literal["content", "schema"] | float] = Field(
        default={},
        description="field (column, key path or array; * matches) -> largest absolute difference; content: equal; "
        "schema: same type and finite, never compared",
    )
    relative: float = Field(0.0, ge=0, description="largest relative difference of numbers that no bound names")
    band: Band | None = None
    why: str = Field("", description="reason, where the level is not bytes")

    @model_validator(mode="after")
    def _whole(self) -> "Claim":
        if self.level in ("bytes", "content") and (self.bounds or self.relative or self.band):
            raise ValueError(f"level {self.level} has no bounds, relative or band; remove them")
        if self.level == "tolerance" and not (self.bounds or self.relative):
            raise ValueError("level tolerance needs bounds or relative")
        if (self.level == "band") != (self.band is not None):
            raise ValueError("level band, and no other, needs band")
        if self.level != "bytes" and not self.why:
            raise ValueError("why: say why the level is not bytes")
        if self.same_environment and LEVELS.index(self.same_environment) > LEVELS.index(self.level):
            raise ValueError(f"same_environment {self.same_environment} is weaker than level {self.level}")
        negative = [name for name, bound in self.bounds.items() if isinstance(bound, float) and bound < 0]
        if negative:
            raise ValueError(f"bounds.{negative[0]}: a bound is not negative")
        return self

    def required(self, same_environment: bool) -> Level:
        """The level that a comparison must reach."""
        return (self.same_environment or self.level) if same_environment else self.level

    def bound(self, field: str) -> Literal["content", "schema"] | float | None:
        """The bound of a field, first match wins; None where none names it."""
        return next((bound for pattern, bound in self.bounds.items() if _regex(pattern, {}).fullmatch(field)), None)


class Ignored(Section):
    """Files beside artifacts that are no result."""

    path: str
    why: str


class Claims(Section):
    """The whole file."""

    claims: list[Claim] = Field(min_length=1)
    ignored: list[Ignored] = Field(default=[])

    def claim(self, path: str, runs: Mapping[str, list[str]]) -> Claim:
        """Return the claim that covers an artifact.

        Args:
            path: relative to the checkout, `/` as separator.
            runs: names of `trained`, `imported` and `peer` runs and of `cleaned` corpora of the study.

        Raises:
            UserError: none does.
        """
        for claim in self.claims:
            if _regex(claim.artifact, runs).fullmatch(path):
                return claim
        raise UserError(f"{path}: no line of config/claims.yaml covers this artifact; add one.")

    def is_ignored(self, path: str) -> bool:
        """Tell whether a file is no result."""
        return any(_regex(entry.path, {}).fullmatch(path) for entry in self.ignored)


def load_claims(path: Path) -> Claims:
    """Read and check a file of claims.

    Raises:
        UserError: no such file, or a wrong key or value.
    """
    return validated(TypeAdapter(Claims), load_yaml(path), [path])


def _regex(pattern: str, runs: Mapping[str, list[str]]) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\{[a-z]+\})", pattern)
    return re.compile("".join(_piece(part, runs) for part in parts))


def _piece(part: str, runs: Mapping[str, list[str]]) -> str:
    fixed = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    if part in fixed:
        return fixed[part]
    if part.startswith("{"):
        return "(?:" + ("|".join(map(re.escape, runs.get(part[1:-1], []))) or "(?!)") + ")"
    return re.escape(part)


def schema() -> str:
    """JSON schema of the file."""
    return json.dumps(Claims.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
