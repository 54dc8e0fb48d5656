"""Render the report: one HTML file that needs no network and has equal bytes for equal inputs."""

import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ndns import __version__
from ndns.board import charts, compare, sections
from ndns.board.chip import swatch as core_swatch
from ndns.board.columns import COST_COLUMNS, MEANINGS, QUALITY_COLUMNS, interval, number, table_rows
from ndns.board.inputs import NOISY, Evidence
from ndns.board.listen import RANGE_DB, players, ranks
from ndns.board.published import published
from ndns.board.table import rows
from ndns.config import Board
from ndns.files import write_text

HERE = Path(__file__).parent
TABLES = (("Quality", QUALITY_COLUMNS), ("Cost", COST_COLUMNS))


def write_report(path: Path, evidence: Evidence, settings: Board) -> None:
    """Write report.html.

    Raises:
        UserError: a clip's sound or a run's layer is missing; see `listen.players` and `sections.activity`.
    """
    write_text(path, render(evidence, settings))


def render(evidence: Evidence, settings: Board) -> str:
    """Return the report's HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["breakable"] = _breakable
    environment.globals.update(swatch=charts.swatch, core_swatch=core_swatch, interval=interval)
    return environment.get_template("report.html").render(_content(evidence, settings))


def _breakable(name: str) -> Markup:
    """Return a system's name that a narrow column may break after each underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _content(evidence: Evidence, settings: Board) -> dict[str, Any]:
    leader = sections.leader_of(evidence)
    title, lead = sections.headline(evidence, leader)
    looks = {run.name: look for look, run in enumerate(evidence.runs)}
    aside = {NOISY, *(run.name for run in evidence.runs if run.oracle)}
    entries, means = published(), rows(evidence)
    middle = ranks(leader.quality["si_snri_data"], 1) if leader else []
    clip = evidence.clips[middle[0][1] if middle else 0]
    conditions = [(title, compare.groups(evidence, key)) for key, (title, _) in compare.CONDITIONS.items()]
    activity = sections.activity(evidence, clip.name)
    curves, quantity = sections.training(evidence)
    return {
        "style": Markup((HERE / "report.css").read_text(encoding="utf-8")),
        "script": Markup((HERE / "report.js").read_text(encoding="utf-8")),
        "study": evidence.study,
        "title": title,
        "lead": lead,
        "leader": leader.name if leader else None,
        "figures": sections.key_figures(evidence, leader) if leader else [],
        "looks": looks,
        "oracles": [run.name for run in evidence.runs if run.oracle],
        "tables": [(title, columns, table_rows(means, columns, aside)) for title, columns in TABLES],
        "clips": len(evidence.clips),
        "power": sections.against_power(evidence, entries) if evidence.runs else None,
        "latency": sections.against_latency(evidence, entries) if evidence.runs else None,
        "published": entries,
        "players": players(evidence, leader, settings.players) if leader else [],
        "range_db": RANGE_DB,
        "against": compare.against(evidence, leader) if leader else [],
        "against_columns": compare.COLUMNS,
        "conditions": conditions,
        "bands_chart": charts.bands(conditions[0][1]) if evidence.runs else None,
        "activity": activity,
        "activity_clip": clip.name,
        "activity_chart": charts.panels(activity["panels"], "time, s", "event rate, %") if activity["panels"] else None,
        "training_chart": charts.panels(curves, "epoch", quantity, 220, from_zero=False) if curves else None,
        "training_quantity": quantity,
        "training_runs": [line.name for panel in curves for line in panel.lines if not line.dashed],
        "chip": sections.chip(evidence),
        "chip_columns": sections.CHIP_COLUMNS,
        "chip_pictures": sections.chip_pictures(evidence),
        "notes": sections.notes(evidence),
        "meanings": MEANINGS,
        "settings": json.dumps(settings.model_dump(), indent=2, sort_keys=True),
        "version": __version__,
        "files": evidence.files,
    }
