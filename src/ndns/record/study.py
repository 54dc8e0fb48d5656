"""A study as `record`, `restore` and `explain` see it: its plan, its graph, its recorded past."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ndns.errors import UserError
from ndns.record.audit import Audit
from ndns.record.graph import Graph, graph
from ndns.record.jobs import Published, load
from ndns.record.stages import CRATE, JOBS, artifact_of, kept
from ndns.validation import load_yaml
from ndns.workflow import Plan, overridden, plan, study_file

OPTIONAL = ("results/{study}/board/pareto.csv", "results/{study}/added.yaml")
"""Files that belong to a study if they are there, though the default target does not ask for them."""


@dataclass(frozen=True)
class Recorded:
    """One study of a checkout; the working directory must be the checkout.

    Attributes:
        root: the checkout.
        config: file of settings.
        overrides: further keys, as for `snakemake --config`.
    """

    root: Path
    config: Path
    overrides: dict[str, object]

    @cached_property
    def plan(self) -> Plan:
        """Validated settings and runs."""
        return plan(overridden(load_yaml(self.config), self.overrides), [self.config])

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.plan.study.study

    @property
    def corpus(self) -> str:
        """Name of its corpus."""
        return self.plan.study.corpus.name

    @property
    def config_path(self) -> str:
        """The file of settings, relative to the checkout.

        Raises:
            UserError: it lies elsewhere.
        """
        path = self.config.resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise UserError(f"{self.config}: lies outside of the checkout, where a clone lacks it; move it to config/.")
        return path.relative_to(self.root.resolve()).as_posix()

    @property
    def jobs_file(self) -> Path:
        """Where its job records are kept."""
        return self.root / JOBS.format(study=self.name)

    @property
    def crate_file(self) -> Path:
        """Where its crate is."""
        return self.root / CRATE.format(study=self.name)

    @cached_property
    def optional(self) -> list[str]:
        """Optional files that are there."""
        names = [name.format(study=self.name) for name in OPTIONAL]
        return [name for name in names if (self.root / name).is_file()]

    @cached_property
    def graph(self) -> Graph:
        """Present jobs, those of optional files included."""
        targets = [name for name in self.optional if name.endswith(".csv")]
        return graph(self.root, self.config, self.overrides, targets)

    @cached_property
    def derived(self) -> frozenset[str]:
        """Outputs that may be absent."""
        return frozenset(path for path in self.graph.outputs() if self.artifact(path)[1].store != "kept")

    def artifact(self, path: str):
        """Return stage, line of the table and own path of the artifact that holds a path."""
        return artifact_of(path, self.name, self.corpus, self.plan.study.fetch.root)

    def artifacts(self) -> dict[str, list[str]]:
        """Stage -> kept artifacts, those of the record itself included."""
        record = [JOBS.format(study=self.name), CRATE.format(study=self.name)]
        paths = [*self.graph.outputs(), *record, *self.optional]
        return kept(paths, self.name, self.corpus, self.plan.study.fetch.root)

    def files(self) -> list[str]:
        """All files of the kept artifacts but the record's own, hidden ones excepted, sorted."""
        found = []
        for stage, names in self.artifacts().items():
            for name in names if stage != "record" else []:
                place = self.root / name
                inside = place.rglob("*") if name.endswith("/") else [place]
                files = [path.relative_to(self.root) for path in inside if path.is_file()]
                found += [path.as_posix() for path in files if not any(p.startswith(".") for p in path.parts)]
        return sorted(found)

    def audit(self) -> Audit:
        """Compare the present jobs with their records, by content."""
        published = load(self.jobs_file) if self.jobs_file.is_file() else Published()
        return Audit(self.root, self.graph, published, self.derived)


def find(root: Path, study: str, overrides: dict[str, object] | None = None) -> Recorded:
    """Return a study by the name of a file in config/, or by the path of its file of settings.

    Raises:
        UserError: no such file, or not a checkout.
    """
    if not (root / "Snakefile").is_file():
        raise UserError(f"{root.resolve()}: no Snakefile here; run this in a checkout of the project.")
    return Recorded(root, root / study_file(study, root), overrides or {})
