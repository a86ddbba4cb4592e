from __future__ import annotations

import re
import tomllib
from pathlib import Path

import g6_replay
from g6_replay.settings import COLUMNS, Settings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_sample_configuration_is_valid() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.S)
    settings = Settings(**tomllib.loads(block)["providers"]["replay"])
    assert settings.lot_sizes == {"NIFTY": 65}


def test_every_setting_and_every_column_is_named() -> None:
    table = README.partition("| setting |")[2].partition("Our columns")[0]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.M)))) == set(Settings.model_fields)
    assert [name for name in COLUMNS if f"`{name}`" not in README] == []


def test_the_plugin_registers_one_provider() -> None:
    (spec,) = g6_replay.g6_providers()
    assert (spec.name, spec.settings) == ("replay", Settings)
    assert type(spec.build(Settings(path=Path("x")))).__name__ == "Replay"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
