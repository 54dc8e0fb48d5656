"""Networks as torch modules, and the one place that knows them by name.

A network takes noisy clips `(batch, samples)` and gives an `Output`; it has `loss(output, clean)` and `step`. To add
one: write its module, its settings in `ndns.config`, and a line in `KINDS`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from ndns.config import S5 as S5Settings
from ndns.config import Sdnn as SdnnSettings
from ndns.errors import UserError
from ndns.files import atomic_path
from ndns.models.denoising import Output
from ndns.models.s5 import S5
from ndns.models.sdnn import Sdnn
from ndns.models.slayer import from_slayer_state_dict, load_slayer, to_slayer_state_dict

__all__ = [
    "KINDS",
    "S5",
    "Output",
    "Sdnn",
    "build",
    "from_slayer_state_dict",
    "load",
    "load_slayer",
    "save",
    "take_over",
    "to_slayer_state_dict",
]

KINDS: dict[str, tuple[type[BaseModel], Callable[..., torch.nn.Module]]] = {
    "sdnn": (SdnnSettings, Sdnn),
    "s5": (S5Settings, S5),
}
"""Settings class and module of each `kind` of network."""

METADATA = "ndns"
PRUNING = "sparsifier."


def build(settings: BaseModel, seed: int = 0) -> torch.nn.Module:
    """Return a new network of `settings.kind` with initial values from `seed`.

    Raises:
        UserError: no network of this kind.
    """
    if settings.kind not in KINDS:
        raise UserError(f"network.kind: {settings.kind!r} is not one of {sorted(KINDS)}.")
    return KINDS[settings.kind][1](settings, seed)


def save(model: torch.nn.Module, path: str | Path) -> None:
    """Write weights and settings of a network as safetensors, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    data = to_bytes(tensors, metadata={METADATA: model.settings.model_dump_json()})
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def load(path: str | Path) -> torch.nn.Module:
    """Read a network that `save` wrote, on the CPU.

    Raises:
        UserError: missing, damaged, not from this project, or its tensors do not fit its settings.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint.")
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file, or a damaged one ({error}); train again.") from None
    model = build(_settings(path, metadata))
    if difference := _first_difference(model.state_dict(), tensors):
        name, wanted, found = difference
        raise UserError(
            f"{path}: {name} has the shape {found}, the network's settings ask for {wanted}; the file is not from this "
            "network, or of another version: train again."
        )
    if not all(torch.isfinite(tensor.float()).all() for tensor in tensors.values()):
        raise UserError(f"{path}: holds NaN or infinity; train again.")
    model.load_state_dict(tensors)
    return model


def take_over(network: torch.nn.Module, other: torch.nn.Module, source: str | Path) -> None:
    """Let a network begin with the weights of another one of the same kind and size.

    Weights that the other one has pruned begin at 0, so that both answer alike; pruning begins anew. Where the frames
    are apart by another step, the recurrence keeps its time constants (`retime`).

    Args:
        network: to be trained; changed in place.
        other: trained before.
        source: its file, for messages.

    Raises:
        UserError: another kind or size, or another step of frames with a network that knows no `retime`.
    """
    if network.settings.kind != other.settings.kind:
        raise UserError(
            f"{source}: of kind {other.settings.kind!r}, not {network.settings.kind!r}; set another initial."
        )
    own, taken = (
        {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(PRUNING)}
        for model in (network, other)
    )
    if difference := _first_difference(own, taken):
        name, wanted, _ = difference
        raise UserError(
            f"{source}: {name} does not have the shape {wanted} that the network's settings ask for; set another "
            "initial."
        )
    network.load_state_dict(network.state_dict() | taken)
    if hasattr(other, "sparsifier"):
        with torch.no_grad():
            for name, weight in network.prunable().items():
                weight.copy_(other.sparsifier.masked(name, weight))
    if network.front_end.hop != other.front_end.hop:
        if not hasattr(network, "retime"):
            raise UserError(f"{source}: frames every {other.front_end.hop} samples, not {network.front_end.hop}.")
        network.retime(network.front_end.hop / other.front_end.hop)


def _first_difference(
    wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> tuple[str, object, object] | None:
    """Return name and both shapes, `none` for an absent tensor, of the first that differ in them."""
    shapes = [{name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (wanted, found)]
    for name in shapes[0] | shapes[1]:
        pair = [side.get(name, "none") for side in shapes]
        if pair[0] != pair[1]:
            return name, *pair
    return None


def _settings(path: str | Path, metadata: dict[str, str]) -> BaseModel:
    try:
        values = json.loads(metadata[METADATA])
        kind = values["kind"]
    except (KeyError, TypeError, json.JSONDecodeError):
        raise UserError(f"{path}: lacks the network's settings (metadata {METADATA!r}); not a checkpoint.") from None
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"{path}: a network of kind {kind!r} is unknown; known are {sorted(KINDS)}.")
    try:
        return KINDS[kind][0].model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: wrong settings in its metadata ({where}: {first['msg']}).") from None
