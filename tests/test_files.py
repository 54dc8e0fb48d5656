"""Tables and JSON that are not what they should be: one sentence that names file, line and mend."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ndns.errors import UserError
from ndns.files import held, read_columns, read_csv, read_json, read_number, write_text


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("1,2\n3", "line 3 has too few cells"),
        ("1,2\n\n3,4,5", "line 4 has too many cells"),
        ("1", "line 2 has too few"),
    ],
)
def test_a_row_of_another_length_is_named(tmp_path, rows, says):
    table = tmp_path / "t.csv"
    table.write_text(f"a,b\n{rows}\n")
    with pytest.raises(UserError, match=rf"t\.csv: {says}.*mend the row"):
        read_csv(table)


def test_empty_lines_empty_cells_and_quoted_breaks_are_a_tables_own(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text('a,b\n\n1,\n"2\n3",4\n')
    assert read_csv(table, ["b"]) == [{"a": "1", "b": ""}, {"a": "2\n3", "b": "4"}]


def test_the_mark_with_which_spreadsheets_begin_a_table_is_no_part_of_it(tmp_path):
    table = tmp_path / "a.csv"
    table.write_bytes(b"\xef\xbb\xbffile,label\r\nx.wav,\xc3\xbc\r\n")
    assert read_csv(table, ["file"]) == [{"file": "x.wav", "label": "ü"}]
    assert list(read_columns(table, ["label", "file"])) == [("ü", "x.wav")]


def test_what_is_no_number_is_named():
    assert read_number("-1.5e2", "t.csv", "a") == -150.0
    with pytest.raises(UserError, match=r"t\.csv: a: '1,5' is not a number; mend it"):
        read_number("1,5", "t.csv", "a")


@pytest.mark.parametrize(("bytes_", "says"), [(b"{", "not JSON"), (b"\xff", "not JSON"), (None, "no such file")])
def test_what_is_no_json_is_named(tmp_path, bytes_, says):
    path = tmp_path / "c.json"
    if bytes_ is not None:
        path.write_bytes(bytes_)
    with pytest.raises(UserError, match=rf"c\.json: {says}"):
        read_json(path)


@pytest.mark.parametrize("name", ["a" * 251 + ".csv", "é" * 125 + ".csv"])
def test_a_name_as_long_as_the_file_system_bears_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_is_not_utf_8_is_named(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16_000)
    (tmp_path / "a.wav").rename(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    ndns = Path(sys.executable).with_name("ndns")
    done = subprocess.run([ndns, "score", tmp_path, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("caf\\udce9.wav': the name is not UTF-8; rename the file.\n")


def test_a_lock_file_keeps_others_out_and_bears_a_disk_without_locks(tmp_path, held_elsewhere, monkeypatch):
    path = tmp_path / "deep" / "lock"
    with held_elsewhere(path), pytest.raises(UserError, match="somebody else"), held(path, "somebody else"):
        pytest.fail("two hold it")
    with held(path, "somebody else"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="passes through a file"), held(tmp_path / "file" / "lock", "somebody else"):
        pytest.fail("there is no such folder")

    def lockless(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "lockf", lockless)
    entered = []
    with held(path, "somebody else"):
        entered.append(True)
    assert entered
