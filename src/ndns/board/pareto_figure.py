"""Figure of the Pareto board: SI-SNR over effective MACs and over bytes, with the band over seeds."""

from collections.abc import Sequence

from markupsafe import escape

from ndns.board.charts import shape_of
from ndns.board.pareto_table import PTQ, Model
from ndns.board.svg import Canvas, Labels, Scale, label, padded, shape_at, ticks

WIDTH, HEIGHT, PANEL, LEFT, TOP, BOTTOM = 940, 430, 390, 58, 66, 372
LINE, MOST_VALUES = 18, 11
"""Height of a line of the legend, px; values that an axis has room for."""
COLOURS = ("#1f5fa8", "#c4571b", "#2f7d4f", "#7b4fa3", "#666666", "#a8324a")
STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.grid{stroke:#e4e4e4}.axis{stroke:#555}"
    ".line{fill:none;stroke-width:1.6}.band{stroke-width:5;stroke-opacity:.3;stroke-linecap:round}"
)
AXES = (("effective_macs", "effective MACs a frame"), ("deployed_bytes", "bytes deployed"))


def figure(models: Sequence[Model]) -> str:
    """Return stand-alone SVG with a panel each for effective MACs and for bytes.

    A filled mark is a model's mean over seeds, the band behind it reaches from the lowest to the highest seed, a line
    joins the widths of a family. Hollow marks were trained without rounding. All SI-SNRs are those of integer networks.
    A model that costs nothing has no place on the logarithmic axis.
    """
    families = list(dict.fromkeys(model.family.removesuffix(PTQ) for model in models))
    looks = {family: index for index, family in enumerate(families)}
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.text(LEFT - 40, 20, "SI-SNR of the integer networks, dB", "title")
    more = LINE * _legend(canvas, looks, any(model.family.endswith(PTQ) for model in models))
    canvas.parts.append(f'<g transform="translate(0 {more})">')
    for index, (column, name) in enumerate(AXES):
        _panel(canvas, models, looks, column, name, LEFT + index * (WIDTH // 2))
    canvas.parts.append("</g>")
    box = f'viewBox="0 0 {WIDTH} {HEIGHT + more}" width="{WIDTH}" height="{HEIGHT + more}"'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}><style>{STYLE}</style>{ground}'
    return "\n".join([head, *canvas.parts, "</svg>\n"])


def _legend(canvas: Canvas, looks: dict[str, int], hollow: bool) -> int:
    """Draw the legend, and return how many lines it takes beyond the first."""
    at, line = LEFT, 0
    note = "band: seeds" + ("; hollow: trained without rounding" if hollow else "")
    for text, look in (*looks.items(), (note, None)):
        wide = 11 + 7 * len(text)
        if at + wide > WIDTH and at > LEFT:
            at, line = LEFT, line + 1
        if look is not None:
            canvas.parts.append(_mark(at, 42 + LINE * line, look, filled=True))
        canvas.text(at if look is None else at + 11, 46 + LINE * line, text)
        at += wide + 29
    return line


def _panel(canvas: Canvas, models: Sequence[Model], looks: dict[str, int], column: str, name: str, left: float) -> None:
    y = Scale(*padded([run.integer for model in models for run in model.runs], share=0.09), BOTTOM, TOP)
    models = [model for model in models if model.mean(lambda run: run.figures[column])]
    costs = [run.figures[column] for model in models for run in model.runs if run.figures[column]] or [1.0]
    x = Scale(min(costs) / 1.35, max(costs) * 1.35, left, left + PANEL, log=True)
    for value in ticks(y.low, y.high, 6):
        canvas.line(left, y(value), left + PANEL, y(value), "grid")
        canvas.text(left - 7, y(value) + 4, label(value), anchor="end")
    for value in _round_values(x):
        canvas.line(x(value), TOP, x(value), BOTTOM, "grid")
        canvas.text(x(value), BOTTOM + 18, _short(value), anchor="middle")
    canvas.line(left, BOTTOM, left + PANEL, BOTTOM, "axis")
    canvas.line(left, TOP, left, BOTTOM, "axis")
    canvas.text(left + PANEL / 2, BOTTOM + 42, name, anchor="middle")
    spots = {model.name: (x(model.mean(lambda run: run.figures[column])), y(model.quality)) for model in models}
    labels = Labels(left + PANEL, BOTTOM)
    for family, look in looks.items():
        points = " ".join(f"{px:.1f},{py:.1f}" for m in models if m.family == family for px, py in [spots[m.name]])
        canvas.parts.append(f'<polyline class="line" stroke="{COLOURS[look % len(COLOURS)]}" points="{points}"/>')
    for model in models:
        px, py = spots[model.name]
        labels.block(px, py, 7)
        look = looks[model.family.removesuffix(PTQ)]
        ends = [y(run.integer) for run in model.runs]
        if max(ends) > min(ends):
            band = f'x1="{px:.1f}" x2="{px:.1f}" y1="{min(ends):.1f}" y2="{max(ends):.1f}"'
            canvas.parts.append(f'<line class="band" stroke="{COLOURS[look % len(COLOURS)]}" {band}/>')
            labels.taken.append((px - 4, min(ends), px + 4, max(ends)))
        title = f"{model.name}: {model.quality:.2f} dB, {_short(model.mean(lambda run: run.figures[column]))} {name}"
        mark = _mark(px, py, look, not model.family.endswith(PTQ))
        canvas.parts.append(f"<g><title>{escape(title)}</title>{mark}</g>")
    for model in models:
        text = model.name if model.width is None else f"k = {model.width:g}"
        spot = labels.place(*spots[model.name], text, 11, left)
        if spot:
            canvas.text(spot[0], spot[1], text, anchor=spot[2])


def _mark(x: float, y: float, look: int, filled: bool) -> str:
    colour = COLOURS[look % len(COLOURS)]
    paint = f'fill="{colour}"' if filled else f'fill="#fff" stroke="{colour}" stroke-width="1.8"'
    return f"<g {paint}>{shape_at(x, y, 5, shape_of(look))}</g>"


def _round_values(x: Scale) -> list[float]:
    """Values 1, 2 and 5 times a power of ten within a scale, less or more of them where it is long or short."""
    found = [n * 10.0**p for p in range(12) for n in (1, 2, 5) if x.low <= n * 10.0**p <= x.high]
    if len(found) > MOST_VALUES:
        return [10.0**p for p in range(12) if x.low <= 10.0**p <= x.high]
    return found if len(found) > 1 else ticks(x.low, x.high, 8)


def _short(value: float) -> str:
    """Return a count with k or M.

    >>> _short(1500), _short(50000), _short(2e6), _short(730)
    ('1.5k', '50k', '2M', '730')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
