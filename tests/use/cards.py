"""What the cards in docs/models say."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "docs/models"
QUALITY = {"ovrl": "DNSMOS OVRL", "bak": "DNSMOS BAK", "pesq": "PESQ", "estoi": "ESTOI"}
PATTERNS = {
    "gain": r"^\| SI-SNR, dB \|.*\| ([+-]\d+\.\d\d) \[[^|]*\|$",
    "to_intel": r"^\| intel_sdnn \| ([^|]*\]) \|",
    **{key: rf"^\| {label} \| [^|]*\| (\d\.\d+) \[[^|]*\|[^|]*\|$" for key, label in QUALITY.items()},
    "weights": r"of them ([\d,]+) non-zero",
    "counted": r"^\| power proxy, events counted \| ([\d.]+) MOps/s \|$",
    "formula": r"formula [^|]*\| ([\d.]+) MOps/s",
    "wait": r"^\| latency \| ([\d.]+) ms: a frame",
    "latency": r"^\| latency by the challenge's count \| ([\d.]+) ms",
}
SEED = r"^\| \w+-seed(\d+)( \(this one\))? \| ([\d.]+) \[[^|]*\| ([\d.]+) \[[^|]*\|$"


def figures(name: str, folder: Path = FOLDER) -> dict:
    """Figures of a model's card in a folder of cards as they are printed.

    `bands` are the gains by SNR, the lowest SNR first; `seeds` has gain, OVRL and whether it is this one for each seed
    of the recipe, and is empty for a recipe with one.
    """
    card = (folder / f"{name}.md").read_text(encoding="utf-8")
    found = {key: re.search(pattern, card, re.MULTILINE) for key, pattern in PATTERNS.items()}
    missing = [key for key, match in found.items() if not match]
    assert not missing, f"{name}: {missing}"
    bands = re.findall(r"^\| SNR, dB: \S+ to \S+ \| \d+ \| \+([\d.]+) \[", card, re.MULTILINE)
    runs = re.findall(SEED, card, re.MULTILINE)
    seeds = {seed: (f"+{gain}", ovrl, bool(this)) for seed, this, gain, ovrl in runs}
    return {key: match[1] for key, match in found.items()} | {"bands": bands, "seeds": seeds}
