"""Sounds from Debian's packages: what the table says comes out, and nothing else is taken."""

import csv
import hashlib
import io
import shutil
import subprocess
import tarfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ndns.config import FolderCorpus
from ndns.corpus import folder
from ndns.errors import UserError
from ndns.sounds.build import build
from ndns.sounds.deb import extract
from ndns.sounds.table import read_packages, read_sounds

DATA = Path(__file__).parents[2] / "data"
HEADER = "file,kind,label,package,member,start,seconds,license,attribution,sha256\n"
RNG = np.random.default_rng(5)
WIND = RNG.integers(-9000, 9000, 32000).astype(np.int16) + np.int16(500)
HUM = np.rint(8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16)


def sound(samples, rate):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


FILES = {"./usr/share/x/wind.wav": sound(WIND, 16000), "./usr/share/x/hum.wav": sound(HUM, 8000)}


def part(name, data):
    """One member of an `ar` archive, as ar(5) lays it out."""
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)


def deb(path, files, links=(), kind="xz"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{kind}") as archive:
        root = tarfile.TarInfo("./")
        root.type = tarfile.DIRTYPE
        archive.addfile(root)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, target in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    parts = ("debian-binary", b"2.0\n"), ("control.tar.gz", b"odd"), (f"data.tar.{kind}", packed.getvalue())
    path.write_bytes(b"!<arch>\n" + b"".join(part(*of) for of in parts))
    return path


def scaled(signal):
    """What the corpus holds of a signal at 16 kHz."""
    signal = np.asarray(signal, dtype=np.float64)
    signal = signal - signal.mean()
    return np.rint(signal / np.abs(signal).max() * 0.7 * 32768).astype("<i2")


EXPECTED = scaled(WIND[4000:20000])


@pytest.fixture
def case(tmp_path):
    """A package, its tables, and a call that builds the corpus from them."""

    class Case:
        debs, out = tmp_path / "debs", tmp_path / "out"
        table, packages = tmp_path / "sounds.csv", tmp_path / "packages.csv"
        path = debs / "x-data_1%3a2.0~b-1_all.deb"
        rows = (
            f"noise/wind.flac,noise,wind,x-data,usr/share/x/wind.wav,0.25,1,CC0,Ann,"
            f"{hashlib.sha256(EXPECTED.tobytes()).hexdigest()}",
        )

        def write(self, digest=None):
            digest = digest or hashlib.sha256(self.path.read_bytes()).hexdigest()
            self.table.write_text(HEADER + "\n".join(self.rows) + "\n")
            self.packages.write_text(f"package,version,sha256\nx-data,1:2.0~b-1,{digest}\n")

        def build(self):
            return build(self.debs, self.out, self.table, self.packages)

        def made(self):
            return sorted(path.relative_to(self.out).as_posix() for path in self.out.rglob("*"))

    case = Case()
    case.debs.mkdir()
    deb(case.path, FILES, links=[("./usr/share/x/link.wav", "wind.wav")])
    case.write()
    return case


def test_the_result_is_what_the_table_says(case):
    made = case.build()
    assert (made.recordings, made.seconds, made.other) == (1, 1.0, ())
    assert case.made() == ["MANIFEST.csv", "noise", "noise/wind.flac"]
    samples, rate = soundfile.read(case.out / "noise/wind.flac", dtype="int16")
    assert rate == 16000
    assert np.array_equal(samples, EXPECTED)
    with open(case.out / "MANIFEST.csv", newline="") as handle:
        (row,) = csv.DictReader(handle)
    assert row["sha256"] == hashlib.sha256((case.out / "noise/wind.flac").read_bytes()).hexdigest()
    assert (row["split"], row["kind"], row["label"], row["license"]) == ("train", "noise", "wind", "CC0")
    assert (row["source_repo"], row["source_commit"]) == ("debian/x-data", "1:2.0~b-1")
    assert row["attribution"].startswith("Ann; modified: ")
    settings = FolderCorpus(kind="folder", name="x", root=str(case.out), manifest="MANIFEST.csv")
    (recording,), _ = folder.build(settings, case.out.parent / "corpus", 1)
    assert (recording.status, recording.seconds, recording.licence) == ("ok", 1.0, "CC0")


def test_pieces_are_joined_in_their_order_at_one_rate(case):
    case.rows = [
        "noise/j.flac,noise,mix,x-data,usr/share/x/hum.wav,0.5,0.5,CC0,Ann,00",
        "noise/j.flac,noise,mix,x-data,usr/share/x/wind.wav,1,0.5,CC0,Ann,00",
    ]
    case.write()
    assert case.build().other == ("noise/j.flac",), "samples other than the table's are told"
    samples, _ = soundfile.read(case.out / "noise/j.flac")
    assert len(samples) == 16000
    assert np.argmax(np.abs(np.fft.rfft(samples[:8000]))) == 220, "440 Hz in 0.5 s, now at 16 kHz"
    second = WIND[16000:24000].astype(float)
    assert np.corrcoef(samples[8000:], second)[0, 1] > 0.9999


def test_a_flipped_byte_is_refused_by_name_before_anything_is_written(case):
    data = bytearray(case.path.read_bytes())
    data[-100] ^= 1
    case.path.write_bytes(data)
    with pytest.raises(UserError, match=r"SHA-256 of x-data_1%3a2\.0~b-1_all\.deb differs"):
        case.build()
    assert not case.out.exists()


def test_an_absent_package_is_named_with_the_command_that_gets_it(case):
    case.path.unlink()
    with pytest.raises(UserError, match=r"lacks x-data_1%3a2.*apt-get download x-data=1:2\.0~b-1$"):
        case.build()
    assert not case.out.exists()


@pytest.mark.parametrize("name", ["../../evil.wav", "/etc/evil.wav", "./usr/../../evil.wav"])
def test_a_package_with_a_path_that_leaves_the_folder_is_refused(case, name):
    deb(case.path, {name: b"evil", **FILES})
    case.write()
    with pytest.raises(UserError, match=r"x-data.*: the path .*evil\.wav' leaves the folder"):
        case.build()
    assert case.made() == []


@pytest.mark.parametrize(
    ("member", "reason"), [("usr/share/x/link.wav", "is no regular file"), ("usr/share/x/no.wav", "has no file")]
)
def test_links_and_absent_members_are_refused(case, member, reason):
    case.rows = [case.rows[0].replace("usr/share/x/wind.wav", member)]
    case.write()
    with pytest.raises(UserError, match=reason):
        case.build()
    assert case.made() == []


@pytest.mark.parametrize("cut", [3, 100, 400, 20000])
def test_a_package_that_is_cut_short_is_refused_even_if_its_hash_is_right(case, cut):
    case.path.write_bytes(case.path.read_bytes()[:cut])
    case.write()
    with pytest.raises(UserError, match=r"x-data.*: (not a Debian package|corrupt or cut short|has no part data)"):
        case.build()
    assert case.made() == []


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("noise/wind.flac", "../wind.flac", "leaves the folder"),
        ("noise/wind.flac", "noise/wind.mp3", "expected a .flac file"),
        (",noise,wind", ",music,wind", "expected a .flac file"),
        ("x-data", "y-data", "'y-data' is not in the table of packages"),
        ("usr/share", "../usr/share", "leaves the folder"),
        ("0.25", "-1", "are no stretch"),
        ("0.25", "inf", "are no stretch"),
        (",1,CC0", ",inf,CC0", "are no stretch"),
        (",1,CC0", ",1e-9,CC0", "noise/wind.flac: is silent"),
        (",1,CC0", ",x,CC0", "are no stretch"),
        (",1,CC0", ",9,CC0", "ends before 9.25 s"),
    ],
)
def test_a_wrong_cell_is_named(case, old, new, reason):
    case.rows = [case.rows[0].replace(old, new)]
    case.write()
    with pytest.raises(UserError, match=reason):
        case.build()
    assert case.made() == []


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs Debian's dpkg-deb")
def test_a_package_made_by_dpkg_is_unpacked_as_dpkg_does(tmp_path):
    tree = tmp_path / "tree"
    for name, data in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "DEBIAN").mkdir()
    control = "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n"
    (tree / "DEBIAN/control").write_text(control)
    for kind in ("xz", "gzip"):
        path = tmp_path / f"{kind}.deb"
        subprocess.run(["dpkg-deb", f"-Z{kind}", "--build", tree, path], check=True, capture_output=True)
        subprocess.run(["dpkg-deb", "-x", path, tmp_path / f"{kind}.theirs"], check=True)
        (tmp_path / f"{kind}.ours").mkdir()
        extract(path, [name.removeprefix("./") for name in FILES], tmp_path / f"{kind}.ours")
        for name in FILES:
            ours, theirs = (tmp_path / f"{kind}.{who}" / name for who in ("ours", "theirs"))
            assert ours.read_bytes() == theirs.read_bytes()


def test_the_shipped_tables_hold_variety_and_nothing_of_the_validation():
    packages = read_packages(DATA / "debian_packages.csv")
    sounds = read_sounds(DATA / "debian_sounds.csv", packages)
    voices = read_sounds(DATA / "debian_speech.csv", packages)
    assert {sound.package for sound in sounds + voices} == packages.keys()
    seconds = {"noise": defaultdict(float), "speech": defaultdict(float)}
    for sound in sounds + voices:
        seconds[sound.kind][sound.label] += sum(piece.seconds for piece in sound.pieces)
        assert sound.licence
        assert sound.attribution
        assert sound.file.startswith(f"{sound.kind}/")
    assert len(sounds + voices) == len({sound.sha256 for sound in sounds + voices}) > 1500
    assert {sound.kind for sound in sounds} == {"noise"}
    assert sum(seconds["noise"].values()) > 3600
    assert seconds["noise"]["music"] < 0.1 * sum(seconds["noise"].values())
    assert {sound.kind for sound in voices} == {"speech"}
    assert seconds["speech"].keys() == {"words", "dialogue"}
    assert min(seconds["speech"].values()) > 1000
    members = " ".join(piece.member.lower() for sound in sounds for piece in sound.pieces)
    assert not [word for word in ("bird", "clock", "rooster", "chicken", "thunder") if word in members]
