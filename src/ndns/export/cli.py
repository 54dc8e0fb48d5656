"""`ndns export`: networks in the formats of others."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Networks in other formats: ONNX (float), netx (lava), NIR.")

Checkpoint = Annotated[str, typer.Argument(metavar="MODEL", help="a name (`ndns models` lists them) or checkpoint")]
Network = Annotated[
    str, typer.Argument(metavar="MODEL", help="a name (`ndns models` lists them), program .net or checkpoint")
]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="file to write")]
AGREEMENT = 0.01
"""Largest difference from torch, over its largest value, that an export may have."""


@app.command("onnx")
def onnx_command(
    model: Checkpoint,
    out: Out,
    form: Annotated[str, typer.Option(help="step: a frame and states in and out; clip: a whole recording")] = "step",
    part: Annotated[str, typer.Option(help="whole: samples in and out; mask: |STFT| in, mask out")] = "whole",
) -> None:
    """Write the float network of a checkpoint as ONNX, after onnxruntime gave what torch gives."""
    import torch

    from ndns import models
    from ndns.errors import UserError
    from ndns.export.check import difference
    from ndns.export.graphs import exported
    from ndns.files import atomic_path
    from ndns.use import registry

    for option, value, known in (("--form", form, ("step", "clip")), ("--part", part, ("whole", "mask"))):
        if value not in known:
            raise UserError(f"{option}: {value!r} is not one of {', '.join(known)}.")
    path = registry.find(model, checkpoint=True).verified()
    _check_out(out, path)
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: is no checkpoint; ONNX takes the float network of a checkpoint.safetensors.")
    torch.set_num_threads(1)
    network = models.load(path).eval()
    content = exported(network, part, form).SerializeToString()
    found = difference(network, content, part == "whole", form == "clip")
    if not found <= AGREEMENT:
        raise RuntimeError(f"{path}: onnxruntime and torch differ by {found:.2g} of the largest value")
    with atomic_path(out) as temporary:
        temporary.write_bytes(content)
    print(
        f"{out}: {len(content) / 1e6:.2f} MB; largest difference from torch on noise: {found:.1e} of its largest value"
    )


@app.command()
def netx(model: Network, out: Out) -> None:
    """Write the integer program in lava's netx layout; says so if lava cannot read all of it."""
    import sys

    from ndns.loihi2 import netx as layout
    from ndns.use import registry
    from ndns.use.model import Model, read_program

    source = registry.find(model)
    _check_out(out, source.path)
    program = Model(read_program(source)).program
    layout.write(out, program)
    if not layout.in_netx_words(program):
        print(
            f"ndns: {out}: holds nodes of this project's own, which lava.lib.dl.netx refuses; "
            "`ndns deploy --backend lava` runs them in lava.",
            file=sys.stderr,
        )


@app.command()
def nir(model: Network, out: Out) -> None:
    """Write the integer program as a NIR graph, if NIR has words for all of its nodes."""
    from ndns.export.nir_graph import write
    from ndns.use import registry
    from ndns.use.model import read_program

    source = registry.find(model)
    _check_out(out, source.path)
    write(out, read_program(source))


def _check_out(out: Path, source: Path) -> None:
    """Raise a UserError where the file that is to be written is the network itself."""
    from ndns.errors import UserError

    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f"{out}: is the network itself; name another output.")
