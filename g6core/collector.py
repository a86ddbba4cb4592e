"""From a provider to raw snapshots: contracts → spots → select → quotes → futures → split, for all indices of one
provider at once.

What a day does not change is kept for the day: the contracts with their expiry codes, and the selected rows for as
long as the strategy selects the same.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from g6core import expiry, levels
from g6core.components import Provider, Spot, Strategy
from g6core.errors import DataError, G6Error, Unavailable
from g6core.exchange import Calendar, trading_date
from g6core.faults import FAULTS, told
from g6core.measuring import ProviderMeter
from g6core.snapshot import CONTRACTS, EXPIRIES, LABELS, QUOTES, UTC_TIME, Snapshot, conform
from g6core.strikes import with_offsets

log = logging.getLogger("g6.collector")
ORDER = ("expiry", "strike", "right")
VIX = "INDIAVIX"
_MOMENT = timedelta(microseconds=1)
_SELECTED = {**CONTRACTS, **LABELS}


@dataclass(frozen=True)
class Plan:
    """What to collect for one index."""

    index: str
    strategy: Strategy
    expiries: Sequence[str]


@dataclass(frozen=True)
class Raw:
    """What came of one index in one cycle: a snapshot, or the reason why there is none, in words and as a code."""

    snapshot: Snapshot | None
    reason: str | None = None
    notes: tuple[str, ...] = ()
    code: str | None = None


@dataclass
class _Chain:
    """The contracts of the configured expiries of one index, as of one day."""

    day: date
    contracts: pl.DataFrame
    codes: Mapping[date, Sequence[str]]
    closes: Mapping[date, datetime]
    notes: tuple[str, ...]


@dataclass
class _Held:
    """The selected rows of one index, and what follows from them alone. answer: as the strategy gave them."""

    answer: pl.DataFrame
    selected: pl.DataFrame
    expiries: pl.DataFrame
    starts: np.ndarray = field(repr=False)


_Ready = tuple[_Held, Spot | None, tuple[str, ...]]
"""What is selected of an index, its spot, and notes."""


class Collector:
    """Collects the indices of one provider, which is open; used by one thread at a time."""

    def __init__(self, name: str, provider: Provider, plans: Sequence[Plan], calendar: Calendar) -> None:
        self.name = name
        self.provider = provider
        self.plans = list(plans)
        self.meter = ProviderMeter(name)
        self._calendar = calendar
        self._always_open = provider.always_open or provider.timeline() is not None
        self._chains: dict[str, _Chain] = {}
        self._held: dict[str, _Held] = {}
        self._levels: dict[str, float | None] = {}
        self._asked: tuple[list[pl.DataFrame], pl.DataFrame] = ([], pl.DataFrame())

    def is_open(self, index: str, now: datetime) -> bool:
        """Whether there is anything to record; the instant of the close is the session's last."""
        exchange = self._calendar.exchange_of(index)
        if exchange is None or self._always_open:
            return True
        return self._calendar.is_open(exchange, now) or self._calendar.is_open(exchange, now - _MOMENT)

    def replan(self, plans: Sequence[Plan]) -> None:
        """Collect something else from the next cycle on."""
        self.plans = list(plans)
        self._chains.clear()
        self._held.clear()

    def collect(self, now: datetime) -> dict[str, Raw]:
        """One pass. Raises what the provider raises: then nothing is recorded for any of its indices."""
        closed = Raw(None, "the market is closed", code="closed")
        results = {p.index: closed for p in self.plans if not self.is_open(p.index, now)}
        plans = [plan for plan in self.plans if plan.index not in results]
        spots = self._spots([plan.index for plan in plans]) if plans else {}
        vix = levels.level(spots.get(VIX))
        ready: dict[str, _Ready] = {}
        for plan in plans:
            try:
                ready[plan.index] = self._select(plan, spots.get(plan.index), now)
            except Unavailable:
                raise
            except FAULTS as e:
                # What is wrong with one index is its own affair; the others are recorded.
                log.debug("selection of %s", plan.index, exc_info=True)
                results[plan.index] = Raw(None, told(e), code=e.code if isinstance(e, G6Error) else "failed")
        return results | self._snapshots(ready, vix, now)

    def _spots(self, indices: Sequence[str]) -> dict[str, Spot]:
        with self.meter.call("spots"):
            return dict(self.provider.spots(indices))

    def _snapshots(self, ready: Mapping[str, _Ready], vix: float | None, now: datetime) -> dict[str, Raw]:
        results: dict[str, Raw] = {}
        quotes = self._quotes({i: held.selected for i, (held, _, _) in ready.items()})
        with self.meter.call("futures"):
            futures, failure = levels.futures(self.provider, list(quotes))
        for index, (options, there) in quotes.items():
            held, spot, notes = ready[index]
            if not spot and not there.any():
                results[index] = Raw(None, "the provider gave neither spot nor quote", code="no-quotes")
                continue
            future, unsound = levels.futures_by_expiry(futures.get(index), held.expiries["expiry"])
            expiries = held.expiries.hstack([pl.Series("quoted", np.add.reduceat(there, held.starts)), future])
            facts = levels.facts(spot, vix, self.provider.simulated)
            snapshot = Snapshot(index, now, self.name, options, expiries, facts)
            results[index] = Raw(snapshot, None, (*notes, *failure, *unsound))
        return results

    def _select(self, plan: Plan, spot: Spot | None, now: datetime) -> _Ready:
        chain = self._chain(plan, now)
        level = levels.level(spot)
        before = self._held.get(plan.index)
        watched = before.selected if before else pl.DataFrame(schema=_SELECTED)
        try:
            answer = plan.strategy.select(chain.contracts, level, trading_date(now), watched)
            nothing = answer.height == 0
        except FAULTS as e:
            raise _Skip(f"the strategy failed: {told(e)}", code="strategy") from e
        if nothing and level is None:
            raise _Skip("the provider gave no spot", code="no-spot")
        if nothing:
            raise _Skip("the strategy selected no contract", code="nothing-selected")
        notes = (*chain.notes, *self._spot_note(plan.index, level))
        if before and answer is before.answer and "offset" in answer.columns:
            return before, spot, notes
        self._levels[plan.index] = level or self._levels.get(plan.index)
        selected = self._offset(answer, self._levels[plan.index], chain.contracts)
        if before and selected.equals(before.selected):
            return before, spot, notes
        self._held[plan.index] = self._hold(answer, selected, chain)
        return self._held[plan.index], spot, notes

    def _spot_note(self, index: str, level: float | None) -> tuple[str, ...]:
        if level is not None:
            return ()
        if self._levels.get(index) is None:
            return ("the provider gave no spot; the offsets of the strikes are not known",)
        return ("the provider gave no spot; strikes are counted from the last one",)

    def _offset(self, selected: pl.DataFrame, level: float | None, listed: pl.DataFrame) -> pl.DataFrame:
        if "offset" not in selected.columns:
            # Without any spot so far the contracts are recorded all the same; their offset is not known.
            unknown = pl.lit(None, pl.Int64).alias("offset")
            selected = selected.with_columns(unknown) if level is None else with_offsets(selected, level, listed)
        return conform(selected, _SELECTED, who="the strategy").select(*_SELECTED).sort(ORDER)

    def _chain(self, plan: Plan, now: datetime) -> _Chain:
        today = trading_date(now)
        known = self._chains.get(plan.index)
        # Asked once a day, and once more when expiries of the day have closed: they leave the codes to the next ones.
        if known and known.day == today and min(known.closes.values()) >= now:
            return known
        chain = self._labelled(plan, today, now)
        self._chains[plan.index] = chain
        return chain

    def _labelled(self, plan: Plan, today: date, now: datetime) -> _Chain:
        who = f"provider `{self.name}`, contracts of {plan.index}"
        with self.meter.call("contracts"):
            listed = self.provider.contracts(plan.index)
        if "index" not in listed.columns:
            listed = listed.with_columns(index=pl.lit(plan.index))
        listed = conform(listed, CONTRACTS, who=who, required=("exchange", "symbol", "expiry", "strike", "right"))
        listed, notes = _sound(listed)
        if listed.is_empty():
            raise _Skip("the provider lists no contract of it today", code="no-contracts")
        exchanges = dict(listed.select("expiry", "exchange").unique("expiry").iter_rows())
        closes = {day: self._calendar.closes_at(exchange, day) for day, exchange in exchanges.items()}
        open_still = [day for day, close in closes.items() if close >= now]
        codes = expiry.resolve(listed.filter(pl.col("expiry").is_in(open_still)), today, plan.expiries)
        if not codes:
            raise _Skip(f"no listed expiry answers to {', '.join(plan.expiries)}", code="no-expiry")
        closes = {day: closes[day] for day in codes}
        labels = pl.DataFrame(
            {"expiry": list(codes), "expiry_code": [names[0] for names in codes.values()]},
            schema={"expiry": pl.Date, "expiry_code": pl.String},
        )
        contracts = listed.unique(("exchange", "symbol"), keep="first").join(labels, on="expiry").sort(ORDER)
        return _Chain(today, contracts, codes, closes, notes)

    def _hold(self, answer: pl.DataFrame, selected: pl.DataFrame, chain: _Chain) -> _Held:
        first = selected["expiry"].to_numpy()
        starts = np.flatnonzero(np.r_[True, first[1:] != first[:-1]])
        expiries = selected.group_by("expiry", maintain_order=True).agg(
            pl.col("strike").filter(pl.col("offset") == 0).first().alias("atm_strike"),
            pl.len().cast(pl.Int64).alias("contracts"),
        )
        listed = expiries["expiry"].to_list()
        expiries = expiries.with_columns(
            pl.Series("codes", [list(chain.codes[day]) for day in listed], pl.List(pl.String)),
            pl.Series("expires_at", [chain.closes[day] for day in listed], UTC_TIME),
            code=pl.Series([chain.codes[day][0] for day in listed]),
        )
        return _Held(answer, selected, conform(expiries, EXPIRIES, who="the core").drop("quoted", "future"), starts)

    def _quotes(self, selected: Mapping[str, pl.DataFrame]) -> dict[str, tuple[pl.DataFrame, np.ndarray]]:
        """The options of each index, and for each row 1 when it has a quote, else 0."""
        if not selected:
            return {}
        asked = self._contracts_asked(list(selected.values()))
        with self.meter.call("quotes"):
            quotes = self.provider.quotes(asked)
        who = f"provider `{self.name}`, quotes"
        if quotes.height != asked.height:
            raise Unavailable(f"{who}: {quotes.height} rows for {asked.height} contracts", code="bad-frame")
        if "symbol" in quotes.columns and not quotes["symbol"].equals(asked["symbol"]):
            raise Unavailable(f"{who}: they stand in another order than the contracts", code="bad-frame")
        try:
            # Before the cast: a whole number that is absent comes as NaN from some libraries.
            floats = pl.selectors.float()
            finite = quotes.drop(_SELECTED, strict=False).with_columns(pl.when(floats.is_finite()).then(floats))
            quotes = conform(finite, QUOTES, who=who)
        except DataError as e:
            raise Unavailable(e.message, code=e.code) from e
        seen = quotes["last_price"].is_not_null() | quotes["bid"].is_not_null() | quotes["ask"].is_not_null()
        there = seen.to_numpy().astype(np.int64)
        split, start = {}, 0
        for index, frame in selected.items():
            end = start + frame.height
            split[index] = (frame.hstack(quotes[start:end].get_columns()), there[start:end])
            start = end
        return split

    def _contracts_asked(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        # The same object while the selection stands, so that a provider can keep what it works out about it.
        known, asked = self._asked
        if len(known) != len(frames) or any(a is not b for a, b in zip(known, frames, strict=True)):
            asked = pl.concat(frames)
            self._asked = (frames, asked)
        return asked


class _Skip(G6Error):
    """This index has nothing to record in this cycle."""


def _sound(listed: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The contracts that say what they are, and a note of how many do not."""
    strike = pl.col("strike")
    keys = ("exchange", "symbol", "expiry", "right")
    sound = listed.filter(strike.is_finite() & (strike > 0) & pl.all_horizontal(pl.col(keys).is_not_null()))
    left_out = listed.height - sound.height
    if not left_out:
        return listed, ()
    return sound, (f"{left_out} listed contracts without a proper symbol, expiry, strike or right are left out",)
