"""What every strategy keeps: a pure choice among the contracts it is shown."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from g6core.components import Strategy
from g6core.snapshot import CONTRACTS, LABELS
from g6core.testing.clock import START
from g6core.testing.component_contract import ComponentContract
from g6core.testing.listings import LISTINGS
from g6core.testing.market import snapshot

TODAY: date = START.date()
NOTHING_HELD = pl.DataFrame(schema={**CONTRACTS, **LABELS})


def listed(index: str = "NIFTY", strikes: int = 41) -> pl.DataFrame:
    """Contracts as a strategy is shown them: with `expiry_code`, sorted by expiry, strike, right."""
    return snapshot(index, strikes=strikes, expiries=3).options.select(*CONTRACTS, "expiry_code")


class StrategyContract(ComponentContract):
    """Fixtures to override: `build`; `contracts` and `spot` when the strategy wants special ones."""

    @pytest.fixture
    def strategy(self, component: Strategy) -> Strategy:
        return component

    @pytest.fixture
    def contracts(self) -> pl.DataFrame:
        return listed()

    @pytest.fixture
    def spot(self) -> float:
        return LISTINGS["NIFTY"].level + 12.0

    def test_selects_something(self, strategy: Strategy, contracts: pl.DataFrame, spot: float) -> None:
        assert strategy.select(contracts, spot, TODAY, NOTHING_HELD).height

    def test_selects_rows_of_the_contracts(self, strategy: Strategy, contracts: pl.DataFrame, spot: float) -> None:
        _assert_subset(strategy.select(contracts, spot, TODAY, NOTHING_HELD), contracts)

    def test_gives_the_same_answer_again(self, strategy: Strategy, contracts: pl.DataFrame, spot: float) -> None:
        first = strategy.select(contracts, spot, TODAY, NOTHING_HELD)
        strategy.select(listed("BANKNIFTY"), LISTINGS["BANKNIFTY"].level, TODAY, NOTHING_HELD)
        assert strategy.select(contracts, spot, TODAY, NOTHING_HELD).equals(first)

    def test_leaves_the_contracts_as_they_are(self, strategy: Strategy, contracts: pl.DataFrame, spot: float) -> None:
        before = contracts.clone()
        strategy.select(contracts, spot, TODAY, NOTHING_HELD)
        assert contracts.equals(before)

    def test_selects_nothing_from_nothing(self, strategy: Strategy, contracts: pl.DataFrame, spot: float) -> None:
        assert strategy.select(contracts.clear(), spot, TODAY, NOTHING_HELD).is_empty()

    def test_does_without_a_spot(self, strategy: Strategy, contracts: pl.DataFrame) -> None:
        _assert_subset(strategy.select(contracts, None, TODAY, NOTHING_HELD), contracts)

    @pytest.mark.parametrize("share", [0.5, 2.0])
    def test_does_with_a_spot_outside_the_listing(
        self, strategy: Strategy, contracts: pl.DataFrame, spot: float, share: float
    ) -> None:
        _assert_subset(strategy.select(contracts, spot * share, TODAY, NOTHING_HELD), contracts)

    def test_does_with_a_single_contract(self, strategy: Strategy, contracts: pl.DataFrame, spot: float) -> None:
        _assert_subset(strategy.select(contracts.head(1), spot, TODAY, NOTHING_HELD), contracts.head(1))

    def test_goes_on_from_what_it_held(self, strategy: Strategy, contracts: pl.DataFrame, spot: float) -> None:
        held = _held(strategy.select(contracts, spot, TODAY, NOTHING_HELD))
        _assert_subset(strategy.select(contracts, spot + 30.0, TODAY, held), contracts)

    def test_never_selects_a_contract_that_vanished(
        self, strategy: Strategy, contracts: pl.DataFrame, spot: float
    ) -> None:
        held = _held(strategy.select(contracts, spot, TODAY, NOTHING_HELD))
        left = contracts.join(held.head(2), on=["exchange", "symbol"], how="anti")
        _assert_subset(strategy.select(left, spot, TODAY, held), left)


def _held(selected: pl.DataFrame) -> pl.DataFrame:
    """As the engine hands it back: with an offset, known or not."""
    if "offset" not in selected.columns:
        selected = selected.with_columns(offset=pl.lit(None, pl.Int64))
    return selected.select(*NOTHING_HELD.columns)


def _assert_subset(selected: pl.DataFrame, contracts: pl.DataFrame) -> None:
    extra = set(selected.columns) - set(contracts.columns)
    assert extra <= {"offset"}, f"only `offset` may be added, not {extra}"
    assert "offset" not in extra or selected["offset"].dtype.is_integer()
    rows = selected.select(*contracts.columns)
    assert not rows.is_duplicated().any(), "a contract was selected twice"
    strangers = rows.join(contracts, on=contracts.columns, how="anti", nulls_equal=True)
    assert strangers.is_empty(), f"these are no rows of the contracts: {strangers}"
