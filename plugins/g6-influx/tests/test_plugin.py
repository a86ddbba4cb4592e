"""Settings, `g6 doctor`, what is imported when."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from g6_influx.settings import Settings
from g6_influx.sink import InfluxSink
from influx_stub import WRITE, Stub, says
from pydantic import ValidationError

from g6core import Context

TOKEN = "s3cr3t-t0ken-0123456789abcdef=="


def findings(context: Context, **settings: Any) -> list[tuple[str, str]]:
    return [(f.level, f"{f.message} | {f.hint}") for f in InfluxSink(Settings(**settings)).diagnose(context)]


def test_the_doctor_finds_a_server_that_is_well(stub: Stub, context: Context) -> None:
    assert findings(context, url=stub.url) == [("ok", f"{stub.url} answers | None")]
    assert WRITE not in stub.asked


def test_the_doctor_finds_victoria_metrics_well(victoria_metrics: Any, context: Context) -> None:
    assert [level for level, _ in findings(context, url=victoria_metrics.url)] == ["ok"]


@pytest.mark.parametrize(
    ("settings", "level", "says"),
    [
        ({}, "error", "INFLUX_TOKEN"),
        ({"token": "another-token-0123456789"}, "error", "INFLUX_TOKEN"),
        ({"token": TOKEN, "bucket": "elsewhere"}, "warning", "no bucket elsewhere"),
        ({"token": TOKEN}, "ok", "answers"),
        ({"token": TOKEN, "url": "http://127.0.0.1:1"}, "error", "Connection refused"),
    ],
)
def test_the_doctor_finds_what_is_wrong(
    stub: Stub, context: Context, settings: dict[str, Any], level: str, says: str
) -> None:
    stub.token = TOKEN
    ((found, text),) = findings(context, **{"url": stub.url, **settings})
    assert found == level
    assert says in text
    assert TOKEN not in text


def test_the_doctor_finds_a_proxy_in_between(stub: Stub, context: Context) -> None:
    stub.faults["/ping"] = says(502, "<html>bad gateway</html>", "text/html")
    ((level, text),) = findings(context, url=stub.url)
    assert level == "error"
    assert "502: bad gateway" in text


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "127.0.0.1:8086"}, "no address"),
        ({"url": "http://me:secret-word@host:8086"}, "password or token has no place"),
        ({"url": "http://host:8086/?token=secret-word"}, "password or token has no place"),
        ({"token": "secret-word\nsecond"}, "characters that no access token has"),
        ({"timeout": "0s"}, "from 10ms to 5m"),
        ({"ack_delay": "soon"}, "no duration"),
        ({"form": "tall"}, "'long' or 'wide'"),
        ({"bucket": ""}, "at least 1 character"),
        ({"database": "x"}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        Settings(**settings)
    assert "secret-word" not in str(caught.value)


def test_the_place_is_server_and_bucket() -> None:
    def place(**settings: Any) -> str:
        return InfluxSink(Settings(**settings)).place(Path())

    assert place(form="wide") == place(url="http://127.0.0.1:8086/")
    assert len({place(), place(bucket="b"), place(org="o"), place(url="http://127.0.0.1:8087")}) == 4


def test_it_is_a_server_that_acknowledges_late() -> None:
    sink = InfluxSink(Settings(ack_delay="20s"))
    assert (sink.shared, sink.ack_delay) == (True, timedelta(seconds=20))
    assert InfluxSink(Settings()).ack_delay == timedelta(seconds=15)


def test_the_client_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, g6_influx; from g6_influx.settings import Settings; s = g6_influx.g6_sinks()[0]\n"
        "assert not {'influxdb_client', 'polars'} & set(sys.modules)\n"
        "s.build(Settings()); assert 'influxdb_client' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
