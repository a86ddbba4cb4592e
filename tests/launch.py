"""Python commands as processes of their own that do not import NumPy, polars and the like each for itself.

Run as a script, this file is the process that has imported them and forks for every command; `Launcher` talks to it.
Nothing of g6core is imported before the fork. Threads would not survive it: polars has none yet but the `HARMLESS`.
"""

from __future__ import annotations

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

LIBRARIES = (
    "asyncio", "csv", "ctypes", "decimal", "importlib.metadata", "inspect", "json", "logging.handlers", "sqlite3",
    "tomllib", "unittest.mock", "zoneinfo", "click", "dotenv", "filelock", "numba", "numpy", "packaging.version",
    "pluggy", "polars", "pydantic", "pydantic.main", "pydantic_settings", "rich.console", "rich.live", "rich.table",
    "scipy.special",
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


class Launcher:
    """`start` and `run` take a module as `python -m` does. Linux only, for one thread."""

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


if __name__ == "__main__":
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    threads = {Path("/proc/self/task", number, "comm").read_text().strip() for number in os.listdir("/proc/self/task")}
    lost = threads - HARMLESS - {Path("/proc/self/comm").read_text().strip()}
    assert not lost, f"a library has started threads, which a fork would lose: {lost}"
    # Otherwise each command would look through these objects for garbage, and copy their pages.
    gc.freeze()
    # An ordinary end follows: exit functions, threads that are waited for, output that is flushed.
    module, *words = next_command(socket.socket(fileno=int(sys.argv[1])))
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
