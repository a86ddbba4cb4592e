from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from g6_influx.lines import EPOCH
from g6_influx.settings import Settings
from g6_influx.sink import InfluxSink
from influx_stub import WRITE, Stub, says

from g6core import Snapshot, trading_date
from g6core.testing import DeliveryContract
from g6core.testing.delivery_contract import Spoil, Trouble

Row = tuple[str, datetime, str]


class TestStrictServer(DeliveryContract):
    """The store is a stub that parses strictly, and gives symbols back."""

    form = "long"
    prefixes: tuple[str, ...] = ("",)

    @pytest.fixture
    def build(self, stub: Stub) -> Callable[[], InfluxSink]:
        return lambda: InfluxSink(Settings(url=stub.url, form=self.form, ack_delay="0s"))

    @pytest.fixture
    def stored(self, stub: Stub) -> Callable[[], list[Row]]:
        def read() -> Iterator[Row]:
            for p in stub.of("options"):
                ts = EPOCH + timedelta(microseconds=p.micros)
                yield from ((p.tags["index"], ts, p.fields[f"{x}symbol"]) for x in self.prefixes)  # type: ignore[misc]

        return lambda: list(read())

    @pytest.fixture
    def trouble(self, stub: Stub) -> Trouble:
        @contextmanager
        def trouble(kind: str) -> Iterator[Spoil]:
            if kind == "permanent":
                stub.poison = "poison"
                yield lambda s: s.replace(options=s.options.with_columns(poison=pl.lit(1.0)))
                return
            stub.faults[WRITE] = says(503, '{"code":"unavailable","message":"the queue is full"}')
            yield lambda s: s
            del stub.faults[WRITE]

        return trouble


class TestStrictServerWide(TestStrictServer):
    form = "wide"
    prefixes = ("call_", "put_")


class TestVictoriaMetrics(DeliveryContract):
    """It keeps no texts: a contract is known by its tags, and a row by its last price."""

    stores_unquoted = False

    @pytest.fixture
    def server(self, own_victoria_metrics: Any) -> Any:
        return own_victoria_metrics

    @pytest.fixture
    def build(self, server: Any) -> Callable[[], InfluxSink]:
        return lambda: InfluxSink(Settings(url=server.url, ack_delay="0s"))

    def expected(self, given: Sequence[Snapshot]) -> Counter[Row]:
        named = pl.format("{} {} {}", "expiry", pl.col("strike").cast(pl.Int64), "right")
        return super().expected([s.replace(options=s.options.with_columns(symbol=named)) for s in given])

    @pytest.fixture
    def stored(self, server: Any) -> Callable[[], list[Row]]:
        def read() -> Iterator[Row]:
            server.get("/internal/force_flush")
            for line in server.get("/api/v1/export?match[]=options_last_price").splitlines():
                series = json.loads(line)
                tags = series["metric"]
                for millis in series["timestamps"]:
                    ts = EPOCH + timedelta(milliseconds=millis)
                    expiry = trading_date(ts) + timedelta(int(tags["dte"]))
                    yield tags["index"], ts, f"{expiry} {tags['strike']} {tags['right']}"

        return lambda: list(read())

    @pytest.fixture
    def trouble(self, server: Any) -> Trouble:
        @contextmanager
        def trouble(kind: str) -> Iterator[Spoil]:
            if kind == "permanent":
                yield lambda s: s.replace(options=s.options.with_columns(expiry_code=pl.lit("this\nweek")))
                return
            # It saves when it is told to end; what it loses when it is killed is another test's.
            server._end(signal.SIGTERM)
            try:
                yield lambda s: s
            finally:
                server.start()

        return trouble
