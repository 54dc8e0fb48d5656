"""The table of stages, the Snakemake rules and dvc.yaml say the same."""

import itertools
import re
from pathlib import Path

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from ndns.record.stages import STAGES, artifact_of
from ndns.record.store import REMOTE, STORE
from ndns.workflow import plan

from .conftest import REPOSITORY

STUDIES = sorted(path for path in (REPOSITORY / "config").glob("*.yaml") if "\nstudy:" in "\n" + path.read_text())
TARGETS = {"all", "dataset", "dns4", "entry"}
"""Rules that only name what others make."""
WILDCARDS = {"split": ("train", "val"), "run": ("noisy", "sdnn-seed1"), "shard": ("0000", "0123"), "more": ("cries",)}


def rules_and_outputs(config: Path, workdir: Path) -> dict[str, list[str]]:
    """Rule -> outputs with wildcards filled in; a folder ends with `/`."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        made = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[config]),
            snakefile=REPOSITORY / "Snakefile",
            workdir=workdir,
        )
        return {
            rule.name: [path + "/" * output.is_directory for output in rule.output for path in filled(str(output))]
            for rule in made._workflow.rules
        }


def filled(pattern: str) -> set[str]:
    """A pattern with every combination of sample values for its wildcards."""
    pattern = re.sub(r"\{(\w+),[^}]*\}", r"{\1}", pattern)
    combinations = itertools.product(*WILDCARDS.values())
    return {pattern.format(**dict(zip(WILDCARDS, values, strict=True))) for values in combinations}


@pytest.fixture(scope="module", params=STUDIES, ids=lambda path: path.stem)
def study(request, tmp_path_factory):
    """A study's settings, the names in its paths, and what its rules make."""
    settings = plan(yaml.safe_load(request.param.read_text()), [request.param]).study
    names = (settings.study, settings.corpus.name, settings.fetch.root)
    return settings, names, rules_and_outputs(request.param, tmp_path_factory.mktemp("work"))


def test_every_output_of_every_rule_belongs_to_one_artifact_of_its_stage(study):
    _, names, rules = study
    for rule, outputs in rules.items():
        for path in outputs:
            holders = [
                (stage, artifact) for stage in STAGES for artifact in stage.artifacts if artifact.holding(path, *names)
            ]
            assert len(holders) == 1, f"{rule}: {path} is held by {holders}"
            stage, artifact = holders[0]
            assert rule in stage.rules, f"{rule} makes {path}, but {stage.name} does not list it"
            assert artifact_of(path, *names)[1] is artifact


def test_every_rule_and_every_artifact_of_the_table_exists(study):
    settings, names, rules = study
    assert {rule for stage in STAGES for rule in stage.rules} == rules.keys() - TARGETS
    assert all(not rules[name] for name in TARGETS)
    for stage in STAGES:
        made = [path for rule in stage.rules for path in rules[rule]]
        for artifact in stage.artifacts if stage.rules else ():
            empty = artifact.path == "data/{corpus}/audio.tar" and settings.corpus.kind != "speak"
            assert empty or any(artifact.holding(path, *names) for path in made), artifact


def outs(entry: dict) -> list[str]:
    return [path for out in entry["outs"] for path in ([out] if isinstance(out, str) else out)]


def test_dvc_yaml_has_the_kept_outputs_of_the_run_and_no_others(recorded):
    """Snakemake's own list of outputs against the stages that `ndns record` wrote."""
    stages = yaml.safe_load((recorded.folder / "dvc.yaml").read_text())["stages"]
    listed = recorded.snakemake("--summary", "--nolock").stdout.splitlines()
    made = {line.split("\t")[0]: line.split("\t")[2] for line in listed if line.startswith(("results/", "data/"))}
    tracked = {path: name for name, entry in stages.items() for path in outs(entry)}
    holders = {path: [out for out in tracked if path == out or path.startswith(f"{out}/")] for path in made}
    derived = {path for path, out in holders.items() if not out}
    assert derived == {path for path in made if path.startswith("results/tiny/mix/") and path.count("/") > 3} | {
        "data/few/audio.tar"
    }
    assert all(len(out) == 1 for path, out in holders.items() if path not in derived)
    beside = {"results/tiny/jobs.json", "results/tiny/ro-crate-metadata.json", "reference/models/sdnn"}
    assert tracked.keys() - {out for found in holders.values() for out in found} == beside
    for path, found in holders.items():
        for out in found:
            rules = stages[tracked[out]]["cmd"].split("--until ")[1].split()
            assert made[path] in rules, f"{tracked[out]} does not name the rule of {path}"
    assert all(entry["frozen"] for entry in stages.values())


def test_dvc_yaml_of_this_repository_belongs_to_the_present_table():
    path = REPOSITORY / "dvc.yaml"
    if not path.is_file():
        pytest.skip("nothing is recorded in this repository yet")
    for name, entry in yaml.safe_load(path.read_text())["stages"].items():
        for study in entry["meta"]["studies"]:
            settings = yaml.safe_load((REPOSITORY / entry["meta"]["config"]).read_text())
            for out in outs(entry):
                holders = [
                    (stage.name, artifact.store)
                    for stage in STAGES
                    for artifact in stage.artifacts
                    if artifact.holding(out, study, settings["corpus"]["name"], "data/dns4")
                    or artifact.holding(f"{out}/", study, settings["corpus"]["name"], "data/dns4")
                ]
                assert holders == [(name.removeprefix(f"{study}-").split("-")[0], "kept")], out


def test_the_default_remote_lies_in_the_repository():
    text = (REPOSITORY / ".dvc/config").read_text()
    assert f"remote = {REMOTE}" in text
    assert f"url = ../{STORE.as_posix()}" in text
