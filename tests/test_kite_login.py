"""Kite's login and its session file, called directly: answers, the end of a session, a session that another process
made."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from g6_kite.checks import rate_budget
from g6_kite.login import KiteLogin
from g6_kite.session import Sessions, Token, end_of
from g6_kite.settings import KiteSettings
from pydantic import SecretStr

from g6core import AuthExpired, ConfigError, Context, G6Error, Unavailable
from g6core.clock import SystemClock
from g6core.exchange import Calendar
from g6core.history import History
from g6core.testing import ManualClock
from tests.kite_server import KiteServer, serving

REDIRECT = "http://127.0.0.1:8765/"
MORNING = datetime(2026, 11, 20, 3, 17, tzinfo=UTC)  # 08:47 IST
STATE = "dGhlIHJpZ2h0IG9uZQ"


@pytest.fixture
def kite() -> Iterator[KiteServer]:
    with serving(REDIRECT) as server:
        yield server


def settings_for(kite: KiteServer, place: Path, **changed: Any) -> KiteSettings:
    given = {"api_key": kite.key, "api_secret": SecretStr(kite.secret), "address": kite.address}
    return KiteSettings(**given | {"session_dir": place / "sessions"} | changed)


def context_at(place: Path, clock: Any) -> Context:
    return Context(place, clock, Calendar.load(place / "exchange.toml"), History(place))


@pytest.fixture
def login(kite: KiteServer, tmp_path: Path) -> KiteLogin:
    return KiteLogin(settings_for(kite, tmp_path), context_at(tmp_path, SystemClock()))


@pytest.mark.parametrize(
    ("login", "end"),
    [
        ("2026-11-20T03:17:00+00:00", "2026-11-21T00:30:00+00:00"),
        ("2026-11-20T00:29:59+00:00", "2026-11-20T00:30:00+00:00"),
        ("2026-11-20T00:30:00+00:00", "2026-11-21T00:30:00+00:00"),
        ("2026-11-20T20:00:00+00:00", "2026-11-21T00:30:00+00:00"),  # after midnight in India
    ],
)
def test_a_session_ends_at_the_first_six_in_the_morning_of_india(login: str, end: str) -> None:
    assert end_of(datetime.fromisoformat(login)) == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (REDIRECT + "?request_token={new}&status=success", STATE, "the answer to another login"),
        (REDIRECT + "?request_token={new}&status=success&state=guess", STATE, "the answer to another login"),
        (REDIRECT + f"?request_token={{new}}&status=success&state={STATE}&state={STATE}", STATE, "another login"),
        ("{new}", STATE, "neither a token nor an address"),
        (REDIRECT + "?status=cancelled", None, "was not finished: Kite says `cancelled`"),
        (REDIRECT + "?status=success", None, "there is no request token"),
        (REDIRECT + "?access_token={session}", None, "there is no request token"),
        ("request_token={new}&request_token={new}", None, "there is no request token"),
        ("access_token={session}", STATE, "the answer to another login"),
        ("access_token=00000000000000000000000000000000", None, "Kite refuses: Incorrect"),
        ("<html>", None, "neither a token nor an address"),
        ("", None, "neither a token nor an address"),
    ],
)
def test_what_is_no_answer_to_this_login_is_refused(
    login: KiteLogin, kite: KiteServer, tmp_path: Path, answer: str, state: str | None, words: str
) -> None:
    given = answer.format(new=kite.request_token(), session=kite.session())
    with pytest.raises(AuthExpired, match=words) as refused:
        login.finish(given, state)
    assert refused.value.code == "login-refused"
    assert not any(kite.requests.values())
    assert not (tmp_path / "sessions").exists()
    assert not [word for word in kite.confidential if word in refused.value.render()]


def test_the_right_answer_makes_a_session(login: KiteLogin, kite: KiteServer) -> None:
    page = login.address(STATE)
    assert page.startswith(f"{kite.address}/connect/login?v=3&api_key={kite.key}&redirect_params=state%3D")
    before = datetime.now(UTC).replace(microsecond=0)
    session = login.finish(f"{REDIRECT}?request_token={kite.request_token()}&status=success&state={STATE}", STATE)
    assert session.valid
    assert session.since is not None
    assert timedelta(0) <= session.since - before < timedelta(seconds=20)
    assert session.until == end_of(session.since)
    assert login.status() == session


def test_a_server_of_another_time_says_itself_when_the_session_ends(login: KiteLogin, kite: KiteServer) -> None:
    kite.skew = timedelta(days=-90)
    session = login.finish(kite.request_token(), None)
    assert session.valid
    assert session.until is None
    assert login.status().valid


def test_what_kite_does_not_answer_is_told_apart_from_a_refusal(login: KiteLogin, kite: KiteServer) -> None:
    kite.broken = True
    with pytest.raises(Unavailable) as failed:
        login.finish(kite.request_token(), None)
    assert (failed.value.code, failed.value.exit_code) == ("unavailable", 3)
    kite.server_close()
    with pytest.raises(Unavailable, match="no connection") as failed:
        login.finish(kite.request_token(), None)
    assert failed.value.code == "unavailable"


def test_what_is_not_set_is_asked_for_before_anybody_logs_in(kite: KiteServer, tmp_path: Path) -> None:
    context = context_at(tmp_path, SystemClock())
    for missing, variable in {"api_key": "api_key", "api_secret": "G6_PROVIDERS__KITE__API_SECRET"}.items():
        with pytest.raises(ConfigError) as refused:
            KiteLogin(settings_for(kite, tmp_path, **{missing: None}), context).address(STATE)
        assert variable in str(refused.value.hint)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MORNING)


@pytest.fixture
def sessions(tmp_path: Path, clock: ManualClock) -> Sessions:
    return Sessions(KiteSettings(api_key="key", session_dir=tmp_path / "a" / "sessions"), clock)


def token(word: str = "k3yOfTheDay0123456789abcdefABCDEF") -> Token:
    return Token("key", word, "AB1234", MORNING, end_of(MORNING))


def test_a_kept_session_comes_back_and_ends_by_the_clock(sessions: Sessions, clock: ManualClock) -> None:
    assert sessions.current() is None
    kept = sessions.save(token())
    assert kept == replace(token(), source=str(sessions.path))
    assert sessions.current() == kept
    clock.set(end_of(MORNING) - timedelta(microseconds=1))
    assert sessions.current() == kept
    clock.set(end_of(MORNING))
    assert sessions.current() is None
    assert sessions.stored() == kept
    assert sessions.forget()
    assert not sessions.forget()
    assert sessions.stored() is None


def test_a_running_process_sees_the_login_of_another(sessions: Sessions, tmp_path: Path, clock: ManualClock) -> None:
    other = Sessions(KiteSettings(api_key="key", session_dir=tmp_path / "a" / "sessions"), clock)
    other.save(token("f1rst0123456789"))
    first = sessions.current()
    other.save(token("sec0nd0123456789"))
    second = sessions.current()
    assert first and second
    assert (first.access_token, second.access_token) == ("f1rst0123456789", "sec0nd0123456789")


def test_each_app_and_each_address_has_a_session_of_its_own(tmp_path: Path, clock: ManualClock) -> None:
    def of(**given: Any) -> Sessions:
        return Sessions(KiteSettings(session_dir=tmp_path, **given), clock)

    of(api_key="key").save(token())
    assert of(api_key="key").current()
    assert of(api_key="another").current() is None
    assert of(api_key="key", address="http://127.0.0.1:8900").current() is None


def test_the_environment_goes_before_the_file(sessions: Sessions, tmp_path: Path, clock: ManualClock) -> None:
    sessions.save(token())
    given = {"api_key": "key", "access_token": SecretStr("fr0mTheEnvironment")}
    settings = KiteSettings(session_dir=tmp_path / "a" / "sessions", **given)
    found = Sessions(settings, clock).current()
    assert found is not None
    assert (found.access_token, found.source, found.until) == ("fr0mTheEnvironment", "environment", None)


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_modes_are_made_narrow_and_kept_so(sessions: Sessions) -> None:
    old = os.umask(0)
    try:
        sessions.save(token())
    finally:
        os.umask(old)
    assert stat.S_IMODE(sessions.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(sessions.path.parent.stat().st_mode) == 0o700
    sessions.path.chmod(0o640)
    with pytest.raises(ConfigError, match="mode 0640"):
        sessions.current()
    sessions.path.chmod(0o600)
    assert sessions.current()
    sessions.path.parent.chmod(0o770)
    with pytest.raises(ConfigError, match="others may write"):
        sessions.save(token())


def damaged(content: str) -> Iterator[str]:
    yield from ("", "{", "[]", "null", "17", content[: len(content) // 2])
    document = json.loads(content)
    for name in document:
        yield json.dumps({key: value for key, value in document.items() if key != name})
    yield json.dumps(document | {"v": 2})
    yield json.dumps(document | {"api_key": "another"})
    yield json.dumps(document | {"access_token": 5})
    yield json.dumps(document | {"until": "tomorrow"})
    yield json.dumps(document | {"until": "2026-11-21T06:00:00"})


def test_a_damaged_file_is_no_session_and_the_next_login_mends_it(sessions: Sessions) -> None:
    sessions.save(token())
    whole = sessions.path.read_text()
    for number, content in enumerate(damaged(whole)):
        sessions.path.write_text(content)
        os.utime(sessions.path, (number, number))
        assert sessions.current() is None, content
    kept = sessions.save(token())
    assert sessions.current() == kept


def test_a_place_that_cannot_be_written_says_what_to_do(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(G6Error, match="cannot be kept") as refused:
        Sessions(KiteSettings(api_key="key", session_dir=tmp_path / "file"), clock).save(token())
    assert refused.value.code == "not-writable"
    assert "session_dir" in str(refused.value.hint)


def test_a_reader_never_sees_half_a_session(sessions: Sessions, tmp_path: Path, clock: ManualClock) -> None:
    writer = Sessions(KiteSettings(api_key="key", session_dir=tmp_path / "a" / "sessions"), clock)
    words = [letter * 40 for letter in "abcdefgh"]
    writer.save(token(words[0]))
    done = threading.Event()

    def write() -> None:
        for turn in range(200):
            writer.save(token(words[turn % len(words)]))
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        found = sessions.current()
        assert found is not None
        assert found.access_token in words
    thread.join()


def test_a_token_is_not_in_its_repr() -> None:
    assert "k3yOfTheDay" not in repr(token())


def test_the_rate_budget_names_an_interval_that_fits() -> None:
    settings = KiteSettings()
    assert rate_budget(3, timedelta(seconds=15), settings).level == "ok"
    tight = rate_budget(7, timedelta(seconds=5), settings)
    assert tight.level == "warning"
    assert tight.message.startswith("5 s interval needs 1.4 requests/s for quotes; Kite allows 1")
    assert '`interval = "8s"`' in str(tight.hint)
    assert rate_budget(7, timedelta(seconds=8), settings).level == "ok"
