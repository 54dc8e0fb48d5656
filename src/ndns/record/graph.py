"""The jobs that the present rules and settings ask for, from Snakemake's own graph."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ndns.errors import UserError

ANY_SIZE = 10**12
"""Largest file, in bytes, whose content decides about staleness: all, as in profiles/default."""


@dataclass(frozen=True)
class Job:
    """One job of the graph, with what Snakemake compares with its record.

    Attributes:
        rule: name of the rule.
        inputs, outputs: paths relative to the checkout, in the rule's order.
        params: tracked parameters as Snakemake writes them, sorted.
        command: shell command before any value is filled in.
        software: hash of the software that Snakemake would deploy.
        planned: whether Snakemake would run the job.
    """

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: tuple[str, ...]
    command: str | None
    software: str
    planned: bool


@dataclass(frozen=True)
class Graph:
    """All jobs of a study, upstream first, and who makes which file."""

    jobs: list[Job]

    @property
    def makers(self) -> dict[str, Job]:
        """Output -> job."""
        return {path: job for job in self.jobs for path in job.outputs}

    def outputs(self) -> list[str]:
        """All files that the study's jobs make."""
        return [path for job in self.jobs for path in job.outputs]


def graph(root: Path, config: Path, overrides: dict[str, object], targets: Iterable[str] = ()) -> Graph:
    """Build the graph of a study as `snakemake --dry-run` does, without running or printing anything.

    Args:
        root: the checkout.
        config: the study's configuration.
        overrides: further keys, as for `snakemake --config`.
        targets: files beside the default target.

    Raises:
        UserError: the configuration is wrong, or a file that nothing makes is missing.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        try:
            made = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(config=overrides, configfiles=[config.resolve()]),
                snakefile=(root / "Snakefile").resolve(),
                workdir=root.resolve(),
            )
            settings = DAGSettings(targets={"all", *targets}, max_checksum_file_size=ANY_SIZE)
            made.dag(dag_settings=settings).execute_workflow(executor="dryrun")
            return _read(made._workflow)
        except WorkflowError as error:
            raise UserError(f"{config}: Snakemake finds no way to the study's results: {error}") from None


def _read(workflow: Any) -> Graph:
    dag, records = workflow.dag, workflow.persistence
    return Graph(
        [
            Job(
                rule=job.rule.name,
                inputs=tuple(map(str, job.input)),
                outputs=tuple(map(str, job.output)),
                params=tuple(records._params(job)),
                command=records._code(job.rule),
                software=records._software_stack_hash(job),
                planned=dag.needrun(job),
            )
            for level in dag.toposorted()
            for job in level
            if job.output
        ]
    )
