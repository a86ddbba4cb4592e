"""Which kind of recording a path holds, and reading it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from g6_replay import g6csv, nse
from g6_replay.g6tree import Tree
from g6_replay.normalise import Once, normalise, pick
from g6_replay.recording import Recording, Table
from g6_replay.settings import Settings
from g6_replay.tables import contents, empty, header, read_csv, read_parquet
from g6_replay.tally import FILE, Tally
from g6core import ConfigError, DataError, ReadReport

SUFFIXES = {".db": "journal", ".parquet": "parquet", ".csv": "csv", ".json": "nse_json"}
MINUTE_CHAIN = {"timestamp", "symbol", "option_type"}
G6_CSV = {"timestamp", "ce", "pe"}


def load(settings: Settings) -> Recording:
    """Read the recording. Raises ConfigError and DataError, and logs what was set aside."""
    path = settings.path
    if not path.exists():
        raise ConfigError(f"there is no recording {path}", code="replay-missing", hint="check `path` of `replay`")
    form = settings.format if settings.format != "auto" else _form(path)
    if form == "journal":
        from g6_replay.day import Day

        return Day(path)
    if form == "parquet":
        return _table(path, b"", settings)
    if form == "csv" and settings.preset != "g6_csv":
        data = contents(path)
        if not set(header(path, data)) >= G6_CSV:
            return _table(path, data, settings)
    if form == "nse_json":
        return _nse(path, settings.completed("nse_json"))
    settings = settings.completed("g6_csv")
    return Tree(path, settings) if path.is_dir() else _one_file(path, settings)


def _form(path: Path) -> str:
    if path.is_dir():
        return "nse_json" if _json_files(path) and not any(path.rglob("????-??-??.csv*")) else "g6_csv"
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{path.name} does not tell what kind of recording it is",
            code="replay-format",
            where=str(path),
            hint='set `format` of `replay` to "journal", "parquet", "csv", "nse_json" or "g6_csv"',
        )
    return SUFFIXES[suffix]


def _table(path: Path, data: bytes, settings: Settings) -> Recording:
    """A file with a row per contract: CSV (its contents in `data`) or Parquet."""
    named = list(settings.columns)
    tally = Tally([str(path)])

    def refuse(why: str, line: int) -> None:
        tally.add(why, 1, tally.place(0, line))

    frame = read_csv(path, data, refuse) if data else read_parquet(path)
    preset = settings.preset
    if not preset and not named and set(frame.columns) >= MINUTE_CHAIN:
        preset = "minute_option_chain"
    if preset:
        settings = settings.completed(preset)
    rows = pick(frame.with_columns(pl.lit(0, pl.UInt32).alias(FILE)), settings, path, named)
    return _finished(path, rows, settings, tally)


def _nse(path: Path, settings: Settings) -> Recording:
    paths = _json_files(path)
    if not paths:
        raise empty(path, "holds no recorded file")
    tally = Tally([str(p) for p in paths])
    tally.counts["files"] = len(paths)
    return _finished(path, nse.read(paths, tally), settings, tally)


def _one_file(path: Path, settings: Settings) -> Recording:
    """A file of the earlier platform's tree, alone: there is no folder to say what it is."""
    tally = Tally([str(path)], "leg")
    tally.counts["files"] = 1
    rows = g6csv.options([path], None, None, settings, tally)
    legs = rows if rows.is_empty() else g6csv.legs_of(rows, tally)
    return _finished(path, legs, settings, tally, g6csv.merged)


def _json_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted([*path.rglob("*.json"), *path.rglob("*.json.gz")])


def _finished(path: Path, rows: pl.DataFrame, settings: Settings, tally: Tally, once: Once | None = None) -> Recording:
    tally.counts[f"{tally.unit}s"] += rows.height
    frame = normalise(rows, settings, tally, once) if not rows.is_empty() else rows
    if frame.is_empty():
        raise DataError(
            f"no row of {path} can be used",
            code="replay-garbage",
            where=[e.first for e in tally.entries],
            note="; ".join(f"{e.count:,} x {e.reason}" for e in tally.entries) or None,
            hint="compare `format`, `columns`, `timestamp_format` and `expiry_format` of `replay` with the file",
        )
    tally.log()
    return Table(frame, ReadReport(dict(tally.counts), tally.remarks), tally.entries)
