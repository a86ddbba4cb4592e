"""Ready-made rules over the recorder itself: answers by index and key, with the states of any rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from g6_alerts.machine import FIRING
from g6_alerts.rule import Told
from g6_alerts.template import shown
from g6core import IST, Alert, RunReport, SinkReport, Snapshot


@dataclass(frozen=True)
class Answer:
    """true: None when it is not known. value: a number for those who want one."""

    true: bool | None
    summary: str
    value: float | None = None
    index: str = ""
    key: str = ""


class SystemRule(Told):
    """A rule whose answers are made in `answers`."""

    def __init__(self, settings: Any, name: str) -> None:
        super().__init__(name, settings, name)

    def watch(self, run: RunReport) -> Iterable[Alert]:
        return [alert for answer in self.answers(run) for alert in self.taken(answer, run.ts)]

    def answers(self, run: RunReport) -> Iterable[Answer]:
        return ()

    def taken(self, answer: Answer, ts: datetime) -> Iterator[Alert]:
        """The alert, if the answer makes one."""
        event = self.machine.see(answer.index, answer.key, ts, answer.true)
        if event is not None:
            over = "" if event == FIRING else "over: "
            yield self.alert(answer.index, ts, event, answer.key, over + answer.summary, answer.value)


class SessionEnded(SystemRule):
    def answers(self, run: RunReport) -> Iterator[Answer]:
        for name, provider in run.providers.items():
            refused = provider.code == "auth-expired"
            valid = provider.session.valid if provider.session else False
            known = refused or provider.error is None or valid
            true = refused and not valid if known else None
            yield Answer(true, f"{name} wants a login: `g6 login {name}`", key=name)


class NoData(SystemRule):
    def answers(self, run: RunReport) -> Iterator[Answer]:
        for index, report in run.cycle.indices.items() if run.cycle else ():
            missed = run.missed.get(index, 0)
            why = f": {report.reason}" if report.reason else ""
            text = f"nothing was recorded in {missed} cycles{why}" if missed else "recorded again"
            yield Answer(missed >= self.settings.cycles, text, float(missed), index)


class SilentFeed(SystemRule):
    def answers(self, run: RunReport) -> Iterator[Answer]:
        limit = max(self.settings.age, 3 * run.interval).total_seconds()
        for name, provider in run.providers.items() if run.cycle else ():
            age = provider.age
            text = f"the newest quote of {name} came {shown(age, '.0f')} s ago"
            yield Answer(None if age is None else age > limit, text, age, key=name)


class SinkBehind(SystemRule):
    def answers(self, run: RunReport) -> Iterator[Answer]:
        limit = self.settings.behind.total_seconds()
        for name, sink in run.sinks.items():
            why = f": {sink.error}" if sink.error else ""
            text = f"sink {name} is {sink.behind:.0f} s behind, {sink.lag} snapshots wait{why}"
            yield Answer(sink.behind > limit, text, sink.behind, key=name)


class DeadLetters(SystemRule):
    """What a sink rejected since it was last looked at; counts are of this run, so they are not kept over a restart.

    The first look tells of nothing: a rule that was made anew, as the settings changed, would tell of all again.
    """

    def __init__(self, settings: Any, name: str) -> None:
        super().__init__(settings, name)
        self._seen: dict[str, int] = {}
        self._own: dict[str, int] = {}
        """Alerts of this rule that a sink may still reject."""

    def watch(self, run: RunReport) -> Iterable[Alert]:
        alerts = list(super().watch(run))
        for name in run.sinks:
            self._own[name] = self._own.get(name, 0) + len(alerts)
        return alerts

    def answers(self, run: RunReport) -> Iterator[Answer]:
        for name, sink in run.sinks.items():
            new = self._new(name, sink)
            text = f"sink {name} rejected {new} more, {sink.rejected} in this run: `g6 sinks`"
            yield Answer(new > 0, text, float(sink.rejected), key=name)

    def _new(self, name: str, sink: SinkReport) -> int:
        """What it rejected since the last look, less the alerts of this rule: telling of those would never end.

        Only numbers are known: so many are taken for alerts of this rule as it may still reject.
        """
        more = max(0, sink.rejected - self._seen.get(name, sink.rejected))
        own = min(more, self._own.get(name, 0))
        self._seen[name] = sink.rejected
        # With nothing waiting it has had all of them, and took the rest.
        self._own[name] = self._own.get(name, 0) - own if sink.behind else 0
        return more - own


class DiskLow(SystemRule):
    def answers(self, run: RunReport) -> Iterator[Answer]:
        free = None if run.free is None else run.free / 1e9
        yield Answer(
            None if free is None else free < self.settings.free, f"{shown(free, ',.1f')} GB left on the disk", free
        )


class LoginReminder(SystemRule):
    def answers(self, run: RunReport) -> Iterator[Answer]:
        for name, provider in run.providers.items():
            yield Answer(self._needed(run, name), self._text(run, name, provider.session), key=name)

    def _needed(self, run: RunReport, name: str) -> bool | None:
        provider = run.providers[name]
        if run.opens is None:
            return False if provider.error is None else None
        if provider.session is None:
            return None
        return not provider.session.valid and run.opens - run.ts <= self.settings.before

    def _text(self, run: RunReport, name: str, session: Any) -> str:
        opens = "" if run.opens is None else f" before {run.opens.astimezone(IST):%H:%M}, when the market opens"
        return f"log in to {name}{opens}: `g6 login {name}`"


class ClockOff(SystemRule):
    """A quote cannot be newer than now: then this machine's clock is slow, or the exchange's is fast."""

    def check(self, now: Snapshot, before: Snapshot | None) -> list[Alert]:
        newest: Any = now.options.get_column("exchange_ts").max() if "exchange_ts" in now.options.columns else None
        ahead = None if newest is None else (newest - now.ts).total_seconds()
        text = f"the newest quote is {shown(ahead, '.0f')} s ahead of this machine's clock: `g6 doctor`"
        true = None if ahead is None else ahead > self.settings.ahead.total_seconds()
        return list(self.taken(Answer(true, text, ahead, now.index), now.ts))


RULES: Mapping[str, type[SystemRule]] = {
    "session_ended": SessionEnded,
    "no_data": NoData,
    "silent_feed": SilentFeed,
    "sink_behind": SinkBehind,
    "dead_letters": DeadLetters,
    "disk_low": DiskLow,
    "clock_off": ClockOff,
    "login_reminder": LoginReminder,
}
