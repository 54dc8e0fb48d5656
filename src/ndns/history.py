"""The table `history.csv` of a training run, one row an epoch: which epoch's weights the checkpoint holds."""

from collections.abc import Mapping, Sequence


def kept_epoch(history: Sequence[Mapping[str, str]]) -> Mapping[str, str] | None:
    """Return the row whose weights were kept: the best by validation after pruning and rounding had begun.

    Where they never did, the last; None without history.

    >>> rows = [{"val_si_snr": "12.9", "settled": "0"}, {"val_si_snr": "12.1", "settled": "1"}]
    >>> kept_epoch(rows)["val_si_snr"]
    '12.1'
    """
    settled = [row for row in history if row.get("settled", "1") != "0"] or history[-1:]
    return max(settled, key=lambda row: float(row.get("val_si_snr") or "-inf"), default=None)
