"""What the recorder counts and times while it works; what holds at a moment is looked up by `scrape`.

What happens in every cycle is counted on children that are made once: finding one by its labels costs more than the
counting.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from prometheus_client import Counter, Histogram

from g6core.metrics import metric
from g6core.reports import CycleReport, IndexReport

CYCLES = metric(
    "counter",
    "g6_cycles_total",
    "Cycles by what came of them: all indices recorded, some of them, or none.",
    ["result"],
)
CYCLE_SECONDS = metric(
    "histogram", "g6_cycle_seconds", "How long a cycle took from the first question to the last alert, in seconds."
)
STAGE_SECONDS = metric(
    "counter",
    "g6_cycle_stage_seconds_total",
    "Seconds spent in each stage of the cycles: collect, analyse, record, look (alert rules), announce.",
    ["stage"],
)
OVERRUNS = metric("counter", "g6_cycle_overruns_total", "Cycles that took longer than the interval.")
TICKS_SKIPPED = metric(
    "counter", "g6_cycle_ticks_skipped_total", "Ticks without a cycle, because the cycle before was still running."
)
CLOCK_BACK = metric(
    "counter", "g6_clock_steps_back_total", "Times that the machine's clock was found to have gone back."
)
RELOADS = metric(
    "counter",
    "g6_settings_reloads_total",
    "Changed settings files, by whether they were applied or refused.",
    ["result"],
)

SNAPSHOTS = metric("counter", "g6_index_snapshots_total", "Snapshots recorded of an index.", ["index"])
OPTIONS = metric("counter", "g6_index_recorded_options_total", "Options (rows) recorded of an index.", ["index"])
QUOTES = metric(
    "counter",
    "g6_index_recorded_quotes_total",
    "Recorded options of an index with a last price, a bid or an ask.",
    ["index"],
)
NOT_RECORDED = metric(
    "counter",
    "g6_index_not_recorded_total",
    "Cycles in which nothing was recorded of an index, by reason: the code of an error, or a word such as deadline.",
    ["index", "reason"],
)
NOTES = metric(
    "counter",
    "g6_index_notes_total",
    "Remarks on recorded snapshots, such as an analytic that was left out.",
    ["index"],
)

PASS_SECONDS = metric(
    "histogram",
    "g6_provider_pass_seconds",
    "How long a provider took to answer for all its indices, in seconds.",
    ["provider"],
)
CALL_SECONDS = metric(
    "histogram",
    "g6_provider_call_seconds",
    "How long one call of a provider took, in seconds, by what it was asked for.",
    ["provider", "call"],
)
CALL_FAILURES = metric(
    "counter", "g6_provider_call_failures_total", "Calls of a provider that raised an error.", ["provider", "call"]
)
FAILURES = metric(
    "counter",
    "g6_provider_failures_total",
    "Passes in which a provider gave nothing, by the error's code.",
    ["provider", "code"],
)
DEADLINES = metric(
    "counter",
    "g6_provider_deadline_misses_total",
    "Passes that a provider had not answered by the deadline.",
    ["provider"],
)
LATE = metric(
    "counter",
    "g6_provider_late_snapshots_total",
    "Snapshots that came after the deadline and were recorded with a later cycle.",
    ["provider"],
)

ENCODE_SECONDS = metric(
    "histogram", "g6_journal_encode_seconds", "How long it took to make a snapshot ready for the journal, in seconds."
)
COMMIT_SECONDS = metric(
    "histogram", "g6_journal_commit_seconds", "How long a commit to the journal took, the disk included, in seconds."
)
JOURNAL_SNAPSHOTS = metric("counter", "g6_journal_snapshots_total", "Snapshots committed to the journal.")
JOURNAL_BYTES = metric(
    "counter", "g6_journal_bytes_total", "Bytes of the tables committed to the journal, as they are packed there."
)
JOURNAL_ERRORS = metric(
    "counter", "g6_journal_errors_total", "Attempts to write the journal that failed, by the error's code.", ["code"]
)
LOST = metric(
    "counter",
    "g6_journal_lost_snapshots_total",
    "Snapshots given up because the journal could not be written for too long.",
)
REFUSED = metric("counter", "g6_journal_refused_snapshots_total", "Snapshots that no journal can hold.")

WRITE_SECONDS = metric(
    "histogram",
    "g6_sink_write_seconds",
    "How long a sink took for one batch, failed ones included, in seconds.",
    ["sink"],
)
SINK_ALERTS = metric("counter", "g6_sink_alerts_total", "Alerts given to a sink.", ["sink"])

ALERTS = metric(
    "counter",
    "g6_alerts_total",
    "Alerts by rule, severity and state (firing, resolved).",
    ["rule", "severity", "state"],
)
RULE_FAILURES = metric("counter", "g6_alert_rule_failures_total", "Times that an alert rule raised an error.", ["rule"])

REQUESTS = metric(
    "counter",
    "g6_http_requests_total",
    "Answers of the recorder's own pages, by page and HTTP status.",
    ["page", "status"],
)
REQUEST_SECONDS = metric(
    "histogram",
    "g6_http_request_seconds",
    "How long it took to make one of the recorder's own pages, in seconds.",
    ["page"],
)
HTTP_REFUSED = metric(
    "counter",
    "g6_http_refused_total",
    "Requests that were not answered: wrong token, wrong host, malformed, unknown page, too many at a time.",
    ["reason"],
)

# A rate is only seen when the series was there before its first event.
RESULTS = {word: CYCLES.labels(word) for word in ("all", "some", "none")}
STAGES = {word: STAGE_SECONDS.labels(word) for word in ("collect", "analyse", "record", "look", "announce")}
RELOADED = {word: RELOADS.labels(word) for word in ("applied", "refused")}
HTTP_REFUSALS = {
    word: HTTP_REFUSED.labels(word) for word in ("token", "wrong-host", "malformed", "no-such-page", "busy")
}


class Stages:
    """Seconds of a cycle by stage: each goes from the end of the one before."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def done(self, stage: str) -> None:
        now = time.perf_counter()
        STAGES[stage].inc(now - self._at)
        self._at = now


class IndexMeter:
    """The counters of one index."""

    def __init__(self, index: str) -> None:
        self._index = index
        self._snapshots, self._options = SNAPSHOTS.labels(index), OPTIONS.labels(index)
        self._quotes, self._notes = QUOTES.labels(index), NOTES.labels(index)

    def count(self, report: IndexReport) -> None:
        if report.status == "recorded":
            self._snapshots.inc()
            self._options.inc(report.options)
            self._quotes.inc(report.quoted)
            self._notes.inc(len(report.notes))
        else:
            NOT_RECORDED.labels(self._index, report.code or "failed").inc()


@dataclass
class AnalyticMeter:
    """What an analytic did in this process. Plain numbers, since each is touched for every index in every cycle.

    snapshots, rows: those that it has added to; failed, skipped: snapshots that it has not.
    """

    seconds: float = 0.0
    snapshots: int = 0
    rows: int = 0
    failed: int = 0
    skipped: int = 0

    def added(self, rows: int, seconds: float) -> None:
        self.seconds += seconds
        self.snapshots += 1
        self.rows += rows


ANALYTICS: defaultdict[str, AnalyticMeter] = defaultdict(AnalyticMeter)
"""By the analytic's name."""


class ProviderMeter:
    """The counters of one provider."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.passes, self.deadlines, self.late = PASS_SECONDS.labels(name), DEADLINES.labels(name), LATE.labels(name)
        self._calls = {call: _call(name, call) for call in ("contracts", "spots", "quotes", "futures")}

    def failed(self, code: str) -> None:
        FAILURES.labels(self._name, code).inc()

    @contextmanager
    def call(self, call: str) -> Iterator[None]:
        """Around one call of the provider."""
        seconds, failures = self._calls[call]
        began = time.perf_counter()
        try:
            yield
        except BaseException:
            failures.inc()
            raise
        finally:
            seconds.observe(time.perf_counter() - began)


def count(report: CycleReport, interval: float) -> None:
    """What a cycle did. interval: seconds."""
    recorded = 0
    for index, of_index in report.indices.items():
        index_meter(index).count(of_index)
        recorded += of_index.status == "recorded"
    RESULTS["all" if recorded == len(report.indices) else "some" if recorded else "none"].inc()
    CYCLE_SECONDS.observe(report.seconds)
    if report.seconds > interval:
        OVERRUNS.inc()


index_meter = cache(IndexMeter)


def _call(provider: str, call: str) -> tuple[Histogram, Counter]:
    return CALL_SECONDS.labels(provider, call), CALL_FAILURES.labels(provider, call)
