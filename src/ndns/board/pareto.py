"""Pareto board of a study: quality against effective MACs and bytes, rounding, and the chip under each scenario."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ndns import markdown
from ndns.board.pareto_figure import figure
from ndns.board.pareto_runs import read_runs
from ndns.board.pareto_table import CHIP_COLUMNS, COLUMNS, DENSE, PTQ, chip_table, models_of, table
from ndns.files import write_csv, write_text
from ndns.loihi2.scenarios.published import workloads

Rows = Sequence[Mapping[str, object]]
PUBLISHED = "sparse_s5"
"""Workload of `loihi2/scenarios/_published.yaml` whose ratios stand beside the modelled ones."""


def write(results: Path, out: Path, runs: Sequence[str] = ()) -> None:
    """Write `pareto.csv`, `pareto_chip.csv`, `pareto.md` and `pareto.svg` of `results/<study>` into `out`.

    Args:
        results: of the study.
        out: folder to write to.
        runs: those to take; none: all.

    Raises:
        UserError: see `read_runs`.
    """
    models = models_of(read_runs(results, runs))
    rows, chip = table(models), chip_table(models)
    drawn = figure(models)
    write_csv(out / "pareto.csv", [_rounded(row) for row in rows], COLUMNS)
    write_csv(out / "pareto_chip.csv", [_rounded(row) for row in chip], CHIP_COLUMNS)
    write_text(out / "pareto.md", "\n\n".join([_front(rows), _rounding(rows), _chip(chip)]) + "\n")
    write_text(out / "pareto.svg", drawn)


def _rounded(row: Mapping[str, object]) -> dict[str, object]:
    """Keep 3 decimals of dB, 5 digits of all else; None becomes an empty cell."""

    def cell(key: str, value: object) -> object:
        if not isinstance(value, float):
            return value
        return round(value, 3) + 0.0 if key.endswith("_db") else float(f"{value:.5g}")

    return {key: cell(key, value) for key, value in row.items()}


def _front(rows: Rows) -> str:
    cells = [
        [
            row["model"], row["seeds"], _band(row), _count(row["effective_macs"]), _count(row["elementwise_ops"]),
            _count(row["synops"]), _count(row["neuron_ops"]), _count(row["deployed_bytes"]), _gain(row),
            _times(row["gain_bytes"]),
        ]
        for row in rows
    ]  # fmt: skip
    head = ["model", "seeds", "SI-SNR, dB", "effective MACs", "elementwise", "SynOps", "NeuronOps", "bytes"]
    note = (
        f"Gains: effective MACs (bytes) of the `{DENSE}` front at the same SI-SNR over the model's own; between two "
        "dense networks the logarithm of the cost is linear in SI-SNR. In brackets: at the SI-SNR of the lowest "
        "and highest seed."
    )
    return markdown.table([*head, "gain in MACs", "gain in bytes"], cells, markdown.LEFT) + "\n\n" + note


def _gain(row: Mapping[str, object]) -> str:
    if row["gain_macs"] is None:
        return str(row["remark"])
    ends = [_times(row[f"gain_macs_{end}"]) or "outside" for end in ("low", "high")]
    return f"{_times(row['gain_macs'])} ({ends[0]} .. {ends[1]})"


def _rounding(rows: Rows) -> str:
    others = {row["model"]: row for row in rows}
    cells = []
    for row in rows:
        if str(row["model"]).endswith(PTQ):
            continue
        after = others.get(f"{row['model']}{PTQ}")
        own = [_db(row[key]) for key in ("si_snr_float_db", "si_snr_rounded_db", "si_snr_db", "gap_db", "gap_worst_db")]
        without = [_db(after[key]) if after else "" for key in ("si_snr_float_db", "si_snr_db", "gap_db")]
        cells.append([row["model"], *own, *without, _db(row["qat_gain_db"])])
    head = ["model", "float", "rounded as in training", "integer", "gap", "worst seed's gap"]
    head += ["PTQ: float", "PTQ: integer", "PTQ: gap", "integer, QAT - PTQ"]
    return markdown.table(head, cells, markdown.LEFT) + (
        "\n\nSI-SNR in dB, all on the program's own causal frames; gap: float less integer. PTQ: trained without "
        "rounding, quantized afterwards; the last column takes the seeds that both have."
    )


def _chip(rows: Rows) -> str:
    cells = [
        [
            row["scenario"], row["model"], f"{row['cores']:.0f}", _spread(row, "latency", "us"),
            _spread(row, "energy", "uj"),
            _times(row["gain_latency"]), _times(row["gain_energy"]),
        ]
        for row in rows
    ]  # fmt: skip
    head = ["scenario", "model", "cores", "latency, us", "energy, uJ", "gain in latency", "gain in energy"]
    factors = {figure.quantity: figure.factor for figure in workloads()[PUBLISHED].figures if figure.factor}
    return markdown.table(head, cells, markdown.LEFT) + (
        "\n\nLow, middle, high of each scenario; latency: a frame from input to output; energy: a frame where the next "
        "follows at once, static power included. Gains as above, between two networks on the same modelled chip. "
        "Published: "
        f"{factors['jetson_token_s']:g}x lower latency and {factors['jetson_token_j']:g}x less energy a frame, sparse "
        "on Loihi 2 against dense in float32 on a Jetson Orin Nano: most of that is the change of machine."
    )


def _band(row: Mapping[str, object]) -> str:
    low, high = _db(row["si_snr_low_db"]), _db(row["si_snr_high_db"])
    return f"{_db(row['si_snr_db'])} ({low} .. {high})" if row["seeds"] != 1 else _db(row["si_snr_db"])


def _spread(row: Mapping[str, object], part: str, unit: str) -> str:
    return " / ".join(f"{row[f'{part}_{end}_{unit}']:.3g}" for end in ("low", "value", "high"))


def _count(value: object) -> str:
    return f"{value:,.0f}".replace(",", " ")


def _db(value: object) -> str:
    return "" if value is None else f"{value:.2f}"


def _times(value: object) -> str:
    return "" if value is None else f"{value:.2f}x"
