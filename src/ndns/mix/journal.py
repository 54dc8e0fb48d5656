"""What is already rendered: one JSON line a clip, appended when its files are in place."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ndns.files import write_text

Entry = dict[str, Any]


class Journal:
    """`journal.jsonl`. Reading forgets a line that was cut short and clips that are not `wanted`.

    Args:
        path: file; need not exist.
        wanted: clip -> fingerprint.
    """

    def __init__(self, path: Path, wanted: Mapping[str, str]) -> None:
        self._path = path
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        found = (_entry(line) for line in lines)
        self.entries: dict[str, Entry] = {
            entry["clip"]: entry for entry in found if entry and wanted.get(entry["clip"]) == entry["fingerprint"]
        }
        write_text(path, "".join(_line(entry) for entry in self.entries.values()))

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self.entries[entry["clip"]] = entry
        with open(self._path, "a", encoding="utf-8", newline="\n") as handle:
            handle.write(_line(entry))


def _line(entry: Entry) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _entry(line: bytes) -> Entry | None:
    """An interrupted write leaves part of a line: it says nothing, so the clip is rendered again."""
    try:
        entry = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return entry if isinstance(entry, dict) and {"clip", "fingerprint"} <= entry.keys() else None
