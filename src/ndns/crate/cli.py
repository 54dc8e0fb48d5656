"""`ndns crate`: write a study's provenance."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    study: Annotated[str, typer.Option(help="name in config/, or a file of settings")] = "smoke",
    config: Annotated[list[str] | None, typer.Option(help="key=value, as for snakemake --config")] = None,
) -> None:
    """Write results/<study>/ro-crate-metadata.json: jobs, commands, parameters, hashes, environments, commits."""
    from ndns.crate.build import write_crate
    from ndns.validation import load_yaml
    from ndns.verify.targets import overrides
    from ndns.workflow import overridden, plan, study_file

    settings = study_file(study)
    path = write_crate(Path.cwd(), plan(overridden(load_yaml(settings), overrides(config)), [settings]))
    print(path.relative_to(Path.cwd()))
