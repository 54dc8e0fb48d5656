"""What the corpus of Debian's sounds is made of: a table of pieces and a table of packages."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ndns.corpus.unpack import safe_path
from ndns.errors import UserError
from ndns.files import read_csv
from ndns.mixing.manifest import KINDS

COLUMNS = ("file", "kind", "label", "package", "member", "start", "seconds", "license", "attribution", "sha256")
PACKAGE_COLUMNS = ("package", "version", "sha256")


@dataclass(frozen=True)
class Package:
    """A package of Debian, architecture `all`, and the SHA-256 of its file."""

    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Its name as `apt-get download` writes it."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_all.deb"


@dataclass(frozen=True)
class Piece:
    """A stretch of a file of a package, in seconds at the file's own rate."""

    member: str
    start: float
    seconds: float


@dataclass(frozen=True)
class Sound:
    """One recording of the corpus: pieces of one package, joined.

    Attributes:
        file: path below the corpus, FLAC.
        kind, label, licence, attribution: as in the corpus's manifest.
        sha256: of its int16 samples at 16 kHz (`ndns.audio.io.pcm_sha256`), as the maker of the table had them.
    """

    file: str
    kind: str
    label: str
    package: str
    licence: str
    attribution: str
    sha256: str
    pieces: tuple[Piece, ...]


def read_packages(path: Path) -> dict[str, Package]:
    """Read `package,version,sha256`; return the packages by name.

    Raises:
        UserError: no such table, a column is missing, or a name is there twice or holds more than a name.
    """
    packages: dict[str, Package] = {}
    for line, row in enumerate(read_csv(path, PACKAGE_COLUMNS), start=2):
        package = Package(*(row[column] for column in PACKAGE_COLUMNS))
        if package.name in packages or len(safe_path(package.file, f"{path}, line {line}").parts) != 1:
            raise UserError(f"{path}, line {line}: the package {package.name!r} is there twice or no name; mend it.")
        packages[package.name] = package
    return packages


def read_sounds(path: Path, packages: Mapping[str, Package]) -> list[Sound]:
    """Read the pieces, a row each; rows with the same `file` follow each other in it.

    Raises:
        UserError: no such table, or a cell is wrong.
    """
    rows: dict[str, list[dict[str, str]]] = {}
    for line, row in enumerate(read_csv(path, COLUMNS), start=2):
        _check(row, packages, f"{path}, line {line}")
        others = rows.setdefault(row["file"], [])
        if others and any(row[c] != others[0][c] for c in COLUMNS if c not in ("member", "start", "seconds")):
            raise UserError(f"{path}, line {line}: pieces of {row['file']!r} differ in more than their place; mend it.")
        others.append(row)
    return [_sound(pieces) for pieces in rows.values()]


def _check(row: Mapping[str, str], packages: Mapping[str, Package], where: str) -> None:
    safe_path(row["member"], where)
    if safe_path(row["file"], where).suffix != ".flac" or row["kind"] not in KINDS or not row["label"]:
        raise UserError(f"{where}: expected a .flac file, kind {' or '.join(KINDS)} and a label; mend the row.")
    if row["package"] not in packages:
        raise UserError(f"{where}: the package {row['package']!r} is not in the table of packages; add it there.")
    try:
        wrong = not (0 <= float(row["start"]) < float("inf") and 0 < float(row["seconds"]) < float("inf"))
    except ValueError:
        wrong = True
    if wrong:
        raise UserError(f"{where}: start {row['start']!r} and seconds {row['seconds']!r} are no stretch; mend the row.")


def _sound(rows: list[dict[str, str]]) -> Sound:
    pieces = tuple(Piece(row["member"], float(row["start"]), float(row["seconds"])) for row in rows)
    names = ("file", "kind", "label", "package", "license", "attribution", "sha256")
    return Sound(*(rows[0][name] for name in names), pieces)
