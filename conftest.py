"""Fixtures for every test, here and in plugins/: real servers, processes. Where the files of tests live."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["tests.servers", "tests.processes"]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """In memory, as the servers: most of what tests wait for is a disk. Worker processes inherit it."""
    from tests.servers import in_memory  # pytest itself imports the plugins above, to rewrite their assertions

    place = in_memory()
    if place and config.option.basetemp is None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", place)
