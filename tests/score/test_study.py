import numpy as np
import pytest
import torch
from pesq import pesq
from pystoi import stoi
from speechmos import dnsmos
from torchmetrics.functional.audio import scale_invariant_signal_noise_ratio

from ndns.audio.io import pcm_sha256, read_pcm16, write_pcm16
from ndns.config import Score
from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.score import study as module
from ndns.score.scores import COLUMNS, QUALITY, read_scores
from ndns.score.study import score_study

QUICK = Score(dnsmos=False, pesq=False, estoi=False)


def torch_si_snr(estimate: np.ndarray, target: np.ndarray) -> float:
    return float(scale_invariant_signal_noise_ratio(torch.tensor(estimate), torch.tensor(target)))


def replace_audio(study, clip: str, pcm: np.ndarray, restate: bool) -> None:
    """Write other samples as a denoised clip; `restate` puts their hash in the manifest."""
    write_pcm16(study.denoised.parent / "clips" / f"{clip}.flac", pcm)
    if restate:
        rows = read_csv(study.denoised)
        for row in rows:
            if row["clip"] == clip:
                row["sha256"] = pcm_sha256(pcm)
        write_csv(study.denoised, rows, list(rows[0]))


def test_scores_equal_independent_programs_and_land_in_the_agreed_columns(study) -> None:
    score_study(study.mix, study.denoised, study.out, Score(), jobs=1)
    text = study.out.read_text(encoding="utf-8").splitlines()
    assert text[0].split(",") == COLUMNS
    rows = read_scores(study.out)
    assert [row["clip"] for row in rows] == list(study.signals)
    assert [(row["snr_db"], row["level_dbfs"], row["noise_label"]) for row in rows] == [
        (5.0, -20.5, "wind"),
        (1.0, -20.5, "babble"),
        (-3.0, -20.5, "wind"),
    ]
    for row in rows:
        part = study.signals[row["clip"]]
        reference = dnsmos.run(part["denoised"].astype(np.float32), 16_000)
        before = torch_si_snr(part["noisy"], part["clean"])
        assert row["si_snr"] == pytest.approx(torch_si_snr(part["denoised"], part["clean"]), abs=1e-3)
        assert row["si_snri_data"] == pytest.approx(row["si_snr"] - before, abs=1e-3)
        assert row["si_snri_encdec"] == pytest.approx(row["si_snri_data"], abs=1e-6)
        assert row["si_snri_data"] == pytest.approx(20 * np.log10(1 / 0.3), abs=0.3)
        keys = {"ovrl": "ovrl_mos", "sig": "sig_mos", "bak": "bak_mos", "p808": "p808_mos"}
        assert [row[key] for key in keys] == pytest.approx([reference[key] for key in keys.values()], abs=1e-3)
        assert row["pesq"] == pytest.approx(pesq(16_000, part["clean"], part["denoised"], "wb"), abs=1e-3)
        assert row["estoi"] == pytest.approx(stoi(part["clean"], part["denoised"], 16_000, True), abs=1e-6)


def test_the_run_noisy_gains_nothing_and_differs_from_silence_and_from_clean(study) -> None:
    noisy = score_study(study.mix, None, study.out, QUICK, jobs=1)
    assert [row["si_snri_data"] for row in noisy] == [0, 0, 0]
    assert all(abs(row["si_snri_encdec"]) < 1e-6 for row in noisy)
    for clip, parts in study.signals.items():
        content = {"val_00000": 0 * parts["clean"], "val_00001": parts["clean"]}.get(clip, parts["denoised"])
        replace_audio(study, clip, (content * 32768).astype(np.int16), restate=True)
    silent, clean, denoised = score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)
    assert silent["si_snr"] == pytest.approx(-80)
    assert clean["si_snr"] > 60
    assert noisy[2]["si_snr"] + 5 < denoised["si_snr"] < clean["si_snr"] - 30


def test_undefined_metrics_and_metrics_not_asked_for_are_empty_cells(study) -> None:
    replace_audio(study, "val_00001", np.zeros(32_000, np.int16), restate=True)
    score_study(study.mix, study.denoised, study.out, Score(dnsmos=False), jobs=1)
    row = read_csv(study.out)[1]
    assert (row["ovrl"], row["pesq"], row["estoi"]) == ("", "", "0.0")
    assert read_csv(study.out)[0]["pesq"] != ""
    assert list(row) == COLUMNS


def test_a_silent_clean_clip_has_no_si_snr() -> None:
    from ndns.score.clip import measure

    noise = 0.01 * np.random.default_rng(0).standard_normal(32_000)
    row = measure(noise, np.zeros(32_000), noise, Score(dnsmos=False))
    assert row == dict.fromkeys(QUALITY)


def test_processes_change_nothing(study) -> None:
    settings = Score(dnsmos=False)
    alone = score_study(study.mix, study.denoised, study.out, settings, jobs=1)
    one = study.out.read_bytes()
    together = score_study(study.mix, study.denoised, study.out, settings, jobs=2)
    assert together == alone
    assert study.out.read_bytes() == one


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("part", ["denoised", "noisy", "clean"])
def test_a_tampered_clip_is_named_and_nothing_is_written(study, part: str, jobs: int) -> None:
    folder = study.denoised.parent / "clips" if part == "denoised" else study.mix.parent / "val" / part
    path = folder / "val_00001.flac"
    pcm = read_pcm16(path)
    pcm[1000] += 1
    write_pcm16(path, pcm)
    with pytest.raises(UserError, match=rf"{part if part != 'denoised' else 'clips'}/val_00001\.flac: the samples"):
        score_study(study.mix, study.denoised, study.out, QUICK, jobs)
    assert not study.out.exists()


def test_another_length_names_both_files(study) -> None:
    short = read_pcm16(study.denoised.parent / "clips" / "val_00002.flac")[:-10]
    replace_audio(study, "val_00002", short, restate=True)
    with pytest.raises(UserError, match=r"clips/val_00002\.flac has 31990 .*clean/val_00002\.flac has 32000"):
        score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)


def test_an_interrupted_call_goes_on_where_it_stopped(study, monkeypatch) -> None:
    scored: list[str] = []
    real = module.measure

    def stops_at_the_third(denoised, clean, noisy, settings):
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.append("once")
        return real(denoised, clean, noisy, settings)

    monkeypatch.setattr(module, "measure", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)
    assert not study.out.exists()
    journal = study.out.with_name("scores.csv.journal")
    journal.write_text(journal.read_text(encoding="utf-8") + '{"key": "cut sho', encoding="utf-8")

    again: list[np.ndarray] = []

    def counts(denoised, clean, noisy, settings):
        again.append(clean)
        return real(denoised, clean, noisy, settings)

    monkeypatch.setattr(module, "measure", counts)
    resumed = score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)
    assert len(again) == 1
    assert np.array_equal(again[0], study.signals["val_00002"]["clean"])
    assert sorted(path.name for path in study.out.parent.iterdir()) == ["scores.csv"]
    assert resumed == score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)


def test_what_is_kept_is_not_used_for_other_settings(study, monkeypatch) -> None:
    real = module.measure
    calls: list[Score] = []

    def stops_at_the_third(denoised, clean, noisy, settings):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(settings)
        return real(denoised, clean, noisy, settings)

    monkeypatch.setattr(module, "measure", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)
    monkeypatch.setattr(module, "measure", real)
    rows = score_study(study.mix, study.denoised, study.out, QUICK.model_copy(update={"estoi": True}), jobs=1)
    assert all(row["estoi"] is not None for row in rows)


def test_manifests_that_do_not_belong_together(study) -> None:
    rows = read_csv(study.denoised)
    write_csv(study.denoised, rows[:2], list(rows[0]))
    with pytest.raises(UserError, match=r"manifest\.csv: the clip 'val_00002' of .*val\.csv is missing"):
        score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)
    write_csv(study.denoised, [*rows, {**rows[0], "clip": "val_00009"}], list(rows[0]))
    with pytest.raises(UserError, match=r"'val_00009' is not in .*different mixtures"):
        score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)
    (study.denoised.parent / "clips" / "val_00000.flac").unlink()
    write_csv(study.denoised, rows, list(rows[0]))
    with pytest.raises(UserError, match=r"val_00000\.flac: no such recording"):
        score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)
