"""The report: what it says, that it is safe, self-contained and reproducible, and that its sound is the clips'."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from ndns.board import chip, compare, sections
from ndns.board.report import render
from ndns.config import Board

CRATE = "../ro-crate-metadata.json"
"""The one link out of the report, to the study's provenance beside it."""


class Tags(HTMLParser):
    """Collects start tags and checks that they are closed in order."""

    VOID = ("meta", "link", "img", "input", "br", "wbr", "path", "circle", "polygon", "polyline", "line")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen, self.open = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_html_is_well_formed_and_self_contained(evidence):
    html = render(evidence, Board())
    tags = Tags(html)
    assert tags.open == []
    for tag, attributes in tags.seen:
        for key in ("src", "href", "srcset", "data", "action"):
            if attributes.get(key) and attributes[key] != CRATE:
                assert attributes[key].startswith(("data:", "#")), (tag, attributes[key][:60])
        assert not any(name.startswith("on") for name in attributes)
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'" in html
    ids = [attributes["id"] for _, attributes in tags.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for tag, attributes in tags.seen if tag == "a"}
    assert links - {f"#{name}" for name in ids} == {CRATE}
    assert {"listen", "results", "power", "latency", "bands", "activity", "training", "meaning", "provenance"} <= set(
        ids
    )


def test_names_from_files_are_escaped(study, evidence):
    evil = '"><script>alert(1)</script>'
    evidence = replace(
        evidence,
        study=evil,
        systems=[replace(s, name=s.name if s.name == "noisy" else s.name + evil) for s in evidence.systems],
        clips=[replace(clip, name=clip.name + evil, noise_label=evil) for clip in evidence.clips],
    )
    runs = [replace(run, denoised={clip + evil: path for clip, path in run.denoised.items()}) for run in evidence.runs]
    runs = [replace(run, activity=replace(run.activity, clips=[c + evil for c in run.activity.clips])) for run in runs]
    evidence = replace(evidence, systems=[evidence.noisy, *runs])
    html = render(evidence, Board(team=evil))
    assert "alert(1)" in html
    assert evil not in html
    assert sum(tag == "script" for tag, _ in Tags(html).seen) == 1


def test_equal_inputs_give_equal_bytes_in_another_process(study):
    outputs = []
    for seed in ("1", "2"):
        folder = study.root / f"board{seed}"
        command = [sys.executable, "-c", "from ndns.board.cli import app; app()", "run", *study.options()]
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, "--out", str(folder)], check=True, env=environment)
        outputs.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert outputs[0] == outputs[1]
    assert set(outputs[0]) == {"report.html", "table.csv", "metricsboard_track_1_validation.yml"}


def test_a_changed_score_changes_the_report(evidence):
    noisy = evidence.noisy
    changed = replace(noisy, quality={**noisy.quality, "ovrl": noisy.quality["ovrl"] + 0.5})
    assert render(evidence, Board()) != render(replace(evidence, systems=[changed, *evidence.runs]), Board())


def shifted(evidence, shift):
    run = evidence.runs[0]
    moved = replace(run, quality={**run.quality, "si_snri_data": run.quality["si_snri_data"] * 0 + shift})
    return replace(evidence, systems=[evidence.noisy, moved])


def test_headline_tells_improvement_harm_and_doubt_apart(evidence):
    leader = sections.leader_of(evidence)
    assert leader.name == "sdnn-seed1"
    title, lead = sections.headline(evidence, leader)
    gain = leader.quality["si_snri_data"].mean()
    assert f"improves noisy speech by {gain:.1f}\u00a0dB for 14.5\u00a0million operations" in title
    assert "6 clips" in lead
    assert ("exceeds" in lead) == (gain > 3)
    worse = shifted(evidence, np.full(6, -1.25))
    title, lead = sections.headline(worse, worse.runs[0])
    assert "worsens noisy speech by 1.2\u00a0dB" in title
    assert "falls short of" in lead
    doubtful = shifted(evidence, np.array([-3, 3, -2, 2, -1, 1.5]))
    assert "not told apart from none" in sections.headline(doubtful, doubtful.runs[0])[0]


def test_only_mixtures_make_a_report_too(evidence):
    html = render(replace(evidence, systems=[evidence.noisy]), Board())
    assert "No network was run" in html
    assert "<audio" not in html
    assert Tags(html).open == []


def test_one_run_without_cost_activity_and_history(evidence):
    run = replace(evidence.runs[1], cost=None, activity=None, history=[])
    html = render(replace(evidence, systems=[run]), Board(players=1))
    assert html.count("<audio") == 3
    assert 'id="activity"' not in html
    assert 'id="training"' not in html


def test_bands_hold_each_clip_once(evidence):
    snr = [-5.0, -0.01, 0.0, 4.99, 5.0, 19.9]
    clips = [replace(clip, snr_db=value) for clip, value in zip(evidence.clips, snr, strict=True)]
    found = compare.groups(replace(evidence, clips=clips), "snr")
    assert [(band.name, band.clips) for band in found] == [
        ("−5 to 0", 2),
        ("0 to 5", 2),
        ("5 to 10", 1),
        ("15 to 20", 1),
    ]
    values = evidence.runs[1].quality["si_snri_data"]
    assert found[0].values[1][0] == "intel_sdnn"
    assert found[0].values[1][1].mean == pytest.approx(values[:2].mean())


def test_clips_with_one_side_silent_are_a_band_of_their_own_behind_the_others(evidence):
    """`active_snr_db` of the released generator's clips is infinite or NaN then; NaN must not mix up the bands."""
    snrs = [17.0, np.nan, 3.0, np.inf, -4.0, -np.inf]
    clips = [replace(clip, snr_db=snr) for clip, snr in zip(evidence.clips, snrs, strict=True)]
    found = compare.groups(replace(evidence, clips=clips), "snr")
    assert [(band.name, band.clips) for band in found] == [("−5 to 0", 1), ("0 to 5", 1), ("15 to 20", 1), ("±∞", 3)]
    values = evidence.runs[0].quality["si_snri_data"]
    assert found[-1].values[0][1].mean == pytest.approx(values[[1, 3, 5]].mean())


def test_levels_and_noises_have_groups_of_their_own(evidence):
    levels = [-35.0, -31.0, -30.0, -20.1, -20.0, -16.0]
    clips = [replace(clip, level_dbfs=value) for clip, value in zip(evidence.clips, levels, strict=True)]
    found = compare.groups(replace(evidence, clips=clips), "level")
    assert [(group.name, group.clips) for group in found] == [
        ("−35 to −30", 2),
        ("−30 to −25", 1),
        ("−25 to −20", 1),
        ("−20 to −15", 2),
    ]
    fan, rain = compare.groups(evidence, "noise")
    assert (fan.name, rain.name) == ("fan", "rain & <b>wind</b>")
    values = evidence.runs[0].quality["si_snri_data"]
    assert (fan.values[0][1].mean, rain.values[0][1].mean) == pytest.approx((values[::2].mean(), values[1::2].mean()))
    html = render(evidence, Board())
    assert html.count("rain &amp; &lt;b&gt;wind&lt;/b&gt;") >= 2


def test_differences_are_paired_and_tested(evidence):
    leader, other = evidence.runs
    better = other.quality["si_snri_data"] + np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    leader = replace(leader, quality={**leader.quality, "si_snri_data": better})
    ((name, cells),) = compare.against(replace(evidence, systems=[evidence.noisy, leader, other]), leader)
    assert name == "intel_sdnn"
    assert cells[0]["text"] == "−0.35"
    assert cells[0]["p"] == "p = 0.031", "two of the 64 sign patterns of six clips are as extreme"
    assert cells[2] == {"text": "–", "interval": "", "p": ""}, "no PESQ"
    assert compare.against(replace(evidence, systems=[evidence.noisy, leader]), leader) == []


def test_means_over_fewer_clips_say_so_beside_every_mean(evidence):
    leader, other = evidence.runs
    gone = other.quality["si_snri_data"].copy()
    gone[2] = np.nan  # fan at 5.4 dB: one of three clips of that noise, one of two in that band
    part = replace(other, quality={**other.quality, "si_snri_data": gone})
    shown = replace(evidence, systems=[evidence.noisy, leader, part])
    ((_, cells),) = compare.against(shown, leader)
    assert cells[0]["interval"].endswith(", n = 5")
    assert "n =" not in cells[1]["interval"]
    html = render(shown, Board())
    for condition, found in (("SNR of the mixture", ["n = 1"]), ("level of", ["n = 5"]), ("type of noise", ["n = 2"])):
        table = html.partition(f"<summary>By {condition}")[2].partition("</table>")[0]
        cells_of_run = table.partition("<tbody>")[2].partition("intel_<wbr>sdnn")[2].partition("</tr>")[0]
        assert re.findall("n = [0-9]+", cells_of_run) == found
    assert f"intel_sdnn, 5 to 10 dB: {gone[3]:.2f} dB (1 clip)" in html


def test_an_oracle_bounds_the_others_and_is_never_best(evidence):
    leader, other = evidence.runs
    oracle = replace(leader, name="ideal_mask", cost={**leader.cost, "oracle": True})
    oracle = replace(oracle, quality={key: values + 1 for key, values in leader.quality.items()})
    study = replace(evidence, systems=[evidence.noisy, oracle, leader, other])
    assert sections.leader_of(study).name == leader.name
    html = render(study, Board(players=0))
    assert "Bold is best, ideal_mask aside, which knows the clean speech." in html
    row = re.search(r'<th scope="row" data-sort="ideal_mask">.*?</tr>', html, re.DOTALL).group()
    assert "<b>" not in row
    assert "<b>" in re.search(r'<th scope="row" data-sort="sdnn-seed1">.*?</tr>', html, re.DOTALL).group()


def test_key_figures_are_those_that_a_system_has(evidence):
    leader = evidence.runs[0]
    bare = {"latency": {"total_ms": 41.0, "pipeline_ms": None}, "size_kb": 2048.0, "parameters": None}
    found = sections.key_figures(evidence, replace(leader, cost=bare))
    assert [(f["title"], f["value"], f["note"], f["met"]) for f in found[2:]] == [
        ("Latency", "41.0", "limit 40", False),
        ("Size", "2 048", "", None),
    ]
    assert [f["title"] for f in sections.key_figures(evidence, leader)][2:] == ["Power proxy", "Latency", "Size"]


def test_activity_is_events_over_neurons(evidence):
    run = evidence.runs[0]
    found = sections.activity(evidence, "val_00002")
    assert found["layers"] == ["input", "hidden1", "hidden2"]
    name, means = found["means"][0]
    assert name == "sdnn-seed1"
    assert means[1] == pytest.approx(100 * run.activity.events[1].mean() / 512)
    line = found["panels"][1].lines[0]
    rate = 100 * run.activity.of_clip("val_00002")[1] / 512
    assert len(line.points) == len(rate) == 190
    np.testing.assert_allclose([y for _, y in line.points], rate)
    assert line.points[0][0] == pytest.approx(0.004)
    thin = sections._thinned(np.arange(1000.0), 0.008)
    assert len(thin) == 200
    assert thin[3] == pytest.approx((17.5 * 0.008, 17.0))


def test_chip_figures_come_in_their_units_with_ranges(evidence):
    first, second = sections.chip(evidence)
    assert (first["name"], first["cores"], first["real_time"], second["real_time"]) == ("sdnn-seed1", 90, True, False)
    assert [cell["text"] for cell in first["cells"]] == ["8.0", "18.0", "3.00", "200.0"]
    assert first["cells"][0]["interval"] == "4.0 to 20.0"
    assert "constants &amp; ranges" in render(evidence, Board())
    bare = replace(evidence.runs[0], cost={k: v for k, v in evidence.runs[0].cost.items() if k != "loihi2"})
    assert sections.chip(replace(evidence, systems=[bare])) == []


def test_training_prefers_si_snr_and_falls_back_to_loss(evidence):
    panels, name = sections.training(evidence)
    assert name == "SI-SNR, dB"
    assert {(line.name, line.dashed, len(line.points)) for line in panels[0].lines} == {
        ("sdnn-seed1", True, 8),
        ("sdnn-seed1", False, 8),
    }
    bare = [{k: v for k, v in row.items() if "si_snr" not in k} for row in evidence.runs[0].history]
    panels, name = sections.training(replace(evidence, systems=[replace(evidence.runs[0], history=bare)]))
    assert name == "loss"
    assert panels[0].lines[1].points[0] == (1.0, pytest.approx(96.0))


def test_best_of_the_networks_is_bold_and_never_the_mixture(evidence):
    html = render(evidence, Board())
    quality = html.split('<caption class="hidden">Quality of each system')[1].split("</table>")[0]
    rows = {re.search(r'data-sort="([^"]*)"', row).group(1): row for row in quality.split("<tr")[2:]}
    assert rows["sdnn-seed1"].count("<b>") == 9
    assert rows["noisy"].count("<b>") == 0
    cost = html.split('<caption class="hidden">Cost of each system')[1].split("</table>")[0]
    assert "<b>11.50</b>" in cost


def test_an_undefined_score_of_a_version_is_a_dash(evidence):
    quality = {key: np.full_like(values, np.nan) for key, values in evidence.runs[1].quality.items()}
    systems = [*evidence.systems[:2], replace(evidence.systems[2], quality=quality)]
    html = render(replace(evidence, systems=systems), Board())
    scores = re.findall(r'<span class="score">([^<,]*)', html)
    assert set(scores[2::4]) == {"–"}
    assert scores[3] == "reference"
    assert "nan dB" not in html


def test_a_latency_of_nothing_is_a_figure(study):
    path = study.root / "cost/sdnn-seed1/cost.json"
    found = json.loads(path.read_text())
    found["latency"] |= {"total_ms": 0.0, "algorithmic_ms": 0.0}
    path.write_text(json.dumps(found))
    evidence = study.evidence()
    assert sections.against_latency(evidence, [])[1] == []
    assert "Latency" in [tile["title"] for tile in sections.key_figures(evidence, evidence.runs[0])]


@pytest.mark.parametrize("cores", [90, 300, 900])
def test_cores_of_many_chips_are_seen_on_a_narrow_page(cores):
    placement = [
        {"population": "p", "neurons": [i, i + 1], "load": 0.5, "router": [i // 16, i // 4 % 4]} for i in range(cores)
    ]
    drawn = str(chip.picture(placement, {"columns": 8, "rows": 4, "cores": 120, "cores_per_router": 4}))
    assert min(float(width) for width in re.findall(r'<rect[^>]* width="(-?[\d.]+)"', drawn)) > 1


def test_systems_without_a_figure_are_named_instead_of_drawn(study):
    path = study.root / "cost/intel_sdnn/cost.json"
    found = json.loads(path.read_text())
    found |= {"power_proxy_ops_s": None, "note": "hears <all>", "latency": found["latency"] | {"total_ms": None}}
    path.write_text(json.dumps(found))
    html = render(replace(study.evidence(), absent={"gtcrn": "the package onnx"}), Board())
    assert "Without a power proxy: intel_sdnn." in html
    assert "Without a latency (unknown, or the whole clip is heard first): intel_sdnn." in html
    assert "hears &lt;all&gt;" in html
    assert "left out: the package onnx is absent" in html
    assert html.count("<title>intel_sdnn: ") == 0


def test_each_core_is_drawn_once_and_says_what_it_holds(evidence):
    html = render(evidence, Board())
    wide = [part.split("</svg>")[0] for part in html.split('<svg class="wide"')[1:]]
    wide = [part for part in wide if 'class="core s' in part]
    assert [part.count('<rect class="core s') for part in wide] == [90, 91]
    assert wide[0].count('<rect class="router"') == 32
    assert "<title>hidden1, neurons 145 to 149: 100 % of the slowest</title>" in wide[0]
    assert "sdnn-seed1 on 90 of 120 cores" in html
    corners = re.findall(r'<rect class="core s\d" x="([\d.]+)" y="([\d.]+)"', wide[0])
    assert len(set(corners)) == 90
