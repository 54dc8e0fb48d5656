"""Tables in Markdown."""

from collections.abc import Iterable

RIGHT, LEFT = "---:", "---"


def table(columns: Iterable[str], rows: Iterable[Iterable[object]], align: str = RIGHT) -> str:
    """Return a table; all columns but the first are aligned as `align` says, which stands below their heads.

    >>> print(table(("metric", "gain"), [("SI-SNR", 7.09)]))
    | metric | gain |
    | --- | ---: |
    | SI-SNR | 7.09 |
    """
    columns = list(columns)
    lines = [columns, [LEFT, *[align] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
