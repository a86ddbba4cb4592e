"""What is counted of the database."""

from __future__ import annotations

from g6core import metric

ROWS = metric(
    "counter", "g6_sql_rows_total", "Rows committed, new ones and those that replaced one, by table.", ["table"]
)
SECONDS = metric(
    "histogram",
    "g6_sql_transaction_seconds",
    "How long a transaction that writes rows took, failed ones included, in seconds.",
)
FAILURES = metric("counter", "g6_sql_failures_total", "Transactions that the database refused or did not finish.")
