"""Rows of the Pareto board: means and bands over seeds, gains over the dense front at equal SI-SNR."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ndns.board.pareto_runs import FIGURES, SPREADS, Run

DENSE, PTQ = "dense", "_ptq"
"""Family that others are compared with, and what the names of networks trained without rounding end with."""
COLUMNS = [
    "model", "seeds", "si_snr_db", "si_snr_low_db", "si_snr_high_db", "si_snr_rounded_db", "si_snr_float_db", "gap_db",
    "gap_worst_db", "qat_gain_db", *FIGURES, "gain_macs", "gain_macs_low", "gain_macs_high", "gain_bytes", "remark",
]  # fmt: skip
CHIP_COLUMNS = [
    "scenario", "model", "cores", *(f"latency_{end}_us" for end in SPREADS), *(f"energy_{end}_uj" for end in SPREADS),
    "gain_latency", "gain_energy",
]  # fmt: skip


@dataclass(frozen=True)
class Model:
    """The runs of one model, a run a seed."""

    name: str
    runs: tuple[Run, ...]

    @property
    def family(self) -> str:
        """Name without its width: models of a family differ in the width only.

        >>> Model("dense_k025_ptq", ()).family
        'dense_ptq'
        """
        return "_".join(part for part in self.name.split("_") if not (part[:1] == "k" and part[1:].isdigit()))

    @property
    def width(self) -> float | None:
        """Width factor according to the name: the first digit is that of the units.

        >>> Model("dense_k0125_ptq", ()).width
        0.125
        """
        found = [part[1:] for part in self.name.split("_") if part[:1] == "k" and part[1:].isdigit()]
        return int(found[0]) / 10 ** (len(found[0]) - 1) if found else None

    def mean(self, of: Callable[[Run], float]) -> float:
        """Return the mean over seeds."""
        return float(np.mean([of(run) for run in self.runs]))

    @property
    def quality(self) -> float:
        """Mean SI-SNR of the integer networks, dB."""
        return self.mean(lambda run: run.integer)


def models_of(runs: Sequence[Run]) -> list[Model]:
    """Group runs by model, sorted by family and width."""
    found = [Model(name, tuple(run for run in runs if run.model == name)) for name in {run.model for run in runs}]
    return sorted(found, key=lambda model: (model.family, model.width or 0, model.name))


class Front:
    """Dense networks of which none is both costlier and no better than another; between two of them, equal quality.

    One that multiplies nothing (all its activations died) is no member: no cost has a ratio to its own.

    Args:
        models: of a study.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        dense = [model for model in models if model.family == DENSE and model.mean(macs)]
        self.models: list[Model] = []
        for model in sorted(dense, key=lambda model: model.mean(macs)):
            if not self.models or model.quality > self.models[-1].quality:
                self.models.append(model)

    def at(self, quality: float, of: Callable[[Run], float]) -> float | None:
        """Return a cost at an SI-SNR in dB: its logarithm is linear between neighbours; None outside of the front."""
        for below, above in pairwise(self.models):
            if below.quality <= quality <= above.quality:
                share = (quality - below.quality) / (above.quality - below.quality)
                low, high = math.log(below.mean(of)), math.log(above.mean(of))
                return math.exp(low + share * (high - low))
        return None

    def gain(self, model: Model, of: Callable[[Run], float], quality: float | None = None) -> float | None:
        """Return how many times less a network costs than the front at its SI-SNR (or at another, dB)."""
        own = model.mean(of) if compared(model) else 0.0
        dense = self.at(model.quality if quality is None else quality, of) if own else None
        return None if dense is None else dense / own

    def remark(self, model: Model) -> str:
        """Say where a network stands that has no gain because it lies outside of the front."""
        if not model.mean(macs):
            return "multiplies nothing: none of its activations is left"
        if not compared(model) or not self.models or self.at(model.quality, macs) is not None:
            return ""
        worst, best = self.models[0], self.models[-1]
        rival, word = (best, "better than all") if model.quality > best.quality else (worst, "worse than all")
        ratio = rival.mean(macs) / model.mean(macs)
        return f"{word} dense networks; {rival.name}: {rival.quality - model.quality:+.2f} dB at {ratio:.2f}x its MACs"


def compared(model: Model) -> bool:
    """Whether a network is compared with the dense front."""
    return model.family != DENSE and not model.family.endswith(PTQ)


def macs(run: Run) -> float:
    """Effective multiply-accumulates a frame."""
    return run.figures["effective_macs"]


def table(models: Sequence[Model]) -> list[dict[str, object]]:
    """Return one row a model with the keys `COLUMNS`.

    SI-SNR in dB: of the program (mean, lowest and highest seed), of the float network rounded as in training, of
    the float network. `gap`: float less integer, mean and worst seed. `qat_gain`: integer less integer of the same
    model and seeds trained without rounding. `gain`: the dense front's cost at equal SI-SNR over the model's; `low` and
    `high` at the SI-SNR of its lowest and highest seed.
    """
    front = Front(models)
    rows = []
    for model in models:
        quality = [run.integer for run in model.runs]
        gaps = [run.unrounded - run.integer for run in model.runs]
        row: dict[str, object] = {"model": model.name, "seeds": len(quality)}
        row |= {"si_snr_db": model.quality, "si_snr_low_db": min(quality), "si_snr_high_db": max(quality)}
        row |= {"si_snr_rounded_db": model.mean(lambda run: run.rounded)}
        row |= {"si_snr_float_db": model.mean(lambda run: run.unrounded)}
        row |= {"gap_db": float(np.mean(gaps)), "gap_worst_db": max(gaps), "qat_gain_db": _qat_gain(model, models)}
        row |= {column: model.mean(lambda run, column=column: run.figures[column]) for column in FIGURES}
        row |= {"gain_macs": front.gain(model, macs), "remark": front.remark(model)}
        row |= {"gain_macs_low": front.gain(model, macs, min(quality))}
        row |= {"gain_macs_high": front.gain(model, macs, max(quality))}
        row |= {"gain_bytes": front.gain(model, lambda run: run.figures["deployed_bytes"])}
        rows.append(row)
    return rows


def _qat_gain(model: Model, models: Sequence[Model]) -> float | None:
    other = next((rival for rival in models if rival.name == model.name + PTQ), None)
    without = {run.seed: run.integer for run in other.runs} if other else {}
    differences = [run.integer - without[run.seed] for run in model.runs if run.seed in without]
    return float(np.mean(differences)) if differences else None


def chip_table(models: Sequence[Model]) -> list[dict[str, object]]:
    """Return one row a scenario and model with the keys `CHIP_COLUMNS`; gains as in `table`, at middle constants."""
    front = Front(models)
    rows = []
    for scenario in models[0].runs[0].chips:

        def of(part: str, index: int, scenario: str = scenario) -> Callable[[Run], float]:
            return lambda run: getattr(run.chips[scenario], part)[index]

        for model in models:
            row: dict[str, object] = {"scenario": scenario, "model": model.name}
            row["cores"] = model.mean(lambda run, scenario=scenario: run.chips[scenario].cores)
            for part, unit in (("latency", "us"), ("energy", "uj")):
                for index, end in enumerate(SPREADS):
                    row[f"{part}_{end}_{unit}"] = model.mean(of(f"{part}_{unit}", index))
                row[f"gain_{part}"] = front.gain(model, of(f"{part}_{unit}", SPREADS.index("value")))
            rows.append(row)
    return rows
