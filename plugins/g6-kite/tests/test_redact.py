"""No secret in what the libraries below Kite's client log, and none in errors."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from collections.abc import Iterator

import pytest
from g6_kite.redact import FAMILIES, Redacting, guard, redacted

KEY, TOKEN, SECRET = "abcd1234efgh5678", "XbDeF0hIjKlMnOpQrStUvWxYz0123456", "s3cr3ts3cr3ts3cr3ts3cr3ts3cr3t99"
REQUEST, CHECKSUM = (
    "rQ9aZ8yX7wV6uT5sR4qP3oN2mL1kJ0iH",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
)
SECRETS = (TOKEN, SECRET, REQUEST, CHECKSUM)

TEXTS = [
    f"Request: GET https://api.kite.trade/quote {{'i': ['NSE:NIFTY 50']}} {{'Authorization': 'token {KEY}:{TOKEN}'}}",
    f"send: b'GET /quote?i=NFO%3AX HTTP/1.1\\r\\nAuthorization: token {KEY}:{TOKEN}\\r\\n\\r\\n'",
    f'https://api.kite.trade:443 "DELETE /session/token?api_key={KEY}&access_token={TOKEN} HTTP/1.1" 200 None',
    f"connecting once using class connector to wss://ws.kite.trade?api_key={KEY}&access_token={TOKEN}",
    f"b'GET /?api_key={KEY}&access_token={TOKEN} HTTP/1.1\\r\\nUpgrade: WebSocket'",
    f'Response: 200 b\'{{"status":"success","data":{{"access_token":"{TOKEN}","enctoken":"{SECRET}"}}}}\'',
    f"body api_key={KEY}&request_token={REQUEST}&checksum={CHECKSUM}",
    f"http://127.0.0.1:8765/?action=login&status=success&request_token={REQUEST}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_the_libraries_write_has_no_secret(text: str) -> None:
    clean = redacted(text)
    assert not [secret for secret in SECRETS if secret in clean], clean
    assert "***" in clean


@pytest.mark.parametrize("text", TEXTS[3:5])
def test_of_a_socket_address_the_whole_query_goes(text: str) -> None:
    assert KEY not in redacted(text)


def test_a_named_secret_goes_wherever_it_stands() -> None:
    assert redacted(f"the server said {SECRET}!", SECRET) == "the server said ***!"
    assert redacted("nothing", "") == "nothing"


@pytest.mark.parametrize(
    "text",
    [
        '"GET /quote?i=NFO%3ANIFTY26NOV25000CE&i=NSE%3ANIFTY+50 HTTP/1.1" 200 None',
        "Incorrect `api_key` or `access_token`.",
        "Token is invalid or has expired.",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redacted(text) == text


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that any library writes at DEBUG, as a person sees it who turned that on."""
    import kiteconnect  # noqa: F401 - its loggers and those below it are there from now on

    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    # Some libraries silence others as soon as they are used.
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in FAMILIES}
    for logger in levels:
        logger.setLevel(logging.NOTSET)
    levels[root] = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    for logger, level in levels.items():
        logger.setLevel(level)


@pytest.mark.parametrize(
    "name", ["kiteconnect.connect", "kiteconnect.ticker", "urllib3.connectionpool", "autobahn", "twisted"]
)
def test_a_guarded_library_logs_no_secret(name: str, log: io.StringIO) -> None:
    guard()
    guard()
    logger = logging.getLogger(name)
    logger.debug("Request: %s %s", "GET", {"Authorization": f"token {KEY}:{TOKEN}"})
    logger.debug("a percent sign that is no format: %d", f"access_token={TOKEN}")
    try:
        try:
            raise ValueError(f"wss://ws.kite.trade/?api_key={KEY}&access_token={TOKEN}")
        except ValueError as e:
            raise RuntimeError(f"checksum={CHECKSUM}") from e
    except RuntimeError:
        logger.exception("failed", stack_info=True)
    text = log.getvalue()
    assert "Request: GET" in text and "RuntimeError" in text and "ValueError" in text and "a percent sign" in text
    assert not [secret for secret in SECRETS if secret in text], text


def test_a_handler_that_writes_exceptions_by_itself_finds_none() -> None:
    try:
        raise ValueError(f"access_token={TOKEN}")
    except ValueError:
        record = logging.LogRecord("urllib3", logging.DEBUG, __file__, 1, "failed", (), sys.exc_info())
    assert Redacting().filter(record)
    assert record.exc_info is None and "ValueError" in str(record.exc_text)


def test_other_loggers_are_left_alone(log: io.StringIO) -> None:
    guard()
    logging.getLogger("somebody.else").debug("access_token=%s", TOKEN)
    assert TOKEN in log.getvalue()


def test_the_traceback_of_a_g6_error_has_no_secret() -> None:
    from g6core import Unavailable

    try:
        raise Unavailable(f"Kite said: access_token={TOKEN}", where=f"wss://x?access_token={TOKEN}")
    except Unavailable as e:
        assert TOKEN not in "".join(traceback.format_exception(e)) + e.render()
