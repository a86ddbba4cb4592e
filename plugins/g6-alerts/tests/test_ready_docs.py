"""The cookbook tells of every ready-made rule, every setting and every function, with the defaults that hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from g6_alerts import g6_alerts
from g6_alerts.grammar import DEEPEST, FUNCTIONS, LONGEST
from g6_alerts.look import GIVEN
from g6_alerts.rule import MOST_ROWS
from g6_alerts.settings import Market, RuleSettings

from g6core import AlertSpec

PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text("utf-8")
READY = [spec for spec in g6_alerts() if spec.name != "rule"]


@pytest.mark.parametrize("spec", READY, ids=[spec.name for spec in READY])
def test_a_ready_made_rule_and_its_own_settings(spec: AlertSpec) -> None:
    (row,) = re.findall(rf"^\| `{spec.name}` \|.*$", PAGE, re.MULTILINE)
    own = spec.settings.model_fields.keys() - Market.model_fields.keys()
    assert {name for name in own if f"`{name}" not in row} == set()
    built = spec.settings()
    for name, told in re.findall(r"`(\w+) = ([\d.]+)`", row):
        assert getattr(built, name) == float(told)


def test_every_setting_name_and_function() -> None:
    assert {name for name in RuleSettings.model_fields if f"| `{name}` |" not in PAGE} == set()
    assert {name for name in GIVEN if f"`{{{name}}}`" not in PAGE} == set()
    assert {name for name in FUNCTIONS if f"`{name}(" not in PAGE} == set()


def test_the_limits() -> None:
    words = " ".join(PAGE.split())
    assert f"at most {LONGEST} characters and {DEEPEST} levels" in words
    assert f"at most {MOST_ROWS} options of an index" in words
