"""`ndns deploy`: an integer program on recordings or integers."""

from pathlib import Path
from typing import Annotated

import typer

from ndns.errors import UserError


def command(
    program: Annotated[Path, typer.Argument(help="integer program, netx HDF5")],
    mix: Annotated[Path | None, typer.Option(help="manifest of noisy clips, results/<study>/mix/val.csv")] = None,
    audio: Annotated[Path | None, typer.Option(help="folder of recordings, any rate and channel count")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for what --mix or --audio gives")] = None,
    input: Annotated[Path | None, typer.Option(help="integers (bins, steps), .npy")] = None,
    output: Annotated[Path | None, typer.Option(help="where the network's integers go, .npy")] = None,
    backend: Annotated[str, typer.Option(help="engine, lava (lava-nc on the CPU) or loihi2 (a board)")] = "engine",
    mode: Annotated[str, typer.Option(help="lava-0.10, lava-corrected, chip24 or chip24-saturate")] = "lava-0.10",
    jobs: Annotated[int, typer.Option(min=1, help="processes for --mix; lava always runs one")] = 1,
) -> None:
    """Run an integer program on the clips of a study, a folder of recordings, or raw integers."""
    from ndns.deploy.clips import Job, deploy_mixture
    from ndns.deploy.recordings import deploy_folder, deploy_integers
    from ndns.loihi2 import netx
    from ndns.loihi2.backends import mode_named, runner

    if sum(option is not None for option in (mix, audio, input)) != 1:
        raise UserError("ndns deploy: give exactly one of --mix, --audio and --input.")
    target, name = (output, "--output") if input else (out, "--out")
    if target is None:
        raise UserError(f"ndns deploy: {name} is missing; it says where the result goes.")
    runner(backend, mode_named(mode))
    if mix:
        deploy_mixture(Job(program, backend, mode), mix, target, jobs)
    elif audio:
        deploy_folder(Job(program, backend, mode), audio, target)
    elif input:
        deploy_integers(netx.read_aloud(program), input, target, backend, mode)
