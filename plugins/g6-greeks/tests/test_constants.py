"""The kernel's fitted numbers are those of the script that says where they come from."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import mpmath
import pytest
from g6_greeks.kernel import constants


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "tools" / "fit_constants.py"
    spec = importlib.util.spec_from_file_location("fit_constants", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("fit", "name", "digits"), [("fit_mills", "MILLS", 50), ("fit_atanh", "ATANH", 50)])
def test_a_polynomial_is_what_its_definition_gives(script: ModuleType, fit: str, name: str, digits: int) -> None:
    with mpmath.workdps(digits):
        assert tuple(getattr(script, fit)()) == getattr(constants, name)


def test_the_normal_models_answer_near_the_money(script: ModuleType) -> None:
    with mpmath.workdps(30):
        assert script.fit_near() == pytest.approx(constants.NEAR, rel=1e-12)
