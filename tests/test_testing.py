"""The conformance kit: sound components pass it, and every faulty one is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from g6core import Alert, AuthExpired, Context, Rejected, Unavailable
from g6core.expiry import resolve
from g6core.snapshot import EXPIRIES, OPTIONS
from g6core.testing import (
    START,
    AlertRuleContract,
    AnalyticContract,
    FakeMarket,
    FlakySink,
    ManualClock,
    MemorySink,
    ProviderContract,
    SinkContract,
    StrategyContract,
    snapshot,
    snapshots,
)
from g6core.testing.component_contract import lent_context
from g6core.testing.listings import LISTINGS, expiry_codes
from tests.launch import PYTEST, Launcher

DATA = Path(__file__).parent / "data"


class TestFakeMarketKeepsTheContract(ProviderContract):
    @pytest.fixture
    def build(self):
        return FakeMarket


class TestMemorySinkKeepsTheContract(SinkContract):
    @pytest.fixture
    def build(self):
        one = MemorySink()
        return lambda: one

    @pytest.fixture
    def stored(self, build):
        return build().stored


def test_the_kit_finds_each_fault(tmp_path: Path, launcher: Launcher, clean_env: Callable[..., dict[str, str]]) -> None:
    file = DATA / "faulty_components.py"
    options = ["-q", "-c", os.devnull, "--rootdir", DATA, "--basetemp", tmp_path / "faulty"]
    done = launcher.run(*PYTEST, *options, file, cwd=DATA.parent.parent, env=clean_env())
    failed = set(re.findall(r"^FAILED .*::(Test\w+::test_\w+)", done.stdout, re.MULTILINE))
    listed = re.findall(r"class (Test\w+)\(\w+\):\n    finds = \(([^)]*)\)", file.read_text())
    faults = {f"{name}::{test}" for name, tests in listed for test in re.findall(r'"(\w+)"', tests)}
    assert len(faults) > 15
    assert faults <= failed, done.stdout + done.stderr


def test_loading_the_pytest_plugin_loads_neither_polars_nor_the_core() -> None:
    names = "sorted(m for m in sys.modules if m[:6] in ('polars', 'g6core'))"
    code = f"import sys, g6core.testing.pytest_plugin; print({names})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['g6core', 'g6core.testing', 'g6core.testing.pytest_plugin']"


def test_snapshots_have_the_columns_of_the_core() -> None:
    for s in (snapshot(), snapshot("BANKNIFTY", strikes=5, expiries=1), snapshot("SENSEX")):
        assert list(s.options.schema.items()) == list(OPTIONS.items())
        assert list(s.expiries.schema.items()) == list(EXPIRIES.items())
        assert s.options.equals(s.options.sort("expiry", "strike", "right"))
        assert (
            s.options["last_price"].null_count()
            and s.options["bid"].null_count() > s.options["last_price"].null_count()
        )
        assert (s.expiries["quoted"] < s.expiries["contracts"]).all()


def test_snapshots_are_a_minute_apart_and_repeatable() -> None:
    first, again = snapshots(3), snapshots(3)
    assert [s.ts - START for s in first] == [timedelta(minutes=m) for m in range(3)]
    assert all(a.options.equals(b.options) for a, b in zip(first, again, strict=True))
    assert not first[0].options["last_price"].equals(first[1].options["last_price"])


def test_facts_can_be_set_and_taken_away() -> None:
    facts = snapshot(spot=24_000.0, vix=None, mood=0.5).facts
    assert facts["spot"] == 24_000.0 and facts["mood"] == 0.5 and "vix" not in facts


@pytest.mark.parametrize("index", LISTINGS)
def test_expiry_codes_are_those_of_the_core(index: str) -> None:
    codes = ("this_week", "next_week", "this_month", "next_month")
    contracts = FakeMarket((index,)).contracts(index)
    ours = {day: names for day, names in expiry_codes(index, START.date()).items() if names[0] in codes}
    assert resolve(contracts, START.date(), codes) == ours


def test_put_call_parity_holds_up_to_a_tick() -> None:
    s = snapshot()
    wide = s.options.pivot("right", index=["expiry", "strike"], values="last_price").drop_nulls()
    forward = wide["strike"] + wide["CE"] - wide["PE"]
    assert ((forward - s.facts["spot"]).abs() <= 0.1).all()


def test_a_failing_call_raises_as_often_as_told(g6_market: FakeMarket) -> None:
    g6_market.fail("spots", Unavailable("down"), times=2)
    for _ in range(2):
        with pytest.raises(Unavailable):
            g6_market.spots(["NIFTY"])
    assert g6_market.spots(["NIFTY"])
    g6_market.fail("contracts", AuthExpired("over"))
    for _ in range(3):
        with pytest.raises(AuthExpired):
            g6_market.contracts("NIFTY")
    g6_market.heal()
    assert g6_market.contracts("NIFTY").height
    assert g6_market.calls == {"spots": 3, "contracts": 4}


def test_what_is_told_to_be_absent_is_absent(g6_market: FakeMarket) -> None:
    contracts = g6_market.contracts("NIFTY")
    gone, silent = contracts["symbol"][20], contracts["symbol"][21]
    g6_market.vanished.add(gone)
    g6_market.unquoted.add(silent)
    g6_market.unknown_spots.add("BANKNIFTY")
    quotes = g6_market.quotes(contracts)
    assert gone not in g6_market.contracts("NIFTY")["symbol"]
    assert quotes["last_price"][20] is None and quotes["last_price"][21] is None and quotes["last_price"][22] > 0
    assert set(g6_market.spots(["NIFTY", "BANKNIFTY", "INDIAVIX"])) == {"NIFTY", "INDIAVIX"}


def test_prices_follow_the_clock(g6_market: FakeMarket, g6_clock: ManualClock) -> None:
    contracts = g6_market.contracts("NIFTY")
    before = g6_market.quotes(contracts)
    assert g6_market.quotes(contracts).equals(before)
    g6_clock.advance()
    assert not g6_market.quotes(contracts).equals(before)


def test_the_flaky_sink_ends_as_scripted() -> None:
    sink = FlakySink(["unavailable", "late", "rejected", "ok"])
    first, second = snapshots(2)
    with pytest.raises(Unavailable):
        sink.write([first])
    assert sink.snapshots == []
    with pytest.raises(Unavailable):
        sink.write([first])
    assert sink.snapshots == [first]
    with pytest.raises(Rejected):
        sink.write([second])
    assert sink.refused == [second]
    sink.write([second])
    sink.write([first])
    assert sink.snapshots == [first, second] and sink.attempts == 5


def test_chance_is_the_same_for_the_same_seed() -> None:
    def outcomes(seed: int) -> list[bool]:
        sink = FlakySink.by_chance(seed, 50)
        return [_accepts(sink) for _ in range(50)]

    assert outcomes(7) == outcomes(7) != outcomes(8)


def _accepts(sink: FlakySink) -> bool:
    try:
        sink.write([])
    except Unavailable:
        return False
    return True


def test_the_memory_sink_keeps_one_copy_of_an_alert() -> None:
    sink = MemorySink()
    alert = Alert("rule", "NIFTY", START, "so")
    sink.write_alerts([alert])
    sink.write_alerts([alert])
    assert sink.alerts == [alert]


def test_fixtures_agree_with_one_another(g6_context: Context, g6_clock: ManualClock, g6_snapshot, g6_snapshots) -> None:
    assert g6_context.clock is g6_clock and g6_clock.now() == START == g6_snapshot.ts
    assert g6_snapshots[0].options.equals(g6_snapshot.options)
    assert g6_context.calendar.is_open("NFO", g6_clock.now())
    assert lent_context(g6_context.data_dir).clock.now() == START


def test_kinds_are_all_there() -> None:
    contracts = (AlertRuleContract, AnalyticContract, ProviderContract, SinkContract, StrategyContract)
    assert all(any(name.startswith("test_") for name in dir(c)) for c in contracts)


@pytest.fixture
def toy(installed: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch):
    """The toy plugin's module, as installed."""
    monkeypatch.syspath_prepend(installed("toy_plugin")[0])
    import g6_toy

    yield g6_toy
    sys.modules.pop("g6_toy")


class TestToySinkKeepsNearlyAll:
    """It stores a line per snapshot, not rows, so only what can be said of lines is said here."""

    def test_a_snapshot_twice_leaves_one_line(self, toy, tmp_path: Path) -> None:
        sink = toy.Lines(toy.Settings(path=tmp_path / "lines.txt"))
        batch = snapshots(2)
        sink.write(batch)
        sink.write(batch)
        assert len((tmp_path / "lines.txt").read_text().splitlines()) == 2


class TestToyStrategyKeepsTheContract(StrategyContract):
    @pytest.fixture
    def build(self, toy):
        return lambda: toy.Five(None)


class TestToyAnalyticKeepsTheContract(AnalyticContract):
    @pytest.fixture
    def build(self, toy):
        return lambda: toy.Mid(None)

    @pytest.fixture
    def spec(self, toy):
        return toy.g6_analytics()[0]
