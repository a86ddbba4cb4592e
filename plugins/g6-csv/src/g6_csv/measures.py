"""What is counted of the files."""

from __future__ import annotations

from g6core import metric

LINES = metric("counter", "g6_csv_lines_total", "Lines given to CSV files, repeated ones included.")
BYTES = metric("counter", "g6_csv_bytes_total", "Bytes appended to CSV files.")
REPEATED = metric("counter", "g6_csv_repeated_lines_total", "Lines that came once more and were in their file already.")
OPEN = metric("gauge", "g6_csv_open_files", "CSV files that are kept open for appending.")
