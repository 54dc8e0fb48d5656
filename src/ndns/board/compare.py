"""What a reviewer asks of the means: are two systems told apart, and under which conditions does one fail?"""

import math
from typing import Any

import numpy as np

from ndns.board.charts import Band
from ndns.board.columns import QUALITY_COLUMNS, Column, interval, number
from ndns.board.inputs import Evidence, System
from ndns.board.table import estimate
from ndns.metrics.stats import band, paired

BAND_DB = 5
UNBOUNDED = "±∞"
METRICS = ("si_snri_data", "ovrl", "pesq", "estoi")
COLUMNS = tuple(column for key in METRICS for column in QUALITY_COLUMNS if column.key == key)
CONDITIONS = {
    "snr": ("SNR of the mixture, dB", lambda clip: clip.snr_db),
    "level": ("level of the mixture, dBFS", lambda clip: clip.level_dbfs),
    "noise": ("type of noise", lambda clip: clip.noise_label),
}


def groups(evidence: Evidence, condition: str) -> list[Band]:
    """Return the SI-SNR improvement of all runs in bands of SNR or level, or for each type of noise, in order.

    Clips whose SNR is infinite or NaN, because speech or noise is silent, are the last band.
    """
    _, of_clip = CONDITIONS[condition]
    keys = [of_clip(clip) for clip in evidence.clips]
    names = np.array(keys if condition == "noise" else [_band(key) for key in keys])
    found = []
    for group in dict.fromkeys(name for _, name in sorted(zip(keys, names.tolist(), strict=True), key=_place)):
        inside = names == group
        values = {
            look: (run.name, value)
            for look, run in enumerate(evidence.runs)
            if (value := estimate(run.quality["si_snri_data"][inside]))
        }
        found.append(Band(group, int(inside.sum()), values))
    return found


def _band(key: float) -> str:
    return band(key, BAND_DB).replace("-", "−") if math.isfinite(key) else UNBOUNDED


def _place(pair: tuple[Any, str]) -> tuple[bool, Any]:
    key, name = pair
    return name == UNBOUNDED, key


def against(
    evidence: Evidence, leader: System, columns: tuple[Column, ...] = COLUMNS
) -> list[tuple[str, list[dict[str, str]]]]:
    """Return (system, cells `text`, `interval`, `p` of the columns): each run minus the leader on the same clips."""
    return [
        (run.name, [_cell(leader.quality[column.key], run.quality[column.key], column) for column in columns])
        for run in evidence.runs
        if run.name != leader.name
    ]


def _cell(leader: np.ndarray, run: np.ndarray, column: Column) -> dict[str, str]:
    found = paired(leader, run)
    value = found.difference
    if value.mean is None:
        return {"text": "–", "interval": "", "p": ""}
    p = "" if found.p_value is None else f"p {'< 0.001' if found.p_value < 0.001 else f'= {found.p_value:.3f}'}"
    return {
        "text": number(value.mean, column.decimals, sign=True),
        "interval": interval(value, column.decimals, len(run)),
        "p": p,
    }
