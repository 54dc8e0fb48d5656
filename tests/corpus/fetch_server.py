"""A server on the loopback that misbehaves on demand."""

import re
import socketserver
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Faults:
    """What goes wrong with one file; counts fall as faults happen.

    Attributes:
        drops: answers that end after `after` bytes.
        then: lengths that take turns with `after`.
        wrong: answers with one byte flipped.
        busy: answers 503.
        ranges: whether byte ranges are honoured.
        status: answer this instead of the file.
        length: announce this size instead of the true one.
        head: whether HEAD is known.
    """

    drops: int = 0
    after: int = 0
    then: list[int] = field(default_factory=list)
    wrong: int = 0
    busy: int = 0
    ranges: bool = True
    status: int = 0
    length: int | None = None
    head: bool = True


@dataclass
class Site:
    """Files by name, their faults, and what was asked: (method, name, Range or empty)."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, Faults] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    sent: Counter = field(default_factory=Counter)
    version: str = '"v1"'
    url: str = ""

    def gets(self, name: str) -> list[str]:
        """The Range headers of all GET requests for a file."""
        return [span for method, asked, span in self.asked if method == "GET" and asked == name]


class Handler(BaseHTTPRequestHandler):
    """Serve `Site.files` with their faults."""

    site: Site

    def log_message(self, *arguments: object) -> None:
        """Be quiet."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        name = self.path.lstrip("/")
        span = self.headers.get("Range", "")
        self.site.asked.append((self.command, name, span))
        faults = self.site.faults.setdefault(name, Faults())
        data = self.site.files.get(name)
        status = faults.status or (404 if data is None else 0) or (405 if not body and not faults.head else 0)
        if not status and faults.busy:
            faults.busy -= 1
            status = 503
        if status:
            self.send_error(status)
            return
        start = self._start(span, faults)
        if start is not None and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.end_headers()
            return
        self._send(name, data, start, faults, body)

    def _start(self, span: str, faults: Faults) -> int | None:
        match = re.fullmatch(r"bytes=(\d+)-", span)
        same = self.headers.get("If-Range", self.site.version) == self.site.version
        return int(match[1]) if match and faults.ranges and same else None

    def _send(self, name: str, data: bytes, start: int | None, faults: Faults, body: bool) -> None:
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        rest = data[start or 0 :]
        self.send_header("Content-Length", str(len(rest) if faults.length is None else faults.length))
        self.send_header("ETag", self.site.version)
        self.end_headers()
        if not body:
            return
        if faults.wrong and rest:
            faults.wrong -= 1
            rest = bytes([rest[0] ^ 1]) + rest[1:]
        if faults.drops and len(rest) > faults.after:
            faults.drops -= 1
            rest = rest[: faults.after]
            faults.then.append(faults.after)
            faults.after = faults.then.pop(0)
        self.site.sent[name] += len(rest)
        self.wfile.write(rest)
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking for the host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


def start(site: Site) -> ThreadingHTTPServer:
    """Serve `site` on a free port of the loopback until `shutdown`."""
    server = _Server(("127.0.0.1", 0), type("Bound", (Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server
