"""Job records: what Snakemake noted about the job behind each output, and how they travel between checkouts.

Snakemake keeps one JSON file an output in `.snakemake/metadata`; its name is the output's path in base 64. `jobs.json`
holds them together, without what is true of one process only.
"""

import base64
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ndns.errors import UserError
from ndns.files import write_json, write_text

METADATA = Path(".snakemake/metadata")
INCOMPLETE = Path(".snakemake/incomplete")
FORMAT = 1
OF_ONE_PROCESS = {"job_hash": 0, "external_jobid": None}
"""Keys that differ from process to process and mean nothing later, with the value that replaces theirs."""
TIMES = ("starttime", "endtime")
LONGEST = 254
"""Characters of one part of a record's name; the file system takes 255."""


def place(root: Path, output: str, folder: Path = METADATA) -> Path:
    """Return where the record of an output lies.

    >>> place(Path("r"), "a").as_posix()
    'r/.snakemake/metadata/YQ=='
    """
    name = base64.urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + LONGEST] for start in range(0, len(name), LONGEST)]
    return root.joinpath(folder, *(f"@{part}" for part in parts[:-1]), parts[-1])


def read(root: Path, output: str) -> dict | None:
    """Return the record of an output, None where there is none.

    Raises:
        UserError: it is damaged.
    """
    path = place(root, output)
    if not path.is_file():
        return None
    try:
        return checked(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise UserError(f"{path}: the job record of {output} is damaged ({error}); delete it and run again.") from None


def checked(record: object) -> dict:
    """Return a job record that has the times of its job.

    Raises:
        ValueError: it has not.
    """
    if not (isinstance(record, dict) and all(isinstance(record.get(key), int | float) for key in TIMES)):
        raise ValueError("it lacks the times of its job")
    return record


def is_unfinished(root: Path, output: str) -> bool:
    """Tell whether the job that makes an output began and did not end."""
    return place(root, output, INCOMPLETE).is_file()


@dataclass(frozen=True)
class Published:
    """What `ndns record` notes of a study.

    Attributes:
        jobs: output -> Snakemake's record of the job that made it.
        files: path -> SHA-256 of every output and of every kept file beside them.
    """

    jobs: dict[str, dict] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write it; equal content gives equal bytes."""
        write_json(path, {"format": FORMAT, "jobs": self.jobs, "files": self.files})


def gather(root: Path, outputs: Iterable[str], files: Mapping[str, str]) -> Published:
    """Take the records of these outputs, and no others.

    Raises:
        UserError: an output has no record.
    """
    found = {}
    for output in outputs:
        record = read(root, output)
        if record is None:
            raise UserError(f"{output}: Snakemake has no record of the job that made it; run the study again.")
        found[output] = record | {key: value for key, value in OF_ONE_PROCESS.items() if key in record}
    return Published(found, dict(files))


def load(path: Path) -> Published:
    """Read what was written.

    Raises:
        UserError: no such file, another format, or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["format"] != FORMAT:
            raise UserError(f"{path}: job records of format {value['format']}, but {FORMAT} is known; update ndns.")
        return Published({path: checked(job) for path, job in value["jobs"].items()}, dict(value["files"]))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `ndns restore`, or `ndns record` after a run.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: no job records ({error}); delete it and run `ndns restore`.") from None


def install(root: Path, jobs: Mapping[str, dict]) -> None:
    """Give Snakemake these records, in place of any that it has of the same outputs."""
    for output, record in jobs.items():
        path = place(root, output)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(record))
        unfinished = place(root, output, INCOMPLETE)
        unfinished.unlink(missing_ok=True)


def settle(root: Path, jobs: Mapping[str, dict]) -> None:
    """Give each output that is there the time at which its job ended, which puts them in the order of the work.

    Where that lies in the future of this machine's clock, all move back by as much.
    """
    late = max([0.0, *(record["endtime"] - time.time() + 1 for record in jobs.values())])
    for output, record in jobs.items():
        path = root / output
        if path.is_file():
            os.utime(path, times=(record["endtime"] - late,) * 2)
