"""The table `scores.csv`: its columns, reading and writing."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ndns.errors import UserError
from ndns.files import read_csv, write_csv

CONDITIONS = ("snr_db", "level_dbfs", "noise_label")
SI_SNR = ("si_snr", "si_snri_data", "si_snri_encdec", "si_snr_aligned", "delay_samples")
QUALITY = (*SI_SNR, "ovrl", "sig", "bak", "p808", "pesq", "estoi")
COLUMNS = ["clip", *CONDITIONS, *QUALITY]

LABELS = {
    "si_snr": "SI-SNR, dB",
    "si_snri_data": "SI-SNRi data, dB",
    "si_snri_encdec": "SI-SNRi enc+dec, dB",
    "si_snr_aligned": "SI-SNR aligned, dB",
    "delay_samples": "delay, samples",
    "ovrl": "DNSMOS OVRL",
    "sig": "DNSMOS SIG",
    "bak": "DNSMOS BAK",
    "p808": "DNSMOS P.808",
    "pesq": "PESQ wide-band",
    "estoi": "ESTOI",
}

Scores = list[dict[str, object]]


def write_scores(path: str | Path, rows: Iterable[Mapping[str, object]], columns: list[str]) -> None:
    """Write score rows atomically; None becomes an empty cell."""
    write_csv(path, rows, columns)


def read_scores(path: str | Path) -> Scores:
    """Read the columns of a score table that are known here; cells but `clip` and `noise_label` become floats or None.

    Raises:
        UserError: no such file, a missing column, a clip named twice, no clip, a row that is longer or shorter than
            the header, or a cell that is not a number.
    """
    rows: Scores = []
    seen: set[str] = set()
    for text in read_csv(path, COLUMNS):
        if text["clip"] in seen:
            raise UserError(f"{path}: the clip {text['clip']!r} is there twice; remove one row.")
        seen.add(text["clip"])
        texts = ("clip", "noise_label")
        cells = {key: text[key] for key in COLUMNS}
        rows.append(
            {key: cell if key in texts else _number(path, text["clip"], key, cell) for key, cell in cells.items()}
        )
    if not rows:
        raise UserError(f"{path}: holds no clip; score at least one.")
    return rows


def metrics_of(rows: Scores) -> list[str]:
    """Return the metric columns of a table that hold at least one value, in the order of `LABELS`."""
    return [metric for metric in LABELS if any(row.get(metric) is not None for row in rows)]


def _number(path: str | Path, clip: str, key: str, cell: str | None) -> float | None:
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError:
        raise UserError(f"{path}: {key} of clip {clip!r} is {cell!r}, not a number; score the clip again.") from None
