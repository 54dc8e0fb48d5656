"""The figures of README.md and docs/models.md are those of the models' cards."""

import pytest

from ndns.board.inputs import read_scores
from ndns.metrics.stats import mean_interval, paired

from .cards import FOLDER, REPOSITORY, figures

NAMES = sorted(card.stem for card in FOLDER.glob("*.md"))


def rows_of(name):
    """Cells of each row of docs/models.md that begins with the model's name."""
    text = (REPOSITORY / "docs/models.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("**", "") for cell in row] for row in rows]
    return [row[1:] for row in cells if row[0] in (f"`{name}`", name)]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_models_is_the_cards(name):
    card = figures(name)
    power = f"{_tenths(card['counted'])} ({_tenths(card['formula'])})"
    weights = card["weights"].replace(",", " ")
    more = float(card["wait"]) - float(card["latency"])
    latency = f"{card['latency']} + {more:g}" if more else card["latency"]
    expected = [*(card[key] for key in ("gain", "to_intel", "ovrl", "pesq")), weights, power, latency]
    assert [row for row in rows_of(name) if len(row) == len(expected) and "(" in row[5]] == [expected]


@pytest.mark.parametrize("name", [*NAMES, "Intel's SDNN", "GTCRN, float", "noisy"])
def test_the_table_of_models_follows_from_the_scores_of_each_clip(name):
    systems = {system.name: system.quality for system in read_scores(REPOSITORY / "reference/shipped").systems}
    known = {"Intel's SDNN": "intel_sdnn", "GTCRN, float": "gtcrn"}
    found, intel = systems[known.get(name, name.replace("-", "_"))], systems["intel_sdnn"]
    ovrl, pesq = (f"{mean_interval(found[metric]).mean:.2f}" for metric in ("ovrl", "pesq"))
    gain = mean_interval(found["si_snri_data"]).mean
    less = paired(intel["si_snri_data"], found["si_snri_data"]).difference
    above = "" if name in ("Intel's SDNN", "noisy") else f"{less.mean:+.2f} [{less.low:+.2f}, {less.high:+.2f}]"
    expected = [f"{gain:+.2f}" if gain else "0", above, ovrl, pesq]
    assert expected in [row[:4] for row in rows_of(name)]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_by_snr_is_the_cards(name):
    bands = figures(name)["bands"]
    assert len(bands) == 5
    assert [row[:5] for row in rows_of(name) if row[-1].endswith("of 60") and len(row) == 6] == [bands]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_seeds_is_the_cards(name):
    seeds = figures(name)["seeds"]
    rows = {row[0].split(",")[0]: row for row in rows_of(name) if row[-1].endswith("of 60") and len(row) > 6}
    assert {seed: (row[1], row[3], "shipped" in row[0]) for seed, row in rows.items()} == seeds


def test_the_readme_is_the_cards():
    text = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    default, smallest = figures("s5-dense-medium"), figures("s5-sparse-small")
    for told in (
        f"`s5-dense-medium` ({_thousands(default)} weights in integers, {_tenths(default['counted'])} M-Ops/s counted, "
        f"{_tenths(default['formula'])} by the challenge's formula)",
        f"that it never heard by {_tenths(default['gain'])} dB",
        f"({_thousands(smallest)} weights, {_tenths(smallest['counted'])} ({_tenths(smallest['formula'])}) M-Ops/s), "
        f"gains {_tenths(smallest['gain'])} dB",
    ):
        assert told in text


def _thousands(card):
    return f"{round(int(card['weights'].replace(',', '')), -3):,}".replace(",", " ")


def _tenths(number):
    return f"{float(number):.1f}"
