"""Integers of a sparse S5 network: folded normalization, 8-bit weights, static exponents from the observed ranges."""

from typing import Any

import numpy as np
import torch

from ndns.config import S5 as Settings
from ndns.errors import UserError
from ndns.loihi2.nodes.s5 import DiagonalSSM
from ndns.loihi2.nodes.s5_block import Affine, S5Block
from ndns.loihi2.program import LARGEST, Program
from ndns.models import quantization
from ndns.models.s5 import S5, TRANSITION_BITS


def convert(tensors: dict[str, np.ndarray], settings: dict[str, Any]) -> Program:
    """Return the program of a checkpoint of `ndns.models.s5`.

    Args:
        tensors: the network's state dict: weights, masks, running statistics, observed ranges.
        settings: keys of `ndns.config.S5`.

    Raises:
        UserError: a tensor is missing or misshaped, or no range was observed in training.
    """
    model = S5(Settings(**settings))
    try:
        model.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in tensors.items()})
    except RuntimeError as error:
        raise UserError(" ".join(str(error).split())) from None
    if not (model.quantizer.extents > 0).all():
        raise UserError("no activation ranges were observed; train for at least one step.")
    return program_of(model.eval())


@torch.no_grad()
def program_of(model: S5) -> Program:
    """Return the integers of a network in evaluation mode.

    Raises:
        UserError: the range of the input or of the output needs an exponent that a program cannot have.
    """
    settings, quantizer, sparsifier = model.settings, model.quantizer, model.sparsifier
    first = _end(quantizer, "input", LARGEST["input_exp"])
    output = _end(quantizer, "decoder", LARGEST["output_exp"])
    bits = {"weight_bits": quantizer.settings.weight_bits, "message_bits": quantizer.settings.activation_bits}
    stream = quantizer.exponent("residual")
    encoder = _affine(
        sparsifier.masked("encoder", model.encoder), model.encoder_bias, first, stream,
        "encoder" in settings.relus, bits,
    )  # fmt: skip
    nodes = [encoder]
    for index, block in enumerate(model.blocks):
        name = f"block{index}"
        w = block.folded(sparsifier, name)
        x_exp, y_exp = quantizer.exponent(f"{name}.state"), min(quantizer.exponent(f"{name}.y"), 20)
        a, a_exp = _integers(w.a, TRANSITION_BITS)
        b, b_exp = _integers(w.b, bits["weight_bits"], w.power)
        c, c_exp = _integers(w.c, bits["weight_bits"])
        d, d_exp = _integers(w.d, bits["weight_bits"], w.power)
        bias_x = _bias(w.bias_x, x_exp, bits["message_bits"], _lost(a, stream + b_exp > x_exp))
        ssm = DiagonalSSM(
            a[0], a[1], b[0], b[1], c[0], c[1], d, a_exp=min(a_exp, 30), b_exp=b_exp, c_exp=c_exp, d_exp=d_exp,
            u_exp=stream, x_exp=x_exp, y_exp=y_exp, bias_x_re=bias_x[0], bias_x_im=bias_x[1],
            bias_y=_bias(w.bias_y, y_exp, bits["message_bits"]), relu="state" in settings.relus, a_bits=TRANSITION_BITS,
            state_bits=bits["message_bits"], **bits,
        )  # fmt: skip
        gate = _affine(w.gate, w.gate_bias, y_exp, min(quantizer.exponent(f"{name}.gate"), 20), False, bits)
        nodes.append(S5Block(ssm, gate, "z" in settings.relus, "residual" in settings.relus))
    decoder = _affine(sparsifier.masked("decoder", model.decoder), model.decoder_bias, stream, output, False, bits)
    names = ("encoder", *(f"block{index}" for index in range(len(model.blocks))), "decoder")
    return Program(
        (*nodes, decoder), names, settings.front_end, settings.offset, mask_delay=0,
        input_exp=first, output_exp=output, mask_kind=settings.mask,
        level=settings.level,
    )  # fmt: skip


def _end(quantizer: quantization.Quantizer, name: str, high: int) -> int:
    """Return the exponent of the network's input or output, from 0 to `high`."""
    exponent, bits = quantizer.exponent(name), quantizer.settings.activation_bits
    if exponent < 0:
        mend = "train with more qat.activation_bits or on quieter clips."
    elif exponent > high:
        mend = "train on louder clips, with level: shift or with fewer qat.activation_bits."
    else:
        return exponent
    raise UserError(
        f"the {name}'s range of {quantizer.extent(name):.3g} leaves {exponent} of its qat.activation_bits ({bits}) "
        f"below the point, where a program has 0 to {high}; {mend}"
    )


def _affine(weight, bias, x_exp: int, y_exp: int, relu: bool, bits: dict[str, int]) -> Affine:
    integers, w_exp = _integers(weight, bits["weight_bits"])
    return Affine(integers, _bias(bias, y_exp, bits["message_bits"]), x_exp, w_exp, y_exp, relu, **bits)


def _integers(weight: torch.Tensor, bits: int, power: torch.Tensor | None = None) -> tuple[np.ndarray, int]:
    values, exponent = quantization.integers(weight, bits, power)
    return values.numpy(), exponent


def _bias(bias: torch.Tensor, exponent: int, bits: int, lost: torch.Tensor | float = 0.0) -> np.ndarray:
    top = 2 ** (bits - 1) - 1
    return torch.round(bias.double() * 2.0**exponent + lost).clamp(-top - 1, top).long().numpy()


def _lost(a: np.ndarray, drive: bool) -> torch.Tensor:
    """Return what rounding toward minus infinity takes from a state in a step on average, `(2, P)`, in its integers.

    A state that forgets little adds it up: of 1.5 a step 300 at a time constant of 200 steps, which training, whose
    states are not rounded, has never met. The bias gives it back.

    Args:
        a: integers of the transition, real and imaginary parts.
        drive: whether the input's product is shifted to the right too.
    """
    re, im = 0.5 * (a != 0)
    return torch.from_numpy(np.stack([re - im, re + im]) + 0.5 * drive)
