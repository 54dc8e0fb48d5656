"""Synthetic speakers: distinct, disjoint by split, and without memory of what was spoken before."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndns.corpus import grammar, voices
from ndns.corpus.voices import ACCENTS, HIGH, LOW, Utterance, speak, speakers
from ndns.errors import UserError

SENTENCE = Utterance("gmw/en-GB-x-rp+f2", "The quiet farmer carried a basket across the frozen river.", 160, 50, 50)


@given(st.integers(0, 2**32), st.integers(3, voices.MAX_SPEAKERS))
def test_splits_share_no_voice(seed, count):
    cast = speakers(seed, count)
    every = cast["train"] + cast["val"]
    assert len(every) == count
    assert len({(s.accent, s.variant) for s in every}) == count
    assert len({s.label for s in every}) == count
    assert not {s.variant for s in cast["train"]} & {s.variant for s in cast["val"]}
    assert len(cast["val"]) == pytest.approx(0.2 * count, abs=1)
    assert all(re.fullmatch(r"[a-z0-9-]+", s.label) for s in every)


def test_more_speakers_keep_those_there_were():
    few, many = speakers(1, 10), speakers(1, 60)
    for split in few:
        assert many[split][: len(few[split])] == few[split]


def test_default_cast_has_high_and_low_voices_in_both_splits():
    for group in speakers(1, 24).values():
        assert {s.variant for s in group} & set(HIGH)
        assert {s.variant for s in group} & set(LOW)


def test_too_many_speakers_are_refused():
    with pytest.raises(UserError, match=r"corpus\.voices"):
        speakers(1, voices.MAX_SPEAKERS + 1)


def test_whisper_is_not_among_the_variants():
    assert not [name for name in HIGH + LOW if "whisper" in name or "klatt" in name]
    assert len(set(HIGH + LOW)) == len(HIGH + LOW)


def test_sentences_are_varied_and_repeat_with_the_seed():
    texts = [grammar.text(np.random.default_rng(seed), 8) for seed in range(400)]
    assert texts == [grammar.text(np.random.default_rng(seed), 8) for seed in range(400)]
    assert len(set(texts)) == 400
    words = set(re.findall(r"[a-z']+", " ".join(texts).lower()))
    assert len(words) > 400
    assert all(len(text.split()) >= 8 and text[0].isupper() and text[-1] in ".?!" for text in texts)
    assert not [text for text in texts if "{" in text or "}" in text]


def test_speech_is_speech():
    signal = speak(SENTENCE)
    assert 2 < len(signal) / 16_000 < 6
    frames = signal[: len(signal) // 320 * 320].reshape(-1, 320)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-10)
    assert np.subtract(*np.percentile(level, [95, 5])) > 15
    loud = frames[level > level.max() - 15]
    voiced = 0
    for frame in loud:
        correlation = np.correlate(frame, frame, "full")[319:]
        voiced += correlation[40:270].max() > 0.5 * correlation[0]  # a pitch of 60 to 400 Hz
    assert voiced > 0.5 * len(loud)


def test_same_utterance_same_samples_whatever_was_spoken_before():
    first = speak(SENTENCE)
    other = speak(replace(SENTENCE, voice="gmw/en-US+m3", text="Why did nobody answer?", pitch=70))
    assert len(other) != len(first)
    np.testing.assert_array_equal(speak(SENTENCE), first)


@pytest.mark.parametrize(
    "change", [{"rate": 130}, {"pitch": 70}, {"pitch_range": 10}, {"voice": "gmw/en-GB-x-rp+m3"}, {"text": "Good day."}]
)
def test_every_setting_of_an_utterance_is_heard(change):
    first, other = speak(SENTENCE), speak(replace(SENTENCE, **change))
    assert len(first) != len(other) or np.abs(first - other).max() > 0.01


def test_all_accents_and_variants_exist_and_differ():
    short = Utterance("", "Oh dear.", 170, 50, 50)
    heard = {}
    for number, variant in enumerate(HIGH + LOW):
        signal = speak(replace(short, voice=f"gmw/{ACCENTS[number % len(ACCENTS)]}+{variant}"))
        assert 0.05 < np.abs(signal).max() < 1
        heard[variant] = signal.tobytes()
    assert len(set(heard.values())) == len(heard)


def test_a_failing_synthesizer_is_named():
    with pytest.raises(UserError, match=r"espeakng-loader.*gmw/en-nowhere"):
        speak(replace(SENTENCE, voice="gmw/en-nowhere"))


def test_resampling_keeps_the_pass_band_and_removes_images():
    time_in, time_out = np.arange(22_050) / 22_050, np.arange(16_000) / 16_000
    for hz in (200, 1000, 4000, 7000):
        out = voices.resample(np.sin(2 * np.pi * hz * time_in))
        expected = np.sin(2 * np.pi * hz * time_out)
        assert len(out) == 16_000
        assert np.abs(out - expected)[500:-500].max() < 1e-3
    for hz in (8200, 9500, 10_900):
        assert np.abs(voices.resample(np.sin(2 * np.pi * hz * time_in)))[500:-500].max() < 5e-4


def test_child_needs_nothing_but_the_standard_library():
    source = open(voices.espeak_child.__file__, encoding="utf-8").read()  # noqa: SIM115
    imports = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE))
    assert imports == {"ctypes", "json", "sys"}


def test_speaking_needs_no_package_on_the_path(monkeypatch):
    ran = []
    original = subprocess.run
    monkeypatch.setattr(voices.subprocess, "run", lambda command, **kw: ran.append(command) or original(command, **kw))
    speak(SENTENCE)
    assert ran[0][1:3] == ["-I", "-S"]


def test_a_missing_synthesizer_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="espeakng-loader is not installed"):
        voices.engine.__wrapped__()
