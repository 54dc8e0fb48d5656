"""Segments are the samples that a decoder of whole recordings gives."""

import numpy as np
import pytest

from ndns.audio.io import read
from ndns.errors import UserError
from ndns.mixing.corpus import read_corpus
from ndns.mixing.draw import Segment
from ndns.mixing.sources import Sources

from .conftest import Corpus, noise_like


def sources_of(manifest, split="train"):
    corpus = read_corpus(manifest)
    recordings = corpus.pools[split].by_path()
    return Sources(corpus.root, recordings), recordings, corpus.root


@pytest.mark.parametrize("path", ["anna/1.flac", "ben/1.flac", "cleo/1.flac", "noise/rain1.wav"])
def test_segments_equal_the_whole_recording(corpus, path):
    sources, recordings, root = sources_of(corpus.manifest)
    whole = read(root / path)
    end = recordings[path].samples
    assert len(whole) >= end
    for start, stop in ((0, end), (777, 9_001), (end - 5, end)):
        segments = (Segment(path, start, stop), Segment("silence", 0, 30), Segment(path, 3, 4))
        expected = np.concatenate([whole[start:stop], np.zeros(30), whole[3:4]])
        assert np.array_equal(sources.join(segments), expected)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
def test_windows_of_long_recordings_equal_the_whole(tmp_path, rate, monkeypatch):
    monkeypatch.setattr("ndns.mixing.sources.LONG_SECONDS", 2)
    corpus, rng = Corpus(tmp_path), np.random.default_rng(0)
    corpus.add("long.wav", "noise", "n", "train", np.clip(noise_like(rng, rate, 6.37), -1, 1), rate)
    sources, recordings, root = sources_of(corpus.save().manifest)
    whole, end = read(root / "long.wav"), recordings["long.wav"].samples
    for start, stop in ((0, 4_000), (31_234, 60_001), (end - 12_345, end), (0, end)):
        part = sources.join((Segment("long.wav", start, stop),))
        assert len(part) == stop - start
        assert np.abs(part - whole[start:stop]).max() < 2e-6


def test_a_resampled_recording_is_decoded_once(corpus, monkeypatch):
    calls = []
    monkeypatch.setattr("ndns.mixing.sources.read", lambda path: calls.append(path) or read(path))
    sources, _, _ = sources_of(corpus.manifest)
    for start in range(0, 9_000, 1_000):
        sources.join((Segment("ben/1.flac", start, start + 500),))
    assert len(calls) == 1


def test_a_recording_that_changed_its_length_is_named(tmp_path):
    corpus = Corpus(tmp_path)
    corpus.add("x.wav", "noise", "n", "train", np.zeros(16_000))
    corpus.save().add("x.wav", "noise", "n", "train", np.zeros(15_000))
    sources, _, _ = sources_of(corpus.manifest)
    with pytest.raises(UserError, match=r"x\.wav: its length is not what the corpus manifest says"):
        sources.join((Segment("x.wav", 0, 100),))
