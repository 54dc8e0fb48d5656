"""Fingerprint of the code behind a stage: changes when, and only when, a module that the stage imports changes.

Settings do not count: rules pass their values, defaults included, as tracked parameters, so that a new setting of one
stage leaves the results of the others current.
"""

import ast
import re
from functools import cache
from pathlib import Path

from ndns.files import sha256_bytes

PACKAGE = Path(__file__).resolve().parent
STATEMENT = re.compile(r"^[ \t]*((?:from|import)[ \t](?:[^\n(]*\([^)]*\)|[^\n]*))", re.MULTILINE)
SETTINGS = ("config.py", "config_corpus.py", "config_mix.py", "config_peer.py", "config_train.py", "validation.py")


def modules_of(stage: str) -> list[Path]:
    """Return the source files of a stage's package and of all `ndns` modules that they import, sorted."""
    pending = sorted((PACKAGE / stage).rglob("*.py"))
    seen: set[Path] = set()
    while pending:
        path = pending.pop()
        if path in seen or path.relative_to(PACKAGE).as_posix() in SETTINGS:
            continue
        seen.add(path)
        pending.extend(_imports(path))
    return sorted(seen)


@cache
def fingerprint(stage: str) -> str:
    """Return 16 hexadecimal digits over names and bytes of `modules_of(stage)` and the data files beside them."""
    modules = modules_of(stage)
    data = {path for folder in {m.parent for m in modules} - {PACKAGE} for path in folder.iterdir() if _is_data(path)}
    files = sorted(set(modules) | data)
    text = "".join(f"{path.relative_to(PACKAGE).as_posix()}\0{sha256_bytes(path.read_bytes())}\n" for path in files)
    return sha256_bytes(text.encode())[:16]


def _is_data(path: Path) -> bool:
    return path.is_file() and path.suffix in {".html", ".tex", ".css", ".js", ".csv", ".yaml"}


def imports(source: str) -> list[ast.Import | ast.ImportFrom]:
    """Return the import statements of a source file, wherever they stand.

    Snakemake asks at every start, and to parse whole modules takes five times as long as the lines that begin like an
    import. Where one of those is none, as a sentence that begins with "from", the whole module is parsed.
    """
    try:
        tree = ast.parse("\n".join(found[1] for found in STATEMENT.finditer(source)))
    except SyntaxError:
        tree = ast.parse(source)
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


@cache
def _imports(path: Path) -> list[Path]:
    package = path.parent.relative_to(PACKAGE.parent).parts
    names: set[str] = set()
    for node in imports(path.read_text(encoding="utf-8")):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        else:
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return [file for name in names if name == "ndns" or name.startswith("ndns.") for file in _files(name)]


def _files(name: str) -> list[Path]:
    """Source files that importing `name` runs: the module itself and the `__init__` of each package above it."""
    parts = name.split(".")[1:]
    files = [PACKAGE.joinpath(*parts[:depth], "__init__.py") for depth in range(len(parts) + 1)]
    if parts:
        files.append(PACKAGE.joinpath(*parts).with_suffix(".py"))
    return [path for path in files if path.is_file()]
