"""The crate of a study that ran: it says what the job records and the files say, and other programs read it."""

import hashlib
import json
import os
import platform
import shutil
import subprocess

import pytest

from ndns.record.jobs import place

pytestmark = pytest.mark.workflow
TINY = "--study", "tiny.yaml"
CRATE = "results/tiny/ro-crate-metadata.json"
RULES = {"corpus", "mix_plan", "mix_render", "mix_gather", "train", "quantize", "deploy", "score", "cost", "board"}


@pytest.fixture(scope="module")
def written(complete, tmp_path_factory):
    """A checkout with the crate of its finished study."""
    checkout = complete.copy(tmp_path_factory.mktemp("crate") / "checkout")
    result = checkout.ndns("crate", *TINY)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == CRATE
    return checkout


@pytest.fixture
def graph(written):
    entities = json.loads((written.folder / CRATE).read_text())["@graph"]
    assert len({entity["@id"] for entity in entities}) == len(entities)
    return {entity["@id"]: entity for entity in entities}


def actions(graph):
    """Entities of jobs; the study itself is an action too."""
    return [e for e in graph.values() if e["@type"] == "CreateAction" and e["@id"] != "#run"]


def test_every_reference_is_in_the_crate(graph):
    def references(value):
        if isinstance(value, list):
            return [name for item in value for name in references(item)]
        return [value["@id"]] if isinstance(value, dict) else []

    held = {
        name for e in graph.values() for key, value in e.items() if key != "conformsTo" for name in references(value)
    }
    assert held <= graph.keys()
    assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}


@pytest.mark.parametrize(
    ("made", "gone"),
    [
        ("results/tiny/score/noisy/scores.csv", "results/tiny/score/removed/scores.csv"),
        ("results/tiny/mix/train/0000.tar", "results/tiny/mix/train/0001.tar"),
    ],
)
def test_runs_and_shards_that_the_study_no_longer_has_are_not_in_it(complete, written, tmp_path, made, gone):
    """Snakemake keeps the records of jobs whose results were removed, as `ndns board remove` does."""
    checkout = complete.copy(tmp_path / "checkout")
    place(checkout.folder, gone).write_bytes(place(checkout.folder, made).read_bytes())
    result = checkout.ndns("crate", *TINY)
    assert result.returncode == 0, result.stderr
    held = [json.loads((folder / CRATE).read_text())["@graph"] for folder in (written.folder, checkout.folder)]
    assert {entity["@id"] for entity in held[0]} == {entity["@id"] for entity in held[1]}


def test_files_have_the_hashes_that_sha256_gives(written, graph):
    files = [e for e in graph.values() if "File" in e["@type"]]
    assert len(files) >= 14
    for entity in files:
        data = (written.folder / entity["name"]).read_bytes()
        assert entity["sha256"] == hashlib.sha256(data).hexdigest(), entity["name"]
        assert entity["contentSize"] == str(len(data))
        inside = entity["name"].startswith("results/tiny/")
        assert entity["@id"] == (entity["name"][13:] if inside else f"ni:///sha-256;{entity['sha256']}")


def test_a_job_tells_rule_command_parameters_files_times_place_and_commit(written, graph):
    assert {action["instrument"]["@id"].removeprefix("#rule/") for action in actions(graph)} == RULES
    (train,) = (action for action in actions(graph) if action["instrument"]["@id"] == "#rule/train")
    assert train["description"].startswith("ndns train ")
    assert "--threads" in train["description"] or "threads" in train["description"]
    made = {graph[item["@id"]]["name"] for item in train["result"]}
    assert made == {f"results/tiny/train/sdnn-seed1/{name}" for name in ("checkpoint.safetensors", "history.csv")}
    given = [graph[item["@id"]] for item in train["object"]]
    assert {"results/tiny/mix/train.csv", "results/tiny/mix/val.csv"} <= {e["name"] for e in given}
    (settings,) = (json.loads(e["value"]) for e in given if e["name"] == "settings")
    assert settings["network"]["hidden"] == 16
    assert settings["train"]["epochs"] == 2
    assert train["startTime"] < train["endTime"]
    noted = {graph[item["@id"]]["name"]: graph[item["@id"]]["value"] for item in train["environment"]}
    assert noted["python"] == platform.python_version()
    assert noted["machine"] == platform.machine()
    assert json.loads(noted["libraries"])["torch"]
    assert noted["cpu"]
    assert noted["git commit"] == "unknown", "this checkout is no git repository"


def test_the_same_study_gives_the_same_bytes_elsewhere(written, tmp_path):
    copy = written.copy(tmp_path / "else where")
    before = (copy.folder / CRATE).read_bytes()
    for lose in (False, True):
        if lose:
            (copy.folder / CRATE).unlink()
        assert copy.ndns("crate", *TINY, TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="3").returncode == 0
        assert (copy.folder / CRATE).read_bytes() == before


def test_an_earlier_note_of_where_a_job_ran_stays(written, tmp_path):
    """Written on another machine, the crate does not claim that its jobs ran there."""
    copy = written.copy(tmp_path / "copy")
    elsewhere = {"ATEN_CPU_CAPABILITY": "default"}
    before = (copy.folder / CRATE).read_bytes()
    assert copy.ndns("crate", *TINY, **elsewhere).returncode == 0
    assert (copy.folder / CRATE).read_bytes() == before
    (copy.folder / CRATE).unlink()
    assert copy.ndns("crate", *TINY, **elsewhere).returncode == 0
    assert (copy.folder / CRATE).read_bytes() != before


def test_results_that_do_not_fit_their_records_are_no_provenance(written, tmp_path):
    copy = written.copy(tmp_path / "copy")
    plan = copy.folder / "results/tiny/mix/plan.csv"
    plan.write_text(plan.read_text().replace("train_00000", "train_0000x"))
    result = copy.ndns("crate", *TINY)
    assert result.returncode == 2
    assert "results/tiny/mix/plan.csv: changed after mix_render had read it; run the study again" in result.stderr
    plan.unlink()
    result = copy.ndns("crate", *TINY)
    assert result.returncode == 2
    assert "results/tiny/mix/plan.csv: a job made or read this file, and it is gone" in result.stderr


def test_runcrate_reads_it(written):
    program = os.environ.get("NDNS_RUNCRATE") or shutil.which("runcrate")
    if not program:
        pytest.skip("runcrate is absent; it has an environment of its own: envs/runcrate.txt")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [program, "report", written.folder / "results" / "tiny"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for rule in RULES:
        assert f"step: #step/{rule}" in result.stdout, rule
    train = result.stdout.split("action: #job/train/")[1].split("action: ")[0]
    assert "mix/train.csv" in train
    assert "train/sdnn-seed1/checkpoint.safetensors" in train
