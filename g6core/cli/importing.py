"""`g6 import`: recordings of another program, taken over as days of the own journal."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g6core.assembly import assemble
from g6core.cli.options import config_options, json_option, settings_layers
from g6core.cli.replay import EVERYTHING
from g6core.cli.screen import grouped
from g6core.cli.session import stop_on_signals
from g6core.errors import ConfigError, G6Error
from g6core.importing import DayDone, Outcome, View, take_over
from g6core.logs import log_to_stderr
from g6core.redact import redacted
from g6core.reports import ReadReport, Remark

if TYPE_CHECKING:
    from g6core.config import Configuration
    from g6core.registry import Registry

PROVIDER = "replay"
UNUSED = ("alerts", "strategies", "strategy", "indices", "expiries")
"""Tables that say what to record of a live market; of a recording everything is taken."""
ACTIONS = {
    "repaired": "repaired",
    "set aside": "set aside (not recorded)",
    "not taken": "not taken (left where it was)",
    "noticed": "noticed (told, nothing done)",
}


@click.command("import")
@click.argument("form", metavar="FORMAT")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@config_options
@click.option("--dry-run", is_flag=True, help="Read and report; write nothing.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="The report as JSON into this file.")
@json_option
@click.pass_context
def importing(
    ctx: click.Context,
    /,
    form: str,
    path: Path,
    dry_run: bool,
    report: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Take over recordings of another program: days of the journal, analytics, and the selected sinks.

    FORMAT is g6-csv, the CSV tree of the earlier platform, or another format of the provider `replay`: journal,
    parquet, csv, nse-json. An instant that is recorded already stays as it is, so the same import again adds what is
    missing and nothing twice. The report tells what was read, repaired and left out.
    """
    log_to_stderr(ctx.obj["verbose"])
    if not ctx.obj["verbose"]:
        # The report says it all, with counts.
        logging.getLogger(f"g6.{PROVIDER}").setLevel(logging.ERROR)
    path = path.absolute()
    configuration, registry = _load(form.replace("-", "_"), path, **options)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    assembly = assemble(configuration, registry)
    view = View() if as_json else Lines()
    outcome = take_over(assembly, path, dry_run=dry_run, stop=stop_on_signals(), view=view)
    problem = outcome.problem or _nothing(outcome, path)
    document = _document(outcome, form, path, problem)
    if report:
        _write(report, document)
    if as_json:
        click.echo(json.dumps(document))
    else:
        for line in _lines(outcome, path):
            click.echo(redacted(line))
        _warn_of_retention(configuration, outcome)
    return _end(outcome, problem)


def _load(
    form: str, path: Path, config: Path | None, plugins: str | None, data_dir: Path | None, changes: tuple[str, ...]
) -> tuple[Configuration, Registry]:
    """The settings, with the recording as the only provider, of which everything is taken unless this command line says
    otherwise."""
    from g6core.config import resolve
    from g6core.layers import Leaf, Origin, Strength
    from g6core.registry import Registry

    named = (*changes, f"providers.{PROVIDER}.path={path}", f"providers.{PROVIDER}.format={form}")
    layers = settings_layers(config, plugins, data_dir, named, EVERYTHING)
    registry = Registry.load([*layers.plugins, *([] if PROVIDER in layers.plugins else [PROVIDER])])
    leaves = {
        key: leaf
        for key, leaf in layers.leaves.items()
        if leaf.origin.strength in (Strength.COMMAND_LINE, Strength.COMMAND_DEFAULT)
        or not (key[0] in UNUSED or (key[0] == "providers" and key[1:2] != (PROVIDER,)))
    }
    off = Leaf(False, Origin(Strength.COMMAND_DEFAULT, "default of this command"))
    others = [("providers", name) for name in registry.of("providers") if name != PROVIDER]
    others += [("alerts", name) for name in registry.of("alerts")]
    leaves |= {(*other, "enabled"): off for other in others}
    return resolve(replace(layers, leaves=leaves), registry), registry


def _nothing(outcome: Outcome, path: Path) -> G6Error | None:
    if outcome.new or outcome.there or outcome.stopped:
        return None
    reasons = "; ".join(f"{count:,} x {reason}" for reason, count in outcome.skipped.most_common(5))
    return G6Error(
        f"nothing of {path} can be imported",
        code="nothing-recorded",
        note=reasons or None,
        hint="the report above says what was set aside, and why",
    )


def _end(outcome: Outcome, problem: G6Error | None) -> int:
    if problem:
        click.echo(redacted(problem.render()), err=True)
        return problem.exit_code
    if outcome.stopped:
        click.echo("interrupted; the same command goes on where it stopped", err=True)
        return 130
    if outcome.undelivered:
        click.echo(f"{outcome.undelivered} snapshots wait in the journal; the same command delivers them", err=True)
    return 0 if outcome.whole else 1


def _warn_of_retention(configuration: Configuration, outcome: Outcome) -> None:
    keep = configuration.settings.journal.retention
    if keep and outcome.new and not outcome.dry_run:
        click.echo(
            f"warning: `journal.retention` is {keep.days} days: the next `g6 run` removes imported days that are older "
            "and that every sink has whole",
            err=True,
        )


def _write(file: Path, document: Mapping[str, Any]) -> None:
    try:
        file.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    except OSError as e:
        raise ConfigError(f"the report cannot be written: {e.strerror or e}", where=str(file)) from e


class Lines(View):
    """A line per day."""

    def day(self, done: DayDone) -> None:
        there = f", {grouped(done.there)} there already" if done.there else ""
        click.echo(f"{done.day}  {_count(done.new, 'snapshot')}  {grouped(done.options)} rows{there}")

    def deliver(self, sinks: Sequence[str]) -> None:
        click.echo(f"delivering to {', '.join(sinks)}")


def _count(number: int, word: str) -> str:
    return f"{grouped(number)} {word}{'' if number == 1 else 's'}"


def _lines(outcome: Outcome, path: Path) -> Iterator[str]:
    yield ""
    yield f"read from {path}"
    yield from (f"{grouped(count):>12}  {what}" for what, count in outcome.report.counts.items())
    yield from _remarks(outcome.report)
    yield from _counted("skipped (no snapshot at an instant)", outcome.skipped)
    yield from _counted("notes on snapshots", outcome.notes)
    if outcome.there:
        told = {f"from `{source}`, left as they are": count for source, count in outcome.there.items()}
        yield from _counted("snapshots that were recorded before", told)
    yield ""
    yield _summary(outcome)
    for name, sink in outcome.sinks.items():
        rejected = f", {sink.rejected} rejected" if sink.rejected else ""
        yield f"sink {name}: {_count(sink.written, 'snapshot')}{rejected}"


def _remarks(report: ReadReport) -> Iterator[str]:
    actions = {**ACTIONS, **{remark.action: remark.action for remark in report.remarks if remark.action not in ACTIONS}}
    for action, title in actions.items():
        chosen = [remark for remark in report.remarks if remark.action == action]
        yield from ("", title) if chosen else ()
        yield from (_remark(remark) for remark in sorted(chosen, key=lambda remark: -remark.count))


def _remark(remark: Remark) -> str:
    return f"{grouped(remark.count):>12}  {remark.reason}\n{'':14}first: {remark.first}"


def _counted(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        yield from ("", title)
        yield from (f"{grouped(count):>12}  {what}" for what, count in counts.items())


def _summary(outcome: Outcome) -> str:
    rate = f"{outcome.seconds:.1f} s"
    if not outcome.new:
        return f"nothing new ({rate})" if outcome.there else f"nothing ({rate})"
    days = [done for done in outcome.days if done.new]
    span = str(days[0].day) if len(days) == 1 else f"{days[0].day} to {days[-1].day}"
    indices = ", ".join(f"{name} {grouped(count)}" for name, count in sorted(outcome.indices.items()))
    did = "would be recorded into" if outcome.dry_run else "recorded into"
    rows, quoted = (sum(getattr(done, name) for done in days) for name in ("options", "quoted"))
    return (
        f"{_count(outcome.new, 'snapshot')} {did} {outcome.data_dir} ({rate}): {_count(len(days), 'day')} ({span}), "
        f"{grouped(rows)} rows of options, {grouped(quoted)} with a price; {indices}"
    )


def _document(outcome: Outcome, form: str, path: Path, problem: G6Error | None) -> dict[str, Any]:
    def day(done: DayDone) -> dict[str, Any]:
        return {k: str(v) if isinstance(v, date) else v for k, v in asdict(done).items()}

    return {
        "v": 1,
        "format": form,
        "path": str(path),
        "data_dir": str(outcome.data_dir),
        "dry_run": outcome.dry_run,
        "seconds": outcome.seconds,
        "snapshots": outcome.new,
        "rows": sum(done.options for done in outcome.days),
        "quoted": sum(done.quoted for done in outcome.days),
        "days": [day(done) for done in outcome.days],
        "indices": dict(sorted(outcome.indices.items())),
        "there": dict(outcome.there),
        "read": dict(outcome.report.counts),
        "remarks": [asdict(remark) for remark in outcome.report.remarks],
        "skipped": dict(outcome.skipped),
        "notes": dict(outcome.notes),
        "sinks": {name: asdict(state) for name, state in outcome.sinks.items()},
        "undelivered": outcome.undelivered,
        "problem": problem.as_dict() if problem else None,
    }
