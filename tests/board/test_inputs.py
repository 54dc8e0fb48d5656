"""Bad files end with one sentence that names them; good ones are joined clip by clip."""

import json

import numpy as np
import pytest

from ndns.board.inputs import Evidence, pairs, read_evidence
from ndns.errors import UserError


def load(study, **changes) -> Evidence:
    root = study.root
    given = {
        "study": "toy",
        "mix": root / "mix/val.csv",
        "scores": {name: root / f"score/{name}/scores.csv" for name in ["sdnn-seed1", "noisy", "intel_sdnn"]},
        "costs": {name: root / f"cost/{name}/cost.json" for name in study.runs},
        "deployed": {name: root / f"deploy/{name}/manifest.csv" for name in study.runs},
        "histories": {"sdnn-seed1": root / "train/sdnn-seed1/history.csv"},
    }
    return read_evidence(**(given | changes))


def test_joins_scores_in_the_order_of_the_mix(study):
    path = study.root / "score/intel_sdnn/scores.csv"
    header, *rows = path.read_text().splitlines()
    before = load(study)
    path.write_text("\n".join([header, *reversed(rows)]) + "\n")
    after = load(study)
    assert [system.name for system in after.systems] == ["noisy", "sdnn-seed1", "intel_sdnn"]
    for metric, values in before.systems[2].quality.items():
        np.testing.assert_array_equal(after.systems[2].quality[metric], values)
    assert np.isnan(after.systems[2].quality["pesq"]).all()
    assert np.ptp(after.systems[2].quality["si_snr"]) > 10


def test_activity_of_a_clip_is_its_own_steps(study):
    activity = load(study).runs[0].activity
    second = activity.of_clip("val_00001")
    first, steps = int(activity.steps[0]), int(activity.steps[1])
    np.testing.assert_array_equal(second, activity.events[:, first : first + steps])
    assert second.shape == (3, steps)
    assert second.any()


def test_files_are_listed_with_their_hashes(study):
    import hashlib

    files = {role: (path, digest) for role, path, digest in load(study).files}
    assert set(files) >= {"mix", "scores noisy", "cost intel_sdnn", "deploy sdnn-seed1", "history sdnn-seed1"}
    for path, digest in files.values():
        with open(path, "rb") as handle:
            assert hashlib.sha256(handle.read()).hexdigest() == digest


@pytest.mark.parametrize("text", ["sdnn", "=a.csv", "sdnn="])
def test_pairs_need_name_and_path(text):
    with pytest.raises(UserError, match="expected NAME=PATH"):
        pairs("--scores", [text])


def test_pairs_refuse_a_name_given_twice():
    with pytest.raises(UserError, match="'a' is given twice"):
        pairs("--scores", ["a=1", "a=2"])


def test_a_clip_without_score_is_named(study):
    path = study.root / "score/noisy/scores.csv"
    path.write_text("".join(line for line in path.open() if "val_00003" not in line))
    with pytest.raises(UserError, match=r"noisy/scores.csv: the clip 'val_00003'"):
        load(study)


def test_scores_of_another_mix_are_refused(study):
    path = study.root / "score/noisy/scores.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[-1].replace("val_00005", "val_00006") + "\n")
    with pytest.raises(UserError, match="scores 7 clips but"):
        load(study)


def test_a_clip_scored_twice_is_refused(study):
    """Two tables one behind the other: the last row would count and nobody would know."""
    path = study.root / "score/noisy/scores.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(UserError, match=r"noisy/scores.csv: scores 7 clips but .* has 6"):
        load(study)


@pytest.mark.parametrize(("old", "new"), [(",-28,", ",-27,"), (",fan,", ",rain,")])
def test_scores_of_mixtures_with_other_labels_are_refused(study, old, new):
    path = study.root / "score/intel_sdnn/scores.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=r"intel_sdnn/scores.csv: scores other mixtures than those of .*'val_00000'"):
        load(study)


def test_snr_of_a_clip_is_the_one_over_active_speech_where_it_is_known(study):
    path = study.root / "mix/val.csv"
    labels = [clip.snr_db for clip in load(study).clips]
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},active_snr_db", *(f"{row},-{index}.5" for index, row in enumerate(rows))]))
    assert [clip.snr_db for clip in load(study).clips] == [-0.5, -1.5, -2.5, -3.5, -4.5, -5.5]
    assert labels != [clip.snr_db for clip in load(study).clips]


def test_a_cell_that_is_no_number_is_named(study):
    path = study.root / "score/noisy/scores.csv"
    path.write_text(path.read_text().replace(",2.4,", ",good,", 1))
    with pytest.raises(UserError, match=r"scores.csv: sig: 'good' is not a number"):
        load(study)


def test_cost_without_a_figure_is_refused(study):
    path = study.root / "cost/intel_sdnn/cost.json"
    cost = json.loads(path.read_text())
    del cost["latency"]["pipeline_ms"]
    path.write_text(json.dumps(cost))
    with pytest.raises(UserError, match=r"intel_sdnn/cost.json: the number 'latency.pipeline_ms' is missing"):
        load(study)
    path.write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        load(study)


def test_costs_of_a_run_without_scores_are_refused(study):
    with pytest.raises(UserError, match="--costs ghost: this run has no scores"):
        load(study, costs={"ghost": study.root / "cost/intel_sdnn/cost.json"})
    with pytest.raises(UserError, match="no system is named"):
        load(study, scores={}, costs={}, deployed={}, histories={})


def test_activity_that_does_not_fit_its_clips_is_refused(study):
    path = study.root / "deploy/intel_sdnn/activity.npz"
    arrays = dict(np.load(path))
    arrays["steps"] = arrays["steps"] + 1
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=r"activity.npz: events_per_step \(3, \d+\) does not fit"):
        load(study)


def test_pickled_activity_is_not_opened(study):
    path = study.root / "deploy/intel_sdnn/activity.npz"
    arrays = dict(np.load(path)) | {"layers": np.array(["input", 1], dtype=object)}
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="not an activity file"):
        load(study)


def test_activity_that_is_cut_short_is_named(study):
    path = study.root / "deploy/intel_sdnn/activity.npz"
    whole = path.read_bytes()
    for kept in (0, 10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:kept])
        with pytest.raises(UserError, match=r"activity\.npz: not an activity file"):
            load(study)


def test_absent_activity_is_no_error(study):
    (study.root / "deploy/intel_sdnn/activity.npz").unlink()
    assert [run.activity is None for run in load(study).runs] == [False, True]
