"""Model cards: figures worked out by hand from the files of a small study, and what a card refuses."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ndns.cli import build
from ndns.errors import UserError
from ndns.files import read_csv, sha256_file, write_csv, write_json, write_text
from ndns.use import evidence, registry
from ndns.use.card import quantity

from .networks import S5

GAINS = {"net-seed1": (2.0, 4.0, -3.0), "net-seed2": (1.0, 1.0, 1.0), "other": (0.0, 0.0, 0.0)}
NOISY = (-2.0, 3.0, 12.0)
LABELS = ("rain", "rain", "wind")
CONFIG = """\
study: tiny
corpus: {kind: folder, name: small, root: recordings}
more:
  - {kind: folder, name: further, root: elsewhere}
models:
  net: {network: {kind: s5}, train: {epochs: 2, fresh: {}}}
"""


def manifest(path: Path, rows: list[tuple]) -> None:
    keys = ("path", "kind", "label", "split", "seconds", "licence", "status")
    write_csv(path, [dict(zip(keys, row, strict=True)) for row in rows], list(keys))


def scores(path: Path, gains: tuple[float, ...]) -> None:
    rows = [
        {"clip": f"val_{i}", "snr_db": snr, "level_dbfs": -20.0, "noise_label": label, "si_snr": snr + gain}
        | {"si_snri_data": gain, "ovrl": 2.5, "sig": 3, "bak": 3, "p808": 3, "pesq": 1.5, "estoi": 0.8}
        for i, (snr, label, gain) in enumerate(zip(NOISY, LABELS, gains, strict=True))
    ]
    write_csv(path, rows, list(rows[0]))


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """A study of two seeds and another system, in which the test works; `pure` is a reference model of seed 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "CHECKOUT", tmp_path / "elsewhere")
    write_text("config/tiny.yaml", CONFIG)
    manifest(
        Path("data/small/manifest.csv"),
        [
            ("a.flac", "speech", "ann", "train", 90, "CC-BY-4.0", "ok"),
            ("b.flac", "speech", "bob", "val", 30, "CC-BY-4.0", "ok"),
            ("c.flac", "noise", "hum", "train", 60, "CC0-1.0", "ok"),
            ("d.flac", "noise", "saw", "train", 60, "CC-BY-3.0", "ok"),
            ("e.flac", "noise", "saw", "train", 600, "CC-BY-3.0", "clipped"),
        ],
    )
    manifest(
        Path("data/small/more/further/manifest.csv"), [("f.flac", "speech", "cat", "train", 30, "Apache-2.0", "ok")]
    )
    for run, gains in {**GAINS, "noisy": (0.0,) * 3}.items():
        scores(Path(f"results/tiny/score/{run}/scores.csv"), gains)
    program = Path("results/tiny/quantize/net-seed1/program.net")
    program.parent.mkdir(parents=True)
    shutil.copy(S5, program)
    write_text("results/tiny/train/net-seed1/checkpoint.safetensors", "weights")
    history = [{"epoch": i, "val_si_snr": x, "settled": int(i > 1)} for i, x in ((1, 9.0), (2, 7.25), (3, 7.0))]
    write_csv("results/tiny/train/net-seed1/history.csv", history, list(history[0]))
    end = {"step_s": {"mean": 2e-6}, "real_time": {"power_w": 0.1}, "dynamic_step_j": 4e-9}
    cost = {"parameters": 1234, "parameters_nonzero": 567, "deployed_bytes": 2048, "step_s": 0.001}
    cost |= {"power_proxy_events_ops_s": 2.5e6, "power_proxy_ops_s": 5e6, "synops_per_step_events": 99.6}
    cost |= {"neuron_ops_per_step": 80, "latency": {"total_ms": 4.02}}
    cost["loihi2"] = {"scenarios": {"fitted": {"cores": 7, "low": end, "value": end, "high": end}}}
    write_json("results/tiny/cost/net-seed1/cost.json", cost)
    shutil.copy(S5, "pure.net")
    registry.add(Path(), "pure", Path("pure.net"), None, "Removes noise from tones.")
    return tmp_path


def write(*options: str) -> str:
    result = CliRunner().invoke(build(), ["models", "card", "pure", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Path(result.output.strip()).read_text(encoding="utf-8")


def test_systems_scored_on_other_mixtures_of_the_same_names_are_left_out(study):
    path = Path("results/tiny/score/other/scores.csv")
    assert "| other |" in write()
    path.write_text(path.read_text().replace(",-20.0,", ",-21.0,", 1))
    assert "| other |" not in write()


def test_figures_are_those_worked_out_by_hand(study):
    card = write()
    assert "# pure\n\nRemoves noise from tones.\n" in card
    assert "run `net-seed1` of the study `tiny`" in card
    assert "1,234 integers, of them 567 non-zero" in card
    assert "| latency | 4 ms: a frame |" in card
    assert f"SHA-256 `{sha256_file(S5)}`" in card
    assert f"`{sha256_file('results/tiny/train/net-seed1/checkpoint.safetensors')}`, not in the repository |" in card
    assert "| small: speech, train | 1 | 1 | 1.5 | CC-BY-4.0 (1) |" in card
    assert "| small: noise, train | 2 | 2 | 2.0 | CC-BY-3.0 (1), CC0-1.0 (1) |" in card
    assert "| further: speech, train | 1 | 1 | 0.5 | Apache-2.0 (1) |" in card
    assert "Trained on 2 minutes of speech and 2 minutes of noise" in card
    assert "3 epochs; the weights are those of epoch 2, whose SI-SNR on the validation mixtures was 7.25 dB" in card
    scored = next(line for line in card.splitlines() if line.startswith("| SI-SNR, dB | 4.33"))
    assert "| 5.33 [" in scored
    assert "| +1.00 [-3.00, +4.00] |" in scored
    assert "| SNR, dB: -5 to 0 | 1 | +2.00 |" in card
    assert "| noise: wind | 1 | -3.00 |" in card
    assert "| noise: rain | 2 | +3.00 [+2.00, +4.00] |" in card
    assert "| net-seed2 | 1.00 [1.00, 1.00] | 2.50 [2.50, 2.50] |" in card
    assert "| other | +1.00 [-3.00, +4.00] | +0.00 [+0.00, +0.00] |" in card
    assert "No sure gain in SI-SNR in these bands of SNR: 10 to 15 dB." in card
    assert "| 2.5 MOps/s |" in card
    assert "| fitted | 7 | 2 µs (2 µs to 2 µs) | 100 mW (100 mW to 100 mW) | 4 µW (4 µW to 4 µW) |" in card
    assert "`small`: licences above" in card
    assert "epochs: 2" in card


@pytest.mark.parametrize(
    ("models", "listed"),
    [
        ("net: {train: {fresh: {corpora: []}}}", False),
        ("net: {train: {fresh: {corpora: [further]}}}", True),
        ("net: {train: {fresh: {corpora: []}}, initial: before}\n  before: {train: {fresh: {}}}", True),
        ("net: {train: {epochs: 2}}", False),
    ],
)
def test_recordings_that_neither_the_network_nor_its_parent_heard_are_not_listed(study, models, listed):
    head = CONFIG[: CONFIG.index("  net:")]
    write_text("config/tiny.yaml", f"{head}  {models}\n")
    assert ("further: speech, train" in write()) == listed


def test_cleaned_speech_is_told_and_counted_once(study):
    before = re.search(r"Trained on \d+ minutes of speech", original := write())[0]
    assert " more_root=FOLDER\n" in original
    head = CONFIG.replace("more:", "more:\n  - {kind: cleaned, name: washed, by: gate}", 1)
    text = head.replace("models:", "models:\n  gate: {peer: gtcrn, weights: gtcrn.onnx}", 1)
    write_text("config/tiny.yaml", text)
    manifest(
        Path("data/small/more/washed/manifest.csv"), [("audio.tar/a.flac", "speech", "a", "train", 600, "MIT", "ok")]
    )
    card = write()
    assert "| washed: speech, train (small, cleaned by gate) | 1 | 1 | 10.0 | MIT (1) |" in card
    assert "- `washed`: speech of `small`, cleaned by `gate`.\n" in card
    assert before in card
    assert " more_root=FOLDER weights_root=FOLDER\n" in card, "what cleans has weights"
    write_text("config/tiny.yaml", text.replace("name: washed", "name: small"))
    assert "| small: speech, train | 1 |" in write(), "the study's own corpus, whatever a further one is called"


def test_authors_are_named_where_a_table_names_them(study):
    rows = [{"file": "d.flac", "attribution": "Saw by Dan"}, {"file": "z.flac", "attribution": "Not used"}]
    write_csv("authors.csv", rows, ["file", "attribution"])
    card = write("--attribution", "authors.csv", "--note", "Never heard a child.")
    assert "- Saw by Dan (CC-BY-3.0)" in card
    assert "Not used" not in card
    assert "- Never heard a child.\n" in card
    assert "ndns models card pure --attribution authors.csv --note 'Never heard a child.'" in card
    assert write("--attribution", "authors.csv", "--note", "Never heard a child.") == card


def test_settings_that_lie_elsewhere_are_named_where_they_lie(study):
    Path("own").mkdir()
    shutil.move("config/tiny.yaml", "own/tiny.yaml")
    card = write("--config", "own/tiny.yaml")
    assert "From [tiny.yaml](../../own/tiny.yaml);" in card
    assert "--configfile own/tiny.yaml --config corpus_root=FOLDER" in card


def test_the_recipe_goes_back_to_the_model_that_training_began_with(study):
    write_text(
        "config/tiny.yaml",
        CONFIG.replace("epochs: 2, fresh: {}}}", "epochs: 2, fresh: {}}, initial: first}")
        + "  first: {network: {kind: s5}, train: {epochs: 77}}\n"
        + "  aside: {network: {kind: s5}, train: {epochs: 88}}\n",
    )
    card = write()
    assert "initial: first" in card
    assert "epochs: 77" in card
    assert "epochs: 88" not in card


def test_what_a_checkpoint_from_elsewhere_heard_is_not_claimed(study):
    assert "`val` was never trained on." in write()
    begun = CONFIG.replace("epochs: 2, fresh: {}}}", "epochs: 2, fresh: {}}, initial: brought}")
    write_text("config/tiny.yaml", begun + "  brought: {weights: ./other/checkpoint.safetensors}\n")
    card = write()
    assert "never trained on" not in card
    assert "Training began with `./other/checkpoint.safetensors`" in card
    assert "  brought:\n    weights: ./other/checkpoint.safetensors" in card


def test_shared_speakers_one_seed_and_absent_mixtures_are_said(study):
    manifest(
        Path("data/small/manifest.csv"),
        [(f"{split}.flac", "speech", "ann", split, 60, "", "ok") for split in ("train", "val")],
    )
    shutil.rmtree("results/tiny/score/net-seed2")
    shutil.rmtree("results/tiny/score/noisy")
    card = write("--out", "a card.md")
    assert "1 speakers or noise types are in both splits" in card
    assert "not stated (1)" in card
    assert "One seed" in card
    assert "| metric | denoised |" in card


def test_other_clips_are_not_compared(study):
    path = Path("results/tiny/score/other/scores.csv")
    path.write_text(path.read_text().replace("val_2", "val_9"))
    assert "Beside other systems" not in write()


def test_what_no_study_knows_is_refused(study):
    Path("results/tiny/cost/net-seed1/cost.json").unlink()
    with pytest.raises(UserError, match=r"cost\.json: no such file; run the cost stage"):
        evidence.read("pure")
    Path("config/tiny.yaml").unlink()
    with pytest.raises(UserError, match=r"tiny\.yaml"):
        evidence.read("pure")
    shutil.rmtree("results")
    with pytest.raises(UserError, match=r"pure\.net: no run below results/ made this program"):
        evidence.read("pure")
    Path("pure.net").unlink()
    with pytest.raises(UserError, match="run `ndns restore`"):
        evidence.read("pure")


@pytest.mark.parametrize(
    ("value", "text"), [(999.6, "1000 W"), (0.5e-12, "0.5 pW"), (12_345, "12.3 kW"), (-0.02, "-20 mW")]
)
def test_quantities_have_three_digits(value, text):
    assert quantity(value, "W") == text


def test_a_band_without_any_score_is_no_sure_gain(study):
    """A clip whose clean speech is silent has no SI-SNR; here it is the only one of its band."""
    for path in Path("results/tiny/score").glob("*/scores.csv"):
        rows = read_csv(path)
        rows[0] |= {"si_snr": "", "si_snri_data": ""}
        write_csv(path, rows, list(rows[0]))
    card = write()
    assert "| SNR, dB: -5 to 0 | 0 | - |" in card
    assert "No sure gain in SI-SNR in these bands of SNR: -5 to 0 dB, 10 to 15 dB." in card
