"""Draws a chip with its load."""

from pathlib import Path

import numpy as np

from ndns.errors import UserError
from ndns.files import atomic_path
from ndns.loihi2.cores_placement import Placement


def picture(placement: Placement, path: str | Path, load: np.ndarray | None = None, label: str = "load") -> None:
    """Draw the chips: one square a core, coloured by load, named by population.

    Args:
        placement: what to draw.
        path: .svg or .png.
        load: of each core, from 0 to 1, `(core,)`; none shows how full its synaptic memory is.
        label: what the colour means.

    Raises:
        UserError: another kind of file.
    """
    path = Path(path)
    if path.suffix not in (".svg", ".png"):
        raise UserError(f"{path}: a picture is written as .svg or .png.")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chip = placement.chip
    if load is None:
        load = np.array([core.synapse_bytes / chip.synapse_bytes for core in placement.cores])
        label = "synaptic memory in use"
    side = int(np.ceil(np.sqrt(chip.cores_per_router)))
    columns = chip.columns * placement.chips
    settings = {"svg.hashsalt": "ndns", "font.size": 6}
    with matplotlib.rc_context(settings):
        figure, axes = pyplot.subplots(figsize=(0.5 + 1.4 * columns, 0.9 + 1.4 * chip.rows))
        for column in range(columns):
            for row in range(chip.rows):
                axes.add_patch(pyplot.Rectangle((column, row), 0.94, 0.94, facecolor="0.95", edgecolor="0.7"))
        colours = matplotlib.colormaps["viridis"]
        for index, core in enumerate(placement.cores):
            slot = index % chip.cores % chip.cores_per_router
            x = core.column + 0.04 + 0.88 / side * (slot % side)
            y = core.row + 0.04 + 0.88 / side * (slot // side)
            value = float(load[index])
            axes.add_patch(
                pyplot.Rectangle((x, y), 0.84 / side, 0.84 / side, facecolor=colours(value), edgecolor="black")
            )
            text = f"{core.population}\n{core.start}:{core.stop}"
            ink = "white" if value < 0.6 else "black"
            axes.text(x + 0.42 / side, y + 0.42 / side, text, ha="center", va="center", color=ink, size=4.5)
        axes.set_xlim(-0.05, columns + 0.05)
        axes.set_ylim(chip.rows + 0.05, -0.05)
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_title(f"{len(placement.cores)} cores on {placement.chips} chip(s) of {chip.cores}")
        shades = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), colours)
        figure.colorbar(shades, ax=axes, label=label, shrink=0.6)
        with atomic_path(path) as temporary:
            kind = path.suffix[1:]
            metadata = {"Date": None} if kind == "svg" else None
            figure.savefig(temporary, format=kind, dpi=200, bbox_inches="tight", metadata=metadata)
        pyplot.close(figure)
