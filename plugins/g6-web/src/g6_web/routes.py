"""The table of all paths: what answers, with which parameters, in which form. The OpenAPI document is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from g6_web import answers
from g6_web.answers import Asked, Sources
from g6_web.asked import AROUND, COLUMNS, DATE, EVERY, EXPIRY, FORMAT, FROM, INDICES, LIMIT, TO, Param
from g6core import Page

API = "/api/v1"
Answer = Callable[[Sources, Asked], Page]


@dataclass(frozen=True)
class Route:
    """A path of the API, under /api/v1. schema: the name of what its JSON is; None for what has none of its own.

    missing: how 404 may come.
    """

    path: str
    name: str
    help: str
    schema: str | None = None
    answer: Answer | None = None
    params: tuple[Param, ...] = ()
    csv: bool = False
    etag: bool = False
    missing: str | None = None


ROUTES = (
    Route("/status", "status", "What the recorder does, as `g6 status --json` says it", "Status", answers.status),
    Route(
        "/indices", "indices", "The indices, each with its newest snapshot's time and spot", "Indices", answers.indices
    ),
    Route(
        "/snapshot/{index}",
        "snapshot",
        "The newest snapshot of an index: facts, expiries, options",
        "Snapshot",
        answers.snapshot,
        (FORMAT,),
        csv=True,
        etag=True,
        missing="nothing is recorded of that index",
    ),
    Route(
        "/chain/{index}",
        "chain",
        "The newest chain of one expiry, as `g6 chain --json` gives it; as CSV a ladder, calls left and puts right",
        "Chain",
        answers.chain,
        (EXPIRY, AROUND, FORMAT, COLUMNS),
        csv=True,
        etag=True,
        missing="no such index or expiry",
    ),
    Route(
        "/history/{index}/{fact}",
        "history",
        "A fact of an index, or of one of its expiries, over the recorded days; today when no time is given",
        "History",
        answers.history,
        (EXPIRY, DATE, FROM, TO, EVERY, FORMAT),
        csv=True,
        missing="no such index, fact, expiry or day",
    ),
    Route("/alerts", "alerts", "The newest alerts, by time", "Alerts", answers.alerts, (FROM, TO, LIMIT)),
    Route("/plugins", "plugins", "The installed plugins, and which are selected", "Plugins", answers.plugins),
    Route("/journal", "journal", "The recorded days, as `g6 journal --json` lists them", "Journal", answers.journal),
    Route(
        "/stream",
        "stream",
        "Each snapshot as it is recorded, as server-sent events",
        params=(INDICES,),
        missing="nothing is recorded of that index",
    ),
    Route("/openapi.json", "openapi", "This description"),
)

CORE: Mapping[str, str] = {
    "/metrics": "Metrics of the recorder, for Prometheus",
    "/healthz": "All checks of the recorder; 503 when nothing is recorded",
    "/readyz": "Whether what is collected now would be recorded",
    "/livez": "Whether the recorder's loop still turns",
}
"""The recorder's own pages, which are answered here as well."""
