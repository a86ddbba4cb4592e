from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from g6core import ProviderSpec
from g6core.config import Configuration
from g6core.registry import Registry
from g6core.reload import Reloader

START = "interval = '10s'\n[indices.NIFTY]\nprovider = 'live'\n[sinks.lines]\npath = 'a'\n"


@pytest.fixture
def reloader(
    settle: Callable[..., Configuration],
    registry: Callable[..., Registry],
    live: ProviderSpec,
    caplog: pytest.LogCaptureFixture,
) -> Callable[..., Reloader]:
    caplog.set_level(logging.INFO, "g6.reload")
    logging.getLogger("g6").propagate = True
    providers = (live, replace(live, name="other"))

    def start(toml: str = START, **options: Any) -> Reloader:
        return Reloader(settle(toml, providers=providers, **options), registry(*providers))

    return start


def test_an_unchanged_file_changes_nothing(reloader: Callable[..., Reloader], here: Path) -> None:
    watch = reloader()
    assert watch.poll() is None
    (here / "g6.toml").write_text(START)
    assert watch.poll() is None


def test_what_is_safe_is_applied(
    reloader: Callable[..., Reloader], here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = reloader()
    (here / "g6.toml").write_text(
        START.replace("10s", "5s") + "[indices.SENSEX]\nprovider = 'live'\nstrategy = 'all'\nexpiries = ['this_week']\n"
    )
    changed = watch.poll()
    assert changed is not None
    assert changed.settings.interval == timedelta(seconds=5)
    assert changed.index("SENSEX").strategy.name == "all"
    assert watch.restart == ()
    assert "g6.toml changed; applied: interval, indices.SENSEX.enabled" in caplog.text
    assert watch.poll() is None


def test_what_is_not_safe_waits_and_the_rest_does_not(
    reloader: Callable[..., Reloader], here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = reloader()
    text = "plugins = ['x']\ndata_dir = 'elsewhere'\n" + START.replace("10s", "5s").replace("'a'", "'b'")
    (here / "g6.toml").write_text(text)
    changed = watch.poll()
    assert changed is not None
    assert changed.settings.interval == timedelta(seconds=5)
    assert changed.settings.data_dir == Path("data")
    assert changed.components["sinks"]["lines"].settings.path == "a"
    assert watch.restart == ("plugins", "data_dir", "sinks.lines.path")
    assert "g6.toml changed; needs a restart: plugins, data_dir, sinks.lines.path" in caplog.text


def test_only_unsafe_changes_leave_the_run_alone(reloader: Callable[..., Reloader], here: Path) -> None:
    watch = reloader()
    (here / "g6.toml").write_text(START.replace("'a'", "'b'"))
    assert watch.poll() is None
    assert watch.restart == ("sinks.lines.path",)
    (here / "g6.toml").write_text(START)
    assert watch.poll() is None
    assert watch.restart == ()


def test_an_invalid_file_changes_nothing_and_says_why_once(
    reloader: Callable[..., Reloader], here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = reloader()
    (here / "g6.toml").write_text(START.replace("10s", "ten"))
    assert watch.poll() is None
    assert "g6.toml changed and is not valid; nothing was changed\nerror[config]: `interval`" in caplog.text
    caplog.clear()
    assert watch.poll() is None
    assert caplog.text == ""
    (here / "g6.toml").write_text(START.replace("10s", "7s"))
    changed = watch.poll()
    assert changed is not None
    assert changed.settings.interval == timedelta(seconds=7)


def test_settings_for_plugins_that_are_not_loaded_wait(reloader: Callable[..., Reloader], here: Path) -> None:
    watch = reloader()
    (here / "g6.toml").write_text("plugins = ['kite']\n" + START.replace("'live'", "'kite'"))
    assert watch.poll() is None
    assert watch.restart == ("plugins",)


def test_a_provider_that_does_not_run_waits(reloader: Callable[..., Reloader], here: Path) -> None:
    watch = reloader()
    (here / "g6.toml").write_text(START.replace("'live'", "'other'").replace("10s", "5s"))
    changed = watch.poll()
    assert changed is not None
    assert changed.index("NIFTY").provider == "live"
    assert watch.restart == ("indices.NIFTY.provider",)


def test_the_last_index_is_not_taken_away(
    reloader: Callable[..., Reloader], here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = reloader()
    (here / "g6.toml").write_text(START.replace("provider = 'live'", "enabled = false"))
    assert watch.poll() is None
    assert "leaves no index to record" in caplog.text


def test_a_file_that_is_gone_for_a_moment(reloader: Callable[..., Reloader], here: Path) -> None:
    watch = reloader()
    (here / "g6.toml").unlink()
    assert watch.poll() is None
    (here / "g6.toml").write_text(START.replace("10s", "5s"))
    assert watch.poll() is not None


def test_a_flag_stays_stronger_than_the_changed_file(reloader: Callable[..., Reloader], here: Path) -> None:
    watch = reloader(overrides={"interval": "1s"})
    (here / "g6.toml").write_text(START.replace("10s", "5s"))
    assert watch.poll() is None


def test_without_a_file_there_is_nothing_to_watch(reloader: Callable[..., Reloader], here: Path) -> None:
    watch = reloader(None)
    (here / "g6.toml").write_text(START)
    assert watch.poll() is None
