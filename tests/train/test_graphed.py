"""A step that a GPU can record: no operation waits for a value or brings one from the CPU. Shown on shapes alone."""

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ndns.config import S5 as S5Settings
from ndns.config import Sdnn as SdnnSettings
from ndns.models.s5 import S5
from ndns.models.sdnn import Sdnn
from ndns.train.graphed import GraphedLoss, StepLoss


class OnDevice(TorchDispatchMode):
    """Notes the operations that a recording of CUDA kernels could not hold; device `meta` stands for the GPU.

    Those are operations that wait for a value, take a tensor from the CPU, or take one that no operation has made: such
    a tensor was made of Python's numbers on the CPU (`x[:, [0, 1]]`, `x.new_tensor([0, 1])`).

    Args:
        held: tensors that are there before.
    """

    def __init__(self, held):
        super().__init__()
        self.known = {storage(x): x for x in held}
        self.seen, self.broken = 0, []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        tensors = [x for x in tree_leaves((arguments, keywords)) if isinstance(x, torch.Tensor)]
        strangers = [x for x in tensors if storage(x) not in self.known and (x.ndim or x.device.type == "meta")]
        self.seen += 1
        if strangers or function is torch.ops.aten._local_scalar_dense.default:
            self.broken.append(str(function))
        result = function(*arguments, **(keywords or {}))
        made = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        self.known |= {storage(x): x for x in [*strangers, *made] if x.device.type == "meta"}
        return result


def storage(tensor):
    return tensor.untyped_storage()._cdata


def networks():
    sparse = {"sparsity": {"density": 0.2}, "qat": {"start": 0.5}}
    settings = S5Settings(
        kind="s5", width=0.125, mask="sigmoid", relu=True, level="shift", compressed_loss=10, **sparse
    )
    for name, progress in (("s5", 0.0), ("s5, rounded", 0.9)):
        network = S5(settings, 1)
        network.on_progress(progress)
        yield pytest.param(network, id=name)
    yield pytest.param(Sdnn(SdnnSettings(kind="sdnn", hidden=8), 1), id="sdnn")


@pytest.mark.parametrize("network", networks())
def test_a_step_never_leaves_the_device(network):
    step = StepLoss(network.to("meta")).train()
    noisy = torch.zeros(2, 8000, device="meta")
    with OnDevice([noisy, *network.parameters(), *network.buffers()]) as watch:
        step(noisy, noisy)  # keeps windows and the like for later steps, as a GPU's steps before the recording do
        watch.seen, watch.broken = 0, []
        loss, quality = step(noisy, noisy)
        loss.backward()
    assert watch.seen > 100
    assert loss.device.type == quality.device.type == "meta"
    assert not watch.broken


@pytest.mark.parametrize(
    "way", [lambda x: x[:, [0, 3]], lambda x: x + x.new_tensor([1.0] * 6), lambda x: float(x.sum())]
)
def test_the_watch_sees_what_comes_from_the_cpu(way):
    values = torch.zeros(4, 6)
    with OnDevice([values]) as watch:
        values.sum()
        assert not watch.broken
        way(values)
    assert watch.broken


def test_values_are_those_of_the_parts():
    network = S5(S5Settings(kind="s5", width=0.125), 1).eval()
    clean = torch.randn(2, 8000) * 0.1
    noisy = clean + torch.randn(2, 8000) * 0.05
    loss, quality = StepLoss(network)(noisy, clean)
    output = network(noisy)
    assert torch.equal(loss, network.loss(output, clean))
    energy = lambda x: (x * x).sum(-1)  # noqa: E731
    estimate, target = (x - x.mean(-1, keepdim=True) for x in (output.denoised, clean))
    kept = target * ((estimate * target).sum(-1) / energy(target))[:, None]
    expected = 10 * torch.log10(energy(kept) / energy(estimate - kept)).mean()
    assert quality.item() == pytest.approx(expected.item(), abs=1e-3)


def warmed_up(step, sample):
    """In place of `torch.cuda.make_graphed_callables`, which needs a GPU: runs the step a few times, as that does."""
    for _ in range(3):
        step(*sample)[0].backward()
    return step


@pytest.mark.parametrize("network", networks())
def test_recording_leaves_no_trace_in_statistics_and_ranges(network, monkeypatch):
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", warmed_up)
    plain, recorded = network.train(), copy.deepcopy(network).train()
    clean = torch.randn(2, 8000) * 0.1
    graphed = GraphedLoss(recorded)
    for _ in range(2):
        StepLoss(plain)(clean, clean)
        graphed(clean, clean)
    buffers = dict(plain.named_buffers())
    assert all(torch.equal(buffers[name], buffer) for name, buffer in recorded.named_buffers())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; torch sees none")
@pytest.mark.parametrize("network", networks())
def test_a_recorded_step_gives_the_same_gradients(network):
    clean = torch.randn(2, 8000, device="cuda") * 0.1
    noisy = clean + torch.randn_like(clean) * 0.05
    gradients = []
    for way in (StepLoss(network.cuda().train()), GraphedLoss(network.train())):
        network.zero_grad()
        way(noisy, clean)[0].backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
    assert gradients[0].abs().max() > 0
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-5)
