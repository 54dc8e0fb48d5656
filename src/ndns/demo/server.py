"""The server of the page: the standard library's, on 127.0.0.1 alone.

Other machines cannot reach it, and pages of other sites cannot use it through a browser: a request has to name this
server as its host (else a name that somebody points at 127.0.0.1 would do) and, where it names an origin, this page.

    GET  /                             the page
    GET  /models                       what can be chosen, and limits
    POST /denoise?model=NAME&name=FILE the recording as body -> lines of JSON: the result, then its energy
"""

import base64
import hashlib
import json
import threading
from collections import OrderedDict
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from http.client import HTTP_PORT
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ndns.demo.analysis import MOST_SECONDS, Analyst, read_recording
from ndns.errors import UserError
from ndns.files import sha256_file
from ndns.use import registry
from ndns.use.model import Model, read_program

FOLDER = Path(__file__).resolve().parent
MOST_BYTES = 64 << 20
MOST_NAME = 80
KEPT_MODELS = 4


class Refusal(Exception):
    """A request that gets no result: status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Server(ThreadingHTTPServer):
    """The page's server; `serve_forever` runs it.

    Args:
        port: of 127.0.0.1; 0 takes a free one.
        model: what `ndns denoise --model` takes; it is chosen on the page at first.

    Raises:
        UserError: the port is taken, or there is no such model.
    """

    daemon_threads = True

    def __init__(self, port: int, model: str | None = None) -> None:
        self.sources = sources(model)
        self.busy = threading.Lock()
        self._analysts: OrderedDict[tuple[str, str], Analyst] = OrderedDict()  # by name and hash of the file
        try:
            super().__init__(("127.0.0.1", port), Handler)
        except OSError as error:
            raise UserError(f"--port {port}: cannot be had ({error.strerror}); choose another, or 0.") from None

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """Names under which a browser on this machine asks for the page; browsers leave out the port 80."""
        port = self.server_address[1]
        ending = "" if port == HTTP_PORT else f":{port}"
        return f"127.0.0.1{ending}", f"localhost{ending}"

    def analyst(self, name: str) -> Analyst:
        """Return a network by the name that the page shows, as its file is now.

        Raises:
            Refusal: no such network, or its file is damaged or not here.
        """
        if name not in self.sources:
            raise Refusal(HTTPStatus.NOT_FOUND, f"{name}: no such model here; load the page again.")
        try:
            key = name, sha256_file(self.sources[name].verified())
            if key not in self._analysts:
                self._analysts[key] = Analyst(Model(read_program(self.sources[name]), name))
        except UserError as error:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        self._analysts.move_to_end(key)
        while len(self._analysts) > KEPT_MODELS:
            self._analysts.popitem(last=False)
        return self._analysts[key]

    @cached_property
    def page(self) -> bytes:
        """The page, whole: style and script are inside."""
        text = (FOLDER / "page.html").read_text(encoding="utf-8")
        for mark, content in (("/* page.css */", STYLE), ("/* page.js */", SCRIPT)):
            text = text.replace(mark, content)
        return text.encode()


def sources(model: str | None) -> dict[str, registry.Source]:
    """Return the networks that the page offers, the one that `model` means first.

    Raises:
        UserError: as `registry.find`.
    """
    listed = {entry.name: entry.program for entry in registry.entries()}
    listed |= {name: registry.Source(name, path) for name, path in registry.runs().items()}
    if model is None and listed:
        return listed
    first = registry.find(model)
    return {first.name: first} | {name: source for name, source in listed.items() if name != first.name}


STYLE, SCRIPT = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))


def digest(text: str) -> str:
    """Return the source expression of a content security policy that allows exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; style-src {digest(STYLE)}; script-src {digest(SCRIPT)} blob:; connect-src 'self'; "
    "media-src blob:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version, sys_version = "ndns", ""
    timeout = 30

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""

    def do_GET(self) -> None:
        """Give the page or the list of models."""
        self._answer({"/": self._page, "/models": self._models})

    def do_POST(self) -> None:
        """Denoise a recording."""
        self._answer({"/denoise": self._denoise})

    def _answer(self, ways: dict) -> None:
        with suppress(ConnectionError, TimeoutError):  # whoever asked is gone
            try:
                self._check_origin()
                way = ways.get(urlsplit(self.path).path)
                if way is None:
                    raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing here; the page is at /.")
                way()
            except Refusal as refusal:
                self._send(refusal.status, "application/json", json.dumps({"error": str(refusal)}).encode())

    def _check_origin(self) -> None:
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host not in self.server.hosts or (origin is not None and origin != f"http://{host}"):
            raise Refusal(HTTPStatus.FORBIDDEN, f"This server answers its own page alone, {self.server.url}.")

    def _page(self) -> None:
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)

    def _models(self) -> None:
        limits = {"bytes": MOST_BYTES, "seconds": MOST_SECONDS}
        answer = {"models": list(self.server.sources), "limits": limits}
        self._send(HTTPStatus.OK, "application/json", json.dumps(answer).encode())

    def _denoise(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        model, name = (query.get(key, [""])[0] for key in ("model", "name"))
        with self.server.busy:  # one at a time: memory stays bounded
            data = self._body()
            analyst = self.server.analyst(model)
            try:
                result, activity = analyst.denoise(read_recording(data, name[:MOST_NAME] or "the recording"))
            except UserError as error:
                raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
            self._head(HTTPStatus.OK, "application/x-ndjson")
            self._line(result)
            try:
                self._line({"energy": analyst.energy(activity)})
            except UserError as error:
                self._line({"energy": [], "why_not": str(error)})

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "The request does not say how long the recording is.")
        if int(length) > MOST_BYTES:
            self.close_connection = True
            most = MOST_BYTES >> 20
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The file is larger than {most} MiB; cut it first.")
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            raise Refusal(HTTPStatus.BAD_REQUEST, "The recording did not arrive whole; try again.")
        return data

    def _line(self, value: object) -> None:
        self.wfile.write(json.dumps(value, allow_nan=False).encode() + b"\n")
        self.wfile.flush()

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self._head(status, kind, len(content))
        self.wfile.write(content)

    def _head(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        headers |= {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
        for key, value in headers.items():
            self.send_header(key, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
