"""Sink `web`: the latest snapshots and the recorded days over HTTP, as JSON, CSV and a stream of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6_web.settings import Settings
from g6core import SinkSpec, hookimpl

if TYPE_CHECKING:
    from g6_web.sink import WebSink


def _build(settings: Settings) -> WebSink:
    from g6_web.sink import WebSink

    return WebSink(settings)


@hookimpl
def g6_sinks() -> list[SinkSpec]:
    return [SinkSpec("web", _build, Settings, "the API on the HTTP port: JSON, CSV and a stream of snapshots")]
