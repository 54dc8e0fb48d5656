"""Time and energy of a placed program, step by step, under a scenario.

A step lasts as long as its slowest part (max-affine model, form of Timcheck, Pierro and Shrestha 2026,
arXiv 2601.10035, Eq. 1; coefficients from the scenario):

    t = max(barrier, max_core updates * t_update, max_core synops * t_synop, max_core reads * t_read,
            max_core taken * t_in, max_core (spikes * t_spike + sent * t_out), max_link messages * t_link)

with the barrier added instead where the scenario says so. This is a lower bound: parts overlap perfectly. The upper
bound adds up what one core does, the fullest link, the longest route and the barrier. Energy adds up all operations:

    E = P_static * chips * time + updates * e_update + synops * e_synop + reads * e_read + taken * e_in
        + spikes * e_spike + sent * e_out + hops * e_hop
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ndns.loihi2.cores_placement import Placement
from ndns.loihi2.scenarios import SPREADS, Barrier, Scenario
from ndns.loihi2.traffic import Activity, Counts, load, sends

TERMS = ("updates", "synops", "reads", "taken", "sends", "links", "barrier")
BLOCK = 4096
"""Steps worked on at once, so that memory does not grow with the number of clips."""


@dataclass(frozen=True, eq=False)
class Steps:
    """What each step takes.

    Attributes:
        seconds: `(step,)`.
        joules: dynamic energy, `(step,)`.
        term: index in `TERMS` of what sets the pace, `(step,)`.
        core: index of the core that sets the pace, -1 for a link or the barrier, `(step,)`.
    """

    seconds: np.ndarray
    joules: np.ndarray
    term: np.ndarray
    core: np.ndarray


def core_terms(counts: Counts, costs: Mapping[str, float]) -> np.ndarray:
    """Return the seconds of the first five `TERMS`, `(term, core, step)`."""
    updates = np.broadcast_to((counts.updates * costs["neuron_update_s"])[:, None], counts.synops.shape)
    return np.stack(
        [
            updates,
            counts.synops * costs["synop_s"],
            counts.reads * costs["read_s"],
            counts.taken * costs["message_in_s"],
            counts.spikes * costs["spike_s"] + counts.sent * costs["message_out_s"],
        ]
    )


def steps_of(counts: Counts, costs: Mapping[str, float], barrier_s: float, rule: str, serial: bool = False) -> Steps:
    """Return time and energy of each step.

    Args:
        counts: operations.
        costs: of a scenario, by name.
        barrier_s: one barrier synchronization.
        rule: `max` or `add`, how the barrier combines with the rest.
        serial: give the upper bound instead of the lower.
    """
    terms = core_terms(counts, costs)
    links = counts.links.max(axis=0, initial=0) * costs["message_link_s"]
    barrier = np.full_like(links, barrier_s)
    slowest = np.concatenate([terms.max(axis=1), [links, barrier]])
    term = (slowest if rule == "max" else slowest[:-1]).argmax(axis=0)
    inside = term < len(terms)
    core = np.where(inside, terms.argmax(axis=1)[np.minimum(term, len(terms) - 1), np.arange(len(term))], -1)
    if serial:
        route = counts.longest[0] * costs["hop_x_s"] + counts.longest[1] * costs["hop_y_s"]
        whole = terms.sum(axis=0)
        seconds, core = whole.max(axis=0) + links + route + barrier, whole.argmax(axis=0)
    elif rule == "add":
        seconds = slowest[:-1].max(axis=0) + barrier
    else:
        seconds = slowest.max(axis=0)
    return Steps(seconds, joules(counts, costs), term, core)


def joules(counts: Counts, costs: Mapping[str, float]) -> np.ndarray:
    """Return the dynamic energy of each step, J."""
    return (
        counts.updates.sum() * costs["neuron_update_j"]
        + counts.synops.sum(axis=0) * costs["synop_j"]
        + counts.reads.sum(axis=0) * costs["read_j"]
        + counts.taken.sum(axis=0) * costs["message_in_j"]
        + counts.spikes.sum(axis=0) * costs["spike_j"]
        + counts.sent.sum(axis=0) * costs["message_out_j"]
        + counts.hops_x * costs["hop_x_j"]
        + counts.hops_y * costs["hop_y_j"]
    )


def barrier_seconds(placement: Placement, costs: Mapping[str, float], barrier: Barrier) -> float:
    """Return the seconds of one barrier synchronization of a placement."""
    return costs["multichip_barrier_s"] if placement.chips > 1 else barrier.at(placement.tiles)


def mean_step(
    placement: Placement,
    shares: Mapping[str, np.ndarray],
    events: Mapping[str, float],
    costs: Mapping[str, float],
    barrier: Barrier,
) -> float:
    """Return the lower bound of a step in which each layer sends its mean number of messages, s."""
    messages = np.array([[events[population.name]] for population in placement.populations])
    synops = expected_synops(placement, shares, events)[:, None]
    counts = load(placement, shares).counts(messages, synops)
    return float(steps_of(counts, costs, barrier_seconds(placement, costs, barrier), barrier.rule).seconds[0])


def expected_synops(placement: Placement, shares: Mapping[str, np.ndarray], events: Mapping[str, float]) -> np.ndarray:
    """Return the synaptic operations that a mean step's messages of each population cause, `(population,)`."""
    names = [population.name for population in placement.populations]
    synops = np.zeros(len(names))
    for population in placement.populations:
        for projection in population.inputs:
            source = projection.source
            synops[names.index(source)] += events[source] * (shares[source] @ projection.below[-1])
    return synops


def run(placement: Placement, blocks: Iterable[Counts], scenario: Scenario) -> dict[str, Steps]:
    """Return what each step takes at `low`, `value` and `high` of a scenario.

    `low` and `value` are the lower bound with the scenario's lower and middle constants, `high` the upper bound with
    its upper constants.

    Args:
        placement: where the program sits.
        blocks: operations of consecutive steps, from `traffic.exact` or `counts_by_share`.
        scenario: constants.
    """
    parts: dict[str, list[Steps]] = {spread: [] for spread in SPREADS}
    for counts in blocks:
        for spread in SPREADS:
            costs = scenario.at(spread)
            barrier_s = barrier_seconds(placement, costs, scenario.barrier)
            parts[spread].append(steps_of(counts, costs, barrier_s, scenario.barrier.rule, spread == "high"))
    return {spread: _joined(steps) for spread, steps in parts.items()}


def counts_by_share(placement: Placement, activity: Activity) -> Iterator[Counts]:
    """Yield operations block by block, as `traffic.load` has them: in a step, each core gets its share of the run."""
    names = [population.name for population in placement.populations]
    shares, mean = sends(placement.populations, activity)
    loads = load(placement, shares)
    guess = expected_synops(placement, shares, mean)
    total = activity.events.shape[1]
    for start in range(0, total, BLOCK):
        block = slice(start, min(start + BLOCK, total))
        events = np.repeat(np.array([[mean[name]] for name in names]), block.stop - start, axis=1)
        synops = np.repeat(guess[:, None], block.stop - start, axis=1)
        for index, layer in enumerate(activity.layers):
            if layer not in names:  # it shares its neurons with the next node, whose messages stand for both
                continue
            events[names.index(layer)] = activity.events[index, block]
            synops[names.index(layer)] = activity.synops[index, block]
        yield loads.counts(events, synops)


def _joined(blocks: list[Steps]) -> Steps:
    return Steps(*(np.concatenate([getattr(block, key) for block in blocks]) for key in Steps.__dataclass_fields__))


def summary(
    steps: Mapping[str, Steps],
    placement: Placement,
    scenario: Scenario,
    clips: int,
    step_s: float,
    latency_s: float,
    depth: int,
) -> dict[str, object]:
    """Return what a board or report needs of one scenario.

    Args:
        steps: from `run`.
        placement: where the program sits.
        scenario: constants.
        clips: how many clips the steps make up.
        step_s: time between two frames in real time.
        latency_s: of the whole system, for the power-delay product.
        depth: steps that a frame needs from input to output when no delay holds it up.

    Returns:
        `title`, `cores`, `chips`, `memory_share`, and under `low`, `value`, `high` the entries of `_figures`.
    """
    result: dict[str, object] = {
        "title": scenario.title,
        "cores": len(placement.cores),
        "chips": placement.chips,
        "memory_share": placement.memory_share(),
    }
    for spread, timed in steps.items():
        static_w = scenario.at(spread)["static_w"] * placement.chips
        result[spread] = _figures(timed, clips, static_w, step_s, latency_s, depth)
    return result


def _figures(
    steps: Steps, clips: int, static_w: float, step_s: float, latency_s: float, depth: int
) -> dict[str, object]:
    """Return times in s, energies in J, powers in W.

    `real_time` is a chip that gets one frame each `step_s` and waits in between; `free_running` one that gets the next
    frame as soon as it is done. Static energy counts the whole time in both.
    """
    seconds, dynamic = steps.seconds, steps.joules
    modes = {}
    for name, time in (("real_time", np.maximum(seconds, step_s)), ("free_running", seconds)):
        static_j, dynamic_j = static_w * float(time.sum()), float(dynamic.sum())
        modes[name] = {
            "power_w": (static_j + dynamic_j) / float(time.sum()),
            "static_w": static_w,
            "dynamic_w": dynamic_j / float(time.sum()),
            "step_j": (static_j + dynamic_j) / len(time),
            "clip_j": (static_j + dynamic_j) / clips,
            "clip_static_j": static_j / clips,
            "clip_dynamic_j": dynamic_j / clips,
        }
    share = np.bincount(steps.term, minlength=len(TERMS)) / len(steps.term)
    return {
        "step_s": {
            "mean": float(seconds.mean()),
            "median": float(np.median(seconds)),
            "p99": float(np.quantile(seconds, 0.99)),
            "worst": float(seconds.max()),
        },
        "frame_latency_s": depth * float(seconds.max()),
        "throughput_steps_s": 1 / float(seconds.mean()),
        "keeps_real_time": bool(seconds.max() <= step_s),
        "pdp_ws": modes["real_time"]["power_w"] * latency_s,
        "dynamic_step_j": float(dynamic.mean()),
        "pace": {name: float(part) for name, part in zip(TERMS, share, strict=True) if part > 0},
        **modes,
    }
