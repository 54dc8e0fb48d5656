"""Scenario files: sources for all constants, refusals, and the published workloads."""

import pytest
import yaml

from ndns.errors import UserError
from ndns.loihi2 import scenarios
from ndns.loihi2.scenarios import published


def test_each_constant_has_a_source_and_an_ordered_spread():
    assert scenarios.names() == ["davies2018", "fitted", "sanafe", "scaled"]
    for name in scenarios.names():
        scenario = scenarios.load(name)
        low, value, high = (scenario.at(spread) for spread in scenarios.SPREADS)
        assert len(value) == 19
        assert all(low[key] <= value[key] <= high[key] for key in value)
        assert value["neuron_update_s"] > 0
        assert value["synop_s"] > 0
        assert 0.1 <= value["static_w"] <= 0.3
        for key in scenario.at("value"):
            assert len(getattr(scenario, key).source) > 8, key


def test_scaled_is_loihi_1_divided_by_2_5_and_10():
    davies, sanafe, scaled = (scenarios.load(name).at("value") for name in ("davies2018", "sanafe", "scaled"))
    assert scaled["neuron_update_s"] == pytest.approx(davies["neuron_update_s"] / 2)
    assert scaled["synop_s"] == pytest.approx(davies["synop_s"] / 5)
    assert scaled["spike_s"] == pytest.approx(sanafe["spike_s"] / 10)
    assert scenarios.load("scaled").barrier.at(32) == 0.2e-6
    assert scaled["neuron_update_j"] == davies["neuron_update_j"]
    assert scaled["synop_j"] == davies["synop_j"]


def test_barrier_between_the_published_ends():
    barrier = scenarios.load("davies2018").barrier
    assert barrier.at(1) == pytest.approx(113e-9)
    assert barrier.at(32) == pytest.approx(465e-9)
    assert barrier.at(16) == pytest.approx(113e-9 + 15 / 31 * 352e-9)


def test_a_file_of_ones_own(tmp_path):
    values = yaml.safe_load((scenarios.FOLDER / "scaled.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values | {"name": "mine"}), encoding="utf-8")
    assert scenarios.load(str(path)).name == "mine"
    values["synop_s"]["source"] = ""
    path.with_name("bare.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(UserError, match=r"synop_s\.source"):
        scenarios.load(str(path.with_name("bare.yaml")))
    del values["synop_s"]
    path.with_name("less.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(UserError, match="synop_s: this key is missing"):
        scenarios.load(str(path.with_name("less.yaml")))


def test_steps_without_time_and_constants_without_end_are_refused(tmp_path):
    values = yaml.safe_load((scenarios.FOLDER / "scaled.yaml").read_text(encoding="utf-8"))
    barrier = values["barrier"] | {"seconds": [0 for _ in values["barrier"]["tiles"]]}
    nothing = {"value": 0, "source": "for the test", "trust": "assumed"}
    cases = {
        "idle": (
            {"barrier": barrier, "neuron_update_s": nothing},
            r"idle\.yaml.*barrier.seconds: a step could take no time",
        ),
        "endless": ({"synop_s": nothing | {"value": float("inf")}}, r"endless\.yaml.*synop_s.*finite"),
    }
    for name, (changes, problem) in cases.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values | changes), encoding="utf-8")
        with pytest.raises(UserError, match=problem):
            scenarios.load(str(tmp_path / f"{name}.yaml"))
    for name, change in (("barrier", barrier), ("neuron_update_s", nothing)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values | {name: change}), encoding="utf-8")
        assert all(row["value"] > 0 for row in published.table([str(tmp_path / f"{name}.yaml")]))


def test_unknown_name_is_refused():
    with pytest.raises(UserError, match="no scenario 'loihi3'; use one of davies2018, fitted, sanafe, scaled"):
        scenarios.load("loihi3")


def test_fitted_constants_are_those_of_the_published_workloads():
    """The upper values in the file follow from the table; nobody can change one without the other."""
    fitted = scenarios.load("fitted").at("high")
    for key, bound in published.bounds().items():
        assert fitted[key] == pytest.approx(bound, rel=0.005), key


def test_pilotnet_lif_step_lies_within_the_fitted_scenario():
    row = next(
        row for row in published.table(["fitted"]) if (row["workload"], row["quantity"]) == ("pilotnet_lif", "step_s")
    )
    assert row["published"] == 153e-6
    assert row["inside"]
    assert row["value"] == pytest.approx(153e-6, rel=0.01)
    assert row["low"] < 20e-6


def test_pilotnet_by_hand():
    """Davies: 3168 neurons on the fullest core at 8.4 ns, 158 509 in all at 81 pJ, 104 mW."""
    values = published.modelled(published.workloads()["pilotnet_lif"], scenarios.load("davies2018"), "value")
    assert values["step_s"] == pytest.approx(3168 * 8.4e-9)
    assert values["dynamic_step_j"] == pytest.approx(158_509 * 81e-12)
    assert values["inference_j"] == pytest.approx(16 * (158_509 * 81e-12 + 0.104 * 3168 * 8.4e-9))


def test_published_rates_agree_with_one_another():
    """408.9 frames/s, 16 steps, 153 us; 0.679 W and 1.66 mJ a frame: the rows are one measurement."""
    figures = {figure.quantity: figure.value for figure in published.workloads()["pilotnet_lif"].figures}
    assert 1 / (16 * figures["step_s"]) == pytest.approx(408.9, rel=0.01)
    assert figures["power_w"] / 408.9 == pytest.approx(figures["inference_j"], rel=0.01)
    assert figures["dynamic_step_j"] / figures["step_s"] == pytest.approx(0.447, rel=0.01)


def test_table_has_a_row_for_each_figure_and_scenario():
    rows = published.table()
    figures = sum(len(workload.figures) for workload in published.workloads().values())
    assert len(rows) == 4 * figures
    assert all(
        row["value"] > 0 and row["low"] <= row["value"] <= row["high"] for row in rows if row["quantity"] != "power_w"
    )
    assert {row["workload"] for row in rows} == {"pilotnet_lif", "pilotnet_sdnn", "shd_1024", "sparse_s5"}
