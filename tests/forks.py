"""The process that commands of tests are forked from: it has imported NumPy, polars, g6core and the like for them all.

What a command imports, and when, is asked of an interpreter from the start. Modules that look at the clock when they
are imported are left to the commands. Threads would not survive the fork: polars has none yet but the `HARMLESS`.
A command ends as the interpreter does, but for the objects, which it does not take apart one by one.

`python forks.py LISTENER OWNER`: the descriptor of a socket for `launch.Launcher`, and the process with which it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

LIBRARIES = (
    "asyncio", "csv", "ctypes", "decimal", "encodings.utf_8_sig", "importlib.metadata", "inspect", "json",
    "logging.handlers", "sqlite3", "statistics", "tomllib", "unittest.mock", "zoneinfo", "click", "dotenv", "filelock",
    "numba", "numpy", "packaging.requirements", "pluggy", "polars", "prometheus_client.core", "pydantic",
    "pydantic.functional_serializers", "pydantic.main", "pydantic_settings", "rich.console", "rich.live",
    "rich.progress", "rich.table", "scipy.special", "aiohttp", "alembic.command", "autobahn.websocket.protocol",
    "dateutil.parser", "duckdb", "psycopg", "pyarrow.parquet", "redis", "requests", "setuptools.build_meta",
    "sqlalchemy", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "twisted.internet.epollreactor",
    "g6core.cli.options", "g6core.cli.screen", "g6core.effective", "g6core.httpd", "g6core.importing", "g6core.loop",
    "g6core.notify", "g6core.reload", "g6_alerts.rule", "g6_csv.sink", "g6_greeks", "g6_kite.settings",
    "g6_parquet.store", "g6_redis.sink", "g6_replay.provider", "g6_sim.provider", "g6_sql.sink",
)  # fmt: skip
HARMLESS = {"jemalloc_bg_thd", "polars-ooc-clea"}
"""Of the allocator, which starts them anew after a fork, and one that removes spilled files, of which there are none.
The pool of threads that polars computes with comes with its first use."""


def exactly(connection: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        piece = connection.recv(length - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def next_launcher(listener: socket.socket, owner: int) -> socket.socket:
    """Forks for each one that comes, as long as the owner lives; this is the process of one, or nothing more."""
    gone = os.pidfd_open(owner)
    # Nobody waits for those forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while gone not in select.select([listener, gone], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            os.close(gone)
            return connection
        connection.close()
    sys.exit()


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


def analytics_ready(*names: str) -> None:
    """Those that are compiled, all or these, read their machine code from disk, where it is kept, or make it."""
    from g6_greeks import g6_analytics

    for spec in g6_analytics():
        if not names or spec.name in names:
            spec.build(spec.settings()).open(None)


def threads() -> Iterator[str]:
    """The names of those of this process, but for those that end meanwhile."""
    for place in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield (place / "comm").read_text().strip()


if __name__ == "__main__":
    for library in LIBRARIES:
        # What is wrong with a module is told by the command that wants it.
        with contextlib.suppress(Exception):
            importlib.import_module(library)
    with contextlib.suppress(Exception):
        # It would import half of itself with the first function that is compiled.
        from numba.core.registry import cpu_target

        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
        analytics_ready()
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join()
    lost = set(threads()) - HARMLESS - {Path("/proc/self/comm").read_text().strip()}
    assert not lost, f"a library has started threads, which a fork would lose: {lost}"
    # Otherwise each command would look through these objects for garbage, and copy their pages.
    gc.freeze()
    module, *words = next_command(next_launcher(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as e:
        leave(e.code)
        raise
    leave(0)
