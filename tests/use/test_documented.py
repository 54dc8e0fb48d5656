"""The figures of README.md and docs/models.md are those of the models' cards."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CARDS = sorted((REPOSITORY / "docs/models").glob("*.md"))
NAMES = [card.stem for card in CARDS]


def figures(name):
    """What a card says, as the tables of docs/models.md print it."""
    card = (REPOSITORY / "docs/models" / f"{name}.md").read_text(encoding="utf-8")

    def find(pattern):
        found = re.search(pattern, card, re.MULTILINE)
        assert found, f"{name}: {pattern}"
        return found[1]

    return {
        "gain": find(r"^\| SI-SNR, dB \|.*\| ([+-][\d.]+) \[[^|]*\|$"),
        "to_intel": find(r"^\| intel_sdnn \| ([^|]*\]) \|"),
        "ovrl": find(r"^\| DNSMOS OVRL \| [^|]*\| ([\d.]+) \["),
        "pesq": find(r"^\| PESQ \| [^|]*\| ([\d.]+) \["),
        "weights": find(r"of them ([\d,]+) non-zero").replace(",", " "),
        "counted": _tenths(find(r"power proxy, events counted \| ([\d.]+) MOps/s")),
        "formula": _tenths(find(r"formula [^|]*\| ([\d.]+) MOps/s")),
        "latency": find(r"^\| latency by the challenge's count \| ([\d.]+) ms"),
        "bands": re.findall(r"^\| SNR, dB: \S+ to \S+ \| \d+ \| \+([\d.]+) \[", card, re.MULTILINE),
    }


def rows_of(name):
    """Cells of each row of docs/models.md that begins with the model's name."""
    text = (REPOSITORY / "docs/models.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("**", "") for cell in row] for row in rows]
    return [row[1:] for row in cells if row[0] == f"`{name}`"]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_models_is_the_cards(name):
    card = figures(name)
    power = f"{card['counted']} ({card['formula']})"
    expected = [*(card[key] for key in ("gain", "to_intel", "ovrl", "pesq", "weights")), power, card["latency"]]
    assert [row for row in rows_of(name) if len(row) == len(expected) and "(" in row[5]] == [expected]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_by_snr_is_the_cards(name):
    bands = figures(name)["bands"]
    assert len(bands) == 5
    assert [row[:5] for row in rows_of(name) if row[-1].endswith("of 60")] == [bands]


def test_the_readme_is_the_cards():
    text = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    default, smallest = figures("s5-dense-medium"), figures("s5-sparse-small")
    assert f"`s5-dense-medium` ({_thousands(default)} weights in integers, {default['counted']} M-Ops/s)" in text
    assert f"that it never heard by {float(default['gain']):.1f} dB" in text
    told = f"({_thousands(smallest)} weights, {smallest['counted']} M-Ops/s), gains {float(smallest['gain']):.1f} dB"
    assert told in text


def _thousands(card):
    return f"{round(int(card['weights'].replace(' ', '')), -3):,}".replace(",", " ")


def _tenths(number):
    return f"{float(number):.1f}"
