"""Weights to and from lava-dl slayer: the state dict of the challenge's `train_sdnn.py` (`network.pt`)."""

from collections.abc import Mapping
from pathlib import Path

import torch

from ndns.config import FrontEnd
from ndns.config import Sdnn as Settings
from ndns.errors import UserError
from ndns.models.sdnn import Sdnn

_WEIGHT = "blocks.{}.synapse.weight"
_DELAY = "blocks.{}.delay.delay"
_THRESHOLD = "blocks.{}.neuron.delta.threshold"
_BIAS = "blocks.{}.neuron.bias"


def load_slayer(path: str | Path, mask_delay: int = 1) -> Sdnn:
    """Read a state dict that slayer's users save with `torch.save(network.state_dict(), path)`.

    Only tensors and plain containers are read; a pickle that holds code is refused, not run.

    Raises:
        UserError: missing, not a state dict, or not of this network.
    """
    state = unpacked(path)
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: holds a {type(state).__name__}, not a state dict; save `network.state_dict()`.")
    try:
        return from_slayer_state_dict(state, mask_delay)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def unpacked(path: str | Path) -> object:
    """Return what `torch.save` wrote, on the CPU, without unpickling objects.

    Raises:
        UserError: no such file, damaged, or more than tensors and plain containers.
    """
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of weights.") from None
    except Exception as error:  # of nearly any kind: damage may lead torch to call its constructors with anything
        reason = str(error).strip().splitlines()[0].rstrip(".")[:120] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{path}: damaged, or not a state dict of plain tensors ({reason}); fetch it again, or save "
            "`network.state_dict()`."
        ) from None


def from_slayer_state_dict(state: Mapping[str, torch.Tensor], mask_delay: int = 1) -> Sdnn:
    """Return the network that holds slayer's weights, delays (at most 62, as on the chip) and threshold.

    Delays that are missing or all zero give a network with `max_delay` 0.

    Raises:
        UserError: a layer is missing, unknown or has an unexpected shape or value.
    """
    weights = [_tensor(state, _WEIGHT.format(index), 5)[:, :, 0, 0, 0] for index in (1, 2, 3)]
    hidden, bins = weights[0].shape
    for index, shape in ((1, (hidden, bins)), (2, (hidden, hidden)), (3, (bins, hidden))):
        if tuple(weights[index - 1].shape) != shape:
            raise UserError(f"{_WEIGHT.format(index)} has the shape {tuple(weights[index - 1].shape)}, not {shape}.")
    delays = [
        _tensor(state, _DELAY.format(index), 1) if _DELAY.format(index) in state else torch.zeros(hidden)
        for index in (1, 2)
    ]
    for index, delay in enumerate(delays, start=1):
        if delay.shape != (hidden,):
            raise UserError(f"{_DELAY.format(index)} holds {len(delay)} delays, the layer has {hidden} neurons.")
    _check_rest(state)
    settings = Settings(
        hidden=hidden,
        threshold=_threshold(state),
        max_delay=62 if any(delay.any() for delay in delays) else 0,
        mask_delay=mask_delay,
        front_end=_front_end(bins),
    )
    model = Sdnn(settings)
    with torch.no_grad():
        for index, weight in enumerate(weights, start=1):
            model.get_parameter(f"weight{index}").copy_(weight)
        for index, delay in enumerate(delays, start=1):
            model.get_parameter(f"delay{index}").copy_(delay)
    model.clamp_delays()
    return model


def to_slayer_state_dict(model: Sdnn) -> dict[str, torch.Tensor]:
    """Return copies under the names and shapes of the challenge's network, for `load_state_dict`.

    slayer gives delays their shape during the first forward pass, so run one before loading.
    """
    state = {}
    for index in range(4):
        state[_BIAS.format(index)] = torch.zeros(1)
        state[_THRESHOLD.format(index)] = torch.full((1,), model.threshold)
        if index in (1, 2):
            state[_DELAY.format(index)] = model.get_parameter(f"delay{index}").detach().cpu().clone()
        if index:
            weight = model.get_parameter(f"weight{index}").detach().cpu().clone()
            state[_WEIGHT.format(index)] = weight[:, :, None, None, None]
    return state


def _tensor(state: Mapping[str, torch.Tensor], key: str, dimensions: int) -> torch.Tensor:
    if key not in state:
        raise UserError(f"{key} is missing; expected the challenge's network of three layers.")
    value = state[key]
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.dim() != dimensions:
        found = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise UserError(f"{key} should be a float tensor of {dimensions} dimensions, found {found}.")
    if dimensions == 5 and value.shape[2:] != (1, 1, 1):
        raise UserError(f"{key} has the shape {tuple(value.shape)}, not (receivers, senders, 1, 1, 1).")
    if not torch.isfinite(value).all():
        raise UserError(f"{key} contains NaN or infinity.")
    return value.detach().float()


def _check_rest(state: Mapping[str, torch.Tensor]) -> None:
    known = {_WEIGHT.format(i) for i in (1, 2, 3)} | {_DELAY.format(i) for i in (1, 2)}
    known |= {name.format(i) for name in (_THRESHOLD, _BIAS) for i in range(4)}
    unknown = sorted(set(state) - known)
    if unknown:
        raise UserError(f"{unknown[0]} is not part of the challenge's network.")
    for index in range(4):
        bias = state.get(_BIAS.format(index))
        if bias is not None and bias.any():
            raise UserError(f"{_BIAS.format(index)} is not zero; this network has no biases.")


def _threshold(state: Mapping[str, torch.Tensor]) -> float:
    values = {float(value) for index in range(4) for value in _tensor(state, _THRESHOLD.format(index), 1)}
    if len(values) != 1:
        raise UserError(f"the layers' thresholds differ ({sorted(values)}); this network shares one.")
    threshold = values.pop()
    if threshold < 1 / 64 or threshold * 64 != int(threshold * 64):
        raise UserError(f"the threshold {threshold} is not a multiple of 1/64.")
    return threshold


def _front_end(bins: int) -> FrontEnd:
    n_fft = 2 * (bins - 1)
    if n_fft < 4 or n_fft % 4:
        raise UserError(f"{bins} frequency bins belong to no frame length that a hop of a quarter divides.")
    return FrontEnd(n_fft=n_fft, hop=n_fft // 4)
