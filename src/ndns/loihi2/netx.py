"""Integer programs as HDF5 in lava's netx layout (`lava.lib.dl.netx.hdf5.Network` reads what `write` writes).

    layer/0/{type = input, shape, neuron/{type = SDNN, vThMant, activation}}
    layer/i/{type = dense, shape, inFeatures, outFeatures, weight (out, in), delay (out,), bias, neuron/...}

A last layer with `neuron/sigma_output` ends in a running sum. The root attribute `ndns` holds JSON (`format`,
`front_end`, `offset`, `mask_delay`, and what differs from the default: `input_exp`, `output_exp`, `mask_kind`, `level`,
`names`); a file without it gets the challenge's values. A node that netx cannot say is a layer of `type = ndns` with
its dataclass's name in `kind` and its fields as datasets; lava refuses such a file, the engine runs it.
"""

import dataclasses
import json
import sys
import warnings
from pathlib import Path
from typing import Any, get_args, get_type_hints

import h5py
import numpy as np

from ndns.config import FrontEnd
from ndns.errors import UserError
from ndns.files import atomic_path
from ndns.loihi2.hdf5 import CheckedGroup, open_checked
from ndns.loihi2.nodes import KINDS, Delta, Node, Sigma, SigmaDelta, Synapse
from ndns.loihi2.nodes.synapse import MAX_DELAY
from ndns.loihi2.program import Program

LARGE = 1000
"""Values from which on an array is stored compressed."""
FORMAT = 1
MAX_VTH = 1 << 18
OPTIONAL = {"input_exp": 6, "output_exp": 18, "mask_kind": "relu", "level": "none", "names": None}


def read(path: str | Path) -> Program:
    """Read a program.

    A delay above 62 is clamped as lava does, with a `UserWarning` that names the dataset and how many.

    Raises:
        UserError: not HDF5, a layer or dataset is missing, misshaped, not integer, out of range, a link, or
            of a kind that this project does not execute.
    """
    path = Path(path)
    with open_checked(path) as file:
        root = CheckedGroup(path, file)
        layers = root.group("layer")
        count = len(layers.keys())
        if count == 0 or sorted(layers.keys()) != sorted(map(str, range(count))):
            raise root.error("layer", f"expected layers 0, 1, 2 ..., found {layers.keys() or 'none'}.")
        nodes: list[Node] = []
        names: list[str] = []
        for index in range(count):
            added = _read_layer(layers.group(str(index)), index, count, nodes)
            nodes += added
            names += _names(added, index)
        settings = _settings(path, root.attribute("ndns"))
        try:
            return Program(tuple(nodes), tuple(settings.pop("names") or names), **settings)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None


def read_aloud(path: str | Path) -> Program:
    """Read a program for the command line: warnings of `read` go to standard error as plain sentences."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        program = read(path)
    for warning in caught:
        print(f"ndns: {warning.message}", file=sys.stderr)
    return program


def write(path: str | Path, program: Program) -> None:
    """Write a program atomically; the same program gives the same bytes.

    Raises:
        UserError: a node's settings have no place in the file.
    """
    with h5py.File("program", "w", driver="core", backing_store=False) as file:  # HDF5 crashes on a full disk
        _fill(file, program)
        file.flush()
        image = file.id.get_file_image()
    with atomic_path(path) as temporary:
        temporary.write_bytes(image)


def _fill(file: h5py.File, program: Program) -> None:
    names: list[str] = []
    layers = _grouped(program.nodes)
    for index, nodes in enumerate(layers):
        group = file.create_group(f"layer/{index}")
        names += _names(nodes, index)
        if len(nodes) == 1 and not _is_input(nodes[0], index):
            _write_node(group, nodes[0])
        else:
            _write_layer(group, nodes)
    values = {"input_exp": program.input_exp, "output_exp": program.output_exp}
    values |= {"mask_kind": program.mask_kind, "level": program.level}
    values["names"] = None if tuple(names) == program.names else list(program.names)
    settings = {
        "format": FORMAT,
        "front_end": program.front_end.model_dump(),
        "offset": float(program.offset),
        "mask_delay": program.mask_delay,
    } | {key: value for key, value in values.items() if value != OPTIONAL[key]}
    file.attrs["ndns"] = np.bytes_(json.dumps(settings, sort_keys=True).encode("ascii"))


def in_netx_words(program: Program) -> bool:
    """Tell whether lava's netx can read the whole program: an SDNN, without nodes of this project's own."""
    return all(len(nodes) == 2 or _is_input(nodes[0], index) for index, nodes in enumerate(_grouped(program.nodes)))


def _read_layer(layer: CheckedGroup, index: int, count: int, before: list[Node]) -> list[Node]:
    kind = layer.text("type")
    if kind == "ndns":
        return [_read_node(layer)]
    if index == 0 and kind == "input":
        return [_read_input(layer)]
    if index > 0 and kind == "dense":
        return _read_dense(layer, index == count - 1, before[-1].shape_out)
    raise layer.error("type", f"{kind!r} is not supported here; layer 0 must be 'input', the others 'dense'.")


def _read_input(layer: CheckedGroup) -> Delta:
    if "bias" in layer and layer.array("bias").any():
        raise layer.error("bias", "an input with a bias is not supported.")
    if "weight" in layer and (layer.array("weight") != 64).any():
        raise layer.error("weight", "an input weight other than 64 is not supported.")
    return Delta(_size(layer), _threshold(layer.group("neuron")))


def _read_dense(layer: CheckedGroup, last: bool, size_in: int) -> list[Node]:
    size = _size(layer)
    synapse = Synapse(_weight(layer, size, size_in), _delay(layer, size, size_in))
    neuron = layer.group("neuron")
    threshold = _threshold(neuron)
    if "sigma_output" in neuron:
        if not last:
            raise neuron.error("sigma_output", "only the last layer can be a plain sum.")
        if "bias" in layer and layer.array("bias").any():
            raise layer.error("bias", "an output layer with a bias is not supported.")
        return [synapse, Sigma(size)]
    activation = neuron.text("activation") if "activation" in neuron else "relu"
    if activation != "relu":
        raise neuron.error("activation", f"{activation!r} is not supported; lava's netx runs 'relu' only.")
    bias = None
    if "bias" in layer:
        bias = layer.integers("bias", -(1 << 15), (1 << 15) - 1).reshape(-1)
        bias = np.full(size, bias[0]) if bias.size == 1 else bias
        if bias.shape != (size,):
            raise layer.error("bias", f"expected {size} values, found {bias.size}.")
    return [synapse, SigmaDelta(size, threshold, bias=None if bias is None else bias.astype(np.int32))]


def _size(layer: CheckedGroup) -> int:
    shape = layer.integers("shape", 1, 1 << 20)
    size = int(np.prod(shape))
    if shape.size == 0 or size > 1 << 20:
        raise layer.error("shape", f"{shape.tolist()} is not the shape of a layer.")
    return size


def _threshold(neuron: CheckedGroup) -> int:
    kind = neuron.text("type")
    if kind != "SDNN":
        raise neuron.error("type", f"neurons of type {kind!r} are not supported; only 'SDNN' is.")
    if "messageBits" in neuron and neuron.integer("messageBits", 0, 32) == 0:
        raise neuron.error("messageBits", "0 means spikes without a value, which sigma-delta neurons cannot use.")
    return neuron.integer("vThMant", 0, MAX_VTH)


def _weight(layer: CheckedGroup, size: int, size_in: int) -> np.ndarray:
    weight = layer.integers("weight", -256, 254)
    if weight.ndim == 1 and weight.size == size * size_in:
        weight = weight.reshape(size, size_in)
    if weight.shape != (size, size_in):
        raise layer.error("weight", f"expected the shape ({size}, {size_in}), found {weight.shape}.")
    if _loses_a_bit(weight):
        raise layer.error("weight", "odd weights beyond [-128, 127] lose their lowest bit on the chip; use even ones.")
    return weight


def _loses_a_bit(weight: np.ndarray) -> bool:
    return bool((weight % 2).any()) and (weight.min() < -128 or weight.max() > 127)


def _delay(layer: CheckedGroup, size: int, size_in: int) -> np.ndarray | None:
    if "delay" not in layer:
        return None
    delay = np.floor(layer.array("delay"))
    if delay.size and delay.min() < 0:
        raise layer.error("delay", f"{delay.min():g} is negative.")
    if delay.shape == (size, size_in) and (delay == delay[:, :1]).all():
        delay = delay[:, 0]
    if delay.size == 1:
        delay = np.full(size, delay.reshape(-1)[0])
    if delay.shape != (size,):
        raise layer.error("delay", f"expected one delay a target neuron ({size}), found the shape {delay.shape}.")
    above = int(np.count_nonzero(delay > MAX_DELAY))
    if above:
        message = f"{above} of {size} delays are above {MAX_DELAY} and were clamped to it, as lava does."
        warnings.warn(str(layer.error("delay", message)), stacklevel=2)
    return np.minimum(delay, MAX_DELAY).astype(np.int64)


def _settings(path: Path, raw: object) -> dict[str, Any]:
    """Return the keyword arguments of `Program` that the root attribute `ndns` holds, or the challenge's."""
    if raw is None:
        return {"front_end": FrontEnd(), "offset": 0.2, "mask_delay": 1} | OPTIONAL
    try:
        values = json.loads(raw if isinstance(raw, bytes | str) else "")
        if values.pop("format") != FORMAT:
            raise ValueError(f"the format is not {FORMAT}")
        unknown = set(values) - {"front_end", "offset", "mask_delay", *OPTIONAL}
        if unknown:
            raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
        values = OPTIONAL | values | {"front_end": FrontEnd(**values["front_end"]), "offset": float(values["offset"])}
        if values["names"] is not None and not all(isinstance(name, str) for name in values["names"]):
            raise ValueError("names must be texts")
        return values
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path}: attribute ndns: not this project's description of a program ({problem}).") from None


def _grouped(nodes: tuple[Node, ...]) -> list[list[Node]]:
    """Cut the chain into netx layers: an input alone, each synapse with the sigma(-delta) neuron after it."""
    layers: list[list[Node]] = []
    sdnn = _is_input(nodes[0], 0)
    for index, node in enumerate(nodes):
        last = index == len(nodes) - 1
        joins = (isinstance(node, SigmaDelta) and _plain(node)) or (isinstance(node, Sigma) and last)
        before = layers[-1] if layers else []
        if sdnn and joins and len(before) == 1 and type(before[0]) is Synapse and not _loses_a_bit(before[0].weight):
            before.append(node)
        else:
            layers.append([node])
    return layers


def _plain(node: Delta | SigmaDelta) -> bool:
    """Tell whether netx builds this neuron: its exponents are fixed there."""
    return (node.spike_exp, node.state_exp) == (6, 6) and getattr(node, "activation", "relu") == "relu"


def _is_input(node: Node, index: int) -> bool:
    return index == 0 and isinstance(node, Delta) and _plain(node)


def _names(nodes: list[Node], index: int) -> list[str]:
    """Default names: input; fc1, hidden1; ...; fcN, output; own nodes by kind and layer."""
    if _is_input(nodes[0], index):
        return ["input"]
    if len(nodes) == 1:
        return [f"{type(nodes[0]).__name__.lower()}{index}"]
    return [f"fc{index}", "output" if isinstance(nodes[1], Sigma) else f"hidden{index}"]


def _write_layer(group: h5py.Group, nodes: list[Node]) -> None:
    neuron = nodes[-1]
    group.create_dataset("type", data=np.array([b"dense" if len(nodes) == 2 else b"input"], "S10"))
    group.create_dataset("shape", data=np.array([neuron.shape_out]))
    if len(nodes) == 2:
        synapse = nodes[0]
        group.create_dataset("inFeatures", data=synapse.shape_in)
        group.create_dataset("outFeatures", data=synapse.shape_out)
        _put(group, "weight", synapse.weight)
        if synapse.delay.any():
            group.create_dataset("delay", data=synapse.delay)
        if getattr(neuron, "bias", None) is not None:
            group.create_dataset("bias", data=np.asarray(neuron.bias, np.int32))
    group.create_dataset("neuron/type", data=np.bytes_(b"SDNN"))
    group.create_dataset("neuron/activation", data=np.bytes_(b"relu"))
    group.create_dataset("neuron/vThMant", data=getattr(neuron, "vth", 0))
    if isinstance(neuron, Sigma):
        group.create_dataset("neuron/sigma_output", data=True)


def _write_node(group: h5py.Group, node: Node) -> None:
    group.create_dataset("type", data=np.array([b"ndns"], "S10"))
    group.create_dataset("kind", data=np.bytes_(type(node).__name__.encode("ascii")))
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        where = f"fields/{field.name}"
        if isinstance(value, tuple) and value and all(dataclasses.is_dataclass(item) for item in value):
            for index, item in enumerate(value):
                _write_node(group.create_group(f"{where}/{index}"), item)
        elif dataclasses.is_dataclass(value):
            _write_node(group.create_group(where), value)
        elif isinstance(value, str):
            group.create_dataset(where, data=np.bytes_(value.encode("ascii")))
        elif value is not None:
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                raise UserError(f"{type(node).__name__}.{field.name}: {array.dtype} cannot be stored in a program.")
            _put(group, where, array)


def _put(group: h5py.Group, name: str, array: np.ndarray) -> None:
    """Write an array, compressed where that is worth it: pruned weights are mostly zeros."""
    packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if array.size > LARGE else {}
    group.create_dataset(name, data=array, **packed)


def _read_node(group: CheckedGroup) -> Node:
    kind = group.text("kind")
    if kind not in KINDS:
        raise group.error("kind", f"{kind!r} is not one of {sorted(KINDS)}.")
    fields = group.group("fields") if "fields" in group else None
    known = [field.name for field in dataclasses.fields(KINDS[kind])]
    unknown = set(fields.keys() if fields else []) - set(known)
    if unknown:
        raise group.error(sorted(unknown)[0], f"{kind} has no such field.")
    types = get_type_hints(KINDS[kind])
    values = {name: _read_field(fields, name, types[name]) for name in known if fields and name in fields}
    try:
        return KINDS[kind](**values)
    except (ValueError, TypeError, UserError) as error:
        raise group.error("fields", f"not a {kind}: {str(error).rstrip('.')}.") from None


def _read_field(fields: CheckedGroup, name: str, hint: Any) -> Any:
    """Return a field's value after checking that it is of the type, or one of the types, that its node declares."""
    if fields.is_group(name):
        inner = fields.group(name)
        if "kind" in inner:
            value = _read_node(inner)
        else:
            value = tuple(_read_node(inner.group(str(index))) for index in range(len(inner.keys())))
    elif fields.is_text(name):
        value = fields.text(name)
    else:
        array = fields.array(name)
        value = array.item() if array.ndim == 0 else array
    kinds = [kind if isinstance(kind, type) else type(kind) for kind in get_args(hint) or (hint,)]
    if type(value) not in kinds:
        names = " or ".join(dict.fromkeys(kind.__name__ for kind in kinds if kind is not type(None)))
        raise fields.error(name, f"expected {names}, found {type(value).__name__}.")
    if type(value) is int and abs(value) >= 1 << 31:
        raise fields.error(name, f"{value} does not fit in 32 bits.")
    return value
