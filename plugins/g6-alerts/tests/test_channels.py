"""What a channel keeps: every alert once, in order, never a flood, nothing in the wrong hour, no secret in any word."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from g6_alerts.channels import g6_sinks
from g6_alerts.channels.channel import Channel
from g6_alerts.channels.message import Message, alert_id
from g6_alerts.channels.settings import ChannelSettings
from g6_alerts.channels.web import ask
from g6_alerts.silences import Silence, Silences

from g6core import IST, Alert, Context, DataError, G6Error, Rejected, Unavailable, redacted
from g6core.testing import START, ManualClock, snapshots
from g6core.testing.component_contract import ComponentContract, lent_context
from tests.receivers import Hook, Post

SPECS = {spec.name: spec for spec in g6_sinks()}
Make = Callable[..., Channel]


def alert(n: int = 0, ts: datetime = START, **changes: Any) -> Alert:
    return replace(Alert(f"rule{n % 3}", "NIFTY", ts, f"PCR at {n}", key=str(n)), **changes)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def context(tmp_path: Path, clock: ManualClock) -> Context:
    return replace(lent_context(tmp_path), clock=clock, wall_clock=clock, name="desk")


@pytest.fixture
def make(hook: Hook, context: Context) -> Iterator[Make]:
    """`make("webhook", quiet="22:00-08:00")`: a channel, opened."""
    opened: list[Channel] = []

    def made(kind: str = "webhook", **settings: Any) -> Channel:
        given = {"url": f"{hook.url}/alerts"} if kind == "webhook" else {}
        spec = SPECS[kind]
        channel: Channel = spec.build(spec.settings(**{**given, **settings}))  # type: ignore[assignment]
        channel.open(context)
        opened.append(channel)
        return channel

    yield made
    for channel in opened:
        channel.close()


def keys(hook: Hook) -> list[list[str]]:
    """The keys of the alerts in each message."""
    return [[a["key"] for a in body["alerts"]] for body in hook.bodies]


class TestWebhookIsAComponent(ComponentContract):
    @pytest.fixture
    def build(self) -> Callable[[], Any]:
        spec = SPECS["webhook"]
        return lambda: spec.build(spec.settings(url="http://127.0.0.1:9/hook"))


def test_alerts_of_one_cycle_are_one_message(make: Make, hook: Hook) -> None:
    later = START + timedelta(minutes=1)
    make().write_alerts([alert(0), alert(1), alert(2, later), alert(3)])
    assert keys(hook) == [["0", "1", "3"], ["2"]]
    assert hook.bodies[0]["alerts"][0] == {
        "id": alert_id(alert(0)),
        "rule": "rule0",
        "index": "NIFTY",
        "key": "0",
        "ts": "2026-08-17T04:00:00+00:00",
        "severity": "warning",
        "state": "firing",
        "summary": "PCR at 0",
        "labels": {},
    }
    assert "3 alerts at 17 Aug 09:30:00 IST" in hook.bodies[0]["text"]
    assert "PCR at 3" in hook.bodies[0]["text"]


def test_given_again_nothing_is_sent_again_also_after_a_restart(make: Make, hook: Hook) -> None:
    channel = make()
    for _ in range(2):
        channel.write_alerts([alert(0), alert(1)])
    channel.close()
    again = make()
    again.write_alerts([alert(1), alert(2)])
    assert keys(hook) == [["0", "1"], ["2"]]


def test_an_answer_that_was_lost_leads_to_the_same_message_under_the_same_id(make: Make, hook: Hook) -> None:
    hook.answers = [(503, {}, {})]
    channel = make()
    with pytest.raises(Unavailable, match="503"):
        channel.write_alerts([alert(0)])
    channel.write_alerts([alert(0), alert(1)])
    first, second, third = hook.requests
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == first.body["id"]
    assert third.headers["idempotency-key"] != first.headers["idempotency-key"]
    assert keys(hook) == [["0"], ["0"], ["1"]]


def test_down_for_an_hour_then_drained_in_order_with_one_digest(make: Make, hook: Hook, clock: ManualClock) -> None:
    hook.down = True
    channel = make(timeout="2s")
    raised = [alert(n, START + timedelta(minutes=n)) for n in range(200)]
    for n in range(0, 60, 20):
        clock.set(raised[n].ts)
        with pytest.raises(Unavailable):
            channel.write_alerts(raised[:64])
    clock.set(raised[199].ts)
    hook.down = False
    for at in range(0, 200, 64):
        channel.write_alerts(raised[at : at + 64])
    clock.advance(timedelta(seconds=2))
    channel.flush()
    sent = [key for message in keys(hook) for key in message]
    assert sent == [str(n) for n in range(200)]
    assert [body["digest"] for body in hook.bodies][:2] == [False, True]
    # What was on its way when the line broke, the digest, and what is not old yet, cycle by cycle.
    assert len(hook.bodies[1]["alerts"]) == 189
    assert "189 further alerts, 17 Aug 09:31:00 IST to 17 Aug 12:39:00 IST: rule1 63" in hook.bodies[1]["text"]
    assert all(len(message) == 1 for message in keys(hook)[2:])


def test_down_for_more_than_an_hour_while_alerts_go_on_then_drained_in_order(
    make: Make, hook: Hook, clock: ManualClock
) -> None:
    """75 minutes, an alert a minute, given in batches until one is taken, as a runner does; then ten minutes more."""
    channel, waiting = make(timeout="2s"), []
    raised = [alert(n, START + timedelta(minutes=n)) for n in range(85)]
    for n, one in enumerate(raised):
        clock.set(one.ts)
        hook.down = n < 75
        waiting.append(one)
        for _ in range(0, len(waiting), 64):
            try:
                channel.write_alerts(waiting[:64])
            except Unavailable:
                assert hook.down and hook.requests == []
                break
            del waiting[:64]
        clock.advance(timedelta(seconds=2))  # what is late has settled
        with contextlib.suppress(Unavailable):
            channel.flush()
    assert [key for message in keys(hook) for key in message] == [str(n) for n in range(85)]
    digests = [body for body in hook.bodies if body["digest"]]
    # What was on its way when the line broke, one digest, and what is not old yet, as it came.
    assert len(digests) == 1 and hook.bodies.index(digests[0]) == 1
    assert len(hook.bodies) - 2 == 85 - 1 - len(digests[0]["alerts"]) >= 10
    assert all(len(message) == 1 for message in keys(hook)[2:])


def test_when_the_clock_goes_back_what_waits_is_sent_once_and_soon(make: Make, hook: Hook, clock: ManualClock) -> None:
    hook.down = True
    channel = make(timeout="2s", rate="5/min")
    for n in range(3):
        with pytest.raises(Unavailable):
            channel.write_alerts([alert(n, clock.now())])
        clock.advance(timedelta(seconds=60))
    clock.advance(-timedelta(seconds=90))
    with pytest.raises(Unavailable):
        channel.write_alerts([alert(3, clock.now() + timedelta(seconds=1))])
    hook.down = False
    for n in range(4, 7):
        clock.advance(timedelta(seconds=20))
        channel.write_alerts([alert(n, clock.now())])
    clock.advance(timedelta(minutes=1))
    channel.flush()
    sent = [key for message in keys(hook) for key in message]
    assert sorted(sent) == [str(n) for n in range(7)]


def test_beyond_the_rate_there_is_a_digest_and_no_flood(make: Make, hook: Hook, clock: ManualClock) -> None:
    channel = make(rate="3/min")
    for n in range(20):
        channel.write_alerts([alert(n, clock.now())])
        clock.advance(timedelta(seconds=1))
    assert keys(hook) == [["0"], ["1"], ["2"]]
    clock.set(START + timedelta(seconds=59))
    channel.flush()
    assert len(hook.requests) == 3
    clock.set(START + timedelta(seconds=60))
    channel.flush()
    assert keys(hook)[3] == [str(n) for n in range(3, 20)]
    assert "17 further alerts" in hook.bodies[3]["text"]


def test_quiet_hours_let_critical_ones_through_and_keep_the_others_for_the_morning(
    make: Make, hook: Hook, clock: ManualClock, context: Context
) -> None:
    def at(hour: int, minute: int = 0, day: int = 17) -> datetime:
        return datetime(2026, 8, day, hour, minute, tzinfo=IST)

    clock.set(at(22, 30))
    channel = make(quiet="22:00-08:00")
    channel.write_alerts([alert(0, at(22, 29)), alert(1, at(22, 29), severity="critical")])
    assert keys(hook) == [["1"]]
    channel.close()
    clock.set(at(7, 59, day=18))
    channel = make(quiet="22:00-08:00")
    channel.write_alerts([alert(2, at(7, 58, day=18), state="resolved")])
    assert len(hook.requests) == 1
    clock.set(at(8, 0, day=18))
    channel.flush()
    assert keys(hook) == [["1"], ["0", "2"]]
    assert hook.bodies[1]["digest"]


def test_what_was_held_is_sent_by_itself_when_its_time_has_come(make: Make, hook: Hook, clock: ManualClock) -> None:
    arrived = threading.Event()
    clock.set(datetime(2026, 8, 17, 7, 59, 59, 900_000, tzinfo=IST))
    channel = make(quiet="22:00-08:00")
    channel.write_alerts([alert(0, clock.now())])
    assert hook.requests == []
    hook.before_answer = arrived.set
    clock.advance(timedelta(seconds=1))
    assert arrived.wait(30)


def test_a_silenced_rule_is_not_sent_and_not_later(
    make: Make, hook: Hook, clock: ManualClock, context: Context
) -> None:
    silences = Silences(context.data_dir)
    channel = make()
    silences.add(Silence("rule0", START, START + timedelta(minutes=30)))
    silences.add(Silence("rule1", START, START + timedelta(minutes=30), "SENSEX"))
    channel.write_alerts([alert(0), alert(1), alert(2)])
    assert keys(hook) == [["1", "2"]]
    clock.advance(timedelta(hours=2))
    # Raised in the silence, and only now delivered.
    late = START + timedelta(minutes=5)
    channel.write_alerts([alert(3, late), alert(4, late, index="SENSEX"), alert(6, clock.now())])
    clock.advance(timedelta(seconds=2))
    channel.flush()
    assert keys(hook)[1:] == [["6"]]


def test_a_channel_takes_what_is_for_it_and_severe_enough(make: Make, hook: Hook) -> None:
    make(min_severity="warning").write_alerts(
        [
            alert(0, severity="info"),
            alert(1, labels={"notify": "desk,mail"}),
            alert(2, labels={"notify": "mail"}),
            alert(3, severity="critical"),
        ]
    )
    assert keys(hook) == [["1", "3"]]


def test_a_new_channel_tells_nothing_of_the_days_before_it(make: Make, hook: Hook, clock: ManualClock) -> None:
    channel = make()
    channel.write_alerts([alert(0, START - timedelta(days=3)), alert(1, START - timedelta(minutes=5)), alert(2)])
    assert keys(hook) == [["1"], ["2"]]
    channel.close()
    # Once it is there, what it missed is told.
    clock.advance(timedelta(days=3))
    channel = make()
    channel.write_alerts([alert(3, START + timedelta(days=1))])
    clock.advance(timedelta(seconds=2))
    channel.flush()
    assert keys(hook)[2:] == [["3"]]


def test_secrets_of_a_webhook_go_to_the_server_and_into_no_word(
    make: Make, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = make(url=None, secret_url=f"{hook.url}/services/T0-hidden-path", secret="Bearer hidden-word")
    hook.answers = [(500, {}, "Bearer hidden-word at /services/T0-hidden-path")]
    with pytest.raises(Unavailable) as caught:
        channel.write_alerts([alert(0)])
    assert hook.requests[0].headers["authorization"] == "Bearer hidden-word"
    said = caught.value.render() + caplog.text + repr(caught.value.__context__)
    said += " ".join(finding.message for finding in channel.diagnose(lent_context(Path())))
    assert "hidden" not in said


def test_simulated_numbers_are_marked_also_after_a_restart(make: Make, hook: Hook) -> None:
    channel = make()
    real = snapshots(1)[0]
    channel.write([real.replace(facts={**real.facts, "simulated": 1.0})])
    channel.close()
    channel = make()
    channel.write_alerts([alert(0)])
    channel.write([real.replace(facts={"spot": 1.0})])
    channel.write_alerts([alert(1)])
    assert [body["simulated"] for body in hook.bodies] == [True, False]
    assert hook.bodies[0]["text"].startswith("[SIMULATED] ")


def test_what_is_refused_for_good_is_set_aside_and_the_others_go_on(make: Make, hook: Hook) -> None:
    channel = make()
    later = START + timedelta(minutes=1)
    hook.answers = [(422, {}, {"error": "no such field"})]
    with pytest.raises(Rejected, match="422"):
        channel.write_alerts([alert(0), alert(1, later)])
    with pytest.raises(Rejected, match="no such field"):
        channel.write_alerts([alert(0)])
    channel.write_alerts([alert(1, later)])
    assert keys(hook) == [["0"], ["1"]]


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 500, 502, 503])
def test_what_may_be_mended_loses_nothing(make: Make, hook: Hook, status: int) -> None:
    channel = make()
    hook.answers = [(status, {"Location": f"{hook.url}/elsewhere"}, {})]
    with pytest.raises(Unavailable, match=str(status)):
        channel.write_alerts([alert(0)])
    channel.write_alerts([alert(0)])
    assert [request.path for request in hook.requests] == ["/alerts", "/alerts"]


def test_a_pause_that_the_server_asks_for_is_kept(make: Make, hook: Hook) -> None:
    channel = make()
    hook.answers = [(429, {"Retry-After": "120"}, {})]
    for _ in range(3):
        with pytest.raises(Unavailable):
            channel.write_alerts([alert(0)])
    assert len(hook.requests) == 1


def test_a_full_disk_is_told_and_nothing_is_sent_that_is_not_written_down(
    make: Make, hook: Hook, context: Context
) -> None:
    channel = make()
    channel.close()
    for part in (context.data_dir / "alerts").iterdir():
        part.unlink()
    (context.data_dir / "alerts" / "desk.db").mkdir()
    with pytest.raises(Unavailable, match="cannot be written down"):
        make()
    assert hook.requests == []


@pytest.mark.parametrize("damage", ["directory", "unreadable", "naive"])
def test_silences_that_cannot_be_read_silence_nothing_and_are_told_once(
    make: Make, hook: Hook, context: Context, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    silences = Silences(context.data_dir)
    silences.add(Silence("rule0", START, START + timedelta(minutes=30)))
    channel = make()
    silences.path.unlink()
    if damage == "directory":
        silences.path.mkdir()
    elif damage == "unreadable":
        silences.path.symlink_to(silences.path)
    else:
        row = {"rule": "rule0", "index": None, "since": "2026-08-17T04:00", "until": "2026-08-17T05:00"}
        silences.path.write_text(json.dumps({"silences": [row]}))
    for n in range(2):
        channel.write_alerts([alert(n)])
    assert keys(hook) == [["0"], ["1"]]
    assert caplog.text.count("the silences cannot be read") == 1
    with pytest.raises(DataError) as caught:
        silences.add(Silence("rule0", START, START + timedelta(minutes=30)))
    assert caught.value.code == "bad-silences"
    silences.path.rmdir() if damage == "directory" else silences.path.unlink()
    silences.add(Silence("rule0", START, START + timedelta(minutes=30)))
    channel.write_alerts([alert(3)])
    assert len(hook.requests) == 2


def test_the_recorder_may_be_another_user_than_who_asks_for_silence(context: Context) -> None:
    silences = Silences(context.data_dir)
    silences.add(Silence("rule0", START, START + timedelta(minutes=30)))
    assert silences.path.stat().st_mode & 0o777 == 0o644


class Odd:
    """Fails as no sender should, and then sends."""

    def __init__(self, faults: Sequence[Exception]) -> None:
        self.faults = list(faults)
        self.sent = threading.Event()

    def send(self, message: Message, channel: str) -> None:
        if self.faults:
            raise self.faults.pop()
        self.sent.set()

    def check(self) -> None:
        pass

    def diagnose(self) -> str:
        return "somewhere"


@pytest.mark.parametrize("fault", [UnicodeError("label"), KeyError("k")])
def test_the_thread_of_a_channel_outlives_what_a_sender_raises(
    context: Context, clock: ManualClock, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    clock.set(datetime(2026, 8, 17, 7, 59, 59, 900_000, tzinfo=IST))
    sender = Odd([fault])
    channel = Channel(ChannelSettings(quiet="22:00-08:00"), sender)
    channel.open(context)
    try:
        channel.write_alerts([alert(0, clock.now())])
        clock.advance(timedelta(seconds=1))
        # Only the thread sends what was held.
        assert sender.sent.wait(30)
    finally:
        channel.close()
    assert sender.faults == []
    assert caplog.text.count(f"{type(fault).__name__}: ") == 1


DRIPS = {
    "headers": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "status": b"HTTP/1.1 200 O",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=",
}


@pytest.mark.parametrize("part", DRIPS)
def test_a_server_that_drips_hangs_nobody(part: str) -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(DRIPS[part])
                while not ended.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(Unavailable, match="no whole answer in time"):
            ask(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, {}, 0.3, "the hook")
        ended.set()
        thread.join(30)


class TestTelegram:
    TOKEN = "123456789:AAE-secret_token"

    @pytest.fixture
    def channel(self, make: Make, hook: Hook) -> Channel:
        return make("telegram", token=self.TOKEN, chat="-100200", api=hook.url)

    def test_text_is_escaped(self, channel: Channel, hook: Hook) -> None:
        channel.write_alerts([alert(0, summary="IV < 9 & <b>falling</b>")])
        (request,) = hook.requests
        assert request.path == f"/bot{self.TOKEN}/sendMessage"
        assert request.body["chat_id"] == "-100200"
        assert "IV &lt; 9 &amp; &lt;b&gt;falling&lt;/b&gt;" in request.body["text"]

    def test_many_alerts_fit_into_one_message_and_the_rest_is_counted(self, channel: Channel, hook: Hook) -> None:
        channel.write_alerts([alert(n, summary="🔥" * 60) for n in range(60)])
        (request,) = hook.requests
        text = request.body["text"]
        assert len(text.encode("utf-16-le")) // 2 <= 4096 + len("<b></b>")
        shown = text.count("🔥" * 60)
        assert 0 < shown < 60
        assert f"and {60 - shown} more: rule" in text

    def test_too_many_requests_are_waited_for(self, channel: Channel, hook: Hook) -> None:
        hook.answers = [(429, {}, {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 30}})]
        for _ in range(2):
            with pytest.raises(Unavailable):
                channel.write_alerts([alert(0)])
        assert len(hook.requests) == 1

    @pytest.mark.parametrize(
        ("status", "description", "kind"),
        [
            (400, "Bad Request: chat not found", Unavailable),
            (400, "Bad Request: message text is empty", Rejected),
            (401, "Unauthorized", Unavailable),
            (403, "Forbidden: bot was blocked by the user", Unavailable),
            (404, "Not Found", Unavailable),
            (502, "Bad Gateway", Unavailable),
        ],
    )
    def test_refusals(self, channel: Channel, hook: Hook, status: int, description: str, kind: type[G6Error]) -> None:
        hook.answers = [(status, {}, {"ok": False, "description": description})]
        with pytest.raises(kind, match=description):
            channel.write_alerts([alert(0)])

    def test_the_token_is_in_no_word(
        self, channel: Channel, hook: Hook, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        said: list[str] = []
        for answer in [(404, {}, {"description": f"no bot {self.TOKEN}"}), (500, {}, self.TOKEN)]:
            hook.answers = [answer]
            with pytest.raises(G6Error) as caught:
                channel.write_alerts([alert(0)])
            said += [caught.value.render(), str(caught.value.as_dict()), repr(caught.value.__cause__)]
        dead = make("telegram", token=self.TOKEN, chat="1", api="http://127.0.0.1:9")
        with pytest.raises(Unavailable) as caught:
            dead.flush()
        said += [caught.value.render(), repr(caught.value.__context__), caplog.text]
        assert "AAE-secret_token" not in " ".join(said)


class TestEmail:
    @pytest.fixture
    def channel(self, make: Make, post: Post) -> Channel:
        return make(
            "email",
            host="127.0.0.1",
            port=post.port,
            security="none",
            sender="g6@example.com",
            recipients=["desk@example.com", "night@example.com"],
        )

    def test_a_mail_says_what_and_when(self, channel: Channel, post: Post) -> None:
        channel.write_alerts([alert(0, severity="critical", summary="Straddle fällt\n um 12 %")])
        (mail,) = post.mails
        assert mail["Subject"] == "[G6] CRITICAL NIFTY 0: Straddle fällt um 12 % (rule0)"
        assert mail["To"] == "desk@example.com, night@example.com"
        assert "17 Aug 09:30:00 IST" in mail.get_content()

    def test_a_mail_that_goes_again_has_the_same_id(self, channel: Channel, post: Post) -> None:
        post.answer = "451 not now"
        with pytest.raises(Unavailable, match="451"):
            channel.write_alerts([alert(0)])
        post.answer = "250 OK"
        channel.write_alerts([alert(0)])
        channel.write_alerts([alert(0), alert(1)])
        first, second = post.mails
        assert first["Message-ID"] != second["Message-ID"]
        assert "PCR at 0" in first.get_content() and "PCR at 0" not in second.get_content()

    @pytest.mark.parametrize("host", ["mail..example", "m" * 70 + ".example"])
    def test_a_host_that_is_no_name_is_told_clearly(self, make: Make, host: str) -> None:
        channel = make("email", host=host, security="none", sender="g6@example.com", recipients=["d@example.com"])
        with pytest.raises(Unavailable, match="no mail can be sent by m") as caught:
            channel.write_alerts([alert(0)])
        assert "host" in (caught.value.hint or "")
        assert [finding.level for finding in channel.diagnose(lent_context(Path()))] == ["error"]

    def test_refused_for_good(self, channel: Channel, post: Post) -> None:
        post.answer = "554 looks like spam"
        with pytest.raises(Rejected, match="spam"):
            channel.write_alerts([alert(0)])


class TestApprise:
    def test_sends_by_apprise(self, make: Make, hook: Hook) -> None:
        make("apprise", url=hook.url.replace("http", "json") + "/there").write_alerts([alert(0)])
        (request,) = hook.requests
        assert request.path == "/there"
        assert "PCR at 0" in request.body["message"]

    def test_what_was_not_taken_is_sent_again_and_the_address_is_in_no_word(
        self, make: Make, hook: Hook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        channel = make("apprise", url=hook.url.replace("http", "json") + "/hidden-in-the-path")
        hook.answers = [(500, {}, {})]
        with pytest.raises(Unavailable) as caught:
            channel.write_alerts([alert(0)])
        said = caught.value.render() + redacted(caplog.text) + "".join(capfd.readouterr())
        assert "hidden-in-the-path" not in said
        channel.write_alerts([alert(0)])
        assert len(hook.requests) == 2

    def test_an_address_of_nobody_stops_the_start(self, make: Make) -> None:
        with pytest.raises(G6Error, match="knows no service"):
            make("apprise", url="nobody-knows-this")
