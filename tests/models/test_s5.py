"""Sparse S5: initial values, streaming, folding, pruning, quantization in training."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ndns.config import S5 as Settings
from ndns.config import Qat, Sparsity
from ndns.models.hippo import hippo_eigen
from ndns.models.quantization import integers
from ndns.models.s5 import S5
from ndns.models.sparsity import Sparsifier, largest, layer_densities

VARIANTS = {
    "dense": {},
    "relufied": {"relu": True},
    "sparse": {"relu": True, "sparsity": Sparsity(density=0.2)},
    "mixed": {"relu": ["state", "z"], "mask": "sigmoid", "level": "shift"},
    "mixed quantized": {"relu": ["encoder", "residual"], "mask": "sigmoid", "qat": Qat()},
    "sparse quantized": {"relu": True, "sparsity": Sparsity(density=0.2), "qat": Qat()},
}


def trained(**settings):
    """A network after a few steps, so that statistics and ranges are not the initial ones."""
    torch.manual_seed(0)
    model = S5(Settings(kind="s5", width=0.125, **settings), seed=3)
    optimizer = torch.optim.AdamW(model.parameter_groups(1e-3, 0.01))
    for progress in (0.0, 0.3, 0.6, 0.9, 1.0):
        model.on_progress(progress)
        clean = 0.05 * torch.randn(2, 6000)
        model.loss(model(clean + 0.02 * torch.randn(2, 6000)), clean).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.mark.parametrize("variant", VARIANTS)
def test_step_equals_forward(variant):
    model = trained(**VARIANTS[variant])
    magnitude = 3 * torch.rand(2, 257, 60)
    with torch.no_grad():
        whole = model.mask_output(magnitude)
    state, frames = None, []
    for t in range(magnitude.shape[-1]):
        raw, state = model.step(magnitude[..., t], state)
        frames.append(raw)
    # Rounded activations may fall on the other side of a step: one unit of the last place at most.
    unit = 2.0 ** -model.quantizer.exponent("decoder") if model.quantizer.enabled else 0
    assert (torch.stack(frames, dim=-1) - whole).abs().max() <= 1e-4 * whole.abs().max() + 8 * unit
    assert whole.std() > 0.01


@pytest.mark.parametrize("place", ["encoder", "state", "z", "residual"])
def test_each_relu_can_stand_alone(place):
    """Where it stands values are zero or (but for the state's imaginary part) positive; elsewhere they are neither."""
    model = trained(relu=[place])
    with torch.no_grad():
        _, seen = model._run(3 * torch.rand(2, 257, 60))
    of = {"encoder": "encoder", "state": "block0.state", "z": "block0.z", "residual": "block0.out"}
    for name, layer in of.items():
        zeros = (seen[layer] == 0).float().mean()
        assert (zeros > 0.05) == (name == place), (name, zeros)


@pytest.mark.parametrize("settings", [{"mask": "sigmoid"}, {"mask": "relu", "relu": ["state"]}])
def test_gradients_reach_every_weight(settings):
    """By comparing with finite differences of the loss in float64, along a random direction."""
    torch.manual_seed(1)
    model = S5(Settings(kind="s5", width=0.0625, blocks=1, **settings), seed=3).double()
    clean = 0.05 * torch.randn(2, 4000, dtype=torch.float64)
    noisy = clean + 0.02 * torch.randn_like(clean)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    directions = [torch.randn_like(weight) * weight.detach().std().clamp(min=0.1) for weight in weights]

    def moved(step: float) -> torch.Tensor:
        for weight, direction in zip(weights, directions, strict=True):
            weight.add_(direction, alpha=step)
        return model.loss(model(noisy), clean)

    gradients = torch.autograd.grad(model.loss(model(noisy), clean), weights)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    slope = sum((gradient * direction).sum() for gradient, direction in zip(gradients, directions, strict=True))
    with torch.no_grad():
        found = (moved(1e-6) - moved(-2e-6)) / 2e-6
    assert found.item() == pytest.approx(slope.item(), rel=1e-3)


def test_a_bounded_mask_is_between_0_and_1_and_the_tables_follow_it():
    for settings in ({}, {"qat": Qat()}):
        model = trained(mask="sigmoid", **settings)
        raw = torch.linspace(-12, 12, 500)
        mask = model.mask(raw)
        assert 0 <= mask.min() < 0.01
        assert 0.99 < mask.max() <= 1
        assert (mask - 1 / (1 + torch.exp(-raw))).abs().max() < (0.014 if settings else 1e-6)


def test_widths_and_parameters_follow_the_factor():
    model = S5(Settings(kind="s5", width=1.0))
    assert (model.settings.features, model.settings.states) == (192, 128)
    assert sum(weight.numel() for weight in model.prunable().values()) == 2 * 257 * 192 + 3 * (4 * 128 * 192 + 192**2)


def test_hippo_block_is_the_normal_part_of_legs():
    values, vectors = hippo_eigen()
    index = np.arange(16)
    outer = np.sqrt(np.outer(2 * index + 1, 2 * index + 1))
    legs = -(np.tril(outer, -1) + np.diag(index + 1.0))
    normal = legs + np.outer(np.sqrt(index + 0.5), np.sqrt(index + 0.5))
    assert np.allclose(normal @ vectors, vectors * values, atol=1e-10)
    assert (values.imag < 0).all()


def test_the_relufied_network_is_sparse_where_it_says():
    model = trained(relu=True)
    rates = model(0.05 * torch.randn(2, 6000)).rates
    for name, rate in rates.items():
        if name != "input":
            assert rate < 0.999, name
    assert trained()(0.05 * torch.randn(2, 6000)).rates["block0.z"] == 1


def response(a, b, c, steps=50):
    """What impulses at each input leave at each output: `2 Re(C diag(a^t) B)`, `(steps, out, in)`."""
    a, b, c = (torch.complex(*part.detach().double()) for part in (a, b, c))
    return torch.stack([2 * ((c * a**t) @ b).real for t in range(steps)])


def test_the_discretized_system_is_the_zero_order_hold():
    """By its definition in float64: `exp(lambda step)`, `B (exp(lambda step) - 1) / lambda`, and C as it is."""
    block = trained(relu=True).blocks[0]
    poles = torch.complex(block.lambda_re.double(), block.lambda_im.double())
    a = torch.exp(poles * block.log_step.double().exp())
    held = ((a - 1) / poles)[:, None] * torch.complex(*block.b.double())
    a, held = (torch.stack([part.real, part.imag]) for part in (a, held))
    wanted = response(a, held, block.c)
    found = response(*block.discrete(block.b, block.c))
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_states_of_any_speed_keep_their_input_weights_in_8_bits():
    """Whose steps differ a hundredfold; with the factor of the hold left to B alone the slow ones lose a quarter."""
    block = S5(Settings(kind="s5", width=0.5, dt=(0.01, 1.0)), seed=5).blocks[0]
    a, b, c = (part.detach() for part in block.discrete(block.b, block.c))
    size = c.norm(dim=(0, 1)) / block.c.detach().norm(dim=(0, 1))

    def lost(weight):
        """Share of each state's input weights, slowest state first, that 8 bits lose."""
        grid, exponent = integers(weight, 8)
        error = (grid / 2.0**exponent - weight).norm(dim=(0, 2)) / weight.norm(dim=(0, 2))
        return error[torch.complex(*a).abs().argsort(descending=True)]

    assert lost(b)[:8].mean() < 0.08
    assert lost(b * size[:, None])[:8].mean() > 0.25
    assert lost(b).max() < 0.1


def test_normalization_folds_away():
    model = trained(relu=True)
    block = model.blocks[0]
    x = torch.randn(3, model.settings.features, 20)
    folded, plain = (fold(model.sparsifier, "block0") for fold in (block.folded, block.weights))
    direct = torch.matmul(plain.b[0], block.norm(x))
    assert torch.allclose(torch.matmul(folded.b[0], x) + folded.bias_x[0][:, None], direct, atol=1e-5)


@pytest.mark.parametrize("method", ["ste", "iht"])
def test_pruned_entries_stay_zero_in_the_discretized_input_weights(method):
    model = trained(relu=True, sparsity=Sparsity(density=0.2, method=method))
    for index, block in enumerate(model.blocks):
        b = block.folded(model.sparsifier, f"block{index}").b
        both_zero = (b == 0).all(dim=0)
        kept = model.sparsifier.densities[f"block{index}.b"]
        assert abs(1 - both_zero.float().mean().item() - kept) < 0.01
        assert ((b[0] == 0) == (b[1] == 0)).float().mean() > 0.999


def test_straight_through_keeps_shadow_weights_and_hard_thresholding_does_not():
    for method, alive in (("ste", True), ("iht", False)):
        model = trained(relu=True, sparsity=Sparsity(density=0.2, method=method))
        model.on_progress(1.0)
        assert (model.encoder != 0).float().mean().item() == pytest.approx(1.0 if alive else 0.2, abs=0.25)
        gradient = torch.autograd.grad(model.loss(model(torch.randn(1, 4000)), torch.randn(1, 4000)), model.encoder)[0]
        assert (gradient != 0).float().mean() > 0.5


@given(st.floats(0.05, 0.6), st.integers(1, 6), st.integers(2, 9), st.integers(2, 9))
def test_erk_meets_the_total_density(density, layers, rows, columns):
    shapes = {f"w{i}": (rows * 3 * (i + 1), columns * 2) for i in range(layers)} | {"c": (2, 12, 20)}
    found = layer_densities(shapes, density, "erk")
    numbers = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    total = sum(found[name] * numbers[name] for name in shapes) / sum(numbers.values())
    assert total == pytest.approx(density, rel=1e-6)
    assert all(0 < value <= 1 for value in found.values())


def test_erk_keeps_as_many_weights_as_rows_and_columns_have():
    """Kept entries over rows + columns is one number for all layers of the network; a complex entry is one."""
    shapes = {name: tuple(weight.shape) for name, weight in S5(Settings(kind="s5", width=1.0)).prunable().items()}
    found = layer_densities(shapes, 0.1, "erk")
    kept = [found[name] * rows * columns / (rows + columns) for name, (*_, rows, columns) in shapes.items()]
    assert len(kept) == 11
    assert kept == pytest.approx([kept[0]] * 11)
    assert found["block0.b"] > found["encoder"] > 0


def test_schedule_is_cubic():
    settings = Sparsity(density=0.1, distribution="uniform", start=0.0, end=1.0)
    weight = torch.randn(100, 100)
    for progress, kept in ((0.0, 1.0), (0.5, 1 - 0.9 * (1 - 0.5**3)), (1.0, 0.1)):
        sparsifier = Sparsifier({"w": (100, 100)}, settings)
        sparsifier.update(progress, {"w": weight})
        assert sparsifier.mask_w.float().mean().item() == pytest.approx(kept, abs=0.002)


def _pruned_in(steps: int, end: float = 0.75, cut: int | None = None) -> tuple[list[float], Sparsifier]:
    """Return the density after each step of a training whose weights wander, resumed before step `cut`."""
    generator = torch.Generator().manual_seed(4)
    settings, weight = Sparsity(density=0.1, end=end), torch.randn(60, 50, generator=generator)
    sparsifier, densities = Sparsifier({"w": (60, 50)}, settings), []
    for step in range(steps):
        if step == cut:
            state = sparsifier.state_dict()
            sparsifier = Sparsifier({"w": (60, 50)}, settings)
            sparsifier.load_state_dict(state)
        sparsifier.update(step / steps, {"w": weight})
        densities.append(sparsifier.mask_w.float().mean().item())
        weight += 0.1 * torch.randn(60, 50, generator=generator)
    return densities, sparsifier


@pytest.mark.parametrize("steps", [4, 5, 8, 11, 14, 200])
def test_every_training_meets_its_density_once_its_end_is_reached(steps):
    densities, _ = _pruned_in(steps)
    assert densities[math.ceil(0.75 * steps) :] == pytest.approx([0.1] * (steps - math.ceil(0.75 * steps)))


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_resumed_training_prunes_as_the_whole_one(cut):
    whole, resumed = _pruned_in(11), _pruned_in(11, cut=cut)
    assert whole[0] == resumed[0]
    assert torch.equal(whole[1].mask_w, resumed[1].mask_w)


def test_the_largest_complex_entries_are_kept_together():
    weight = torch.stack([torch.tensor([[3.0, 0.1]]), torch.tensor([[0.0, 0.2]])])
    assert largest(weight, 1).tolist() == [[True, False]]


def test_wrong_widths_are_refused():
    with pytest.raises(ValueError, match="multiple of 1/16"):
        Settings(kind="s5", width=0.3)


def test_compressed_magnitudes_count_by_their_weight():
    clean = 0.1 * torch.randn(2, 8000, dtype=torch.float64)
    noisy = clean + 0.05 * torch.randn_like(clean)
    plain, weighted = (
        S5(Settings(kind="s5", width=0.125, compressed_loss=weight), 1).double() for weight in (0.0, 30.0)
    )
    output = plain(noisy)
    window = torch.sqrt(torch.hann_window(512, dtype=torch.float64))
    target = torch.stft(clean, 512, 128, window=window, return_complex=True).abs().numpy()
    level = np.sqrt((target**2).mean((1, 2), keepdims=True)) + 1e-3
    made, wanted = ((x / level + 1e-3) ** 0.3 for x in (output.magnitude.detach().numpy(), target))
    expected = 30 * np.mean((made - wanted) ** 2)
    assert expected > 0.1
    added = weighted.loss(output, clean) - plain.loss(output, clean)
    assert added.item() == pytest.approx(expected, rel=1e-6)
