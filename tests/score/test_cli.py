import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.score.cli import app
from ndns.score.scores import COLUMNS, read_scores
from ndns.score.tables import compare

QUICK = '{"dnsmos": false, "pesq": false, "estoi": false}'


def table(path: Path, si_snr: list[float], **changes: object) -> Path:
    rows = [
        {"clip": f"c{index}", "snr_db": 2.0 * index, "level_dbfs": -20, "noise_label": "fan", "si_snr": value}
        for index, value in enumerate(si_snr)
    ]
    write_csv(path, [{column: row.get(column) for column in COLUMNS} | changes for row in rows], COLUMNS)
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})
    if result.exception:
        raise result.exception
    return result.stdout


def test_run_prints_the_means(study) -> None:
    output = run("run", "--mix", study.mix, "--denoised", study.denoised, "--out", study.out, "--settings", QUICK)
    mean = sum(row["si_snr"] for row in read_scores(study.out)) / 3
    line = next(line for line in output.splitlines() if "SI-SNR, dB" in line)
    assert f"{mean:.3f}" in line
    assert "PESQ" not in output


def test_run_in_a_process_of_its_own_with_two_jobs(study) -> None:
    """Spawned workers must not run the command again."""
    command = "import sys; from ndns.score.cli import app; app()"
    arguments = ["run", "--mix", study.mix, "--out", study.out, "--settings", QUICK, "--jobs", "2"]
    done = subprocess.run([sys.executable, "-c", command, *map(str, arguments)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(read_scores(study.out)) == 3
    assert done.stdout.count("SI-SNR, dB") == 1


def test_show_breaks_a_metric_down(tmp_path) -> None:
    output = run("show", table(tmp_path / "a.csv", [1, 2, 3, 4]), "--metric", "si_snr")
    line = next(line for line in output.splitlines() if "5 to 10" in line)
    assert "4.000" in line
    with pytest.raises(UserError, match="--metric pesq: no such score"):
        run("show", tmp_path / "a.csv", "--metric", "pesq")


def test_names_with_brackets_and_colons_are_printed_as_they_are(tmp_path) -> None:
    name = "a[old].csv"
    output = run("show", table(tmp_path / name, [1, 2], noise_label="fan [slow] :bell: [/x]"))
    assert name in output.replace("\n", "")
    assert "fan [slow] :bell: [/x]" in output


def test_a_column_of_ones_own_is_left_alone(tmp_path) -> None:
    path = table(tmp_path / "a.csv", [1, 2])
    rows = [row | {"team": "mine"} for row in read_csv(path)]
    write_csv(path, rows, [*COLUMNS, "team"])
    assert [row["si_snr"] for row in read_scores(path)] == [1, 2]


def test_compare_prints_difference_and_p(tmp_path) -> None:
    first = table(tmp_path / "a.csv", [1, 2, 3, 4, 5, 6, 7, 8])
    second = table(tmp_path / "b.csv", [2, 3, 4, 5, 6, 7, 8, 9.5])
    line = next(line for line in run("compare", first, second).splitlines() if "SI-SNR, dB" in line)
    assert [cell for cell in ("4.500", "5.562", "+1.062", "0.0078") if cell not in line] == []


def test_compare_refuses_different_clips_and_mixtures(tmp_path) -> None:
    first = table(tmp_path / "a.csv", [1, 2, 3])
    names = (first, tmp_path / "b.csv")
    with pytest.raises(UserError, match=r"b\.csv: the clip 'c2' of .*a\.csv is missing"):
        compare(read_scores(first), read_scores(table(names[1], [1, 2])), names)
    with pytest.raises(UserError, match=r"a\.csv: the clip 'c3' of .*b\.csv is missing"):
        compare(read_scores(first), read_scores(table(names[1], [1, 2, 3, 4])), names)
    with pytest.raises(UserError, match=r"b\.csv: noise_label of clip 'c0' .*different mixtures"):
        compare(read_scores(first), read_scores(table(names[1], [1, 2, 3], noise_label="rain")), names)


def test_compare_leaves_out_what_only_one_table_has(tmp_path) -> None:
    first = table(tmp_path / "a.csv", [1, 2], pesq=2.0)
    second = table(tmp_path / "b.csv", [1, 2], estoi=0.5)
    assert list(compare(read_scores(first), read_scores(second), (first, second))) == ["si_snr"]


def test_score_tables_that_cannot_be_read(tmp_path) -> None:
    path = table(tmp_path / "a.csv", [1, 2])
    rows = read_csv(path)
    write_csv(path, [rows[0], rows[0]], COLUMNS)
    with pytest.raises(UserError, match=r"a\.csv: the clip 'c0' is there twice"):
        read_scores(path)
    write_csv(path, [{**rows[0], "si_snr": "high"}], COLUMNS)
    with pytest.raises(UserError, match=r"a\.csv: si_snr of clip 'c0' is 'high', not a number"):
        read_scores(path)
    for word, cells in (("many", len(COLUMNS) + 1), ("few", len(COLUMNS) - 1)):
        path.write_text(",".join(COLUMNS) + "\nc9" + "," * (cells - 1) + "\n")
        with pytest.raises(UserError, match=rf"a\.csv: line 2 has too {word} cells; mend the row"):
            read_scores(path)
    write_csv(path, [], COLUMNS)
    with pytest.raises(UserError, match=r"a\.csv: holds no clip"):
        read_scores(path)


def test_two_folders_need_no_command(study, tmp_path, monkeypatch) -> None:
    """`ndns score DENOISED CLEAN --noisy NOISY` writes <DENOISED>_scores.csv here."""
    monkeypatch.chdir(tmp_path)
    clips, val = study.denoised.parent / "clips", study.mix.parent / "val"
    output = run(clips, val / "clean", "--noisy", val / "noisy", "--settings", QUICK, "--jobs", "1")
    rows = read_scores(tmp_path / "clips_scores.csv")
    assert len(rows) == 3
    assert all(row["si_snri_data"] == pytest.approx(10.46, abs=0.3) for row in rows)
    assert "clips_scores.csv" in output
    with pytest.raises(UserError, match="absent: no such folder"):
        run(tmp_path / "absent", val / "clean")
