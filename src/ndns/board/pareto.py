"""Quality against effective multiply-accumulates and against bytes, over the widths and seeds of a study."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ndns.board.svg import Scale, label, padded, ticks
from ndns.errors import UserError
from ndns.files import atomic_path, read_csv, write_csv, write_text

COLUMNS = [
    "model", "seeds", "si_snr_db", "si_snr_low_db", "si_snr_high_db", "si_snr_training_db", "effective_macs",
    "elementwise_ops", "deployed_bytes", "parameters_nonzero", "energy_uj", "latency_us", "gain_of",
]  # fmt: skip
SCENARIO = "fitted"


@dataclass(frozen=True)
class Run:
    """One trained and deployed network: means over the validation clips.

    Attributes:
        model: name in the configuration.
        si_snr: of the integer network, dB.
        parent: validation SI-SNR of the kept epoch in training (rounded in training where it was on, centred frames).
        cost: content of cost.json.
    """

    model: str
    si_snr: float
    parent: float
    cost: dict


def read_runs(folder: Path) -> list[Run]:
    """Read all runs of `results/<study>` that were scored and costed.

    Raises:
        UserError: there is none.
    """
    found = []
    for path in sorted(folder.glob("cost/*/cost.json")):
        run = path.parent.name
        scores = folder / "score" / run / "scores.csv"
        history = folder / "train" / run / "history.csv"
        if not scores.is_file() or not history.is_file():
            continue
        values = [float(row["si_snr"]) for row in read_csv(scores, ("si_snr",)) if row["si_snr"]]
        rows = read_csv(history, ("val_si_snr",))
        kept = [row for row in rows if row.get("settled", "1") in ("1", "")] or rows[-1:]
        parent = max(float(row["val_si_snr"]) for row in kept)
        cost = json.loads(path.read_text(encoding="utf-8"))
        found.append(Run(re.sub(r"-seed\d+$", "", run), float(np.mean(values)), parent, cost))
    if not found:
        raise UserError(f"{folder}: holds no trained run with scores and costs; run the study first.")
    return found


def table(runs: list[Run]) -> list[dict[str, object]]:
    """Return one row a model: means over seeds, with the lowest and the highest SI-SNR of a seed."""
    rows = []
    for model in dict.fromkeys(run.model for run in runs):
        of = [run for run in runs if run.model == model]
        mean = {key: float(np.mean([_figure(run.cost, key) for run in of])) for key in _FIGURES}
        quality = [run.si_snr for run in of]
        row: dict[str, object] = {"model": model, "seeds": len(of), "si_snr_db": round(float(np.mean(quality)), 3)}
        row |= {"si_snr_low_db": round(min(quality), 3), "si_snr_high_db": round(max(quality), 3)}
        row["si_snr_training_db"] = round(float(np.mean([run.parent for run in of])), 3)
        rows.append(row | {key: float(f"{value:.4g}") for key, value in mean.items()})
    for row in rows:
        row["gain_of"] = _gain(row, rows)
    return rows


_FIGURES = ("effective_macs", "elementwise_ops", "deployed_bytes", "parameters_nonzero", "energy_uj", "latency_us")


def _figure(cost: dict, key: str) -> float:
    scenario = cost["loihi2"]["scenarios"][SCENARIO]["value"]
    return float(
        {
            "effective_macs": lambda: cost["synops_per_step_events"],
            "elementwise_ops": lambda: cost["elementwise_ops_per_step"],
            "deployed_bytes": lambda: cost["deployed_bytes"],
            "parameters_nonzero": lambda: cost["parameters_nonzero"],
            "energy_uj": lambda: scenario["free_running"]["step_j"] * 1e6,
            "latency_us": lambda: scenario["frame_latency_s"] * 1e6,
        }[key]()
    )


def _gain(row: dict, rows: list[dict]) -> str:
    """Say how many times fewer operations a network takes than the best dense one that is no better."""
    rivals = [other for other in rows if other["model"].startswith("dense") and other["si_snr_db"] <= row["si_snr_db"]]
    if row["model"].startswith("dense") or not rivals:
        return ""
    rival = max(rivals, key=lambda other: other["si_snr_db"])
    return f"{rival['effective_macs'] / row['effective_macs']:.1f}x fewer MACs than {rival['model']} (no better)"


def write(folder: Path, out: Path) -> None:
    """Write `pareto.csv`, `pareto.md` and `pareto.svg` of the study `folder` into `out`."""
    rows = table(read_runs(folder))
    write_csv(out / "pareto.csv", rows, COLUMNS)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(row[key]) for key in COLUMNS) + " |" for row in rows]
    write_text(out / "pareto.md", "\n".join(lines) + "\n")
    with atomic_path(out / "pareto.svg") as temporary:
        temporary.write_text(figure(rows), encoding="utf-8")


def figure(rows: list[dict]) -> str:
    """Return SVG: SI-SNR of the integer networks over effective MACs a frame, and over deployed bytes.

    A point is the mean over seeds, its bar reaches from the lowest to the highest seed; lines join models of a kind.
    """
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 380" font-family="sans-serif" font-size="12">']
    parts.append('<rect width="900" height="380" fill="#fff"/>')
    for index, (key, name) in enumerate(
        (("effective_macs", "effective MACs a frame"), ("deployed_bytes", "deployed bytes"))
    ):
        parts += _panel(rows, key, name, 60 + 440 * index)
    return "\n".join([*parts, "</svg>\n"])


def _panel(rows: list[dict], key: str, name: str, left: int) -> list[str]:
    values = [row[key] for row in rows]
    x = Scale(min(values) / 1.4, max(values) * 1.6, left, left + 360, log=True)
    y = Scale(*padded([row[end] for row in rows for end in ("si_snr_low_db", "si_snr_high_db")]), 320, 30)
    parts = [f'<path d="M{left} 30V320H{left + 360}" fill="none" stroke="#444"/>']
    for value in ticks(y.low, y.high):
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{label(value)}</text>')
    for power in range(0, 9):
        for value in (10**power, 2 * 10**power, 5 * 10**power):
            if x.low <= value <= x.high:
                text = f"{value // 1000}k" if value >= 1000 else f"{value}"
                parts.append(f'<text x="{x(value):.1f}" y="336" text-anchor="middle">{text}</text>')
    parts.append(f'<text x="{left + 180}" y="358" text-anchor="middle">{name}</text>')
    parts.append(f'<text x="{left}" y="20">SI-SNR, dB (integer network)</text>')
    for kind, colour in _kinds(rows).items():
        own = sorted((row for row in rows if _kind(row) == kind), key=lambda row: row[key])
        line = " ".join(f"{x(row[key]):.1f},{y(row['si_snr_db']):.1f}" for row in own)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for row in own:
            at = x(row[key])
            low, high = y(row["si_snr_low_db"]), y(row["si_snr_high_db"])
            parts.append(f'<path d="M{at:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="3" opacity="0.4"/>')
            parts.append(f'<circle cx="{at:.1f}" cy="{y(row["si_snr_db"]):.1f}" r="4" fill="{colour}"/>')
            parts.append(f'<text x="{at + 6:.1f}" y="{y(row["si_snr_db"]) - 6:.1f}">{row["model"]}</text>')
    return parts


def _kind(row: dict) -> str:
    return "_".join(part for part in row["model"].split("_") if not re.fullmatch(r"k\d+", part))


def _kinds(rows: list[dict]) -> dict[str, str]:
    colours = ("#1f5fa8", "#c4571b", "#3d8a52", "#8a5aa8", "#777777")
    kinds = list(dict.fromkeys(_kind(row) for row in rows))
    return {kind: colours[index % len(colours)] for index, kind in enumerate(kinds)}
