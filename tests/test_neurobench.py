"""NeuroBench's harness and our counts: equal where definitions agree, different as explained where they do not."""

import numpy as np
import pytest
import torch

pytest.importorskip("neurobench", reason="the optional package neurobench is not installed")

from neurobench.metrics.utils.layers.macs import single_layer_MACs

from ndns import models
from ndns.audio.io import write_pcm16
from ndns.config import S5, Sparsity
from ndns.config import Sdnn as Settings
from ndns.files import write_csv
from ndns.loihi2 import engine
from ndns.models.frontend import moduli, stft
from ndns.models.sdnn import Sdnn
from ndns.neurobench import Observed, benchmark, own_counts
from ndns.quantize.s5 import program_of


@pytest.fixture(scope="module")
def model():
    network = Sdnn(Settings(hidden=24, max_delay=5), seed=3)
    with torch.no_grad():
        for index in (1, 2, 3):
            weight = network.get_parameter(f"weight{index}")
            weight.mul_(4)
            weight[:, ::3] = 0
    return network


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mix")
    generator = np.random.default_rng(5)
    for name in ("noisy", "clean"):
        for index in range(2):
            write_pcm16(folder / f"{name}{index}.flac", (3000 * generator.standard_normal(8000)).astype(np.int16))
    rows = [{"noisy": f"noisy{index}.flac", "clean": f"clean{index}.flac"} for index in range(2)]
    write_csv(folder / "val.csv", rows, ["noisy", "clean"])
    return folder / "val.csv"


def test_harness_agrees_where_definitions_do(model, mix):
    theirs, ours = benchmark(model, mix), own_counts(model, mix)
    operations = theirs["SynapticOperations"]
    assert theirs["ParameterCount"] == ours["parameters"] == 2 * 257 * 24 + 24 * 24
    assert theirs["ConnectionSparsity"] == pytest.approx(ours["weights_zero"], abs=6e-5)
    assert theirs["ActivationSparsity"] == pytest.approx(ours["silent_share"], abs=1e-6)
    assert operations["Effective_MACs"] == pytest.approx(ours["synops_a_clip"], rel=1e-5)
    assert operations["Dense"] == pytest.approx(ours["dense_a_clip"], rel=1e-5)
    assert 0.05 < ours["silent_share"] < 0.99


def test_explained_differences(model, mix):
    theirs, ours = benchmark(model, mix), own_counts(model, mix)
    assert theirs["Footprint"] == 4 * ours["size_bytes_8_bit"], "float32 against 8 bits"
    assert theirs["SynapticOperations"]["Effective_ACs"] == 0, "graded messages are no binary spikes"
    assert ours["synops_a_clip_dense_fan_out"] > 1.2 * ours["synops_a_clip"], "zero weights count in the challenge"


@torch.no_grad()
def test_effective_macs_of_s5_are_neurobenchs():
    """The products of a sparse S5 program as layers of the harness: real and imaginary parts are weights apart."""
    settings = S5(kind="s5", width=0.125, relu=True, sparsity=Sparsity(density=0.3))
    network = models.build(settings, seed=3)
    for progress in (0.0, 1.0):
        network.on_progress(progress)
        network(torch.randn(2, 6000, generator=torch.Generator().manual_seed(1)) / 8)
    program = program_of(network.eval())
    x = program.encode(4 * np.random.default_rng(2).random((program.shape_in, 40)))
    activity = engine.record(program, x)[1]
    counted = dict(zip(activity.layers, activity.synops_per_step.sum(axis=1), strict=True))
    encoder, block = program.nodes[:2]
    sent = {"frames": x.T, "encoder": encoder.run(encoder.init(1), x.T[None])[0]}
    inner = block.observed(block.init(1), sent["encoder"][None])[1]
    sent |= {f"block0.{name}": values[0] for name, values in inner.items()}
    ssm = block.ssm
    weights = {
        "frames": encoder.weight,
        "encoder": np.concatenate([ssm.b_re, ssm.b_im, np.diag(ssm.d)]),
        "block0.state": np.concatenate([ssm.c_re, ssm.c_im], axis=1),
        "block0.z": block.gate.weight,
    }
    for name, weight in weights.items():
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight.copy_(torch.from_numpy(weight))
        macs, binary = single_layer_MACs(torch.from_numpy(sent[name]).float(), layer)
        assert not binary
        assert counted[name] == macs < 0.5 * weight.size * len(sent[name]), name


@torch.no_grad()
def test_observed_synapses_give_the_networks_output(model):
    samples = torch.from_numpy(np.random.default_rng(6).standard_normal((1, 8000)).astype(np.float32) / 8)
    observed = Observed(model)
    denoised = observed(samples)
    magnitude = moduli(stft(samples, model.front_end))
    raw = observed.currents[2].double().cumsum(1).transpose(1, 2).float()
    torch.testing.assert_close(raw, model.mask_output(magnitude), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(denoised, model(samples).denoised, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_observed_output_is_the_networks_for_every_mask_delay(model):
    samples = torch.from_numpy(np.random.default_rng(6).standard_normal((2, 8000)).astype(np.float32) / 8)
    outputs = []
    for mask_delay in (0, 1, 3):
        other = Sdnn(model.settings.model_copy(update={"mask_delay": mask_delay}))
        other.load_state_dict(model.state_dict())
        outputs.append(Observed(other)(samples))
        torch.testing.assert_close(outputs[-1], other(samples).denoised)
    assert min((outputs[0] - outputs[1]).abs().max(), (outputs[2] - outputs[1]).abs().max()) > 0.01
