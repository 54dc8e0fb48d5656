"""`ndns quantize`: integer programs from checkpoints and from released weights."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from ndns.errors import UserError


def command(
    out: Annotated[Path | None, typer.Option(help="integer program to write, netx HDF5")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="checkpoint.safetensors of `ndns train`")] = None,
    import_: Annotated[
        Path | None,
        typer.Option("--import", help="network.net (netx), network.pt (slayer state dict) or a checkpoint"),
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="expected SHA-256 of the imported file")] = None,
    mask_delay: Annotated[
        int | None,
        typer.Option(min=0, max=8, help="frames by which |STFT| waits for the mask, if not as --import says"),
    ] = None,
    mix: Annotated[Path | None, typer.Option(help="manifest of clips for --parent")] = None,
    parent: Annotated[
        Path | None, typer.Option(help="table to write: SI-SNR of the checkpoint's float network on the clips of --mix")
    ] = None,
) -> None:
    """Turn a checkpoint or released weights into an integer program that lava and the engine run alike."""
    from ndns.loihi2 import netx
    from ndns.quantize.checkpoint import quantize_checkpoint
    from ndns.quantize.imported import import_network

    if (checkpoint is None) == (import_ is None):
        raise UserError("ndns quantize: give exactly one of --checkpoint and --import.")
    if checkpoint and (sha256 or mask_delay is not None):
        raise UserError(
            "ndns quantize: --sha256 and --mask-delay belong to --import; a checkpoint brings its settings."
        )
    if (parent is None) != (mix is None) or (parent and not checkpoint):
        raise UserError("ndns quantize: --parent, --mix and --checkpoint belong together.")
    if out is None and parent is None:
        raise UserError("ndns quantize: nothing to write; give --out or --parent.")
    if out:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            program = quantize_checkpoint(checkpoint) if checkpoint else import_network(import_, sha256, mask_delay)
        for warning in caught:
            print(f"ndns: {warning.message}", file=sys.stderr)
    if parent:
        from ndns.quantize.parent import write_parent

        write_parent(checkpoint, mix, parent)
    if out:
        netx.write(out, program)
