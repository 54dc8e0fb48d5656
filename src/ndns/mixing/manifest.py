"""The corpus manifest: one row a recording."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ndns.files import read_csv, write_csv, write_json

OK = "ok"
BAD = ("corrupt", "empty", "silent", "clipped", "nan", "dead_channel")
SPLITS = ("train", "val")
"""The index of a split is its number in a clip's seed."""
KINDS = ("speech", "noise")


@dataclass(frozen=True)
class Recording:
    """One row: `path` below the corpus root, length in s (none if unreadable), and what inspection found."""

    path: str
    kind: str
    label: str
    split: str
    seconds: float | None
    rate: int | None
    channels: int | None
    licence: str
    sha256: str
    status: str = OK


COLUMNS = [field.name for field in fields(Recording)]


def write(out: str | Path, recordings: Iterable[Recording], root: str, kind: str) -> list[Recording]:
    """Write `manifest.csv` (sorted by path) and then `manifest.json` below `out`; return the sorted rows.

    In `manifest.json`, `recordings` counts the rows with status `ok` and `skipped` the others by status.
    """
    rows = sorted(recordings, key=lambda recording: recording.path)
    skipped = Counter(row.status for row in rows if row.status != OK)
    write_csv(Path(out) / "manifest.csv", map(asdict, rows), COLUMNS)
    summary = {"root": root, "kind": kind, "recordings": len(rows) - skipped.total(), "skipped": dict(skipped)}
    write_json(Path(out) / "manifest.json", summary)
    return rows


def read(path: str | Path) -> list[Recording]:
    """Read a `manifest.csv`.

    Raises:
        UserError: the file is missing, not a CSV table, or lacks a column.
    """
    return [
        Recording(
            **{name: row[name] for name in ("path", "kind", "label", "split", "licence", "sha256", "status")},
            seconds=float(row["seconds"]) if row["seconds"] else None,
            rate=int(row["rate"]) if row["rate"] else None,
            channels=int(row["channels"]) if row["channels"] else None,
        )
        for row in read_csv(path, COLUMNS)
    ]


def summary_line(name: str, rows: Sequence[Recording], ignored: int) -> str:
    """Return one line: usable recordings and minutes by kind, and what was left out and why."""
    good = [row for row in rows if row.status == OK]
    parts = []
    for kind in KINDS:
        of_kind = [row for row in good if row.kind == kind]
        labels = [f"{len({row.label for row in of_kind if row.split == split})} {split}" for split in SPLITS]
        parts.append(f"{kind} {len(of_kind)} ({_minutes(of_kind):.1f} min, labels: {', '.join(labels)})")
    bad = Counter(row.status for row in rows if row.status != OK)
    skipped = ", ".join(f"{bad[status]} {status}" for status in BAD if bad[status]) or "none"
    line = f"{name}: {len(good)} recordings, {_minutes(good):.1f} min: {', '.join(parts)}; skipped: {skipped}"
    return line + (f"; ignored: {ignored} neither speech nor noise" if ignored else "")


def _minutes(rows: Iterable[Recording]) -> float:
    return sum(row.seconds or 0.0 for row in rows) / 60
