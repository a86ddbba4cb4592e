"""The hooks that the toy plugin leaves out."""

import click

from g6core import Alert, AlertRule, AlertSpec, ProviderSpec, hookimpl


class Always(AlertRule):
    def check(self, now, before):
        yield Alert("always", now.index, now.ts, f"{now.index} was recorded")


def _fake_market(settings):
    from g6core.testing import FakeMarket

    return FakeMarket(("NIFTY",))


@click.command()
@click.argument("word")
def say(word):
    """Say a word."""
    click.echo(f"hooks say {word}")


@hookimpl
def g6_providers():
    return [ProviderSpec("fake", _fake_market)]


@hookimpl
def g6_alerts():
    return [AlertSpec("always", lambda settings: Always())]


@hookimpl
def g6_commands(cli):
    cli.add_command(say)


@hookimpl
def g6_cycle_finished(report):
    click.echo(f"finished {report.ts.isoformat()} {','.join(report.indices)} {len(report.alerts)} alerts")
