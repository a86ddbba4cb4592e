"""A cycle records what the market gave, and a failure stays with whoever failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from g6core import days
from g6core.analysis import Step
from g6core.assembly import Assembly
from g6core.collector import Plan
from g6core.components import Alert, AlertRule, Analytic, Context, Sink, Spot
from g6core.engine import Engine
from g6core.errors import AuthExpired, Busy, ConfigError, Unavailable
from g6core.settings import Settings
from g6core.snapshot import Snapshot
from g6core.specs import NoSettings
from g6core.strategies import All, AtmWindow, AtmWindowSettings
from g6core.testing import START, FakeMarket, ManualClock, MemorySink, snapshot

CODES = ("this_week", "next_week", "this_month", "next_month")
Build = Callable[..., Engine]


class Doubled(Analytic):
    """Adds twice the last price."""

    def compute(self, snapshot: Snapshot) -> Snapshot:
        return snapshot.replace(options=snapshot.options.with_columns(doubled=pl.col("last_price") * 2))


class Broken(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        raise ZeroDivisionError("no good")


class Loud(AlertRule):
    """An alert for each snapshot; fails where it is told to."""

    def __init__(self, fails_on: str = "") -> None:
        self.fails_on, self.checks = fails_on, 0

    def check(self, now: Snapshot, before: Snapshot | None) -> Sequence[Alert]:
        self.checks += 1
        if now.index == self.fails_on:
            raise RuntimeError("cannot look at this")
        return [Alert("loud", now.index, now.ts, f"before: {before and before.ts}")]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    engines: list[Engine] = []

    def make(
        market: FakeMarket | None = None,
        *,
        strategy: Any = None,
        steps: Sequence[Step] = (),
        sinks: dict[str, Sink] | None = None,
        rules: dict[str, AlertRule] | None = None,
        start: bool = True,
        **settings: Any,
    ) -> Engine:
        provider = market or FakeMarket()
        chosen = strategy or AtmWindow(AtmWindowSettings(below=2, above=2))
        plans = {"fake": [Plan(index, chosen, CODES) for index in provider.indices()]}
        core = Settings(data_dir=tmp_path, **settings)
        parts = Assembly(core, {"fake": provider}, plans, list(steps), sinks or {}, rules or {}, ())
        engine = Engine(parts, ManualClock())
        engines.append(engine)
        if start:
            engine.start()
        return engine

    yield make
    for engine in engines:
        engine.stop()


def stored(data_dir: Path) -> list[Snapshot]:
    return [s for path in days.days(data_dir) for _, s in days.read_day(path)]


def test_a_cycle_ends_with_every_index_in_the_journal(build: Build, tmp_path: Path) -> None:
    engine = build()
    report = engine.cycle(START)
    assert {name: r.status for name, r in report.indices.items()} == {"NIFTY": "recorded", "BANKNIFTY": "recorded"}
    nifty, banknifty = sorted(stored(tmp_path), key=lambda s: s.index, reverse=True)
    assert nifty.ts == START
    assert nifty.options["offset"].unique().sort().to_list() == [-2, -1, 0, 1, 2]
    assert nifty.options.sort("expiry", "strike", "right").equals(nifty.options)
    assert nifty.expiries["codes"].to_list()[0][0] == "this_week"
    assert "this_week" not in {code for codes in banknifty.expiries["codes"].to_list() for code in codes}
    assert nifty.facts["vix"] == 13.5
    assert nifty.simulated


def test_one_quote_call_serves_all_indices_and_contracts_are_asked_once_a_day(build: Build) -> None:
    market = FakeMarket()
    engine = build(market)
    for minute in range(4):
        engine.cycle(START + timedelta(minutes=minute))
    assert market.calls["quotes"] == 4
    assert market.calls["spots"] == 4
    assert market.calls["contracts"] == 2


def test_a_contract_named_by_two_codes_is_recorded_once(build: Build, tmp_path: Path) -> None:
    # On Tuesday 25 August this week's contract is the month's.
    engine = build()
    engine.cycle(START + timedelta(days=8))
    nifty = next(s for s in stored(tmp_path) if s.index == "NIFTY")
    assert ["this_week", "this_month"] in nifty.expiries["codes"].to_list()
    assert nifty.options.select("exchange", "symbol").is_unique().all()


def test_a_provider_that_fails_writes_nothing_and_comes_back(build: Build, tmp_path: Path) -> None:
    market = FakeMarket()
    engine = build(market)
    market.fail("quotes", Unavailable("no answer"))
    report = engine.cycle(START)
    assert {r.reason for r in report.indices.values()} == {"no answer"}
    assert stored(tmp_path) == []
    market.heal()
    engine.cycle(START + timedelta(minutes=5))
    assert len(stored(tmp_path)) == 2


def test_an_ended_session_is_told_once_and_nothing_is_written(
    build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = FakeMarket()
    engine = build(market)
    market.fail("quotes", AuthExpired("the session ended at 06:00 IST", hint="run `g6 login`"))
    with caplog.at_level("WARNING", logger="g6"):
        for minute in range(5):
            engine.cycle(START + timedelta(minutes=minute))
    assert [r.message for r in caplog.records].count(
        "provider fake: the session ended at 06:00 IST (run `g6 login`); nothing is recorded for its indices"
    ) == 1
    assert stored(tmp_path) == []
    market.heal()
    # A new login is used in the very next cycle: nobody backs off from an ended session.
    engine.cycle(START + timedelta(minutes=5))
    assert len(stored(tmp_path)) == 2


def test_a_slow_provider_misses_its_tick_and_its_answer_is_still_recorded(build: Build, tmp_path: Path) -> None:
    market = FakeMarket()
    engine = build(market)
    market.delays["quotes"] = 0.4
    report = engine.cycle(START, deadline=0.05)
    assert {r.reason for r in report.indices.values()} == {"provider fake missed the deadline"}
    report = engine.cycle(START + timedelta(seconds=15), deadline=0.05)
    assert {r.reason for r in report.indices.values()} == {"provider fake still answers an earlier cycle"}
    market.heal()
    time.sleep(0.6)
    engine.cycle(START + timedelta(seconds=30), deadline=5)
    assert sorted({s.ts for s in stored(tmp_path)}) == [START, START + timedelta(seconds=30)]


def test_a_broken_analytic_costs_its_own_columns_only(build: Build, tmp_path: Path) -> None:
    steps = [
        Step("broken", Broken(), (), ("options.x",)),
        Step("doubled", Doubled(), (), ("options.doubled",)),
        Step("dependant", Doubled(), ("options.x",), ("options.y",)),
    ]
    report = build(steps=steps).cycle(START)
    notes = report.indices["NIFTY"].notes
    assert notes[0] == "analytic broken: ZeroDivisionError: no good"
    assert notes[1] == "analytic dependant: skipped, because broken did not give options.x"
    options = stored(tmp_path)[0].options
    assert "doubled" in options.columns
    assert "x" not in options.columns


def test_an_analytic_that_adds_what_it_did_not_declare_is_refused(build: Build, tmp_path: Path) -> None:
    report = build(steps=[Step("sly", Doubled(), (), ())]).cycle(START)
    assert report.indices["NIFTY"].notes[0] == "analytic sly: added options.doubled without declaring it"
    assert "added options.doubled without declaring it" in report.indices["NIFTY"].notes[0]
    assert "doubled" not in stored(tmp_path)[0].options.columns


def test_without_a_spot_the_strikes_of_the_last_cycle_are_recorded(build: Build, tmp_path: Path) -> None:
    market = FakeMarket()
    engine = build(market)
    engine.cycle(START)
    market.unknown_spots.add("NIFTY")
    report = engine.cycle(START + timedelta(minutes=1))
    assert "gave no spot" in report.indices["NIFTY"].notes[0]
    before, after = (s for s in stored(tmp_path) if s.index == "NIFTY")
    assert "spot" not in after.facts
    assert after.options["symbol"].to_list() == before.options["symbol"].to_list()


def test_without_any_spot_a_window_is_not_guessed(build: Build, tmp_path: Path) -> None:
    market = FakeMarket(("NIFTY",))
    market.unknown_spots.add("NIFTY")
    assert build(market).cycle(START).indices["NIFTY"].reason == "the provider gave no spot"
    assert stored(tmp_path) == []


def test_all_strikes_are_recorded_even_without_a_spot(build: Build, tmp_path: Path) -> None:
    market = FakeMarket(("NIFTY",))
    market.unknown_spots.add("NIFTY")
    engine = build(market, strategy=All(NoSettings()))
    assert engine.cycle(START).indices["NIFTY"].status == "recorded"
    (recorded,) = stored(tmp_path)
    assert recorded.options["offset"].null_count() == recorded.options.height


def test_a_contract_that_vanishes_mid_day_is_null_and_the_others_stay(build: Build, tmp_path: Path) -> None:
    market = FakeMarket(("NIFTY",))
    engine = build(market)
    engine.cycle(START)
    gone = stored(tmp_path)[0].options["symbol"][3]
    market.vanished.add(gone)
    engine.cycle(START + timedelta(minutes=1))
    first, second = stored(tmp_path)
    row = second.options.filter(symbol=gone)
    assert row["last_price"].to_list() == [None]
    assert second.options.height == first.options.height


def test_a_clock_that_goes_back_is_told_and_recording_goes_on(
    build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = build()
    engine.cycle(START)
    with caplog.at_level("ERROR", logger="g6"):
        engine.cycle(START - timedelta(seconds=90))
    assert "the clock went back by 0:01:30" in caplog.text
    assert len(stored(tmp_path)) == 4


def test_the_same_instant_twice_is_recorded_once_and_said(build: Build, tmp_path: Path) -> None:
    engine = build()
    engine.cycle(START)
    report = engine.cycle(START)
    assert report.indices["NIFTY"].reason == "this instant is already in the journal"
    assert len(stored(tmp_path)) == 2


def test_alerts_are_raised_once_also_across_a_restart(build: Build, tmp_path: Path) -> None:
    sink = MemorySink()
    engine = build(rules={"loud": Loud()}, sinks={"it": sink})
    engine.cycle(START)
    assert engine.drain(10)
    engine.stop()
    # A recorder without rules leaves a snapshot that no rule has looked at.
    without = build()
    without.cycle(START + timedelta(minutes=1))
    without.stop()
    rule = Loud()
    again = MemorySink()
    engine = build(rules={"loud": rule}, sinks={"it": again})
    engine.cycle(START + timedelta(minutes=2))
    assert engine.drain(10)
    assert rule.checks == 4
    assert sorted((a.index, a.ts.minute) for a in sink.alerts + again.alerts) == [
        (index, minute) for index in ("BANKNIFTY", "NIFTY") for minute in (0, 1, 2)
    ]
    assert {a.summary for a in again.alerts if a.ts.minute == 2} == {f"before: {START + timedelta(minutes=1)}"}


def test_a_rule_that_keeps_failing_is_muted_for_its_index(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    rule = Loud(fails_on="NIFTY")
    engine = build(rules={"loud": rule})
    with caplog.at_level("WARNING", logger="g6"):
        for minute in range(8):
            engine.cycle(START + timedelta(minutes=minute))
    assert rule.checks == 5 + 8
    assert "muted from now on" in caplog.text


def test_two_recorders_never_share_a_directory(build: Build) -> None:
    build()
    with pytest.raises(Busy, match="another g6 process"):
        build()


def test_simulated_and_real_records_are_never_mixed(build: Build) -> None:
    engine = build()
    engine.cycle(START)
    engine.stop()

    class Real(FakeMarket):
        simulated = False

    with pytest.raises(ConfigError) as refused:
        build(Real())
    assert refused.value.code == "mixed-sources"


def test_a_closed_market_is_not_recorded(build: Build, tmp_path: Path) -> None:
    class Session(FakeMarket):
        always_open = False

    engine = build(Session())
    # 15:35 IST: the futures and options segment of NSE trades until 15:40 since August 2026.
    engine.cycle(START.replace(hour=10, minute=10))
    assert len(stored(tmp_path)) == 2
    report = engine.cycle(START.replace(hour=10, minute=10, second=1))
    assert {r.reason for r in report.indices.values()} == {"the market is closed"}
    assert engine.next_open(START.replace(hour=11)) == START.replace(day=18, hour=3, minute=45)


def test_a_strategy_that_fails_costs_its_own_index_only(build: Build) -> None:
    class Picky(All):
        def select(self, contracts: pl.DataFrame, *rest: Any) -> pl.DataFrame:
            if contracts["index"][0] == "NIFTY":
                raise KeyError("no such strike")
            return super().select(contracts, *rest)

    report = build(strategy=Picky(NoSettings())).cycle(START)
    assert report.indices["NIFTY"].reason == "the strategy failed: KeyError: 'no such strike'"
    assert report.indices["BANKNIFTY"].status == "recorded"


def change(**fields: Any) -> Analytic:
    class Changing(Analytic):
        def compute(self, snapshot: Snapshot) -> Any:
            return fields["answer"](snapshot)

    return Changing()


def test_an_analytic_can_overwrite_nothing(build: Build, tmp_path: Path) -> None:
    greedy = change(
        answer=lambda s: s.replace(
            index="OTHER",
            ts=s.ts.replace(year=2020),
            options=s.options.with_columns(last_price=pl.lit(1000.0), own=pl.lit(1.0)),
            facts={**s.facts, "spot": 1.0, "own": float("nan"), "count": np.int64(3)},
        )
    )
    adds = ("options.own", "facts.own", "facts.count")
    build(FakeMarket(("NIFTY",)), steps=[Step("greedy", greedy, (), adds)]).cycle(START)
    (recorded,) = stored(tmp_path)
    assert (recorded.index, recorded.ts) == ("NIFTY", START)
    assert set(recorded.options["last_price"]) != {1000.0}
    assert recorded.facts["spot"] > 20_000
    assert recorded.options["own"].to_list() == [1.0] * recorded.options.height
    assert recorded.facts["count"] == 3
    assert "own" not in recorded.facts


def test_what_is_added_to_a_changed_copy_changes_nothing_either(build: Build, tmp_path: Path) -> None:
    def answer(s: Snapshot) -> Snapshot:
        changed = s.replace(options=s.options.with_columns(last_price=pl.lit(1000.0)))
        return changed.add(options=[s.options["strike"].alias("own")], facts={"own": 2.0})

    adds = ("options.own", "facts.own")
    build(FakeMarket(("NIFTY",)), steps=[Step("greedy", change(answer=answer), (), adds)]).cycle(START)
    (recorded,) = stored(tmp_path)
    assert set(recorded.options["last_price"]) != {1000.0}
    assert recorded.options["own"].equals(recorded.options["strike"], check_names=False)
    assert recorded.facts["own"] == 2.0


def test_what_was_worked_out_goes_along_and_is_forgotten_in_a_changed_copy() -> None:
    one = snapshot()
    one.kept["answer"] = 42
    assert one.add(facts={"more": 1.0}).kept is one.kept and one.replace(facts={}).kept is one.kept
    assert one.replace(options=one.options.head(1)).kept == {} == one.replace(expiries=one.expiries.head(1)).kept
    assert one == one.replace(kept={})


def objects(n: int) -> pl.Series:
    return pl.Series([object()] * n, dtype=pl.Object)


@pytest.mark.parametrize(
    "answer",
    [
        lambda s: None,
        lambda s: s.replace(options=s.options.reverse()),
        lambda s: s.replace(options=s.options.head(1)),
        lambda s: s.replace(
            options=s.options.with_columns(own=pl.Series([object()] * s.options.height, dtype=pl.Object))
        ),
        lambda s: s.replace(facts={**s.facts, "undeclared": 1.0}),
        lambda s: s.add(facts={"undeclared": 1.0}),
        lambda s: s.add(options=[s.options["strike"].alias("undeclared")]),
        lambda s: s.add(expiries=[s.expiries["atm_strike"].alias("own")]),
        lambda s: s.add(options=[s.options["strike"]]),
        lambda s: s.add(options=[s.options["strike"].head(1).alias("own")]),
        lambda s: s.add(options=[objects(s.options.height).alias("own")]),
        lambda s: s.replace(options=s.options.reverse()).add(options=[s.options["strike"].alias("own")]),
        lambda s: (_ for _ in ()).throw(pl.exceptions.PanicException("out of bounds")),
    ],
)
def test_whatever_an_analytic_answers_the_snapshot_is_recorded(build: Build, tmp_path: Path, answer: Any) -> None:
    steps = [Step("odd", change(answer=answer), (), ("options.own",))]
    report = build(FakeMarket(("NIFTY",)), steps=steps).cycle(START)
    assert report.indices["NIFTY"].status == "recorded"
    assert report.indices["NIFTY"].notes[0].startswith("analytic odd: ")
    assert len(stored(tmp_path)) == 1


@pytest.mark.parametrize(
    "spot",
    [
        Spot(last=np.float32(24_600)),
        Spot(last=np.int64(24_600)),
        Spot(last=24_600.0, open=Decimal("24500.5"), high="x"),
    ],
)
def test_whatever_kind_of_number_a_spot_is_it_is_recorded(build: Build, tmp_path: Path, spot: Any) -> None:
    class Odd(FakeMarket):
        def spots(self, indices: Sequence[str]) -> dict[str, Spot]:
            return {"NIFTY": spot}

    build(Odd(("NIFTY",))).cycle(START)
    (recorded,) = stored(tmp_path)
    assert recorded.facts["spot"] == 24_600
    assert "high" not in recorded.facts


def test_one_bad_contract_is_left_out_with_a_note_and_the_others_are_recorded(build: Build, tmp_path: Path) -> None:
    class Odd(FakeMarket):
        def contracts(self, index: str) -> pl.DataFrame:
            listed = super().contracts(index)
            bad = listed.head(2).with_columns(symbol=pl.Series(["A", "B"]), strike=pl.Series([None, float("inf")]))
            return pl.concat([listed, bad])

    report = build(Odd()).cycle(START)
    assert report.indices["NIFTY"].notes == (
        "2 listed contracts without a proper symbol, expiry, strike or right are left out",
    )
    assert len(stored(tmp_path)) == 2


def test_an_absent_whole_number_may_come_as_nan(build: Build, tmp_path: Path) -> None:
    class Odd(FakeMarket):
        def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
            oi = pl.Series([float("nan")] + [65.0] * (contracts.height - 1))
            return super().quotes(contracts).with_columns(oi=oi, last_price=pl.lit(float("inf")))

    build(Odd(("NIFTY",))).cycle(START)
    (recorded,) = stored(tmp_path)
    assert recorded.options["oi"].to_list()[:2] == [None, 65]
    assert recorded.options["last_price"].null_count() == recorded.options.height


def test_a_snapshot_that_cannot_be_stored_is_told_and_the_others_are_stored(build: Build, tmp_path: Path) -> None:
    class Odd(FakeMarket):
        def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
            return super().quotes(contracts).with_columns(exchange_blob=objects(contracts.height))

    report = build(Odd(("NIFTY",))).cycle(START)
    assert report.indices["NIFTY"].status != "recorded"
    assert stored(tmp_path) == []


def test_quotes_in_another_order_are_refused(build: Build, tmp_path: Path) -> None:
    class Shuffled(FakeMarket):
        def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
            return super().quotes(contracts).with_columns(symbol=contracts["symbol"]).reverse()

    report = build(Shuffled(("NIFTY",))).cycle(START)
    assert "another order" in str(report.indices["NIFTY"].reason)
    assert stored(tmp_path) == []


@pytest.mark.parametrize("garbage", ["no alert", Alert("r", "NIFTY", datetime(2026, 1, 1), "naive")])  # noqa: DTZ001
def test_a_rule_that_gives_garbage_harms_nobody(build: Build, tmp_path: Path, garbage: Any) -> None:
    class Odd(AlertRule):
        def check(self, now: Snapshot, before: Snapshot | None) -> Any:
            return [garbage]

    report = build(rules={"odd": Odd(), "loud": Loud()}).cycle(START)
    assert [a.rule for a in report.alerts] == ["loud", "loud"]
    assert len(stored(tmp_path)) == 2


def test_a_sink_that_has_a_snapshot_has_its_alerts(build: Build) -> None:
    class Slow(Loud):
        def check(self, now: Snapshot, before: Snapshot | None) -> Sequence[Alert]:
            time.sleep(0.05)
            return super().check(now, before)

    sink = MemorySink()
    engine = build(rules={"slow": Slow()}, sinks={"it": sink})
    engine.cycle(START)
    assert engine.drain(10)
    assert len(sink.alerts) == 2
    assert engine.undelivered() == 0


def test_an_hour_of_failures_does_not_end_the_recorder(build: Build, tmp_path: Path) -> None:
    market = FakeMarket(("NIFTY",))
    engine = build(market)
    market.fail("spots", Unavailable("no answer"))
    for tick in range(3000):
        engine.cycle(START + timedelta(minutes=tick))
    market.heal()
    engine.cycle(START + timedelta(minutes=3100))
    assert len(stored(tmp_path)) == 1


def test_an_answer_that_is_late_at_the_end_is_recorded(build: Build, tmp_path: Path) -> None:
    market = FakeMarket(("NIFTY",))
    engine = build(market)
    market.delays["quotes"] = 0.3
    engine.cycle(START, deadline=0.05)
    assert stored(tmp_path) == []
    engine.settle(5)
    assert [s.ts for s in stored(tmp_path)] == [START]


def test_components_are_opened_once_and_closed_in_reverse(build: Build) -> None:
    events: list[str] = []

    class Watched(FakeMarket):
        def open(self, context: Context) -> None:
            super().open(context)
            events.append("market opens")

        def close(self) -> None:
            events.append("market closes")

    class WatchedRule(Loud):
        def open(self, context: Context) -> None:
            events.append("rule opens")

        def close(self) -> None:
            events.append("rule closes")

    build(Watched(), rules={"r": WatchedRule()}).stop()
    assert events == ["market opens", "rule opens", "rule closes", "market closes"]


def test_a_garbage_spot_counts_as_none(build: Build, tmp_path: Path) -> None:
    class Garbage(FakeMarket):
        def spots(self, indices: Sequence[str]) -> dict[str, Spot]:
            return {"NIFTY": Spot(last=float("nan"), open=-1.0), "INDIAVIX": Spot(last=0.0)}

    engine = build(Garbage(("NIFTY",)), strategy=All(NoSettings()))
    engine.cycle(START)
    (recorded,) = stored(tmp_path)
    assert "spot" not in recorded.facts
    assert "vix" not in recorded.facts
