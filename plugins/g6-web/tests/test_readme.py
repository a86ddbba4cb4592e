from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from g6_web.routes import API, CORE, ROUTES
from g6_web.settings import Settings
from pydantic import ValidationError

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text(encoding="utf-8")
PAGE = (HERE.parents[1] / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_sample_configuration_is_valid() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert Settings(**tomllib.loads(block)["sinks"]["web"]) == Settings()


def test_every_setting_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE) == list(Settings.model_fields)
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_manual_has_every_path_and_parameter() -> None:
    rows = dict(re.findall(r"^\| `(/[^`]+)` \| [^|]* \|(.*)\|$", PAGE, re.MULTILINE))
    assert list(rows) == [route.path for route in ROUTES]
    for route in ROUTES:
        assert set(re.findall(r"`(\w+)`", rows[route.path])) == {param.name for param in route.params}, route.path
    assert all(f"`{path}`" in PAGE for path in CORE) and f"`{API}`" in PAGE


@pytest.mark.parametrize("given", [{"streams": 0}, {"queue": 0}, {"heartbeat": "0s"}, {"port": 9108}])
def test_settings_that_make_no_sense_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)
