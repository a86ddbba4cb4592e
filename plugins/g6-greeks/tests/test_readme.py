from __future__ import annotations

import re
import tomllib
from pathlib import Path

from g6_greeks import g6_analytics
from g6_greeks.settings import GreeksSettings

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_sample_configuration_is_valid_and_shows_the_defaults() -> None:
    for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL):
        tables = tomllib.loads(block)["analytics"]
        assert set(tables) <= {spec.name for spec in g6_analytics()}
        GreeksSettings(**tables["greeks"])
    first = tomllib.loads(re.findall(r"```toml\n(.*?)```", README, re.DOTALL)[0])
    assert first["analytics"]["greeks"] == GreeksSettings().model_dump(mode="json")


def test_every_column_and_setting_is_explained() -> None:
    for name in [column for spec in g6_analytics() for column in spec.adds]:
        assert f"`{name.partition('.')[2]}`" in README, name
    for name in GreeksSettings.model_fields:
        assert f"`{name}`" in README, name
