"""Manifest and journal: what is written comes back, and a torn journal never lies."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.errors import UserError
from ndns.journal import Journal
from ndns.mixing import manifest
from ndns.mixing.manifest import Recording

names = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), min_size=1, max_size=30)
recordings = st.builds(
    Recording,
    path=names,
    kind=st.sampled_from(manifest.KINDS),
    label=names,
    split=st.sampled_from(manifest.SPLITS),
    seconds=st.none() | st.floats(0, 1e6),
    rate=st.none() | st.integers(1, 400_000),
    channels=st.none() | st.integers(1, 64),
    licence=names,
    sha256=st.text(string.hexdigits, max_size=64),
    status=st.sampled_from((manifest.OK, *manifest.BAD)),
)


@settings(max_examples=40)
@given(st.lists(recordings, max_size=5, unique_by=lambda recording: recording.path))
def test_any_names_come_back_sorted_and_counted(tmp_path_factory, rows):
    out = tmp_path_factory.mktemp("manifest")
    manifest.write(out, rows, "some root", "folder")
    assert manifest.read(out / "manifest.csv") == sorted(rows, key=lambda row: row.path)
    summary = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert summary["root"] == "some root"
    assert summary["recordings"] == sum(row.status == "ok" for row in rows)
    assert summary["recordings"] + sum(summary["skipped"].values()) == len(rows)
    assert "ok" not in summary["skipped"]


def test_column_order_is_the_documented_one(tmp_path):
    manifest.write(tmp_path, [], ".", "speak")
    header = "path,kind,label,split,seconds,rate,channels,licence,sha256,status\n"
    assert (tmp_path / "manifest.csv").read_text() == header


def test_manifest_without_a_column_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,kind\n")
    with pytest.raises(UserError, match="label"):
        manifest.read(tmp_path / "manifest.csv")


def _note(path, entries):
    with Journal(path, {name for name, _ in entries}) as journal:
        for number, (name, key) in enumerate(entries):
            journal.add(name, key, {"number": number})


@given(st.lists(st.tuples(names, st.sampled_from("ab")), min_size=1, max_size=4, unique_by=lambda e: e[0]), st.data())
def test_a_torn_journal_keeps_only_true_entries_and_goes_on(tmp_path_factory, entries, data):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    _note(path, entries)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    lines = path.read_bytes().count(b"\n")
    keep = {name for name, _ in entries} | {"new"}
    with Journal(path, keep) as journal:
        for number, (name, key) in enumerate(entries):
            assert journal.get(name, key) in (None, {"number": number})
            assert journal.get(name, "other key") is None
            if number < lines:
                assert journal.get(name, key) == {"number": number}
        journal.add("new", "k", {"number": 99})
    with Journal(path, keep) as journal:
        assert journal.get("new", "k") == {"number": 99}


def test_paths_that_no_longer_matter_are_dropped(tmp_path):
    _note(tmp_path / "j", [("old", "k"), ("kept", "k")])
    journal = Journal(tmp_path / "j", {"kept"})
    assert journal.dropped == ["old"]
    assert journal.get("old", "k") is None
    assert journal.get("kept", "k") == {"number": 1}
