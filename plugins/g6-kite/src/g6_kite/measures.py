"""What is counted of Kite: calls, the waits that its limits cost, and the stream."""

from __future__ import annotations

from g6core import metric

REQUESTS = metric(
    "counter",
    "g6_kite_requests_total",
    "Calls to Kite by class (quote, candle, other) and HTTP status; none where no answer came.",
    ["kind", "status"],
)
REQUEST_SECONDS = metric(
    "histogram",
    "g6_kite_request_seconds",
    "How long Kite took to answer a call, without the wait for its limits, in seconds.",
    ["kind"],
)
TOO_MANY = metric("counter", "g6_kite_limited_total", "Calls that Kite refused as too many (HTTP 429).", ["kind"])
RETRIES = metric("counter", "g6_kite_retries_total", "Calls that were made again after a failure.", ["kind"])
WAITS = metric(
    "counter", "g6_kite_limiter_wait_seconds_total", "Seconds that calls waited so as to keep Kite's limits.", ["kind"]
)
SOCKETS = metric("gauge", "g6_kite_stream_sockets", "Sockets of the stream that are up; Kite allows three.")
TOKENS = metric("gauge", "g6_kite_stream_tokens", "Contracts and indices that the stream was asked for.")
UPS = metric("counter", "g6_kite_stream_connections_total", "Times that a socket of the stream came up.")
LOSSES = metric("counter", "g6_kite_stream_losses_total", "Times that a socket was lost, or given up as silent.")
FRAMES = metric("counter", "g6_kite_stream_frames_total", "Messages of quotes that the stream sent.")
BYTES = metric("counter", "g6_kite_stream_bytes_total", "Bytes of the messages of quotes that the stream sent.")
TICKS = metric(
    "counter",
    "g6_kite_stream_ticks_total",
    "Quotes of the stream by what became of them: taken, unknown (nobody watches it), late (older than what is known)"
    " or malformed.",
    ["result"],
)
TAPE_DROPPED = metric(
    "counter", "g6_kite_tape_dropped_frames_total", "Messages that the tape of the stream could not take."
)

TAKEN, UNKNOWN, LATE, MALFORMED = (TICKS.labels(word) for word in ("taken", "unknown", "late", "malformed"))
