"""Real servers for tests, from what Debian installs: started when first asked for, on free ports, each worker its own.

Absent: the test is skipped with the reason, or fails where CI=true promises them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from tests.receivers import Hook, Post

PATIENCE = 60.0
ROOM = 2 << 30
"""Bytes that must be free in memory for a server to live there."""


def in_memory() -> str | None:
    """A directory whose files are in memory, where there is one with room."""
    place = "/dev/shm"
    return place if os.access(place, os.W_OK) and shutil.disk_usage(place).free > ROOM else None


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


class Server:
    """One server over a directory of its own. It can be killed and started again on the same port and data."""

    program = ""
    package = ""

    def __init__(self) -> None:
        # Not pytest's directory: a server that runs as another user must reach it. In memory where that is possible:
        # what a kill leaves is the same there, and the many small files of a database come and go quickly.
        self.place = Path(tempfile.mkdtemp(prefix=f"g6-{self.package}-", dir=in_memory()))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def found(cls) -> str | None:
        return shutil.which(cls.program)

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Returns once it answers."""
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process.poll() is None and time.monotonic() < end, (self.place / "log").read_text()[-2000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as when the power fails but for the disk's own cache."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It hangs: connections are taken, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        self._end(signal.SIGKILL)
        shutil.rmtree(self.place, ignore_errors=True)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None


class VictoriaMetrics(Server):
    """url: for the sink `influx`, or any client of InfluxDB 2."""

    program = package = "victoria-metrics"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [
            self.program,
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.place / 'data'}",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
            "-search.latencyOffset=0s",
            "-memory.allowedBytes=256MB",
        ]

    def answers(self) -> bool:
        try:
            return bool(self.get("/health") == b"OK")
        except OSError:
            return False

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            data: bytes = answer.read()
            return data


class Redis(Server):
    program = "redis-server"
    package = "redis"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.place, "save": "", "appendonly": "no"}
        return [self.program, *(word for key, value in settings.items() for word in (f"--{key}", str(value)))]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                s.sendall(b"PING\r\n")
                return s.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class Postgres(Server):
    """url: of the database `g6` for SQLAlchemy with psycopg; `create(name)` makes another one, for a test alone.

    cluster: a directory that `initialise` filled, to begin with a copy of it; without one it makes its own.
    """

    program = "postgres"
    package = "postgresql"
    _home = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))[-1:]

    def __init__(self, cluster: Path | None = None) -> None:
        super().__init__()
        self._cluster = cluster

    @classmethod
    def found(cls) -> str | None:
        return str(cls._home[0] / "postgres") if cls._home else shutil.which(cls.program)

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql+psycopg://g6@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """The URL of a new, empty database."""
        self._run(
            "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "g6",
            "-qc",
            f'CREATE DATABASE "{database}"',
            "postgres",
        )
        return self.url_of(database)

    def start(self) -> None:
        data = self.place / "data"
        if not data.exists():
            if self._cluster is None:
                self.initialise()
            else:
                self._own()
                subprocess.run(["cp", "-a", self._cluster, data], check=True)
        super().start()

    def initialise(self) -> Path:
        """The directory of a new cluster, at `place`. No server must run."""
        data = self.place / "data"
        self._own()
        self._run("initdb", "-D", str(data), "-U", "g6", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        return data

    def _own(self) -> None:
        if os.geteuid() == 0:
            # It refuses to run as root.
            shutil.chown(self.place, "postgres", "postgres")

    def kill(self) -> None:
        """All its processes: one that lived on would still write, which no power failure does."""
        pid = int((self.place / "data" / "postmaster.pid").read_text().split()[0])
        subprocess.run(["pkill", "-KILL", "-P", str(pid)], check=False)
        os.kill(pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None
        (self.place / "data" / "postmaster.pid").unlink(missing_ok=True)

    def pause(self) -> None:
        self._all(signal.SIGSTOP)

    def resume(self) -> None:
        self._all(signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        super().close()

    def command(self) -> Sequence[str]:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "max_connections": 40,
        }
        words = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        return self._as_user("postgres", "-D", str(self.place / "data"), *words)

    def answers(self) -> bool:
        command = [self._tool("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        return subprocess.run(command, check=False).returncode == 0

    def _all(self, number: int) -> None:
        pid = int((self.place / "data" / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
        for one in [pid, *map(int, children)]:
            os.kill(one, number)

    def _run(self, tool: str, *words: str) -> None:
        done = subprocess.run(self._as_user(tool, *words), capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr

    def _as_user(self, tool: str, *words: str) -> list[str]:
        command = [self._tool(tool), *words]
        return (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
            if os.geteuid() == 0
            else command
        )

    def _tool(self, name: str) -> str:
        return str(self._home[0] / name) if self._home and (self._home[0] / name).exists() else name


class Prometheus(Server):
    """Asks what `scrape` named, once a second."""

    program = package = "prometheus"

    def scrape(self, port: int, rules: Path) -> None:
        """The port of a recorder on this machine, and a file of rules; before the start."""
        job = f'{{job_name: g6, scrape_interval: 1s, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}'
        text = f"global: {{evaluation_interval: 1s}}\nrule_files: ['{rules}']\nscrape_configs: [{job}]\n"
        (self.place / "prometheus.yml").write_text(text)

    def command(self) -> Sequence[str]:
        return [
            self.program,
            f"--config.file={self.place / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.place / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def answers(self) -> bool:
        try:
            return self.get("/-/ready") is not None
        except OSError:
            return False

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            data: bytes = answer.read()
            return data

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of the newest instant. Raises OSError for a query that it cannot read."""
        document = json.loads(self.get("/api/v1/query?" + urlencode({"query": query})))
        found: list[dict[str, Any]] = document["data"]["result"]
        return found


def promtool(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Prometheus's own checks; skipped where it is not installed, as the servers are."""
    _or_skip(Prometheus)
    return subprocess.run(["promtool", *words], input=stdin, capture_output=True, timeout=60)


Make = Callable[[], Server]


def _or_skip(kind: type[Server]) -> type[Server]:
    if kind.found():
        return kind
    reason = f"no {kind.program} on this machine; Debian's package is {kind.package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _started(kind: type[Server], *options: Any) -> Iterator[Server]:
    server = _or_skip(kind)(*options)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def victoria_metrics() -> Iterator[Server]:
    """Shared by the tests of a worker: leave it running."""
    yield from _started(VictoriaMetrics)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """Shared by the tests of a worker: leave it running, and flush what you put there."""
    yield from _started(Redis)


@pytest.fixture(scope="session")
def postgres_cluster(once: Callable[..., Path]) -> Path:
    """For `Postgres`, which starts from a copy of it much quicker."""
    _or_skip(Postgres)

    def make(place: Path) -> None:
        with closing(Postgres()) as server:
            subprocess.run(["cp", "-a", server.initialise(), place], check=True)

    return once("postgres", make) / "data"


@pytest.fixture(scope="session")
def postgres(postgres_cluster: Path) -> Iterator[Server]:
    """Shared by the tests of a worker: leave it running, and `create` a database of your own."""
    yield from _started(Postgres, postgres_cluster)


@pytest.fixture
def own_victoria_metrics() -> Iterator[Server]:
    """For this test alone, which may kill, pause and start it."""
    yield from _started(VictoriaMetrics)


@pytest.fixture
def own_redis_server() -> Iterator[Server]:
    """For this test alone, which may kill, pause and start it."""
    yield from _started(Redis)


@pytest.fixture
def own_postgres(postgres_cluster: Path) -> Iterator[Server]:
    """For this test alone, which may kill, pause and start it."""
    yield from _started(Postgres, postgres_cluster)


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    """Not started yet: `scrape` says what it asks."""
    server = _or_skip(Prometheus)()
    assert isinstance(server, Prometheus)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A web server that takes what channels send."""
    from tests.receivers import Hook  # few tests want it, and its libraries are large

    with closing(Hook()) as made:
        yield made


@pytest.fixture
def post() -> Iterator[Post]:
    """A mail server that takes what channels send."""
    from tests.receivers import Post

    with closing(Post()) as made:
        yield made
