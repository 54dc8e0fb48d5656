"""One row a system: means with bootstrap intervals, costs, and the challenge's own file of the same figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ndns.board.inputs import QUALITY, Evidence, System, figure
from ndns.files import write_csv, write_text
from ndns.metrics.stats import Mean, mean_interval

DECIMALS = 6
COST_COLUMNS = {
    "power_proxy_ops_s": "power_proxy_ops_s",
    "power_proxy_events_ops_s": "power_proxy_events_ops_s",
    "pdp_proxy_ops": "pdp_proxy_ops",
    "latency_algorithmic_ms": "latency.algorithmic_ms",
    "latency_total_ms": "latency.total_ms",
    "latency_pipeline_ms": "latency.pipeline_ms",
    "latency_encdec_ms": "latency.encdec_ms",
    "parameters": "parameters",
    "size_kb": "size_kb",
    "macs_s": "macs_s",
    "real_time_factor": "real_time_factor",
}
COLUMNS = [
    "system",
    "clips",
    *(f"{metric}{end}" for metric in QUALITY for end in ("", "_low", "_high", "_clips")),
    *COST_COLUMNS,
]


def estimate(values: np.ndarray) -> Mean | None:
    """Return the mean of the defined values `(clip,)` with its 95 % bootstrap interval, None where there is none."""
    found = mean_interval(values)
    return found if found.clips else None


def estimates(system: System) -> dict[str, Mean | None]:
    """Return metric -> estimate."""
    return {metric: estimate(system.quality[metric]) for metric in QUALITY}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the rows of table.csv, numbers rounded to `DECIMALS`."""
    return [_row(system, len(evidence.clips)) for system in evidence.systems]


def write_table(path: Path, evidence: Evidence) -> None:
    """Write table.csv: one row a system, `<metric>`, `_low`, `_high`, `_clips` that have it, then the costs."""
    write_csv(path, rows(evidence), COLUMNS)


def entries(evidence: Evidence, team: str, date: str) -> list[dict[str, Any]]:
    """Return the challenge's metricsboard entries: one a system with costs and a program, exactly the standard keys.

    Units as in the challenge's example: dB, ms, Ops/s, Ops, KB; an undefined figure is None.
    """
    found = []
    for row, system in zip(rows(evidence), evidence.systems, strict=True):
        if system.cost is None or system.program is None:
            continue
        found.append(
            {
                "team": team,
                "model": system.name,
                "date": date,
                "SI-SNR": row["si_snr"],
                "SI-SNRi_data": row["si_snri_data"],
                "SI-SNRi_enc+dec": row["si_snri_encdec"],
                "MOS_ovrl": row["ovrl"],
                "MOS_sig": row["sig"],
                "MOS_bak": row["bak"],
                "latency_enc+dec_ms": row["latency_encdec_ms"],
                "latency_total_ms": row["latency_total_ms"],
                "power_proxy_Ops/s": row["power_proxy_ops_s"],
                "PDP_proxy_Ops": row["pdp_proxy_ops"],
                "params": row["parameters"],
                "size_kilobytes": row["size_kb"],
                "model_path": system.program.as_posix(),
            }
        )
    return found


def write_metricsboard(path: Path, evidence: Evidence, team: str, date: str) -> None:
    """Write the file that the challenge asks for, in its own layout: a YAML list of mappings."""
    write_text(path, yaml.safe_dump(entries(evidence, team, date), sort_keys=False, allow_unicode=True))


def algorithmic_ms(system: System) -> float | None:
    """Return the latency that no faster machine shortens: buffer and known lag; a network's lag is its pipeline."""
    if figure(system.cost, "latency.algorithmic_ms") is not None:
        return system.cost["latency"]["algorithmic_ms"]
    parts = [figure(system.cost, f"latency.{key}") for key in ("buffer_ms", "pipeline_ms")]
    return None if None in parts else sum(parts)


def _row(system: System, clips: int) -> dict[str, Any]:
    row: dict[str, Any] = {"system": system.name, "clips": clips}
    for metric, value in estimates(system).items():
        for end, number in _ends(value).items():
            row[f"{metric}{end}"] = None if number is None else round(number, DECIMALS)
    for column, key in COST_COLUMNS.items():
        number = algorithmic_ms(system) if column == "latency_algorithmic_ms" else figure(system.cost, key)
        row[column] = round(number, DECIMALS) if isinstance(number, float) else number
    return row


def _ends(value: Mean | None) -> Mapping[str, float | None]:
    if value is None:
        return {"": None, "_low": None, "_high": None, "_clips": 0}
    return {"": value.mean, "_low": value.low, "_high": value.high, "_clips": value.clips}
