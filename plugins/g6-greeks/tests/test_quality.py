"""Flags are for the rows concerned, and for no other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from g6_greeks.analytics.greeks import Greeks
from g6_greeks.analytics.quality import Quality
from g6_greeks.settings import GreeksSettings, QualitySettings
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import Snapshot
from g6core.testing import snapshot

Market = Callable[..., Snapshot]
ROW = 2 * 15
"""The call of a strike in the money; its put is the next row."""


@pytest.fixture
def sound(market: Market) -> Snapshot:
    """Every option quoted half a second ago, around its value: by ticks in the way of a liquid chain."""
    made = market(carry=0.065)
    return made.replace(options=made.options.with_columns(exchange_ts=pl.lit(made.ts - timedelta(milliseconds=500))))


def flagged(given: Snapshot, **chosen: object) -> Snapshot:
    return Quality(QualitySettings(**chosen)).compute(Greeks(GreeksSettings()).compute(given))


def changed(s: Snapshot, row: int, **values: object) -> Snapshot:
    here = pl.int_range(pl.len()) == row
    return s.replace(
        options=s.options.with_columns(
            pl.when(here).then(pl.lit(v, s.options.schema[c])).otherwise(c).alias(c) for c, v in values.items()
        )
    )


def found(s: Snapshot, **chosen: object) -> dict[int, str]:
    return {i: word for i, word in enumerate(flagged(s, **chosen).options["flags"]) if word}


def test_a_sound_chain_has_no_flags(sound: Snapshot) -> None:
    after = flagged(sound)
    assert after.options["flags"].null_count() == after.options.height
    assert after.expiries["coverage"].to_list() == [1.0, 1.0]
    assert after.expiries["quality"].to_list() == [1.0, 1.0]


def test_each_fault_is_named_at_its_row_only(sound: Snapshot) -> None:
    value = sound.options["last_price"][ROW]
    old = sound.ts - timedelta(minutes=16)
    assert found(changed(sound, ROW, last_price=None, bid=None, ask=None)) == {ROW: "no_quote"}
    assert found(changed(sound, ROW, last_price=0.0, bid=0.0, ask=0.0)) == {ROW: "no_quote"}
    assert found(changed(sound, ROW, bid=None)) == {ROW: "one_sided"}
    assert found(changed(sound, ROW, ask=0.0)) == {ROW: "one_sided"}
    assert found(changed(sound, ROW, bid=value + 0.05, ask=value)) == {ROW: "crossed"}
    assert found(changed(sound, ROW, exchange_ts=old)) == {ROW: "stale"}
    assert found(changed(sound, ROW, bid=None, ask=None)) == {}


def test_a_price_below_the_intrinsic_value_is_flagged_whatever_it_comes_from(sound: Snapshot) -> None:
    deep = sound.options["last_price"][0] - 30
    assert found(changed(sound, 0, bid=None, ask=None, last_price=deep)) == {0: "below_intrinsic"}


def test_both_legs_are_flagged_where_parity_does_not_hold(sound: Snapshot) -> None:
    value = sound.options["last_price"][ROW]
    moved = changed(sound, ROW, bid=value + 2.95, ask=value + 3.05)
    assert found(moved) == {ROW: "parity", ROW + 1: "parity"}
    assert found(moved, parity_ticks=100) == {}
    wide = changed(sound, ROW, bid=value + 0.5, ask=value + 5.5)
    assert found(wide) == {}, "its own spread explains it"
    lone = changed(sound, ROW, bid=None, ask=None, last_price=value + 3)
    assert found(lone) == {}, "a last price is from another moment"


def test_parity_is_not_judged_by_a_forward_that_is_only_the_spot_carried_on(sound: Snapshot) -> None:
    computed = Greeks(GreeksSettings()).compute(sound)
    off = computed.expiries["forward"] + 20
    for source, expected in (("parity", sound.options.height), ("future", sound.options.height), ("spot", 0)):
        sources = pl.Series("forward_source", [source] * 2)
        given = computed.replace(expiries=computed.expiries.with_columns(off, sources))
        flags = Quality(QualitySettings()).compute(given).options["flags"]
        assert (flags == "parity").sum() == expected


def test_the_age_that_counts_is_the_users_and_by_the_exchanges_time(sound: Snapshot) -> None:
    old = changed(sound, ROW, exchange_ts=sound.ts - timedelta(minutes=2))
    assert found(old) == {}
    assert found(old, max_age="1m") == {ROW: "stale"}
    assert found(old, max_age="2m") == {}, "exactly as old as it may be"
    assert found(changed(sound, ROW, exchange_ts=None), max_age="1m") == {}, "of no known age"


def test_several_words_stand_in_a_fixed_order(sound: Snapshot) -> None:
    value = sound.options["last_price"][ROW]
    worst = changed(sound, ROW, bid=value + 1, ask=value, exchange_ts=sound.ts - timedelta(hours=1))
    assert found(worst) == {ROW: "stale,crossed"}
    worse = changed(sound, 0, bid=None, last_price=900.0, exchange_ts=sound.ts - timedelta(minutes=14))
    assert found(worse, max_age="10m") == {0: "stale,one_sided,below_intrinsic"}


def test_shares_count_what_is_quoted_and_what_is_sound(sound: Snapshot) -> None:
    gone = dict(last_price=None, bid=None, ask=None)
    after = flagged(changed(changed(changed(sound, 0, **gone), 1, **gone), 4, bid=None))
    assert after.expiries["coverage"].to_list() == pytest.approx([80 / 82, 1.0])
    assert after.expiries["quality"].to_list() == pytest.approx([79 / 80, 1.0])


def test_where_nothing_is_quoted_there_is_no_quality(sound: Snapshot) -> None:
    blank = pl.lit(None, pl.Float64)
    after = flagged(sound.replace(options=sound.options.with_columns(last_price=blank, bid=blank, ask=blank)))
    assert after.expiries["coverage"].to_list() == [0.0, 0.0]
    assert after.expiries["quality"].to_list() == [None, None]


DAMAGES: dict[str, dict[str, object]] = {
    "no_quote": {"last_price": None, "bid": None, "ask": None},
    "stale": {"exchange_ts": snapshot().ts - timedelta(hours=1)},
    "one_sided": {"bid": None},
    "crossed": {"bid": 500.0, "ask": 400.0},
}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 43), st.sampled_from(sorted(DAMAGES)), max_size=6))
def test_no_row_is_flagged_for_its_neighbour(damaged: dict[int, str]) -> None:
    clean = snapshot(strikes=11)
    bad = clean
    for row, damage in damaged.items():
        bad = changed(bad, row, **DAMAGES[damage])
    before, after = (
        Quality(QualitySettings(parity_ticks=1e9)).compute(with_reasons(s)).options["flags"].to_list()
        for s in (clean, bad)
    )
    for row in range(clean.options.height):
        if row not in damaged:
            assert after[row] == before[row]
        elif before[row] is None:
            # The deepest put has no book to lose a side of.
            has_book = clean.options["ask"][row] is not None
            assert after[row] == (damaged[row] if has_book or damaged[row] != "one_sided" else None)


def with_reasons(s: Snapshot) -> Snapshot:
    """With what the analytic needs, and nothing to complain about in it."""
    nothing, none = np.full(s.expiries.height, np.nan), [None] * s.options.height
    return s.replace(
        options=s.options.with_columns(iv_reason=pl.Series(none, dtype=pl.String)),
        expiries=s.expiries.with_columns(
            forward=pl.Series(nothing, nan_to_null=True),
            discount=pl.Series(nothing, nan_to_null=True),
            forward_source=pl.Series([None] * s.expiries.height, dtype=pl.String),
        ),
    )
