"""cost.json: every number against one recomputed here from messages and files, or against the challenge's own."""

import json
import warnings

import numpy as np
import pytest

from ndns.config import Cost
from ndns.cost.report import clips_of, cost, parameter_counts
from ndns.errors import UserError
from ndns.loihi2 import netx
from ndns.loihi2.denoiser import encode_clip
from ndns.loihi2.traffic import messages_of, read_activity

QUICK = Cost(encdec_repeats=1)


@pytest.fixture(scope="module")
def result(small_run) -> dict:
    clips = clips_of(small_run.mix, small_run.denoised)
    return cost(small_run.program, read_activity(small_run.activity), clips, QUICK)


@pytest.fixture(scope="module")
def messages(small_run) -> list[dict[str, np.ndarray]]:
    """Messages of each clip, from the recordings."""
    clips = clips_of(small_run.mix, small_run.denoised)
    return [messages_of(small_run.program, encode_clip(small_run.program, clip.read()[0])[1]) for clip in clips]


def test_challenge_proxies_from_messages(result, messages):
    rates = {name: float(np.mean([sent[name].mean() for sent in messages])) for name in ("input", "hidden1", "hidden2")}
    synops = rates["input"] * 257 * 24 + rates["hidden1"] * 24 * 16 + rates["hidden2"] * 16 * 257
    assert rates["input"] > 0.05
    assert rates["hidden2"] > 0.05
    assert {layer["name"]: layer["event_rate"] for layer in result["layers"]} == pytest.approx(rates)
    assert [layer["neurons"] for layer in result["layers"]] == [257, 24, 16]
    assert [layer["fan_out"] for layer in result["layers"]] == [24, 16, 257]
    assert result["neuron_ops_per_step"] == 257 + 24 + 16
    assert result["synops_per_step"] == pytest.approx(synops)
    assert result["power_proxy_ops_s"] == pytest.approx((synops + 10 * 297) / 0.008)
    assert result["pdp_proxy_ops"] == pytest.approx(result["power_proxy_ops_s"] * result["latency"]["total_ms"] / 1000)


def test_counted_synops_leave_zero_weights_out(result, messages, small_run):
    total, steps = 0, 0
    for sent in messages:
        steps += len(sent["input"])
        for layer in small_run.program.layers:
            total += int((sent[layer.name] @ np.count_nonzero(layer.synapse.weight, axis=0)).sum())
    assert result["synops_per_step_events"] == pytest.approx(total / steps)
    assert result["synops_per_step_events"] < 0.8 * result["synops_per_step"]
    assert result["power_proxy_events_ops_s"] == pytest.approx((total / steps + 2970) / 0.008)
    assert result["steps"] == steps


def test_the_two_rates_differ_for_clips_of_different_length(result, messages):
    for layer in result["layers"]:
        sent = np.concatenate([m[layer["name"]] for m in messages])
        assert layer["event_rate_events"] == pytest.approx(sent.mean())
        assert layer["event_rate_events"] != pytest.approx(layer["event_rate"], rel=1e-6)


def test_parameters_and_size(result):
    weights = 257 * 24 + 24 * 16 + 16 * 257
    assert result["parameters"] == weights
    assert result["parameters_delays"] == 40
    assert 0.6 * weights < result["parameters_nonzero"] < 0.75 * weights
    # weights up to 40 in magnitude: 6 bits; delays up to 8: 3 bits
    assert result["size_kb"] == pytest.approx((6 * weights + 3 * 40) / 8192)
    assert result["size_kb_signed"] == pytest.approx((7 * weights + 5 * 40) / 8192)


def test_latency_split(result):
    latency = result["latency"]
    assert latency["buffer_ms"] == 32
    assert 0 < latency["encdec_ms"] < 8
    assert latency["pipeline_ms"] == 16
    assert latency["total_ms"] == pytest.approx(32 + latency["encdec_ms"] + latency["network_ms"])
    assert result["step_s"] == 0.008


def test_every_scenario_has_its_name_and_spread(result):
    chip = result["loihi2"]
    assert chip["counts"] == "exact"
    assert chip["clips"] == 3
    assert chip["cores_min"] == 4
    assert sorted(chip["scenarios"]) == ["davies2018", "fitted", "sanafe", "scaled"]
    for entry in chip["scenarios"].values():
        low, value, high = (entry[key] for key in ("low", "value", "high"))
        assert chip["cores_min"] <= entry["cores"] <= 120
        assert low["step_s"]["mean"] <= value["step_s"]["mean"] <= high["step_s"]["mean"]
        assert low["real_time"]["power_w"] < high["real_time"]["power_w"]
        assert 0 < value["step_s"]["median"] <= value["step_s"]["p99"] <= value["step_s"]["worst"] < 0.008
        assert value["keeps_real_time"]
        assert value["dynamic_step_j"] > 0
        assert len(entry["placement"]) == entry["cores"]
        assert max(core["load"] for core in entry["placement"]) == 1
        assert sum(core["neurons"][1] - core["neurons"][0] for core in entry["placement"]) == 554
        columns, rows = chip["grid"]["columns"], chip["grid"]["rows"]
        assert all(0 <= c < columns and 0 <= r < rows for c, r in (core["router"] for core in entry["placement"]))
    json.dumps(result, allow_nan=False)


def test_dynamic_energy_by_hand(result, messages):
    """Davies: 554 updates at 81 pJ and counted synops at 23.6 pJ in a step; messages and hops come on top."""
    least = 554 * 81e-12 + result["synops_per_step_events"] * 23.6e-12
    events = sum(layer["event_rate_events"] * layer["neurons"] for layer in result["layers"])
    entry = result["loihi2"]["scenarios"]["davies2018"]
    most = least + events * entry["cores"] * (1.7e-12 + 16 * 4e-12)
    assert least < entry["value"]["dynamic_step_j"] < most


def test_other_activity_goes_by_shares(small_run, changed_activity):
    """Messages moved to another step: running the clips again cannot give them, and the result says so."""
    with np.load(small_run.activity) as file:
        events = file["events_per_step"].copy()
    events[:, [3, 9]] = events[:, [9, 3]]
    activity = read_activity(changed_activity(events_per_step=events))
    clips = clips_of(small_run.mix, small_run.denoised)
    chip = cost(small_run.program, activity, clips, QUICK)["loihi2"]
    assert chip["counts"] == "share"
    assert chip["clips"] == 3
    none = cost(small_run.program, read_activity(small_run.activity), clips, Cost(encdec_repeats=1, exact_clips=0))
    assert none["loihi2"]["counts"] == "share"


def test_released_network(shared_data):
    """The challenge's own figures: 1281 neuron operations, 525 312 weights, 465 KB."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        program = netx.read(shared_data / "peer_weights/intel_sdnn/network.net")
    counts = parameter_counts(program)
    assert counts["parameters"] == 525_312
    assert counts["parameters_delays"] == 1024
    assert counts["size_kb"] == 465.5625
    assert sum(layer.neurons for layer in program.layers) == 1281


def test_missing_clip_is_named(small_run, tmp_path):
    rows = small_run.denoised.read_text(encoding="utf-8").splitlines()
    short = tmp_path / "manifest.csv"
    short.write_text("\n".join(rows[:2]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"the clip 'val_00001' of .* is missing"):
        clips_of(small_run.mix, short)
