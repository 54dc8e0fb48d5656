"""From float weights to integers: the float network and the program agree bit for bit; bad input gets a sentence."""

import dataclasses
import json
import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save_file
from typer import Typer
from typer.testing import CliRunner

from ndns import models
from ndns.config import FrontEnd, Sdnn
from ndns.errors import UserError
from ndns.files import sha256_file
from ndns.loihi2 import engine, netx
from ndns.loihi2.nodes import Synapse
from ndns.quantize import sdnn
from ndns.quantize.checkpoint import quantize_checkpoint
from ndns.quantize.cli import command
from ndns.quantize.imported import import_network

SETTINGS = Sdnn(hidden=24, threshold=0.13, offset=0.25, mask_delay=2, front_end=FrontEnd(n_fft=64, hop=16))


@pytest.fixture
def network() -> models.Sdnn:
    """A network whose neurons all send, with delays over the whole range and one beyond it."""
    torch.manual_seed(0)
    net = models.build(SETTINGS, seed=3)
    with torch.no_grad():
        for weight in (net.weight1, net.weight2, net.weight3):
            weight.mul_(3)
        net.delay1.uniform_(0, 40)
        net.delay2.uniform_(0, 62)
        net.delay2[0], net.delay2[1] = 64.0, -0.01
    return net


def _same(a: netx.Program, b: netx.Program) -> bool:
    fields = [field.name for field in dataclasses.fields(a) if field.name != "nodes"]
    if any(getattr(a, name) != getattr(b, name) for name in fields) or len(a.nodes) != len(b.nodes):
        return False
    return all(
        type(x) is type(y)
        and all(np.array_equal(getattr(x, f.name), getattr(y, f.name)) for f in dataclasses.fields(x))
        for x, y in zip(a.nodes, b.nodes, strict=True)
    )


def test_checkpoint_float_network_and_program_agree_bit_for_bit(network, tmp_path):
    models.save(network, tmp_path / "checkpoint.safetensors")
    program = quantize_checkpoint(tmp_path / "checkpoint.safetensors")
    magnitude = np.random.default_rng(1).gamma(0.7, 3.0, (33, 400)).astype(np.float32).astype(np.float64)
    with torch.no_grad():
        raw = network.mask_output(torch.from_numpy(magnitude)[None].float())[0].double().numpy() * 2**18
    x = program.encode(magnitude)
    out = engine.run(program, x)
    same_input = np.rint((magnitude.astype(np.float32) - np.float32(0.25)) * 64) == x
    assert same_input.all()
    np.testing.assert_array_equal(out[:, 1:], raw[:, :-1])
    assert not out[:, 0].any()
    assert np.count_nonzero(out) > out.size / 2
    assert (program.offset, program.mask_delay, program.front_end) == (0.25, 2, SETTINGS.front_end)


@pytest.mark.parametrize(("other", "named"), [({"hidden": 7}, "delay1"), ({"front_end": FrontEnd()}, "weight1")])
def test_a_checkpoint_whose_tensors_are_of_another_network_is_refused(network, tmp_path, other, named):
    settings = SETTINGS.model_copy(update=other).model_dump(mode="json")
    save_file(network.state_dict(), tmp_path / "network.safetensors", metadata={"ndns": json.dumps(settings)})
    with pytest.raises(UserError, match=f"{named} has the shape .* but the settings ask for"):
        quantize_checkpoint(tmp_path / "network.safetensors")


def test_released_float_network_and_golden_integers_agree_bit_for_bit(shared_data):
    """slayer's arithmetic, one step earlier than lava's, on 30 s of speech."""
    network = models.load_slayer(shared_data / "peer_weights/intel_sdnn/network.pt")
    with np.load(shared_data / "golden/intel_sdnn_lava_0.10.0_30s.npz", allow_pickle=False) as golden:
        x, expected = golden["input"], golden["output"]
    with torch.no_grad():
        raw = network.mask_output(torch.from_numpy(x / 64 + 0.2)[None].float())[0].double().numpy() * 2**18
    np.testing.assert_array_equal(raw[:, :-1], expected[:, 1:])


@pytest.mark.parametrize("name", ["intel_sdnn", "intel_sdnn_nodelay"])
@pytest.mark.filterwarnings("ignore:.*clamped to it, as lava does")
def test_both_released_files_import_to_the_same_program(shared_data, tmp_path, name):
    folder = shared_data / "peer_weights" / name
    from_net, from_pt = import_network(folder / "network.net"), import_network(folder / "network.pt")
    assert _same(from_net, from_pt)
    for index, program in enumerate((from_net, from_pt)):
        netx.write(tmp_path / f"{index}.net", program)
    assert (tmp_path / "0.net").read_bytes() == (tmp_path / "1.net").read_bytes()
    delays = [node.delay.max() for node in from_net.nodes if isinstance(node, Synapse)]
    assert delays == ([50, 62, 0] if name == "intel_sdnn" else [0, 0, 0])


@given(arrays.arrays(np.float32, (5, 7), elements=st.floats(-8, 8, width=32)))
def test_weights_round_as_slayer_does(weight):
    step = 2 / 64
    expected = (torch.round(torch.from_numpy(weight) / step) * step).clamp(-256 / 64, 254 / 64) * 64
    if expected.any():
        np.testing.assert_array_equal(sdnn.weight_integers(weight, "layer 1"), expected.numpy())
    else:
        with pytest.raises(UserError, match="layer 1: all weights round to 0"):
            sdnn.weight_integers(weight, "layer 1")


def test_delays_round_down_and_clamp_with_a_warning():
    with pytest.warns(UserWarning, match="layer 2: 2 of 4 delays are above 62"):
        steps = sdnn.delay_steps(np.array([0.99, 62.9, 63.0, 1e10]), "layer 2")
    assert steps.tolist() == [0, 62, 62, 62]
    with pytest.raises(UserError, match="layer 2: delays must be finite"):
        sdnn.delay_steps(np.array([0.0, np.nan]), "layer 2")


@pytest.mark.parametrize("threshold", [0.0, 0.0156, 4096.0])
def test_threshold_outside_the_mantissa_is_refused(threshold):
    with pytest.raises(UserError, match="threshold"):
        sdnn.vth_mantissa(threshold)


def test_threshold_mantissa_is_slayers():
    assert [sdnn.vth_mantissa(value) for value in (0.1, 6 / 64, 1.0)] == [6, 6, 64]


def _app() -> Typer:
    app = Typer()
    app.command()(command)
    return app


def test_command_writes_the_program_and_says_what_it_clamped(network, tmp_path, capfd):
    network.delay2.data.clamp_(0, 62)
    models.save(network, tmp_path / "checkpoint.safetensors")
    out = tmp_path / "program.net"
    result = CliRunner().invoke(
        _app(), ["--checkpoint", str(tmp_path / "checkpoint.safetensors"), "--out", str(out)], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert _same(netx.read(out), quantize_checkpoint(tmp_path / "checkpoint.safetensors"))


def test_command_sets_the_mask_delay_of_imported_networks_and_checks_the_hash(random_program, tmp_path):
    source, out = tmp_path / "network.net", tmp_path / "program.net"
    netx.write(source, dataclasses.replace(random_program, mask_delay=0))
    CliRunner().invoke(_app(), ["--import", str(source), "--out", str(out)], catch_exceptions=False)
    assert _same(netx.read(out), dataclasses.replace(random_program, mask_delay=0))
    arguments = ["--import", str(source), "--out", str(out), "--mask-delay", "3", "--sha256"]
    CliRunner().invoke(_app(), [*arguments, sha256_file(source)], catch_exceptions=False)
    assert netx.read(out).mask_delay == 3
    out.unlink()
    with pytest.raises(UserError, match=r"network\.net: its SHA-256 is"):
        CliRunner().invoke(_app(), [*arguments, "0" * 64], catch_exceptions=False)
    assert not out.exists()


def test_command_imports_a_checkpoint_as_it_quantizes_one(network, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    models.save(network, checkpoint)
    known = ["--sha256", sha256_file(checkpoint)]
    for name, options in (("own", ["--checkpoint"]), ("imported", [*known, "--import"])):
        arguments = [*options, str(checkpoint), "--out", str(tmp_path / f"{name}.net")]
        CliRunner().invoke(_app(), arguments, catch_exceptions=False)
    assert (tmp_path / "own.net").read_bytes() == (tmp_path / "imported.net").read_bytes()
    for options, problem in ((["--sha256", "0" * 64], "its SHA-256 is"), (["--mask-delay", "1"], "brings its mask")):
        with pytest.raises(UserError, match=problem):
            CliRunner().invoke(
                _app(),
                ["--import", str(checkpoint), *options, "--out", str(tmp_path / "x.net")],
                catch_exceptions=False,
            )
    assert not (tmp_path / "x.net").exists()


@pytest.fixture
def random_program() -> netx.Program:
    generator = np.random.default_rng(0)
    weights = [generator.normal(0, 0.5, shape) for shape in ((8, 33), (8, 8), (33, 8))]
    return sdnn.build(weights, [generator.uniform(0, 9, 8), None, None], [0.1] * 3, FrontEnd(n_fft=64, hop=16), 0.2, 1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "exactly one of"),
        (["--checkpoint", "a", "--import", "b"], "exactly one of"),
        (["--checkpoint", "a", "--mask-delay", "1"], "belong to --import"),
        (["--checkpoint", "absent.safetensors"], "absent.safetensors: no such file"),
        (["--import", "absent.net"], "absent.net: no such file"),
    ],
)
def test_wrong_options_get_a_sentence(arguments, problem, tmp_path):
    with pytest.raises(UserError, match=problem):
        CliRunner().invoke(_app(), [*arguments, "--out", str(tmp_path / "p.net")], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("tensors", "metadata", "problem"),
    [
        ({}, None, "lack the network's settings"),
        ({}, {"ndns": "nonsense"}, "lack the network's settings"),
        ({}, {"ndns": json.dumps({"kind": "mystery"})}, "'mystery' cannot be quantized"),
        ({}, {"ndns": json.dumps({"kind": ["sdnn"]})}, "cannot be quantized"),
        ({}, {"ndns": json.dumps({"kind": "sdnn", "hidden": -1})}, "not settings of a network"),
        ({}, {"ndns": json.dumps({"kind": "sdnn"})}, "expected the tensors"),
        ({"weight2": torch.ones(2, 2, dtype=torch.bfloat16)}, None, "'weight2' cannot be read .*save it as float32"),
        ({"weight2": torch.ones(2, 2).to(torch.float8_e4m3fn)}, None, "'weight2' cannot be read .*save it as float32"),
    ],
)
@pytest.mark.parametrize("taught", [False, True])
def test_wrong_checkpoints_get_a_sentence(tmp_path, tensors, metadata, problem, taught):
    if taught:
        pytest.importorskip("ml_dtypes", reason="the package that gives NumPy bfloat16, which onnx brings")
    path = tmp_path / "checkpoint.safetensors"
    save_file({"weight1": torch.ones(2, 2), **tensors}, path, metadata=metadata)
    with pytest.raises(UserError, match=problem) as caught:
        quantize_checkpoint(path)
    assert str(path) in str(caught.value)
    path.write_bytes(b"garbage")
    with pytest.raises(UserError, match="not a safetensors file"):
        quantize_checkpoint(path)


def _slayer_state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    state = {f"blocks.{index}.neuron.delta.threshold": torch.tensor([0.09375]) for index in range(4)}
    for index, shape in enumerate(((8, 33), (8, 8), (33, 8)), start=1):
        state[f"blocks.{index}.synapse.weight"] = torch.randn(*shape, 1, 1, 1, generator=generator)
    return state


def _damaged(whole: bytes) -> Iterator[bytes]:
    """Yield the file cut at many lengths, then with 1 to 5 bits of it turned."""
    yield from (whole[:length] for length in range(0, len(whole), 97))
    rng = np.random.default_rng(0)
    for _ in range(400):
        copy = bytearray(whole)
        for place in rng.integers(len(copy), size=rng.integers(1, 6)):
            copy[place] ^= 1 << rng.integers(8)
        yield bytes(copy)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("read", [import_network, models.load_slayer])
def test_damaged_state_dicts_get_a_sentence(tmp_path, read):
    """Those whose damage only moves a number are read; what else comes out of torch would end this test."""
    path, reasons, taken = tmp_path / "network.pt", [], 0
    torch.save(_slayer_state(), path)
    read(path)
    for content in _damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            read(path)
            taken += 1
        except UserError as error:
            reasons.append(str(error))
    assert len(reasons) > 100 < taken
    assert all(reason.startswith(f"{path}: ") and "\n" not in reason for reason in reasons)


class _Payload:
    def __reduce__(self):
        return (open, ("must-not-exist", "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_state_dicts_are_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "network.pt"
    torch.save({"blocks.0.neuron.bias": _Payload()}, path)
    with pytest.raises(UserError, match=r"network\.pt: damaged, or not a state dict of plain tensors"):
        import_network(path)
    path.write_bytes(pickle.dumps(_Payload()))
    with pytest.raises(UserError, match=r"network\.pt: damaged, or not a state dict of plain tensors"):
        import_network(path)
    assert not (tmp_path / "must-not-exist").exists()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda s: s.pop("blocks.2.synapse.weight"), "'blocks.2.synapse.weight' is missing"),
        (
            lambda s: s.update({"blocks.1.synapse.weight_g": torch.ones(1)}),
            "'blocks.1.synapse.weight_g' is not supported",
        ),
        (lambda s: s.update({"blocks.1.neuron.bias": torch.ones(1)}), "'blocks.1.neuron.bias' is not zero"),
        (lambda s: s.update({"blocks.1.delay.delay": torch.ones(3)}), "delay must be"),
        (lambda s: s.update({"blocks.2.synapse.weight": torch.ones(8, 7, 1, 1, 1)}), "gives 8 values but"),
        (lambda s: s.update({"blocks.1.synapse.weight": torch.full((8, 33, 1, 1, 1), torch.nan)}), "NaN"),
        (
            lambda s: s.update({"blocks.1.synapse.weight": torch.ones(8)}),
            r"must be a matrix \(out, in\), found .*\(8,\)",
        ),
        (lambda s: s.update({"blocks.1.synapse.weight": torch.tensor(1.0)}), r"must be a matrix .*\(\)"),
        *(
            (
                lambda s, w=weight: s.update({"blocks.1.synapse.weight": w}),
                "'blocks.1.synapse.weight' is not plain floats",
            )
            for weight in (
                torch.ones(8, 33, dtype=torch.complex64),
                torch.ones(8, 33, dtype=torch.int64),
                torch.ones(8, 33).to_sparse(),
                torch.ones(8, 33, device="meta"),
            )
        ),
        (lambda s: s.update({"blocks.0.neuron.delta.threshold": torch.tensor(torch.inf)}), "threshold: inf is outside"),
        (lambda s: s.update({"blocks.0.neuron.delta.threshold": torch.tensor(torch.nan)}), "threshold: nan is outside"),
        (lambda s: s.update({"blocks.0.neuron.delta.threshold": torch.ones(33)}), "delta.threshold' holds 33 values"),
        (lambda s: s.clear(), "expected the tensors blocks"),
    ],
)
def test_wrong_state_dicts_get_a_sentence(tmp_path, change, problem):
    state = _slayer_state()
    torch.save(state, tmp_path / "network.pt")
    assert import_network(tmp_path / "network.pt").shape_in == 33
    change(state)
    torch.save(state, tmp_path / "network.pt")
    with pytest.raises(UserError, match=problem) as caught:
        import_network(tmp_path / "network.pt")
    assert "network.pt" in str(caught.value)
