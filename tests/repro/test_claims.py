"""Every artifact has a claim, every line of the file says what it means."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from ndns.errors import UserError
from ndns.verify.claims import Claims, load_claims, schema

REPOSITORY = Path(__file__).resolve().parents[2]
CLAIMS = REPOSITORY / "config" / "claims.yaml"
RUNS = {"trained": ["sdnn-seed1"], "imported": ["intel_sdnn"], "peer": ["gtcrn"], "cleaned": ["washed"]}


def outputs():
    """Paths of all outputs that the rules name, for one run of each kind."""
    found = set()
    for file in (REPOSITORY / "rules").glob("*.smk"):
        for block in re.findall(r"^    output:\n(.*?)^    \w+:", file.read_text(), re.MULTILINE | re.DOTALL):
            for path in re.findall(r'f"(\{(?:RESULTS|CORPUS)\}[^"]*)"', block):
                path = path.replace("{RESULTS}", "results/smoke").replace("{CORPUS}", "data/synthetic")
                path = path.replace("{{more}}", "washed")
                for split in ("train", "val"):
                    for run in ("noisy", *(run for runs in RUNS.values() for run in runs)):
                        found.add(path.replace("{{split}}", split).replace("{{run}}", run))
    return sorted(found)


def test_every_output_of_the_rules_has_a_claim():
    claims, paths = load_claims(CLAIMS), outputs()
    assert len(paths) > 20
    assert "results/smoke/train/sdnn-seed1/checkpoint.safetensors" in paths
    for path in paths:
        if "/train/" not in path or "sdnn-seed1" in path or "/mix/" in path:
            assert claims.claim(path, RUNS).level


def test_levels_are_what_the_design_says():
    claims = load_claims(CLAIMS)
    expected = {
        "results/smoke/mix/plan.csv": ("bytes", "bytes"),
        "results/smoke/mix/val.csv": ("bytes", "bytes"),
        "data/synthetic/audio.tar": ("content", "content"),
        "data/synthetic/more/further/manifest.csv": ("bytes", "bytes"),
        "data/synthetic/more/washed/manifest.csv": ("schema", "bytes"),
        "data/synthetic/more/washed/audio.tar": ("tolerance", "content"),
        "results/smoke/train/sdnn-seed1/checkpoint.safetensors": ("band", "bytes"),
        "results/smoke/train/sdnn-seed1/history.csv": ("band", "bytes"),
        "results/smoke/quantize/sdnn-seed1/program.net": ("bytes", "bytes"),
        "results/smoke/deploy/sdnn-seed1/clips/val_00000.flac": ("content", "content"),
        "results/smoke/deploy/gtcrn/clips/val_00000.flac": ("tolerance", "content"),
        "results/smoke/deploy/gtcrn/manifest.csv": ("schema", "bytes"),
        "results/smoke/deploy/sdnn-seed1/manifest.csv": ("bytes", "bytes"),
        "results/smoke/score/noisy/scores.csv": ("tolerance", "bytes"),
        "results/smoke/cost/sdnn-seed1/cost.json": ("tolerance", "content"),
        "results/smoke/board/report.html": ("bytes", "bytes"),
    }
    found = {path: claims.claim(path, RUNS) for path in expected}
    assert {path: (claim.required(False), claim.required(True)) for path, claim in found.items()} == expected
    scores = found["results/smoke/score/noisy/scores.csv"]
    assert [scores.bound(name) for name in ("si_snr", "ovrl", "pesq", "clip")] == [0.01, 0.005, 0.005, "content"]
    weights = found["results/smoke/train/sdnn-seed1/checkpoint.safetensors"]
    assert [weights.bound(name) for name in ("metadata.ndns", "input.weight")] == ["content", "schema"]
    cost = found["results/smoke/cost/sdnn-seed1/cost.json"]
    assert cost.bound("loihi2.scenarios.fitted.high.pdp_ws") == "schema"
    assert cost.bound("synops_per_step") is None


def test_an_artifact_without_a_claim_is_an_error():
    with pytest.raises(UserError, match=r"results/smoke/new/x\.bin: no line of config/claims\.yaml covers"):
        load_claims(CLAIMS).claim("results/smoke/new/x.bin", RUNS)


def test_the_schema_in_the_repository_is_the_models():
    stored = REPOSITORY / "workflow" / "schemas" / "claims.schema.json"
    assert stored.read_text() == schema(), (
        "write it again: python -m ndns.verify.claims > workflow/schemas/claims.schema.json"
    )
    jsonschema.Draft202012Validator(json.loads(stored.read_text())).validate(yaml.safe_load(CLAIMS.read_text()))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{artifact: x, level: byte}", "claims.0.level"),
        ("{artifact: x, level: content}", "say why the level is not bytes"),
        ("{artifact: x, level: bytes, bounds: {a: 1.0}}", "level bytes has no bounds"),
        ("{artifact: x, level: tolerance, why: w}", "level tolerance needs bounds or relative"),
        ("{artifact: x, level: tolerance, why: w, bounds: {a: -1.0}}", "a bound is not negative"),
        ("{artifact: x, level: band, why: w}", "needs band"),
        ("{artifact: x, level: content, why: w, same_environment: schema}", "schema is weaker than level content"),
        ("{artifact: x, level: bytes, tolerence: 1}", "unknown key"),
        ("!!python/object/apply:os.system ['echo x']", "not valid YAML"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    (tmp_path / "claims.yaml").write_text(f"claims:\n  - {line}\n")
    with pytest.raises(UserError, match=message):
        load_claims(tmp_path / "claims.yaml")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a/*/x", "a/b/x", True),
        ("a/*/x", "a/b/c/x", False),
        ("a/**/x", "a/x", True),
        ("a/**/x", "a/b/c/x", True),
        ("a/**", "a/b/c", True),
        ("a/{peer}/x", "a/gtcrn/x", True),
        ("a/{peer}/x", "a/sdnn-seed1/x", False),
        ("a/{nobody}/x", "a//x", False),
        ("a.b", "aXb", False),
    ],
)
def test_patterns(pattern, path, matches):
    claims = Claims(claims=[{"artifact": pattern, "level": "bytes"}])
    if matches:
        assert claims.claim(path, RUNS).artifact == pattern
    else:
        with pytest.raises(UserError):
            claims.claim(path, RUNS)
