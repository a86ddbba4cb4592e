"""What a plugin borrows of the engine for a command of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from g6core import ConfigError, PluginError, build_provider, make_context
from g6core.testing import ManualClock


def test_a_provider_of_another_plugin(tmp_path: Path) -> None:
    provider = build_provider("sim", {"seed": 3, "weeks": 1, "months": 1})
    provider.open(make_context(tmp_path, ManualClock()))
    assert provider.simulated and provider.quotes(provider.contracts("NIFTY")).height > 100
    provider.close()


def test_a_plugin_that_is_not_there_or_has_no_provider() -> None:
    with pytest.raises(PluginError, match="no installed plugin"):
        build_provider("simm", {})
    with pytest.raises(PluginError, match="brings no provider"):
        build_provider("csv", {})


def test_a_wrong_setting_names_its_table_and_not_its_value() -> None:
    with pytest.raises(ConfigError) as raised:
        build_provider("sim", {"seed": "very secret"})
    assert list(raised.value.where) == ["[providers.sim] seed"] and "very secret" not in raised.value.render()


def test_the_context_has_the_calendar_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "exchange.toml").write_text('[indices]\nTOYDEX = { exchange = "BFO", spot = "BSE:TOYDEX" }\n')
    context = make_context(tmp_path, ManualClock())
    assert context.calendar.exchange_of("TOYDEX") == "BFO" and context.data_dir == tmp_path
    assert context.history.days(context.clock.now()) == []
