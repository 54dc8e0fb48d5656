"""A verification for people and for machines."""

import os
from collections import Counter
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ndns.verify.claims import LEVELS
from ndns.verify.compare import Outcome
from ndns.verify.contents import AUDIO
from ndns.verify.run import Verification


def as_json(verification: Verification) -> dict[str, object]:
    """Everything that was found, ready for JSON."""
    return {
        "study": verification.study,
        "target": verification.target,
        "first_stage": verification.first,
        "environment": verification.environment,
        "other_environments": sorted(verification.elsewhere),
        "artifacts": [
            {
                "path": outcome.path,
                "claim": outcome.claim,
                "required": outcome.required,
                "reached": outcome.reached or "none",
                "holds": outcome.holds,
                "differences": outcome.differences,
                "spread": outcome.spread,
            }
            for outcome in verification.outcomes
        ],
        "misses": [outcome.path for outcome in verification.misses],
    }


def as_table(verification: Verification) -> Group:
    """The table: a row an artifact (clips of a run share one), then each miss in words."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("artifact", overflow="fold")
    for heading in ("claimed", "reached", "verdict"):
        table.add_column(heading, no_wrap=True)
    for name, outcomes in _rows(verification.outcomes).items():
        wrong = [outcome for outcome in outcomes if not outcome.holds]
        verdict = Text("ok", "green")
        if wrong:
            verdict = Text("MISS" if len(outcomes) == 1 else f"{len(wrong)} of {len(outcomes)} MISS", "bold red")
        table.add_row(Text(name), outcomes[0].required, _reached(outcomes), verdict)
    return Group(table, *(_told(outcome) for outcome in verification.misses), Text(summary(verification)))


def summary(verification: Verification) -> str:
    """The last line."""
    total, misses = len(verification.outcomes), len(verification.misses)
    reached = Counter(outcome.reached for outcome in verification.outcomes if outcome.holds)
    levels = ", ".join(f"{level}: {reached[level]}" for level in LEVELS if reached[level])
    where = ""
    if verification.elsewhere:
        where = " Some artifacts were recorded in another environment; their claims for that were asked."
    if misses:
        return f"{misses} of {total} artifacts do not hold what is claimed ({levels or 'none'} reached).{where}"
    return f"{total} of {total} artifacts hold what is claimed ({levels}).{where}"


def _rows(outcomes: list[Outcome]) -> dict[str, list[Outcome]]:
    """One row an artifact; clips of one claim in one run's folder share a row."""
    rows: dict[str, list[Outcome]] = {}
    groups: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        if Path(outcome.path).suffix in AUDIO:
            groups.setdefault((outcome.claim, outcome.required, *outcome.path.split("/")[:4]), []).append(outcome)
        else:
            rows[outcome.path] = [outcome]
    for members in groups.values():
        folder = os.path.commonpath([Path(member.path).parent for member in members])
        rows[f"{folder}/ ({len(members)} clips)"] = members
    return dict(sorted(rows.items(), key=lambda row: outcomes.index(row[1][0])))


def _reached(outcomes: list[Outcome]) -> str:
    levels = [outcome.reached for outcome in outcomes]
    weakest = "none" if None in levels else max(levels, key=LEVELS.index)
    spread = max(((gap, name) for outcome in outcomes for name, gap in outcome.spread.items()), default=None)
    return f"{weakest}, {spread[1]} {spread[0]:.2g}" if weakest == "tolerance" and spread else weakest


def _told(outcome: Outcome) -> Text:
    lines = [f"{outcome.path}: {outcome.required} claimed, {outcome.reached or 'no level'} reached"]
    return Text("\n    ".join([*lines, *outcome.differences]))
