"""Where recorded artifacts were made, read from a study's crate."""

import json
from pathlib import Path

from ndns.errors import UserError

CRATE = "ro-crate-metadata.json"


def crate_path(root: Path, study: str) -> Path:
    """Place of a study's crate: its root folder is the study's results."""
    return root / "results" / study / CRATE


def graph_of(path: Path) -> dict[str, dict]:
    """Return the entities of a crate by `@id`, empty where there is no crate.

    Raises:
        UserError: the file is no crate, or one that lacks what its jobs refer to.
    """
    if not path.is_file():
        return {}
    try:
        graph = {entity["@id"]: entity for entity in json.loads(path.read_text(encoding="utf-8"))["@graph"]}
        for entity in graph.values():
            for key in ("environment", "result"):
                _ = [graph[item["@id"]]["name"] for item in listed(entity.get(key))]
        return graph
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not an RO-Crate; delete it and write it again with `ndns crate`.") from None


def listed(value: object) -> list:
    """JSON-LD writes one value without brackets."""
    return value if isinstance(value, list) else [] if value is None else [value]


def recorded_environments(root: Path, study: str) -> dict[str, str]:
    """Return output path, and folder of outputs -> fingerprint of the environment in which the job ran.

    Empty where no crate is; a study that has not been recorded was computed here.
    """
    graph = graph_of(crate_path(root, study))
    found = {}
    for entity in graph.values():
        places = [item["@id"] for item in listed(entity.get("environment"))]
        fingerprint = next((p.split("/")[1] for p in places if p.startswith("#environment/")), None)
        if fingerprint and entity.get("@type") == "CreateAction":
            for result in listed(entity.get("result")):
                path = graph[result["@id"]]["name"]
                found[path] = found[path.rpartition("/")[0]] = fingerprint
    return found
