"""What the board of the recorder's health shows."""

from __future__ import annotations

from docs.tools.panels import Panel, Rows, quantile, rate, stat

HEALTH: Rows = (
    (
        "Now",
        (
            stat("State", "none", "g6_recorder_state == 1", legend="{{state}}"),
            stat("Last tick", "s", "time() - g6_loop_last_tick_timestamp_seconds", "How long ago the loop turned."),
            stat(
                "Not recorded", "short", "sum(g6_index_missed_cycles > bool 0)", "Indices missing in the newest cycle."
            ),
            stat("Journal can be written", "bool_yes_no", "min(g6_journal_writable)"),
            stat("Slowest sink behind", "s", "max(g6_sink_behind_seconds)"),
            stat("Disk left", "bytes", "min(g6_disk_free_bytes)"),
        ),
    ),
    (
        "Cycles",
        (
            Panel("Cycles", "cps", rate("g6_cycles_total", "result"), "By what came of them."),
            Panel(
                "Length of a cycle",
                "s",
                [
                    quantile("g6_cycle_seconds", "", 0.5),
                    quantile("g6_cycle_seconds", ""),
                    ("g6_cycle_interval_seconds", "interval"),
                ],
            ),
            Panel(
                "Where a cycle's time goes",
                "s",
                [
                    (
                        "sum by (stage) (rate(g6_cycle_stage_seconds_total[$__rate_interval]))"
                        " / ignoring (stage) group_left sum(rate(g6_cycles_total[$__rate_interval]))",
                        "{{stage}}",
                    )
                ],
                "Seconds a cycle.",
            ),
            Panel("Not recorded, by reason", "cps", rate("g6_index_not_recorded_total", "index, reason")),
            Panel(
                "Overruns and skipped ticks",
                "short",
                [
                    ("increase(g6_cycle_overruns_total[$__rate_interval])", "overruns"),
                    ("increase(g6_cycle_ticks_skipped_total[$__rate_interval])", "skipped ticks"),
                ],
            ),
            Panel(
                "Coverage",
                "percentunit",
                [("g6_index_coverage_ratio", "{{index}}")],
                "Options with a quote by all selected.",
            ),
        ),
    ),
    (
        "Providers",
        (
            Panel("Calls, 99 of 100 within", "s", [quantile("g6_provider_call_seconds", "provider, call")]),
            Panel("Failures", "cps", rate("g6_provider_failures_total", "provider, code")),
            Panel("Age of the newest quote", "s", [("g6_index_quote_age_seconds", "{{index}}")]),
            Panel(
                "Answers that were late",
                "short",
                [
                    (
                        "increase(g6_provider_deadline_misses_total[$__rate_interval])",
                        "{{provider}} missed the deadline",
                    ),
                    (
                        "increase(g6_provider_late_snapshots_total[$__rate_interval])",
                        "{{provider}} snapshots recorded late",
                    ),
                ],
            ),
            Panel("Kite: calls by status", "reqps", rate("g6_kite_requests_total", "kind, status")),
            Panel(
                "Kite: waits for the limit",
                "percentunit",
                rate("g6_kite_limiter_wait_seconds_total", "kind"),
                "Seconds a second that calls stood in the queue; 429 are calls that Kite refused all the same.",
            ),
            Panel(
                "Kite: stream",
                "short",
                [
                    ("g6_kite_stream_sockets", "sockets up"),
                    ("increase(g6_kite_stream_losses_total[$__rate_interval])", "lost"),
                ],
            ),
            Panel("Kite: quotes of the stream", "cps", rate("g6_kite_stream_ticks_total", "result")),
            Panel(
                "Kite: bytes of the stream", "Bps", [("rate(g6_kite_stream_bytes_total[$__rate_interval])", "bytes")]
            ),
        ),
    ),
    (
        "Analytics",
        (
            Panel(
                "Time of each analytic",
                "s",
                [
                    (
                        "rate(g6_analytic_seconds_total[$__rate_interval])"
                        " / rate(g6_analytic_snapshots_total[$__rate_interval])",
                        "{{analytic}}",
                    )
                ],
                "Seconds a snapshot.",
            ),
            Panel("Columns left out", "cps", rate("g6_analytic_failures_total", "analytic, reason")),
            Panel("No implied volatility", "cps", rate("g6_greeks_refused_total", "reason"), "Options by reason."),
        ),
    ),
    (
        "Journal and disk",
        (
            Panel("Commit, 99 of 100 within", "s", [quantile("g6_journal_commit_seconds", "")]),
            Panel(
                "Size",
                "bytes",
                [
                    ("g6_journal_size_bytes", "journal"),
                    ("g6_journal_limit_bytes", "limit"),
                    ("g6_disk_free_bytes", "disk left"),
                ],
            ),
            Panel(
                "Snapshots that wait in memory",
                "short",
                [
                    ("g6_journal_unsaved_snapshots", "waiting"),
                    ("increase(g6_journal_lost_snapshots_total[$__rate_interval])", "lost"),
                ],
            ),
        ),
    ),
    (
        "Sinks",
        (
            Panel("Snapshots that wait", "short", [("g6_sink_lag_snapshots", "{{sink}}")]),
            Panel("Behind", "s", [("g6_sink_behind_seconds", "{{sink}}")]),
            Panel("Write, 99 of 100 within", "s", [quantile("g6_sink_write_seconds", "sink")]),
            Panel("Written", "cps", rate("g6_sink_snapshots_total", "sink")),
            Panel("Tried again", "cps", rate("g6_sink_retries_total", "sink")),
            Panel("Rejected", "short", [("g6_sink_rejected_total", "{{sink}}")]),
        ),
    ),
    (
        "Alerts, port and process",
        (
            Panel(
                "Alerts",
                "short",
                [("sum by (rule, state) (increase(g6_alerts_total[$__rate_interval]))", "{{rule}} {{state}}")],
            ),
            Panel(
                "Requests",
                "reqps",
                [*rate("g6_http_requests_total", "page, status"), *rate("g6_http_refused_total", "reason")],
            ),
            Panel(
                "Alerts by channel",
                "short",
                [
                    ("increase(g6_alerts_sent_total[$__rate_interval])", "{{channel}} sent"),
                    ("increase(g6_alerts_failed_total[$__rate_interval])", "{{channel}} messages that failed"),
                    ("g6_alerts_held", "{{channel}} waiting"),
                ],
            ),
            Panel("Requests to the API", "reqps", rate("g6_web_requests_total", "route, status")),
            Panel(
                "Clients of the stream",
                "short",
                [
                    ("g6_web_streams", "connected"),
                    ("increase(g6_web_stream_skipped_total[$__rate_interval])", "events skipped"),
                ],
            ),
            Panel(
                "Processor", "percentunit", [('rate(process_cpu_seconds_total{job="g6"}[$__rate_interval])', "cores")]
            ),
            Panel("Memory", "bytes", [('process_resident_memory_bytes{job="g6"}', "resident")]),
            Panel(
                "Open files",
                "short",
                [('process_open_fds{job="g6"}', "open"), ('process_max_fds{job="g6"}', "allowed")],
            ),
            Panel("Threads", "short", [("g6_threads", "threads")]),
        ),
    ),
)
