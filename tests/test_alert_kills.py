"""A recorder killed at random instants while alerts fire: each alert of the journal has reached a web server and a mail
server, once."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("g6_alerts")

from g6_alerts.channels.message import alert_id

from g6core import Records
from tests.launch import Launcher, Started
from tests.receivers import Hook, Post
from tests.test_crash import kill, start

Env = Callable[..., dict[str, str]]
Installed = Callable[..., list[str]]

KILLS = int(os.environ.get("G6_ALERT_KILLS", "5"))
"""G6_ALERT_KILLS=100 and more for a long run."""
SETTINGS = """
plugins = ["market", "alerts"]
interval = "100ms"
drain_timeout = "60s"
strategy = {{ use = "atm_window", below = 1, above = 1 }}
[indices.NIFTY]
[indices.SENSEX]
[alerts.always]
use = "rule"
expr = "spot > 0"
repeat = "10ms"
[sinks.hook]
use = "webhook"
url = "{hook}/alerts"
rate = "9999/s"
[sinks.mail]
use = "email"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "g6@example.com"
recipients = ["desk@example.com"]
rate = "9999/s"
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not known on Windows")


@pytest.fixture
def place(tmp_path: Path, hook: Hook, post: Post) -> Path:
    (tmp_path / "g6.toml").write_text(SETTINGS.format(hook=hook.url, port=post.port))
    return tmp_path


def in_the_journal(place: Path) -> Counter[str]:
    return Counter(alert_id(alert) for alert in Records(place / "data").alerts(limit=10**9))


def by_web(hook: Hook) -> Counter[str]:
    """The alerts in all messages; one that came again under its id, word for word, counts once."""
    messages = {body["id"]: body for body in hook.bodies}
    assert all(messages[body["id"]] == body for body in hook.bodies)
    assert all(request.headers["idempotency-key"] == request.body["id"] for request in hook.requests)
    return Counter(alert["id"] for body in messages.values() for alert in body["alerts"])


def by_mail(post: Post, place: Path) -> Counter[str]:
    """The same; which alerts a mail is about, the outbox knows by the mail's id."""
    with closing(sqlite3.connect(place / "data" / "alerts" / "mail.db")) as db:
        rows = db.execute("SELECT m.id, a.id FROM messages m JOIN alerts a ON a.message = m.seq").fetchall()
    about: dict[str, list[str]] = {}
    for message, alert in rows:
        about.setdefault(message, []).append(alert)
    mails = {mail["Message-ID"].strip("<>").partition("@")[0]: mail for mail in post.mails}
    for number, mail in mails.items():
        assert len(re.findall("IST  ", mail.get_content())) == len(about[number])
    return Counter(alert for number in mails for alert in about[number])


def until_told(hook: Hook, more: int) -> None:
    """So many further messages have come."""
    wanted, end = len(hook.requests) + more, time.monotonic() + 60
    while len(hook.requests) < wanted:
        assert time.monotonic() < end, "no alert comes"
        time.sleep(0.002)


def kill_before_the_answer(process: Started, hook: Hook) -> str:
    """Kill it when the web server has a message and has not answered yet; gives the message's id."""
    killed: list[str] = []

    def before_answer() -> None:
        if not killed:
            process.kill()
            killed.append(hook.bodies[-1]["id"])

    hook.before_answer = before_answer
    until_told(hook, 1)
    assert process.wait() == -signal.SIGKILL
    return killed[0]


@pytest.mark.timeout(1800)
def test_killed_at_random_instants_each_alert_is_delivered_once(
    place: Path, clean_env: Env, installed: Installed, launcher: Launcher, hook: Hook, post: Post
) -> None:
    env = clean_env(installed("market_plugin"))
    dice = random.Random(6)
    between = ""
    for n in range(KILLS):
        process, output = start(launcher, place, env)
        with output:
            until_told(hook, 1)
            if n == 0:
                between = kill_before_the_answer(process, hook)
            else:
                time.sleep(dice.uniform(0.0, 0.3))
                kill(process)
    last = launcher.run("g6core", "run", "--once", cwd=place, env=env)
    assert last.returncode == 0, last.stderr
    expected = in_the_journal(place)
    assert expected.total() > 2 * KILLS and max(expected.values()) == 1
    assert by_web(hook) == expected
    assert by_mail(post, place) == expected
    # Whoever was killed while a message was on its way has sent that one again, under its id, and no other.
    sent = [body["id"] for body in hook.bodies]
    assert sent.count(between) == 2
    assert len(sent) - len(set(sent)) <= KILLS
    assert len(post.mails) - len({mail["Message-ID"] for mail in post.mails}) <= KILLS
