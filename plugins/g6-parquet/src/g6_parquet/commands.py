"""`g6 query`, `g6 export`, `g6 compact`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g6core import config_options

if TYPE_CHECKING:
    from g6_parquet.settings import Settings
    from g6core import Context

MEMORY = click.option("--memory", default="2GB", show_default=True, help="What the query may use, such as 8GB.")


def _date(ctx: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date like 2026-11-20") from None


def _names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(name.strip().upper() for name in (value or "").split(",") if name.strip())


@click.command()
@click.argument("sql")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output; times in UTC.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV on standard output; times in India's zone.")
@MEMORY
@config_options
def query(sql: str, as_json: bool, as_csv: bool, memory: str, **options: Any) -> None:
    """Ask what the sink `parquet` stored, by one SELECT in DuckDB's SQL; also while it is being recorded.

    Tables: options, expiries, overview (a row per snapshot), alerts, coverage (a row per index and date). Each has the
    columns index and date: naming them in WHERE reads only those files. The columns "right" and "offset" are words of
    SQL and stand in double quotes. Dates and times are India's.
    """
    from g6_parquet import output
    from g6_parquet.query import ask

    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    answer = ask(_root(options), sql, memory)
    click.echo(
        output.document(answer) if as_json else output.as_csv(answer) if as_csv else output.as_table(answer),
        nl=not as_csv,
    )


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--table", type=click.Choice(["options", "expiries", "overview", "alerts"]), default="options", show_default=True
)
@click.option("--index", "indices", metavar="NAMES", callback=_names, help="Only these: NIFTY,BANKNIFTY.")
@click.option("--from", "first", metavar="YYYY-MM-DD", callback=_date, help="The first date.")
@click.option("--to", "last", metavar="YYYY-MM-DD", callback=_date, help="The last date.")
@click.option("--query", "sql", metavar="SQL", help="The answer to a query in place of a table.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@MEMORY
@config_options
def export(
    file: Path,
    table: str,
    indices: Sequence[str],
    first: date | None,
    last: date | None,
    sql: str | None,
    force: bool,
    memory: str,
    **options: Any,
) -> None:
    """Write a table or an answer into FILE: .parquet, .csv or .xlsx. Times in CSV and Excel are India's."""
    from g6_parquet.export import Wanted, export

    if sql and (indices or first or last):
        raise click.UsageError("--query says itself which rows: leave out --index, --from and --to")
    rows = export(_root(options), Wanted(table, indices, first, last, sql), file, force=force, memory=memory)
    click.echo(f"{rows:,} rows in {file}", err=True)


@click.command()
@click.option("--date", "day", metavar="YYYY-MM-DD", callback=_date, help="One date.")
@click.option("--all", "everything", is_flag=True, help="Every date, that of today as well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@config_options
def compact(day: date | None, everything: bool, as_json: bool, **options: Any) -> None:
    """Bring dates into their final form, a file per index: every date before today, if none is named.

    It is done by itself when a date is over, and may be done again at any time, beside a recorder too.
    """
    from g6_parquet.compaction import compact
    from g6_parquet.segments import ALERTS, TABLES, places
    from g6core import DataError, trading_date

    if day and everything:
        raise click.UsageError("--date or --all, not both")
    settings, context = _lent(options)
    root, today = settings.directory(context.data_dir).absolute(), trading_date(context.clock.now())
    there = [place for tables in (TABLES, ALERTS) for place in places(root, tables)]
    if not there:
        raise DataError(
            "no Parquet files are there to be compacted",
            code="nothing-recorded",
            where=str(root),
            hint="--data-dir names another directory",
        )
    chosen = [p for p in there if everything or (p.day == day if day else p.day < today)]
    if day and not chosen:
        raise DataError(f"nothing is stored of {day}", code="no-such-day", where=str(root))
    done = [place for place in chosen if compact(place, settings)]
    if as_json:
        rows = [{"table": place.tables[-1], "index": place.index, "date": str(place.day)} for place in done]
        click.echo(json.dumps({"v": 1, "compacted": rows}))
        return
    for place in done:
        click.echo(f"{place.day}  {place.index}{'  alerts' if place.tables == ALERTS else ''}")
    click.echo(f"{len(done)} compacted, {len(chosen) - len(done)} were already", err=True)


def _root(options: dict[str, Any]) -> Path:
    settings, context = _lent(options)
    return settings.directory(context.data_dir).absolute()


def _lent(options: dict[str, Any]) -> tuple[Settings, Context]:
    from g6core import configured

    settings, context = configured("sinks", "parquet", **options)
    return settings, context
