"""The command line: `g6`. Each command lives in its own module, imported when it is used."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from typing import Any

import click

from g6core import __version__
from g6core.errors import EXIT_CODES, G6Error
from g6core.redact import redacted, redacted_tree

VERBOSE = {"-v", "--verbose"}
COMMANDS = {
    "demo": ("demo", "Record a synthetic market for a moment and show it: no account, no config, no network."),
    "init": ("init", "Write a commented g6.toml and .env.template."),
    "run": ("run", "Record option chains."),
    "chain": ("chain", "Show the latest recorded chain of an index."),
    "login": ("login", "Log in to a broker: once a day, by browser."),
    "status": ("status", "Show what the running recorder does."),
    "doctor": ("doctor", "Check everything, with a remedy for each finding."),
    "plugins": ("plugins", "List installed plugins and their components."),
    "config": ("config", "Show, check and explain the settings."),
    "replay": ("replay", "Send a recording through the engine."),
    "import": ("importing", "Take over recordings of another program."),
    "recompute": ("recompute", "Compute the analytics of recorded days anew."),
    "journal": ("journal", "List and prune the recorded days."),
    "sinks": ("sinks", "List the sinks, and fill one from what was recorded."),
    "new-plugin": ("new_plugin", "Write a new plugin package with a passing test."),
}


class Commands(click.Group):
    """The core's commands by name, and those of plugins when a name is not the core's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(self._of_plugins(ctx, None))]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            command: click.Command = getattr(import_module(f"g6core.cli.{COMMANDS[name][0]}"), COMMANDS[name][0])
            return command
        return self._of_plugins(ctx, name).get(name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, help) for name, (_, help) in COMMANDS.items()]
        rows += [(n, c.get_short_help_str()) for n, c in sorted(self._of_plugins(ctx, None).items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXIT_CODES.items()])

    def _of_plugins(self, ctx: click.Context, wanted: str | None) -> dict[str, click.Command]:
        from g6core.cli.plugin_commands import commands_of_plugins

        return commands_of_plugins(wanted)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="g6", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Say more, and show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, verbose: bool) -> None:
    """Recorder and analyst's engine for Indian index options. It never places an order."""
    ctx.obj = {"verbose": verbose}


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with one of `errors.EXIT_CODES`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a sign shows a question mark; it is no reason to stop.
            stream.reconfigure(errors="replace")
    code = _run(sys.argv[1:] if args is None else args)
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()
    sys.exit(code)


def _run(args: list[str]) -> int:
    if _verbose(args):
        # It may stand anywhere: whoever adds it adds it at the end.
        args = ["-v", *(word for word in args if word not in VERBOSE)]
    try:
        result: Any = cli.main(args, prog_name="g6", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except G6Error as e:
        return _refuse(e, args)
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.ClickException as e:
        _as_json({"code": "usage", "message": e.format_message()}, args)
        e.show()
        return e.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        return 0
    except Exception as e:
        return _crash(e, args)


def _forget_output() -> None:
    """Whoever read the output has had enough; Python would complain about it while it closes the stream."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(e: G6Error, args: list[str]) -> int:
    _as_json(e.as_dict(), args)
    if _verbose(args):
        click.echo(_traceback(e), err=True, nl=False)
    click.echo(redacted(e.render()), err=True)
    return e.exit_code


def _as_json(error: dict[str, object], args: list[str]) -> None:
    """Whoever asked for a document gets one."""
    if "--json" in args:
        import json

        click.echo(json.dumps({"v": 1, "error": redacted_tree(error)}))


def _traceback(e: Exception) -> str:
    import traceback

    return redacted("".join(traceback.format_exception(e)))


def _crash(e: Exception, args: list[str]) -> int:
    """An error that nobody foresaw: one line for the person, the traceback in a file for whoever mends it."""
    import tempfile

    told = redacted(f"{type(e).__name__}: {e}")
    _as_json({"code": "crash", "message": told}, args)
    if _verbose(args):
        click.echo(_traceback(e), err=True, nl=False)
    with tempfile.NamedTemporaryFile("w", prefix="g6-crash-", suffix=".txt", delete=False) as f:
        f.write(_traceback(e))
    click.echo(f"error[crash]: {told}\n  help: the traceback is in {f.name}", err=True)
    return 1


def _verbose(args: list[str]) -> bool:
    return bool(VERBOSE & set(args))
