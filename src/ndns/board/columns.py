"""How figures are shown: columns of the result table, number formats, and what each number means."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ndns.board.inputs import NOISY, QUALITY
from ndns.metrics.stats import RESAMPLES, Mean


@dataclass(frozen=True)
class Column:
    """A column of the result table: `scale` divides the stored number, `better` is +1, -1 or 0 (no direction)."""

    key: str
    title: str
    unit: str
    decimals: int
    better: int
    scale: float = 1.0


def heading(column: Column) -> str:
    """Return a column's title, with its unit where that is dB."""
    return f"{column.title}{', dB' if column.unit == 'dB' else ''}"


QUALITY_COLUMNS = (
    Column("si_snr", "SI-SNR", "dB", 2, 1),
    Column("si_snri_data", "SI-SNRi data", "dB", 2, 1),
    Column("si_snri_encdec", "SI-SNRi enc+dec", "dB", 2, 1),
    Column("si_snr_aligned", "SI-SNR aligned", "dB", 2, 1),
    Column("ovrl", "OVRL", "1–5", 2, 1),
    Column("sig", "SIG", "1–5", 2, 1),
    Column("bak", "BAK", "1–5", 2, 1),
    Column("p808", "P.808", "1–5", 2, 1),
    Column("pesq", "PESQ", "1–4.6", 2, 1),
    Column("estoi", "ESTOI", "0–1", 3, 1),
)
COST_COLUMNS = (
    Column("power_proxy_ops_s", "Power proxy", "M-Ops/s", 2, -1, 1e6),
    Column("power_proxy_events_ops_s", "Power counted", "M-Ops/s", 2, -1, 1e6),
    Column("pdp_proxy_ops", "PDP proxy", "M-Ops", 3, -1, 1e6),
    Column("latency_algorithmic_ms", "Algorithmic latency", "ms", 1, -1),
    Column("latency_total_ms", "Latency", "ms", 2, 0),
    Column("latency_pipeline_ms", "Pipeline", "ms", 2, 0),
    Column("parameters", "Parameters", "×10³", 1, -1, 1e3),
    Column("size_kb", "Size", "KB", 1, -1),
    Column("macs_s", "Dense MACs", "M/s", 1, -1, 1e6),
    Column("real_time_factor", "Real-time factor", "one core", 3, -1),
)

MEANINGS = (
    (
        "SI-SNR, dB",
        "Scale-invariant signal-to-noise ratio: energy of the part of the output that is the clean speech, over the "
        "energy of the rest. 3 dB more means half the remaining noise and distortion.",
    ),
    (
        "SI-SNRi data",
        "Improvement over the noisy mixture, clip by clip. The challenge requires more than 3 dB.",
    ),
    (
        "SI-SNRi enc+dec",
        "Improvement over the mixture after encoder and decoder alone, so that a lossy front end earns nothing.",
    ),
    (
        "SI-SNR aligned",
        "SI-SNR after a constant delay of the output is removed: above SI-SNR where a system is late.",
    ),
    (
        "OVRL, SIG, BAK",
        "DNSMOS P.835: a network’s estimate of how listeners would rate the overall quality, the speech and the "
        "intrusiveness of the background, from 1 (bad) to 5 (excellent). It knows no clean reference.",
    ),
    ("P.808", "DNSMOS P.808: the same kind of estimate for a single overall rating, 1 to 5."),
    ("PESQ", "ITU-T P.862.2 wide-band: predicted quality from a comparison with the clean speech, 1 to 4.6."),
    ("ESTOI", "Extended short-time objective intelligibility: how much can be understood, 0 to 1."),
    (
        "95 % interval",
        f"Percentile bootstrap over clips, {RESAMPLES} resamples. Two systems whose intervals overlap widely are not "
        "distinguished by these clips.",
    ),
    (
        "Power proxy, M-Ops/s",
        "The challenge’s stand-in for power: (SynOps + 10 × NeuronOps) a second, where SynOps is the mean event rate "
        "of a layer times its dense fan-out.",
    ),
    (
        "Power counted",
        "The same formula with the synaptic operations counted as they happened: events times the weights that are "
        "not zero.",
    ),
    ("PDP proxy, M-Ops", "Power-delay product: power proxy times total latency."),
    (
        "Latency",
        "Buffer, encoder and decoder, and the measured lag of the output, as the challenge adds them; at most 40 ms is "
        "allowed. Pipeline stands beside it: the frames by which the spectrum waits for its mask, which the challenge "
        "does not count but a listener in a live stream would add. Algorithmic latency is buffer and pipeline: what no "
        "faster machine shortens. An empty cell is a system that hears the whole clip first.",
    ),
    (
        "Dense MACs, real-time factor",
        "Multiply-accumulates a second of a network without events; and time to denoise over duration of the audio, "
        "on one core of this machine (processor time for other denoisers, the engine’s for integer programs).",
    ),
    (
        "Parameters, size",
        "Weights of the network, and the KB of 1024 bytes that they and the delays take, sign bits aside; other "
        "denoisers as they are stored.",
    ),
)


def shown(value: float | None, column: Column) -> str:
    """Return a figure in the column's unit, an en dash for an undefined one.

    >>> shown(14_520_000.0, COST_COLUMNS[0])
    '14.52'
    """
    return "–" if value is None else number(value / column.scale, column.decimals)


def number(value: float, decimals: int, sign: bool = False) -> str:
    """Return a rounded number with a true minus sign and without a negative zero.

    >>> number(-0.001, 2), number(-1.5, 1), number(2, 1, sign=True)
    ('0.00', '−1.5', '+2.0')
    """
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        return text.lstrip("-")
    return text.replace("-", "−") if value < 0 or not sign else "+" + text


def interval(value: Mean, decimals: int, clips: int) -> str:
    """Return the interval's ends unless they are equal as shown, and how many clips have a value if not all `clips`.

    >>> interval(Mean(3, 1.5, 1.0, 2.0), 1, clips=4), interval(Mean(4, 1.5, 1.5, 1.5), 1, clips=4)
    ('1.0 to 2.0, n = 3', '')
    """
    parts = [f"n = {value.clips}"] if value.clips < clips else []
    if value.low is not None and value.high is not None:
        low, high = number(value.low, decimals), number(value.high, decimals)
        parts = [f"{low} to {high}", *parts] if low != high else parts
    return ", ".join(parts)


def table_rows(
    rows: Sequence[dict[str, Any]], columns: Sequence[Column], aside: Collection[str] = (NOISY,)
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return (system, cells `{text, interval, sort, best}`) for the rows of table.csv that have a figure to show.

    Args:
        rows: of table.csv.
        columns: to show.
        aside: systems that are never the best.
    """
    compared = [row for row in rows if row["system"] not in aside]
    return [
        (row["system"], [_cell(row, column, compared) for column in columns])
        for row in rows
        if any(row[column.key] is not None for column in columns)
    ]


def _cell(row: dict[str, Any], column: Column, compared: Sequence[dict[str, Any]]) -> dict[str, Any]:
    value = row[column.key]
    text = shown(value, column)
    others = [other[column.key] for other in compared if other[column.key] is not None]
    best = column.better != 0 and row in compared and len({shown(other, column) for other in others}) > 1
    best = best and text == shown(max(others) if column.better > 0 else min(others), column)
    ends = ""
    if column.key in QUALITY and value is not None:
        found = Mean(row[f"{column.key}_clips"], value, row[f"{column.key}_low"], row[f"{column.key}_high"])
        ends = interval(found, column.decimals, row["clips"])
    return {"text": text, "interval": ends, "sort": "" if value is None else f"{value:.6g}", "best": best}
