from __future__ import annotations

import re
import tomllib
from pathlib import Path

import g6_csv
from g6_csv import columns
from g6_csv.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_sample_configuration_is_valid() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    settings = Settings(**tomllib.loads(block)["sinks"]["csv"])
    assert settings == Settings(extra=["iv_source"])


def test_every_setting_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)`", README, re.MULTILINE) == list(Settings.model_fields)
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_headers_are_the_written_ones() -> None:
    for header in (columns.wide(True, ()), columns.day(True, ()), columns.OVERVIEW):
        assert f"```\n{','.join(header)}\n```" in README


def test_the_plugin_registers_one_sink() -> None:
    (spec,) = g6_csv.g6_sinks()
    assert (spec.name, spec.settings) == ("csv", Settings)
    assert type(spec.build(Settings())).__name__ == "CsvSink"
