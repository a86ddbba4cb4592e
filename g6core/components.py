"""The five kinds of component. A plugin subclasses one and registers it with a spec (`g6core.specs`).

Threads, the whole contract: a provider is called by one thread at a time, and so is a sink (by its own runner);
strategies, analytics and alert rules run inline in the cycle. No component needs a lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import polars as pl

    from g6core.exchange import Calendar
    from g6core.history import History
    from g6core.http import Http
    from g6core.known import Known
    from g6core.login import Login
    from g6core.reports import Finding, ReadReport, RunReport
    from g6core.snapshot import Snapshot


class Clock(Protocol):
    def now(self) -> datetime:
        """The time that counts: UTC, aware. In a replay it is the recorded time, in a test what the test says."""


@dataclass(frozen=True)
class Context:
    """What the engine lends a component from `open` to `close`."""

    data_dir: Path
    clock: Clock
    calendar: Calendar
    history: History
    """What was recorded before; an analytic that compares with earlier snapshots asks it when it starts."""
    interval: timedelta | None = None
    """How often there is a cycle; None where there are no cycles, as for a plugin's own command."""
    wall_clock: Clock | None = None
    """The machine's time, for when something arrived: `clock` stands still during a cycle, and between two. None where
    nothing arrives by itself."""
    http: Http | None = None
    """The HTTP port of the settings and what the recorder says there; None where nothing is served."""
    name: str | None = None
    """What the settings call the sink or alert rule that is lent this; None for other components."""
    give_way: Callable[[], None] = lambda: None
    """Returns once no cycle computes, after 0.3 s at the latest. A component with threads of its own, for people who
    ask it something say, calls it in them before a piece of work, so that recording goes first."""


@dataclass(frozen=True)
class Spot:
    """An index as its exchange shows it, in index points; what is not known is None.

    close is the previous day's, as brokers give it. ts is the exchange's time, UTC and aware.
    """

    last: float | None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    ts: datetime | None = None


@dataclass(frozen=True)
class Alert:
    """Something a person should know. The same (rule, index, ts, key) is one alert, however often it is raised.

    severity: info, warning or critical. state: firing or resolved. labels: further words for whoever delivers it.
    """

    rule: str
    index: str
    ts: datetime
    summary: str
    severity: str = "warning"
    state: str = "firing"
    key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Component:
    """What every component has; all of it may be left as it is."""

    def open(self, context: Context) -> None:
        """Called once before the first use, on the main thread. Connect here, not in `build`.

        Raising G6Error stops the start with that message; a sink may raise Unavailable and is opened again later.
        """

    def close(self) -> None:
        """Called once after the last use, also after a failure."""

    def diagnose(self, context: Context) -> Iterable[Finding]:
        """Called by `g6 doctor` instead of `open`; may take seconds, must change nothing."""
        return ()


class Provider(Component, ABC):
    """Where contracts, spots and quotes come from.

    Raise Unavailable when the source does not answer and AuthExpired when it wants a login: the indices are skipped and
    nothing is written for them. Never answer with a made-up number: what is not known is null.
    """

    simulated: bool = False
    """True when no market stands behind the numbers; shown wherever they go."""

    always_open: bool = False
    """True when there are quotes outside the exchange's session as well."""

    def indices(self) -> Sequence[str]:
        """The underlyings it serves; collected when the settings name none."""
        return ()

    def timeline(self) -> Iterable[datetime] | None:
        """The instants of a recording, ascending, UTC; None for a live source, which is asked at each tick."""
        return None

    def report(self) -> ReadReport | None:
        """What was read of a recording until now, and what was odd in it: whole once the timeline has come to its end.

        `g6 import` shows it. None for a live source.
        """
        return None

    @abstractmethod
    def contracts(self, index: str) -> pl.DataFrame:
        """Every listed option of the index (columns `snapshot.CONTRACTS`). Asked once per trading day."""

    @abstractmethod
    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        """The spot of each index, in one call; one that is not known is left out. `INDIAVIX` may come unasked."""

    @abstractmethod
    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        """Quotes of the contracts (rows of `contracts`, perhaps of several indices), row for row as asked.

        Columns `snapshot.QUOTES`, absent columns and quotes null, further columns welcome. Cutting it into requests of
        the allowed size is the provider's business.
        """

    def futures(self, indices: Sequence[str]) -> Mapping[str, Mapping[date, float]]:
        """The last price of the listed futures of each index by expiry date, rupees; one that is not known is left out.

        Asked in each cycle after the quotes. What it raises costs nothing but the futures.
        """
        return {}

    def login(self, context: Context) -> Login | None:
        """How a person logs in, for `g6 login`; None when there is nothing to log in to. Called instead of `open`."""
        return None


class Strategy(Component, ABC):
    """Which strikes to watch."""

    @abstractmethod
    def select(self, contracts: pl.DataFrame, spot: float | None, today: date, held: pl.DataFrame) -> pl.DataFrame:
        """A subset of the rows of `contracts`; pure, called in each cycle for each index.

        contracts: the contracts of the configured expiries of one index, with `expiry_code`, sorted by expiry, strike,
                   right. spot: None when the provider had none. held: what this index watched in the last cycle, same
                   columns and `offset`, empty at first. A column `offset` (strike steps from the at-the-money strike)
                   may be added; without it the engine counts from the strike nearest to the spot.
        No rows: the index is skipped in this cycle, and counted.
        """


class Analytic(Component, ABC):
    """Adds the columns and facts that its spec declares."""

    @abstractmethod
    def compute(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with more in it, most simply by `snapshot.add`; overwrites nothing, keeps the rows and their
        order.

        The answer depends on the snapshot and on what was recorded before it, never on the machine's time. Whoever
        compares with earlier snapshots remembers those it saw and asks `Context.history` for those it did not: so a
        restart changes no number. Asked again about the same snapshot it answers the same.
        What cannot be computed is null. When it raises, the snapshot goes on without its columns, and analytics that
        need them are skipped by name.
        """


class Sink(Component, ABC):
    """Where snapshots go. Delivery is at least once, so writing the same snapshot twice must leave one."""

    ack_delay: timedelta = timedelta(0)
    """How long after `write` the data is surely on disk there; the cursor waits for that long."""

    shared: bool = False
    """True when several processes may write there at the same time, as with a server. `g6 sinks fill` then works while
    a recorder runs."""

    keeps: bool = True
    """False when it keeps nothing of what it gets, as a screen: each start begins with the newest snapshot of each
    index, and neither the end of a run nor the retention of the journal waits for it."""

    serves_http: bool = False
    """True when it answers on the HTTP port of the settings, the recorder's own pages included (`Context.http`). The
    recorder then opens no port itself."""

    @abstractmethod
    def write(self, snapshots: Sequence[Snapshot]) -> None:
        """Store the snapshots, oldest first. Returns when they are safe.

        Unavailable (or anything else raised): asked again later with the same ones. Rejected: the batch is set aside.
        """

    def confirm(self) -> None:
        """Called once `ack_delay` has passed since a write, before the cursor moves past it.

        Unavailable when the store may have lost what it had accepted, after a restart of its server for instance: all
        that was not confirmed is then written again. No other write happens meanwhile.
        """

    def place(self, data_dir: Path) -> str | None:
        """Where it will write, as far as no other sink may write there too; two of one place are refused at start."""
        return None

    def write_alerts(self, alerts: Sequence[Alert]) -> None:
        """Store or send the alerts; the same rules. A sink without this does not want them."""


class Archive(Sink):
    """A sink that gives back what it stored, so that days which the journal no longer holds can be read from it.

    Its methods are called between `open` and `close`, by one thread, while another process may be writing.
    """

    @abstractmethod
    def days(self) -> Sequence[date]:
        """The trading dates of which it has something, ascending."""

    def count(self, day: date) -> int | None:
        """How many snapshots it has of a trading date; None where only reading them all would tell."""
        return None

    @abstractmethod
    def read(self, day: date) -> Iterator[Snapshot]:
        """The snapshots of a trading date by time, equal to those that were written."""

    @abstractmethod
    def at(self, index: str, ts: datetime) -> Snapshot | None:
        """The newest snapshot of the index at or before the instant, of that trading date; None when there is none."""


class RuleGroup(Protocol):
    """Rules that are asked together, since most rules have nothing to say about most snapshots."""

    def concerned(self, now: Snapshot, before: Snapshot | None) -> Collection[AlertRule]:
        """The rules of the group that may have something to say: only they are asked for their alerts, by `check`.

        Asked once for each snapshot, and given the same as `check`. After an exception all of them are asked.
        """
        ...


class AlertRule(Component, ABC):
    """Looks at each snapshot after it was recorded."""

    def bind(self, known: Known) -> None:
        """Called once after `build`, before `open`: look up the columns, facts and sinks that the settings name.

        Raises ConfigError, which stops the start, for a name that is nobody's; `known` does so by itself.
        """

    @abstractmethod
    def check(self, now: Snapshot, before: Snapshot | None) -> Iterable[Alert]:
        """The alerts that this snapshot raises. before: the same index one cycle earlier, None at the start.

        An exception is logged and mutes the rule for that index after five in a row.
        """

    def group(self) -> RuleGroup | None:
        """What this rule is asked together with others by; None: it is asked about every snapshot. Asked once after
        `open`, and again when the settings were read anew."""
        return None

    def watch(self, run: RunReport) -> Iterable[Alert]:
        """The alerts about the recorder itself; called after each cycle, once its snapshots were checked, and at each
        tick while the market is closed. Not called in a replay. An alert of no index has `index=""`.

        An exception is logged and mutes this call after five in a row.
        """
        return ()

    def state(self) -> str:
        """What the rule has to remember over a restart, as text; empty for nothing.

        Asked after each round of checks and committed together with its alerts: after a crash the rule is given the
        state that goes with the last alerts in the journal, and then every snapshot that was not looked at.
        """
        return ""

    def restore(self, state: str) -> None:
        """Called after `open`, before the first `check`, with what `state` said last, perhaps on an earlier day or with
        other settings. What cannot be used of it is left out; nothing is raised."""
