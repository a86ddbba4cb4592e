"""The names that an alert rule uses are looked up at the start, and what is wrong is told with what to type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from g6core import ConfigError, Known

Run = Callable[..., CompletedProcess[str]]


def test_a_name_without_a_table_is_a_fact_else_of_an_expiry_else_of_an_option() -> None:
    known = Known(["facts.gex", "expiries.gex", "options.iv"])
    names = {"spot": "facts.spot", "gex": "facts.gex", "atm_strike": "expiries.atm_strike", "iv": "options.iv"}
    assert {name: known.column(name) for name in names} == names
    assert known.column("expiries.gex") == "expiries.gex"
    assert known.column("options.strike") == "options.strike"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pcr_io", "did you mean `pcr_oi`?"),
        ("facts.spto", "did you mean `facts.spot`?"),
        ("xyzzy", "`g6 plugins"),
    ],
)
def test_a_name_that_no_snapshot_has(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Known(["expiries.pcr_oi"], where="g6.toml:3").column(name)
    assert (caught.value.code, caught.value.message) == ("alert-name", f"no snapshot has `{name}`")
    assert list(caught.value.where) == ["g6.toml:3"]
    assert hint in str(caught.value.hint)


def test_a_sink_that_there_is_not() -> None:
    known = Known(sinks=["telegram", "csv"])
    assert known.sink("csv") == "csv"
    with pytest.raises(ConfigError, match="there is no sink `telegarm`") as caught:
        known.sink("telegarm")
    assert caught.value.hint == "did you mean `telegram`?"


def test_every_wrong_name_of_the_settings_stops_the_start_with_its_place(g6: Run, tmp_path: Path) -> None:
    (tmp_path / "g6.toml").write_text(
        '[alerts.one]\nuse = "rule"\nexpr = "pcr_oi > 1"\n\n[alerts.two]\nuse = "rule"\nexpr = "sopt > 1"\n'
    )
    result = g6("run", "--plugins", "sim,alerts", "--once")
    assert result.returncode == 2
    assert "error[alert-name]: no snapshot has `pcr_oi`" in result.stderr
    assert "g6.toml:1  [alerts.one]" in result.stderr
    assert "help: the plugin `greeks` adds it" in result.stderr
    assert "g6.toml:5  [alerts.two]" in result.stderr
    assert "did you mean `spot`?" in result.stderr
    assert not list(tmp_path.glob("**/*.db"))
