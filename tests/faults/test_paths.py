"""A folder where a file belongs, or the other way round: one sentence, exit code 2, nothing written."""

import pytest

from .conftest import call

GIVEN_FOLDER = [
    "score show {folder}",
    "score run --mix {folder} --out {out}",
    "score compare {folder} {folder}",
    "mix plan --settings {{}} --manifest {folder} --out {out}",
    "mix audit --plan {folder} --manifest {folder} --out {out}",
    "board audit --table {folder}",
    "board run --study-name s --mix {folder} --scores a={folder} --out {out}",
    "cost published --out {folder}",
]


@pytest.mark.parametrize("words", GIVEN_FOLDER)
def test_a_folder_where_a_file_belongs(tmp_path, monkeypatch, capsys, words):
    folder = tmp_path / "folder"
    folder.mkdir()
    code = call(words.format(folder=folder, out=tmp_path / "out").split(), monkeypatch)
    told = capsys.readouterr().err
    assert code == 2, told
    assert told.count("\n") == 1, told
    assert f"{folder}: is a folder; name a file." in told
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


@pytest.mark.parametrize(
    "words", ["board show {file}", "mix export --mix {file}/val.csv --out {out}", "cost published --out {file}/t.csv"]
)
def test_a_file_where_a_folder_belongs(tmp_path, monkeypatch, capsys, words):
    file = tmp_path / "file"
    file.write_text("x")
    code = call(words.format(file=file, out=tmp_path / "out").split(), monkeypatch)
    told = capsys.readouterr().err
    assert code == 2, told
    assert ".part" not in told
    assert "passes through a file as if it were a folder; mend the path." in told
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]
