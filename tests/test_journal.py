"""Journal: one that is torn never lies."""

from hypothesis import given
from hypothesis import strategies as st

from ndns.journal import Journal

names = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), min_size=1, max_size=30)


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
