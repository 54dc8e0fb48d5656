"""Published measurements of Loihi 2 beside what each scenario gives for the same workload."""

from functools import cache
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ndns.config import Section, settings_from
from ndns.loihi2.scenarios import FOLDER, SPREADS, Scenario, Spread, Trust, limits, load, names
from ndns.loihi2.timing import Steps, steps_of
from ndns.loihi2.traffic import Counts

Quantity = Literal["step_s", "dynamic_step_j", "power_w", "inference_j", "jetson_token_s", "jetson_token_j"]
Pair = tuple[float, float]


class Figure(Section):
    """One published number; `factor` instead of `value` where only a ratio to another machine was published."""

    quantity: Quantity
    value: float | None = Field(None, gt=0)
    factor: float | None = Field(None, gt=0)
    source: str

    @model_validator(mode="after")
    def _one(self) -> "Figure":
        if (self.value is None) == (self.factor is None):
            raise ValueError("give either value or factor")
        return self


class Workload(Section):
    """What a published workload asks of the chip in a step, each as `(fullest core, all cores)`."""

    name: str
    title: str
    about: str
    trust: Trust
    cores: int = Field(ge=2)
    steps: int = Field(ge=1, description="steps an inference")
    period_s: float | None = Field(None, gt=0, description="time between steps, where something else sets it")
    updates: Pair
    synops: Pair = (0, 0)
    taken: Pair = (0, 0)
    spikes: Pair = (0, 0)
    sent: Pair = (0, 0)
    figures: list[Figure]

    def counts(self) -> Counts:
        """Return one step: the fullest core, and the others alike."""

        def spread(pair: Pair) -> np.ndarray:
            rest = (pair[1] - pair[0]) / (self.cores - 1)
            return np.array([pair[0]] + [rest] * (self.cores - 1))

        columns = [spread(pair)[:, None] for pair in (self.synops, (0, 0), self.taken, self.spikes, self.sent)]
        nothing = np.zeros(1)
        return Counts(spread(self.updates), *columns, np.zeros((1, 1)), nothing, nothing)


class Workloads(Section):
    """The file `_published.yaml`."""

    workloads: list[Workload]


@cache
def workloads() -> dict[str, Workload]:
    """Return the published workloads by name."""
    found = settings_from(str(FOLDER / "_published.yaml"), Workloads).workloads
    return {workload.name: workload for workload in found}


def modelled(workload: Workload, scenario: Scenario, spread: Spread) -> dict[str, float]:
    """Return the quantities of a workload under a scenario: `step_s`, `dynamic_step_j`, `power_w`,
    `inference_s`, `inference_j`.

    `high` takes the upper bound of the time, the others the lower. Static energy counts the longer of the step and the
    workload's period.
    """
    costs = scenario.at(spread)
    barrier_s = scenario.barrier.at(-(-workload.cores // limits().cores_per_router))
    steps: Steps = steps_of(workload.counts(), costs, barrier_s, scenario.barrier.rule, spread == "high")
    seconds, dynamic_j = float(steps.seconds[0]), float(steps.joules[0])
    period_s = max(seconds, workload.period_s or 0.0)
    total_j = costs["static_w"] * period_s + dynamic_j
    return {
        "step_s": seconds,
        "dynamic_step_j": dynamic_j,
        "power_w": total_j / period_s,
        "inference_s": seconds * workload.steps,
        "inference_j": total_j * workload.steps,
    }


def table(scenarios: list[str] | None = None) -> list[dict[str, object]]:
    """Return one row a published figure and scenario.

    Keys: `workload`, `quantity`, `published` (none where only a ratio was), `scenario`, `low`, `value`, `high`, `ratio`
    (value / published), `inside` (published within low and high), `source`, `trust`.
    """
    rows: list[dict[str, object]] = []
    for workload in workloads().values():
        for figure in workload.figures:
            for name in scenarios or names():
                spread = [_figure(figure, modelled(workload, load(name), end)) for end in SPREADS]
                low, high = min(spread), max(spread)
                known = figure.value is not None
                rows.append(
                    {
                        "workload": workload.name,
                        "quantity": figure.quantity,
                        "published": figure.value,
                        "scenario": name,
                        "low": low,
                        "value": spread[1],
                        "high": high,
                        "ratio": spread[1] / figure.value if known else None,
                        "inside": low <= figure.value <= high if known else None,
                        "source": figure.source,
                        "trust": workload.trust,
                    }
                )
    return rows


def _figure(figure: Figure, values: dict[str, float]) -> float:
    """Return the modelled counterpart of a published figure."""
    if figure.factor is None:
        return values[figure.quantity]
    return figure.factor * values["inference_s" if figure.quantity == "jetson_token_s" else "inference_j"]


def bounds() -> dict[str, float]:
    """Return the upper bounds that the published workloads set, the coefficients of `fitted.yaml`.

    All of PilotNet LIF's step and dynamic energy is charged to neuron updates, all of SHD-1024's step and energy to
    synaptic operations.
    """
    pilotnet, shd = workloads()["pilotnet_lif"], workloads()["shd_1024"]
    return {
        "neuron_update_s": _value(pilotnet, "step_s") / pilotnet.updates[0],
        "neuron_update_j": _value(pilotnet, "dynamic_step_j") / pilotnet.updates[1],
        "synop_s": _value(shd, "step_s") / shd.synops[0],
        "synop_j": _value(shd, "inference_j") / shd.steps / shd.synops[1],
    }


def _value(workload: Workload, quantity: Quantity) -> float:
    return next(figure.value for figure in workload.figures if figure.quantity == quantity and figure.value)
