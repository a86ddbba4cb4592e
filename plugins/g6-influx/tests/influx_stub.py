"""A server that speaks the write API of InfluxDB 2, takes nothing odd, and fails as told.

It ends a line at every line feed, as VictoriaMetrics does, and keeps one type per field, as InfluxDB does.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FLOAT = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
SPECIAL = ", ="
PLAIN = re.compile(r"[^\\, =\x00-\x1f]*")
Value = float | int | str | bool


class Bad(Exception):
    """The line is not line protocol."""


@dataclass(frozen=True)
class Point:
    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    micros: int


def parse(body: bytes) -> list[Point]:
    text = body.decode("utf-8")
    if text and not text.endswith("\n"):
        raise Bad("the last line has no end")
    return [parse_line(line) for line in text.split("\n")[:-1]]


def parse_line(line: str) -> Point:
    at, measurement = _name(line, 0, ", ")
    tags: dict[str, str] = {}
    while line[at] == ",":
        at, key = _name(line, at + 1, "=")
        at, value = _name(line, at + 1, ", ")
        _add(tags, key, value, line)
    fields: dict[str, Value] = {}
    while line[at] == ("," if fields else " "):
        at, key = _name(line, at + 1, "=")
        at, value = _value(line, at + 1)
        _add(fields, key, value, line)
    if line[at] != " " or not re.fullmatch(r"\d+", line[at + 1 :]):
        raise Bad(f"no timestamp: {line!r}")
    if not fields or fields.keys() & (tags.keys() | {"time"}) or list(tags) != sorted(tags):
        raise Bad(f"no field, a field that cannot be queried, or unsorted tags: {line!r}")
    return Point(measurement, tags, fields, int(line[at + 1 :]))


def _add(to: dict[str, Any], key: str, value: Any, line: str) -> None:
    if key in to:
        raise Bad(f"{key} twice: {line!r}")
    to[key] = value


def _name(line: str, at: int, ends: str) -> tuple[int, str]:
    """Up to one of `ends`; a backslash stands before a special character or not at all."""
    found = ""
    while plain := PLAIN.match(line, at):
        found, at = found + plain[0], plain.end()
        if not line[at : at + 1] or line[at] in ends:
            break
        if line[at] != "\\":
            raise Bad(f"{line[at]!r} in a name: {line!r}")
        if line[at + 1 : at + 2] not in [*SPECIAL]:
            raise Bad(f"a backslash before {line[at + 1 : at + 2]!r}: {line!r}")
        found, at = found + line[at + 1], at + 2
    if not found or at >= len(line):
        raise Bad(f"a name without text or without end: {line!r}")
    return at, found


def _value(line: str, at: int) -> tuple[int, Value]:
    if line[at] == '"':
        return _quoted(line, at + 1)
    end = min(i for i in (line.find(",", at), line.find(" ", at)) if i >= 0)
    word = line[at:end]
    if word in ("true", "false"):
        return end, word == "true"
    if re.fullmatch(r"-?\d+i|\d+u", word):
        return end, int(word[:-1])
    if not FLOAT.fullmatch(word):
        raise Bad(f"{word!r} is no value: {line!r}")
    return end, float(word)


def _quoted(line: str, at: int) -> tuple[int, str]:
    found = ""
    while line[at] != '"':
        if line[at] == "\\":
            at += 1
            if line[at] not in '"\\':
                raise Bad(f"a backslash before {line[at]!r} in a text: {line!r}")
        found += line[at]
        at += 1
    return at + 1, found


Key = tuple[str, frozenset[tuple[str, str]], int]
Fault = Callable[["Handler"], None]


class Stub:
    """points: what is stored, upserted as InfluxDB does. bodies: what was accepted. asked: all paths.

    faults: by path, what answers in place of the server for as long as it is set.
    largest: bytes of a body that are taken. poison: the end of a field that is refused. start: what /metrics tells;
    None for not a word.
    """

    def __init__(self) -> None:
        self.points: dict[Key, dict[str, Value]] = {}
        self.types: dict[tuple[str, str], type] = {}
        self.bodies: list[bytes] = []
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.faults: dict[str, Fault] = {}
        self.largest = 50_000_000
        self.poison = ""
        self.token: str | None = None
        self.buckets = ["g6"]
        self.start: float | None = 1_795_000_000.25
        self.bad: list[str] = []
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"stub": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def restart(self) -> None:
        """What it has accepted is gone."""
        self.points.clear()
        assert self.start is not None
        self.start += 60

    def of(self, measurement: str) -> list[Point]:
        return [Point(m, dict(tags), fields, ts) for (m, tags, ts), fields in self.points.items() if m == measurement]

    def wait(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def close(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes) -> tuple[int, str]:
        """The status, and what is wrong."""
        if len(body) > self.largest:
            return 413, "request entity too large"
        try:
            points = parse(body)
        except (Bad, UnicodeDecodeError, IndexError, ValueError) as e:
            self.bad.append(repr(e))
            return 400, f"unable to parse: {e}"
        for p in points:
            for field, value in p.fields.items():
                if self.types.setdefault((p.measurement, field), type(value)) is not type(value):
                    return 422, f'partial write: field type conflict: input field "{field}"'
                if self.poison and field.endswith(self.poison):
                    return 422, f'failure writing points to database: "{field}" dropped=1'
        for p in points:
            self.points.setdefault((p.measurement, frozenset(p.tags.items()), p.micros), {}).update(p.fields)
        self.bodies.append(body)
        return 204, ""


class Handler(BaseHTTPRequestHandler):
    stub: Stub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._faulty():
            return
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if urlsplit(self.path).path != WRITE:
            self.json(404, "not found", "path not found")
        elif self.stub.token and self.headers["Authorization"] != f"Token {self.stub.token}":
            self.json(401, "unauthorized", "unauthorized access")
        elif query["bucket"][0] not in self.stub.buckets:
            self.json(404, "not found", f'bucket "{query["bucket"][0]}" not found')
        else:
            assert query["precision"] == ["us"], query
            plain = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            status, message = self.stub.take(plain)
            self.json(status, "invalid", message)

    def do_GET(self) -> None:
        if self._faulty():
            return
        path = urlsplit(self.path).path
        if path == "/metrics" and self.stub.start is not None:
            self.answer(200, f"# HELP x\ngo_goroutines 8\nprocess_start_time_seconds {self.stub.start:.11e}\n".encode())
        elif path == "/ping":
            self.answer(204)
        elif path == "/api/v2/buckets":
            name = parse_qs(urlsplit(self.path).query)["name"][0]
            found = [{"name": name}] if name in self.stub.buckets else []
            if self.stub.token and self.headers["Authorization"] != f"Token {self.stub.token}":
                self.json(401, "unauthorized", "unauthorized access")
            else:
                self.answer(200, json.dumps({"buckets": found}).encode(), {"Content-Type": "application/json"})
        else:
            self.json(404, "not found", "path not found")

    def json(self, status: int, code: str, message: str) -> None:
        body = b"" if status == 204 else json.dumps({"code": code, "message": message}).encode()
        self.answer(status, body, {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            if status != 204 or name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _faulty(self) -> bool:
        path = urlsplit(self.path).path
        self.stub.asked.append(path)
        self.stub.headers.append(dict(self.headers))
        fault = self.stub.faults.get(path)
        if fault is not None:
            fault(self)
        return fault is not None

    def log_message(self, *_: object) -> None:
        pass


WRITE, METRICS = "/api/v2/write", "/metrics"


def says(status: int, body: str = "", content_type: str = "application/json", **headers: str) -> Fault:
    """Answers so; `Retry_After` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(status, body.encode(), {"Content-Type": content_type, **named})


def hangs(handler: Handler) -> None:
    handler.stub.wait(30)


def breaks_off(handler: Handler) -> None:
    """In the middle of its answer."""
    handler.wfile.write(b"HTTP/1.1 204 No Con")
    handler.wfile.flush()
    handler.close_connection = True


def drips(head: bytes) -> Fault:
    """A byte now and then, without end."""

    def drip(handler: Handler) -> None:
        handler.wfile.write(head)
        for _ in _until(time.monotonic() + 20):
            try:
                handler.wfile.write(b"x")
                handler.wfile.flush()
            except OSError:
                return
            handler.stub.wait(0.05)

    return drip


def _until(end: float) -> Iterator[None]:
    while time.monotonic() < end:
        yield
