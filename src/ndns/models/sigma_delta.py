"""Sigma-delta layers for training: forward and surrogate gradients of lava-dl slayer's blocks, one pass over time each.

Tensors are `(batch, frame, neuron)`, contiguous: a frame's neurons lie side by side, so that the recurrence over
frames runs for many neurons at once and a synapse is one matrix product.

Float32 on a CPU runs compiled loops (`ndns.models.kernels`) in as many threads as torch has; anything else (other
devices, other types) runs torch operations with the same results. Sums over frames are taken in double precision
where the device allows it cheaply, as torch does on a CPU.

Sources: lava.lib.dl.slayer `axon.delta._DeltaUnit`, `dendrite.Sigma`, `neuron.sigma_delta.Neuron`, `axon.delay`,
`block.base.step_delay`, `synapse.layer.Dense`, `neuron.base.Neuron.quantize_8bit`.
"""

import torch

from ndns.models import products
from ndns.models.precision import compiled, full_precision

WEIGHT_STEP = 2 / 64
WEIGHT_RANGE = (-256 / 64, 254 / 64)
INPUT_STEP = 1 / 64
MESSAGE_STEP = 1 / 4096


def quantise(values: torch.Tensor, step: float) -> torch.Tensor:
    """Round to multiples of `step`, ties to even; the gradient passes unchanged (slayer `utils.quantize`)."""
    return _Quantise.apply(values, step)


def quantise_weight(weight: torch.Tensor) -> torch.Tensor:
    """Round to the chip's 8 bit weights: even multiples of 1/64 in [-256/64, 254/64]; no gradient outside."""
    return quantise(weight, WEIGHT_STEP).clamp(*WEIGHT_RANGE)


def delta(values: torch.Tensor, threshold: float) -> torch.Tensor:
    """Send changes of at least `threshold`, keep the rest as residue, and cut messages to multiples of 2^-12.

    With D[t] = x[t] - x[t-1] + r[t-1]: message D[t] if |D[t]| >= threshold else 0, r[t] = D[t] - message; the cut
    (toward minus infinity) comes after the residue is taken. The gradient is `g[t] - g[t+1]`.

    Args:
        values: `(batch, frame, neuron)`.
        threshold: in units of `values`.
    """
    return _Delta.apply(values, threshold)


def hidden(messages: torch.Tensor, weight: torch.Tensor, delay: torch.Tensor, threshold: float) -> torch.Tensor:
    """Synapse, then integrate, rectify, send changes as `delta` does, one frame plus `floor(delay)` frames later.

    The gradient of a delay is slayer's: `sum over batch, t of g[t] * (y[t-1] - y[t])` with y the delayed messages.

    Args:
        messages: of the layer before, `(batch, frame, sender)`.
        weight: `(neuron, sender)`, quantised.
        delay: frames, `(neuron,)`, at least 0 and below 63.
        threshold: in units of the activation.

    Returns:
        messages as the next synapse receives them, `(batch, frame, neuron)`.
    """
    return _Hidden.apply(messages, weight, delay, threshold)


def output(messages: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Synapse, then the running sum over frames: `(batch, frame, sender)` to `(batch, frame, neuron)`."""
    return _Output.apply(messages, weight)


def event_rate(messages: torch.Tensor) -> torch.Tensor:
    """Return the share of `(batch, frame, neuron)` that is not zero, a scalar without gradient."""
    if compiled(messages):
        from ndns.models import kernels

        return messages.new_tensor(kernels.count_events(messages) / messages.numel())
    return torch.count_nonzero(messages.detach()) / messages.numel()


def product(messages: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return `messages @ weight.T`, contiguous, in full single precision (no TF32 on a GPU: messages have 24 bits)."""
    with full_precision():
        return products.product(messages, weight)


class _Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: torch.Tensor, step: float) -> torch.Tensor:
        return torch.round(values / step) * step

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        return gradient, None


class _Delta(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: torch.Tensor, threshold: float) -> torch.Tensor:
        if compiled(values):
            from ndns.models import kernels

            return kernels.delta(values.contiguous(), threshold)
        return _delta_scan(values, threshold)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        return gradient - _later(gradient), None


class _Hidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx, messages: torch.Tensor, weight: torch.Tensor, delay: torch.Tensor, threshold: float):
        shift = delay.detach().floor().long() + 1
        currents = product(messages, weight)
        if compiled(currents):
            from ndns.models import kernels

            sent, active = kernels.sigma_delta_relu(currents, shift, threshold)
        else:
            activation = torch.relu(_cumulate(currents))
            active = activation > 0
            sent = _shifted(_delta_scan(activation, threshold), shift)
        ctx.save_for_backward(messages, weight, sent, active, shift)
        return sent

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        messages, weight, sent, active, shift = ctx.saved_tensors
        if compiled(gradient):
            from ndns.models import kernels

            currents, delay = kernels.sigma_delta_relu_gradients(gradient.contiguous(), sent, active, shift)
        else:
            change = torch.diff(sent, dim=1, prepend=torch.zeros_like(sent[:, :1]))
            delay = -(gradient * change).sum((0, 1))
            arrived = _shifted(gradient, -shift)
            currents = _cumulate((arrived - _later(arrived)) * active, reverse=True)
        return *_product_gradients(ctx, currents, messages, weight), delay, None


class _Output(torch.autograd.Function):
    @staticmethod
    def forward(ctx, messages: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(messages, weight)
        currents = product(messages, weight)
        if compiled(currents):
            from ndns.models import kernels

            return kernels.cumulate(currents, currents)
        return _cumulate(currents)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        messages, weight = ctx.saved_tensors
        if compiled(gradient):
            from ndns.models import kernels

            gradient = gradient.contiguous()
            currents = kernels.cumulate(gradient, torch.empty_like(gradient), reverse=True)
        else:
            currents = _cumulate(gradient, reverse=True)
        return _product_gradients(ctx, currents, messages, weight)


def _product_gradients(ctx, gradient: torch.Tensor, messages: torch.Tensor, weight: torch.Tensor):
    """Gradients of `product`: of the messages (None where nothing needs it) and of the weight."""
    inward = product(gradient, weight.T) if ctx.needs_input_grad[0] else None
    return inward, products.weight_gradient(gradient, messages)


def _later(values: torch.Tensor) -> torch.Tensor:
    """Return `values[t + 1]` at t, zero at the end."""
    return torch.nn.functional.pad(values[:, 1:], (0, 0, 0, 1))


def _cumulate(values: torch.Tensor, reverse: bool = False) -> torch.Tensor:
    """Running sum over frames from triangular matrix products: torch's own has no deterministic CUDA version."""
    frames = values.shape[1]
    block = 64
    padded = torch.nn.functional.pad(values, (0, 0, 0, -frames % block))
    blocks = padded.unflatten(1, (-1, block))
    ones = torch.ones(block, block, dtype=values.dtype, device=values.device)
    triangle = ones.triu() if reverse else ones.tril()
    inner = triangle @ blocks
    totals = blocks.sum(2)
    count = totals.shape[1]
    ones = torch.ones(count, count, dtype=values.dtype, device=values.device)
    carry = (ones.triu(1) if reverse else ones.tril(-1)) @ totals
    return (inner + carry.unsqueeze(2)).flatten(1, 2)[:, :frames]


def _delta_scan(values: torch.Tensor, threshold: float) -> torch.Tensor:
    previous = torch.zeros_like(values[:, 0])
    residue = torch.zeros_like(previous)
    changes = torch.diff(values, dim=1, prepend=previous.unsqueeze(1))
    messages = torch.empty_like(values)
    for change, message in zip(changes.unbind(1), messages.unbind(1), strict=True):
        difference = change + residue
        torch.mul(difference, difference.abs() >= threshold, out=message)
        residue = difference - message
    return torch.floor(messages / MESSAGE_STEP) * MESSAGE_STEP


def _shifted(values: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Delay each neuron's row by `shift` `(neuron,)` frames (earlier if negative), zeros where nothing comes from."""
    frames = values.shape[1]
    source = torch.arange(frames, device=values.device)[:, None] - shift
    inside = (source >= 0) & (source < frames)
    gathered = values.gather(1, source.clamp(0, frames - 1).expand_as(values))
    return gathered * inside
