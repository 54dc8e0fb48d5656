"""Recomputes what can be recomputed from tables of published results and lists contradictions with their arithmetic.

No rule knows an entry. Printed digits are intervals: half a unit of the last digit for a factor, a whole one for a
result, since some teams round and others cut. A table that agrees with itself gives no finding.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ndns.errors import UserError
from ndns.files import read_csv

MOS = ("ovrl", "sig", "bak")
MOS_SCALE = (1.0, 5.0)
DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)")
BITS = (1.0, 33.0)
"""Bits a parameter that a size can mean: one bit to float32 (kilobytes of 1000 or 1024 bytes)."""
SAME_MODEL = {
    "power_proxy_mops_s": ("M-Ops/s", 1.5),
    "latency_total_ms": ("ms", 1.05),
    "params_k": ("k parameters", 1.05),
    "size_kb": ("KB", 1.05),
}
"""Figures of one model that two tables give: unit, and the ratio up to which other clips explain a difference."""
FIGURES = ("si_snr", "si_snri", *MOS, "latency_total_ms", "power_proxy_mops_s", "pdp_proxy_mops", "params_k", "size_kb")


@dataclass(frozen=True)
class Figure:
    """A printed number and how far its last digit reaches."""

    value: float
    unit: float

    @classmethod
    def printed(cls, text: str) -> "Figure":
        """Read digits as printed.

        >>> Figure.printed("0.46")
        Figure(value=0.46, unit=0.01)

        Raises:
            ValueError: another spelling of a number, or none.
        """
        if not DECIMAL.fullmatch(text):
            raise ValueError(text)
        decimals = len(text.partition(".")[2])
        return cls(float(text), 10.0**-decimals)


@dataclass(frozen=True)
class Entry:
    """One row of a table; `figures` lacks what the row leaves blank."""

    table: str
    team: str
    model: str
    figures: dict[str, Figure]

    @property
    def name(self) -> str:
        """Team and model."""
        return f"{self.team} {self.model}".strip()


@dataclass(frozen=True)
class Finding:
    """A contradiction: which rule found it, in which table and entries, and the arithmetic that shows it."""

    rule: str
    table: str
    entries: str
    arithmetic: str


def read_entries(path: Path) -> list[Entry]:
    """Read a table with the columns of published.csv; a row named `noisy` without a team is the unprocessed mixture.

    Raises:
        UserError: no such file, a missing column, or a cell that is not a plain decimal number.
    """
    entries = []
    for line, row in enumerate(read_csv(path, ("set", "team", "model", *FIGURES)), start=2):
        figures = {}
        for key in FIGURES:
            if row[key]:
                try:
                    figures[key] = Figure.printed(row[key])
                except ValueError:
                    raise UserError(
                        f"{path}, line {line}: {key}: {row[key]!r} is not a plain decimal number."
                    ) from None
        entries.append(Entry(row["set"], row["team"], row["model"], figures))
    return entries


def audit(entries: Sequence[Entry]) -> list[Finding]:
    """Return all contradictions, rule by rule."""
    return [finding for rule in RULES for finding in rule(entries)]


def power_delay(entries: Sequence[Entry]) -> Iterator[Finding]:
    """PDP must be power proxy times total latency."""
    for entry in _with(entries, "power_proxy_mops_s", "latency_total_ms", "pdp_proxy_mops"):
        power, latency, pdp = (
            entry.figures[key] for key in ("power_proxy_mops_s", "latency_total_ms", "pdp_proxy_mops")
        )
        product = power.value * latency.value / 1000
        slack = (power.unit * latency.value + latency.unit * power.value) / 2000 + pdp.unit
        if abs(product - pdp.value) > slack * (1 + 1e-9):
            implied = f"; the printed product fits {1000 * pdp.value / power.value:.2f} ms" if power.value else ""
            yield Finding(
                "power x latency",
                entry.table,
                entry.name,
                f"{power.value:g} M-Ops/s x {latency.value:g} ms = {product:.2f} M-Ops, printed {pdp.value:g}{implied}",
            )


def mos_scale(entries: Sequence[Entry]) -> Iterator[Finding]:
    """A mean opinion score lies on its scale; what lies below may be an improvement over the noisy mixture."""
    low, high = MOS_SCALE
    for entry in entries:
        off = {
            key: entry.figures[key].value
            for key in MOS
            if key in entry.figures and not low <= entry.figures[key].value <= high
        }
        if not off:
            continue
        noisy = _noisy(entries, entry.table)
        sums = [
            f"{key} {noisy.figures[key].value:g} + {value:g} = {noisy.figures[key].value + value:.2f}"
            for key, value in off.items()
            if noisy and key in noisy.figures and value < low
        ]
        reading = f"; as improvements over noisy: {', '.join(sums)}" if sums else ""
        printed = ", ".join(f"{key} {value:g}" for key, value in off.items())
        yield Finding(
            "opinion scores off their scale", entry.table, entry.name, f"{printed} outside {low:g} to {high:g}{reading}"
        )


def repeated_improvement(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Two models of a team with different SI-SNR cannot improve the same mixtures by the same amount."""
    for group in _by_team(entries).values():
        for first, second in pairwise(group):
            if _pasted(first, second):
                snr = [entry.figures["si_snr"].value for entry in (first, second)]
                cell = first.figures["si_snri"].value
                yield Finding(
                    "improvement repeated",
                    first.table,
                    f"{first.name}; {second.name}",
                    f"SI-SNR {snr[0]:g} and {snr[1]:g} dB but both improve by {cell:g} dB; if {cell:g} dB is the noisy "
                    f"level, they improve by {snr[0] - cell:.2f} and {snr[1] - cell:.2f} dB",
                )


def noisy_level(entries: Sequence[Entry]) -> Iterator[Finding]:
    """SI-SNR minus its improvement is the level of the noisy mixtures: the same for all entries of a table."""
    doubtful = {
        entry
        for group in _by_team(entries).values()
        for first, second in pairwise(group)
        if _pasted(first, second)
        for entry in (first.name, second.name)
    }
    for table in _tables(entries):
        noisy = _noisy(entries, table)
        if noisy is None or "si_snr" not in noisy.figures:
            continue
        level = noisy.figures["si_snr"]
        groups: dict[float, list[Entry]] = defaultdict(list)
        for entry in _with(entries, "si_snr", "si_snri"):
            if entry.table != table or entry.name in doubtful:
                continue
            snr, gain = entry.figures["si_snr"], entry.figures["si_snri"]
            implied = snr.value - gain.value
            if abs(implied - level.value) > (snr.unit + gain.unit + level.unit) * (1 + 1e-9):
                close = next((key for key in groups if abs(key - implied) <= 0.02 + 1e-9), round(implied, 2))
                groups[close].append(entry)
        for implied, found in groups.items():
            first = found[0].figures
            yield Finding(
                "noisy level",
                table,
                "; ".join(entry.name for entry in found),
                f"{first['si_snr'].value:g} - {first['si_snri'].value:g} = {implied:.2f} dB, the table's noisy "
                f"mixtures have {level.value:g} dB: other clips were scored",
            )


def two_tables(entries: Sequence[Entry]) -> Iterator[Finding]:
    """One model in two tables has one size and one latency, and nearly one power proxy."""
    models: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.team:
            models[entry.team, entry.model].append(entry)
    for found in models.values():
        for index, first in enumerate(found):
            for second in found[index + 1 :]:
                yield from _disagreements(first, second)


def bits(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Size over parameters is a possible number of bits."""
    for entry in _with(entries, "params_k", "size_kb"):
        parameters, size = entry.figures["params_k"], entry.figures["size_kb"]
        each = 8 * size.value / parameters.value if parameters.value else 0.0
        if not BITS[0] <= each <= BITS[1]:
            yield Finding(
                "bits a parameter",
                entry.table,
                entry.name,
                f"8 x {size.value:g} KB / {parameters.value:g} k = {each:.2f} bits",
            )


RULES: tuple[Callable[[Sequence[Entry]], Iterable[Finding]], ...] = (
    power_delay,
    mos_scale,
    repeated_improvement,
    noisy_level,
    two_tables,
    bits,
)


def _disagreements(first: Entry, second: Entry) -> Iterator[Finding]:
    for key, (unit, limit) in SAME_MODEL.items():
        if key not in first.figures or key not in second.figures:
            continue
        small, large = sorted((first.figures[key], second.figures[key]), key=lambda figure: figure.value)
        if large.value - large.unit <= limit * (small.value + small.unit):
            continue
        ratio = large.value / small.value if small.value else float("inf")
        times = round(ratio) if ratio < 1e6 else 0
        counted = key == "power_proxy_mops_s" and 2 <= times <= 16 and abs(ratio / times - 1) < 0.05
        hint = f", nearly {times}: operations counted once there and {times} times here?" if counted else ""
        yield Finding(
            "one model, two tables",
            f"{first.table}; {second.table}",
            first.name,
            f"{first.figures[key].value:g} and {second.figures[key].value:g} {unit}: ratio {ratio:.2f}{hint}",
        )
    both = (first, second)
    told = all("power_proxy_mops_s" in entry.figures for entry in both) and not _agree(first, second)
    timed = all("pdp_proxy_mops" in entry.figures for entry in both) and all(
        "latency_total_ms" in entry.figures and entry.figures["latency_total_ms"].value > 0 for entry in both
    )
    if timed and not told:
        yield from _power_delay_of_two(first, second)


def _agree(first: Entry, second: Entry) -> bool:
    small, large = sorted(entry.figures["power_proxy_mops_s"].value for entry in (first, second))
    return large <= SAME_MODEL["power_proxy_mops_s"][1] * small


def _power_delay_of_two(first: Entry, second: Entry) -> Iterator[Finding]:
    """PDP over latency is the power proxy; in two tables it must be nearly one."""
    low, high = sorted(
        (first, second), key=lambda e: e.figures["pdp_proxy_mops"].value / e.figures["latency_total_ms"].value
    )
    pdp = [entry.figures["pdp_proxy_mops"] for entry in (low, high)]
    latency = [entry.figures["latency_total_ms"].value for entry in (low, high)]
    limit = SAME_MODEL["power_proxy_mops_s"][1]
    if (pdp[1].value - pdp[1].unit) / latency[1] > limit * (pdp[0].value + pdp[0].unit) / latency[0]:
        yield Finding(
            "one model, two tables",
            f"{first.table}; {second.table}",
            first.name,
            f"PDP {pdp[0].value:g} M-Ops / {latency[0]:g} ms = {1000 * pdp[0].value / latency[0]:.2f} M-Ops/s and "
            f"{pdp[1].value:g} / {latency[1]:g} = {1000 * pdp[1].value / latency[1]:.2f}",
        )


def _pasted(first: Entry, second: Entry) -> bool:
    snr = [entry.figures["si_snr"] for entry in (first, second)]
    gain = [entry.figures["si_snri"] for entry in (first, second)]
    return gain[0].value == gain[1].value and abs(snr[0].value - snr[1].value) > snr[0].unit + 2 * gain[0].unit


def _by_team(entries: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in _with(entries, "si_snr", "si_snri"):
        groups[entry.table, entry.team].append(entry)
    return groups


def _tables(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.table for entry in entries))


def _with(entries: Sequence[Entry], *keys: str) -> list[Entry]:
    return [entry for entry in entries if entry.team and all(key in entry.figures for key in keys)]


def _noisy(entries: Sequence[Entry], table: str) -> Entry | None:
    return next((entry for entry in entries if entry.table == table and entry.name == "noisy"), None)
