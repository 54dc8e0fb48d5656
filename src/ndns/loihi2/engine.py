"""Executes integer programs on a CPU: whole clips, batches, or one frame at a time, always the same integers.

A clip is walked in chunks of `CHUNK` steps, so memory grows with the network and not with the clip. How a product is
computed (events, non-zero weights, or BLAS where float32 is exact) is chosen chunk by chunk in `nodes.synapse`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ndns.loihi2.nodes.base import LAVA, METERS, Mode, State, observe

if TYPE_CHECKING:
    from ndns.loihi2.program import Program

CHUNK = 128
"""Steps computed at once: enough to hide the cost of a call, few enough for the cache (bench/engine.py)."""


@dataclass(frozen=True)
class Activity:
    """What the layers that send messages did, for one clip.

    Attributes:
        layers: their names, in order.
        events_per_step: messages sent, int32 `(layer, step)`.
        synops_per_step: non-zero weights met by these messages, int64 `(layer, step)`.
        state_min: smallest value of the layer's main state, int64 `(layer,)`.
        state_max: largest value, int64 `(layer,)`.
        overflow: states and messages that did not fit their width, int64 `(layer,)`; those of nodes that send to no
            weights, as the output is, count with the next layer, or with the last one.
    """

    layers: tuple[str, ...]
    events_per_step: np.ndarray
    synops_per_step: np.ndarray
    state_min: np.ndarray
    state_max: np.ndarray
    overflow: np.ndarray


class Stream:
    """A running program: state between calls, any number of steps a call."""

    def __init__(self, program: "Program", batch: int = 1, mode: Mode = LAVA) -> None:
        self.program, self.batch, self.mode = program, batch, mode
        self._states: list[State] = [node.init(batch) for node in program.nodes]
        self._layers = program.layers

    def step(self, frame: np.ndarray) -> np.ndarray:
        """Run one step: integers `(bin,)` in, int32 `(bin,)` out.

        Raises:
            ValueError: the frame has another width, or the stream a batch other than 1.
        """
        return self.run(_as_int32(frame)[None, None, :])[0, 0]

    def run(self, x: np.ndarray, counts: list[tuple[np.ndarray, np.ndarray]] | None = None) -> np.ndarray:
        """Run int32 `(batch, step, bin)`, return int32 `(batch, step, bin)`.

        Args:
            x: input integers.
            counts: takes one `(events, synops)` pair a sending layer, each int64 `(batch, step)`, in order.

        Raises:
            ValueError: wrong batch or width.
        """
        if x.ndim != 3 or x.shape[0] != self.batch or x.shape[2] != self.program.shape_in:
            raise ValueError(f"expected ({self.batch}, steps, {self.program.shape_in}) integers, got {x.shape}")
        messages = np.ascontiguousarray(_as_int32(x))
        if counts is None:
            for node, state in zip(self.program.nodes, self._states, strict=True):
                messages = node.run(state, messages, self.mode)
            return messages
        seen: dict[tuple[int, str], np.ndarray] = {(-1, ""): messages}
        for index, (node, state) in enumerate(zip(self.program.nodes, self._states, strict=True)):
            messages, inner = observe(node, state, messages, self.mode)
            seen |= {(index, name): sent for name, sent in inner.items()} | {(index, ""): messages}
        for layer in self._layers:
            sent = seen[layer.node, layer.inner] != 0
            counts.append((np.count_nonzero(sent, axis=2), sent @ layer.synapse.fan_out))
        return messages

    def ranges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return `(low, high, overflow)` of the sending layers since the start, each int64 `(batch, layer)`.

        The overflow of other nodes is in that of a layer, as `Activity` says.
        """
        empty = np.zeros(self.batch, np.int64)
        states = [*self._states, {}]
        values = [[states[layer.node].get(layer.meter + key, empty) for layer in self._layers] for key in METERS]
        low, high, overflow = (np.array(rows, np.int64).reshape(-1, self.batch) for rows in values)
        after = [layer.node for layer in self._layers]
        sending = {layer.node for layer in self._layers if not layer.inner}
        for index, state in enumerate(self._states):
            if after and index not in sending and "overflow" in state:
                overflow[next((row for row, node in enumerate(after) if node > index), -1)] += state["overflow"]
        return low.T, high.T, overflow.T

    def state(self) -> State:
        """Return a copy of everything that the coming steps depend on, ready for `np.savez`."""
        names = self.program.names
        return {
            f"{name}/{key}": value.copy()
            for name, state in zip(names, self._states, strict=True)
            for key, value in state.items()
        }

    def restore(self, saved: State) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: the state belongs to another program or batch.
        """
        current = self.state()
        if saved.keys() != current.keys():
            raise ValueError("the saved state belongs to another program")
        for key, value in current.items():
            if saved[key].shape != value.shape or saved[key].dtype != value.dtype:
                raise ValueError(f"{key}: expected {value.dtype} {value.shape}, got {saved[key].shape}")
        for name, state in zip(self.program.names, self._states, strict=True):
            for key in state:
                state[key][...] = saved[f"{name}/{key}"]


def run(program: "Program", x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
    """Run a clip or a batch of clips from the initial state.

    Args:
        program: the network.
        x: integers `(bin, step)` or `(batch, bin, step)`.
        mode: numeric mode.

    Returns:
        int32 `(bin, step)` or `(batch, bin, step)`; output t is what lava gives at its time step t.

    Raises:
        ValueError: wrong width, or values that are not integers of 32 bits.
    """
    clips = _as_int32(x if x.ndim == 3 else x[None])
    stream = Stream(program, len(clips), mode)
    out = np.empty((len(clips), program.shape_out, clips.shape[2]), np.int32)
    for start in range(0, clips.shape[2], CHUNK):
        part = stream.run(clips[:, :, start : start + CHUNK].transpose(0, 2, 1))
        out[:, :, start : start + CHUNK] = part.transpose(0, 2, 1)
    return out if x.ndim == 3 else out[0]


def record(program: "Program", x: np.ndarray, mode: Mode = LAVA) -> tuple[np.ndarray, Activity]:
    """Run one clip `(bin, step)` as `run` does and also return what the layers did."""
    recorder = Recorder(program, mode)
    clip = _as_int32(x)
    out = np.empty((program.shape_out, clip.shape[1]), np.int32)
    for start in range(0, clip.shape[1], CHUNK):
        out[:, start : start + CHUNK] = recorder.run(clip[:, start : start + CHUNK])
    return out, recorder.activity()


class Recorder:
    """A stream of one clip that keeps count of events."""

    def __init__(self, program: "Program", mode: Mode = LAVA) -> None:
        self.stream = Stream(program, 1, mode)
        self._names = tuple(layer.name for layer in program.layers)
        self._events: list[np.ndarray] = []
        self._synops: list[np.ndarray] = []

    def run(self, x: np.ndarray) -> np.ndarray:
        """Run integers `(bin, step)`, return int32 `(bin, step)`."""
        counts: list[tuple[np.ndarray, np.ndarray]] = []
        out = self.stream.run(x.T[None], counts)[0].T
        shape = len(self._names), x.shape[1]
        self._events.append(np.array([events[0] for events, _ in counts], np.int64).reshape(shape))
        self._synops.append(np.array([synops[0] for _, synops in counts], np.int64).reshape(shape))
        return out

    def activity(self) -> Activity:
        """Return what was counted so far."""
        empty = np.zeros((len(self._names), 0), np.int64)
        low, high, overflow = self.stream.ranges()
        return Activity(
            self._names,
            np.concatenate([empty, *self._events], axis=1).astype(np.int32),
            np.concatenate([empty, *self._synops], axis=1).astype(np.int64),
            low[0],
            high[0],
            overflow[0],
        )


def _as_int32(x: np.ndarray) -> np.ndarray:
    if x.dtype == np.int32:
        return x
    if x.dtype.kind not in "iu" or (x.size and (x.min() < -(1 << 31) or x.max() >= 1 << 31)):
        raise ValueError(f"expected integers of 32 bits, got {x.dtype}")
    return x.astype(np.int32)
