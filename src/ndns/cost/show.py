"""Tables for the terminal."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ndns.cost.chip import Chip
from ndns.loihi2.cores import Placement
from ndns.loihi2.traffic import load, sends

GAINS = ("split_gain", "merge_gain", "limit_gain")


def placement_json(chip: Chip, placement: Placement) -> dict[str, object]:
    """Return a placement as plain data: cores with what fills them, messages between them, links.

    `messages_per_step` counts a message once for each core that it goes to; `busiest_link` counts those of a mean step.
    """
    shares, events = sends(chip.populations, chip.activity)
    loads = load(placement, shares)
    mean = np.array([events[population.name] for population in placement.populations])
    links = loads.links @ mean
    limits = placement.chip
    return {
        "chips": placement.chips,
        "cores": [
            {
                "population": core.population,
                "neurons": [core.start, core.stop],
                "synapse_bytes": core.synapse_bytes,
                "synapse_share": core.synapse_bytes / limits.synapse_bytes,
                "memory_share": (core.synapse_bytes + core.state_bytes) / limits.core_bytes,
                "axons_in": core.axons_in,
                "axons_out": core.axons_out,
                "encoding": list(core.encoding),
                "router": [core.column, core.row],
            }
            for core in placement.cores
        ],
        "messages_per_step": float((loads.sent @ mean).sum()),
        "hops_per_step": float((loads.hops @ mean).sum()),
        "busiest_link": float(links.max(initial=0)),
        "links_used": int(np.count_nonzero(links)),
    }


def cores_table(result: Mapping[str, Any]) -> None:
    """Print a placement, one line a population."""
    rows = []
    for name in dict.fromkeys(core["population"] for core in result["cores"]):
        own = [core for core in result["cores"] if core["population"] == name]
        rows.append(
            (
                name,
                str(len(own)),
                str(max(core["neurons"][1] - core["neurons"][0] for core in own)),
                f"{max(core['synapse_share'] for core in own):.0%}",
                f"{max(core['memory_share'] for core in own):.0%}",
                str(max(core["axons_in"] for core in own)),
                str(max(core["axons_out"] for core in own)),
                ", ".join(sorted({encoding for core in own for encoding in core["encoding"]})) or "-",
            )
        )
    title = (
        f"{len(result['cores'])} cores on {result['chips']} chip(s), {result['messages_per_step']:.0f} messages a step"
        f", {result['busiest_link']:.1f} on the busiest link"
    )
    columns = ("layer", "cores", "neurons", "synapses", "memory", "axons in", "axons out", "encoding")
    _print(title, columns, rows)


def explanation(result: Mapping[str, Any]) -> None:
    """Print who sets the pace."""
    rows = [
        (
            layer["name"],
            str(layer["cores"]),
            f"{layer['pace']:.1%}",
            layer["term"] or "-",
            f"{layer['busy']:.0%}",
            *("-" if layer[key] is None else f"{layer[key]:+.1%}" for key in GAINS),
        )
        for layer in result["layers"]
    ]
    pace = ", ".join(f"{name} {share:.0%}" for name, share in result["pace"].items())
    title = f"{result['scenario']}: {result['step_s'] * 1e6:.3g} us a step on {result['cores']} cores; pace: {pace}"
    _print(title, ("layer", "cores", "sets pace", "by", "busy", "one core more", "one less", "at most"), rows)
    slowest = result["slowest"]
    if slowest:
        first, last = slowest["neurons"]
        print(
            f"Core {slowest['index']} ({slowest['population']}, neurons {first} to {last - 1}) sets the pace in "
            f"{slowest['share']:.1%} of all steps."
        )


def published_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print published figures beside modelled ones."""
    lines = [
        (
            str(row["workload"]),
            str(row["quantity"]),
            "-" if row["published"] is None else f"{row['published']:.3g}",
            str(row["scenario"]),
            f"{row['low']:.3g}",
            f"{row['value']:.3g}",
            f"{row['high']:.3g}",
            "-" if row["ratio"] is None else f"{row['ratio']:.3g}",
            {True: "yes", False: "no", None: "-"}[row["inside"]],
        )
        for row in rows
    ]
    columns = ("workload", "quantity", "published", "scenario", "low", "value", "high", "value/published", "inside")
    _print("Published measurements of Loihi 2 and each scenario", columns, lines)


def _print(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(width=width).print(table)
