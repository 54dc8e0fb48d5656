"""Fixed-point ProcessModels of an S5 network: one step at a time in plain NumPy int64, straight from the equations.

They share no arithmetic with the nodes (which scan blocks in compiled code), so that comparing the two means something.
"""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from ndns.loihi2.lava_procs.s5.process import AffineProcess, DiagonalSSMProcess, S5BlockProcess


def _rescale(value: np.ndarray, exponent: int, target: int) -> np.ndarray:
    return np.right_shift(value, exponent - target) if exponent >= target else np.left_shift(value, target - exponent)


def _sat(value: np.ndarray, bits: int) -> np.ndarray:
    return np.maximum(np.minimum(value, 2 ** (bits - 1) - 1), -(2 ** (bits - 1)))


def _product(weight: np.ndarray, value: np.ndarray) -> np.ndarray:
    return weight * value if weight.ndim == 1 else np.sum(weight * value, axis=1)


def _ssm_step(node, re: np.ndarray, im: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Advance `re`, `im` in place, return the output."""
    drive_exp = node.u_exp + node.b_exp
    drive_re = _sat(_rescale(_product(node.b_re, u), drive_exp, node.x_exp) + node.bias_x_re, node.state_bits)
    drive_im = _sat(_rescale(_product(node.b_im, u), drive_exp, node.x_exp) + node.bias_x_im, node.state_bits)
    old_re, old_im = re.astype(np.int64), im.astype(np.int64)
    re[:] = _sat((node.a_re * old_re >> node.a_exp) - (node.a_im * old_im >> node.a_exp) + drive_re, node.state_bits)
    im[:] = _sat((node.a_re * old_im >> node.a_exp) + (node.a_im * old_re >> node.a_exp) + drive_im, node.state_bits)
    read_re, read_im = re.astype(np.int64), im.astype(np.int64)
    if node.relu:
        read_re, read_im = np.where(re > 0, read_re, 0), np.where(re > 0, read_im, 0)
    twice = 2 * (_product(node.c_re, read_re) - _product(node.c_im, read_im))
    out = _rescale(twice, node.x_exp + node.c_exp, node.y_exp) + node.bias_y
    return _sat(out + _rescale(node.d * u, node.u_exp + node.d_exp, node.y_exp), node.message_bits)


def _affine_step(node, x: np.ndarray) -> np.ndarray:
    y = _sat(_rescale(_product(node.weight, x), node.x_exp + node.w_exp, node.y_exp) + node.bias, node.message_bits)
    return np.maximum(y, 0) if node.relu else y


def _sigmoid_step(table: np.ndarray, x: np.ndarray, exponent: int) -> np.ndarray:
    out = np.empty(x.shape, np.int64)
    for j, value in enumerate(x.tolist()):
        whole, rest = divmod(abs(value), 2**exponent)
        upper = int(table[9]) if whole >= 9 else None
        if upper is None:
            upper = int(table[whole]) + ((int(table[whole + 1]) - int(table[whole])) * rest >> exponent)
        out[j] = upper if value >= 0 else 2**14 - upper
    return out


class _Model(PyLoihiProcessModel):
    def __init__(self, proc_params) -> None:
        super().__init__(proc_params)
        self.node = proc_params["node"]


@implements(proc=DiagonalSSMProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDiagonalSSM(_Model):
    """Diagonal state space."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    re: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    im: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def run_spk(self) -> None:
        """Advance one step."""
        self.s_out.send(_ssm_step(self.node, self.re, self.im, self.a_in.recv().astype(np.int64)))


@implements(proc=AffineProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyAffine(_Model):
    """Dense layer."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def run_spk(self) -> None:
        """Advance one step."""
        self.s_out.send(_affine_step(self.node, self.a_in.recv().astype(np.int64)))


@implements(proc=S5BlockProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyS5Block(_Model):
    """Residual block."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    re: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    im: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    sigmoid: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=16)

    def run_spk(self) -> None:
        """Advance one step."""
        x, ssm, gate = self.a_in.recv().astype(np.int64), self.node.ssm, self.node.gate
        y = _ssm_step(ssm, self.re, self.im, x)
        if self.node.relu:
            z = np.maximum(y, 0)
        else:
            z = y * _sigmoid_step(self.sigmoid, np.floor_divide(109 * y, 64), ssm.y_exp) >> 14
        gated = z * _sigmoid_step(self.sigmoid, _affine_step(gate, z), gate.y_exp) >> 14
        out = _sat(x + _rescale(gated, ssm.y_exp, ssm.u_exp), ssm.message_bits)
        self.s_out.send(np.maximum(out, 0) if self.node.ends_in_relu else out)
