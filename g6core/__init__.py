"""G6: the recorder and analyst's engine for Indian index options.

The names below are what a plugin author needs; nothing else is promised. They are loaded when first used, so that
`g6 --version` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "hookimpl": "hookspecs",
    "Duration": "durations",
    "ProviderSpec": "specs",
    "StrategySpec": "specs",
    "AnalyticSpec": "specs",
    "SinkSpec": "specs",
    "AlertSpec": "specs",
    "Provider": "components",
    "Strategy": "components",
    "Analytic": "components",
    "Sink": "components",
    "Archive": "components",
    "AlertRule": "components",
    "RuleGroup": "components",
    "Clock": "components",
    "Context": "components",
    "Finding": "reports",
    "Spot": "components",
    "Remark": "reports",
    "ReadReport": "reports",
    "Alert": "components",
    "IndexReport": "reports",
    "CycleReport": "reports",
    "ProviderReport": "reports",
    "SinkReport": "reports",
    "RunReport": "reports",
    "Known": "known",
    "Http": "http",
    "Page": "http",
    "problem": "http",
    "port_taken": "httpd",
    "Records": "records",
    "installed": "discovery",
    "read_status": "status",
    "snapshot_json": "chains",
    "chain_json": "chains",
    "chain_rows": "chains",
    "expiry_row": "chains",
    "ladder": "chains",
    "metric": "metrics",
    "Login": "login",
    "Session": "login",
    "hide": "redact",
    "redacted": "redact",
    "Snapshot": "snapshot",
    "IST": "exchange",
    "trading_date": "exchange",
    "Calendar": "exchange",
    "CONTRACTS": "snapshot",
    "QUOTES": "snapshot",
    "EXPIRIES": "snapshot",
    "LABELS": "snapshot",
    "OPTIONS": "snapshot",
    "conform": "snapshot",
    "NoSettings": "specs",
    "Public": "specs",
    "read_day": "days",
    "load": "notebook",
    "build_provider": "borrow",
    "make_context": "borrow",
    "config_options": "cli.options",
    "configured": "cli.lending",
    "configured_all": "cli.lending",
    "G6Error": "errors",
    "ConfigError": "errors",
    "PluginError": "errors",
    "DataError": "errors",
    "Unavailable": "errors",
    "AuthExpired": "errors",
    "Rejected": "errors",
}

__all__ = [
    "CONTRACTS",
    "EXPIRIES",
    "IST",
    "LABELS",
    "OPTIONS",
    "QUOTES",
    "Alert",
    "AlertRule",
    "AlertSpec",
    "Analytic",
    "AnalyticSpec",
    "Archive",
    "AuthExpired",
    "Calendar",
    "Clock",
    "ConfigError",
    "Context",
    "CycleReport",
    "DataError",
    "Duration",
    "Finding",
    "G6Error",
    "Http",
    "IndexReport",
    "Known",
    "Login",
    "NoSettings",
    "Page",
    "PluginError",
    "Provider",
    "ProviderReport",
    "ProviderSpec",
    "Public",
    "ReadReport",
    "Records",
    "Rejected",
    "Remark",
    "RuleGroup",
    "RunReport",
    "Session",
    "Sink",
    "SinkReport",
    "SinkSpec",
    "Snapshot",
    "Spot",
    "Strategy",
    "StrategySpec",
    "Unavailable",
    "__version__",
    "build_provider",
    "chain_json",
    "chain_rows",
    "config_options",
    "configured",
    "configured_all",
    "conform",
    "expiry_row",
    "hide",
    "hookimpl",
    "installed",
    "ladder",
    "load",
    "make_context",
    "metric",
    "port_taken",
    "problem",
    "read_day",
    "read_status",
    "redacted",
    "snapshot_json",
    "trading_date",
]

if TYPE_CHECKING:
    from g6core.borrow import build_provider, make_context
    from g6core.chains import chain_json, chain_rows, expiry_row, ladder, snapshot_json
    from g6core.cli.lending import configured, configured_all
    from g6core.cli.options import config_options
    from g6core.components import (
        Alert,
        AlertRule,
        Analytic,
        Archive,
        Clock,
        Context,
        Provider,
        RuleGroup,
        Sink,
        Spot,
        Strategy,
    )
    from g6core.days import read_day
    from g6core.discovery import installed
    from g6core.durations import Duration
    from g6core.errors import AuthExpired, ConfigError, DataError, G6Error, PluginError, Rejected, Unavailable
    from g6core.exchange import IST, Calendar, trading_date
    from g6core.hookspecs import hookimpl
    from g6core.http import Http, Page, problem
    from g6core.httpd import port_taken
    from g6core.known import Known
    from g6core.login import Login, Session
    from g6core.metrics import metric
    from g6core.notebook import load
    from g6core.records import Records
    from g6core.redact import hide, redacted
    from g6core.reports import (
        CycleReport,
        Finding,
        IndexReport,
        ProviderReport,
        ReadReport,
        Remark,
        RunReport,
        SinkReport,
    )
    from g6core.snapshot import CONTRACTS, EXPIRIES, LABELS, OPTIONS, QUOTES, Snapshot, conform
    from g6core.specs import AlertSpec, AnalyticSpec, NoSettings, ProviderSpec, Public, SinkSpec, StrategySpec
    from g6core.status import read_status


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'g6core' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"g6core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
