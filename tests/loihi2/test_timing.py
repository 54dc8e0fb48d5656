"""Time, energy and traffic: a program worked out by hand, routes one by one, rules that hold for all activity."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.errors import UserError
from ndns.loihi2 import engine, scenarios, timing
from ndns.loihi2.cores import place, populations
from ndns.loihi2.cores_layout import Population, Projection
from ndns.loihi2.cores_placement import finish
from ndns.loihi2.traffic import Activity, Counts, exact, load, messages_of, read_activity, sends

CHIP = scenarios.limits()
DAVIES = scenarios.load("davies2018")


def tiny():
    """Two inputs, three neurons on two cores: weights [[1, 1], [1, 0], [0, 1]]; messages of three steps."""
    nonzero = np.array([[1, 1], [1, 0], [0, 1]], bool)
    network = (Population("input", 2, 8), Population("hidden", 3, 8, (Projection("input", nonzero),)))
    placement = finish(network, {"input": np.array([0]), "hidden": np.array([0, 2])}, CHIP)
    messages = {"input": np.array([[1, 1], [1, 0], [0, 0]], bool)}
    return network, placement, messages


def test_counts_by_hand():
    _, placement, messages = tiny()
    counts = exact(placement, messages)
    assert counts.updates.tolist() == [2, 2, 1]
    # core 1 holds rows [1, 1] and [1, 0], core 2 holds [0, 1]: only source 1 reaches core 2
    assert counts.synops.tolist() == [[0, 0, 0], [3, 2, 0], [1, 0, 0]]
    assert counts.taken.tolist() == [[0, 0, 0], [2, 1, 0], [1, 0, 0]]
    assert counts.reads.tolist() == [[0, 0, 0], [2, 1, 0], [1, 0, 0]]
    assert counts.spikes.tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert counts.sent.tolist() == [[3, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert counts.links.sum() == 0  # all on one router


def test_seconds_and_joules_by_hand():
    _, placement, messages = tiny()
    scenario = DAVIES.model_copy(update={"barrier": DAVIES.barrier.model_copy(update={"seconds": [1e-9, 2e-9]})})
    steps = timing.run(placement, [exact(placement, messages)], scenario)["value"]
    # updates 2 * 8.4 ns; synops 3 * 3.5 ns; sends 3 * 2.1 ns: the updates win in each step
    assert steps.seconds == pytest.approx([16.8e-9] * 3)
    assert [timing.TERMS[term] for term in steps.term] == ["updates"] * 3
    assert steps.core.tolist() == [0, 0, 0]
    # five updates at 81 pJ; 4, 2, 0 synops at 23.6 pJ; 3, 1, 0 messages at 1.7 pJ
    assert steps.joules == pytest.approx([(405 + 94.4 + 5.1) * 1e-12, (405 + 47.2 + 1.7) * 1e-12, 405e-12], rel=1e-6)


def test_barrier_is_the_floor_or_comes_on_top():
    _, placement, messages = tiny()
    counts = exact(placement, messages)
    davies = timing.run(placement, [counts], DAVIES)["value"]
    assert davies.seconds == pytest.approx([113e-9] * 3)
    assert {timing.TERMS[term] for term in davies.term} == {"barrier"}
    assert (davies.core == -1).all()
    # SANA-FE, step 0: spikes 2 * 30 ns + 3 messages * 5.1 ns on core 0, and 0.6 us after that
    sanafe = timing.run(placement, [counts], scenarios.load("sanafe"))["value"]
    assert sanafe.seconds[0] == pytest.approx(60e-9 + 15.3e-9 + 0.6e-6)
    assert sanafe.seconds[2] == pytest.approx(2 * 9.7e-9 + 0.6e-6)


def test_upper_bound_adds_up_by_hand():
    _, placement, messages = tiny()
    high = timing.run(placement, [exact(placement, messages)], scenarios.load("sanafe"))["high"]
    # core 0: 2 * 9.7 + 2 * 30 + 3 * 5.1 = 94.7 ns; core 1: 2 * 9.7 + 3 * 4.7 + 2 * 16 = 65.5 ns
    assert high.seconds[0] == pytest.approx(94.7e-9 + 0.6e-6, rel=1e-6)


def test_each_operation_has_its_energy():
    """Ten of one kind of operation at a time, at constants that differ from one another."""
    keys = "synop_j", "read_j", "message_in_j", "spike_j", "message_out_j", "hop_x_j", "hop_y_j", "neuron_update_j"
    costs = {key: index + 1.0 for index, key in enumerate(keys)}
    for index in range(len(keys)):
        tens = np.where(np.arange(len(keys)) == index, 10.0, 0.0)
        cores = [np.full((1, 1), ten) for ten in tens[:5]]
        counts = Counts(tens[7:], *cores, np.zeros((1, 1)), np.array([tens[5]]), np.array([tens[6]]))
        assert timing.joules(counts, costs).tolist() == [10.0 * (index + 1)]


def test_energy_of_a_clip_by_hand():
    _, placement, messages = tiny()
    steps = timing.run(placement, [exact(placement, messages)], DAVIES)
    result = timing.summary(steps, placement, DAVIES, 1, 0.008, 0.032, 1)["value"]
    dynamic = (3 * 405 + 141.6 + 6.8) * 1e-12
    assert result["real_time"]["clip_dynamic_j"] == pytest.approx(dynamic, rel=1e-6)
    assert result["real_time"]["clip_static_j"] == pytest.approx(3 * 0.008 * 0.104)
    assert result["free_running"]["clip_static_j"] == pytest.approx(3 * 113e-9 * 0.104)
    assert result["real_time"]["power_w"] == pytest.approx(0.104 + dynamic / 0.024)
    assert result["pdp_ws"] == pytest.approx(result["real_time"]["power_w"] * 0.032)
    assert result["throughput_steps_s"] == pytest.approx(1 / 113e-9)
    assert result["keeps_real_time"] is True
    assert result["step_s"] == pytest.approx({key: 113e-9 for key in ("mean", "median", "p99", "worst")})


def test_percentiles_of_steps_that_differ():
    seconds = np.arange(1, 201) * 1e-6
    steps = timing.Steps(seconds, np.ones(200) * 1e-9, np.zeros(200, int), np.zeros(200, int))
    _, placement, _ = tiny()
    result = timing.summary({"value": steps}, placement, DAVIES, 4, 150e-6, 0.03, 3)["value"]
    assert result["step_s"]["median"] == pytest.approx(100.5e-6)
    assert result["step_s"]["p99"] == pytest.approx(np.percentile(seconds, 99))
    assert result["step_s"]["worst"] == pytest.approx(200e-6)
    assert result["keeps_real_time"] is False
    assert result["free_running"]["clip_dynamic_j"] == pytest.approx(50e-9)


@st.composite
def settings_of_cores(draw):
    """A network on many cores, and random messages of it."""
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    sizes = draw(st.lists(st.integers(2, 30), min_size=2, max_size=4))
    density = draw(st.floats(0.05, 1))
    network = [Population("p0", sizes[0], 8)]
    for index, (a, b) in enumerate(pairwise(sizes)):
        projection = Projection(f"p{index}", generator.random((b, a)) < density)
        network.append(Population(f"p{index + 1}", b, 8, (projection,)))
    splits = {p.name: np.sort(np.append(0, 1 + np.flatnonzero(generator.random(p.neurons - 1) < 0.3))) for p in network}
    messages = {p.name: generator.random((6, p.neurons)) < draw(st.floats(0, 1)) for p in network[:-1]}
    return tuple(network), finish(tuple(network), splits, CHIP), messages


def activity_of(network, messages) -> Activity:
    fan_out = {q.source: q.nonzero.sum(axis=0) for p in network for q in p.inputs}
    layers = tuple(messages)
    return Activity(
        layers,
        np.array([len(messages[layers[0]])]),
        np.array([messages[name].sum(axis=1) for name in layers]),
        np.array([messages[name] @ fan_out[name] for name in layers]),
        {name: messages[name].sum(axis=0) for name in layers},
    )


@settings(max_examples=40, deadline=None)
@given(settings_of_cores())
def test_links_and_hops_against_routes_walked_one_by_one(case):
    network, placement, messages = case
    counts = exact(placement, messages)
    columns, rows = CHIP.columns * placement.chips, CHIP.rows
    walked, hops = np.zeros((4, rows, columns)), [0.0, 0.0]
    for target in placement.cores:
        for q in next(p for p in network if p.name == target.population).inputs:
            for source in placement.cores:
                if source.population != q.source:
                    continue
                reaches = q.nonzero[target.start : target.stop].any(axis=0)
                window = np.zeros(len(reaches), bool)
                window[source.start : source.stop] = True
                flow = messages[q.source][:, reaches & window].sum()
                x, y = source.column, source.row
                while x != target.column:
                    east = target.column > x
                    walked[0 if east else 1, y, x if east else x - 1] += flow
                    x, hops[0] = x + (1 if east else -1), hops[0] + flow
                while y != target.row:
                    south = target.row > y
                    walked[2 if south else 3, y if south else y - 1, x] += flow
                    y, hops[1] = y + (1 if south else -1), hops[1] + flow
    np.testing.assert_allclose(counts.links.sum(axis=1), walked.ravel(), atol=1e-3)
    assert counts.hops_x.sum() == pytest.approx(hops[0], abs=1e-3)
    assert counts.hops_y.sum() == pytest.approx(hops[1], abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(settings_of_cores(), st.sampled_from(scenarios.names()), st.integers(0, 10**6))
def test_more_messages_never_cost_less(case, name, seed):
    _, placement, messages = case
    scenario = scenarios.load(name)
    generator = np.random.default_rng(seed)
    more = {key: sent | (generator.random(sent.shape) < 0.3) for key, sent in messages.items()}
    before, after = ({k: v for k, v in timing.run(placement, [_no_links(exact(placement, m))], scenario).items()}
                     for m in (messages, more))  # fmt: skip
    for spread in scenarios.SPREADS:
        assert (after[spread].seconds >= before[spread].seconds * (1 - 1e-9)).all()
        assert (after[spread].joules >= before[spread].joules * (1 - 1e-9)).all()
    network, _, _ = case
    sums = [
        [s.seconds.sum() for s in timing.run(placement, [_shared(network, placement, m)], scenario).values()]
        for m in (messages, more)
    ]
    assert all(b >= a * (1 - 1e-9) for a, b in zip(*sums, strict=True))


def _no_links(counts: Counts) -> Counts:
    """Links go by shares over the clip, so that a single step can shift between them; they are tested apart."""
    return Counts(**{**counts.__dict__, "links": np.zeros_like(counts.links), "hops_x": counts.hops_x * 0,
                     "hops_y": counts.hops_y * 0})  # fmt: skip


def _shared(network, placement, messages) -> Counts:
    """Counts by uniform shares: only how many messages there are matters."""
    activity = activity_of(network, messages)
    plain = Activity(activity.layers, activity.steps, activity.events, activity.synops)
    (counts,) = timing.counts_by_share(placement, plain)
    return counts


@settings(max_examples=40, deadline=None)
@given(settings_of_cores())
def test_low_value_high_are_in_order(case):
    _, placement, messages = case
    counts = exact(placement, messages)
    for name in scenarios.names():
        low, value, high = timing.run(placement, [counts], scenarios.load(name)).values()
        for key in ("seconds", "joules"):
            assert (getattr(low, key) <= getattr(value, key) * (1 + 1e-9)).all()
            assert (getattr(value, key) <= getattr(high, key) * (1 + 1e-9)).all()


@settings(max_examples=40, deadline=None)
@given(settings_of_cores())
def test_shares_keep_all_totals(case):
    """Work by shares: exact for the chip in each step and for each core over the run."""
    network, placement, messages = case
    known = exact(placement, messages)
    (shared,) = timing.counts_by_share(placement, activity_of(network, messages))
    np.testing.assert_allclose(shared.synops.sum(axis=0), known.synops.sum(axis=0), atol=1e-3)
    for key in ("synops", "reads", "taken", "spikes", "sent", "links"):
        np.testing.assert_allclose(getattr(shared, key).sum(axis=1), getattr(known, key).sum(axis=1), atol=1e-2)


def test_messages_are_those_of_the_engine(random_sdnn, spectra_like):
    program = random_sdnn(4)
    x = spectra_like(1, program.shape_in, 150)
    _, recorded = engine.record(program, x)
    messages = messages_of(program, x)
    assert recorded.events_per_step.sum() > 500
    for index, layer in enumerate(recorded.layers):
        np.testing.assert_array_equal(messages[layer].sum(axis=1), recorded.events_per_step[index])
    network = populations(program)
    placement = place(network, *sends(network, activity_of(network, messages)), DAVIES.at("value"), DAVIES.barrier)
    synops = exact(placement, messages).synops.sum(axis=0)
    np.testing.assert_allclose(synops, recorded.synops_per_step.sum(axis=0))


def test_uncounted_populations_send_always():
    network, placement, _ = tiny()
    deeper = (*network, Population("output", 2, 8, (Projection("hidden", np.ones((2, 3), bool)),)))
    placement = finish(deeper, {**placement.splits, "output": np.array([0])}, CHIP)
    counts = exact(placement, {"input": np.zeros((4, 2), bool)})
    assert counts.synops.sum(axis=0).tolist() == [6.0] * 4
    shares, events = sends(deeper, Activity(("input",), np.array([4]), np.zeros((1, 4)), np.zeros((1, 4))))
    assert (events["hidden"], events["output"]) == (3.0, 0.0)
    assert load(placement, shares).sent.sum() > 0


def write(path, **changes):
    arrays = {
        "layers": np.array(["a", "b"]),
        "clips": np.array(["x", "y"]),
        "steps": np.array([2, 1]),
        "events": np.array([[3, 0], [1, 2]]),
        "synops": np.array([[6, 0], [2, 2]]),
        "events_per_step": np.array([[1, 2, 1], [0, 0, 2]], np.int32),
        "synops_per_step": np.array([[2, 4, 2], [0, 0, 2]]),
    } | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_activity_is_read_and_split_by_clip(tmp_path):
    activity = read_activity(write(tmp_path / "a.npz"), {"a": 2, "b": 4})
    assert activity.per_clip(activity.events).tolist() == [[3, 1], [0, 2]]
    assert activity.clips == ("x", "y")
    assert activity.mean("a") == pytest.approx(4 / 3)
    assert activity.share("a", 2).tolist() == [0.5, 0.5]
    counted = read_activity(write(tmp_path / "b.npz", events_per_neuron_a=np.array([3, 1])), {"a": 2, "b": 4})
    assert counted.share("a", 2).tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"synops": None}, "the array 'synops' is missing"),
        ({"steps": np.array([0, 0]), "events_per_step": np.zeros((2, 0), int)}, "holds no steps"),
        ({"clips": np.array(["x"])}, "names 1 clips and has steps of 2"),
        ({"steps": np.array([2, 2])}, r"events_per_step has the shape \(2, 3\)"),
        ({"events": np.array([[3, 0], [1, 3]])}, "events and events_per_step contradict"),
        ({"events_per_neuron_a": np.array([1, 1])}, "events_per_neuron_a and events_per_step contradict"),
        ({"layers": np.array(["a", "c"])}, r"holds the layers \['a', 'c'\], but the program has \['a', 'b'\]"),
        ({"layers": np.array(["a", "b"], object)}, "not an activity file"),
        ({"layers": np.array("ab")}, r"layers must be 1-dimensional texts, got <U2 \(\)"),
        ({"clips": np.array([1, 2])}, "clips must be 1-dimensional texts"),
        ({"steps": np.array([2.0, 1.0])}, "steps must be 1-dimensional integers of at least 0"),
        ({"events": np.array([3, 2])}, r"events must be 2-dimensional .* got int64 \(2,\)"),
        ({"events_per_step": np.array([[1, 2.4, 1], [0, 0, 2]])}, "events_per_step must be 2-dimensional integers"),
        (
            {"synops_per_step": np.array([["2", "4", "2"], ["0", "0", "2"]])},
            "synops_per_step must be 2-dimensional integers",
        ),
        ({"events_per_step": np.array([[1, 2, 1], [-1, 1, 2]])}, "events_per_step must be .* at least 0"),
        (
            {"events_per_neuron_a": np.array([5, -1])},
            "events_per_neuron_a must be 1-dimensional integers of at least 0",
        ),
    ],
)
def test_wrong_activity_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        read_activity(write(tmp_path / "a.npz", **changes), {"a": 2, "b": 4})


def test_damaged_activity_is_refused(tmp_path):
    path = write(tmp_path / "a.npz")
    whole = path.read_bytes()
    at = whole.index(b"\x93NUMPY", len(whole) // 2)
    np.save(tmp_path / "array.npy", np.zeros(3))
    for content in (whole[:-200], whole[:at] + b"\0" + whole[at + 1 :], b"", (tmp_path / "array.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.npz: not an activity file"):
            read_activity(path)


def test_activity_of_nothing_is_refused(tmp_path):
    empty = {"layers": np.array([], "U1"), "events": np.zeros((2, 0), int), "events_per_step": np.zeros((0, 3), int)}
    with pytest.raises(UserError, match="no layer's messages were counted"):
        read_activity(write(tmp_path / "a.npz", **empty), {})


def test_more_messages_than_neurons_are_refused(tmp_path):
    with pytest.raises(UserError, match="'a' sends more messages a step than its 1 neurons"):
        read_activity(write(tmp_path / "a.npz"), {"a": 1, "b": 4})
    with pytest.raises(UserError, match="no such file"):
        read_activity(tmp_path / "none.npz")
