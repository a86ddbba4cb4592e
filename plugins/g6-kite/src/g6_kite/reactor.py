"""Twisted's event loop, in a thread of its own. A process has one, and it cannot be started twice."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from g6core import Unavailable

T = TypeVar("T")
_starting = threading.Lock()
_PATIENCE = 5.0


def loop() -> Any:
    """The one of this process; importing it chooses it, so that is done late."""
    from twisted.internet import reactor

    return reactor


def start() -> None:
    """Let it run; nothing happens when it does already."""
    the = loop()
    with _starting:
        if the.running:
            return
        if the._startedBefore:
            raise Unavailable(
                "Twisted's reactor was stopped by somebody else and cannot be started again in this process",
                code="stream-reactor",
                hint='use `mode = "quote"`, or another process',
            )
        # A name that is still being looked up must not keep the process from ending.
        the.getThreadPool().threadFactory = _daemon
        up = threading.Event()
        the.callWhenRunning(up.set)
        thread = _daemon(target=the.run, kwargs={"installSignalHandlers": False}, name="g6-kite-stream")
        thread.start()
        up.wait(_PATIENCE)
        atexit.register(_stop, the, thread)


def call(do: Callable[..., T], *args: Any) -> T:
    """Do it in the loop's thread and wait for what comes of it."""
    from twisted.internet.threads import blockingCallFromThread

    result: T = blockingCallFromThread(loop(), do, *args)
    return result


def _daemon(*args: Any, **kwargs: Any) -> threading.Thread:
    return threading.Thread(*args, daemon=True, **kwargs)


def _stop(loop: Any, thread: threading.Thread) -> None:
    if loop.running:
        loop.callFromThread(loop.stop)
        thread.join(_PATIENCE)
