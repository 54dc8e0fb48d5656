"""The draft of the two-page write-up, as LaTeX."""

import re
from pathlib import Path
from typing import Any

import jinja2

from ndns.board.columns import COST_COLUMNS, QUALITY_COLUMNS, Column, number, shown
from ndns.board.inputs import NOISY, Evidence, System, figure
from ndns.board.sections import leader_of
from ndns.board.table import estimate, rows
from ndns.config import Board
from ndns.files import sha256_file
from ndns.history import kept_epoch

COLUMNS = {
    "si_snr": "SI-SNR",
    "si_snri_data": "SI-SNRi",
    "ovrl": "OVRL",
    "sig": "SIG",
    "bak": "BAK",
    "pesq": "PESQ",
    "power_proxy_ops_s": "Proxy",
    "pdp_proxy_ops": "PDP",
    "latency_total_ms": "Latency",
    "parameters": "Params",
    "size_kb": "Size",
}
MOST_ROWS = 24
"""Rows of the table that leave the write-up at two pages."""
MOST_MODELS = 6
SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "×": r"$\times$",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "µ": r"$\mu$",
}


def tex(text: str) -> str:
    r"""Return text as LaTeX shows it; characters beyond its fonts become question marks.

    >>> tex("a_b & 50 %")
    'a\\_b \\& 50 \\%'
    """
    kept = "".join(c if c in SPECIAL or ord(c) < 256 else "?" for c in " ".join(str(text).split()))
    return re.sub(r"[&%$#_{}\\~^×–−±µ]", lambda match: SPECIAL[match.group()], kept)


def render(evidence: Evidence, board: Board, models: list[System]) -> str:
    """Return the LaTeX file for the runs `models`; the best of them leads."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters["tex"] = tex
    own = Evidence(evidence.study, evidence.clips, models, [])
    leader = leader_of(own) or models[0]
    table, left = _table(evidence, models)
    return environment.get_template("write_up.tex").render(
        title=f"{leader.name}: neuromorphic speech denoising",
        team=board.team,
        date=board.date or "undated draft",
        study=evidence.study,
        clips=len(evidence.clips),
        leader=_leader(leader),
        models=[_model(run) for run in models[:MOST_MODELS]],
        columns=[(title, _column(key).unit) for key, title in COLUMNS.items()],
        rows=table,
        left=left,
        chip=_chip(leader),
    )


def _column(key: str) -> Column:
    return next(column for column in (*QUALITY_COLUMNS, *COST_COLUMNS) if column.key == key)


def _table(evidence: Evidence, models: list[System]) -> tuple[list[tuple[str, list[str]]], int]:
    """Return the mixture, the entry's models, then the others, at most `MOST_ROWS`; and how many are left out."""
    ours = [NOISY, *(run.name for run in models)]
    found = sorted(rows(evidence), key=lambda row: row["system"] not in ours)
    shown_rows = [(row["system"], [_cell(row, key) for key in COLUMNS]) for row in found[:MOST_ROWS]]
    return shown_rows, max(0, len(found) - MOST_ROWS)


def _cell(row: dict[str, Any], key: str) -> str:
    text = tex(shown(row[key], _column(key)))
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    if key == "si_snri_data" and row["system"] != NOISY and low is not None and high is not None:
        text += rf" $\pm$ {(high - low) / 2:.2f}"
    clips = row.get(f"{key}_clips", row["clips"])
    return text + f" ({clips} clips)" * (row[key] is not None and clips < row["clips"])


def _leader(run: System) -> dict[str, str]:
    gain = estimate(run.quality["si_snri_data"])
    power, pdp = figure(run.cost, "power_proxy_ops_s"), figure(run.cost, "pdp_proxy_ops")
    ends = "unknown"
    if gain and gain.low is not None and gain.high is not None:
        ends = f"{tex(number(gain.low, 2))} to {tex(number(gain.high, 2))}"
    return {
        "name": run.name,
        "gain": tex(number(gain.mean, 2)) if gain else "unknown",
        "interval": ends,
        "power": shown(power, _column("power_proxy_ops_s")) if power and pdp else "",
        "pdp": shown(pdp, _column("pdp_proxy_ops")) if pdp else "",
        "latency": _figure(run, "latency.total_ms", 2),
        "size": _figure(run, "size_kb", 1),
    }


def _model(run: System) -> dict[str, Any]:
    layers = [
        {"name": layer["name"], "neurons": layer["neurons"], "rate": f"{100 * layer['event_rate']:.1f}"}
        for layer in figure(run.cost, "layers") or []
    ]
    best = (kept_epoch(run.history) or {}).get("val_si_snr")
    return {
        "name": run.name,
        "parameters": f"{figure(run.cost, 'parameters') or 0:,}".replace(",", r"\,"),
        "size": _figure(run, "size_kb", 1),
        "step": f"{1000 * run.cost['step_s']:g}",
        "layers": layers if len(layers) <= 6 else [],
        "training": {"epochs": len(run.history), "best": f"{float(best):.2f}"} if best else None,
        "sha256": sha256_file(run.program),
    }


def _figure(run: System, key: str, decimals: int) -> str:
    value = figure(run.cost, key)
    return "unknown" if value is None else f"{value:.{decimals}f}"


def _chip(run: System) -> list[dict[str, str]]:
    """Return one line a scenario: middle value with its range."""
    found = []
    for name, scenario in (figure(run.cost, "loihi2.scenarios") or {}).items():
        step = [1e6 * figure(scenario, f"{end}.step_s.mean") for end in ("value", "low", "high")]
        power = [1e3 * figure(scenario, f"{end}.real_time.power_w") for end in ("value", "low", "high")]
        found.append(
            {
                "scenario": name,
                "cores": str(scenario.get("cores", "")),
                "step": "{:.1f} ({:.1f}--{:.1f})".format(*step),
                "power": "{:.0f} ({:.0f}--{:.0f})".format(*power),
            }
        )
    return found
