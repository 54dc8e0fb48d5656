"""Each system of a study less one of them, clip by clip, as a Markdown table."""

from pathlib import Path

from ndns.board.columns import QUALITY_COLUMNS
from ndns.board.compare import against
from ndns.board.inputs import read_evidence
from ndns.errors import UserError
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
        UserError: the study lacks scores, `base` was not scored, or scores are not of exactly the study's clips.
    """
    scores = {path.parent.name: path for path in sorted(results.glob("score/*/scores.csv"))}
    if base not in scores:
        known = ", ".join(scores) or "none; run the score stage"
        raise UserError(f"{results}: {base!r} has no scores (scored: {known}).")
    evidence = read_evidence(results.name, results / "mix" / "val.csv", scores, {}, {}, {})
    leader = next(system for system in evidence.systems if system.name == base)
    heads = [f"{column.title}{', dB' if column.unit == 'dB' else ''}" for column in COLUMNS]
    rows = [(f"`{name}`", *map(_shown, cells)) for name, cells in against(evidence, leader, COLUMNS)]
    return table([f"less `{base}`, {len(evidence.clips)} clips", *heads], rows) + "\n"


def _shown(cell: dict[str, str]) -> str:
    return f"{cell['text']} [{cell['interval']}]" if cell["interval"] else cell["text"]
