"""Work spread over processes. It imports nothing heavy: a process says how many threads it wants before polars loads.

Processes are spawned: a fork would copy locks that threads of the parent hold at that moment.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, TypeVar

from g6core.errors import DataError, G6Error
from g6core.logs import log_to_stderr

_GRACE = 1.0
"""Seconds that a process gets to end before it is made to."""


class Task(Protocol):
    @property
    def name(self) -> str:
        """As an error message calls it."""


T = TypeVar("T", bound=Task)
Work = Callable[[T], Iterator[Any]]


def spread(make: Callable[[], Work[T]], tasks: Sequence[T], workers: int) -> Generator[tuple[T, Any], None, None]:
    """Give each task to one of the workers; a pair (task, part) for each part of the work, as they come.

    make: called once in each worker; what it gives is called with one task after the other and yields parts. It and the
    tasks must be picklable. One worker is this process itself. After the last part of a task comes (task, None), or a
    G6Error in its place when the work raised DataError; any other G6Error is raised here, and ends everything. A
    process that dies raises G6Error (`worker-died`). Close the iterator to end the processes.
    """
    if workers == 1:
        work = make()
        for task in tasks:
            yield from ((task, part) for part in _parts(work, task))
        return
    prepared = pickle.dumps((make, logging.getLogger("g6").isEnabledFor(logging.DEBUG)))
    crew: list[_Worker] = []
    try:
        with _interrupts_held_back():
            crew += (_Worker(prepared) for _ in range(workers))
        yield from _collect(crew, deque(tasks))
    finally:
        _end(crew)


def _parts(work: Work[T], task: T) -> Iterator[Any]:
    try:
        yield from work(task)
    except DataError as e:
        yield plain(e)
    else:
        yield None


def _collect(crew: Sequence[_Worker], tasks: deque[Any]) -> Iterator[tuple[Any, Any]]:
    for worker in crew:
        worker.take(tasks)
    while busy := {worker.pipe: worker for worker in crew if worker.task is not None}:
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]  # it is one of ours
            part, fatal = worker.receive()
            if fatal:
                raise part
            yield worker.task, part
            if part is None or isinstance(part, G6Error):
                worker.take(tasks)


class _Worker:
    """A process and this end of its pipe. task: what it is at, None when there is nothing more."""

    def __init__(self, prepared: bytes) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.task: Any = None
        self.process = context.Process(target=_serve, args=(theirs, prepared), daemon=True)
        self.process.start()
        # With our copy open, nobody would notice that the process is gone.
        theirs.close()

    def take(self, tasks: deque[Any]) -> None:
        self.task = tasks.popleft() if tasks else None
        if self.task is not None:
            try:
                self.pipe.send(self.task)
            except OSError as e:
                raise self._died() from e

    def receive(self) -> tuple[Any, bool]:
        try:
            answer: tuple[Any, bool] = self.pipe.recv()
        except (EOFError, OSError) as e:
            raise self._died() from e
        return answer

    def _died(self) -> G6Error:
        self.process.join(_GRACE)
        code = self.process.exitcode
        how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return G6Error(
            f"a worker process died ({how}) while it computed {self.task.name}",
            code="worker-died",
            note="SIGKILL usually means that the memory was not enough" if how == "SIGKILL" else None,
            hint="`--workers 1` needs the least memory, and shows what goes wrong",
        )


def _end(crew: Sequence[_Worker]) -> None:
    for worker in crew:
        worker.process.terminate()
    for worker in crew:
        worker.process.join(_GRACE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal; those started here leave it to this one, which ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, prepared: bytes) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # There is a process for each core already.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    make, verbose = pickle.loads(prepared)
    log_to_stderr(verbose)
    try:
        _work(pipe, make)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        """The process that wants the work is gone."""


def _work(pipe: Connection, make: Callable[[], Work[Any]]) -> None:
    try:
        work = make()
        while True:
            for part in _parts(work, pipe.recv()):
                pipe.send((part, False))
    except G6Error as e:
        pipe.send((plain(e), True))


def plain(e: G6Error) -> G6Error:
    """The same error without its class, which may be a plugin's own and unknown to who reads it from a pipe."""
    error = G6Error(e.message, code=e.code, where=e.where, note=e.note, hint=e.hint)
    error.exit_code = e.exit_code
    return error
