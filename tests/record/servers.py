"""Real servers on loopback that hold a DVC remote; each is taken down with its test."""

import contextlib
import functools
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

SECONDS = 20
"""Patience with a server that starts."""


@dataclass(frozen=True)
class Remote:
    """A remote as its users configure it.

    Attributes:
        url: for `dvc remote add`.
        options: for `dvc remote modify --local`: passwords, keys, ports.
        objects: names of what the server holds.
        spoil: changes one of these on the server.
    """

    url: str
    options: dict[str, str] = field(default_factory=dict)
    objects: Callable[[], list[str]] = list
    spoil: Callable[[str], None] = print


def in_folder(folder: Path, url: str, **options: str) -> Remote:
    """A remote whose server keeps its objects in a folder."""

    def objects() -> list[str]:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def spoil(name: str) -> None:
        (folder / name).chmod(0o644)
        (folder / name).write_bytes(b"spoiled")

    return Remote(url, options, objects, spoil)


def needs(package: str) -> None:
    """Skip where an optional package is not installed."""
    if find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed; envs/remotes.txt has it")


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until a server takes connections."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and alive():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"the server on port {port} does not answer")


@contextmanager
def local(folder: Path) -> Iterator[Remote]:
    """A folder of this machine."""
    yield in_folder(folder / "store", str(folder / "store"))


@contextmanager
def http(folder: Path) -> Iterator[Remote]:
    """A static server of the standard library; it takes nothing."""
    (folder / "store").mkdir()
    handler = functools.partial(Silent, directory=str(folder / "store"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield in_folder(folder / "store", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


class Silent(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def webdav(folder: Path) -> Iterator[Remote]:
    """WsgiDAV behind a password."""
    needs("dvc_webdav")
    needs("wsgidav")
    from cheroot.wsgi import Server
    from wsgidav.wsgidav_app import WsgiDAVApp

    (folder / "store").mkdir()
    port = free_port()
    users = {"*": {"reader": {"password": "open sesame"}}}
    settings = {"provider_mapping": {"/": str(folder)}, "simple_dc": {"user_mapping": users}, "verbose": 0}
    server = Server(("127.0.0.1", port), WsgiDAVApp(settings))
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    yield in_folder(folder / "store", f"webdav://127.0.0.1:{port}/store", user="reader", password="open sesame")
    server.stop()


@contextmanager
def s3(folder: Path) -> Iterator[Remote]:
    """An S3 server: moto's."""
    needs("dvc_s3")
    needs("moto")
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"access_key_id": "reader", "secret_access_key": "sesame"}
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", **{f"aws_{key}": value for key, value in keys.items()}
    )
    client.create_bucket(Bucket="bucket")

    def objects() -> list[str]:
        found = client.list_objects_v2(Bucket="bucket", Prefix="store/").get("Contents", [])
        return sorted(item["Key"] for item in found)

    def spoil(name: str) -> None:
        client.put_object(Bucket="bucket", Key=name, Body=b"spoiled")

    yield Remote("s3://bucket/store", {"endpointurl": address, "region": "us-east-1", **keys}, objects, spoil)
    server.stop()


@contextmanager
def ssh(folder: Path) -> Iterator[Remote]:
    """OpenSSH's server with a key of its own, for the present user."""
    needs("dvc_ssh")
    program = shutil.which("sshd", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if program is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed (Debian: openssh-server)")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates privileges; Debian's unit makes it
    folder.chmod(0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'user.pub'}\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "Subsystem sftp internal-sftp\n"
    )
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
    try:
        answers(port, lambda: server.poll() is None)
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{folder / 'store'}"
        yield in_folder(folder / "store", url, keyfile=str(folder / "user"), allow_agent="false")
    finally:
        server.terminate()
        server.wait()
