"""A scratch copy of the checkout in which results are computed again."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from ndns.config import FolderCorpus, ImportedModel, Peer
from ndns.config_peer import ADDED
from ndns.errors import UserError
from ndns.files import sha256_file, write_json
from ndns.verify.child import run
from ndns.verify.claims import Claim
from ndns.workflow import Plan

WORKFLOW = ("Snakefile", "rules", "workflow", "profiles", "config", "envs", "src", "data/sources.csv", "pyproject.toml")
"""What a run needs of a checkout."""
ROOTS = ("NDNS_CORPUS_ROOT", "NDNS_WEIGHTS_ROOT", "NDNS_MORE_ROOT")
TAIL = 30
"""Lines of a failed run's output that are told."""


def below(temporary: str, root: Path) -> Path:
    """Return a folder for the copy of a checkout, as deep as the checkout: its `../recordings` stay in `temporary`."""
    return Path(temporary, *root.resolve().parts[1:])


class Scratch:
    """A copy of the workflow at another path; `Snakefile` runs there, with the package as it is in the checkout."""

    def __init__(self, root: Path, folder: Path, config: Path, overrides: Iterable[str], jobs: int) -> None:
        """Copy the workflow.

        Args:
            root: the checkout.
            folder: where to copy to; must not exist or be empty.
            config: the study's configuration.
            overrides: `key=value` for `--config`, folders as absolute paths.
            jobs: cores that Snakemake may use.

        Raises:
            UserError: the checkout lacks a part of the workflow, or the folder is not empty or in what is copied.
        """
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder}: the scratch folder is not empty; name another one.")
        for name in WORKFLOW:
            if not (root / name).exists():
                raise UserError(f"{root / name}: no such file; run `ndns verify` in a checkout of the project.")
            if folder.resolve().is_relative_to((root / name).resolve()):
                raise UserError(f"{folder}: the scratch folder lies in what is copied to it; name another one.")
        for name in WORKFLOW:
            copy(root / name, folder / name)
        self.root, self.folder, self.jobs = root, folder, jobs
        self.config = folder / "study.yaml"
        shutil.copyfile(config, self.config)
        self.overrides = list(overrides)

    def take_outside(self, plan: Plan) -> None:
        """Link the relative paths of what the study reads of the checkout and is no result; copy what adds rows to it.

        Raises:
            UserError: a folder of these lies among the study's results, or around them: they would be overwritten.
        """
        own = [self.root / "data" / plan.study.corpus.name, self.root / "results" / plan.study.study]
        for source in _outside(plan):
            place = (self.root / source).resolve()
            if Path(source).is_absolute() or not place.exists():
                continue
            if place.is_dir() and any(_nested(place, folder.resolve()) for folder in own):
                raise UserError(
                    f"{source}: the study reads this folder, and its results lie in it or around it; move what it "
                    "reads elsewhere, for example to my/recordings."
                )
            link = self.folder / source
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(place)
        if (own[1] / ADDED).is_file():
            copy(own[1] / ADDED, self.folder / "results" / plan.study.study / ADDED)

    def give(self, paths: Iterable[str]) -> None:
        """Take artifacts as they are recorded, in this order; later ones are newer."""
        for path in paths:
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(self.root / path, target)

    def derive(self, wanted: Mapping[str, str]) -> None:
        """Compute what is recorded by its hash alone.

        Args:
            wanted: path -> SHA-256.

        Raises:
            UserError: the run failed, or a file comes out other than recorded.
        """
        self.compute([*wanted])
        wrong = [path for path, digest in wanted.items() if sha256_file(self.folder / path) != digest]
        if wrong:
            raise UserError(
                f"{wrong[0]}: comes out other than recorded ({len(wrong)} of {len(wanted)} files); code, settings or "
                "libraries changed since: `ndns explain` tells."
            )

    def set_clock(self, path: str, claim: Claim) -> None:
        """Give a recomputed JSON file that misses its claim the recorded readings of the clock: what is computed from
        it must part for the miss alone.
        """
        recorded, recomputed = self.root / path, self.folder / path
        if recomputed.suffix != ".json" or not (recorded.is_file() and recomputed.is_file()):
            return
        try:
            readings = json.loads(recorded.read_text(encoding="utf-8"))
        except ValueError:
            return
        ours = json.loads(recomputed.read_text(encoding="utf-8"))
        write_json(recomputed, _with_readings(ours, readings, claim, ""))

    def compute(self, outputs: list[str]) -> None:
        """Compute outputs and what they need and is not there.

        Raises:
            UserError: the run failed; the sentence ends with what it said.
        """
        command = [sys.executable, "-m", "snakemake", "--snakefile", self.folder / "Snakefile", "--directory", "."]
        command += ["--workflow-profile", self.folder / "profiles" / "default", "--configfile", self.config]
        command += ["--cores", str(self.jobs), "--rerun-triggers", "mtime"]
        command += ["--config", *self.overrides] if self.overrides else []
        environment = dict(os.environ) | {
            name: str(Path(os.environ[name]).resolve()) for name in ROOTS & os.environ.keys()
        }
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(self.folder / "src"), os.environ.get("PYTHONPATH")])
        )
        result = run([*map(str, command), "--", *outputs], self.folder, environment)
        if result.returncode:
            said = "\n".join((result.stdout + result.stderr).splitlines()[-TAIL:])
            raise UserError(
                f"{self.folder}: the recomputation failed (exit code {result.returncode}); it said:\n{said}"
            )


def _with_readings(ours: object, recorded: object, claim: Claim, name: str) -> object:
    """Return nested values with those of `recorded` where the claim's bound is `schema`."""
    if isinstance(ours, dict) and isinstance(recorded, dict):
        dot = f"{name}." if name else ""
        return {key: _with_readings(ours[key], recorded.get(key), claim, f"{dot}{key}") for key in ours}
    return recorded if claim.bound(name) == "schema" and isinstance(recorded, int | float) else ours


def _outside(plan: Plan) -> list[str]:
    """Paths of recordings, lists, weights, scripts and folders that a study names; folders before what is in them."""
    study = plan.study
    corpora = [corpus.root for corpus in (study.corpus, *study.more) if isinstance(corpus, FolderCorpus)]
    weights = [model.weights for model in study.models.values() if isinstance(model, ImportedModel | Peer)]
    folders = [peer.folder for peer in plan.peers.values()]
    files = [file for run in plan.peers for file in plan.peer_files(run)]
    found = [*corpora, study.mix.rooms, study.fetch.root, *folders, *weights, *plan.lists, *files]
    return [path for path in found if path]


def _nested(a: Path, b: Path) -> bool:
    return a.is_relative_to(b) or b.is_relative_to(a)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder without caches."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info"))
    else:
        shutil.copyfile(source, target)
