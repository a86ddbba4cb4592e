from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g6core import ProviderSpec
from g6core.config import Configuration, resolve
from g6core.durations import format_duration, parse_duration
from g6core.effective import effective
from g6core.errors import ConfigError, G6Error
from g6core.layers import read
from g6core.registry import Registry

Settle = Callable[..., Configuration]
Refused = Callable[..., list[str]]


def test_an_unknown_key_with_its_place_and_the_one_that_was_meant(refused: Refused) -> None:
    assert refused("\n[indices.NIFTY]\nstrike_ofset = 2") == [
        "error[config]: unknown key `strike_ofset`\n"
        "  --> g6.toml:3  [indices.NIFTY]\n"
        "  help: did you mean `strategy`? `g6 config schema indices` lists the keys"
    ]


def test_a_wrong_type(refused: Refused) -> None:
    assert refused("[sinks.lines]\nsize = 'many'") == [
        "error[config]: `size` should be a valid integer, unable to parse string as an integer, not `many`\n"
        "  --> g6.toml:2  [sinks.lines]"
    ]


@pytest.mark.parametrize(
    ("toml", "message", "where"),
    [
        (
            "interval = 15",
            "`interval`: `15` is no duration: a number and one of ms, s, m, h, d, such as 15s",
            "g6.toml:1",
        ),
        ("interval = '0s'", "`interval` should be greater than 0 seconds", "g6.toml:1"),
        ("plugin = ['a']", "unknown key `plugin`", "g6.toml:1"),
        ("expiries = ['this_wek']", "`expiries`: `this_wek` is no expiry; did you mean `this_week`?", "g6.toml:1"),
        ("expiries = []", "`expiries`: list should have at least 1 item after validation, not 0", "g6.toml:1"),
        ("sinks = 5", "`sinks` should be a valid dictionary, not `5`", "g6.toml:1"),
        ("[indices]\nN = 5", "`N` should be a valid dictionary or instance of IndexTable, not `5`", "g6.toml:2"),
        (
            "[journal]\nmax_size = 'lots'",
            "`max_size`: could not parse value and unit from byte string, not `lots`",
            "g6.toml:2",
        ),
        ("[sinks.lines]\nlayout = 'wid'", "`layout` should be 'wide' or 'long', not `wid`", "g6.toml:2"),
        ("[sinks.lines]\nenabled = 'perhaps'", "`enabled` should be true or false, not `perhaps`", "g6.toml:2"),
        ("[sinks.lines.login]\nusr = 'me'", "unknown key `usr`", "g6.toml:2"),
        ("[sinks.lnies]", "no selected plugin brings sink `lnies`", "g6.toml:1"),
        ("[sinks.lines]\nuse = 'smile'", "`lines` is a component of its own and cannot use `smile`", "g6.toml:2"),
        ("strategy = 'atm_windw'", "no selected plugin brings strategy `atm_windw`", "g6.toml:1"),
        ("strategy = { blow = 1 }", "unknown key `blow`", "g6.toml:1"),
        ("[strategies.w]\nuse = 'atm_window'\nblow = 1", "unknown key `blow`", "g6.toml:3"),
        ("[indices.NIFTY]\nprovider = 'lif'", "no selected plugin brings provider `lif`", "g6.toml:2"),
    ],
)
def test_each_kind_of_problem_names_what_is_wrong_and_where(
    toml: str, message: str, where: str, refused: Refused
) -> None:
    (problem,) = refused(toml)
    assert problem.splitlines()[0] == f"error[config]: {message}"
    assert problem.splitlines()[1].startswith(f"  --> {where}")


@pytest.mark.parametrize("value", [5, True, 1.5, [1], ["a"], {"a": 1}, {}, [], ""])
@pytest.mark.parametrize(
    "path",
    [
        "plugins",
        "strategy",
        "strategy.use",
        "indices.NIFTY",
        "indices.NIFTY.provider",
        "indices.NIFTY.strategy.use",
        "sinks",
        "sinks.lines",
        "sinks.x.use",
        "sinks.lines.enabled",
        "sinks.lines.token",
        "strategies.w.use",
        "expiries",
    ],
)
def test_a_value_of_another_kind_is_settled_or_refused(
    path: str, value: object, registry: Callable[..., Registry], here: Path
) -> None:
    tree: object = value
    for key in reversed(path.split(".")):
        tree = {key: tree}
    (here / "g6.json").write_text(json.dumps(tree))
    try:
        layers = read(None, {}, {})
        assert isinstance(layers.plugins, list)
        effective(resolve(layers, registry()))
    except G6Error as e:
        assert (e.exit_code, bool(e.render())) == (2, True)


def test_a_rule_of_the_model_about_several_fields(refused: Refused) -> None:
    (problem,) = refused("strategy = { below = 1, offsets = [1] }")
    assert problem.startswith("error[config]: `offsets` ")
    assert "`below`" in problem
    assert "\n  --> g6.toml:1  [strategy]" in problem


def test_every_problem_of_every_table_at_once(refused: Refused) -> None:
    problems = refused(
        """
intervall = "1s"
strategy = { blow = 3 }
[indices.NIFTY]
expiries = ["never"]
[indices.SENSEX]
provider = "nobody"
[sinks.lines]
size = "x"
pth = 1
""",
        env={"G6_DATA_DIR": "d"},
    )
    firsts = sorted(problem.splitlines()[1] for problem in problems)
    assert firsts == [
        "  --> g6.toml:10  [sinks.lines]",
        "  --> g6.toml:2",
        "  --> g6.toml:3  [strategy]",
        "  --> g6.toml:5  [indices.NIFTY]",
        "  --> g6.toml:7  [indices.SENSEX]",
        "  --> g6.toml:9  [sinks.lines]",
    ]


def test_a_problem_in_a_variable_or_a_flag_names_it(refused: Refused) -> None:
    problems = refused(env={"G6_SINKS__LINES__SIZE": "x"}, overrides={"interval": "soon"}, dotenv="G6_DEADLINE=3")
    places = [problem.splitlines()[1] for problem in problems]
    assert places == ["  --> command line  interval", "  --> G6_DEADLINE in .env", "  --> G6_SINKS__LINES__SIZE"]


def test_a_table_of_a_plugin_that_was_left_out_is_a_warning(settle: Settle) -> None:
    configuration = settle("[sinks.influx]\nurl = 'x'\n[sinks.second]\nuse = 'influx'")
    assert configuration.warnings == [
        "no selected plugin brings sink `influx`: g6.toml:1  [sinks.influx] is left aside",
        "no selected plugin brings sink `influx`: g6.toml:3  [sinks.second] is left aside",
    ]


def test_a_misspelt_variable_is_a_warning(settle: Settle) -> None:
    assert settle(env={"G6_INTRVAL": "1s", "G6_OTHER_THING": "x"}).warnings == [
        "G6_INTRVAL sets nothing; did you mean `G6_INTERVAL`?"
    ]


def test_a_component_that_is_off_need_not_be_complete(settle: Settle, tape: ProviderSpec, live: ProviderSpec) -> None:
    configuration = settle("[providers.tape]\nenabled = false\n[indices.NIFTY]", providers=(live, tape))
    assert configuration.components["providers"]["tape"].enabled is False
    assert configuration.index("NIFTY").provider == "live"


def test_a_setting_without_a_default(refused: Refused, tape: ProviderSpec) -> None:
    assert refused("[providers.tape]", providers=(tape,)) == [
        "error[config]: `providers.tape.file` is not set and has no default\n"
        "  --> g6.toml:1  [providers.tape]\n"
        "  help: set it in [providers.tape], or set G6_PROVIDERS__TAPE__FILE"
    ]


def test_the_only_provider_serves_every_index(settle: Settle) -> None:
    configuration = settle("[indices.NIFTY]")
    assert configuration.index("NIFTY").provider == configuration.index("SENSEX").provider == "live"


def test_with_two_providers_an_index_names_one(settle: Settle, refused: Refused, live: ProviderSpec) -> None:
    two = (live, replace(live, name="other"))
    assert refused("[indices.NIFTY]\n[indices.SENSEX]", providers=two) == [
        "error[config]: NIFTY, SENSEX may come from `live` or `other`\n"
        "  --> g6.toml:1  [indices.NIFTY]\n"
        "  --> g6.toml:2  [indices.SENSEX]\n"
        '  help: `provider = "live"` in [indices.NIFTY], or `enabled = false` in [providers.other]'
    ]
    configuration = settle("[indices.NIFTY]\nprovider = 'other'", providers=two)
    assert configuration.index("NIFTY").provider == "other"
    with pytest.raises(ConfigError, match="SENSEX may come from `live` or `other`"):
        configuration.index("SENSEX")


def test_no_provider_for_a_named_index(refused: Refused, settle: Settle) -> None:
    off = "[providers.live]\nenabled = false\n[indices.NIFTY]\n"
    assert "no provider is on for NIFTY" in refused(off)[0]
    assert "provider `live` is switched off" in refused(off + "provider = 'live'")[0]
    assert settle(off + "enabled = false").indices["NIFTY"].enabled is False


def test_a_strategy_and_what_an_index_makes_of_it(settle: Settle) -> None:
    configuration = settle(
        """
strategy = { use = "wide", above = 7 }
[strategies.wide]
use = "atm_window"
below = 20
above = 20
[indices.NIFTY]
strategy = { below = 1 }
[indices.SENSEX]
strategy = { use = "percent", percent = 2 }
[indices.BANKEX]
[indices.FINNIFTY]
strategy = "atm_window"
"""
    )
    depths = {
        n: configuration.index(n).strategy.settings.model_dump() for n in ("NIFTY", "SENSEX", "BANKEX", "FINNIFTY")
    }
    assert (depths["NIFTY"]["below"], depths["NIFTY"]["above"]) == (1, 7)
    assert depths["SENSEX"] == {"percent": 2.0}
    assert (depths["BANKEX"]["below"], depths["BANKEX"]["above"]) == (20, 7)
    assert (depths["FINNIFTY"]["below"], depths["FINNIFTY"]["above"]) == (10, 10)


def test_a_second_instance(settle: Settle) -> None:
    sinks = settle("[sinks.archive]\nuse = 'lines'\npath = 'other'").components["sinks"]
    assert {name: sink.settings.path for name, sink in sinks.items()} == {"archive": "other", "lines": "lines.txt"}
    assert {sink.spec.name for sink in sinks.values()} == {"lines"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("200ms", 0.2), ("1.5s", 1.5), ("15s", 15), ("1m", 60), ("2h", 7200), ("7d", 604800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize("text", ["", "15", "s", "-1s", "1 s", "1w", "1e3s", "99999999999d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration|longer than ten years"):
        parse_duration(text)


KEYS = st.sampled_from(
    ["plugins", "strategy", "use", "enabled", "indices", "index_params", "NIFTY", "provider", "expiries", "journal"]
) | st.sampled_from(
    ["sinks", "lines", "strategies", "atm_window", "live", "token", "extra", "columns", "login", "offsets", "size"]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | KEYS


@given(
    tree=st.recursive(
        st.dictionaries(KEYS, VALUES, max_size=4),
        lambda inner: st.dictionaries(KEYS, inner | VALUES | st.lists(VALUES, max_size=3), max_size=4),
        max_leaves=12,
    ),
    env=st.dictionaries(KEYS.map(str.upper).map("G6_{}".format), st.text(max_size=6) | KEYS, max_size=2),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_written_is_settled_or_refused(
    tree: dict[str, Any], env: dict[str, str], registry: Callable[..., Registry], here: Path
) -> None:
    (here / "g6.json").write_text(json.dumps(tree))
    try:
        effective(resolve(read(None, {}, env), registry()))
    except G6Error as e:
        assert e.exit_code == 2
        assert e.render()


def test_retention_for_ever(settle: Settle) -> None:
    assert settle("[journal]\nretention = 'forever'").settings.journal.retention is None
