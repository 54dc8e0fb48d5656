"""Model cards: what a network is, what it was trained on, what it does, costs and cannot, as Markdown.

Every figure comes from the files of the study that made the network; nothing is written by hand but the registry's
description and the notes given to `write`.
"""

import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from ndns.audio.io import RATE
from ndns.files import write_text
from ndns.history import kept_epoch
from ndns.loihi2.program import Program
from ndns.markdown import table
from ndns.metrics.stats import Mean, breakdown, by_condition, mean_interval, paired
from ndns.use.evidence import METRICS, NOISY, Evidence, lineage
from ndns.use.model import Model

TITLES = {
    "si_snr": "SI-SNR, dB",
    "ovrl": "DNSMOS OVRL",
    "sig": "DNSMOS SIG",
    "bak": "DNSMOS BAK",
    "p808": "DNSMOS P.808",
    "pesq": "PESQ",
    "estoi": "ESTOI",
}
PAPERS = {
    "s5": "S5: Smith, Warrington and Linderman 2023, arXiv 2208.04933; sparse S5 on Loihi 2: arXiv 2502.01330",
    "sdnn": "sigma-delta network of the Intel N-DNS challenge: arXiv 2303.09503",
}
SPLITS = ("train", "val")
PREFIXES = ((1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


def write(evidence: Evidence, program: Program, out: Path, notes: list[str], command: list[str]) -> None:
    """Write the card of a network.

    Args:
        evidence: what its study knows.
        program: the network.
        out: Markdown file.
        notes: sentences that join the limits.
        command: arguments with which the card is written again.
    """
    parts = [
        _head(evidence),
        _facts(evidence, program),
        _data(evidence),
        _recipe(evidence),
        _quality(evidence),
        _costs(evidence),
        _limits(evidence, notes),
        _attribution(evidence),
        f"*Written from the results of the study `{evidence.study}` by `{shlex.join(command)}`.*",
    ]
    write_text(out, "\n\n".join(parts) + "\n")


def interval(mean: Mean, digits: int = 2, signed: bool = False) -> str:
    """Return a mean with its interval.

    >>> interval(Mean(3, 1.0, 0.5, 1.5), 1, signed=True)
    '+1.0 [+0.5, +1.5]'
    """
    if mean.mean is None:
        return "-"
    show = f"{{:{'+' if signed else ''}.{digits}f}}".format
    return show(mean.mean) + ("" if mean.low is None else f" [{show(mean.low)}, {show(mean.high)}]")


def quantity(value: float, unit: str) -> str:
    """Return three digits with an SI prefix.

    >>> quantity(0.00215, "s"), quantity(0, "J")
    ('2.15 ms', '0 J')
    """
    factor, prefix = next((pair for pair in PREFIXES if abs(value) >= pair[0]), PREFIXES[-1] if value else (1, ""))
    return f"{float(f'{value / factor:.3g}'):g} {prefix}{unit}"


def _head(evidence: Evidence) -> str:
    use = f"    ndns denoise noisy.wav clean.wav --model {evidence.name}"
    return "\n\n".join([f"# {evidence.name}", *filter(None, [evidence.description]), use])


def _facts(evidence: Evidence, program: Program) -> str:
    cost, front = evidence.cost, program.front_end
    latency_ms = 1000 * Model(program).latency_seconds
    waits = f", and {program.mask_delay} more until its mask is there" if program.mask_delay else ""
    rows = [
        ("made by", f"run `{evidence.run}` of the study `{evidence.study}`"),
        ("weights", f"{cost['parameters']:,} integers, of them {cost['parameters_nonzero']:,} non-zero"),
        ("stored in", f"{cost['deployed_bytes'] / 1024:.1f} KiB; matrices with many zeros as values and indices"),
        ("hears", f"{RATE // 1000} kHz, one channel; frames of {front.n_fft}, hop {front.hop}, {front.window} window"),
        ("latency", f"{latency_ms:g} ms: a frame{waits}"),
        ("program", f"SHA-256 `{evidence.sha256}`"),
    ]
    if evidence.checkpoint_sha256:
        there = "" if evidence.checkpoint_kept else ", not in the repository"
        rows.append(("checkpoint", f"SHA-256 `{evidence.checkpoint_sha256}`{there}"))
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {text} |" for name, text in rows)


def _data(evidence: Evidence) -> str:
    rows, shared = [], []
    for corpus in evidence.corpora:
        labels = [{(row["kind"], row["label"]) for row in corpus.rows if row["split"] == split} for split in SPLITS]
        shared += labels[0] & labels[1]
        for kind in ("speech", "noise"):
            for split in SPLITS:
                own = [row for row in corpus.rows if (row["kind"], row["split"]) == (kind, split)]
                if not own:
                    continue
                minutes = sum(float(row["seconds"]) for row in own) / 60
                licences = breakdown(own, lambda row: row["licence"] or "not stated", lambda row: 1.0)
                said = ", ".join(f"{name} ({mean.clips})" for name, mean in sorted(licences.items()))
                groups = len({row["label"] for row in own})
                cleaned = f" ({corpus.made_from}, cleaned by {corpus.made_by})" * bool(corpus.made_from)
                rows.append(
                    (f"{corpus.name}: {kind}, {split}{cleaned}", str(len(own)), str(groups), f"{minutes:.1f}", said)
                )
    text = table(("corpus", "recordings", "labels (speakers, noise types)", "minutes", "licences (recordings)"), rows)
    before = [model for name, model in lineage(evidence.settings, evidence.model).items() if name != evidence.model]
    brought = [model["weights"] for model in before if "weights" in model]
    if shared:
        apart = f"{len(shared)} speakers or noise types are in both splits."
    else:
        heard = "not trained on here" if brought else "never trained on"
        apart = f"No speaker and no noise type is in both splits; `val` was {heard}."
    if brought:
        apart += f" Training began with `{brought[0]}`; what that had heard, `val` or not, the study does not know."
    return f"## Data\n\n{apart}\n\n{text}"


def _recipe(evidence: Evidence) -> str:
    settings = evidence.settings
    config = Path(os.path.relpath(evidence.config)).as_posix()
    chosen = {"mix": settings.get("mix", {}), "models": lineage(settings, evidence.model)}
    text = [
        "## Recipe",
        f"From [{evidence.config.name}](../../{config}); what it leaves out is the default of `src/ndns/config.py`.",
    ]
    text.append("```yaml\n" + yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True).rstrip() + "\n```")
    if evidence.history:
        best = kept_epoch(evidence.history)
        text.append(
            f"{len(evidence.history)} epochs; the weights are those of epoch {best['epoch']}, whose SI-SNR on the "
            f"validation mixtures was {float(best['val_si_snr']):.2f} dB before they became integers."
        )
    program = f"results/{evidence.study}/quantize/{evidence.run}/program.net"
    roots = {"corpus_root": settings.get("corpus", {}).get("kind") == "folder", "more_root": bool(settings.get("more"))}
    cleaners = [settings["models"][corpus.made_by] for corpus in evidence.corpora if corpus.made_by]
    roots["weights_root"] = any("weights" in cleaner for cleaner in cleaners)
    given = "".join(f" {root}=FOLDER" for root, needed in roots.items() if needed)
    folders = f" --config{given}" if given else ""
    text.append(f"    snakemake {program} --cores 2 --configfile {config}{folders}")
    return "\n\n".join(text)


def _quality(evidence: Evidence) -> str:
    own = list(evidence.scores[evidence.run].values())
    text = [
        "## Scores",
        f"{len(own)} validation mixtures; means with 95 % intervals over clips (bootstrap). Scored is the integer "
        "program, not the float network.",
    ]
    noisy = evidence.scores.get(NOISY)
    rows = []
    for metric in METRICS:
        digits = 3 if metric == "estoi" else 2
        this = _column(own, metric)
        if noisy is None:
            rows.append((TITLES[metric], interval(mean_interval(this), digits)))
            continue
        both = paired(_column((noisy[row["clip"]] for row in own), metric), this)
        gain = interval(both.difference, digits, signed=True)
        rows.append((TITLES[metric], interval(both.first, digits), interval(both.second, digits), gain))
    text.append(table(("metric", "denoised") if noisy is None else ("metric", "noisy", "denoised", "gain"), rows))
    text += _conditions(own) + _seeds(evidence) + _others(evidence)
    return "\n\n".join(text)


def _conditions(rows: list[dict]) -> list[str]:
    found = by_condition(rows, "si_snri_data")
    titles = {"snr_db": "SNR, dB", "level_dbfs": "level, dBFS", "noise_label": "noise"}
    lines = [
        (f"{titles[condition]}: {name}", str(mean.clips), interval(mean, signed=True))
        for condition, means in found.items()
        for name, mean in means.items()
    ]
    return ["By condition:", table(("condition", "clips", "SI-SNR gain, dB"), lines)]


def _seeds(evidence: Evidence) -> list[str]:
    if len(evidence.siblings) < 2:
        return []
    rows = []
    for run in evidence.siblings:
        own = list(evidence.scores[run].values())
        means = [interval(mean_interval(_column(own, metric))) for metric in ("si_snri_data", "ovrl")]
        rows.append((f"{run}{' (this one)' * (run == evidence.run)}", *means))
    return ["The same recipe from other seeds:", table(("run", "SI-SNR gain, dB", "DNSMOS OVRL"), rows)]


def _others(evidence: Evidence) -> list[str]:
    """Compare with every other system of the study, clip by clip."""
    own = evidence.scores[evidence.run]
    rows = []
    for name in [name for name in evidence.scores if name not in (NOISY, *evidence.siblings)]:
        other = evidence.scores[name]
        pairs = [
            paired(_column((other[clip] for clip in own), metric), _column(own.values(), metric))
            for metric in ("si_snr", "ovrl", "pesq")
        ]
        rows.append((name, *(interval(pair.difference, signed=True) for pair in pairs)))
    columns = ("this model minus", "SI-SNR, dB", "DNSMOS OVRL", "PESQ")
    return ["Beside other systems on the same clips:", table(columns, rows)] if rows else []


def _costs(evidence: Evidence) -> str:
    cost = evidence.cost
    rows = [
        ("power proxy, events counted", quantity(cost["power_proxy_events_ops_s"], "Ops/s")),
        (
            "power proxy, the challenge's formula (zeros of a matrix count)",
            quantity(cost["power_proxy_ops_s"], "Ops/s"),
        ),
        ("synaptic operations a frame, counted", f"{cost['synops_per_step_events']:,.0f}"),
        ("neuron updates a frame", f"{cost['neuron_ops_per_step']:,}"),
        ("latency by the challenge's count", f"{cost['latency']['total_ms']:.1f} ms"),
    ]
    text = ["## Cost", table(("figure", "value"), rows), *_scenarios(evidence)]
    return "\n\n".join(text)


def _scenarios(evidence: Evidence) -> list[str]:
    chip = evidence.cost.get("loihi2")
    if not chip:
        return []
    step_s = evidence.cost["step_s"]

    def spread(scenario: dict, value: Callable[[dict], float], unit: str) -> str:
        middle, low, high = (quantity(value(scenario[end]), unit) for end in ("value", "low", "high"))
        return f"{middle} ({low} to {high})"

    rows = [
        (
            name,
            str(scenario["cores"]),
            spread(scenario, lambda end: end["step_s"]["mean"], "s"),
            spread(scenario, lambda end: end["real_time"]["power_w"], "W"),
            spread(scenario, lambda end: end["dynamic_step_j"] / step_s, "W"),
        )
        for name, scenario in chip["scenarios"].items()
    ]
    columns = ("scenario", "cores", "time of a frame", "power in real time", "of it by operations")
    words = (
        "On Loihi 2, under scenarios whose constants have their sources in [the cost model](../cost.md): a middle "
        "value, and the range of the scenario. Nothing was measured on a chip. A frame comes every "
        f"{quantity(step_s, 's')}."
    )
    return [words, table(columns, rows)]


def _limits(evidence: Evidence, notes: list[str]) -> str:
    own = list(evidence.scores[evidence.run].values())
    originals = [corpus.rows for corpus in evidence.corpora if not corpus.made_from]
    train = [row for rows in originals for row in rows if row["split"] == "train"]
    minutes = {kind: sum(float(r["seconds"]) for r in train if r["kind"] == kind) / 60 for kind in ("speech", "noise")}
    bands = by_condition(own, "si_snri_data")["snr_db"]
    lows = {name: mean.mean if mean.low is None else mean.low for name, mean in bands.items()}
    weak = [f"{name} dB" for name, low in lows.items() if low is None or low <= 0]
    snr, level = ([row[key] for row in own] for key in ("snr_db", "level_dbfs"))
    lines = [
        f"Trained on {minutes['speech']:.0f} minutes of speech and {minutes['noise']:.0f} minutes of noise.",
        "One channel at 16 kHz: nothing above 8 kHz is kept, and channels are denoised apart from one another.",
        f"Scored between {min(snr):.0f} and {max(snr):.0f} dB SNR and {min(level):.0f} and {max(level):.0f} dBFS; "
        "nothing is known beyond.",
        f"No sure gain in SI-SNR in these bands of SNR: {', '.join(weak)}." if weak else "A gain in every band of SNR.",
        "The mixtures are this study's own: do not compare the scores with published boards.",
    ]
    if evidence.history:
        lines.append("The epoch was chosen on the mixtures that are scored here; expect a little less elsewhere.")
    if len(evidence.siblings) < 2:
        lines.append("One seed: how much luck is in these scores is not known.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in [*lines, *notes])


def _attribution(evidence: Evidence) -> str:
    network = evidence.settings["models"].get(evidence.model, {}).get("network", {})
    lines = ["- Weights: Apache-2.0, as this repository; they contain no recording."]
    if network.get("kind", "sdnn") in PAPERS and network:
        lines.append(f"- Network: {PAPERS[network.get('kind', 'sdnn')]}.")
    for corpus in evidence.corpora:
        said = corpus.attributions
        if corpus.made_from:
            lines.append(f"- `{corpus.name}`: speech of `{corpus.made_from}`, cleaned by `{corpus.made_by}`.")
        elif not said:
            lines.append(
                f"- `{corpus.name}`: licences above; single recordings are named in the corpus's own manifest."
            )
    text = "## Attribution\n\n" + "\n".join(lines)
    for corpus in evidence.corpora:
        if corpus.attributions:
            named = "\n".join(f"- {text} ({licence})" for licence, text in corpus.attributions)
            text += f"\n\n<details><summary>Recordings of {corpus.name}</summary>\n\n{named}\n\n</details>"
    return text


def _column(rows: Iterable[dict], metric: str) -> list[float | None]:
    return [row[metric] for row in rows]
