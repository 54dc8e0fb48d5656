"""What an interrupted run has finished: one line of JSON an item, appended as soon as the item is done."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from ndns.files import write_text


class Journal:
    """Results by path, each valid for one key (a hash of everything that the result depends on).

    Use as a context manager: `keep` names the paths that still matter, and others are forgotten at the start. A line
    that a killed run left unfinished is dropped.
    """

    def __init__(self, path: str | Path, keep: set[str]) -> None:
        self.path = Path(path)
        entries = _read(self.path)
        self.dropped = sorted(entries.keys() - keep)
        self._entries = {name: entry for name, entry in entries.items() if name in keep}

    def __enter__(self) -> "Journal":
        lines = [json.dumps(entry, sort_keys=True) + "\n" for _, entry in sorted(self._entries.items())]
        write_text(self.path, "".join(lines))
        self._handle = open(self.path, "a", encoding="utf-8", newline="\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()

    def get(self, path: str, key: str) -> dict[str, Any] | None:
        """Return the result noted for `path` if it was computed under `key`."""
        entry = self._entries.get(path)
        return entry["result"] if entry and entry["key"] == key else None

    def add(self, path: str, key: str, result: dict[str, Any]) -> None:
        """Note a finished item at once."""
        entry = {"path": path, "key": key, "result": result}
        self._entries[path] = entry
        self._handle.write(json.dumps(entry, sort_keys=True) + "\n")
        self._handle.flush()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    entries = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
            entries[entry["path"]] = {name: entry[name] for name in ("path", "key", "result")}
        except (ValueError, TypeError, KeyError):
            continue
    return entries
