"""Weights by URL and hash, from a server of this machine."""

import functools
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.peer.weights import COLUMNS, TABLE, fetch_weights

CONTENT = bytes(range(256)) * 40


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "net.bin").write_bytes(CONTENT)
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def table(tmp_path, url: str, file: str = "a/net.bin", sha256: str = hashlib.sha256(CONTENT).hexdigest()):
    path = tmp_path / "weights.csv"
    write_csv(path, [{"file": file, "url": url, "sha256": sha256, "licence": "MIT"}], list(COLUMNS))
    return path


def test_a_file_is_fetched_once_and_then_there(tmp_path, server):
    root = tmp_path / "root"
    assert fetch_weights(root, table(tmp_path, f"{server}/net.bin")) == {"a/net.bin": "fetched"}
    assert (root / "a/net.bin").read_bytes() == CONTENT
    gone = table(tmp_path, "http://127.0.0.1:1/gone")
    assert fetch_weights(root, gone) == {"a/net.bin": "there"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sha256": "0" * 64}, "expected 0000.*nothing was kept"),
        ({"url": "/absent.bin"}, "cannot be fetched .*not found.*save it as"),
        ({"url": "http://127.0.0.1:1/x"}, "cannot be fetched"),
        ({"url": "file:///etc/hostname"}, "neither http nor https"),
        ({"file": "../net.bin"}, "a path below the folder"),
    ],
)
def test_wrong_answers_leave_nothing(tmp_path, server, wrong, said):
    url = wrong.pop("url", "/net.bin")
    path = table(tmp_path, url if ":" in url else server + url, **wrong)
    with pytest.raises(UserError, match=said):
        fetch_weights(tmp_path / "root", path)
    assert not [file for file in tmp_path.rglob("*.bin") if "served" not in file.parts]


@pytest.mark.parametrize(("row", "column"), [("a.bin,,00,MIT", "url"), (",http://127.0.0.1:1/x,00,MIT", "file")])
def test_an_empty_cell_is_named(tmp_path, row, column):
    path = tmp_path / "weights.csv"
    path.write_text(",".join(COLUMNS) + f"\n{row}\n")
    with pytest.raises(UserError, match=rf"weights\.csv:2: {column} is empty; each file needs file, url, sha256"):
        fetch_weights(tmp_path / "root", path)


def test_another_file_in_its_place_is_named(tmp_path, server):
    (tmp_path / "root/a").mkdir(parents=True)
    (tmp_path / "root/a/net.bin").write_bytes(b"other")
    with pytest.raises(UserError, match=r"a/net\.bin: has the SHA-256 .*move it away"):
        fetch_weights(tmp_path / "root", table(tmp_path, f"{server}/net.bin"))


def test_the_table_and_the_study_of_peers_agree(request):
    listed = {row["file"]: row["sha256"] for row in read_csv(TABLE, COLUMNS)}
    models = yaml.safe_load((request.config.rootpath / "config/peers.yaml").read_text())["models"].values()
    assert {model["weights"]: model["sha256"] for model in models if "weights" in model} == listed
    assert all(row["url"].startswith("https://") and row["licence"] for row in read_csv(TABLE))
