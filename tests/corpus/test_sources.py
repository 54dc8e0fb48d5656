"""Listing recordings: folder rules, manifests, paths that try to leave, and whole-label splits."""

import csv
import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndns.corpus.sources import Source, assign_splits, from_folders, from_manifest
from ndns.errors import UserError


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def table(root, rows, header=("file", "split", "kind", "label", "license")):
    with open(root / "m.csv", "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(header)
        writer.writerows(rows)


def test_folder_names_give_kind_label_and_split(tmp_path):
    expected = {
        "Speech/anna/x/1.wav": ("speech", "anna", ""),
        "a/clean/19-198-0000.FLAC": ("speech", "19", ""),
        "a/noise/rain_01.ogg": ("noise", "rain", ""),
        "noise/dog/noise/2.wav": ("noise", "dog", ""),
        "train/clean/bob/1.wav": ("speech", "bob", "train"),
        "noise/VAL/wind/1.wav": ("noise", "wind", "val"),
        "noise/-odd.wav": ("noise", "-odd", ""),
    }
    ignored = ("music/1.wav", "top.wav")
    touch(tmp_path, *expected, *ignored, "noise/readme.txt", ".git/clean/a.wav", "clean/._mac.wav")
    sources, count = from_folders(tmp_path)
    assert {source.path: (source.kind, source.label, source.split) for source in sources} == expected
    assert count == len(ignored)


def test_manifest_takes_speech_and_noise_and_counts_the_rest(tmp_path):
    touch(tmp_path, "a.wav", "b.wav", "d.wav")
    rows = [
        ("a.wav", "train", "speech", "s", "CC0,\nby me"),
        ("./b.wav", "", "noise", "n", ""),
        ("d.wav", "", "digit", "", ""),
    ]
    table(tmp_path, rows)
    sources, ignored = from_manifest(tmp_path, "m.csv")
    assert sources == [Source("a.wav", "speech", "s", "train", "CC0, by me"), Source("b.wav", "noise", "n")]
    assert ignored == 1


def test_manifest_without_split_and_licence_columns(tmp_path):
    touch(tmp_path, "a.wav")
    table(tmp_path, [("a.wav", "speech", "s")], header=("file", "kind", "label"))
    assert from_manifest(tmp_path, "m.csv")[0] == [Source("a.wav", "speech", "s")]


def test_a_manifest_that_is_not_there_says_what_else_would_do(tmp_path):
    with pytest.raises(UserError, match=r"MANIFEST\.csv: no such file; write it, or set corpus\.manifest to null"):
        from_manifest(tmp_path, "MANIFEST.csv")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("absent.wav", "", "speech", "s", ""), "absent.wav.*does not exist"),
        (("../out.wav", "", "speech", "s", ""), r"\.\./out\.wav.*leaves"),
        (("x/../../out.wav", "", "speech", "s", ""), "leaves"),
        (("/etc/passwd", "", "noise", "s", ""), "/etc/passwd.*leaves"),
        (("link.wav", "", "noise", "s", ""), r"link\.wav.*link"),
        (("linked/out.wav", "", "noise", "s", ""), r"linked/out\.wav.*link"),
        (("loop.wav", "", "noise", "s", ""), r"loop\.wav"),
        ((f"{'a' * 300}.wav", "", "noise", "s", ""), "does not exist"),
        (("a.wav", "test", "noise", "s", ""), "split 'test'"),
        (("a.wav", "", "noise", "", ""), "label is empty"),
        (("", "", "noise", "s", ""), "file is empty"),
        (("a.wav", "", "noise", "a\rb", ""), "carriage return"),
    ],
)
def test_bad_rows_are_refused_by_name(tmp_path, row, message):
    root = tmp_path / "root"
    touch(tmp_path, "out.wav", "root/a.wav")
    (root / "link.wav").symlink_to(tmp_path / "out.wav")
    (root / "linked").symlink_to(tmp_path)
    (root / "loop.wav").symlink_to(root / "loop.wav")
    table(root, [row])
    with pytest.raises(UserError, match=message):
        from_manifest(root, "m.csv")


def test_a_file_named_twice_is_refused(tmp_path):
    touch(tmp_path, "a.wav")
    table(tmp_path, [("a.wav", "", "noise", "s", ""), ("./a.wav", "", "noise", "t", "")])
    with pytest.raises(UserError, match="twice"):
        from_manifest(tmp_path, "m.csv")


@pytest.mark.parametrize("name", ["absent.csv", "../m.csv", "/etc/passwd"])
def test_a_manifest_that_is_absent_or_outside_is_refused(tmp_path, name):
    root = tmp_path / "root"
    root.mkdir()
    table(tmp_path, [])
    with pytest.raises(UserError, match=os.path.basename(name)):
        from_manifest(root, name)


@pytest.mark.parametrize("link", ["clean/link.wav", "clean/linked"])
def test_a_link_out_of_the_tree_is_refused(tmp_path, link):
    root = tmp_path / "root"
    touch(tmp_path, "out.wav", "root/clean/a.wav")
    (root / link).symlink_to(tmp_path / "out.wav" if link.endswith("wav") else tmp_path)
    with pytest.raises(UserError, match=link):
        from_folders(root)


def test_links_within_the_tree_are_followed_for_files(tmp_path):
    touch(tmp_path, ".store/1", "other/2.wav")
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean/a.wav").symlink_to(tmp_path / ".store/1")
    assert [source.path for source in from_folders(tmp_path)[0]] == ["clean/a.wav"]


def test_a_linked_folder_is_refused_rather_than_passed_over(tmp_path):
    touch(tmp_path, ".store/anna/1.wav", "clean/ben/2.wav")
    (tmp_path / "clean/anna").symlink_to(tmp_path / ".store/anna")
    with pytest.raises(UserError, match="clean/anna: is a link to a folder"):
        from_folders(tmp_path)


def test_a_folder_that_cannot_be_read_is_named_rather_than_passed_over(tmp_path, monkeypatch):
    touch(tmp_path, "clean/anna/1.wav", "clean/ben/2.wav")
    original = os.scandir

    def scandir(path):
        if str(path).endswith("anna"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match=r"clean/anna: cannot be read \(Permission denied\)"):
        from_folders(tmp_path)


def test_names_that_no_table_can_hold_are_refused(tmp_path):
    (tmp_path / "clean").mkdir()
    open(os.fsencode(tmp_path) + b"/clean/\xff.wav", "wb").close()
    with pytest.raises(UserError, match="UTF-8"):
        from_folders(tmp_path)


@given(st.lists(st.sampled_from(["a", "..", ".", "b c", "ü"]), min_size=1, max_size=6))
def test_no_path_with_dots_leaves_the_root(tmp_path_factory, parts):
    root = tmp_path_factory.mktemp("root")
    path = "/".join([*parts, "x.wav"])
    table(root, [(path, "", "noise", "n", "")])
    message = "leaves" if ".." in parts else "does not exist"
    with pytest.raises(UserError, match=message):
        from_manifest(root, "m.csv")


labels = st.sampled_from([f"label{number}" for number in range(12)])
some_sources = st.lists(
    st.builds(Source, st.uuids().map(str), st.sampled_from(["speech", "noise"]), labels), max_size=60
)


@given(some_sources, st.integers(0, 2**32), st.floats(0.01, 0.99), st.randoms(use_true_random=False))
def test_whole_labels_are_drawn_whatever_the_order(sources, seed, share, random):
    drawn = assign_splits(sources, seed, share)
    splits = {}
    for source in drawn:
        assert splits.setdefault((source.kind, source.label), source.split) == source.split
    for kind in ("speech", "noise"):
        of_kind = [split for (k, _), split in splits.items() if k == kind]
        if len(of_kind) > 1:
            assert abs(of_kind.count("val") - share * len(of_kind)) <= 1
            assert {"train", "val"} == set(of_kind)
        else:
            assert of_kind in ([], ["train"])
    shuffled = random.sample(sources, len(sources))
    by_path = {source.path: source for source in assign_splits(shuffled, seed, share)}
    assert [by_path[source.path] for source in drawn] == drawn


def test_the_seed_changes_the_draw():
    sources = [Source(str(number), "speech", f"s{number}") for number in range(40)]
    draws = {tuple(source.split for source in assign_splits(sources, seed, 0.5)) for seed in range(5)}
    assert len(draws) == 5


def test_written_splits_stay_and_cover_their_whole_label():
    sources = [Source("1", "speech", "a", "val"), Source("2", "speech", "a"), Source("3", "noise", "a", "train")]
    assert [source.split for source in assign_splits(sources, 1, 0.5)] == ["val", "val", "train"]
    assert [source.split for source in assign_splits(sources[1::-1], 1, 0.5)] == ["val", "val"]


def test_a_label_in_both_splits_is_refused():
    with pytest.raises(UserError, match="'a' is in both splits"):
        assign_splits([Source("1", "speech", "a", "val"), Source("2", "speech", "a", "train")], 1, 0.5)


def test_one_label_spelled_twice_is_one_speaker(tmp_path):
    """A blank at the end, or an accent of its own as macOS writes it, would put one speaker in both splits."""
    spellings = ["Jos\u00e9 Luis", "Jose\u0301 Luis", " Jos\u00e9  Luis "]
    names = [f"{number}.wav" for number in range(len(spellings))]
    touch(tmp_path, *names, *(f"speech/{spelling.strip()}/a.wav" for spelling in spellings[:2]))
    table(tmp_path, [(name, "", "speech", spelling, "") for name, spelling in zip(names, spellings, strict=True)])
    for sources, _ in (from_manifest(tmp_path, "m.csv"), from_folders(tmp_path)):
        assert {source.label for source in sources} == {"Jos\u00e9 Luis"}
    table(tmp_path, [("0.wav", "train", "speech", "bob", ""), ("1.wav", "val", "speech", "bob ", "")])
    with pytest.raises(UserError, match="'bob' is in both splits"):
        assign_splits(from_manifest(tmp_path, "m.csv")[0], seed=1, val_share=0.2)
    table(tmp_path, [("0.wav", "train", "speech", " ", "")])
    with pytest.raises(UserError, match="recording 1: label is empty"):
        from_manifest(tmp_path, "m.csv")
