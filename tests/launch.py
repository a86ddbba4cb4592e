"""Python commands as processes of their own that do not import NumPy, polars and the like each for itself.

Run as a script, this file is the process that has imported them and forks for every command; `Launcher` talks to it.
Nothing of g6core is imported before the fork. Threads would not survive it: polars has none yet but the `HARMLESS`.
A command ends as the interpreter does, but for the objects, which it does not take apart one by one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

LIBRARIES = (
    "asyncio", "csv", "ctypes", "decimal", "importlib.metadata", "inspect", "json", "logging.handlers", "sqlite3",
    "tomllib", "unittest.mock", "zoneinfo", "click", "dotenv", "filelock", "numba", "numpy", "packaging.version",
    "pluggy", "polars", "prometheus_client", "pydantic", "pydantic.main", "pydantic_settings", "rich.console",
    "rich.live", "rich.table", "scipy.special", "aiohttp", "alembic.command", "duckdb", "psycopg", "pyarrow.parquet",
    "redis", "requests", "sqlalchemy", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite",
)  # fmt: skip
HARMLESS = {"jemalloc_bg_thd", "polars-ooc-clea"}
"""Of the allocator, which starts them anew after a fork, and one that removes spilled files, of which there are none.
The pool of threads that polars computes with comes with its first use."""
ROOM = 1 << 20


class Started:
    """A command that runs. pid: the process, which nobody reaps before `wait`."""

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self._launcher, self.pid = launcher, pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 120.0) -> int:
        """The exit code, negative after a signal. After `timeout` seconds it is killed: TimeoutExpired."""
        return self._launcher.wait(self.pid, timeout)


class Piped(Started):
    """A command that runs, over pipes of text: what `subprocess.Popen` gives, as far as tests need it."""

    def __init__(self, launcher: Launcher, pid: int, pipes: Sequence[IO[str]]) -> None:
        super().__init__(launcher, pid)
        self.stdin, self.stdout, self.stderr = pipes
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def poll(self) -> int | None:
        if self.returncode is None and Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0] == "Z":
            self.wait()
        return self.returncode

    def wait(self, timeout: float = 120.0) -> int:
        if self.returncode is None:
            self.returncode = super().wait(timeout)
        return self.returncode

    def communicate(self, timeout: float = 120.0) -> tuple[str, str]:
        """What it still says, and a wait for its end. Closes the pipes."""
        said: dict[IO[str], str] = {}
        readers = [
            threading.Thread(target=lambda pipe=pipe: said.update({pipe: pipe.read()}))
            for pipe in (self.stdout, self.stderr)
            if not pipe.closed
        ]
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        finally:
            for reader in readers:
                reader.join()
            self.close()
        return said.get(self.stdout, ""), said.get(self.stderr, "")

    def close(self) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> Piped:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.wait()


class Launcher:
    """`start`, `piped` and `run` take a module as `python -m` does. Linux only, for one thread."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        # NumPy's threads would not survive the fork either.
        env = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
        )
        theirs.close()

    def start(
        self, *command: str | Path, cwd: Path, env: Mapping[str, str], stdio: Sequence[IO[str] | IO[bytes]]
    ) -> Started:
        request = json.dumps({"command": [*map(str, command)], "cwd": str(cwd), "env": dict(env)}).encode()
        assert len(request) < ROOM
        # The length goes ahead: a long request comes in pieces.
        socket.send_fds(self._socket, [len(request).to_bytes(4, "big")], [f.fileno() for f in stdio])
        self._socket.sendall(request)
        return Started(self, self._answer())

    def piped(self, *command: str | Path, cwd: Path, env: Mapping[str, str]) -> Piped:
        """With pipes for input, output and errors, which the caller closes, best by `with` or `communicate`."""
        pipes = [os.pipe() for _ in range(3)]
        mine = [pipes[0][1], pipes[1][0], pipes[2][0]]
        ours: list[IO[str]] = [os.fdopen(fd, mode, encoding="utf-8") for fd, mode in zip(mine, "wrr", strict=True)]
        with contextlib.ExitStack() as stack:
            ends = (pipes[0][0], "rb"), (pipes[1][1], "wb"), (pipes[2][1], "wb")
            theirs = [stack.enter_context(open(fd, mode)) for fd, mode in ends]
            pid = self.start(*command, cwd=cwd, env=env, stdio=theirs).pid
        return Piped(self, pid, ours)

    def run(
        self, *command: str | Path, cwd: Path, env: Mapping[str, str], stdin: str = "", timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(3)]
            files[0].write(stdin)
            files[0].seek(0)
            code = self.start(*command, cwd=cwd, env=env, stdio=files).wait(timeout)
            for file in files[1:]:
                file.seek(0)
            return subprocess.CompletedProcess([*map(str, command)], code, files[1].read(), files[2].read())

    def wait(self, pid: int, timeout: float) -> int:
        self._socket.sendall(pid.to_bytes(4, "big"))
        self._socket.settimeout(timeout)
        try:
            return self._answer()
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._socket.settimeout(None)
            self._answer()
            raise subprocess.TimeoutExpired(str(pid), timeout) from None
        finally:
            self._socket.settimeout(None)

    def close(self) -> None:
        self._socket.close()
        self._process.wait()

    def _answer(self) -> int:
        answer = self._socket.recv(4)
        assert len(answer) == 4, "the launching process has ended"
        return int.from_bytes(answer, "big", signed=True)


def exactly(connection: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        piece = connection.recv(length - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def next_command(connection: socket.socket) -> list[str]:
    """Answers requests until this is the process of a command, whose words come back."""
    running: set[int] = set()
    while True:
        head, fds, _, _ = socket.recv_fds(connection, 4, 3)
        if not head:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            sys.exit()
        number = int.from_bytes(head, "big")
        if not fds:
            _, status = os.waitpid(number, 0)
            running.discard(number)
            connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
            continue
        request = json.loads(exactly(connection, number))
        pid = os.fork()
        if pid == 0:
            connection.close()
            become(request, fds)
            return request["command"]
        for fd in fds:
            os.close(fd)
        running.add(pid)
        connection.sendall(pid.to_bytes(4, "big", signed=True))


def become(request: dict[str, dict[str, str]], fds: list[int]) -> None:
    """What the interpreter does before it comes to `-m`."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    # Those made at the start believe that they can seek, as in /dev/null.
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(str(request["cwd"]))
    added = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [os.getcwd(), *added, *sys.path[1:]]
    importlib.invalidate_caches()


def leave(code: object) -> None:
    """What comes of `sys.exit(code)`: threads are waited for, exit functions called, output is flushed.

    To free every object of the libraries, on pages that are shared until then, takes longer than most commands.
    """
    if not isinstance(code, int | None):
        return  # Python prints it.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # Python has an exit code of its own for it.
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    with contextlib.suppress(ImportError):
        # It would import half of itself with the first function that is compiled.
        from numba.core.registry import cpu_target

        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
    threads = {Path("/proc/self/task", number, "comm").read_text().strip() for number in os.listdir("/proc/self/task")}
    lost = threads - HARMLESS - {Path("/proc/self/comm").read_text().strip()}
    assert not lost, f"a library has started threads, which a fork would lose: {lost}"
    # Otherwise each command would look through these objects for garbage, and copy their pages.
    gc.freeze()
    module, *words = next_command(socket.socket(fileno=int(sys.argv[1])))
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as e:
        leave(e.code)
        raise
    leave(0)
