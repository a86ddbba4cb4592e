from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from g6core.config import Configuration
from g6core.effective import effective
from g6core.errors import ConfigError, G6Error
from g6core.layers import read

Settle = Callable[..., Configuration]
Refused = Callable[..., list[str]]
SECRET = "bad3f9c2e81d47aa"


def test_a_secret_in_the_file_says_where_it_belongs(refused: Refused) -> None:
    assert refused(f"[sinks.lines]\ntoken = '{SECRET}'") == [
        "error[secret-in-file]: `token` is a secret and does not belong in a settings file\n"
        "  --> g6.toml:2  [sinks.lines]\n"
        "  help: set LINES_TOKEN or OLD_TOKEN or G6_SINKS__LINES__TOKEN in the environment or in .env, "
        "and take it out here"
    ]


@pytest.mark.parametrize(
    "toml",
    [
        f"api_key = '{SECRET}'",
        f"[indices.NIFTY]\naccess_token = '{SECRET}'",
        f"[sinks.lines]\npassword = '{SECRET}'",
        f"[sinks.lines.login]\ntoken = '{SECRET}'",
        f"[sinks.nobody]\napi_secret = '{SECRET}'",
        f"strategy = {{ my_password = '{SECRET}' }}",
    ],
)
def test_a_secret_anywhere_in_the_file_is_refused_unprinted(toml: str, refused: Refused) -> None:
    problems = refused(toml)
    assert any(problem.startswith("error[secret-in-file]") for problem in problems)
    assert SECRET not in "".join(problems)


def test_a_secret_on_the_command_line_is_refused(refused: Refused) -> None:
    (problem,) = refused(overrides={"sinks": {"lines": {"token": SECRET}}})
    assert "`token` is a secret and does not belong on the command line" in problem
    assert SECRET not in problem


def test_a_name_of_a_column_is_no_secret(settle: Settle) -> None:
    configuration = settle("[sinks.lines]\ncolumns = { token = 'instrument_token' }")
    assert configuration.components["sinks"]["lines"].settings.columns == {"token": "instrument_token"}


@pytest.mark.parametrize("source", ["env", "dotenv"])
def test_a_secret_that_is_not_valid_is_never_printed(source: str, settle: Settle) -> None:
    given = {"env": {"LINES_TOKEN": SECRET}} if source == "env" else {"dotenv": f"LINES_TOKEN={SECRET}"}
    with pytest.raises(G6Error) as caught:
        settle(**given)
    assert "`token`: no good: ***" in caught.value.render()
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + str(caught.value.as_dict())


def test_a_broken_file_is_reported_without_its_text(here: Path) -> None:
    (here / "g6.json").write_text(f'{{"token": "{SECRET}", }}')
    with pytest.raises(ConfigError) as caught:
        read(None, {}, {})
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_what_holds_is_shown_with_secrets_masked(settle: Settle, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "good3f9c2e81d47aa"
    configuration = settle(
        env={"LINES_TOKEN": secret, "G6_SINKS__LINES__LOGIN__TOKEN": secret, "G6_SINKS__NOBODY__TOKEN": secret}
    )
    rows = effective(configuration)
    shown = {row.path: row.shown for row in rows}
    assert shown["sinks.lines.token"] == "********"
    everything = [repr(rows), repr(configuration), repr(configuration.settings.model_dump()), caplog.text]
    assert secret not in "".join(everything)
    token = configuration.components["sinks"]["lines"].settings.token
    assert token.get_secret_value() == secret


def test_secrets_from_a_file_of_ones_own(settle: Settle, here: Path) -> None:
    secrets = here / "own.env"
    secrets.write_text("LINES_TOKEN=a$b#c\n")
    secrets.chmod(0o600)
    configuration = settle(env={"G6_SECRETS_FILE": str(secrets)})
    assert configuration.components["sinks"]["lines"].settings.token.get_secret_value() == "a$b#c"
    stronger = settle(env={"G6_SECRETS_FILE": str(secrets), "LINES_TOKEN": "env"})
    assert stronger.components["sinks"]["lines"].settings.token.get_secret_value() == "env"


def test_the_secrets_file_at_home(settle: Settle, here: Path) -> None:
    secrets = here / ".config" / "g6" / "secrets.env"
    secrets.parent.mkdir(parents=True)
    secrets.write_text("G6_SINKS__LINES__TOKEN=home\n")
    secrets.chmod(0o600)
    configuration = settle(env={"HOME": str(here)})
    assert configuration.components["sinks"]["lines"].settings.token.get_secret_value() == "home"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_secrets_file_that_others_may_read_is_refused(here: Path) -> None:
    secrets = here / "own.env"
    secrets.write_text("LINES_TOKEN=x\n")
    secrets.chmod(0o640)
    with pytest.raises(ConfigError, match="may be read by others: mode 0640") as caught:
        read(None, {}, {"G6_SECRETS_FILE": str(secrets)})
    assert caught.value.code == "secrets-mode"
    assert caught.value.hint == f"`chmod 600 {secrets}`"


def test_a_named_secrets_file_must_be_there(here: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        read(None, {}, {"G6_SECRETS_FILE": str(here / "none.env")})
