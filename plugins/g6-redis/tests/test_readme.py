from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import threading
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import g6_redis
import polars as pl
import pytest
import redis
from g6_redis import read
from g6_redis.settings import Settings
from g6_redis.sink import RedisSink

from g6core import Alert, Context, Unavailable
from g6core.testing import START, snapshot

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ADDRESS = "redis://127.0.0.1:6379/0"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def server(own_redis_server: Any, context: Context) -> Iterator[Any]:
    """With a recorded minute of two indices and an alert, under the prefix of the examples."""
    sink = RedisSink(Settings(url=own_redis_server.url))
    sink.open(context)
    for index in ("NIFTY", "BANKNIFTY"):
        s = snapshot(index)
        analysed = s.expiries.with_columns(forward=24_690.5, pcr_oi=1.125)
        sink.write([s.replace(options=s.options.with_columns(iv=pl.lit(0.125)), expiries=analysed)])
    sink.write_alerts([Alert("pcr_high", "NIFTY", START, "PCR 1.6")])
    yield own_redis_server
    sink.close()


def test_the_sample_configuration_is_valid() -> None:
    (block,) = blocks("toml")
    assert Settings(**tomllib.loads(block)["sinks"]["redis"]) == Settings()


def test_every_setting_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE) == list(Settings.model_fields)
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_examples_run(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    *once, following = [block.replace(ADDRESS, server.url) for block in blocks("python")]
    assert len(once) == 2
    for block in once:
        exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "fake" in printed and "NIFTY26" in printed and "PCR 1.6" in printed
    end = threading.Timer(0.5, server.kill)
    end.start()
    with pytest.raises(Unavailable):
        exec(compile(following, "README.md", "exec"), {})
    end.join()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NIFTY", "BANKNIFTY"]


def test_the_commands_run(server: Any) -> None:
    commands = [line for line in "".join(blocks("sh")).splitlines() if line.startswith("redis-cli")]
    answers = []
    for command in commands:
        words = command.split()
        done = subprocess.run([words[0], "-p", str(server.port), *words[1:]], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert "pcr_this_week" in answers[0] and "spot" in answers[0]
    assert sorted(answers[1].split()) == ["BANKNIFTY", "NIFTY"]
    assert "PCR 1.6" in answers[2]


def test_the_keys_are_the_written_ones(server: Any) -> None:
    """Dates taken out, and every index counted as NIFTY."""
    with redis.Redis.from_url(server.url, decode_responses=True) as db:
        kinds = {key: db.type(key) for key in db.scan_iter()}
    plain = {re.sub(r"\d{4}-\d\d-\d\d", "D", k.replace("BANKNIFTY", "NIFTY")): kind for k, kind in kinds.items()}
    table = re.findall(r"^\| `(g6:[^`]+)` \| ([a-z ]+) \|", README, re.MULTILINE)
    names = {"sorted set": "zset"}
    assert plain == {re.sub(r"\d{4}-\d\d-\d\d", "D", key): names.get(kind, kind) for key, kind in table}


def test_the_user_of_the_readme_may_do_what_is_needed_and_no_more(server: Any, context: Context) -> None:
    (rules,) = blocks("text")
    with redis.Redis.from_url(server.url) as db:
        db.execute_command("ACL", "SETUSER", *rules.split())
    sinks = [
        RedisSink(Settings(url=server.url, username="recorder", password="a-password", prefix=prefix))
        for prefix in ("g6", "other")
    ]
    for sink in sinks:
        sink.open(context)
    later = snapshot(ts=START + timedelta(minutes=1))
    sinks[0].write([later, snapshot("SENSEX")])
    sinks[0].write_alerts([Alert("rule", "NIFTY", START, "look")])
    found = read.latest(server.url, "NIFTY")
    assert found and found["ts"] == later.ts
    with pytest.raises(Unavailable) as caught:
        sinks[1].write([later])
    assert "`username`" in (caught.value.hint or "")


def test_the_plugin_registers_one_sink() -> None:
    (spec,) = g6_redis.g6_sinks()
    assert (spec.name, spec.settings) == ("redis", Settings)
    assert type(spec.build(Settings())).__name__ == "RedisSink"


def test_the_client_is_imported_when_the_sink_is_built_and_not_before() -> None:
    code = textwrap.dedent("""
        import sys, g6_redis
        g6_redis.g6_sinks()
        assert "redis" not in sys.modules and "polars" not in sys.modules
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
