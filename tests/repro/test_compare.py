"""One file against another: every format, every level, and a change of one value in each is caught and named."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ndns.verify.claims import Claim, load_claims
from ndns.verify.compare import compare, compare_hash
from ndns.verify.contents import contents, flattened

CLAIMS = Path(__file__).resolve().parents[2] / "config" / "claims.yaml"


def claim(level, **options):
    return Claim(artifact="x", level=level, why="test", **options)


def pcm(seed=0, frames=800):
    return np.random.default_rng(seed).integers(-3000, 3000, frames).astype(np.int16)


def write(path, value):
    """Write a value in the format that the suffix names."""
    path.parent.mkdir(exist_ok=True)
    if path.suffix in (".flac", ".wav"):
        soundfile.write(path, value, 16_000, subtype="PCM_16")
    elif path.suffix == ".safetensors":
        save_file(value, path, metadata={"ndns": "{}"})
    elif path.suffix == ".npz":
        np.savez(path, **value)
    elif path.suffix == ".net":
        with h5py.File(path, "w") as handle:
            for name, array in value.items():
                handle[name] = array
            handle.attrs["ndns"] = '{"format": 1}'
    elif path.suffix == ".tar":
        with tarfile.open(path, "w") as archive:
            for name, samples in value.items():
                data = io.BytesIO()
                soundfile.write(data, samples, 16_000, format="FLAC", subtype="PCM_16")
                entry = tarfile.TarInfo(name)
                entry.size = len(data.getvalue())
                archive.addfile(entry, io.BytesIO(data.getvalue()))
    elif path.suffix == ".json":
        path.write_text(json.dumps(value))
    else:
        path.write_text(value)
    return path


@pytest.fixture
def against(tmp_path):
    """Write two values and compare them."""

    def run(suffix, recorded, recomputed, with_claim, required=None):
        a, b = write(tmp_path / "a" / f"x{suffix}", recorded), write(tmp_path / "b" / f"x{suffix}", recomputed)
        return compare(a, b, f"x{suffix}", with_claim, required or with_claim.level)

    return run


def changed(array, index=7, by=1):
    array = array.copy()
    array.flat[index] += by
    return array


WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
COUNTS = np.arange(12, dtype=np.int64).reshape(3, 4)
ONE_VALUE = [
    (".flac", pcm(), changed(pcm()), "samples[7, 0]"),
    (".wav", pcm(), changed(pcm()), "samples[7, 0]"),
    (".tar", {"a.flac": pcm(), "b.flac": pcm(1)}, {"a.flac": pcm(), "b.flac": changed(pcm(1))}, "b.flac[7, 0]"),
    (".safetensors", {"w": WEIGHTS}, {"w": changed(WEIGHTS, by=1e-6)}, "w[1, 3]"),
    (".npz", {"events": COUNTS}, {"events": changed(COUNTS)}, "events[1, 3]"),
    (".net", {"layer/weight": COUNTS}, {"layer/weight": changed(COUNTS)}, "layer/weight[1, 3]"),
    (".json", {"a": [{"b": 1.5}]}, {"a": [{"b": 1.25}]}, "a.0.b: 1.5 in the checkout, 1.25 recomputed"),
    (".yml", "- SI-SNR: 1.5\n", "- SI-SNR: 1.25\n", "0.SI-SNR"),
    (
        ".csv",
        "clip,si_snr\nv0,1.0\nv1,2.0\n",
        "clip,si_snr\nv0,1.0\nv1,2.5\n",
        "si_snr of v1: 2.0 in the checkout, 2.5",
    ),
    (".html", "<b>1</b>\n<i>2</i>\n", "<b>1</b>\n<i>3</i>\n", "text of row 2: '<i>2</i>' in the checkout"),
]


@pytest.mark.parametrize("level", ["bytes", "content"])
@pytest.mark.parametrize(("suffix", "recorded", "recomputed", "named"), ONE_VALUE, ids=[case[0] for case in ONE_VALUE])
def test_one_changed_value_is_caught_and_named(against, suffix, recorded, recomputed, named, level):
    outcome = against(suffix, recorded, recomputed, claim(level))
    assert not outcome.holds
    assert outcome.reached is None
    assert any(named in text for text in outcome.differences), outcome.differences


@pytest.mark.parametrize(("suffix", "recorded"), [case[:2] for case in ONE_VALUE], ids=[case[0] for case in ONE_VALUE])
def test_equal_files_reach_bytes(against, suffix, recorded):
    assert against(suffix, recorded, recorded, claim("bytes")).reached == "bytes"


@pytest.mark.parametrize(
    ("suffix", "recorded", "recomputed", "named"),
    [
        (".tar", {"a.flac": pcm(), "b.flac": pcm(1)}, {"a.flac": pcm(1), "b.flac": pcm()}, "a.flac["),
        (".tar", {"a.flac": pcm(), "b.flac": pcm(1)}, {"b.flac": pcm(1), "a.flac": pcm()}, "members of row 1"),
        (".tar", {"a.flac": pcm()}, {"a.flac": pcm(), "b.flac": pcm(1)}, "b.flac: only in the recomputation"),
        (".safetensors", {"w": WEIGHTS, "v": WEIGHTS}, {"w": WEIGHTS}, "v: only in the checkout"),
        (".safetensors", {"w": WEIGHTS}, {"w": WEIGHTS.astype(np.float64)}, "float32 3x4 in the checkout, float64"),
        (".flac", pcm(), pcm(frames=801), "int16 800x1 in the checkout, int16 801x1 recomputed"),
        (".json", {"a": 1}, {"a": 1.0}, "a: "),
        (".json", {"a": None}, {"a": 0}, "a: "),
        (".json", {"a": {}}, {"a": []}, "a: "),
        (".csv", "a,b\n1,2\n", "a,b\n1,2\n3,4\n", "a: 1 rows in the checkout, 2 rows recomputed"),
        (".csv", "a,b\n1,2\n", "a,c\n1,2\n", "b: only in the checkout"),
        (".csv", "a,b,b\n1,9,2\n", "a,b\n1,2\n", "a column is there twice"),
    ],
)
def test_swapped_lost_and_retyped_values_are_caught(against, suffix, recorded, recomputed, named):
    outcome = against(suffix, recorded, recomputed, claim("content"))
    assert outcome.reached is None
    assert any(named in text for text in outcome.differences), outcome.differences


def test_same_content_in_other_bytes_is_content_and_no_more(against, tmp_path):
    samples = pcm()
    for name, level in (("a", 0.0), ("b", 1.0)):
        (tmp_path / name).mkdir(exist_ok=True)
        soundfile.write(tmp_path / name / "x.flac", samples, 16_000, subtype="PCM_16", compression_level=level)
    pair = tmp_path / "a" / "x.flac", tmp_path / "b" / "x.flac"
    assert pair[0].read_bytes() != pair[1].read_bytes()
    assert compare(*pair, "x.flac", claim("content"), "content").reached == "content"
    strict = compare(*pair, "x.flac", claim("bytes"), "bytes")
    assert (strict.reached, strict.holds, strict.differences) == ("content", False, ["same content in other bytes"])
    with zipfile.ZipFile(tmp_path / "a" / "x.npz", "w") as archive, io.BytesIO() as data:
        np.save(data, COUNTS)
        archive.writestr("events.npy", data.getvalue())
    np.savez_compressed(tmp_path / "b" / "x.npz", events=COUNTS)
    assert (
        compare(tmp_path / "a/x.npz", tmp_path / "b/x.npz", "x.npz", claim("content"), "content").reached == "content"
    )


TABLE = "clip,si_snr,noise\nv0,{},pink\nv1,{},pink\n"


@settings(deadline=None)
@given(value=st.floats(-50, 50), gap=st.floats(0, 0.03))
def test_tolerance_is_the_bound(tmp_path_factory, value, gap):
    folder = tmp_path_factory.getbasetemp() / "bound"
    other = value + gap
    texts = TABLE.format("1.0", repr(value)), TABLE.format("1.0", repr(other))
    paths = [write(folder.with_name(f"bound_{name}") / "x.csv", text) for name, text in zip("ab", texts, strict=True)]
    outcome = compare(*paths, "x.csv", claim("tolerance", bounds={"si_snr": 0.01}), "tolerance")
    assert outcome.holds == (abs(other - value) <= 0.01)
    if not outcome.holds:
        assert "si_snr of v1" in outcome.differences[0]
        assert "the claim admits 0.01" in outcome.differences[0]
    elif other != value:
        assert outcome.spread["si_snr"] == abs(other - value)


@pytest.mark.parametrize(
    ("bounds", "old", "new"),
    [
        ({"si_snr": 0.01}, "pink", "engine"),
        ({"si_snr": 0.01}, "v1", "v2"),
        ({"si_snr": 0.01}, "2.0", ""),
        ({"si_snr": 0.01}, "2.0", "nan"),
        ({"noise": 0.01, "si_snr": 0.01}, "pink", "engine"),
        ({"empty": 0.01}, ",\n", ",nan\n"),
        ({"*": "content"}, "2.0", "2.0000001"),
    ],
)
def test_a_tolerance_admits_nothing_else(against, bounds, old, new):
    text = TABLE.format("1.0", "2.0").replace("noise\n", "noise,empty\n").replace("pink\n", "pink,\n")
    outcome = against(".csv", text, text.replace(old, new, 1), claim("tolerance", bounds=bounds))
    assert not outcome.holds
    assert outcome.differences


def test_the_relative_bound_is_for_numbers_without_a_bound(against):
    strict = claim("tolerance", relative=1e-9, bounds={"cycles": "content"})
    values = {"cycles": 7, "energy_j": 2.0, "name": "n"}
    assert against(".json", values, values | {"energy_j": 2.0 * (1 + 5e-10)}, strict).reached == "tolerance"
    assert not against(".json", values, values | {"energy_j": 2.0 * (1 + 5e-9)}, strict).holds
    assert not against(".json", values, values | {"cycles": 8}, strict).holds
    assert not against(".json", values, values | {"name": "m"}, strict).holds


def test_readings_of_a_clock_are_checked_for_form_only(against):
    clock = claim("tolerance", relative=1e-9, bounds={"latency.encdec_ms": "schema"})
    values = {"latency": {"encdec_ms": 0.5}, "steps": 3}
    assert against(".json", values, {"latency": {"encdec_ms": 5.0}, "steps": 3}, clock, "content").reached == "content"
    for wrong in (None, "fast", float("nan"), float("inf"), True):
        outcome = against(".json", values, {"latency": {"encdec_ms": wrong}, "steps": 3}, clock)
        assert not outcome.holds, wrong
        assert "latency.encdec_ms" in outcome.differences[0]
    assert not against(".json", values, {"latency": {"encdec_ms": 5.0}, "steps": 4}, clock).holds


def test_schema_admits_other_numbers_and_no_other_form(against):
    form = claim("schema", bounds={"clip": "content", "*": "schema"})
    text = "clip,sha256,lag\nv0,ab,1\n"
    assert against(".csv", text, text.replace("ab", "cd"), form).reached == "schema"
    for old, new in (("v0", "v1"), (",1\n", ",nan\n"), (",1\n", ",fast\n"), ("lag", "log"), ("v0,ab,1\n", "")):
        assert not against(".csv", text, text.replace(old, new), form).holds, (old, new)


@pytest.mark.parametrize(
    ("recomputed", "passes"),
    [
        ({"a.flac": changed(pcm(), by=2), "b.flac": pcm(1)}, True),
        ({"a.flac": changed(pcm(), by=3), "b.flac": pcm(1)}, False),
        ({"a.flac": pcm(), "c.flac": pcm(1)}, False),
        ({"a.flac": pcm(), "b.flac": pcm(1)[:-1]}, False),
    ],
)
def test_cleaned_speech_may_differ_by_two_steps_and_in_nothing_else(against, recomputed, passes):
    washed = load_claims(CLAIMS).claim("data/few/more/washed/audio.tar", {"cleaned": ["washed"]})
    outcome = against(".tar", {"a.flac": pcm(), "b.flac": pcm(1)}, recomputed, washed, washed.required(False))
    assert (outcome.reached == "tolerance") == passes, outcome


@pytest.mark.parametrize("level", ["schema", "band", "tolerance"])
def test_schema_does_not_admit_empty_cells_for_numbers(against, level):
    options = {"band": {"band": {"column": "val"}}}.get(level, {})
    form = claim(level, bounds={"epoch": "content", "*": "schema"}, **options)
    text = "epoch,val,rate\n1,7.0,0.5\n2,7.1,\n"
    assert against(".csv", text, text.replace("0.5", "0.4"), form).holds
    for old, new in (("0.5", ""), ("7.1,", "7.1,0.4"), ("0.5\n2,7.1,", "\n2,7.1,0.5")):
        for pair in ((text, text.replace(old, new)), (text.replace(old, new), text)):
            outcome = against(".csv", *pair, form)
            assert not outcome.holds, (old, new)
            assert outcome.differences == ["rate: empty cells beside filled ones"]


def test_a_tolerance_does_not_pass_over_the_imaginary_part(against):
    values = WEIGHTS.astype(np.complex64)
    close = claim("tolerance", bounds={"w": 0.01})
    assert not against(".safetensors", {"w": values}, {"w": values + np.complex64(5j)}, close).holds


def test_trained_weights_are_named_where_bytes_are_asked_and_free_where_a_band_is(against):
    band = claim("band", bounds={"*": "schema"}, band={"column": "val_si_snr"})
    pair = {"w": WEIGHTS}, {"w": changed(WEIGHTS, by=1e-6)}
    strict = against(".safetensors", *pair, band, "bytes")
    assert (strict.reached, strict.holds) == ("band", False)
    assert "w[1, 3]" in strict.differences[0]
    free = against(".safetensors", *pair, band)
    assert (free.reached, free.holds, free.differences) == ("band", True, [])
    assert free.spread == {"w": pytest.approx(1e-6, rel=0.1)}


def test_a_hash_stands_for_a_file_that_is_not_stored(tmp_path):
    path = write(tmp_path / "a" / "x.flac", pcm())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert compare_hash(digest, path, "x.flac", claim("content"), "content").reached == "bytes"
    write(path, changed(pcm()))
    wrong = compare_hash(digest, path, "x.flac", claim("content"), "content")
    assert (wrong.holds, wrong.differences) == (False, ["has another hash than the recorded one, which is not stored"])
    path.unlink()
    lost = compare_hash(digest, path, "x.flac", claim("content"), "content")
    assert (lost.holds, lost.differences) == (False, ["absent from the recomputation"])


def test_absent_and_broken_files_are_misses(tmp_path):
    good = write(tmp_path / "a" / "x.flac", pcm())
    for name, where in ((("a", "b"), "absent from the recomputation"), (("b", "a"), "absent in the checkout")):
        outcome = compare(*(tmp_path / part / "x.flac" for part in name), "x.flac", claim("content"), "content")
        assert (outcome.reached, outcome.differences) == (None, [where])
    broken = tmp_path / "broken" / "x.flac"
    broken.parent.mkdir()
    broken.write_bytes(good.read_bytes()[:-300])
    outcome = compare(broken, good, "x.flac", claim("content"), "content")
    assert not outcome.holds
    assert "broken/x.flac" in outcome.differences[0] or "samples" in outcome.differences[0]


SPOILED = [(".npz", {"events": COUNTS}), (".net", {"layer/weight": COUNTS}), (".csv", "clip,noise\nv0,pink\n")]


@pytest.mark.parametrize(("suffix", "value"), SPOILED, ids=[case[0] for case in SPOILED])
def test_a_file_with_spoiled_bytes_is_a_miss_wherever_they_are(tmp_path, suffix, value):
    """Readers fail in many ways: in the list of an archive, in a checksum, in a tree of HDF5, by a cell of any size."""
    good = write(tmp_path / "a" / f"x{suffix}", value)
    data, bad = good.read_bytes(), tmp_path / f"x{suffix}"
    spoiled = [data[:length] for length in range(0, len(data), 41)]
    spoiled += [bytes([*data[:at], data[at] ^ 0xFF, *data[at + 1 :]]) for at in range(0, len(data), 7)]
    for content in [*spoiled, data + b"x" * 200_000]:
        bad.write_bytes(content)
        assert not compare(bad, good, bad.name, claim("bytes"), "bytes").holds


def test_samples_of_another_rate_are_others(tmp_path):
    paths = [write(tmp_path / name / "x.tar", {"a.flac": pcm()}) for name in "ab"]
    with tarfile.open(paths[1], "w") as archive, io.BytesIO() as data:
        soundfile.write(data, pcm(), 8000, format="FLAC", subtype="PCM_16")
        entry = tarfile.TarInfo("a.flac")
        entry.size = len(data.getvalue())
        data.seek(0)
        archive.addfile(entry, data)
    outcome = compare(*paths, "x.tar", claim("content"), "content")
    assert outcome.differences == ["a.flac@rate: 16000 in the checkout, 8000 recomputed"]


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, evil=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "y.npz", evil=np.array([1]))
    outcome = compare(path, tmp_path / "y.npz", "x.npz", claim("content"), "content")
    assert not outcome.holds
    assert "allow_pickle=False" in outcome.differences[0]


def test_a_link_in_an_archive_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        entry = tarfile.TarInfo("a.flac")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(Exception, match=r"'a\.flac' is neither file nor folder"):
        contents(tmp_path / "x.tar")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1, max_size=2), inner, max_size=3)
    ),
)


@given(JSON, JSON)
def test_flattening_keeps_differences(a, b):
    assert (repr(flattened(a)) == repr(flattened(b))) == (repr(a) == repr(b) or flattened(a) == flattened(b))
    assert len(flattened(a)) >= 1
