from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from g6core.cli import cli
from g6core.config_docs import configuration_page
from g6core.errors import ConfigError, G6Error
from g6core.registry import Registry
from g6core.samples import component_sample, env_template, schema, settings_sample
from g6core.toml import toml_value

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def g6(here: Path) -> Callable[..., Result]:
    def run(*args: str, env: dict[str, str] | None = None) -> Result:
        result = CliRunner().invoke(cli, args, env={"HOME": str(here), "USERPROFILE": str(here), **(env or {})})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_show_says_value_and_source(g6: Callable[..., Result], here: Path) -> None:
    (here / "g6.toml").write_text("interval = '3s'\n[journal]\nretention = 'forever'\n")
    lines = g6("config", "show", "--set", "strategy.below=3", env={"G6_DEADLINE": "2s"}).stdout.splitlines()
    assert [line.split() for line in lines if line.startswith(("interval", "deadline", "strategy.below"))] == [
        ["interval", '"3s"', "g6.toml:1"],
        ["deadline", '"2s"', "G6_DEADLINE"],
        ["strategy.below", "3", "command", "line"],
    ]


def test_show_as_json(g6: Callable[..., Result]) -> None:
    document = json.loads(g6("config", "show", "--json").stdout)
    assert document["v"] == 1
    assert {"path": "interval", "value": "15s", "source": "default"} in document["settings"]


def test_check(g6: Callable[..., Result], here: Path) -> None:
    assert g6("config", "check").stdout == "the defaults: the settings are valid; plugins: none\n"
    (here / "other.toml").write_text("[sinks.nobody]\nx = 1\n")
    result = g6("config", "check", "--config", "other.toml")
    assert result.stdout == "other.toml: the settings are valid; plugins: none\n"
    assert result.stderr.startswith("warning: no selected plugin brings sink `nobody`: other.toml:1")
    assert json.loads(g6("config", "check", "--json").stdout)["valid"] is True
    with pytest.raises(G6Error) as caught:
        g6("config", "check", "--set", "intervall=3s")
    assert caught.value.exit_code == 2


def test_the_sample_of_the_whole_is_valid_as_it_is_and_with_every_line_taken_in(
    registry: Callable[..., Registry],
) -> None:
    text = settings_sample(registry(), {"plugins": ["toy"], "indices": {"NIFTY": {"provider": "live"}}})
    parsed = tomllib.loads(text)
    assert parsed["plugins"] == ["toy"]
    assert parsed["indices"] == {"NIFTY": {"provider": "live"}}
    everything = "\n".join(
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in text.splitlines()
    )
    assert tomllib.loads(everything.replace("journal = {", "#"))["sinks"]["lines"]["layout"] == "wide"
    assert "# (token is a secret: set LINES_TOKEN or OLD_TOKEN or G6_SINKS__LINES__TOKEN in the environment" in text


def test_the_sample_of_a_component(registry: Callable[..., Registry], g6: Callable[..., Result]) -> None:
    sample = component_sample(registry(), "lines")
    assert sample == component_sample(registry(), "sinks.lines")
    assert sample.startswith('[sinks.lines]  # lines of text\n# file to append to\n#path = "lines.txt"\n')
    assert "# strikes below the centre\n#below = 10\n" in g6("config", "sample", "atm_window").stdout
    with pytest.raises(ConfigError, match="no selected plugin brings a component `lnies`") as caught:
        component_sample(registry(), "lnies")
    assert caught.value.hint == "did you mean `lines`?"


def test_the_schema_of_each_section(registry: Callable[..., Registry], g6: Callable[..., Result]) -> None:
    whole = schema(registry())
    lines = whole["properties"]["sinks"]["properties"]["lines"]
    assert lines["additionalProperties"] is False
    assert {"path", "token", "use", "enabled"} <= set(lines["properties"])
    assert lines["properties"]["login"]["$ref"].removeprefix("#/$defs/") in whole["$defs"]
    assert "provider" in schema(registry(), "indices")["properties"]
    assert "retention" in schema(registry(), "journal")["properties"]
    assert schema(registry(), "interval")["pattern"]
    assert "lines" in schema(registry(), "sinks")["properties"]
    assert "path" in schema(registry(), "sinks.lines")["properties"]
    assert json.loads(g6("config", "schema", "strategies.percent").stdout)["properties"]["percent"]["default"] == 5.0


def test_the_template_of_the_environment_names_every_fixed_variable(registry: Callable[..., Registry]) -> None:
    template = env_template(registry())
    assert "#LINES_TOKEN=\n" in template
    assert "#LINES_PATH=\n" in template
    assert all(line.startswith("#") for line in template.splitlines() if line)


def test_the_template_at_the_root_sets_nothing_by_itself() -> None:
    lines = (REPO / ".env.template").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("#") for line in lines if line)
    assert {"#KITE_API_KEY=", "#KITE_API_SECRET=", "#KITE_ACCESS_TOKEN=", "#INFLUX_TOKEN=", "#G6_CSV_BASE_DIR="} <= {
        *lines
    }


def test_the_manual_is_what_the_models_say() -> None:
    page = (REPO / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == configuration_page(), "run `python -m g6core.config_docs > docs/configuration.md`"


def test_toml_is_written_as_it_is_read() -> None:
    value = {"a": [1, 2.5, True, 'q"\\\n\x7f'], "b c": {"d": -1e-7, "e": {}}, "f": "₹"}
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value
