from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import g6_sim
import pytest
from g6_sim import Settings
from pydantic import ValidationError

from g6core import ProviderSpec

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_hook_gives_one_provider() -> None:
    (spec,) = g6_sim.g6_providers()
    assert isinstance(spec, ProviderSpec)
    assert spec.name == "sim"
    assert spec.build(Settings(seed=5)).simulated


def test_selecting_the_plugin_imports_nothing_heavy() -> None:
    code = "import sys, g6_sim; g6_sim.g6_providers(); print({'numpy', 'scipy', 'g6_sim.provider'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_readme_s_sample_is_the_defaults() -> None:
    sample = README.read_text("utf-8").split("```toml\n")[1].split("```")[0]
    assert Settings(**tomllib.loads(sample)["providers"]["sim"]) == Settings()


def test_the_readme_names_every_setting() -> None:
    text = README.read_text("utf-8")
    for name, field in Settings.model_fields.items():
        assert f"| `{name}` |" in text
        assert field.description


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"volatility": 0}, {"volatility": 0.5}, {"months": 0}, {"sead": 1}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]
