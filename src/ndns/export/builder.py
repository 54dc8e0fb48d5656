"""A thin layer over `onnx.helper`: nodes one after the other, states that a step hands to the next one."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 10


@dataclass(frozen=True)
class State:
    """What a step keeps for the next one: names of its input and output, shape, type. It starts from zeros."""

    before: str
    after: str
    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass
class Builder:
    """Nodes of one step in the making.

    Attributes:
        nodes: in order.
        constants: tensors that the nodes name.
        states: what goes from step to step, in order.
        prefix: of all names, so that a graph inside of another one shares none with it.
    """

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    prefix: str = ""

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output, return the output's name."""
        name = f"{self.prefix}{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Return the name of a constant tensor; float32 unless told."""
        array = np.ascontiguousarray(value, dtype) if np.ndim(value) else np.asarray(value, dtype)
        name = f"{self.prefix}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def state(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> str:
        """Declare a state, return the name of its value before the step; `keep` says its value after."""
        self.states.append(State(name, f"{name}_next", shape, np.dtype(dtype)))
        return name

    def keep(self, state: str, value: str) -> None:
        """Make `value` what the next step finds as `state`."""
        self.nodes.append(helper.make_node("Identity", [value], [f"{state}_next"], name=f"keep_{state}"))

    def add(self, a: str, b: str) -> str:
        """Return `a + b`."""
        return self.op("Add", a, b)

    def multiply(self, a: str, b: str) -> str:
        """Return `a * b`, elementwise."""
        return self.op("Mul", a, b)

    def product(self, x: str, weight: np.ndarray) -> str:
        """Return `weight @ x` for `x` `(in,)` and a constant `weight` `(out, in)`."""
        return self.op("MatMul", x, self.constant(np.asarray(weight).T))

    def slice(self, x: str, start: int, stop: int) -> str:
        """Return `x[start:stop]`."""
        bounds = [self.constant([value], np.int64) for value in (start, stop)]
        return self.op("Slice", x, *bounds)


def value_info(name: str, dtype: Any, shape: tuple[int | str, ...]) -> ValueInfoProto:
    """Return what onnx calls the type of a value; text in `shape` names a free length."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))


def finished(graph: onnx.GraphProto, metadata: dict[str, str]) -> onnx.ModelProto:
    """Return a checked model with metadata."""
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="ndns"
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model
