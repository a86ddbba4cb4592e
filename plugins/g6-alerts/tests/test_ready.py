"""The ready-made rules: the promises of any rule, and what each of them fires on and is resolved by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from g6_alerts import g6_alerts
from g6_alerts.rule import Rule

from g6core import (
    AlertRule,
    AlertSpec,
    ConfigError,
    Known,
    Snapshot,
)
from g6core.testing import AlertRuleContract, snapshot

SPECS: Mapping[str, AlertSpec] = {spec.name: spec for spec in g6_alerts()}
START = snapshot().ts
MINUTE = timedelta(minutes=1)


def made(name: str, **settings: Any) -> AlertRule:
    return SPECS[name].build(SPECS[name].settings(**settings))


def with_columns(minutes: int = 0, facts: Mapping[str, float] | None = None, **columns: float | None) -> Snapshot:
    now = snapshot(strikes=5, expiries=2)
    added = now.expiries.with_columns(pl.lit(value, dtype=pl.Float64).alias(name) for name, value in columns.items())
    return now.replace(ts=START + minutes * MINUTE, expiries=added, facts={**now.facts, **(facts or {})})


def with_oi(now: Snapshot, share: float) -> Snapshot:
    """One option has that much more open interest, as a share of all."""
    nearest = now.options.filter(pl.col("expiry") == now.expiries["expiry"][0])
    more = int(share * float(nearest["oi"].sum()))
    first = pl.col("symbol") == nearest["symbol"][4]
    return now.replace(
        options=now.options.with_columns(pl.when(first).then(pl.col("oi") + more).otherwise(pl.col("oi")))
    )


def pair(name: str, then: float, now: float, **others: float) -> tuple[Snapshot, Snapshot]:
    """Snapshots (now, a quarter of an hour before) that differ in a column of the expiries."""
    return with_columns(15, **{name: now}, **others), with_columns(0, **{name: then}, **others)


def with_quote_at(ts: datetime) -> Snapshot:
    now = with_columns(0)
    late = pl.lit(ts).dt.cast_time_unit("us").alias("exchange_ts")
    return now.replace(options=now.options.with_columns(late))


ALARMING: dict[str, tuple[Snapshot, Snapshot]] = {
    "iv_spike": pair("atm_iv", 0.12, 0.15),
    "pcr_extreme": pair("pcr_oi", 1.0, 1.7),
    "straddle_break": pair("straddle", 100.0, 79.0),
    "oi_buildup": (with_oi(with_columns(15), 0.05), with_columns(0)),
    "vix_jump": (with_columns(15, {"vix": 14.5}), with_columns(0, {"vix": 13.5})),
    "max_pain_cross": (
        with_columns(15, {"spot": 24690.0}, max_pain=24700.0),
        with_columns(0, {"spot": 24710.0}, max_pain=24700.0),
    ),
    "parity_breach": pair("parity_rmse", 1.0, 60.0),
    "clock_off": (with_quote_at(START + timedelta(seconds=6)), with_columns(-1)),
}
CALM: dict[str, tuple[Snapshot, Snapshot]] = {
    "iv_spike": pair("atm_iv", 0.12, 0.13),
    "pcr_extreme": pair("pcr_oi", 1.7, 1.0),
    "straddle_break": pair("straddle", 100.0, 90.0),
    "oi_buildup": (with_oi(with_columns(15), 0.005), with_columns(0)),
    "vix_jump": (with_columns(15, {"vix": 13.6}), with_columns(0, {"vix": 13.5})),
    "max_pain_cross": (
        with_columns(15, {"spot": 24705.0}, max_pain=24700.0),
        with_columns(0, {"spot": 24710.0}, max_pain=24700.0),
    ),
    "parity_breach": pair("parity_rmse", 60.0, 1.0),
    "clock_off": (with_columns(15), with_columns(0)),
}


@pytest.mark.parametrize("name", sorted(ALARMING))
class TestContract(AlertRuleContract):
    @pytest.fixture
    def build(self, name: str) -> Callable[[], AlertRule]:
        # Those that wait two minutes need not wait here.
        settings = {"for": "0s"} if name in ("pcr_extreme", "parity_breach") else {}
        return lambda: made(name, **settings)

    @pytest.fixture
    def alarming(self, name: str) -> tuple[Snapshot, Snapshot]:
        return ALARMING[name]

    @pytest.fixture
    def calm(self, name: str) -> tuple[Snapshot, Snapshot]:
        return CALM[name]


SENTENCES = {
    "iv_spike": "NIFTY: volatility at the money up by 3.0% to 15.0%",
    "pcr_extreme": "NIFTY: put-call ratio at 1.70",
    "straddle_break": "NIFTY: straddle moved by 21.0% to 79.00",
    "oi_buildup": "NIFTY 24600 CE: added 4.8% of all open interest, now ",
    "vix_jump": "India VIX moved by 7.4% to 14.50",
    "max_pain_cross": "NIFTY: spot 24690.00 went through max pain 24700",
    "parity_breach": "NIFTY: calls and puts are 60.00 rupees off parity, 0.24% of the spot",
    "clock_off": "the newest quote is 6 s ahead of this machine's clock: `g6 doctor`",
}


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_what_it_says(name: str) -> None:
    rule = made(name, **({"for": "0s"} if name in ("pcr_extreme", "parity_breach") else {}))
    (alert,) = rule.check(*ALARMING[name])
    assert alert.summary.startswith(SENTENCES[name])
    assert (alert.rule, alert.state) == (name, "firing")


def test_thresholds_are_settings() -> None:
    assert not list(made("straddle_break", share=0.22).check(*ALARMING["straddle_break"]))
    assert list(made("straddle_break", share=0.05).check(*CALM["straddle_break"]))
    now, before = ALARMING["straddle_break"]
    assert not list(made("straddle_break", window="30m").check(now, before))


def test_extremes_have_to_hold_for_two_minutes() -> None:
    rule = made("pcr_extreme")
    raised = [(m, a.state) for m in range(6) for a in rule.check(with_columns(m, pcr_oi=1.7 if m < 4 else 1.0), None)]
    assert raised == [(2, "firing"), (4, "resolved")]


def test_it_rests_and_says_so_when_no_analytic_gives_what_it_needs() -> None:
    rule = made("pcr_extreme")
    rule.bind(Known())
    assert isinstance(rule, Rule) and "no snapshot has `expiries.pcr_oi`" in str(rule.resting)
    assert list(rule.check(*ALARMING["pcr_extreme"])) == []
    bound = made("pcr_extreme", **{"for": "0s"})
    bound.bind(Known(["expiries.pcr_oi"]))
    assert list(bound.check(*ALARMING["pcr_extreme"]))


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"rule"}))
def test_each_is_on_by_default_and_has_a_word_on_every_setting(name: str) -> None:
    assert SPECS[name].by_default and SPECS[name].help
    assert all(field.description for field in SPECS[name].settings.model_fields.values())
    rule = made(name, notify=["nobody"])
    with pytest.raises(ConfigError, match="there is no sink `nobody`"):
        rule.bind(Known())
