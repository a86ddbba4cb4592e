"""Python commands as processes of their own that do not import NumPy, polars, g6core and the like each for itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from filelock import FileLock

PYTEST = ("pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:schemathesis")
"""A pytest inside a test, without what it would only load."""
FORKS = Path(__file__).with_name("forks.py")
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
    """`start`, `piped` and `run` take a module as `python -m` does. Linux only, for one thread.

    The first at `place`, a path for a socket, starts the process that has the libraries; the others use the same one,
    which ends with the process `owner`.
    """

    def __init__(self, place: Path, owner: int) -> None:
        with FileLock(f"{place}.lock"):
            if not place.exists():
                self._share(place, owner)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(place))

    def _share(self, place: Path, owner: int) -> None:
        # NumPy's threads would not survive the fork either.
        env = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
        with socket.socket(socket.AF_UNIX) as theirs:
            theirs.bind(str(place))
            theirs.listen()
            self._process = subprocess.Popen(
                [sys.executable, FORKS, str(theirs.fileno()), str(owner)],
                env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(theirs.fileno(),),
            )  # fmt: skip

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
        """Kills what still runs."""
        self._socket.shutdown(socket.SHUT_WR)
        self._socket.recv(1)
        self._socket.close()

    def _answer(self) -> int:
        answer = self._socket.recv(4)
        assert len(answer) == 4, "the launching process has ended"
        return int.from_bytes(answer, "big", signed=True)
