"""Write golden vectors: what lava's processes answered, live, so that most equality tests need no lava.

    python tests/loihi2/make_golden.py

One file a kind of program, `golden/<kind>.npz`: `nodes`, JSON of each program's node (class and fields), its input
`x` `(programs, steps, in)`, lava's output `sent` `(programs, steps, out)` and its states after the last step, by name.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from ndns.files import atomic_path
from ndns.loihi2.equality import PROGRAMS, live

FOLDER = Path(__file__).parent / "golden"
PROGRAMS_PER_KIND = 6
STEPS = 40


def described(node: object) -> dict:
    """Return a node's class and fields as JSON values, without those that are None."""
    values = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    return {"node": type(node).__name__} | {
        name: described(value) if dataclasses.is_dataclass(value) else np.asarray(value).tolist()
        for name, value in values.items()
        if value is not None
    }


def main() -> None:
    """Run lava once for all kinds and write the files."""
    pairs = {
        kind: [draw(np.random.default_rng([2024, number]), STEPS) for number in range(PROGRAMS_PER_KIND)]
        for kind, draw in PROGRAMS.items()
    }
    for kind, drawn in pairs.items():
        answers = live(drawn)
        y = {name: np.stack([answer[name] for answer in answers]).astype(np.int32) for name in answers[0]}
        x = np.concatenate([pair.x for pair in drawn])
        nodes = json.dumps([described(pair.node) for pair in drawn], separators=(",", ":"))
        with atomic_path(FOLDER / f"{kind}.npz") as temporary:
            np.savez_compressed(temporary, nodes=np.array(nodes.encode()), x=x, **y)


if __name__ == "__main__":
    main()
