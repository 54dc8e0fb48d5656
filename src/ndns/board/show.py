"""The result table on a terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ndns.board.columns import COST_COLUMNS, QUALITY_COLUMNS, Column, shown
from ndns.board.table import COLUMNS
from ndns.errors import UserError

HEADINGS = {
    "si_snr": "SI-SNR\ndB",
    "si_snri_data": "SI-SNRi\ndB",
    "ovrl": "OVRL\n",
    "pesq": "PESQ\n",
    "power_proxy_ops_s": "power\nM-Ops/s",
    "latency_total_ms": "latency\nms",
    "parameters": "params\n×10³",
}
"""What fits 80 columns; table.csv holds the rest."""
PARTIAL = "*"


def terminal_table(rows: list[dict[str, str]]) -> Table:
    """Return the rows of table.csv as a table for people, the improvement of SI-SNR with half its 95 % interval.

    Raises:
        UserError: the rows are not those of table.csv, or there are none.
    """
    if not rows or (missing := [column for column in COLUMNS if column not in rows[0]]):
        raise UserError(
            f"table.csv: {f'the column {missing[0]!r}' if rows else 'a row'} is missing; run the board stage."
        )
    columns = {column.key: column for column in (*QUALITY_COLUMNS, *COST_COLUMNS)}
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=f"means over {rows[0]['clips']} clips",
        title_justify="left",
    )
    table.add_column("system", overflow="fold", min_width=14)
    for heading in HEADINGS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(Text(row["system"]), *(_cell(row, key, columns[key]) for key in HEADINGS))
    if any(_partial(row, key) for row in rows for key in HEADINGS):
        table.caption, table.caption_justify = f"{PARTIAL} undefined for some of the clips, which are left out", "left"
    return table


def _partial(row: dict[str, str], key: str) -> bool:
    """Tell whether a mean is over fewer clips than the table's."""
    return bool(row[key]) and int(row.get(f"{key}_clips") or row["clips"]) < int(row["clips"])


def _cell(row: dict[str, str], key: str, column: Column) -> str:
    text = shown(float(row[key]) if row[key] else None, column)
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    if key == "si_snri_data" and low and high and float(high) > float(low):
        text += f" ± {(float(high) - float(low)) / 2:.2f}"
    return text + PARTIAL * _partial(row, key)
