"""Released weights by URL and hash, from the table weights.csv; each file appears whole and checked, or not at all."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath

from ndns.errors import UserError
from ndns.files import atomic_path, read_csv, sha256_bytes, sha256_file

TABLE = Path(__file__).with_name("weights.csv")
COLUMNS = ("file", "url", "sha256", "licence")
TIMEOUT_S = 60
LARGEST = 100_000_000
"""Bytes beyond which an answer is no file of weights of a small denoiser."""


def fetch_weights(folder: Path, table: Path = TABLE) -> dict[str, str]:
    """Fetch what the folder lacks; return file -> `there` or `fetched`.

    Args:
        folder: becomes `weights_root` of a study.
        table: CSV with file (below the folder), url, sha256, licence.

    Raises:
        UserError: a wrong table, a file that is there but another one, no answer, or bytes of another hash.
    """
    rows = read_csv(table, COLUMNS)
    for line, row in enumerate(rows, start=2):
        if empty := [column for column in COLUMNS[:3] if not row[column]]:
            raise UserError(f"{table}:{line}: {empty[0]} is empty; each file needs {', '.join(COLUMNS[:3])}.")
        if PurePosixPath(row["file"]).is_absolute() or ".." in PurePosixPath(row["file"]).parts:
            raise UserError(f"{table}: file {row['file']!r} has to be a path below the folder.")
    return {row["file"]: _fetch(folder / row["file"], row["url"], row["sha256"]) for row in rows}


def _fetch(path: Path, url: str, sha256: str) -> str:
    if path.is_file():
        if (found := sha256_file(path)) != sha256:
            raise UserError(f"{path}: has the SHA-256 {found}, expected {sha256}; move it away and run again.")
        return "there"
    content = _get(url, path)
    if (found := sha256_bytes(content)) != sha256:
        raise UserError(f"{url}: sends a file with the SHA-256 {found}, expected {sha256}; nothing was kept.")
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return "fetched"


def _get(url: str, path: Path) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise UserError(f"{path.name}: the url {url!r} is neither http nor https; mend the table.")
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "ndns"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            content = response.read(LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", "") or error
        raise UserError(f"{url}: cannot be fetched ({reason}); get the file by hand and save it as {path}.") from None
    if len(content) > LARGEST:
        raise UserError(f"{url}: sends more than {LARGEST} bytes; that is no file of weights.")
    return content
