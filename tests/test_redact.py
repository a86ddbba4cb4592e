"""No secret comes out: in log lines, tracebacks, errors, JSON."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from g6core import G6Error, hide, redacted
from g6core.faults import told
from g6core.logs import RedactingFormatter
from g6core.redact import redacted_tree

TOKEN = "fHdS2YqWqRVcL0nB7Zp3xKt9MaEg5Jw1"
DIGEST = "d2f1c3a4" * 8

LEAKS = [
    f"GET /session/token?api_key=abc&access_token={TOKEN} HTTP/1.1",
    f"wss://ws.kite.trade?api_key=abc&access_token={TOKEN}",
    f"http://127.0.0.1:8765/?action=login&request_token={TOKEN}&status=success",
    f"redirect_params=request_token%3D{TOKEN}",
    f"{{'request_token': '{TOKEN}', 'checksum': '{DIGEST}'}}",
    f'{{"access_token": "{TOKEN}", "enctoken":"{TOKEN}"}}',
    f"G6_PROVIDERS__KITE__API_SECRET={TOKEN}",
    f"api_secret = {TOKEN!r}",
    f"checksum={DIGEST}",
    f"Authorization: token abcdefgh:{TOKEN}",
    f"{{'Authorization': 'token abcdefgh:{TOKEN}'}}",
    f"authorization: Bearer {TOKEN}",
    f"https://api.telegram.org/bot123456789:{TOKEN}/sendMessage",
    f"https://hooks.slack.com/services/T000/B000/{TOKEN}",
    f"https://discord.com/api/webhooks/1234/{TOKEN}",
    f"postgresql://g6:{TOKEN}@db.example.com/g6",
]


@pytest.mark.parametrize("text", LEAKS)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    for shown in (redacted(text), redacted(json.dumps({"message": text}))):
        assert TOKEN not in shown
        assert DIGEST not in shown
        assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "no installed plugin is called `greks`",
        "Incorrect `api_key` or `access_token`.",
        "access_token: the session of the day",
        "set G6_PROVIDERS__KITE__API_SECRET in the environment or in .env",
        "the request token holds for some minutes",
        "http://127.0.0.1:8765/kite?action=login",
        "g6.toml:14  [providers.kite]",
        "2026-11-20 09:15:00+05:30 token 256265: 25000.05",
        "provider kite: `g6 login kite --token-stdin`",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redacted(text) == text


def test_a_secret_that_was_named_is_hidden_wherever_it_stands() -> None:
    secret = "correct horse battery staple"
    hide(secret)
    hide("demo")
    assert redacted(f"cannot log in with {secret}!") == "cannot log in with ***!"
    assert redacted("`g6 demo`") == "`g6 demo`"
    error = G6Error(f"no {secret}", where=[secret], note=secret, hint=f"not {secret}")
    assert secret not in error.render() + json.dumps(error.as_dict()) + str(error) + repr(error)
    assert told(ValueError(secret)) == "ValueError: ***"
    assert redacted_tree({"a": [secret, 1, None, {"b": (secret,)}]}) == {"a": ["***", 1, None, {"b": ["***"]}]}


@pytest.mark.parametrize("shown", [repr, json.dumps, quote, quote_plus, lambda s: json.dumps(s, ensure_ascii=False)])
def test_a_secret_is_hidden_as_others_write_it(shown: Callable[[str], str]) -> None:
    secret = 'p\'ss "w/rd" \\ 100% ü\n'
    hide(secret)
    assert redacted(shown(secret)).count("***") == 1
    for piece in ("ss", "rd", "100"):
        assert piece not in redacted(shown(secret))


def test_log_lines_and_their_tracebacks_are_hidden() -> None:
    try:
        raise ConnectionError(f"GET https://api.kite.trade/session/token?access_token={TOKEN}")
    except ConnectionError:
        record = logging.LogRecord(
            "g6.kite",
            logging.ERROR,
            __file__,
            1,
            "headers %s",
            ({"Authorization": f"token k:{TOKEN}"},),
            sys.exc_info(),
        )
    line = RedactingFormatter().format(record)
    assert "Traceback" in line
    assert "ConnectionError" in line
    assert TOKEN not in line


def test_every_handler_of_g6_hides_also_what_libraries_warn_about() -> None:
    program = f"""
import logging
from g6core.logs import log_to_stderr
log_to_stderr(True)
logging.getLogger("g6.kite").debug("access_token=%s", {TOKEN!r})
logging.getLogger("urllib3.connectionpool").warning("Retrying: /session/token?access_token={TOKEN}")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.count("***") == 2
    assert TOKEN not in done.stderr


def test_a_secret_of_the_settings_is_hidden_without_a_word_from_its_plugin() -> None:
    from pydantic import BaseModel, SecretStr

    from g6core.layers import read
    from g6core.validation import Table, validated

    class Settings(BaseModel):
        password: SecretStr

    layers = read(None, {}, {"G6_SINKS__DB__PASSWORD": "s3cret of the database"}, dotenv=None)
    assert validated(Settings, Table.at(layers, ("sinks", "db")))[1] == []
    assert redacted("FATAL: s3cret of the database is wrong") == "FATAL: *** is wrong"
