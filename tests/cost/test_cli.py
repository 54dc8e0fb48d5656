"""`ndns cost`: what its commands write and print, and what they refuse."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from ndns.cost.cli import app
from ndns.errors import UserError


def invoke(*arguments: object):
    """Run `ndns cost` and return the result; exceptions pass through, as the root command wants them."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_run_writes_cost_json(small_run, tmp_path):
    out = tmp_path / "cost.json"
    invoke("run", *small_run.options(), "--settings", '{"encdec_repeats": 1}', "--out", out)
    written = json.loads(out.read_text(encoding="utf-8"))
    for key in ("layers", "power_proxy_ops_s", "pdp_proxy_ops", "parameters", "size_kb", "latency", "loihi2"):
        assert written[key]
    again = tmp_path / "again.json"
    invoke("run", *small_run.options(), "--out", again)
    second = json.loads(again.read_text(encoding="utf-8"))
    for volatile in ("latency", "pdp_proxy_ops", "pdp_proxy_events_ops", "loihi2", "real_time_factor"):
        written.pop(volatile), second.pop(volatile)
    assert written == second


def test_nothing_is_left_of_a_refused_run(small_run, tmp_path):
    options = [*small_run.options(), "--out", tmp_path / "cost.json"]
    with pytest.raises(UserError, match="repeats: unknown key"):
        invoke("run", *options, "--settings", '{"repeats": 1}')
    broken = tmp_path / "activity.npz"
    broken.write_bytes(b"PK")
    options[2] = broken
    with pytest.raises(UserError, match=r"activity\.npz: not an activity file"):
        invoke("run", *options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["activity.npz"]


@pytest.mark.parametrize("command", ["run", "explain"])
def test_activity_of_other_clips_is_refused(small_run, changed_activity, tmp_path, command):
    fewer = tmp_path / "val.csv"
    lines = small_run.mix.read_text().replace("noisy/", f"{small_run.mix.parent}/noisy/").splitlines()
    fewer.write_text("\n".join(lines[:-1]))
    other = changed_activity(clips=np.array(["val_00000", "val_00002", "val_00001"]))
    for mix, activity in ((fewer, small_run.activity), (small_run.mix, other)):
        words = [small_run.net, "--activity", activity, "--mix", mix, "--out", tmp_path / "out.json"]
        words += ["--denoised", small_run.denoised] if command == "run" else []
        with pytest.raises(UserError, match=r"activity\.npz: holds the activity of other clips \(3\) than .*val\.csv"):
            invoke(command, *words)
        assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("command", ["run", "explain", "map"])
def test_activity_of_another_program_is_refused(small_run, changed_activity, tmp_path, command):
    """Of a layer of which each message met one weight more than the program has for all of them."""
    with np.load(small_run.activity) as file:
        events, synops, steps = (file[key] for key in ("events_per_step", "synops_per_step", "steps"))
    synops[1] = events[1] * (small_run.program.layers[1].synapse.fan_out.max() + 1)
    clips = np.add.reduceat(synops, [0, *np.cumsum(steps)[:-1]], axis=1).T
    other = changed_activity(synops_per_step=synops, synops=clips)
    more = {
        "run": ("--mix", small_run.mix, "--denoised", small_run.denoised, "--out", tmp_path / "cost.json"),
        "explain": ("--mix", small_run.mix),
        "map": (),
    }[command]
    with pytest.raises(UserError, match=r"activity\.npz: .*'hidden1' .* is of another program"):
        invoke(command, small_run.net, "--activity", other, *more)
    assert not (tmp_path / "cost.json").exists()


def test_activity_that_the_program_does_not_repeat_is_told(small_run, changed_activity):
    with np.load(small_run.activity) as file:
        moved = {key: file[key].copy() for key in ("events_per_step", "synops_per_step")}
    for values in moved.values():
        values[:, [3, 9]] = values[:, [9, 3]]
    for activity, told in ((small_run.activity, False), (changed_activity(**moved), True)):
        said = invoke("explain", small_run.net, "--activity", activity, "--mix", small_run.mix).stderr
        assert ("sends other messages than the activity" in said) is told


def test_explain_names_layer_and_core(small_run, tmp_path):
    out = tmp_path / "explain.json"
    arguments = ["explain", small_run.net, "--activity", small_run.activity, "--mix", small_run.mix, "--out", out]
    result = invoke(*arguments, "--objective", "cores", "--scenario", "davies2018")
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [layer["name"] for layer in found["layers"]] == ["input", "hidden1", "hidden2", "output"]
    setter = max(found["layers"], key=lambda layer: layer["pace"])
    assert setter["name"] == found["slowest"]["population"]
    assert setter["pace"] > 0.3
    assert setter["split_gain"] > 0.02
    assert setter["limit_gain"] >= setter["split_gain"]
    assert all(layer["merge_gain"] is None for layer in found["layers"])  # one core each: nothing to merge
    assert sum(layer["pace"] for layer in found["layers"]) == pytest.approx(1)
    assert f"Core {found['slowest']['index']} ({setter['name']}" in result.output


def test_what_explain_promises_comes_true(small_run, tmp_path):
    """Splitting the layer that sets the pace shortens the step by the share that was promised."""
    from ndns.cost.cli import _placed
    from ndns.cost.explain import explain
    from ndns.loihi2.cores import recut
    from ndns.loihi2.scenarios import load
    from ndns.loihi2.traffic import sends

    scenario = load("davies2018")
    chip, placement = _placed(small_run.net, small_run.activity, small_run.mix, "davies2018", "cores", "{}")
    before = explain(chip, placement, scenario)
    setter = max(before["layers"], key=lambda layer: layer["pace"])
    shares, events = sends(chip.populations, chip.activity)
    split = recut(placement, setter["name"], 2, shares, events, scenario.at("value"))
    after = explain(chip, split, scenario)
    assert after["step_s"] == pytest.approx(before["step_s"] * (1 - setter["split_gain"]))


def test_map_writes_cores_and_a_picture(small_run, tmp_path):
    out, image = tmp_path / "map.json", tmp_path / "chip.svg"
    result = invoke("map", small_run.net, "--out", out, "--picture", image)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert len(found["cores"]) >= 4
    assert all(0 <= core["synapse_share"] <= 1 and 0 < core["memory_share"] <= 1 for core in found["cores"])
    neurons = {name: 0 for name in ("input", "hidden1", "hidden2", "output")}
    for core in found["cores"]:
        neurons[core["population"]] += core["neurons"][1] - core["neurons"][0]
    assert neurons == {"input": 257, "hidden1": 24, "hidden2": 16, "output": 257}
    # worst case: each of 297 neurons sends to at least one core
    assert found["messages_per_step"] >= 297
    assert b"<svg" in image.read_bytes()
    assert "hidden2" in result.output


def test_published_table_as_csv(tmp_path):
    out = tmp_path / "published.csv"
    result = invoke("published", "--scenario", "fitted", "--out", out)
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert {row["scenario"] for row in rows} == {"fitted"}
    step = next(row for row in rows if (row["workload"], row["quantity"]) == ("pilotnet_lif", "step_s"))
    assert float(step["published"]) == 153e-6
    assert float(step["ratio"]) == pytest.approx(float(step["value"]) / 153e-6)
    assert "pilotnet_lif" in result.output


def test_wrong_names_are_refused(small_run, changed_activity):
    with pytest.raises(UserError, match="'fast' is not one of time, cores"):
        invoke("map", small_run.net, "--objective", "fast")
    with pytest.raises(UserError, match="no scenario 'x'"):
        invoke("map", small_run.net, "--scenario", "x")
    other = changed_activity(layers=np.array(["input", "hidden1", "hidden3"]))
    with pytest.raises(UserError, match="holds the layers"):
        invoke("explain", small_run.net, "--activity", other)
