"""A node and lava's process with the same parameters and the same input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ndns.loihi2.lava_process import Cell, drive, import_lava, run_live
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

    def ours(self) -> np.ndarray:
        """Return the node's output `(steps, shape_out)`."""
        return self.node.run(self.node.init(1), self.x)[0]

    def lavas(self, sent: dict[str, np.ndarray]) -> np.ndarray:
        """Return what lava sent as `(steps, shape_out)`."""
        return np.concatenate([sent[name] for name in self.outputs], axis=1).astype(np.int64)

    def driven(self) -> np.ndarray:
        """Step lava's ProcessModel here and return its output `(steps, shape_out)`."""
        import_lava()
        from lava.proc.lif.models import PyLifRefractoryModelFloat

        return self.lavas(drive(self.cell, PyLifRefractoryModelFloat if self.tag == "floating_pt" else None))


def live(pairs: Sequence[Pair]) -> list[np.ndarray]:
    """Run all pairs in lava, one run a tag, and return lava's output of each `(steps, shape_out)`."""
    results: dict[int, np.ndarray] = {}
    for tag in ("fixed_pt", "floating_pt"):
        chosen = [index for index, pair in enumerate(pairs) if pair.tag == tag]
        sent = run_live([pairs[index].cell for index in chosen], tag) if chosen else []
        results |= {index: pairs[index].lavas(ports) for index, ports in zip(chosen, sent, strict=True)}
    return [results[index] for index in range(len(pairs))]


def pair(node: Node, process, x: np.ndarray, ports: Sequence[str] = ("a_in",), **options) -> Pair:
    """Split the channels of `x` `(steps, shape_in)` evenly among the input `ports` of `process`."""
    return Pair(node, Cell(process, dict(zip(ports, np.split(x, len(ports), axis=1), strict=True))), x[None], **options)


def inputs(rng: Rng, steps: int, width: int, limit: int) -> np.ndarray:
    """Draw int32 `(steps, width)` within +-limit: scales from 1 to the limit, silence, runs, and the extremes."""
    scale = 2.0 ** rng.uniform(0, np.log2(limit), width)
    x = np.rint(rng.uniform(-1, 1, (steps, width)) * scale).astype(np.int64)
    x[rng.random((steps, width)) < rng.uniform(0, 0.9)] = 0
    x[:, rng.random(width) < 0.15] = rng.integers(1, 64)
    x[rng.random((steps, width)) < rng.choice([0, 0.02])] = rng.choice([-limit, limit])
    return np.clip(x, -limit, limit).astype(np.int32)
