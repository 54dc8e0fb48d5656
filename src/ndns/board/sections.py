"""What the report says: headline, key figures and the sections' drawings, from the evidence alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
from markupsafe import Markup

from ndns.board import charts
from ndns.board import chip as pictures
from ndns.board.columns import Column, number, shown
from ndns.board.inputs import Evidence, System, figure
from ndns.board.published import Published
from ndns.board.scatter import Axis, Point, scatter
from ndns.board.table import algorithmic_ms, estimate
from ndns.errors import UserError

POINTS = 240
"""Points of an activity curve; steps in between are averaged."""
ALLOWED_MS = 40.0


def leader_of(evidence: Evidence) -> System | None:
    """Return the run with the highest mean SI-SNR improvement, oracles aside; None if there is no run."""
    runs = [run for run in evidence.runs if not run.oracle]
    scored = [(value.mean, run) for run in runs if (value := estimate(run.quality["si_snri_data"]))]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def headline(evidence: Evidence, leader: System | None) -> tuple[str, str]:
    """Return the key result as a headline and the sentence that qualifies it."""
    clips = len(evidence.clips)
    if leader is None:
        return "No network was run: only the mixtures are scored", f"{_clips(clips)} of the study {evidence.study}."
    value = estimate(leader.quality["si_snri_data"])
    power = figure(leader.cost, "power_proxy_ops_s")
    cost = f" for {power / 1e6:.1f}\u00a0million operations a second" if power else ""
    gain = number(abs(value.mean), 1)
    certain = value.low is not None and (value.low > 0 or value.high < 0)
    if not certain:
        change = number(value.mean, 1, sign=True)
        text = f"{leader.name} changes noisy speech by {change}\u00a0dB, not told apart from none"
    elif value.mean > 0:
        text = f"{leader.name} improves noisy speech by {gain}\u00a0dB{cost}"
    else:
        text = f"{leader.name} worsens noisy speech by {gain}\u00a0dB{cost}"
    ends = ""
    if value.low is not None:
        ends = f", 95\u00a0% interval {number(value.low, 2)} to {number(value.high, 2)}\u00a0dB"
    met = "exceeds" if value.mean > charts.REQUIRED_DB else "falls short of"
    return text, (
        f"Mean improvement of SI-SNR over the noisy mixture on {_clips(clips)}{ends}. "
        f"It {met} the {charts.REQUIRED_DB:g}\u00a0dB that the N-DNS challenge requires."
    )


def key_figures(evidence: Evidence, leader: System) -> list[dict[str, Any]]:
    """Return the tiles under the headline: title, value, unit, note, and whether a requirement is met (or None)."""
    figures = []
    for metric, title, unit in (("si_snr", "SI-SNR", "dB"), ("ovrl", "DNSMOS overall", "of 5")):
        value = estimate(leader.quality[metric])
        if value:
            before = estimate(evidence.noisy.quality[metric]) if evidence.noisy else None
            note = f"noisy mixture {number(before.mean, 2)}" if before else ""
            figures.append(_figure(title, number(value.mean, 2), unit, note))
    return figures + _cost_figures(leader)


def _cost_figures(leader: System) -> list[dict[str, Any]]:
    keys = ("power_proxy_ops_s", "power_proxy_events_ops_s", "latency.total_ms", "latency.pipeline_ms")
    power, counted, latency, pipeline = (figure(leader.cost, key) for key in keys)
    size, parameters = figure(leader.cost, "size_kb"), figure(leader.cost, "parameters")
    figures = []
    if power:
        note = f"counted {counted / 1e6:.1f}" if counted else ""
        figures.append(_figure("Power proxy", f"{power / 1e6:.1f}", "M-Ops/s", note))
    if latency is not None:
        allowed = f"limit {ALLOWED_MS:g}" + (f", pipeline +{pipeline:.0f}" if pipeline else "")
        figures.append(_figure("Latency", f"{latency:.1f}", "ms", allowed, met=latency <= ALLOWED_MS))
    if size:
        note = f"{parameters / 1e3:,.0f} k parameters".replace(",", " ") if parameters else ""
        figures.append(_figure("Size", f"{size:,.0f}".replace(",", " "), "KB", note))
    return figures


POWER = Axis("power proxy, M-Ops/s", "M-Ops/s", "power_proxy_mops_s", "operations counted", log=True)
LATENCY = Axis("latency, ms", "ms", "latency_total_ms", "algorithmic", limit=ALLOWED_MS)


def against_power(evidence: Evidence, published: list[Published]) -> tuple[Markup, list[str]]:
    """Return quality against power proxy, and the systems that have none."""

    def costs(run: System) -> tuple[float | None, float | None]:
        keys = ("power_proxy_ops_s", "power_proxy_events_ops_s")
        return tuple(None if (value := figure(run.cost, key)) is None else value / 1e6 for key in keys)

    return _against(evidence, published, POWER, costs)


def against_latency(evidence: Evidence, published: list[Published]) -> tuple[Markup, list[str]]:
    """Return quality against latency as the challenge adds it, and the systems that have none."""
    return _against(
        evidence, published, LATENCY, lambda run: (figure(run.cost, "latency.total_ms"), algorithmic_ms(run))
    )


def _against(
    evidence: Evidence,
    published: list[Published],
    axis: Axis,
    costs: Callable[[System], tuple[float | None, float | None]],
) -> tuple[Markup, list[str]]:
    points, without = [], []
    for look, run in enumerate(evidence.runs):
        value = estimate(run.quality["si_snri_data"])
        cost, second = costs(run)
        if axis.shows(cost) and value:
            points.append(Point(run.name, look, cost, second, value))
        else:
            without.append(run.name)
    return scatter(points, published, axis), without


def activity(evidence: Evidence, clip: str) -> dict[str, Any]:
    """Return event rates in % as curves during one clip, a panel a layer, and as means over all clips.

    Returns:
        `panels`, `layers` (names) and `means` (run, [mean rate of each layer or None]).

    Raises:
        UserError: cost.json lacks a layer that activity.npz has.
    """
    layers: list[str] = []
    curves: dict[str, list[charts.Line]] = {}
    means = []
    for look, run in enumerate(evidence.runs):
        if run.activity is None or run.cost is None or clip not in run.activity.clips:
            continue
        neurons = _neurons(run)
        layers += [name for name in run.activity.layers if name not in layers]
        total = run.activity.events.sum(axis=1) / max(1, run.activity.events.shape[1]) / neurons
        means.append((run.name, dict(zip(run.activity.layers, 100 * total, strict=True))))
        rates = 100 * run.activity.of_clip(clip) / neurons[:, None]
        for name, rate in zip(run.activity.layers, rates, strict=True):
            curves.setdefault(name, []).append(charts.Line(run.name, look, _thinned(rate, run.cost["step_s"])))
    panels = [charts.Panel(name, curves[name]) for name in layers]
    rows = [(name, [found.get(layer) for layer in layers]) for name, found in means]
    return {"panels": panels, "layers": layers, "means": rows}


CHIP_COLUMNS = (
    Column("step_s.mean", "Time a step", "µs", 1, -1, 1e-6),
    Column("step_s.worst", "Slowest step", "µs", 1, -1, 1e-6),
    Column("dynamic_step_j", "Dynamic energy a step", "µJ", 2, -1, 1e-6),
    Column("real_time.power_w", "Power in real time", "mW", 1, -1, 1e-3),
)


def chip(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the modelled figures on Loihi 2 of every run and scenario in cost.json, with their low and high ends.

    Returns:
        `name`, `scenario` (title), `cores`, `cells` (text, interval) a column of `CHIP_COLUMNS`, `real_time` (or None).
    """
    found = []
    for run in evidence.runs:
        for scenario in (figure(run.cost, "loihi2.scenarios") or {}).values():
            cells = [
                tuple(figure(scenario, f"{end}.{c.key}") for end in ("value", "low", "high")) for c in CHIP_COLUMNS
            ]
            found.append(
                {
                    "name": run.name,
                    "scenario": scenario.get("title", ""),
                    "cores": scenario.get("cores"),
                    "cells": [_ranged(*ends, c) for ends, c in zip(cells, CHIP_COLUMNS, strict=True)],
                    "real_time": figure(scenario, "value.keeps_real_time"),
                }
            )
    return found


SHOWN = "fitted"
"""The scenario whose placement is drawn; the first if there is none of this name."""


def chip_pictures(evidence: Evidence) -> list[dict[str, Any]]:
    """Return `name`, `scenario`, `cores`, `populations` and `picture` of each run that was placed on cores."""
    found = []
    for run in evidence.runs:
        scenarios, grid = figure(run.cost, "loihi2.scenarios") or {}, figure(run.cost, "loihi2.grid")
        scenario = scenarios.get(SHOWN) or next(iter(scenarios.values()), {})
        placement = scenario.get("placement")
        if placement and grid:
            found.append(
                {
                    "name": run.name,
                    "scenario": scenario.get("title", ""),
                    "cores": len(placement),
                    "of": grid["cores"] * -(-len(placement) // grid["cores"]),
                    "populations": pictures.populations(placement),
                    "picture": pictures.picture(placement, grid),
                }
            )
    return found


def notes(evidence: Evidence) -> list[tuple[str, str]]:
    """Return (system, what a reader of its row has to know), rows left out last."""
    known = [(run.name, str(figure(run.cost, "note"))) for run in evidence.runs if figure(run.cost, "note")]
    return known + [(name, f"left out: {gap} is absent") for name, gap in evidence.absent.items()]


def _ranged(value: float | None, low: float | None, high: float | None, column: Column) -> dict[str, str]:
    ends = "" if low is None or high is None or low == high else f"{shown(low, column)} to {shown(high, column)}"
    return {"text": shown(value, column), "interval": ends}


def training(evidence: Evidence) -> tuple[list[charts.Panel], str]:
    """Return training curves (validation solid, training dashed) and the name of the y axis; empty without history."""
    runs = [(look, run) for look, run in enumerate(evidence.runs) if len(run.history) > 1]
    for quantity, name in (("si_snr", "SI-SNR, dB"), ("loss", "loss")):
        lines = [
            charts.Line(run.name, look, points, dashed=part == "train")
            for look, run in runs
            for part in ("train", "val")
            if len(points := _curve(run.history, f"{part}_{quantity}")) > 1
        ]
        if lines:
            return [charts.Panel("", lines)], name
    return [], ""


def _curve(history: list[dict[str, str]], column: str) -> list[tuple[float, float]]:
    points = [(float(row["epoch"]), float(row.get(column) or "nan")) for row in history]
    return [point for point in points if np.isfinite(point[1])]


def _neurons(run: System) -> np.ndarray:
    known = {layer["name"]: layer["neurons"] for layer in run.cost.get("layers", [])}
    missing = [name for name in run.activity.layers if name not in known]
    if missing:
        raise UserError(f"cost.json of {run.name}: the layer {missing[0]!r} is missing; run the cost stage again.")
    return np.array([known[name] for name in run.activity.layers], dtype=float)


def _thinned(rate: np.ndarray, step_s: float) -> list[tuple[float, float]]:
    size = max(1, -(-len(rate) // POINTS))
    starts = np.arange(0, len(rate), size)
    counts = np.diff(np.append(starts, len(rate)))
    means = np.add.reduceat(rate, starts) / counts if len(rate) else np.empty(0)
    return [(float((s + n / 2) * step_s), float(v)) for s, n, v in zip(starts, counts, means, strict=True)]


def _figure(title: str, value: str, unit: str, note: str, met: bool | None = None) -> dict[str, Any]:
    return {"title": title, "value": value, "unit": unit, "note": note, "met": met}


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"
