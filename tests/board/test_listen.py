"""What one hears and sees of single clips in the report: players and spectrograms."""

import base64
import io
from dataclasses import replace
from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ndns.audio.io import read_pcm16, write_pcm16
from ndns.audio.spectrogram import decibels
from ndns.board import listen, sections
from ndns.board.report import render
from ndns.config import Board
from ndns.errors import UserError


def sound_of(track) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(track.audio.split(",")[1])), dtype="float64")
    assert rate == 16000
    return samples


def test_players_hold_best_median_worst_with_one_gain(study, evidence):
    leader = sections.leader_of(evidence)
    found = listen.players(evidence, leader, 3)
    gains = leader.quality["si_snri_data"]
    assert [player.rank for player in found] == ["Best", "Median", "Worst"]
    assert [found[0].improvement, found[2].improvement] == [gains.max(), gains.min()]
    assert [track.name for track in found[0].tracks] == ["noisy", "sdnn-seed1", "intel_sdnn", "clean"]
    for player in found:
        factor = 10 ** (player.gain_db / 20)
        files = [player.clip.noisy, *(run.denoised[player.clip.name] for run in evidence.runs), player.clip.clean]
        sounds = [sound_of(track) for track in player.tracks]
        for sound, path in zip(sounds, files, strict=True):
            np.testing.assert_allclose(sound, factor * read_pcm16(path) / 32768, atol=0.51 / 32768)
        assert max(np.abs(sound).max() for sound in sounds) == pytest.approx(0.9, abs=1e-3)


def test_a_system_that_gets_loud_is_played_softer_and_leaves_the_others_alone(study, evidence):
    leader = sections.leader_of(evidence)
    (before,) = listen.players(evidence, leader, 1)
    loud = next(run for run in evidence.runs if run is not leader)
    path = loud.denoised[before.clip.name]
    noise = np.random.default_rng(1).integers(-32768, 32767, len(read_pcm16(path)))
    write_pcm16(path, noise.astype(np.int16))
    (after,) = listen.players(evidence, leader, 1)
    assert after.gain_db == pytest.approx(before.gain_db - 20 * np.log10(2), abs=0.01)
    for old, new in zip(before.tracks, after.tracks, strict=True):
        if new.name != loud.name:
            assert new.softer_db == 0
            assert new.image == old.image
            np.testing.assert_allclose(2 * sound_of(new), sound_of(old), atol=2 / 32768)
    (track,) = (track for track in after.tracks if track.name == loud.name)
    assert track.softer_db == pytest.approx(after.gain_db - 20 * np.log10(0.9), abs=0.01)
    np.testing.assert_allclose(sound_of(track), 0.9 * noise / 32768, atol=1e-4)
    assert f"played {track.softer_db:.0f} dB softer" in render(evidence, Board(players=1))


def test_spectrogram_shows_a_tone_where_it_is(tmp_path):
    tone = np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000)
    tone[8000:] = 0
    picture = np.clip((decibels(tone) + 40) / 70, 0, 1)
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(listen._image_url(picture).split(",")[1])))
    assert pixels.shape[0] == 128
    brightness = pixels[..., :3].sum(axis=2)
    left, right = brightness[:, 20:50].mean(axis=1), brightness[:, 80:].mean(axis=1)
    assert abs((127 - int(left.argmax())) * 8000 / 128 - 2000) <= 63
    assert left.max() > 1.5
    assert right.max() < 0.1


def test_a_missing_or_shortened_clip_is_named(study, evidence):
    clip = listen.players(evidence, evidence.runs[0], 1)[0].clip
    path = evidence.runs[1].denoised[clip.name]
    write_pcm16(path, read_pcm16(path)[:-7])
    with pytest.raises(UserError, match=rf"{clip.name}.flac: has 23993 samples but its mixture 24000"):
        render(evidence, Board(players=1))
    path.unlink()
    with pytest.raises(UserError, match=rf"{clip.name}.flac: no such recording"):
        render(evidence, Board(players=1))


@pytest.mark.parametrize("count", [1, 6])
def test_report_stays_below_ten_megabytes_with_long_noise(count, evidence):
    noise = np.random.default_rng(0).integers(-20000, 20000, 30 * 16000).astype(np.int16)
    for clip in evidence.clips:
        for path in (clip.noisy, clip.clean, *(run.denoised[clip.name] for run in evidence.runs)):
            write_pcm16(path, noise)
    clips = [replace(clip, seconds=30.0) for clip in evidence.clips]
    html = render(replace(evidence, clips=clips), Board(players=count))
    assert 1e6 * count < len(html) < 10e6
    assert "of 30.0 s" in html


@given(st.lists(st.one_of(st.floats(-20, 20), st.just(float("nan"))), min_size=1, max_size=30), st.integers(0, 8))
def test_ranks_run_from_best_to_worst(values, count):
    array = np.array(values)
    chosen = listen.ranks(array, count)
    finite = array[np.isfinite(array)]
    assert len(chosen) == min(count, len(finite))
    indices = [index for _, index in chosen]
    assert len(set(indices)) == len(indices)
    assert all(array[a] >= array[b] for a, b in pairwise(indices))
    if len(chosen) > 1:
        assert (array[indices[0]], array[indices[-1]]) == (finite.max(), finite.min())
    elif len(chosen) == 1:
        assert abs((finite > array[indices[0]]).sum() - (finite < array[indices[0]]).sum()) <= max(
            1, (finite == array[indices[0]]).sum()
        )
