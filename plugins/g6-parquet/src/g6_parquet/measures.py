"""What is counted of the dataset."""

from __future__ import annotations

from g6core import metric

FILES = metric(
    "counter", "g6_parquet_files_total", "Parquet files written, those of merges included, by table.", ["table"]
)
BYTES = metric("counter", "g6_parquet_bytes_total", "Bytes of the Parquet files written, by table.", ["table"])
SECONDS = metric(
    "histogram", "g6_parquet_file_seconds", "How long it took to write a Parquet file to the disk, in seconds."
)
MERGES = metric("counter", "g6_parquet_merges_total", "Times that small files became a bigger one.")
