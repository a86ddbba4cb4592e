"""What every provider keeps: aligned answers, and no made-up number."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from g6core.components import Context, Provider, Spot
from g6core.errors import G6Error
from g6core.snapshot import CONTRACTS, QUOTES, conform
from g6core.testing.component_contract import ComponentContract

PRICES = ("last_price", "average_price", "bid", "ask")
AMOUNTS = ("bid_qty", "ask_qty", "volume", "oi")
KEY = ("exchange", "symbol", "expiry", "strike", "right")
_ORDER = re.compile(r"(^|_)orders?(_|$)")


class ProviderContract(ComponentContract):
    """Fixtures to override: `build`; when needed `now` and `index`."""

    @pytest.fixture
    def now(self, context: Context) -> datetime | None:
        """The time to ask at: None for the clock's own, and for a recording its first instant."""
        return None

    @pytest.fixture
    def provider(self, build: Callable[[], Provider], context: Context, now: datetime | None) -> Iterator[Provider]:
        provider = build()
        provider.open(context)
        at = now or next(iter(provider.timeline() or ()), None)
        if at:
            context.clock.set(at)  # type: ignore[attr-defined]
        yield provider
        provider.close()

    @pytest.fixture
    def index(self, provider: Provider) -> str:
        return provider.indices()[0]

    @pytest.fixture
    def contracts(self, provider: Provider, index: str) -> pl.DataFrame:
        return conform(provider.contracts(index), CONTRACTS, who="contracts", required=KEY)

    def test_serves_indices_with_names(self, provider: Provider) -> None:
        names = list(provider.indices())
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Z0-9]+", name) for name in names), names

    def test_a_contract_is_unique_by_exchange_and_symbol(self, contracts: pl.DataFrame) -> None:
        assert contracts.height
        twice = contracts.filter(contracts.select("exchange", "symbol").is_duplicated())
        assert twice.is_empty(), twice

    def test_contracts_are_options_of_the_index(self, contracts: pl.DataFrame, index: str) -> None:
        assert contracts.select(pl.col(*KEY).null_count()).row(0) == (0,) * len(KEY)
        assert set(contracts["right"]) <= {"CE", "PE"}
        assert (contracts["strike"] > 0).all()
        assert set(contracts["index"]) <= {index, None}

    def test_contracts_have_no_zeros_for_what_is_unknown(self, contracts: pl.DataFrame) -> None:
        for name in ("lot_size", "tick_size"):
            assert (contracts[name].drop_nulls() > 0).all(), name

    def test_contracts_stay_the_same_at_the_same_time(self, provider: Provider, index: str) -> None:
        assert provider.contracts(index).equals(provider.contracts(index))

    def test_an_index_it_does_not_have_is_refused_or_empty(self, provider: Provider) -> None:
        try:
            assert provider.contracts("NOSUCHINDEX").is_empty()
        except G6Error as e:
            assert "NOSUCHINDEX" in e.message

    def test_spots_are_numbers_or_none_with_aware_times(self, provider: Provider, index: str) -> None:
        spots = provider.spots([index])
        assert set(spots) <= {index, "INDIAVIX"}
        for spot in spots.values():
            assert isinstance(spot, Spot)
            assert all(n is None or n > 0 for n in (spot.last, spot.open, spot.high, spot.low, spot.close)), spot
            assert spot.ts is None or spot.ts.utcoffset() == timedelta(0)

    def test_an_unknown_spot_is_left_out(self, provider: Provider, index: str) -> None:
        assert "NOSUCHINDEX" not in provider.spots([index, "NOSUCHINDEX"])

    def test_futures_are_prices_by_expiry_date_of_the_asked_indices(self, provider: Provider, index: str) -> None:
        futures = provider.futures([index, "NOSUCHINDEX"])
        assert set(futures) <= {index}
        for day, price in futures.get(index, {}).items():
            assert type(day) is date, day
            assert math.isfinite(price) and price > 0, (day, price)
        assert provider.futures([index, "NOSUCHINDEX"]) == futures

    def test_quotes_come_row_for_row(self, provider: Provider, contracts: pl.DataFrame) -> None:
        quotes = _quotes(provider, contracts)
        assert quotes.height == contracts.height
        assert quotes.select(pl.any_horizontal(pl.col("last_price", "bid", "ask").is_not_null()).any()).item()

    def test_quotes_follow_the_order_of_the_request(self, provider: Provider, contracts: pl.DataFrame) -> None:
        asked = contracts.with_row_index("row")
        shuffled = asked.sample(fraction=1.0, shuffle=True, seed=1)
        straight, mixed = _quotes(provider, contracts), _quotes(provider, shuffled.drop("row"))
        assert mixed.with_columns(shuffled["row"]).sort("row").drop("row").equals(straight)

    def test_quotes_of_a_part_are_part_of_the_quotes(self, provider: Provider, contracts: pl.DataFrame) -> None:
        asked = contracts.gather_every(3)
        assert _quotes(provider, asked).equals(_quotes(provider, contracts).gather_every(3))

    def test_quotes_of_nothing_are_nothing(self, provider: Provider, contracts: pl.DataFrame) -> None:
        assert _quotes(provider, contracts.clear()).is_empty()

    def test_a_contract_it_does_not_know_has_no_quote(self, provider: Provider, contracts: pl.DataFrame) -> None:
        stranger = contracts.head(1).with_columns(
            symbol=pl.lit("NOSUCH26AUG1CE"), token=pl.lit(None, pl.Int64), strike=pl.lit(1.0)
        )
        quotes = _quotes(provider, pl.concat([contracts.head(2), stranger, contracts.slice(2, 2)]))
        values = quotes.row(2, named=True)
        assert all(values[name] is None for name in (*PRICES, *AMOUNTS)), values
        kept = pl.concat([quotes.head(2), quotes.tail(2)])
        assert kept.equals(_quotes(provider, contracts.head(4)))

    def test_an_absent_price_is_null_never_zero(self, provider: Provider, contracts: pl.DataFrame) -> None:
        quotes = _quotes(provider, contracts)
        for name in PRICES:
            prices = quotes[name].drop_nulls()
            assert (prices.is_finite() & (prices > 0)).all(), name
        for name in AMOUNTS:
            assert (quotes[name].drop_nulls() >= 0).all(), name

    def test_quote_times_are_aware(self, provider: Provider, contracts: pl.DataFrame) -> None:
        quotes = provider.quotes(contracts)
        for name in {"exchange_ts", "received_ts"} & set(quotes.columns):
            kind = quotes.schema[name]
            assert kind == pl.Null or (isinstance(kind, pl.Datetime) and kind.time_zone == "UTC"), (name, kind)

    def test_a_timeline_is_utc_and_ascending(self, provider: Provider) -> None:
        times = list(provider.timeline() or ())
        assert all(t.utcoffset() == timedelta(0) for t in times)
        assert all(a < b for a, b in pairwise(times))

    def test_has_no_way_to_place_an_order(self, provider: Provider) -> None:
        assert [name for name in dir(provider) if _ORDER.search(name.lower())] == []


def _quotes(provider: Provider, contracts: pl.DataFrame) -> pl.DataFrame:
    """The answer in the core's columns. When it was received may differ between two questions."""
    return conform(provider.quotes(contracts), QUOTES, who="quotes").select(*QUOTES).drop("received_ts")
