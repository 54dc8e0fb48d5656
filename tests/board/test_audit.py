"""The audit of published tables: it finds what is known from the data alone, and nothing in a consistent table."""

import csv

import pytest
from typer.testing import CliRunner

from ndns.board.audit import FIGURES, Entry, Figure, audit, read_entries
from ndns.board.cli import app
from ndns.board.published import PATH, claims
from ndns.errors import UserError

NOISY = {"si_snr": "7.37", "ovrl": "2.43", "sig": "3.16", "bak": "2.69"}
GOOD = {
    ("board", "a", "small"): ("12.26", "4.89", "2.70", "3.20", "3.45", "32.015", "14.52", "0.46", "525", "465"),
    ("board", "a", "large"): ("14.80", "7.43", "3.03", "3.33", "3.96", "32.03", "74.10", "2.37", "1289", "5156"),
    ("board", "b", "fast"): ("9.05", "1.69", "2.55", "3.22", "2.94", "8.02", "1.16", "0.01", "33", "77"),
    ("other", "a", "small"): ("12.50", "4.88", "2.71", "3.21", "3.46", "32.030", "14.54", "0.46", "525", "465"),
}


def table(**changes: str) -> list[Entry]:
    """The consistent table; `changes` are figures of a's small model."""
    entries = [Entry("board", "", "noisy", {key: Figure.printed(text) for key, text in NOISY.items()})]
    entries.append(Entry("other", "", "noisy", {"si_snr": Figure.printed("7.62")}))
    for index, (key, texts) in enumerate(GOOD.items()):
        row = dict(zip(FIGURES, texts, strict=True)) | (changes if index == 0 else {})
        entries.append(Entry(*key, {name: Figure.printed(text) for name, text in row.items()}))
    return entries


def test_consistent_table_has_no_contradiction():
    assert audit(table()) == []


@pytest.mark.parametrize(
    ("figure", "value", "rule", "said"),
    [
        ("pdp_proxy_mops", "0.12", "power x latency", "14.52 M-Ops/s x 32.015 ms = 0.46 M-Ops, printed 0.12"),
        ("ovrl", "0.27", "opinion scores off their scale", "2.43 + 0.27 = 2.70"),
        ("si_snri", "4.45", "noisy level", "12.26 - 4.45 = 7.81"),
        ("si_snri", "7.43", "improvement repeated", "improve by 7.43 dB"),
        ("power_proxy_mops_s", "43.7", "one model, two tables", "nearly 3: operations counted once"),
        ("latency_total_ms", "8.0", "one model, two tables", "ratio 4.00"),
        ("params_k", "252", "one model, two tables", "252 and 525 k parameters"),
        ("size_kb", "4650", "bits a parameter", "70.86 bits"),
    ],
)
def test_one_wrong_figure_is_found(figure, value, rule, said):
    findings = [finding for finding in audit(table(**{figure: value})) if finding.rule == rule]
    assert any(said in finding.arithmetic for finding in findings), findings
    assert all("a small" in finding.entries for finding in findings)


def test_last_digit_may_be_rounded_or_cut():
    """0.4649 M-Ops may be printed as 0.46 or 0.47, not as 0.48."""
    assert audit(table(pdp_proxy_mops="0.47")) == []
    assert audit(table(pdp_proxy_mops="0.48")) != []


@pytest.mark.parametrize(
    ("rule", "names", "said"),
    [
        ("power x latency", "XTeam CTDNN_LAVADL", "fits 7.98 ms"),
        ("power x latency", "XTeam XNN", "fits 8.04 ms"),
        ("power x latency", "Siliron ARG-ABS SDNN", "printed 0.09"),
        ("opinion scores off their scale", "Clairaudience Spiking-FullSubNet XL", "2.45 + 0.65 = 3.10"),
        ("improvement repeated", "SPANDEX SDNN 50 % sparse", "4.75 and 4.32 dB"),
        ("noisy level", "XTeam CTDNN_LARGE", "6.41 dB"),
        ("noisy level", "Clairaudience Spiking-FullSubNet XL", "6.89 dB"),
        ("noisy level", "NECOTIS PSNN", "7.38 dB"),
        ("one model, two tables", "NECOTIS SRNN-256", "18.57 and 0.2 M-Ops/s"),
        ("one model, two tables", "Siliron ARG-ABS SDNN", "PDP 0.01"),
        (
            "one model, two tables",
            "Clairaudience Spiking-FullSubNet XL",
            "55.91 and 108.34 M-Ops/s: ratio 1.94, nearly 2",
        ),
    ],
)
def test_known_contradictions_of_the_published_boards(rule, names, said):
    findings = audit(read_entries(PATH))
    assert any(f.rule == rule and names in f.entries and said in f.arithmetic for f in findings)


def test_baseline_and_other_consistent_entries_are_not_accused():
    accused = " ".join(finding.entries for finding in audit(read_entries(PATH)))
    for name in ("SDNN baseline", "NsNet2", "Phase 3", "Proprietary"):
        assert name not in accused


def test_notes_are_not_evidence(tmp_path):
    """The same findings without the columns that people wrote comments in."""
    rows = list(csv.DictReader(PATH.open(encoding="utf-8")))
    bare = tmp_path / "bare.csv"
    with bare.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, [*rows[0]])
        writer.writeheader()
        writer.writerows({**row, "note": "", "source": ""} for row in rows)
    assert audit(read_entries(bare)) == audit(read_entries(PATH))


def test_latency_of_nothing_is_a_contradiction_and_no_end():
    """Both tables have a PDP, so that power proxies are compared by PDP over latency where one is missing."""
    entries = table(latency_total_ms="0")
    del entries[-1].figures["power_proxy_mops_s"]
    said = [finding.arithmetic for finding in audit(entries) if finding.rule == "power x latency"]
    assert said == ["14.52 M-Ops/s x 0 ms = 0.00 M-Ops, printed 0.46; the printed product fits 31.68 ms"]


@pytest.mark.parametrize("cell", ["nan", "inf", "1e3", "1_000"])
def test_only_plain_decimals_have_a_last_digit(tmp_path, cell):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(PATH.read_text(encoding="utf-8").replace("55.91", cell, 1), encoding="utf-8")
    with pytest.raises(UserError, match=f"line 2: power_proxy_mops_s: '{cell}' is not a plain decimal"):
        read_entries(wrong)


def test_command_writes_findings_and_refuses_words(tmp_path):
    out = tmp_path / "findings.csv"
    assert CliRunner().invoke(app, ["audit", "--out", str(out)]).exit_code == 0
    assert len(list(csv.DictReader(out.open(encoding="utf-8")))) == len(audit(read_entries(PATH)))
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(PATH.read_text(encoding="utf-8").replace("55.91", "much", 1), encoding="utf-8")
    with pytest.raises(UserError, match="line 2: power_proxy_mops_s: 'much'"):
        read_entries(wrong)


def test_names_in_brackets_are_text(tmp_path):
    """Rich takes `[bold]` for markup and fails on `[/x]`."""
    wrong = tmp_path / "wrong.csv"
    header = PATH.read_text(encoding="utf-8").partition("\n")[0]
    wrong.write_text(f"{header}\ntest_1,lab [/x],net [bold],,,,,,,32,10,9,,,,\n", encoding="utf-8")
    printed = CliRunner().invoke(app, ["audit", "--table", str(wrong)], env={"COLUMNS": "160"})
    assert printed.exit_code == 0
    assert "lab [/x] net [bold]" in printed.output


def test_claims_have_sources_and_the_ratios_agree_with_their_counts():
    found = claims()
    assert all(claim.source and claim.confirmed for claim in found)
    assert {"Sparse S5 on Loihi 2", "PilotNet SDNN"} <= {claim.system for claim in found}
    messages, synops = (claim.value for claim in found if claim.system == "PilotNet SDNN")
    assert 43117 / messages == pytest.approx(11.55, abs=0.005)
    assert 7.31 / synops == pytest.approx(12.18, abs=0.01)
