"""What every analytic keeps: it adds what it declared, and nothing else changes."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from g6core.components import Analytic
from g6core.snapshot import QUOTES, Snapshot
from g6core.specs import AnalyticSpec
from g6core.testing import market
from g6core.testing.component_contract import ComponentContract


class AnalyticContract(ComponentContract):
    """Fixtures to override: `build`, `spec`; `snapshot` when the analytic needs what another one adds."""

    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        raise NotImplementedError("override the fixture `spec`: the AnalyticSpec that registers the analytic")

    @pytest.fixture
    def analytic(self, component: Analytic) -> Analytic:
        return component

    @pytest.fixture
    def snapshot(self) -> Snapshot:
        return market.snapshot()

    def test_adds_what_it_declared(self, analytic: Analytic, snapshot: Snapshot, spec: AnalyticSpec) -> None:
        _assert_adds(snapshot, analytic.compute(snapshot), spec)

    def test_computes_something(self, analytic: Analytic, snapshot: Snapshot, spec: AnalyticSpec) -> None:
        after = analytic.compute(snapshot)
        for name in spec.adds:
            table, _, column = name.partition(".")
            known = column in after.facts if table == "facts" else getattr(after, table)[column].is_not_null().any()
            assert known, f"{name} is null everywhere, although the snapshot is sound"

    def test_gives_the_same_answer_again(self, analytic: Analytic, snapshot: Snapshot) -> None:
        first = analytic.compute(snapshot)
        analytic.compute(snapshot.replace(index="BANKNIFTY", ts=snapshot.ts - timedelta(minutes=1)))
        again = analytic.compute(snapshot)
        assert again.options.equals(first.options)
        assert again.expiries.equals(first.expiries)
        assert again.facts == first.facts

    def test_leaves_the_snapshot_as_it_is(self, analytic: Analytic, snapshot: Snapshot) -> None:
        options, expiries, facts = snapshot.options.clone(), snapshot.expiries.clone(), dict(snapshot.facts)
        analytic.compute(snapshot)
        assert snapshot.options.equals(options)
        assert snapshot.expiries.equals(expiries)
        assert snapshot.facts == facts

    def test_what_cannot_be_computed_is_null_not_nan(self, analytic: Analytic, snapshot: Snapshot) -> None:
        for given in (snapshot, _unquoted(snapshot), _garbage(snapshot)):
            after = analytic.compute(given)
            for frame, before in ((after.options, given.options), (after.expiries, given.expiries)):
                new = frame.drop(before.columns).select(pl.col(pl.Float64, pl.Float32).is_nan().any())
                assert not any(new.row(0) if new.width else ()), new
            assert all(number == number for number in after.facts.values()), after.facts

    def test_accepts_a_chain_without_quotes(self, analytic: Analytic, snapshot: Snapshot, spec: AnalyticSpec) -> None:
        given = _unquoted(snapshot)
        _assert_adds(given, analytic.compute(given), spec)

    def test_accepts_a_snapshot_without_rows(self, analytic: Analytic, snapshot: Snapshot, spec: AnalyticSpec) -> None:
        given = snapshot.replace(options=snapshot.options.clear(), expiries=snapshot.expiries.clear(), facts={})
        _assert_adds(given, analytic.compute(given), spec)

    def test_accepts_a_snapshot_without_facts(self, analytic: Analytic, snapshot: Snapshot, spec: AnalyticSpec) -> None:
        given = snapshot.replace(facts={})
        _assert_adds(given, analytic.compute(given), spec)

    def test_accepts_prices_that_cannot_be(self, analytic: Analytic, snapshot: Snapshot, spec: AnalyticSpec) -> None:
        given = _garbage(snapshot)
        _assert_adds(given, analytic.compute(given), spec)

    @pytest.mark.parametrize("after_close", [timedelta(0), timedelta(hours=1)])
    def test_accepts_an_expiry_that_has_closed(
        self, analytic: Analytic, snapshot: Snapshot, spec: AnalyticSpec, after_close: timedelta
    ) -> None:
        given = snapshot.replace(ts=snapshot.expiries["expires_at"][0] + after_close)
        _assert_adds(given, analytic.compute(given), spec)

    def test_columns_keep_their_types_whatever_is_missing(self, analytic: Analytic, snapshot: Snapshot) -> None:
        full, empty = analytic.compute(snapshot), analytic.compute(_unquoted(snapshot))
        assert full.options.schema == empty.options.schema
        assert full.expiries.schema == empty.expiries.schema


def _unquoted(s: Snapshot) -> Snapshot:
    return s.replace(
        options=s.options.with_columns(pl.lit(None, t).alias(c) for c, t in QUOTES.items()),
        expiries=s.expiries.with_columns(quoted=pl.lit(0, pl.Int64)),
    )


def _garbage(s: Snapshot) -> Snapshot:
    """Prices of -1, 0, far too much, and none, in turn; crossed books. The core lets no NaN through."""
    bad = pl.Series("bad", ([-1.0, 0.0, 1e9, None] * s.options.height)[: s.options.height])
    return s.replace(options=s.options.with_columns(last_price=bad, bid=bad, ask=-bad))


def _assert_adds(before: Snapshot, after: Snapshot, spec: AnalyticSpec) -> None:
    for table in ("options", "expiries"):
        old, new = getattr(before, table), getattr(after, table)
        added = {f"{table}.{name}" for name in new.columns if name not in old.columns}
        declared = {name for name in spec.adds if name.startswith(f"{table}.")}
        assert added == declared, f"adds {sorted(added - declared)} undeclared, lacks {sorted(declared - added)}"
        assert new.select(*old.columns).equals(old), f"{table}: rows, their order or given columns changed"
    facts = {f"facts.{name}" for name in after.facts if name not in before.facts}
    assert facts <= set(spec.adds), f"adds the facts {sorted(facts - set(spec.adds))} undeclared"
    assert {name: after.facts[name] for name in before.facts} == before.facts
    assert (after.index, after.ts, after.source) == (before.index, before.ts, before.source)
