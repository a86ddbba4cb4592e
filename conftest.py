"""Fixtures for every test, here and in plugins/: real servers, processes. Where the files of tests live."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.servers", "tests.processes"]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """In memory, as the servers: most of what tests wait for is a disk. Worker processes inherit it.

    There are workers for all cores: polars needs no further threads in them. Commands of tests have what users have.
    """
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    from tests.servers import in_memory  # pytest itself imports the plugins above, to rewrite their assertions

    place = in_memory()
    if place and config.option.basetemp is None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", place)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is made of the test files stays to the end: nobody looks for garbage in it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
