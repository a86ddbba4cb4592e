"""The metrics that are looked up when `/metrics` is asked; `scrape` fills them."""

from __future__ import annotations

from collections.abc import Sequence

from g6core.metrics import Family, declared

ALL: list[Family] = []


def _family(name: str, help: str, labels: Sequence[str] = (), kind: str = "gauge") -> Family:
    ALL.append(declared(kind, name, help, labels))
    return ALL[-1]


BUILD = _family("g6_build_info", "Always 1; the labels say which versions run.", ["version", "python"])
START = _family("g6_start_time_seconds", "When the recorder was started, in seconds since 1970 UTC.")
UPTIME = _family("g6_uptime_seconds", "How long the recorder has been running, in seconds.")
THREADS = _family("g6_threads", "Threads of this process that Python knows of.")
COMPONENTS = _family("g6_components", "Components that are on, by kind.", ["kind"])
SIMULATED = _family("g6_simulated", "1 when no market stands behind the numbers, 0 when they are real.")

STATE = _family("g6_recorder_state", "1 for what the recorder is doing, 0 for the other states.", ["state"])
LAST_TICK = _family("g6_loop_last_tick_timestamp_seconds", "When the loop turned last, in seconds since 1970 UTC.")
LAST_CYCLE = _family(
    "g6_cycle_last_timestamp_seconds",
    "The time of the newest cycle, in a replay the recorded one, in seconds since 1970 UTC.",
)
LAST_SECONDS = _family("g6_cycle_last_duration_seconds", "How long the newest cycle took, in seconds.")
INTERVAL = _family("g6_cycle_interval_seconds", "The configured time from one cycle to the next, in seconds.")

INDEX_OPTIONS = _family("g6_index_options", "Options selected of an index in the newest cycle.", ["index"])
INDEX_QUOTED = _family(
    "g6_index_quoted_options", "Of these, the options with a last price, a bid or an ask.", ["index"]
)
COVERAGE = _family("g6_index_coverage_ratio", "Quoted options by selected ones in the newest cycle, 0 to 1.", ["index"])
EXPIRIES = _family("g6_index_expiries", "Expiries in the newest snapshot of an index.", ["index"])
RECORDED = _family("g6_index_recorded", "1 when the newest cycle recorded the index, else 0.", ["index"])
MISSED = _family("g6_index_missed_cycles", "Cycles in a row that recorded nothing of an index.", ["index"])
LAST_RECORDED = _family(
    "g6_index_last_recorded_timestamp_seconds",
    "The time of the newest recorded snapshot, in seconds since 1970 UTC.",
    ["index"],
)
QUOTE_AGE = _family(
    "g6_index_quote_age_seconds", "How old the newest quote of an index was at its cycle, in seconds.", ["index"]
)
ANALYSIS = _family(
    "g6_index_analysis_seconds", "How long the analytics took for the newest snapshot, in seconds.", ["index"]
)

OPEN = _family("g6_market_open", "1 while there is something to record, 0 while the market is closed.")
OPENS = _family(
    "g6_market_opens_timestamp_seconds", "When the market opens next, in seconds since 1970 UTC; absent while open."
)
FACTS = {
    "spot": _family("g6_market_spot", "The index in its newest snapshot, in index points.", ["index"]),
    "vix": _family("g6_market_vix", "India VIX in the newest snapshot, in index points.", ["index"]),
    "vix_30d": _family("g6_market_vix_30d", "The 30-day volatility index of the chain, in index points.", ["index"]),
    "gex": _family(
        "g6_market_gex_rupees", "Gamma exposure of the chain per 1 % move, calls less puts, in rupees.", ["index"]
    ),
    "rv_intraday": _family(
        "g6_market_rv_intraday_ratio", "Realised volatility of the day so far, a year, as a fraction.", ["index"]
    ),
}
"""By the fact of a snapshot."""
NEAREST = {
    "forward": _family("g6_market_forward", "Forward of the nearest expiry, in index points.", ["index"]),
    "future": _family("g6_market_future", "Last price of the nearest listed future, in index points.", ["index"]),
    "atm_strike": _family(
        "g6_market_atm_strike", "At-the-money strike of the nearest expiry, in index points.", ["index"]
    ),
    "atm_iv": _family(
        "g6_market_atm_iv_ratio", "Volatility at the money of the nearest expiry, a year, as a fraction.", ["index"]
    ),
    "straddle": _family(
        "g6_market_straddle_rupees", "At-the-money call and put of the nearest expiry together, in rupees.", ["index"]
    ),
    "expected_move": _family(
        "g6_market_expected_move", "Expected move until the nearest expiry, in index points.", ["index"]
    ),
    "pcr_oi": _family("g6_market_pcr_oi_ratio", "Put-call ratio of the nearest expiry by open interest.", ["index"]),
    "pcr_volume": _family("g6_market_pcr_volume_ratio", "Put-call ratio of the nearest expiry by volume.", ["index"]),
    "max_pain": _family("g6_market_max_pain", "Max pain of the nearest expiry, in index points.", ["index"]),
    "oi_calls": _family("g6_market_oi_calls", "Open interest of the calls of the nearest expiry, in units.", ["index"]),
    "oi_puts": _family("g6_market_oi_puts", "Open interest of the puts of the nearest expiry, in units.", ["index"]),
    "rr25": _family(
        "g6_market_rr25_ratio", "25-delta risk reversal of the nearest expiry, as a fraction a year.", ["index"]
    ),
    "quality": _family(
        "g6_market_quality_ratio", "Sound quotes by all options of the nearest expiry, 0 to 1.", ["index"]
    ),
}
"""By the column of the nearest expiry."""
EXPIRES = _family(
    "g6_market_expires_timestamp_seconds", "When the nearest expiry ends, in seconds since 1970 UTC.", ["index"]
)

UP = _family("g6_provider_up", "1 when the provider answered when it was last asked, else 0.", ["provider"])
INDICES = _family("g6_provider_indices", "Indices that are asked of a provider.", ["provider"])
DATA_AGE = _family(
    "g6_provider_data_age_seconds",
    "How old a provider's newest quote was at the newest cycle, in seconds.",
    ["provider"],
)
SESSION = _family(
    "g6_provider_session_valid",
    "1 when there is a session with the broker, 0 when it wants a login; looked at while the market is closed.",
    ["provider"],
)
SESSION_ENDS = _family(
    "g6_provider_session_ends_timestamp_seconds",
    "When the session ends by rule, in seconds since 1970 UTC.",
    ["provider"],
)

ANALYTIC_SECONDS = _family("g6_analytic_seconds_total", "Seconds that an analytic has taken.", ["analytic"], "counter")
ANALYTIC_SNAPSHOTS = _family(
    "g6_analytic_snapshots_total", "Snapshots that an analytic has added to.", ["analytic"], "counter"
)
ANALYTIC_ROWS = _family(
    "g6_analytic_options_total",
    "Options (rows) of the snapshots that an analytic has added to.",
    ["analytic"],
    "counter",
)
ANALYTIC_FAILURES = _family(
    "g6_analytic_failures_total",
    "Snapshots without an analytic's columns: it failed, or was skipped because another one had.",
    ["analytic", "reason"],
    "counter",
)

UNSAVED = _family("g6_journal_unsaved_snapshots", "Snapshots in memory that wait until the journal can be written.")
WRITABLE = _family("g6_journal_writable", "1 when the journal took what was last given to it, else 0.")
SIZE = _family("g6_journal_size_bytes", "Bytes of all files in the journal's directory.")
LIMIT = _family("g6_journal_limit_bytes", "The configured size at which recording stops, in bytes; absent without one.")
DAYS = _family("g6_journal_day_files", "Days that the journal holds.")
FREE = _family("g6_disk_free_bytes", "Bytes left on the disk of the data directory.")
DISK = _family("g6_disk_size_bytes", "Bytes of the disk of the data directory.")

WRITTEN = _family("g6_sink_snapshots_total", "Snapshots that a sink has taken.", ["sink"], "counter")
RETRIED = _family("g6_sink_retries_total", "Attempts of a sink that failed and were made again.", ["sink"], "counter")
REJECTED = _family(
    "g6_sink_rejected_total", "Snapshots and alerts set aside because a sink will never take them.", ["sink"], "counter"
)
LAG = _family("g6_sink_lag_snapshots", "Snapshots of the day that a sink has still to get.", ["sink"])
BEHIND = _family(
    "g6_sink_behind_seconds", "How long ago a sink last got on while something waits for it, in seconds.", ["sink"]
)
SINK_UP = _family("g6_sink_up", "1 when the sink took what it was last given, else 0.", ["sink"])

RULES = _family("g6_alert_rules", "Alert rules that are on.")
MUTED = _family("g6_alert_rules_muted", "Alert rules that are muted for an index at least, after five errors in a row.")
