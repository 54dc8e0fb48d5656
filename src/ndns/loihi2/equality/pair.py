"""A node and lava's process with the same parameters and the same input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ndns.loihi2 import lava_shim
from ndns.loihi2.lava_process import Cell, Loop, drive, run_live
from ndns.loihi2.nodes.base import Node

Rng = np.random.Generator
SIZE = 6


@dataclass(frozen=True)
class Pair:
    """A node and its counterpart in lava.

    Attributes:
        node: ours.
        cell: lava's process with the same input.
        x: the input `(1, steps, shape_in)`.
        outputs: lava's output ports in the order of the node's channels.
        tag: lava's ProcessModel, `fixed_pt`, or `floating_pt` where the program is exact in floating point.
        drives: whether `lava_process.drive` can step it (no recurrence).
    """

    node: Node
    cell: Cell
    x: np.ndarray
    outputs: tuple[str, ...] = ("s_out",)
    tag: str = "fixed_pt"
    drives: bool = True

    def ours(self) -> dict[str, np.ndarray]:
        """Return the node's output `sent` `(steps, shape_out)` and the watched states after each step."""
        sent = self.node.run(self.node.init(1), self.x)[0]
        state, traces = self.node.init(1), {name: [] for name in self.cell.watch}
        for step in range(self.x.shape[1]):
            self.node.run(state, self.x[:, step : step + 1])
            for name, trace in traces.items():
                trace.append(state[name][0].copy())
        return {"sent": sent} | {name: np.stack(trace) for name, trace in traces.items()}

    def lavas(self, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return lava's answer with the names of `ours`."""
        sent = np.concatenate([found[name] for name in self.outputs], axis=1).astype(np.int64)
        return {"sent": sent} | {name: found[name] for name in self.cell.watch}

    def driven(self) -> dict[str, np.ndarray]:
        """Step lava's ProcessModel here and return its answer, watched states after each step."""
        lava_shim.apply()
        from lava.proc.lif.models import PyLifRefractoryModelFloat

        return self.lavas(drive(self.cell, PyLifRefractoryModelFloat if self.tag == "floating_pt" else None))


def live(pairs: Sequence[Pair]) -> list[dict[str, np.ndarray]]:
    """Run all pairs in lava, one run a tag, and return lava's answers, watched states after the last step."""
    results: dict[int, dict[str, np.ndarray]] = {}
    for tag in ("fixed_pt", "floating_pt"):
        chosen = [index for index, pair in enumerate(pairs) if pair.tag == tag]
        found = run_live([pairs[index].cell for index in chosen], tag) if chosen else []
        results |= {index: pairs[index].lavas(answer) for index, answer in zip(chosen, found, strict=True)}
    return [results[index] for index in range(len(pairs))]


def compare(ours: Mapping[str, np.ndarray], lavas: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Return how many integers were compared and how many differ; a state lava gave once is compared with the last."""
    values = mismatches = 0
    for name, theirs in lavas.items():
        mine = ours[name][-1] if np.ndim(theirs) < np.ndim(ours[name]) else ours[name]
        if np.shape(mine) != np.shape(theirs):
            raise ValueError(f"{name}: {np.shape(mine)} here, {np.shape(theirs)} in lava")
        values += np.size(theirs)
        mismatches += int(np.count_nonzero(mine != theirs))
    return values, mismatches


def pair(
    node: Node,
    process,
    x: np.ndarray,
    ports: Sequence[str] = ("a_in",),
    watch: Sequence[str] = (),
    loops: Sequence[Loop] = (),
    **options,
) -> Pair:
    """Split the channels of `x` `(steps, shape_in)` evenly among the input `ports` of `process`."""
    fed = dict(zip(ports, np.split(x, len(ports), axis=1), strict=True))
    return Pair(node, Cell(process, fed, loops, watch=watch), x[None], **options)


def inputs(rng: Rng, steps: int, width: int, limit: int) -> np.ndarray:
    """Draw int32 `(steps, width)` within +-limit: scales from 1 to the limit, silence, runs, and the extremes."""
    scale = 2.0 ** rng.uniform(0, np.log2(limit), width)
    x = np.rint(rng.uniform(-1, 1, (steps, width)) * scale).astype(np.int64)
    x[rng.random((steps, width)) < rng.uniform(0, 0.9)] = 0
    x[:, rng.random(width) < 0.15] = rng.integers(1, 64)
    x[rng.random((steps, width)) < rng.choice([0, 0.02])] = rng.choice([-limit, limit])
    return np.clip(x, -limit, limit).astype(np.int32)
