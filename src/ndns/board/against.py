"""Each system of a study less one of them, clip by clip, as a Markdown table."""

from pathlib import Path

from ndns.board.columns import QUALITY_COLUMNS, heading
from ndns.board.compare import against
from ndns.board.inputs import read_scores, system_named
from ndns.markdown import table

METRICS = ("si_snri_data", "ovrl", "sig", "bak", "p808", "pesq", "estoi")
"""Those of `QUALITY_COLUMNS` that tell systems apart: the other kinds of SI-SNR differ by what is subtracted."""
COLUMNS = tuple(column for column in QUALITY_COLUMNS if column.key in METRICS)


def markdown(results: Path, base: str) -> str:
    """Return means of the differences to `base` on the same clips, with 95 % bootstrap intervals over clips.

    Args:
        results: `results/<study>` with `mix/val.csv` and `score/*/scores.csv`.
        base: one of the systems that were scored.

    Raises:
        UserError: as `read_scores` and `system_named`.
    """
    evidence = read_scores(results)
    leader = system_named(evidence, base, results)
    heads = [f"less `{base}`, {len(evidence.clips)} clips", *map(heading, COLUMNS)]
    rows = [(f"`{name}`", *map(_shown, cells)) for name, cells in against(evidence, leader, COLUMNS)]
    return table(heads, rows) + "\n"


def _shown(cell: dict[str, str]) -> str:
    return f"{cell['text']} [{cell['interval']}]" if cell["interval"] else cell["text"]
