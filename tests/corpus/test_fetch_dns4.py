"""Labels from DNS-4's names, and the unpacked tree as a corpus."""

from pathlib import PurePosixPath

import numpy as np
import pytest
import soundfile

from ndns.config import AnyCorpus, Study, settings_from, study_from
from ndns.corpus import dns4
from ndns.mixing import manifest


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("read_speech/book_00000_chp_0009_reader_06709_0_seg_1_seg1.wav", "read_speech-reader_06709"),
        ("vctk_wav48_silence_trimmed/p225/p225_001_mic1.wav", "vctk_wav48_silence_trimmed-p225"),
        ("emotional_speech/crema_d/1001_DFA_ANG_XX.wav", "emotional_speech-1001"),
        ("VocalSet_48kHz_mono/f1_arpeggios_straight_a.wav", "VocalSet_48kHz_mono-f1"),
        ("VocalSet_48kHz_mono/odd.wav", "VocalSet_48kHz_mono-singers"),
        ("spanish_speech/SLR61/arf_00295_00012345678.wav", "spanish_speech-arf_00295"),
        (
            "french_speech/M-AILABS_Speech_Dataset/fr_FR_190hrs_16k/female/ezwa/monsieur/wavs/m_1.wav",
            "french_speech-ezwa",
        ),
        (
            "german_speech/M-AILABS_Speech_Dataset/de_DE_16k/mix/book/wavs/b_1.wav",
            "german_speech-M-AILABS_Speech_Dataset/de_DE_16k/mix",
        ),
        (
            "german_speech/CC_BY_SA_4.0_German_Wikipedia_16k/part/x.wav",
            "german_speech-CC_BY_SA_4.0_German_Wikipedia_16k/part",
        ),
        ("german_speech/x.wav", "german_speech-unknown"),
    ],
)
def test_speakers(path, label):
    assert dns4.speaker(PurePosixPath(path)) == label


def test_segments_of_a_noise_recording_share_a_label():
    names = ["fan_Freesound_validated_102686_0.wav", "fan_Freesound_validated_102686_3.wav", "-0A3cKdL0tU.wav"]
    labels = [dns4.noise(PurePosixPath(name)) for name in names]
    assert labels == ["freesound_102686", "freesound_102686", "-0A3cKdL0tU"]


def test_tree_becomes_a_corpus_without_a_speaker_in_both_splits(tmp_path, run):
    generator = np.random.default_rng(0)
    base = tmp_path / "dns/datasets_fullband"
    names = [
        f"clean_fullband/read_speech/book_{b:05d}_chp_0001_reader_{r:05d}_0_seg_1.wav" for r in range(5) for b in (1, 2)
    ]
    names += [f"noise_fullband/door_Freesound_validated_{n}_{s}.wav" for n in range(4) for s in (0, 1)]
    names += ["impulse_responses/SLR26/room.wav", "dev_testset/x.wav"]
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(base / name, 0.1 * generator.standard_normal(4800), 48_000)
    line = run({"kind": "dns4", "name": "d", "root": str(tmp_path / "dns")}, tmp_path / "out")
    rows = manifest.read(tmp_path / "out/manifest.csv")
    assert "ignored: 2" in line
    assert len(rows) == 18
    assert {row.rate for row in rows} == {48_000}
    speech = [row for row in rows if row.kind == "speech"]
    assert {row.label for row in speech} == {f"read_speech-reader_{r:05d}" for r in range(5)}
    for kind, label in {(row.kind, row.label) for row in rows}:
        assert len({row.split for row in rows if (row.kind, row.label) == (kind, label)}) == 1
    assert {row.split for row in speech} == {"train", "val"}


def test_corpus_root_is_the_existing_copy():
    config = {
        "study": "s",
        "corpus": {"kind": "dns4", "name": "d", "root": "data/fetched"},
        "models": {"a": {"seeds": [1]}},
    }
    study = study_from({**config, "corpus_root": "/disk/dns"})
    assert isinstance(study, Study)
    assert study.corpus.root == study.fetch.existing == "/disk/dns"
    assert study_from(config).fetch.existing is None


def test_kind_is_checked():
    section = settings_from('{"kind": "dns4", "name": "d", "root": "r"}', AnyCorpus)
    assert section.kind == "dns4"
