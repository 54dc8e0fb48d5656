"""Sigma-delta layers: compiled loops beside torch operations, and what a delta code promises for any input."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.models import sigma_delta

THRESHOLD = 6 / 64


def problem(seed, batch=2, frames=130, senders=9, neurons=21):
    """Messages on the chip's grid, quantised weights, delays over their whole range."""
    generator = torch.Generator().manual_seed(seed)
    messages = torch.randint(-4096, 4096, (batch, frames, senders), generator=generator) / 4096
    messages *= torch.rand(messages.shape, generator=generator) < 0.3
    weight = sigma_delta.quantise_weight(torch.randn(neurons, senders, generator=generator))
    delay = 62.9 * torch.rand(neurons, generator=generator)
    return messages.requires_grad_(), weight.requires_grad_(), delay.requires_grad_()


def results(layer, inputs):
    """Output of a layer and the gradients of a fixed random function of it."""
    output = layer(*inputs)
    factor = torch.randn(output.shape, generator=torch.Generator().manual_seed(9))
    return [output.detach(), *torch.autograd.grad((output * factor).sum(), inputs)]


LAYERS = {
    "hidden": (lambda *inputs: sigma_delta.hidden(*inputs, THRESHOLD), 3),
    "output": (sigma_delta.output, 2),
    "delta": (lambda values: sigma_delta.delta(values, THRESHOLD), 1),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "shape", [{}, {"batch": 3, "frames": 1, "neurons": 1}, {"batch": 1, "frames": 64, "senders": 1}]
)
def test_compiled_loops_equal_torch_operations(monkeypatch, name, shape):
    layer, arguments = LAYERS[name]
    inputs = problem(1, **shape)[:arguments]
    compiled = results(layer, inputs)
    monkeypatch.setattr(sigma_delta, "compiled", lambda values: False)
    plain = results(layer, inputs)
    assert torch.equal(compiled[0], plain[0])
    for ours, theirs in zip(compiled[1:], plain[1:], strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())
    assert shape or all(value.abs().max() > 0 for value in compiled)


def test_threads_do_not_change_the_result():
    before, seen = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            messages, weight, delay = problem(2, batch=1)
            sent = sigma_delta.hidden(messages, weight, delay, THRESHOLD)
            sent.sum().backward()
            seen.append((sent.detach(), delay.grad))
    finally:
        torch.set_num_threads(before)
    for sent, gradient in seen[1:]:
        assert torch.equal(sent, seen[0][0])
        assert torch.equal(gradient, seen[0][1])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-2000, 2000), min_size=1, max_size=200),
    st.integers(1, 64),
)
def test_a_delta_code_follows_its_input(steps, mantissa):
    """Messages are large enough, and their sum stays within the threshold of the input."""
    threshold = mantissa / 64
    values = torch.tensor(steps, dtype=torch.float32).cumsum(0)[None, :, None] / 4096
    sent = sigma_delta.delta(values, threshold)
    assert ((sent == 0) | (sent.abs() >= threshold)).all()
    assert (sent * 4096 == (sent * 4096).round()).all()
    assert ((sent.cumsum(1) - values).abs() < threshold).all()


@given(st.floats(-10, 10, width=32))
def test_weights_fit_eight_bits(weight):
    quantised = sigma_delta.quantise_weight(torch.tensor(weight)).item()
    assert quantised * 32 == round(quantised * 32)
    assert -4 <= quantised <= 254 / 64
    assert abs(quantised - min(max(weight, -4), 254 / 64)) <= 1 / 64


def test_delays_beyond_the_ring_are_refused():
    messages, weight, _ = problem(3)
    with pytest.raises(ValueError, match="between 0 and 62"):
        sigma_delta.hidden(messages, weight, torch.full((21,), 63.0), THRESHOLD)


def test_a_message_arrives_one_frame_and_its_delay_later():
    messages = torch.zeros(1, 40, 1)
    messages[0, 3, 0] = 1.0
    sent = sigma_delta.hidden(messages, torch.ones(2, 1), torch.tensor([0.9, 7.2]), THRESHOLD)
    assert sent.nonzero().tolist() == [[0, 4, 0], [0, 11, 1]]
    assert sigma_delta.event_rate(sent) == pytest.approx(2 / 80)
