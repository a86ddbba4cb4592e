"""What every alert rule keeps: calm markets are silent, and each alert says whose and when."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from g6core.components import Alert, AlertRule
from g6core.snapshot import QUOTES, Snapshot
from g6core.testing.component_contract import ComponentContract
from g6core.testing.market import snapshots

Pair = tuple[Snapshot, Snapshot | None]
"""(now, before)."""


class AlertRuleContract(ComponentContract):
    """Fixtures to override: `build`, `alarming`; `calm` when the fake market is not calm for this rule."""

    @pytest.fixture
    def alarming(self) -> Pair:
        raise NotImplementedError("override the fixture `alarming`: snapshots (now, before) that raise an alert")

    @pytest.fixture
    def calm(self) -> Pair:
        before, now = snapshots(2)
        return now, before

    @pytest.fixture
    def rule(self, component: AlertRule) -> AlertRule:
        return component

    def test_raises_an_alert(self, rule: AlertRule, alarming: Pair) -> None:
        assert list(rule.check(*alarming))

    def test_its_group_names_it_when_it_has_something_to_say(self, rule: AlertRule, alarming: Pair) -> None:
        group = rule.group()
        if group is not None:
            assert any(one is rule for one in group.concerned(*alarming))
            assert list(rule.check(*alarming))

    def test_says_nothing_while_all_is_calm(self, rule: AlertRule, calm: Pair) -> None:
        assert list(rule.check(*calm)) == []

    def test_an_alert_says_whose_and_when(self, rule: AlertRule, alarming: Pair) -> None:
        now = alarming[0]
        for alert in rule.check(*alarming):
            assert isinstance(alert, Alert)
            assert (alert.index, alert.ts) == (now.index, now.ts)
            assert alert.rule and alert.summary
            assert alert.severity in {"info", "warning", "critical"}
            assert alert.state in {"firing", "resolved"}

    def test_alerts_of_one_snapshot_differ_by_key(self, rule: AlertRule, alarming: Pair) -> None:
        alerts = list(rule.check(*alarming))
        assert len({(a.rule, a.key) for a in alerts}) == len(alerts)

    def test_a_new_rule_says_the_same(self, build: Callable[[], AlertRule], alarming: Pair) -> None:
        assert list(build().check(*alarming)) == list(build().check(*alarming))

    def test_does_without_an_earlier_snapshot(self, rule: AlertRule, calm: Pair) -> None:
        list(rule.check(calm[0], None))

    def test_does_without_quotes_rows_and_facts(self, rule: AlertRule, calm: Pair) -> None:
        now, before = calm
        unquoted = now.options.with_columns(pl.lit(None, t).alias(c) for c, t in QUOTES.items())
        for options in (unquoted, now.options.clear()):
            list(rule.check(now.replace(options=options, facts={}), before))
            list(rule.check(now, now.replace(options=options, facts={})))

    def test_leaves_the_snapshot_as_it_is(self, rule: AlertRule, alarming: Pair) -> None:
        now = alarming[0]
        options, facts = now.options.clone(), dict(now.facts)
        list(rule.check(*alarming))
        assert now.options.equals(options)
        assert now.facts == facts
