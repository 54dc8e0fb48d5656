"""Program files: what is written is read back and has the bytes it had; what is wrong gets a sentence."""

import dataclasses
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.config import FrontEnd
from ndns.errors import UserError
from ndns.loihi2 import engine, netx
from ndns.loihi2.nodes import Affine, CubaLIF, Delta, DiagonalSSM, S5Block, ScaledSynapse, Sigma, SigmaDelta, Synapse
from ndns.loihi2.nodes.graded import GradedVec
from ndns.loihi2.program import Program


def _equal(a: Program, b: Program) -> bool:
    plain = [field.name for field in dataclasses.fields(a) if field.name != "nodes"]
    return all(getattr(a, name) == getattr(b, name) for name in plain) and all(
        type(x) is type(y)
        and all(np.array_equal(getattr(x, f.name), getattr(y, f.name)) for f in dataclasses.fields(x))
        for x, y in zip(a.nodes, b.nodes, strict=True)
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), delay=st.integers(0, 62), offset=st.floats(-5, 5), mask=st.integers(0, 8))
def test_programs_come_back_unchanged(random_sdnn, tmp_path_factory, seed, delay, offset, mask):
    path = tmp_path_factory.mktemp("netx") / "program.net"
    front_end = FrontEnd(n_fft=256, hop=64, window="sqrt_hann")
    drawn = random_sdnn(seed, max_delay=delay)
    program = dataclasses.replace(drawn, front_end=front_end, offset=offset, mask_delay=mask, output_exp=12)
    netx.write(path, program)
    assert netx.in_netx_words(program)
    assert _equal(netx.read(path), program)


def test_same_program_gives_the_same_bytes(random_sdnn, tmp_path):
    for name in "ab":
        netx.write(tmp_path / name, random_sdnn(1))
    netx.write(tmp_path / "c", random_sdnn(2))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_nodes_that_netx_cannot_say_are_kept_too(tmp_path, spectra_like):
    generator = np.random.default_rng(0)
    nodes = (
        Delta(6, 6, spike_exp=5),
        Synapse(generator.integers(-9, 9, (4, 6))),
        SigmaDelta(4, 3, bias=np.array([1, -2, 3, 0], np.int32), activation="unit"),
        Synapse(generator.integers(-9, 9, (6, 4)), np.array([0, 1, 2, 3, 4, 5])),
        SigmaDelta(6, 3),
    )
    program = Program(nodes, ("a", "b", "c", "d", "e"))
    netx.write(tmp_path / "p.net", program)
    again, x = netx.read(tmp_path / "p.net"), spectra_like(1, 6, 40)
    assert not netx.in_netx_words(program)
    assert _equal(again, program)
    assert again.nodes[2].activation == "unit"
    np.testing.assert_array_equal(engine.run(again, x), engine.run(program, x))


@pytest.mark.parametrize(("weight", "vth"), [(255, 6), (-255, 6), (-256, 1 << 18)])
def test_every_program_that_can_be_written_can_be_read(tmp_path, weight, vth):
    matrix = np.full((4, 6), weight)
    nodes = (Delta(6, vth), Synapse(matrix), SigmaDelta(4, vth), Synapse(matrix.T), Sigma(6))
    program = Program(nodes, tuple("abcde"), offset=np.float32(0.25), mask_delay=8, input_exp=16, output_exp=30)
    netx.write(tmp_path / "p.net", program)
    again, x = netx.read(tmp_path / "p.net"), np.random.default_rng(0).integers(-(2**19), 2**19, (6, 40))
    assert _equal(again, program)
    assert netx.in_netx_words(program) == (weight % 2 == 0)  # lava would drop the last bit of an odd weight beyond 127
    np.testing.assert_array_equal(engine.run(again, x), engine.run(program, x))
    assert np.count_nonzero(engine.run(program, x)) > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"mask_delay": 9},
        {"mask_delay": -1},
        {"input_exp": 17},
        {"output_exp": 2.5},
        {"offset": np.nan},
        {"offset": 1e308},
        {"offset": -(2.0**24)},
    ],
)
def test_settings_that_no_file_may_have_are_refused_at_once(settings):
    with pytest.raises(UserError, match=f"the program's {next(iter(settings))} "):
        Program((Delta(2, 6), Sigma(2)), ("a", "b"), **settings)


def test_biases_that_are_no_integers_of_16_bits_are_refused():
    for bias, problem in ((np.array([0.5, 1]), "must be 2 integers"), (np.array([0, 1 << 15]), "16 bits")):
        with pytest.raises(ValueError, match=problem):
            SigmaDelta(2, 6, bias=bias)


def test_released_network_gets_the_challenge_values(released):
    assert released.front_end == FrontEnd(n_fft=512, hop=128, window="rectangular")
    assert (released.offset, released.mask_delay, released.input_exp, released.output_exp) == (0.2, 1, 6, 18)
    assert released.names == ("input", "fc1", "hidden1", "fc2", "hidden2", "fc3", "output")
    assert [layer.name for layer in released.layers] == ["input", "hidden1", "hidden2"]
    assert [node.vth for node in released.nodes if hasattr(node, "vth")] == [6, 6, 6]
    assert released.nodes[1].weight.shape == (512, 257)


def _put(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return change


def _attribute(value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.modify("ndns", value)


def _described(**changes: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs["ndns"] = json.dumps(json.loads(file.attrs["ndns"]) | changes)

    return change


def _external_data(file: h5py.File) -> None:
    del file["layer/1/weight"]
    file.create_dataset("layer/1/weight", (14, 9), "i2", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])


def _virtual_data(file: h5py.File) -> None:
    del file["layer/1/weight"]
    layout = h5py.VirtualLayout((14, 9), "i2")
    layout[:] = h5py.VirtualSource("other.h5", "weight", (14, 9))
    file.create_virtual_dataset("layer/1/weight", layout)


HALF = np.full((14, 9), 0.5, np.float32)
HUGE = np.full((14, 9), 256)
ODD = np.full((14, 9), 131)


@pytest.mark.parametrize(
    ("change", "where", "problem"),
    [
        (_put("layer", None), "layer:", "is missing"),
        (_put("layer/1", None), "layer:", "expected layers 0, 1, 2"),
        (_put("layer/1/weight", None), "layer/1/weight:", "is missing"),
        (_put("layer/1/type", None), "layer/1/type:", "is missing"),
        (_put("layer/1/type", 3), "layer/1/type:", "expected one text"),
        (_put("layer/1/type", b"conv"), "layer/1/type:", "'conv' is not supported"),
        (_put("layer/0/type", b"dense"), "layer/0/type:", "layer 0 must be 'input'"),
        (_put("layer/1/neuron/type", b"CUBA"), "layer/1/neuron/type:", "'CUBA' are not supported"),
        (_put("layer/1/neuron/activation", b"tanh"), "layer/1/neuron/activation:", "'tanh' is not supported"),
        (_put("layer/1/neuron/vThMant", 1.5), "layer/1/neuron/vThMant:", "not integers"),
        (_put("layer/1/neuron/vThMant", 1 << 20), "layer/1/neuron/vThMant:", "do not fit"),
        (_put("layer/1/neuron/vThMant", [6, 7]), "layer/1/neuron/vThMant:", "expected one value"),
        (_put("layer/1/neuron/messageBits", 0), "layer/1/neuron/messageBits:", "spikes without a value"),
        (_put("layer/1/neuron/sigma_output", True), "layer/1/neuron/sigma_output:", "only the last layer"),
        (_put("layer/1/weight", HALF), "layer/1/weight:", "not integers"),
        (_put("layer/1/weight", HALF * np.nan), "layer/1/weight:", "NaN"),
        (_put("layer/1/weight", HUGE), "layer/1/weight:", "do not fit in"),
        (_put("layer/1/weight", ODD), "layer/1/weight:", "lose their lowest bit"),
        (_put("layer/1/weight", np.zeros((14, 8), int)), "layer/1/weight:", "expected the shape (14, 9)"),
        (_put("layer/1/weight", b"text"), "layer/1/weight:", "expected numbers"),
        (_put("layer/1/weight", h5py.SoftLink("/layer/2/weight")), "layer/1/weight:", "is a link"),
        (_put("layer/1/weight", h5py.ExternalLink("other.h5", "/w")), "layer/1/weight:", "is a link"),
        (_put("layer/1", h5py.ExternalLink("other.h5", "/")), "layer/1:", "is a link"),
        (_external_data, "layer/1/weight:", "in another file"),
        (_virtual_data, "layer/1/weight:", "in another file"),
        (_put("layer/1/delay", np.full(14, -1.0)), "layer/1/delay:", "negative"),
        (_put("layer/1/delay", np.zeros(9)), "layer/1/delay:", "one delay a target neuron"),
        (_put("layer/1/shape", [0]), "layer/1/shape:", "do not fit"),
        (_put("layer/1/bias", np.ones(3)), "layer/1/bias:", "expected 14 values"),
        (_put("layer/3/bias", np.ones(7)), "layer/3/bias:", "output layer with a bias"),
        (_put("layer/0/bias", 1), "layer/0/bias:", "input with a bias"),
        (_put("layer/0/weight", 32), "layer/0/weight:", "other than 64"),
        (_attribute(b"{"), "attribute ndns:", "not this project's"),
        (_attribute(7), "attribute ndns:", "not this project's"),
        (_described(format=2), "attribute ndns:", "format is not 1"),
        (_described(mask_delay=99), "the program's mask_delay", "from 0 to 8, got 99"),
        (_described(mask_delay=True), "the program's mask_delay", "from 0 to 8, got True"),
        (_described(front_end={"n_fft": 100}), "attribute ndns:", "must be a multiple"),
        (_described(colour="red"), "attribute ndns:", "unknown key 'colour'"),
        (_described(names=["a"]), "", "each needs one"),
    ],
)
def test_wrong_files_get_a_sentence_with_file_and_dataset(random_sdnn, tmp_path, change, where, problem):
    path = tmp_path / "network.net"
    netx.write(path, random_sdnn(1))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(UserError) as caught:
        netx.read(path)
    assert str(caught.value).startswith(f"{path}: {where}")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("kind", b"Launcher", "'Launcher' is not one of"),
        ("fields/size", -3, "size must be an integer"),
        ("fields/size", 3.5, r"layer/1/fields/size: expected int, found float"),
        ("fields/vth", 1 << 30, "vth must be an integer"),
        ("fields/vth", 1 << 40, "does not fit in 32 bits"),
        ("fields/activation", b"tanh", "not relu or unit"),
        ("fields/colour", 1, "has no such field"),
    ],
)
def test_wrong_own_nodes_get_a_sentence(tmp_path, field, value, problem):
    path = tmp_path / "network.net"
    netx.write(path, Program((Synapse(np.ones((3, 3), int)), SigmaDelta(3, 6, activation="unit")), ("a", "b")))
    with h5py.File(path, "r+") as file:
        _put(f"layer/1/{field}", value)(file)
    with pytest.raises(UserError, match=problem):
        engine.run(netx.read(path), np.zeros((3, 2), int))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("0/fields/size", [4, 4], "expected int, found ndarray"),
        ("0/fields/vth", b"text", "expected int, found str"),
        ("1/fields/w_exp", 2.5, "expected int, found float"),
        ("1/fields/relu", 1, "expected bool, found int"),
        ("1/fields/y_exp", 99, r"x_exp \+ w_exp - y_exp must be at least -32"),
        ("1/fields/message_bits", 1 << 30, "message_bits must be within 2 and 32"),
        ("2/fields/ssm/fields/b_exp", -99, r"u_exp \+ b_exp - x_exp must be at least -32"),
        ("2/fields/ssm/fields/a_bits", 0, "a_bits must be within 2 and 32"),
        ("2/fields/ssm/fields/d", 1, "expected ndarray, found int"),
        ("2/fields/relu_out", [True, True], "expected bool, found ndarray"),
        ("2/fields/gate", b"text", "expected Affine, found str"),
    ],
)
def test_fields_of_the_wrong_type_or_size_get_a_sentence(tmp_path, field, value, problem):
    path, ones = tmp_path / "network.net", np.ones((4, 4), int)
    ssm = DiagonalSSM(ones[0], ones[0], ones, ones, ones, ones, ones[0])
    nodes = (GradedVec(4), Affine(ones), S5Block(ssm, Affine(ones), relu_out=False))
    netx.write(path, Program(nodes, ("a", "b", "c")))
    with h5py.File(path, "r+") as file:
        _put(f"layer/{field}", value)(file)
    with pytest.raises(UserError, match=rf"network\.net: layer/{field[0]}/fields.*{problem}"):
        netx.read(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not hdf5", b"\x89HDF\r\n\x1a\n" + bytes(40)])
def test_files_that_are_not_hdf5_get_a_sentence(tmp_path, content):
    path = tmp_path / "network.net"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"network\.net: not an HDF5 file"):
        netx.read(path)
    with pytest.raises(UserError, match="no such file"):
        netx.read(tmp_path / "absent.net")


def test_file_cut_short_gets_a_sentence(random_sdnn, tmp_path):
    path = tmp_path / "network.net"
    netx.write(path, random_sdnn(1))
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UserError, match=r"network\.net"):
            netx.read(path)


def test_a_layer_whose_name_is_no_text_gets_a_sentence(random_sdnn, tmp_path):
    path = tmp_path / "network.net"
    netx.write(path, random_sdnn(1))
    with h5py.File(path, "r+") as file:
        file["layer"].id.move(b"1", b"\x80")
    with pytest.raises(UserError, match=r"network\.net: layer: expected layers 0, 1, 2 \.\.\., found .*\\x80"):
        netx.read(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_get_a_sentence_or_are_still_whole(random_sdnn, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "network.net"
    netx.write(path, random_sdnn(1))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    outcome = _width_or_sentence(path)
    assert outcome == 9 or str(outcome).startswith(str(path))


def _width_or_sentence(path: Path) -> int | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return netx.read(path).shape_in
    except UserError as error:
        return str(error)


def test_network_whose_last_layer_sends_messages_is_netx_too(random_sdnn, tmp_path, spectra_like):
    drawn, x = random_sdnn(1), spectra_like(2, 9, 100)
    program = Program(drawn.nodes[:5], drawn.names[:5])
    netx.write(tmp_path / "p.net", program)
    assert netx.in_netx_words(program)
    out = engine.run(netx.read(tmp_path / "p.net"), x)
    np.testing.assert_array_equal(out, engine.run(program, x))
    assert np.count_nonzero(out) > 0


def test_delays_above_the_chips_limit_are_clamped_aloud(random_sdnn, tmp_path):
    path = tmp_path / "network.net"
    netx.write(path, random_sdnn(1))
    with h5py.File(path, "r+") as file:
        _put("layer/2/delay", np.append(np.arange(55, 65) + 0.7, 1e20))(file)
    with pytest.warns(UserWarning, match=r"layer/2/delay: 3 of 11 delays are above 62"):
        program = netx.read(path)
    assert program.nodes[3].delay.tolist() == [*range(55, 63), 62, 62, 62]


def test_nothing_half_written_stays(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Odd:
        shape_in: int = 3
        shape_out: int = 3
        thing: object = dataclasses.field(default_factory=lambda: np.array([object()]))

    with pytest.raises(UserError, match=r"Odd\.thing"):
        netx.write(tmp_path / "p.net", Program((Odd(), Sigma(3)), ("a", "b")))
    assert not list(tmp_path.iterdir())


def test_spiking_and_state_space_nodes_are_kept_too(tmp_path):
    generator = np.random.default_rng(2)

    def weights(*shape: int) -> np.ndarray:
        return generator.integers(-100, 101, shape)

    ssm = DiagonalSSM(
        weights(3) * 200, weights(3) * 20, weights(3, 4), weights(3, 4), weights(4, 3), weights(4, 3), weights(4)
    )
    nodes = (
        Affine(weights(4, 6), relu=True),
        S5Block(ssm, Affine(weights(4, 4))),
        ScaledSynapse(weights(5, 4), np.array([0, 1, 2, 3, 4]), weight_exp=-2),
        CubaLIF(5, vth=np.arange(5) + 40, du=400, dv=200, refractory_period=1),
    )
    program = Program(nodes, ("encoder", "block", "fc", "spikes"))
    netx.write(tmp_path / "p.net", program)
    again = netx.read(tmp_path / "p.net")
    x = generator.integers(-3000, 3000, (6, 80))
    assert isinstance(again.nodes[1].ssm, DiagonalSSM)
    assert again.nodes[0].relu is True
    assert not netx.in_netx_words(program)
    out = engine.run(again, x)
    np.testing.assert_array_equal(out, engine.run(program, x))
    assert 0 < np.count_nonzero(out) < out.size


def test_scaled_synapse_is_not_mistaken_for_a_plain_one(random_sdnn, tmp_path, spectra_like):
    drawn = random_sdnn(1)
    scaled = ScaledSynapse(drawn.nodes[1].weight, drawn.nodes[1].delay, weight_exp=-1)
    program = dataclasses.replace(drawn, nodes=(drawn.nodes[0], scaled, *drawn.nodes[2:]))
    netx.write(tmp_path / "p.net", program)
    x = spectra_like(2, 9, 100)
    out = engine.run(netx.read(tmp_path / "p.net"), x)
    np.testing.assert_array_equal(out, engine.run(program, x))
    assert not np.array_equal(out, engine.run(drawn, x))
    assert not netx.in_netx_words(program)
