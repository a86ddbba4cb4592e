"""What a plugin's tests need: a market, snapshots, sinks, a clock, and a contract class for each kind of component.

The names are loaded when first used: pytest reads this package in every session in which g6core is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOMES = {
    "START": "clock",
    "ManualClock": "clock",
    "FakeMarket": "market",
    "snapshot": "market",
    "snapshots": "market",
    "MemorySink": "sinks",
    "FlakySink": "sinks",
    "ProviderContract": "provider_contract",
    "StrategyContract": "strategy_contract",
    "AnalyticContract": "analytic_contract",
    "SinkContract": "sink_contract",
    "DeliveryContract": "delivery_contract",
    "ArchiveContract": "archive_contract",
    "AlertRuleContract": "alert_contract",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from g6core.testing.alert_contract import AlertRuleContract
    from g6core.testing.analytic_contract import AnalyticContract
    from g6core.testing.archive_contract import ArchiveContract
    from g6core.testing.clock import START, ManualClock
    from g6core.testing.delivery_contract import DeliveryContract
    from g6core.testing.market import FakeMarket, snapshot, snapshots
    from g6core.testing.provider_contract import ProviderContract
    from g6core.testing.sink_contract import SinkContract
    from g6core.testing.sinks import FlakySink, MemorySink
    from g6core.testing.strategy_contract import StrategyContract


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'g6core.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"g6core.testing.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
