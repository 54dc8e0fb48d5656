"""Scenarios of what Loihi 2 costs: no vendor figure exists for one operation, so results come with a scenario's name.

Each file `<name>.yaml` beside this module is one scenario; each constant in it has a value, where the literature gives
one a lower and an upper value, its source, and how far the source is trusted:

| trust | means |
|---|---|
| `read` | read in public code or in a public log of a measurement |
| `second-hand` | quoted by somebody else from the named source; not checked against it |
| `derived` | computed from other entries, as the source text says |
| `assumed` | a choice of this project |
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ndns.config import Section, settings_from
from ndns.errors import UserError

FOLDER = Path(__file__).resolve().parent
Trust = Literal["read", "second-hand", "derived", "assumed"]
Spread = Literal["low", "value", "high"]
SPREADS: tuple[Spread, ...] = ("low", "value", "high")
Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Constant(Section):
    """One number with its spread, source and trust; `low` and `high` default to `value`."""

    value: Positive
    low: Positive | None = None
    high: Positive | None = None
    source: str = Field(min_length=8)
    trust: Trust

    @model_validator(mode="after")
    def _ordered(self) -> "Constant":
        if not self.at("low") <= self.value <= self.at("high"):
            raise ValueError(f"low {self.low}, value {self.value}, high {self.high} are not in this order")
        return self

    def at(self, spread: Spread) -> float:
        """Return the number at one end of the spread or in its middle."""
        number = getattr(self, spread)
        return self.value if number is None else number


class Barrier(Section):
    """Seconds of one barrier synchronization against the number of tiles (routers) in use; linear between entries.

    `rule` says how it combines with the work of a step: `max` (they overlap, as in arXiv 2601.10035) or `add` (the
    barrier comes after the work, as SANA-FE has it).
    """

    tiles: list[int] = Field(min_length=1)
    seconds: list[Positive] = Field(min_length=1)
    rule: Literal["max", "add"]
    source: str = Field(min_length=8)
    trust: Trust

    @model_validator(mode="after")
    def _paired(self) -> "Barrier":
        if len(self.tiles) != len(self.seconds) or sorted(set(self.tiles)) != self.tiles:
            raise ValueError("tiles must rise and have one entry in seconds each")
        return self

    def at(self, tiles: int) -> float:
        """Return the seconds for a number of tiles."""
        return float(np.interp(tiles, self.tiles, self.seconds))


class Scenario(Section):
    """Constants of one scenario: seconds (`_s`), joules (`_j`), watts (`_w`).

    Attributes:
        neuron_update_s: one neuron's update in a step.
        synop_s: one non-zero weight met by a message.
        read_s: one word of synaptic memory read.
        message_in_s: one message taken in by a core.
        spike_s: one message made by a neuron.
        message_out_s: one message sent to one core.
        hop_x_s: one hop east or west. hop_y_s: north or south.
        message_link_s: one message on one link, the inverse of its bandwidth.
        barrier: one barrier synchronization on one chip.
        multichip_barrier_s: one barrier synchronization over several chips.
        static_w: static power a chip.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    about: str
    neuron_update_s: Constant
    synop_s: Constant
    read_s: Constant
    message_in_s: Constant
    spike_s: Constant
    message_out_s: Constant
    hop_x_s: Constant
    hop_y_s: Constant
    message_link_s: Constant
    barrier: Barrier
    multichip_barrier_s: Constant
    neuron_update_j: Constant
    synop_j: Constant
    read_j: Constant
    message_in_j: Constant
    spike_j: Constant
    message_out_j: Constant
    hop_x_j: Constant
    hop_y_j: Constant
    static_w: Constant

    @model_validator(mode="after")
    def _takes_time(self) -> "Scenario":
        if self.neuron_update_s.at("low") == 0 and 0 in self.barrier.seconds:
            raise ValueError("barrier.seconds: a step could take no time; raise these or neuron_update_s above 0")
        return self

    def at(self, spread: Spread) -> dict[str, float]:
        """Return all constants at one end of the spread, by name."""
        return {name: value.at(spread) for name, value in self if isinstance(value, Constant)}


@dataclass(frozen=True)
class Limits:
    """What one core and one chip hold; see `_limits.yaml` for sources.

    Attributes:
        neurons: a core. state_bytes: a neuron. synapse_bytes: a core. core_bytes: a core, all memory.
        axons_in: sources that a core listens to. axons_out: (neuron, target core) pairs of a core.
        cores: usable ones of a chip. columns, rows: routers of a chip. cores_per_router: neighbours on one router.
        word_bits: one word of synaptic memory. axon_header_bits: taken by each source's list before its weights.
        index_bits: least width of a target's index in a list of non-zero weights.
        delay_bits: in each synapse of a projection with delays. accumulator_bytes: one input slot of a neuron.
        state_variable_bytes: one state variable.
    """

    neurons: int
    state_bytes: int
    synapse_bytes: int
    core_bytes: int
    axons_in: int
    axons_out: int
    cores: int
    columns: int
    rows: int
    cores_per_router: int
    word_bits: int
    axon_header_bits: int
    index_bits: int
    delay_bits: int
    accumulator_bytes: int
    state_variable_bytes: int


@cache
def limits() -> Limits:
    """Return the limits of a Loihi 2 chip."""
    entries = settings_from(str(FOLDER / "_limits.yaml"), dict[str, Constant])
    return Limits(**{name: int(entry.value) for name, entry in entries.items()})


def names() -> list[str]:
    """Return the names of the scenarios that come with this package, sorted."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.yaml"))


@cache
def load(name: str) -> Scenario:
    """Return a scenario by its name, or from a file of the user's.

    Raises:
        UserError: no such scenario, or a constant is missing, unknown, negative or out of order.
    """
    path = FOLDER / f"{name}.yaml" if name in names() else Path(name)
    if path.suffix != ".yaml":
        raise UserError(f"no scenario {name!r}; use one of {', '.join(names())}, or a .yaml file.")
    return settings_from(str(path), Scenario)
