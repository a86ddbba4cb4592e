"""`g6 alerts …`: what the rules are doing, what they raised, silences, and a trial of a rule or a channel."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g6core import config_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output; times in UTC.")


def g6_commands(cli: click.Group) -> None:
    cli.add_command(alerts)


def _date(ctx: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date like 2026-11-20") from None


@click.group()
def alerts() -> None:
    """Alert rules and the channels that tell of them: what fires, what fired, silences."""


@alerts.command("list")
@config_options
@JSON
def list_rules(as_json: bool, **options: Any) -> None:
    """List the rules: what each waits for, and what it was doing when the newest day was last written."""
    from g6_alerts.showing import rules

    rows = rules(options)
    if as_json:
        _document("rules", rows)
    elif not rows:
        click.echo("no alert rule is on")
    else:
        _show(_table(rows, {"rule": "name", "severity": "severity", "waits for": "about", "state": "told"}))


@alerts.command()
@click.option("--from", "first", metavar="YYYY-MM-DD", callback=_date, help="The first day; the oldest if not set.")
@click.option("--to", "last", metavar="YYYY-MM-DD", callback=_date, help="The last day; the newest if not set.")
@click.option("--rule", help="Only those of this rule.")
@click.option("--index", help="Only those of this index.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg",
    help="Draw them over the recorded values as well.",
)
@click.option("--fact", default="spot", show_default=True, help="What --plot draws: spot, vix, pcr_oi, …")
@config_options
@JSON
def history(
    first: date | None,
    last: date | None,
    rule: str | None,
    index: str | None,
    limit: int,
    plot: Path | None,
    fact: str,
    as_json: bool,
    **options: Any,
) -> None:
    """List the alerts of the recorded days; after a replay, those of its directory (--data-dir data/replay)."""
    from g6_alerts.showing import Wanted, found, rows_of

    wanted = Wanted(first, last, rule, index.upper() if index else None)
    raised, context = found(options, wanted)
    shown = raised[-limit:]
    if plot:
        from g6_alerts.plot import draw

        draw(plot, raised, context.data_dir, wanted, fact)
    if as_json:
        _document("alerts", rows_of(shown))
        return
    if not shown:
        click.echo("no alert is recorded there")
    else:
        columns = {"time": "time", "index": "index", "rule": "rule", "state": "state", "summary": "summary"}
        _show(_table(rows_of(shown), columns))
    if len(shown) < len(raised):
        click.echo(f"the newest {len(shown)} of {len(raised):,}; --limit shows more", err=True)
    if plot:
        click.echo(f"drawn in {plot}", err=True)


@alerts.command()
@click.argument("name")
@config_options
@JSON
def test(name: str, as_json: bool, **options: Any) -> int:
    """Send a TEST alert by the channel NAME now, or try the rule NAME on the newest snapshots."""
    from g6_alerts.trying import tried

    kind, rows = tried(name, options)
    if as_json:
        click.echo(json.dumps({"v": 1, kind: name, "results": rows}, default=str))
    elif kind == "channel":
        click.echo(f"{name}: the TEST alert was taken; {rows[0]['where']}")
    else:
        _show(_table(rows, {"index": "index", "time": "time", "result": "result", "values": "told"}))
    return 0


@alerts.command()
@click.argument("name", required=False)
@click.option("--for", "duration", metavar="DURATION", help="For so long from now: 30m, 2h, 1d.")
@click.option("--until", metavar="TIME", help="Until that time in India: 15:30, or 2026-11-24T09:15.")
@click.option("--index", help="Only alerts of this index.")
@click.option("--list", "listing", is_flag=True, help="Show the silences that hold now.")
@click.option("--remove", is_flag=True, help="End the silence of the rule NAME now.")
@config_options
@JSON
def silence(
    name: str | None,
    duration: str | None,
    until: str | None,
    index: str | None,
    listing: bool,
    remove: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Hear nothing of the rule NAME for a while. What it raises is recorded all the same, and not told later."""
    from g6_alerts import silencing

    if listing == bool(name) or (listing and (remove or duration or until)):
        raise click.UsageError("NAME with --for or --until, NAME with --remove, or --list alone")
    if listing:
        rows = silencing.active(options)
        if as_json:
            _document("silences", rows)
        elif not rows:
            click.echo("no rule is silenced")
        else:
            _show(_table(rows, {"rule": "rule", "index": "index", "until": "time"}))
        return
    assert name is not None
    if sum(map(bool, (duration, until, remove))) != 1:
        raise click.UsageError("say how long: --for 30m or --until 15:30; --remove ends a silence")
    index = index.upper() if index else None
    told = silencing.remove(options, name, index) if remove else silencing.add(options, name, index, duration, until)
    if warning := told.pop("warning", None):
        click.echo(f"warning: {warning}", err=True)
    click.echo(json.dumps({"v": 1, **told}) if as_json else told["told"])


def _document(name: str, rows: list[dict[str, Any]]) -> None:
    """Without what is worded for people."""
    plain = [{key: value for key, value in row.items() if key not in ("told", "about", "time")} for row in rows]
    click.echo(json.dumps({"v": 1, name: plain}, default=str))


def _table(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns)
    for row in rows:
        # Text, not markup: a rule's expression may have brackets.
        table.add_row(*(Text(str(row[key] if row[key] is not None else "")) for key in columns.values()))
    return table


def _show(table: Table) -> None:
    from rich.console import Console

    Console().print(table)
