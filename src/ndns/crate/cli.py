"""`ndns crate`: write a study's provenance."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    study: Annotated[Path, typer.Option(help="configuration of the study")] = Path("config/smoke.yaml"),
    config: Annotated[list[str] | None, typer.Option(help="key=value, as for snakemake --config")] = None,
) -> None:
    """Write results/<study>/ro-crate-metadata.json: jobs, commands, parameters, hashes, environments, commits."""
    from ndns.crate.build import write_crate
    from ndns.validation import load_yaml
    from ndns.verify.targets import absolute
    from ndns.workflow import plan

    overrides = dict(absolute(pair) for pair in config or [])
    path = write_crate(Path.cwd(), plan({**load_yaml(study), **overrides}, [study]))
    print(path.relative_to(Path.cwd()))
