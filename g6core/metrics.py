"""The registry of all metrics, and the ways to add to it.

Names follow Prometheus's conventions: `g6_`, base units (seconds, bytes), `_total` for counters. A label has few
values: a component, an index, a reason; never a strike, a date, a symbol or anything that a stranger can write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# When a counter began is one more line for each of its labels, and nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
"""What `/metrics` shows."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Buckets of a histogram of seconds, from a commit to a slow broker."""
_UNBOUNDED = frozenset({"strike", "date", "day", "symbol", "expiry", "token", "user", "id", "path", "ts"})
_KNOWN: dict[str, Counter | Gauge | Histogram] = {}


@dataclass(frozen=True)
class Family:
    """A metric with its help and the names of its labels. kind: counter, gauge or histogram."""

    kind: str
    name: str
    help: str
    labels: tuple[str, ...] = ()


FAMILIES: dict[str, Family] = {}
"""Every metric by its name, in the order of declaration; the page `docs/metrics.md` is made of it."""


@overload
def metric(kind: Literal["counter"], name: str, help: str, labels: Sequence[str] = ()) -> Counter: ...
@overload
def metric(kind: Literal["gauge"], name: str, help: str, labels: Sequence[str] = ()) -> Gauge: ...
@overload
def metric(kind: Literal["histogram"], name: str, help: str, labels: Sequence[str] = ()) -> Histogram: ...
def metric(kind: str, name: str, help: str, labels: Sequence[str] = ()) -> Counter | Gauge | Histogram:
    """A metric on `/metrics`, made when first asked for and the same one afterwards.

    kind: counter (its name ends in `_total`), gauge or histogram (of seconds, its name ends in `_seconds`). name:
    begins with `g6_`; a plugin's goes on with the plugin's name. labels: names of labels, each with few values. What is
    given back is prometheus_client's. Raises ValueError for a name or a label against the conventions, and for a name
    that is taken by another kind of metric.
    """
    if name in _KNOWN:
        return _the_same(name, kind, labels)
    declared(kind, name, help, labels)
    if kind == "histogram":
        made: Counter | Gauge | Histogram = Histogram(name, help, labels, registry=REGISTRY, buckets=SECONDS)
    else:
        made = (Counter if kind == "counter" else Gauge)(name, help, labels, registry=REGISTRY)
    _KNOWN[name] = made
    return made


def declared(kind: str, name: str, help: str, labels: Sequence[str] = ()) -> Family:
    """A metric whose values are looked up when `/metrics` is asked (`g6core.scrape`). Raises ValueError as `metric`."""
    _check(kind, name, labels)
    FAMILIES[name] = Family(kind, name, help, tuple(labels))
    return FAMILIES[name]


def _the_same(name: str, kind: str, labels: Sequence[str]) -> Counter | Gauge | Histogram:
    known = FAMILIES[name]
    if (known.kind, known.labels) != (kind, tuple(labels)):
        raise ValueError(f"there is a metric {name} already, of another kind or with other labels")
    return _KNOWN[name]


def _check(kind: str, name: str, labels: Sequence[str]) -> None:
    if kind not in ("counter", "gauge", "histogram"):
        raise ValueError(f"a metric is a counter, a gauge or a histogram, not a {kind}")
    if name in FAMILIES:
        raise ValueError(f"there is a metric {name} already")
    if not name.startswith("g6_"):
        raise ValueError(f"the name of a metric begins with g6_, not {name}")
    if (kind == "counter") != name.endswith("_total"):
        raise ValueError(f"{name}: the name of a counter ends in _total, and no other does")
    if kind == "histogram" and not name.endswith("_seconds"):
        raise ValueError(f"{name}: a histogram is one of seconds")
    if unbounded := _UNBOUNDED & set(labels):
        raise ValueError(f"{name}: the label {min(unbounded)} would have too many values")
