"""Fixtures for every test, here and in plugins/: real servers."""

pytest_plugins = ["tests.servers"]
