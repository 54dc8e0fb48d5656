"""Which networks there are: reference models by name, runs of studies, and files.

`reference/models.csv` lists the reference models; its first row is the default. Columns: `name`, `program` and
`checkpoint` (paths relative to the folder that holds `reference/`), `sha256` and `checkpoint_sha256` of their bytes,
`description`. The files themselves come with `ndns restore`.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ndns.errors import UserError
from ndns.files import atomic_path, read_csv, sha256_file, write_csv

REGISTRY = "reference/models.csv"
FOLDER = "reference/models"
"""Where `ndns models add` keeps the files, a folder a model; `ndns record --models` gives them to DVC."""
COLUMNS = ["name", "program", "sha256", "checkpoint", "checkpoint_sha256", "description"]
PROGRAM_SUFFIXES = (".net", ".pt", ".pth")
CHECKPOINT = "checkpoint.safetensors"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Source:
    """A file with a network.

    Attributes:
        name: what to call it.
        path: program (.net), slayer state dict (.pt) or checkpoint (.safetensors).
        sha256: hash that the bytes must have; none where nobody stated one.
    """

    name: str
    path: Path
    sha256: str | None = None

    def verified(self) -> Path:
        """Return the path after a check of existence and hash.

        Raises:
            UserError: the file is not there, or is another one than the registry describes.
        """
        if not self.path.is_file():
            raise UserError(f"model {self.name!r}: {self.path} is not here; run `ndns restore` to fetch it.")
        if self.sha256 is not None and (found := sha256_file(self.path)) != self.sha256:
            raise UserError(
                f"{self.path}: its SHA-256 is {found}, but {REGISTRY} says {self.sha256} for {self.name!r}; "
                "delete the file and run `ndns restore`."
            )
        return self.path


@dataclass(frozen=True)
class Entry:
    """One reference model: a row of the registry."""

    name: str
    description: str
    program: Source
    checkpoint: Source | None


def home(what: str) -> Path:
    """Return the folder that holds `what`: this one, or else the checkout that runs; this one if neither does."""
    return next((root for root in (Path(), CHECKOUT) if (root / what).exists()), Path())


def entries() -> list[Entry]:
    """Return the reference models that `reference/models.csv` lists, in its order; none without this file.

    Raises:
        UserError: a column is missing, a name is wrong or twice there, a path leaves the folder, or a hash is none.
    """
    root = home(REGISTRY)
    path = root / REGISTRY
    if not path.is_file():
        return []
    found: dict[str, Entry] = {}
    for line, row in enumerate(read_csv(path, COLUMNS), start=2):
        name = row["name"]
        if not NAME.fullmatch(name or "") or name in found:
            raise UserError(f"{path}:{line}: the name {name!r} is there twice, or not made of a-z, 0-9, - and _.")
        program = _source(path, line, root, name, row["program"], row["sha256"])
        if program is None:
            raise UserError(f"{path}:{line}: {name!r} names no program.")
        checkpoint = _source(path, line, root, name, row["checkpoint"], row["checkpoint_sha256"])
        found[name] = Entry(name, row["description"] or "", program, checkpoint)
    return list(found.values())


def _source(registry: Path, line: int, root: Path, name: str, path: str | None, sha256: str | None) -> Source | None:
    if not path:
        return None
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise UserError(f"{registry}:{line}: {path} has to be a path below the folder of the registry.")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256 or ""):
        raise UserError(f"{registry}:{line}: {path} needs its SHA-256, 64 hexadecimal digits.")
    return Source(name, root / path, sha256)


def add(root: Path, name: str, program: Path, checkpoint: Path | None, description: str) -> None:
    """Add a reference model to the registry, or replace the one of this name.

    Args:
        root: folder that holds `reference/`.
        name: of the model.
        program, checkpoint: existing files below `root`.
        description: one sentence.

    Raises:
        UserError: a file is absent or not below `root`, or the name is wrong.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r}: a model's name is made of a-z, 0-9, - and _.")
    row = {"name": name, "description": description, "checkpoint": "", "checkpoint_sha256": ""}
    for key, hash_key, file in (("program", "sha256", program), ("checkpoint", "checkpoint_sha256", checkpoint)):
        if file is None:
            continue
        if not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
            raise UserError(f"{file}: no such file below {root.resolve()}.")
        row |= {key: file.resolve().relative_to(root.resolve()).as_posix(), hash_key: sha256_file(file)}
    path = root / REGISTRY
    rows = read_csv(path, COLUMNS) if path.is_file() else []
    rows = [row if old["name"] == name else old for old in rows]
    write_csv(path, rows if row in rows else [*rows, row], COLUMNS)


def drop_others(root: Path, name: str, kept: list[Path | None]) -> None:
    """Delete what `keep` copied for an earlier model of this name and not for the present one."""
    for stem in ("program", "checkpoint"):
        for file in set((root / FOLDER / name).glob(f"{stem}.*")) - set(kept):
            file.unlink()


def keep(root: Path, name: str, file: Path, stem: str) -> Path:
    """Copy a model's file to `reference/models/<name>/<stem>` with its own suffix, and return that path.

    Raises:
        UserError: no such file, or the name is wrong.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r}: a model's name is made of a-z, 0-9, - and _.")
    if not file.is_file():
        raise UserError(f"{file}: no such file.")
    target = root / FOLDER / name / f"{stem}{file.suffix}"
    if file.resolve() != target.resolve():
        with atomic_path(target) as temporary:
            shutil.copyfile(file, temporary)
    return target


def kept() -> list[Source]:
    """Return the files of reference models that lie in `reference/models/`.

    Raises:
        UserError: the registry is wrong.
    """
    sources = [source for entry in entries() for source in (entry.program, entry.checkpoint) if source]
    return [source for source in sources if source.path.is_relative_to(FOLDER)]


def find(model: str | None, checkpoint: bool = False) -> Source:
    """Return the file that a name means.

    Looked up in this order: a file, a reference model, a run below `results/` by the beginning of its name, also as
    `<study>/<run>`. None means the first reference model, or without any the only run there is.

    Args:
        model: what the user asked for.
        checkpoint: find the float weights instead of the integer program.

    Raises:
        UserError: nothing or more than one fits; the sentence lists what there is.
    """
    if model == "":
        raise UserError("model '': an empty name is none; `ndns models` lists them.")
    if model and Path(model).is_file():
        return Source(Path(model).stem, Path(model))
    if model and Path(model).suffix in (*PROGRAM_SUFFIXES, ".safetensors"):
        raise UserError(f"{model}: no such file.")
    listed = {entry.name: entry for entry in entries()}
    entry = listed.get(model) if model else next(iter(listed.values()), None)
    if entry is None:
        return _run(model, checkpoint, list(listed))
    if not checkpoint:
        return entry.program
    if entry.checkpoint is None:
        kept = ", ".join(each.name for each in listed.values() if each.checkpoint) or "none"
        raise UserError(f"model {entry.name!r}: its float weights are not kept; models that have them: {kept}.")
    return entry.checkpoint


def runs(checkpoint: bool = False) -> dict[str, Path]:
    """Return the networks of studies below `results/`, by `<study>/<run>`."""
    stage = ("train", CHECKPOINT) if checkpoint else ("quantize", "program.net")
    found = sorted((home("results") / "results").glob(f"*/{stage[0]}/*/{stage[1]}"))
    return {f"{path.parts[-4]}/{path.parts[-2]}": path for path in found}


def _run(name: str | None, checkpoint: bool, listed: list[str]) -> Source:
    found = runs(checkpoint)
    study, _, run = (name or "").rpartition("/")
    inside = [key for key in found if not study or key.split("/")[0] == study]
    exact = [key for key in inside if key.split("/")[1] == run]
    fitting = exact if len(exact) == 1 else [key for key in inside if key.split("/")[1].startswith(run)]
    if len(fitting) == 1:
        return Source(fitting[0], found[fitting[0]])
    there = ", ".join([*listed, *found])
    if not there:
        raise UserError(
            f"no model is here: {REGISTRY} lists none and no study was run; `make run` trains one, "
            "or name the file of a network."
        )
    if not fitting:
        raise UserError(f"model {name!r}: no such file, reference model or run; there are {there}.")
    asked = f"model {name!r}: fits" if name else "there are several models: name one of"
    raise UserError(f"{asked} {', '.join(fitting)}.")
