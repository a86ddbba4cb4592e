"""What is counted of Redis."""

from __future__ import annotations

from g6core import metric

SECONDS = metric(
    "histogram", "g6_redis_round_trip_seconds", "How long Redis took for the snapshots of one write, in seconds."
)
SUPERSEDED = metric(
    "counter",
    "g6_redis_superseded_snapshots_total",
    "Snapshots that were not sent, because a newer one was there already.",
)
RESTORED = metric(
    "counter", "g6_redis_restored_snapshots_total", "Snapshots written again from memory, because Redis had lost them."
)
