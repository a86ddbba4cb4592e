"""Threads that do work for the event loop and keep no process alive."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Job = tuple["Future[Any]", Callable[[], Any]]


class Threads(Executor):
    """As the standard library's pool, whose threads Python waits for at its end: whoever asks for a long history must
    not hold up a recorder that is told to stop."""

    def __init__(self, name: str, many: int, before: Callable[[], None]) -> None:
        """before: called by a thread before each piece of work."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._many, self._before = many, before
        self._ended = False
        for n in range(many):
            threading.Thread(target=self._run, name=f"{name}-{n}", daemon=True).start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._ended:
            raise RuntimeError("these threads take no more work")
        future: Future[T] = Future()
        self._jobs.put((future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """The threads end when they have done what they are at; nobody waits for them, and what waits is given up."""
        self._ended = True
        with suppress(queue.Empty):
            while (job := self._jobs.get_nowait()) is not None:
                job[0].cancel()
        for _ in range(self._many):
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            self._before()
            try:
                future.set_result(work())
            except BaseException as e:  # noqa: BLE001  # whoever asked gets it
                future.set_exception(e)
