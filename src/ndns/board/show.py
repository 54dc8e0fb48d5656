"""The result table on a terminal."""

from rich.table import Table
from rich.text import Text

from ndns.board.columns import COST_COLUMNS, QUALITY_COLUMNS, shown
from ndns.board.table import COLUMNS
from ndns.errors import UserError

KEYS = ("si_snr", "si_snri_data", "ovrl", "pesq", "power_proxy_ops_s", "latency_total_ms", "parameters", "size_kb")


def terminal_table(rows: list[dict[str, str]]) -> Table:
    """Return the rows of table.csv as a table for people: the figures that fit a terminal, intervals for SI-SNRi.

    Raises:
        UserError: the rows are not those of table.csv.
    """
    missing = [column for column in COLUMNS if rows and column not in rows[0]]
    if missing:
        raise UserError(f"table.csv: the column {missing[0]!r} is missing; run the board stage again.")
    columns = [column for column in (*QUALITY_COLUMNS, *COST_COLUMNS) if column.key in KEYS]
    table = Table(title=f"{rows[0]['clips']} clips" if rows else None, title_justify="left")
    table.add_column("system", no_wrap=True)
    for column in columns:
        table.add_column(f"{column.title}\n{column.unit}", justify="right", no_wrap=True)
    for row in rows:
        cells = [shown(float(row[column.key]) if row[column.key] else None, column) for column in columns]
        place = next(i for i, column in enumerate(columns) if column.key == "si_snri_data")
        if row["si_snri_data_low"]:
            half = (float(row["si_snri_data_high"]) - float(row["si_snri_data_low"])) / 2
            cells[place] += f" ± {half:.2f}"
        table.add_row(Text(row["system"]), *cells)
    return table
