"""Manifest: what is written comes back."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.errors import UserError
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
