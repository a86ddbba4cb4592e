"""What a rule looks at: windows of what was, expiries, and each option."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta

import polars as pl
import pytest
from g6_alerts.rule import MOST_ROWS, Rule

from g6core import Alert, Snapshot
from g6core.testing import snapshot

At = Callable[..., Snapshot]
Make = Callable[..., Rule]
Told = Callable[[Rule, Sequence[Snapshot]], list[Alert]]


def first_true(rule: Rule, snapshots: Sequence[Snapshot], told: Told) -> list[int]:
    return [
        round((a.ts - snapshots[0].ts) / timedelta(minutes=1)) for a in told(rule, snapshots) if a.state == "firing"
    ]


@pytest.mark.parametrize(
    ("expr", "spots", "expected"),
    [
        ("prev(spot) > 2", [1, 2, 3, 4], [3]),
        ("spot > prev(spot)", [3, 2, 1, 2], [3]),
        ('change(spot, "2m") == 5', [1, 2, 3, 7, 8], [3]),
        ('change(spot, "2m") >= 0', [1, 2], []),
        ('change(spot, "2m") > 0', [1, None, None, None, 9], []),
        ('change(spot, "2m") > 0', [1, None, 2], [2]),
        ('avg(spot, "2m") == 2.5', [9, 1, 2, 3], [3]),
        ('avg(spot, "2m") >= 0', [9, 1], []),
        ('avg(spot, "3m") == 2', [9, 1, None, 3], [3]),
        ('zscore(spot, "4m") > 3', [1, 2, 1, 2, 1, 9], [5]),
        ('zscore(spot, "4m") > 0', [1, 1, 1, 1, 1, 9], []),
        ('change(abs(spot - 4), "1m") == 2', [4, 5, 3, 7], [3]),
    ],
)
def test_windows(expr: str, spots: list, expected: list[int], rule: Make, at: At, told: Told) -> None:
    assert first_true(rule(expr), [at(i, spot=spot) for i, spot in enumerate(spots)], told) == expected


def test_a_number_that_stood_still_has_no_deviation(rule: Make, at: At, told: Told) -> None:
    """Summed up, a tenth is seldom a tenth again."""
    days = [at(i, spot=0.1) for i in range(40)] + [at(40, spot=0.1000001)]
    assert told(rule('zscore(spot, "30m") > 0 or zscore(spot, "30m") < 0'), days) == []


OF_EACH = [
    ("prev({}) > 2", [1, 2, 3, 4], [3]),
    ('change({}, "2m") == 5', [1, 2, 3, 7, 8], [3]),
    ('change({}, "2m") > 0', [1, None, None, None, 9], []),
    ('avg({}, "2m") == 2.5', [9, 1, 2, 3], [3]),
    ('avg({}, "3m") == 2', [9, 1, None, 3], [3]),
    ('avg({}, "3m") >= 0', [9, 1, None, None], []),
    ('zscore({}, "4m") > 3', [1, 2, 1, 2, 1, 9], [5]),
    ('zscore({}, "6m") > 3', [1, 1, 2, None, None, 1, 2, 9], [7]),
    ('zscore({}, "4m") > 3', [1, 1, None, None, None, 2, 9], []),
    ('zscore({}, "4m") > 0', [0.1, 0.1, 0.1, 0.1, 0.1, 9], []),
]


@pytest.mark.parametrize(("expr", "values", "expected"), OF_EACH)
def test_windows_of_an_option_are_those_of_a_fact(
    expr: str, values: list, expected: list[int], rule: Make, at: At, told: Told
) -> None:
    facts = [at(i, spot=value) for i, value in enumerate(values)]
    assert first_true(rule(expr.format("spot")), facts, told) == expected
    symbol = facts[0].options["symbol"][1]
    own = [pl.when(pl.col("symbol") == symbol).then(pl.lit(value, pl.Float64)).alias("iv") for value in values]
    options = [one.replace(options=one.options.with_columns(iv)) for one, iv in zip(facts, own, strict=True)]
    # The row moves, and another option comes and goes meanwhile.
    options[1::2] = [one.replace(options=one.options[[1, 2, *range(3, one.options.height)]]) for one in options[1::2]]
    raised = told(rule(expr.format("options.iv")), options)
    assert {a.key for a in raised} <= {symbol}
    assert first_true(rule(expr.format("options.iv")), options, told) == expected


def test_a_window_ends_with_the_day_and_at_a_gap(rule: Make, at: At, told: Told) -> None:
    night = 24 * 60
    for expr in ("prev(spot) > 0", 'change(spot, "1m") > 0', 'avg(spot, "1m") > 0'):
        assert told(rule(expr), [at(0, spot=1), at(night, spot=2)]) == []
    assert told(rule('change(spot, "10m") > 0'), [at(0, spot=1), at(16, spot=2)]) == []
    assert told(rule('change(spot, "10m") > 0'), [at(0, spot=1), at(15, spot=2)])


def test_a_window_sees_what_its_condition_did_not_ask_for(rule: Make, at: At, told: Told) -> None:
    days = [at(i, spot=spot, vix=vix) for i, (spot, vix) in enumerate([(1, 9), (9, 1), (9, 1)])]
    assert first_true(rule("spot > 5 and prev(vix) > 5"), days, told) == [1]


def test_the_nearest_expiry_or_the_one_that_is_named(rule: Make, told: Told) -> None:
    now = snapshot(strikes=3, expiries=2)
    now = now.replace(expiries=now.expiries.with_columns(pcr_oi=pl.Series([1.0, 2.0])))
    code = now.expiries["code"][1]
    ways = {"pcr_oi == 1": {}, "pcr_oi == 2": {"expiry": code}, f"{code}.pcr_oi - pcr_oi == 1": {}}
    for expr, given_settings in ways.items():
        assert told(rule(expr, **given_settings), [now]), expr
    assert told(rule("pcr_oi > 0", expiry="2030-01-01"), [now]) == []


def test_a_rule_at_a_strike_raises_one_alert_an_option(rule: Make, told: Told) -> None:
    now = snapshot(strikes=5, expiries=2)
    wanted = now.options.filter((pl.col("expiry") == now.expiries["expiry"][0]) & (pl.col("right") == "CE"))
    wanted = wanted.filter(pl.col("offset").abs() <= 1)
    one = rule('abs(offset) <= 1 and right == "CE"', summary="{contract} at {last_price:.2f}, {expiry}, {oi:,d}")
    alerts = told(one, [now])
    assert [a.key for a in alerts] == wanted["symbol"].to_list()
    first = wanted.row(0, named=True)
    text = f"{first['strike']:.0f} CE at {first['last_price']:.2f}, {first['expiry']}, {first['oi']:,}"
    assert alerts[0].summary == text


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("options.iv > 2", 3.0),
        ("options.iv >= 3", 3.0),
        ("options.iv < 1", 0.0),
        ("options.iv <= 0", 0.0),
        ("options.iv == 3", 3.0),
        ("options.iv == 0", 0.0),
        ("2 < options.iv", 3.0),
        ("1 > options.iv", 0.0),
        ("options.iv > spot", math.inf),
        ("options.iv < -spot", -math.inf),
    ],
)
def test_one_option_among_many_is_found(condition: str, value: float, rule: Make, told: Told) -> None:
    """Wherever it stands, and whatever is not known around it."""
    now = snapshot(strikes=5, expiries=2)
    height = now.options.height
    for place in (0, 4, 9):
        iv = [(1.5, None, 2.0, math.nan)[n % 4] for n in range(height)]
        iv[place] = value
        days = [
            now.replace(options=now.options.with_columns(pl.Series("iv", cells, pl.Float64)))
            for cells in ([1.5] * height, iv)
        ]
        later = days[1].replace(ts=now.ts + timedelta(minutes=1))
        assert [a.key for a in told(rule(condition), [days[0], later])] == [now.options["symbol"][place]]


def test_a_column_that_is_missing_for_once_is_not_known(rule: Make, told: Told) -> None:
    """As when an analytic fails in one cycle."""
    now = snapshot(strikes=3, expiries=2)
    days = [now.replace(ts=now.ts + timedelta(minutes=i)) for i in range(3)]
    having = [
        one.add(options=[pl.Series("iv", [value] * one.options.height)])
        for one, value in zip(days, [9.0, 9.0, -9.0], strict=True)
    ]
    having[1] = days[1]
    for expr in ("options.iv > 5", "options.iv > offset", "min(iv, 9 + offset * 0) > 5 or iv + offset > 5"):
        one = rule(expr)
        assert {a.state for a in told(one, having[:1])} == {"firing"}, expr
        state = one.state()
        assert told(one, having[1:2]) == [] and one.state() == state, expr
        assert {a.state for a in told(one, having[2:])} == {"resolved"}, expr


def test_each_option_has_a_state_and_a_past_of_its_own(rule: Make, told: Told) -> None:
    days = [snapshot(strikes=3, expiries=1).replace(ts=snapshot().ts + timedelta(minutes=i)) for i in range(4)]
    symbol = days[0].options["symbol"][0]

    def with_oi(now: Snapshot, oi: int | None) -> Snapshot:
        changed = pl.when(pl.col("symbol") == symbol).then(pl.lit(oi, dtype=pl.Int64)).otherwise(pl.col("oi"))
        return now.replace(options=now.options.with_columns(changed.alias("oi")))

    days = [with_oi(now, oi) for now, oi in zip(days, [100, 900, None, 900], strict=True)]
    days[1] = days[1].replace(options=days[1].options.sort("symbol", descending=True))
    raised = told(rule('change(options.oi, "1m") > 500'), days)
    assert [(a.key, a.state, a.labels["value"], a.ts) for a in raised] == [(symbol, "firing", "800", days[1].ts)]


def test_no_more_options_than_a_person_can_read(rule: Make, told: Told) -> None:
    now = snapshot(strikes=21, expiries=1)
    alerts = told(rule("strike > 0"), [now, now.replace(ts=now.ts + timedelta(minutes=1))])
    assert len(alerts) == MOST_ROWS
    assert all(a.summary.endswith(f"(and {now.options.height - MOST_ROWS} more options)") for a in alerts)
    near = now.options.sort(pl.col("offset").abs())["symbol"].head(2).to_list()
    assert set(near) <= {a.key for a in alerts}


def test_an_option_that_is_gone_the_next_day_is_resolved(rule: Make, told: Told) -> None:
    now = snapshot(strikes=3, expiries=1)
    without = now.replace(ts=now.ts + timedelta(minutes=1), options=now.options.slice(1))
    tomorrow = without.replace(ts=now.ts + timedelta(days=1))
    one = rule("strike > 0")
    told(one, [now])
    assert told(one, [without]) == []
    assert [(a.state, a.key) for a in told(one, [tomorrow])] == [("resolved", now.options["symbol"][0])]


def test_sum_count_and_any_go_over_all_options_of_the_expiry(rule: Make, told: Told) -> None:
    now = snapshot(strikes=5, expiries=2)
    rows = now.options.filter(pl.col("expiry") == now.expiries["expiry"][0])
    calls = rows.filter((pl.col("right") == "CE") & pl.col("bid").is_not_null()).height
    for expr in (
        f"sum(options.oi) == {rows['oi'].sum()}",
        f'count(right == "CE" and bid > 0) == {calls}',
        "any(bid > 1)",
        "not any(bid < 0) or any(bid > 1)",
    ):
        assert [a.key for a in told(rule(expr), [now])] == [""], expr
    assert (
        told(
            rule("sum(options.oi) >= 0 or count(bid > 0) >= 0 or any(bid > 0)"),
            [now.replace(options=now.options.clear())],
        )
        == []
    )
