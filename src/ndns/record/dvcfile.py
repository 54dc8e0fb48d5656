"""`dvc.yaml`: the table of stages in DVC's words. Written by `ndns record`, never by hand.

Snakemake owns the graph; DVC holds hashes and moves data. So every stage is frozen: `dvc repro` runs none of them.
"""

from pathlib import Path

import yaml

from ndns.errors import UserError
from ndns.files import write_text
from ndns.record.stages import rules_of
from ndns.record.study import Recorded
from ndns.validation import load_yaml

DVC_YAML = "dvc.yaml"
DVC_LOCK = "dvc.lock"
MODELS = "models"
"""Stage of the reference models; they belong to no study."""
HEAD = """# Written by `ndns record` from src/ndns/record/stages.py; stages are frozen, since Snakemake runs them.
"""


def name_of(study: Recorded, stage: str) -> str:
    """Return the name of a stage in dvc.yaml; studies share a corpus by its name.

    Names of stages there have letters, digits, `-` and `_` only.
    """
    return f"corpus-{study.corpus}" if stage == "corpus" else f"{study.name}-{stage}"


def entries(study: Recorded, remote: str | None) -> dict[str, dict]:
    """Return the stages of a study as dvc.yaml has them.

    Args:
        study: the study.
        remote: DVC's remote for its outputs; none: the default one.

    Raises:
        UserError: the study's settings lie outside of the checkout.
    """
    config = study.config_path
    found, seen = {}, set()
    artifacts = study.artifacts()
    for stage, names in artifacts.items():
        rules = rules_of(stage)
        read = (
            {path for job in study.graph.jobs if job.rule in rules for path in job.inputs} if stage != "record" else ()
        )
        above = {study.artifact(path)[2] for path in read if path in study.graph.makers} & seen
        command = f"snakemake --cores 2 --configfile {config} --until {' '.join(rules)}"
        paths = [name.rstrip("/") for name in names]
        found[name_of(study, stage)] = {
            "cmd": command if rules else f"ndns record {config}",
            **({"deps": sorted(name.rstrip("/") for name in above)} if above else {}),
            "outs": [{path: {"remote": remote}} for path in paths] if remote else paths,
            "frozen": True,
            "meta": {"studies": [study.name], "config": config},
        }
        seen.update(names)
    return found


def paths(root: Path) -> tuple[Path, Path]:
    """Return the two files that say what is recorded."""
    return root / DVC_YAML, root / DVC_LOCK


def stages(root: Path) -> dict[str, dict]:
    """Return the stages that dvc.yaml has now, empty without one.

    Raises:
        UserError: one of them is not as `ndns record` writes them.
    """
    path = root / DVC_YAML
    found = (load_yaml(path).get("stages") or {}) if path.is_file() else {}
    if not isinstance(found, dict):
        raise UserError(f"{path}: `stages` are not what `ndns record` writes; `git restore {DVC_YAML}` mends it.")
    for name, entry in found.items():
        meta = entry.get("meta") if isinstance(entry, dict) else None
        if not (isinstance(meta, dict) and isinstance(meta.get("studies"), list) and "outs" in entry):
            raise UserError(f"{path}: the stage {name!r} is not one that `ndns record` writes; take it out.")
    return found


def write(study: Recorded, remote: str | None) -> list[str]:
    """Put a study's stages into dvc.yaml in place of those it had, and return their names.

    A corpus that another recorded study shares goes to the default remote if one of the two does, else stays where it
    is.
    """
    new, old = entries(study, remote), stages(study.root)
    shared = name_of(study, "corpus")
    if shared in old and shared in new:
        others = [name for name in old[shared]["meta"]["studies"] if name != study.name]
        if others:
            outs = new[shared]["outs"]
            before = {path: out for out in old[shared]["outs"] for path in ([out] if isinstance(out, str) else out)}
            if remote:
                outs = [before.get(path, out) for out in outs for path in out]
            new[shared] = {**old[shared], "outs": outs}
            new[shared]["meta"] = {**old[shared]["meta"], "studies": sorted([*others, study.name])}
    rest = {name: entry for name, entry in old.items() if study.name not in entry["meta"]["studies"] or name in new}
    _write(study.root, {**rest, **new})
    return list(new)


def write_models(root: Path, folders: list[str], remote: str | None) -> list[str]:
    """Put the folders of the reference models into dvc.yaml as one stage and return its name."""
    outs = [{path: {"remote": remote}} for path in folders] if remote else folders
    entry = {"cmd": "ndns record --models", "outs": outs, "frozen": True, "meta": {"studies": []}}
    rest = {name: old for name, old in stages(root).items() if name != MODELS}
    _write(root, {**rest, MODELS: entry})
    return [MODELS]


def _write(root: Path, entries: dict[str, dict]) -> None:
    """Write dvc.yaml if it would say anything new, and drop from dvc.lock what it no longer has."""
    text = HEAD + yaml.safe_dump(
        {"stages": dict(sorted(entries.items()))}, sort_keys=False, width=110, allow_unicode=True
    )
    path = root / DVC_YAML
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    _prune_lock(root, entries)


def names_of(root: Path, study: str) -> list[str]:
    """Return the names of the stages of a study, none if it is not recorded."""
    return [name for name, entry in stages(root).items() if study in entry["meta"]["studies"]]


def names(root: Path, study: str | None) -> list[str]:
    """Return the names of the stages of a study, or of all studies.

    Raises:
        UserError: the study is not recorded.
    """
    recorded = stages(root)
    found = list(recorded) if study is None else names_of(root, study)
    if not found:
        known = sorted({name for entry in recorded.values() for name in entry["meta"]["studies"]})
        raise UserError(
            f"{DVC_YAML}: the study {study!r} is not recorded here; recorded are: {', '.join(known) or 'none'}."
            if study
            else f"{root / DVC_YAML}: nothing is recorded in this checkout; run a study and `ndns record`."
        )
    return found


def studies(root: Path) -> dict[str, str]:
    """Return the recorded studies: name -> file of settings."""
    return {
        name: entry["meta"]["config"]
        for stage, entry in stages(root).items()
        for name in entry["meta"]["studies"]
        if stage == f"{name}-record"
    }


def locked(root: Path) -> dict[str, dict]:
    """Return dvc.lock: stage -> outputs with their hashes; empty without one."""
    path = root / DVC_LOCK
    return (load_yaml(path).get("stages") or {}) if path.is_file() else {}


def outputs(root: Path, names: list[str]) -> list[str]:
    """Return the outputs of stages, all of which have a hash in dvc.lock: where none is, DVC would delete them.

    Raises:
        UserError: one has none.
    """
    entries, lock = stages(root), locked(root)
    found = []
    for name in names:
        try:
            hashed = {out["path"] for out in lock[name]["outs"] if out["md5"]}
        except (KeyError, TypeError):
            hashed = set()
        for path in (path for out in entries[name]["outs"] for path in ([out] if isinstance(out, str) else out)):
            if path not in hashed:
                raise UserError(
                    f"{root / DVC_LOCK}: has no hash of {path}, which {DVC_YAML} lists under {name}; `git restore "
                    f"{DVC_LOCK}`, or record again where the results are."
                )
            found.append(path)
    return found


def _prune_lock(root: Path, stages: dict[str, dict]) -> None:
    """Drop stages from dvc.lock that dvc.yaml no longer has."""
    path = root / DVC_LOCK
    old = load_yaml(path) if path.is_file() else {}
    gone = set(old.get("stages") or {}) - set(stages)
    if gone:
        left = {name: entry for name, entry in old["stages"].items() if name not in gone}
        write_text(path, yaml.safe_dump({**old, "stages": left}, sort_keys=False))
