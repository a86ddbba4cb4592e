from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import g6_parquet
import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact
from g6_parquet.segments import places
from g6_parquet.settings import Settings
from g6_parquet.views import VIEWS

from g6core import Alert, make_context
from g6core.cli import main
from g6core.testing import START, ManualClock, snapshots

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_sample_configurations_are_valid() -> None:
    shown = [Settings(**tomllib.loads(block)["sinks"]["parquet"]) for block in blocks("toml")]
    assert shown == [Settings(compression_level=6, retention="400d"), Settings(digits=6)]


def test_every_setting_is_explained() -> None:
    table = README.partition("| setting |")[2].partition("## Asking")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert field.description
        if field.default is not None:
            assert re.search(rf"^\| `{name}` .* \| `{field.default}` \|$", table, re.MULTILINE)


def test_every_table_is_explained() -> None:
    table = README.partition("| table |")[2].partition("The first four")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(VIEWS)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    archive = ParquetArchive(Settings(dir=tmp_path / "data/parquet"))
    archive.open(make_context(tmp_path, ManualClock()))
    for s in snapshots(3, strikes=5):
        archive.write([s.replace(options=s.options.with_columns(iv=0.14))])
    archive.write_alerts([Alert("pcr_high", "NIFTY", START, "PCR 1.6")])
    for place in places(tmp_path / "data/parquet"):
        compact(place, Settings())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g6.toml").write_text('plugins = ["parquet"]\n')
    for line in blocks("sh")[1].splitlines():
        words = shlex.split(line)
        assert words[0] == "g6"
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        shown = capsys.readouterr()
        assert not ended.value.code, shown.err
        assert shown.out or "rows in" in shown.err or "compacted" in shown.err
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    assert "NIFTY" in capsys.readouterr().out


def test_the_paths_are_those_that_are_written(tmp_path: Path) -> None:
    shown = re.findall(r"^data/parquet/(\w+)/index=NIFTY/date=2026-11-20/day-(\d+)-(\d+)-\w{8}\.parquet", README, re.M)
    assert [table for table, _, _ in shown] == ["options", "expiries", "snapshots", "alerts"]


def test_the_plugin_registers_one_sink() -> None:
    (spec,) = g6_parquet.g6_sinks()
    assert (spec.name, spec.settings) == ("parquet", Settings)
    assert type(spec.build(Settings())).__name__ == "ParquetArchive"
