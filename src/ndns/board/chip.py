"""A network on its cores: one square a core, its colour the population, its strength the load."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ndns.board.charts import LOOKS, both
from ndns.board.svg import Canvas

GAP = 6.0


def populations(placement: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, int]]:
    """Return (name, cores, neurons) of each population, in the order of the placement."""
    names = dict.fromkeys(core["population"] for core in placement)
    return [
        (
            name,
            sum(core["population"] == name for core in placement),
            sum(core["neurons"][1] - core["neurons"][0] for core in placement if core["population"] == name),
        )
        for name in names
    ]


def swatch(look: int) -> Markup:
    """Return the square of a population for the legend."""
    box = 'viewBox="0 0 14 14" width="14" height="14" aria-hidden="true"'
    return Markup(
        f'<svg class="swatch" {box}><rect class="core s{look % LOOKS}" x="2" y="2" width="10" height="10"/></svg>'
    )


def picture(placement: Sequence[Mapping[str, Any]], grid: Mapping[str, int]) -> Markup:
    """Draw the chips of a placement in cost.json; `grid` has a chip's routers and cores."""
    looks = {name: look for look, (name, _, _) in enumerate(populations(placement))}
    chips = -(-len(placement) // grid["cores"])
    columns, side = grid["columns"] * chips, 1
    while side * side < grid["cores_per_router"]:
        side += 1

    def draw(width: float) -> Canvas:
        tile = min(64.0, (width - GAP * chips) / columns)
        gap = min(GAP, tile / 4)
        core = (tile - gap) / side
        edge = min(1.0, core / 8)
        canvas = Canvas(width, grid["rows"] * tile + GAP)
        for column in range(columns):
            for row in range(grid["rows"]):
                canvas.box(_left(column, tile, grid), row * tile, tile - gap, tile - gap, "router")
        for index, each in enumerate(placement):
            column, row = each["router"]
            slot = index % grid["cores"] % grid["cores_per_router"]
            x = _left(column, tile, grid) + core * (slot % side)
            first, end = each["neurons"]
            title = f"{each['population']}, neurons {first} to {end - 1}: {100 * each['load']:.0f} % of the slowest"
            kind = f"core s{looks[each['population']] % LOOKS}"
            y = row * tile + core * (slot // side)
            canvas.box(x + edge, y + edge, core - 2 * edge, core - 2 * edge, kind, title, 0.25 + 0.75 * each["load"])
        return canvas

    return both(draw)


def _left(column: int, tile: float, grid: Mapping[str, int]) -> float:
    """Chips stand side by side with a double gap between."""
    return column * tile + GAP * (column // grid["columns"])
