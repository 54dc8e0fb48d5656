"""Recordings, folders, labels and texts with names that are shell commands, markup or odd text, through everything."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from ndns import cli

pytestmark = pytest.mark.workflow
NAMES = [
    "a; rm -rf $HOME.wav",
    "$(touch pwned).wav",
    "`touch pwned`.wav",
    "-rf.wav",
    "--help.wav",
    "two  words .wav",
    "quote'and\"double.wav",
    "new\nline.wav",
    "语音 🎤 é é.wav",
    "{input}{0}%s.wav",
    "a&touch pwned&>pwned.wav",
    "<img src=x onerror=alert(1)>.wav",
]
LABELS = [
    "a; touch pwned",
    "$(touch pwned)",
    "<script>alert(1)",
    "quote'\"",
    "zwei\nzeilen",
    "-rf",
    "{run}",
    "=1+1",
]
"""Speakers and noise types; they are folders too, so that none holds a slash."""
STUDY = {
    "study": "names",
    "corpus": {"kind": "folder", "name": "odd", "root": "set by corpus_root"},
    "mix": {"train_clips": 1, "val_clips": 6, "seconds": 1.0},
    "models": {
        "copy": {"peer": "command", "command": ["cp", "{input}", "{output}"], "note": "$(touch pwned) {input} '\""}
    },
    "score": {"dnsmos": False, "pesq": False},
    "board": {"team": "`touch pwned`; $(touch pwned) \"'", "players": 1},
}


def clip(seed, seconds=1.5):
    """Noise in bursts, which stands for speech as for noise."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * 16000)) / 16000
    return (rng.normal(size=len(times)) * (0.3 + (np.sin(2 * np.pi * 3 * times) > 0)) * 2000).astype(np.int16)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and a file that the first name would remove."""
    folder = tmp_path / "home"
    folder.mkdir()
    for path in (folder / "keep", tmp_path / "home.wav"):
        path.write_text("here")
    monkeypatch.setenv("HOME", str(folder))
    yield folder
    assert (folder / "keep").read_text() == "here"
    assert (tmp_path / "home.wav").read_text() == "here"
    assert [path for path in tmp_path.rglob("*") if path.name == "pwned"] == []


def corpus(root):
    """Recordings under all names, in folders of all labels; return their paths below the root."""
    paths = []
    for kind, offset in (("speech", 0), ("noise", 100)):
        for number, name in enumerate([*NAMES, "b.wav", "c.wav", "d.wav", "e.wav"]):
            label = LABELS[number % len(LABELS)]
            folder = root / ("val" if number % len(LABELS) % 2 else "train") / kind / label
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / name, clip(offset + number), 16000, subtype="PCM_16")
            paths.append((folder / name).relative_to(root).as_posix())
    return paths


def table(path):
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_odd_names_go_from_recordings_to_the_report(bare, home, tmp_path):
    root = tmp_path / "set; touch pwned $(touch pwned) 'q' \"d\" é"
    paths = corpus(root)
    checkout = bare.copy(tmp_path / "a checkout $(touch pwned); é")
    (checkout.folder / "names.yaml").write_text(yaml.safe_dump(STUDY))
    call = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "names.yaml"]
    result = checkout.run(call, HOME=str(home), NDNS_CORPUS_ROOT=str(root))
    assert result.returncode == 0, result.stdout + result.stderr
    manifest = table(checkout.folder / "data/odd/manifest.csv")
    assert sorted(row["path"] for row in manifest) == sorted(paths)
    assert {row["status"] for row in manifest} == {"ok"}
    spelled = {" ".join(label.split()) for label in LABELS}
    assert "zwei zeilen" in spelled
    assert {row["label"] for row in manifest} == spelled
    results = checkout.folder / "results" / "names"
    heard = {row["noise_label"] for row in table(results / "score/copy/scores.csv")}
    assert len(heard) > 1
    assert heard < spelled
    assert heard == {row["noise_label"] for row in table(results / "mix/val.csv")}
    planned = " ".join(row["speech"] + row["noise"] for row in table(results / "mix/plan.csv"))
    assert sum(Path(path).name in planned for path in paths) > 4
    report = (results / "board/report.html").read_text()
    assert "<script>alert" not in report
    assert "<img src=x" not in report


def ndns(monkeypatch, *words):
    """Run `ndns` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["ndns", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


def test_odd_names_through_denoise_and_score(complete, home, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in; touch pwned"
    folder.mkdir()
    names = [name for name in NAMES if not name.startswith("-")]
    for number, name in enumerate(NAMES):
        soundfile.write(folder / name, clip(number), 16000, subtype="PCM_16")
    program = complete.folder / "results/tiny/quantize/sdnn-seed1/program.net"
    assert ndns(monkeypatch, "denoise", "--model", program, folder, "out $(touch pwned)") == 0, capfd.readouterr().err
    made = tmp_path / "out $(touch pwned)"
    assert sorted(os.listdir(made)) == sorted(NAMES)
    for name in NAMES:
        assert len(soundfile.read(made / name)[0]) == len(clip(0))
    os.chdir(folder)
    assert ndns(monkeypatch, "denoise", "--model", program, "--", "-rf.wav", "--out.wav") == 0
    assert Path("--out.wav").read_bytes() == (made / "-rf.wav").read_bytes()
    Path("--out.wav").unlink()
    os.chdir(tmp_path)
    settings = '{"dnsmos": false, "pesq": false}'
    scores = tmp_path / "scores; touch pwned.csv"
    words = ["score", "folder", made, folder, "--noisy", folder, "--out", scores, "--settings", settings, "--jobs", 1]
    assert ndns(monkeypatch, *words) == 0, capfd.readouterr().err
    assert sorted(row["clip"] for row in table(scores)) == sorted(Path(name).stem for name in NAMES)
    assert names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('study: !!python/object/apply:os.system ["touch pwned"]', "not valid YAML"),
        ("study: 'a; touch pwned'", "study: use small letters"),
        ("study: ../../elsewhere", "study: use small letters"),
        ("study: a\nmodels: {'$(touch pwned)': {peer: noisereduce}}", "use small letters"),
        ("study: a\ncorpus: {kind: speak, name: '../x'}\nmodels: {m: {peer: noisereduce}}", "corpus.name"),
        ("study: a\nmodels: {m: {peer: python, callable: 'os.system(\"touch pwned\")'}}", "callable"),
    ],
)
def test_settings_run_no_code(bare, home, tmp_path, monkeypatch, capfd, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    monkeypatch.chdir(bare.folder)
    assert ndns(monkeypatch, "verify", "--study", tmp_path / "bad.yaml") == 2
    assert message in capfd.readouterr().err
    assert not (bare.folder / "pwned").exists()


def test_values_of_the_command_line_run_no_code(bare, home, tmp_path):
    checkout = bare.copy(tmp_path / "checkout")
    (checkout.folder / "names.yaml").write_text(yaml.safe_dump(STUDY))
    value = "$(touch pwned); `touch pwned`"
    call = [sys.executable, "-m", "snakemake", "data/odd/manifest.csv", "--cores", "1", "--configfile", "names.yaml"]
    result = checkout.run([*call, "--config", f"corpus_root={value}"], HOME=str(home))
    assert result.returncode != 0
    assert f"corpus.root: {value} is not a folder" in result.stdout + result.stderr


def test_a_pickle_with_code_is_refused_whatever_it_is_called(home, tmp_path, monkeypatch, capfd):
    """Weights whose hash fits run nothing; weights whose hash does not fit are not even opened."""
    monkeypatch.chdir(tmp_path)
    evil = tmp_path / "evil.pt"
    evil.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    for words in (
        ["quantize", "--import", evil, "--out", "a.net"],
        ["quantize", "--import", evil, "--sha256", "0" * 64, "--out", "a.net"],
        ["quantize", "--checkpoint", evil, "--out", "a.net"],
        ["denoise", "--model", evil, tmp_path / "home.wav", "out.wav"],
    ):
        assert ndns(monkeypatch, *words) == 2, words
        assert "evil.pt" in capfd.readouterr().err
    assert not Path("a.net").exists()
