"""What is counted of the server."""

from __future__ import annotations

from g6core import metric

REQUESTS = metric(
    "counter",
    "g6_influx_requests_total",
    "Requests to write, by the HTTP status of the answer; none where no whole answer came.",
    ["status"],
)
SECONDS = metric("histogram", "g6_influx_request_seconds", "How long the server took for a write, in seconds.")
BYTES = metric(
    "counter", "g6_influx_bytes_total", "Bytes of line protocol that the server has taken, before compression."
)
SPLITS = metric("counter", "g6_influx_splits_total", "Requests that were too large for the server and were cut in two.")
