from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g6core.config import Configuration
from g6core.effective import effective
from g6core.errors import ConfigError
from g6core.layers import canonical, read
from g6core.lines import json_lines, toml_lines

Settle = Callable[..., Configuration]

FULL = """\
plugins = ["a", "b"]
interval = "5s"
strategy = { use = "atm_window", below = 4 }

[journal]
max_size = "20GB"

[indices.nifty]
expiries = ["this_week", "2026-11-24"]

[sinks.lines]
path = "x.txt"
columns = { Last = "ltp" }

[sinks.archive]
use = "lines"
enabled = false
"""


@given(given_by=st.sets(st.sampled_from(["command", "environment", "dotenv", "file"])))
@settings(max_examples=16, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_strongest_source_that_speaks_is_heard(given_by: set[str], settle: Settle, here: Path) -> None:
    (here / ".env").unlink(missing_ok=True)
    (here / "g6.toml").unlink(missing_ok=True)
    configuration = settle(
        "interval = '4s'\n[sinks.lines]\nsize = 4" if "file" in given_by else None,
        dotenv="G6_INTERVAL=3s\nG6_SINKS__LINES__SIZE=3" if "dotenv" in given_by else None,
        env={"G6_INTERVAL": "2s", "G6_SINKS__LINES__SIZE": "2"} if "environment" in given_by else {},
        overrides={"interval": "1s", "sinks": {"lines": {"size": "1"}}} if "command" in given_by else {},
        defaults={"interval": "9s"},
    )
    order = ["command", "environment", "dotenv", "file"]
    strongest = next((n for n, source in enumerate(order, 1) if source in given_by), None)
    assert configuration.settings.interval == timedelta(seconds=strongest or 9)
    assert configuration.components["sinks"]["lines"].settings.size == (strongest or 3)


def test_every_value_knows_its_source(settle: Settle) -> None:
    configuration = settle(
        FULL,
        dotenv="G6_DATA_DIR=d",
        env={"G6_DEADLINE": "9s", "LINES_TOKEN": "t"},
        overrides={"sinks": {"lines": {"size": "7"}}},
    )
    sources = {row.path: row.source for row in effective(configuration)}
    assert sources["interval"] == "g6.toml:2"
    assert sources["strategy.below"] == "g6.toml:3"
    assert sources["indices.NIFTY.expiries"] == "g6.toml:9"
    assert sources["sinks.lines.path"] == "g6.toml:12"
    assert sources["sinks.archive.enabled"] == "g6.toml:17"
    assert sources["data_dir"] == "G6_DATA_DIR in .env"
    assert sources["deadline"] == "G6_DEADLINE"
    assert sources["sinks.lines.size"] == "command line"
    assert sources["sinks.lines.token"] == "LINES_TOKEN"
    assert sources["drain_timeout"] == "default"


def test_json_says_the_same_as_toml(settle: Settle, here: Path) -> None:
    from_toml = settle(FULL)
    (here / "g6.toml").unlink()
    document = {
        "plugins": ["a", "b"],
        "interval": "5s",
        "strategy": {"use": "atm_window", "below": 4},
        "journal": {"max_size": "20GB"},
        "indices": {"NIFTY": {"expiries": ["this_week", "2026-11-24"]}},
        "sinks": {
            "lines": {"path": "x.txt", "columns": {"Last": "ltp"}},
            "archive": {"use": "lines", "enabled": False},
        },
    }
    (here / "g6.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    from_json = settle()
    assert from_json.settings == from_toml.settings
    values = [[(row.path, row.value) for row in effective(c)] for c in (from_json, from_toml)]
    assert values[0] == values[1]
    assert {row.path: row.source for row in effective(from_json)}["journal.max_size"] == "g6.json:12"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"G6_PLUGINS": "kite, csv"}, ["kite", "csv"]),
        ({"G6_PLUGINS": '["kite","csv"]'}, ["kite", "csv"]),
        ({"G6_PLUGINS": ""}, []),
        ({"g6_plugins": "kite"}, ["kite"]),
    ],
)
def test_a_list_in_a_variable(variables: dict[str, str], expected: list[str], here: Path) -> None:
    assert read(None, {}, variables).plugins == expected


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("G6_SINKS__LINES__EXTRA", "iv,delta", "extra", ["iv", "delta"]),
        ("G6_SINKS__LINES__EXTRA", '["iv"]', "extra", ["iv"]),
        ("G6_SINKS__LINES__COLUMNS", '{"Last": "ltp"}', "columns", {"Last": "ltp"}),
        ("G6_SINKS__LINES__PATH", "{day}.txt", "path", "{day}.txt"),
        ("G6_SINKS__LINES__PATH", "0123", "path", "0123"),
        ("G6_SINKS__LINES", '{"size": 8}', "size", 8),
        ("G6_SINKS", '{"lines": {"size": 8}}', "size", 8),
    ],
)
def test_a_variable_is_read_as_its_field_wants(
    variable: str, value: str, field: str, expected: object, settle: Settle
) -> None:
    sink = settle(env={variable: value}).components["sinks"]["lines"]
    assert getattr(sink.settings, field) == expected
    assert sink.sources[field] == variable
    path = variable.removeprefix("G6_").lower().split("__")
    if len(path) == 3:
        by_flag = settle(overrides={path[0]: {path[1]: {path[2]: value}}})
        assert getattr(by_flag.components["sinks"]["lines"].settings, field) == expected


def test_variables_of_an_index(settle: Settle) -> None:
    configuration = settle(
        env={"G6_INDICES__NIFTY__EXPIRIES": "this_week,all", "G6_INDICES__NIFTY__STRATEGY__BELOW": "2"}
    )
    assert configuration.index("NIFTY").expiries == ["this_week", "all"]
    assert configuration.index("NIFTY").strategy.settings.below == 2


def test_a_fixed_variable_beats_the_file_but_not_a_g6_variable(settle: Settle) -> None:
    def path(**options: Any) -> str:
        found: str = settle("[sinks.lines]\npath = 'file'", **options).components["sinks"]["lines"].settings.path
        return found

    assert path() == "file"
    assert path(env={"LINES_PATH": "fixed"}) == "fixed"
    assert path(env={"LINES_PATH": "fixed"}, dotenv="G6_SINKS__LINES__PATH=own") == "own"


def test_a_fixed_variable_leaves_a_second_instance_its_own_value(settle: Settle) -> None:
    sinks = settle(
        "[sinks.archive]\nuse = 'lines'\npath = 'archive'", env={"LINES_PATH": "fixed", "OLD_TOKEN": "t"}
    ).components["sinks"]
    assert sinks["lines"].settings.path == "fixed"
    assert sinks["archive"].settings.path == "archive"
    assert sinks["archive"].settings.token.get_secret_value() == "t"


def test_keys_in_any_case_and_the_earlier_name_of_the_index_table(settle: Settle) -> None:
    configuration = settle(
        "Interval = '3s'\n[index_params.bankNifty]\nExpiries = ['this_month']\n[Sinks.LINES]\nSize = 5"
    )
    assert configuration.settings.interval == timedelta(seconds=3)
    assert configuration.index("BANKNIFTY").expiries == ["this_month"]
    assert configuration.components["sinks"]["lines"].settings.size == 5
    assert canonical(("SINKS", "A", "Columns", "Last")) == ("sinks", "a", "columns", "Last")


def test_a_stronger_use_drops_what_a_weaker_source_set_for_another_component(settle: Settle) -> None:
    configuration = settle("strategy = { use = 'atm_window', below = 3 }", env={"G6_STRATEGY": "all"})
    assert configuration.strategy.name == "all"


def test_a_default_of_the_command_counts_only_while_nothing_is_said(settle: Settle) -> None:
    assert settle(defaults={"strategy": {"use": "all"}}).strategy.name == "all"
    assert settle("strategy = { below = 3 }", defaults={"strategy": {"use": "all"}}).strategy.settings.below == 3


def test_no_file_two_files_and_a_named_file(here: Path) -> None:
    assert read(None, {}, {}).file is None
    with pytest.raises(ConfigError, match=r"there is no file `other\.toml`"):
        read(Path("other.toml"), {}, {})
    (here / "g6.toml").write_text("")
    (here / "g6.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"both a g6\.toml and a g6\.json"):
        read(None, {}, {})
    assert read(Path("g6.json"), {}, {}).file == Path("g6.json")


@pytest.mark.parametrize(
    ("name", "content", "message", "where"),
    [
        ("g6.toml", b"a = 1\nb = = 2\n", "this is no TOML: Invalid value", ("g6.toml:2",)),
        ("g6.json", b'{"a": 1,\n"b": }', "this is no JSON: Expecting value", ("g6.json:2",)),
        ("g6.json", b"[]", "settings are one JSON object", ("g6.json",)),
        ("g6.toml", b"\xff\xfeh\x00", "`g6.toml` is not UTF-8 text", ()),
        ("g6.yaml", b"", "`g6.yaml` is neither a .toml nor a .json file", ()),
    ],
)
def test_a_file_that_cannot_be_read(
    name: str, content: bytes, message: str, where: tuple[str, ...], here: Path
) -> None:
    (here / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(Path(name), {}, {})
    assert (caught.value.message, tuple(caught.value.where)) == (message, where)
    assert caught.value.code == "config-file"


def test_a_byte_order_mark_and_windows_line_ends(here: Path) -> None:
    (here / "g6.toml").write_bytes(b"\xef\xbb\xbfinterval = '3s'\r\nplugins = ['a']\r\n")
    assert read(None, {}, {}).plugins == ["a"]


def test_lines_of_toml_and_json() -> None:
    toml = 'a = 1\n[b.c]  # x\n"d" = """\ne\n"""\n  f.g = [\n  1,\n]\n[[h]]\ni=1'
    assert toml_lines(toml) == {
        ("a",): 1, ("b", "c"): 2, ("b", "c", "d"): 3, ("b", "c", "f", "g"): 6, ("h",): 9, ("h", "i"): 10
    }  # fmt: skip
    assert json_lines('{"a": "}", \n"b": {"c\\"": [{"x": 1}],\n "d": 1}}')[("b", "d")] == 3


@given(st.text())
def test_no_text_confuses_the_scanners(text: str) -> None:
    toml_lines(text)
    json_lines(text)
