"""Sink `influx`: InfluxDB and what speaks its line protocol, such as VictoriaMetrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6_influx.settings import Settings
from g6core import SinkSpec, hookimpl

if TYPE_CHECKING:
    from g6_influx.sink import InfluxSink


def _build(settings: Settings) -> InfluxSink:
    from g6_influx.sink import InfluxSink

    return InfluxSink(settings)


@hookimpl
def g6_sinks() -> list[SinkSpec]:
    return [SinkSpec("influx", _build, Settings, "InfluxDB, and what speaks its line protocol")]
