"""The challenge's published entries, transcribed in published.csv with their source and known inconsistencies."""

from dataclasses import dataclass
from pathlib import Path

from ndns.files import read_csv

PATH = Path(__file__).with_name("published.csv")
CLAIMS = Path(__file__).with_name("claims.csv")
"""Published figures that fit no board: Track 2, sparse S5, EventProp, PilotNet; each with its source."""
TEST_SET = "test_1"
NUMBERS = (
    "si_snr",
    "si_snri",
    "ovrl",
    "power_proxy_mops_s",
    "pdp_proxy_mops",
    "latency_total_ms",
    "params_k",
    "size_kb",
)


@dataclass(frozen=True)
class Published:
    """One entry as its team submitted it; `numbers` holds None for a blank cell, `printed` the published digits."""

    name: str
    numbers: dict[str, float | None]
    printed: dict[str, str]
    note: str
    source: str


@dataclass(frozen=True)
class Claim:
    """A published figure of one system; `confirmed` says how far: abstract, second hand, or the authors' data."""

    system: str
    figure: str
    value: float
    unit: str
    compared_with: str
    conditions: str
    confirmed: str
    source: str


def claims() -> list[Claim]:
    """Return the figures of claims.csv."""
    rows = read_csv(CLAIMS, list(Claim.__dataclass_fields__))
    return [Claim(**{**row, "value": float(row["value"])}) for row in rows]


def published(board: str = TEST_SET) -> list[Published]:
    """Return the entries of one of the challenge's boards, `test_1` or `validation`."""
    return [
        Published(
            name=f"{row['team']} {row['model']}".strip(),
            numbers={key: float(row[key]) if row[key] else None for key in NUMBERS},
            printed={key: row[key] for key in NUMBERS},
            note=row["note"],
            source=row["source"],
        )
        for row in read_csv(PATH, ["set", "team", "model", "note", "source", *NUMBERS])
        if row["set"] == board
    ]
