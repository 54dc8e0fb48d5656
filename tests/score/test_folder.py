from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from ndns.config import Score
from ndns.errors import UserError
from ndns.score.folder import score_folder
from ndns.score.scores import COLUMNS, read_scores
from ndns.score.tables import delay_note

QUICK = Score(dnsmos=False, pesq=False, estoi=False)


@pytest.fixture
def folders(study, tmp_path: Path) -> dict[str, Path]:
    """Wavs of the study's clips under their own names."""
    places = {part: tmp_path / f"wav_{part}" for part in ("denoised", "clean", "noisy")}
    for part, place in places.items():
        place.mkdir()
        for clip, signals in study.signals.items():
            soundfile.write(place / f"{clip}.wav", signals[part], 16_000)
    return places


def score(folders: dict[str, Path], settings: Score = QUICK, **options) -> list[dict[str, object]]:
    out = folders["clean"].parent / "out.csv"
    return score_folder(folders["denoised"], folders["clean"], folders["noisy"], out, settings, jobs=1, **options)


def test_a_folder_scores_as_the_study_does(study, folders) -> None:
    from ndns.score.study import score_study

    expected = score_study(study.mix, study.denoised, study.out, QUICK, jobs=1)
    rows = score(folders)
    for row, reference in zip(rows, expected, strict=True):
        assert row["clip"] == reference["clip"]
        for metric in ("si_snr", "si_snri_data", "si_snri_encdec"):
            assert row[metric] == pytest.approx(reference[metric], abs=1e-3)
        assert row["delay_samples"] == 0
    text = (folders["clean"].parent / "out.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0].split(",") == COLUMNS
    assert len(read_scores(folders["clean"].parent / "out.csv")) == 3


def test_without_noisy_only_the_gains_are_empty(folders) -> None:
    rows = score(folders | {"noisy": None})
    assert all(row["si_snri_data"] is None and row["si_snri_encdec"] is None for row in rows)
    assert all(row["si_snr"] > 0 for row in rows)


def test_any_rate_and_channel_count(study, folders) -> None:
    before = score(folders)
    for clip, signals in study.signals.items():
        fast = soxr.resample(signals["denoised"], 16_000, 44_100, quality="VHQ")
        soundfile.write(folders["denoised"] / f"{clip}.wav", np.stack([fast, fast], axis=1), 44_100, subtype="FLOAT")
    for row, reference in zip(score(folders), before, strict=True):
        assert row["si_snr"] == pytest.approx(reference["si_snr"], abs=0.5)


def test_a_late_system_is_measured_aligned_too(study, folders) -> None:
    prompt = score(folders)
    for clip, signals in study.signals.items():
        late = np.concatenate([np.zeros(320), signals["denoised"][:-320]])
        soundfile.write(folders["denoised"] / f"{clip}.wav", late, 16_000)
    rows = score(folders)
    assert [row["delay_samples"] for row in rows] == [320, 320, 320]
    for row, reference in zip(rows, prompt, strict=True):
        assert row["si_snr_aligned"] == pytest.approx(reference["si_snr"], abs=0.3)
        assert row["si_snr"] < reference["si_snr"] - 3
    assert "3 of 3 clips are late by 320 samples (median, 20.0 ms)" in delay_note(rows)


def test_no_note_without_delay(folders) -> None:
    assert delay_note(score(folders)) is None


def test_the_challenge_s_file_names_match_by_their_id(folders) -> None:
    for part, pattern in (("denoised", "book_a_fan_snr5_tl-20_fileid_{}"), ("clean", "clean_fileid_{}")):
        for path in sorted(folders[part].iterdir()):
            path.rename(path.with_name(pattern.format(int(path.stem[-5:])) + ".wav"))
    rows = score(folders | {"noisy": None})
    assert [row["clip"] for row in rows] == ["fileid_0", "fileid_1", "fileid_2"]
    assert all(row["si_snr"] > 5 for row in rows)


def test_names_that_do_not_match(folders) -> None:
    lost = folders["clean"] / "val_00001.wav"
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(UserError, match=r"wav_clean: no file for .*val_00001\.wav \(1 of 3 in .*--partial"):
        score(folders)
    assert [row["clip"] for row in score(folders, partial=True)] == ["val_00000", "val_00002"]
    (folders["clean"] / "val_00001.flac").write_bytes(content)
    (folders["clean"] / "val_00000.ogg").write_bytes(content)
    with pytest.raises(UserError, match=r"val_00000\.wav and .*val_00000\.ogg are both the clip"):
        score(folders)


def test_no_name_in_common_and_empty_or_missing_folders(folders, tmp_path) -> None:
    for path in folders["denoised"].iterdir():
        path.rename(path.with_name(f"out_{path.name}"))
    with pytest.raises(UserError, match=r"no name is in every folder: compare .*out_val_00000\.wav"):
        score(folders)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="nothing: holds no recording"):
        score(folders | {"clean": tmp_path / "nothing"})
    with pytest.raises(UserError, match="absent: no such folder"):
        score(folders | {"clean": tmp_path / "absent"})


def test_folders_and_links_called_as_recordings(folders, tmp_path) -> None:
    path = folders["denoised"] / "val_00001.wav"
    with pytest.raises(UserError, match=r"val_00001\.wav: is no folder; name the one"):
        score(folders | {"denoised": path})
    (folders["denoised"] / "more.wav").mkdir()
    assert len(score(folders)) == 3
    (folders["denoised"] / "more.flac").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"more\.flac: the link leads nowhere"):
        score(folders)


def test_a_refused_clip_leaves_no_empty_journal(study, folders, tmp_path) -> None:
    soundfile.write(folders["denoised"] / "val_00000.wav", np.full(32_000, np.nan), 16_000, subtype="FLOAT")
    with pytest.raises(UserError, match="NaN"):
        score(folders)
    assert not list(tmp_path.rglob("*.journal"))


def test_lengths(study, folders) -> None:
    path = folders["denoised"] / "val_00001.wav"
    soundfile.write(path, study.signals["val_00001"]["denoised"][:-100], 16_000)
    with pytest.raises(UserError, match=r"denoised/val_00001\.wav has 31900 .*clean/val_00001\.wav has 32000.*--trim"):
        score(folders)
    rows = score(folders, trim=True)
    assert rows[1]["si_snr"] == pytest.approx(rows[0]["si_snr"], abs=10)


def test_less_than_a_sample_is_named(folders) -> None:
    for part in folders.values():
        soundfile.write(part / "val_00001.wav", [0.5], 48_000)
    with pytest.raises(UserError, match=r"denoised/val_00001\.wav: too short for a sample at 16000 Hz"):
        score(folders)


@pytest.mark.parametrize(
    ("scale", "sentence"), [(32768, "samples reach .*full scale is 1"), (np.nan, "contains NaN or infinite")]
)
def test_samples_that_are_not_scaled_or_not_numbers(study, folders, scale: float, sentence: str) -> None:
    path = folders["denoised"] / "val_00001.wav"
    soundfile.write(path, study.signals["val_00001"]["denoised"] * scale, 16_000, subtype="FLOAT")
    with pytest.raises(UserError, match=rf"val_00001\.wav: {sentence}"):
        score(folders)


def test_beyond_full_scale_is_limited_for_dnsmos_alone(study, folders) -> None:
    path = folders["denoised"] / "val_00001.wav"
    loud = 12 * study.signals["val_00001"]["denoised"]
    soundfile.write(path, loud, 16_000, subtype="FLOAT")
    assert np.abs(loud).max() > 1
    settings = Score(pesq=False, estoi=False)
    row = next(row for row in score(folders, settings) if row["clip"] == "val_00001")
    assert 1 < row["ovrl"] < 5
    soundfile.write(path, np.clip(loud, -1, 1), 16_000, subtype="FLOAT")
    limited = next(row for row in score(folders, settings) if row["clip"] == "val_00001")
    assert limited["ovrl"] == pytest.approx(row["ovrl"], abs=1e-6)
    assert limited["si_snr"] < row["si_snr"] - 0.1
