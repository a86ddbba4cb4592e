from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from g6_replay.lots import LOTS, lot_size

INDICES = ["NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "SENSEX", "BANKEX"]


def listed(path: Path) -> set[tuple[str, date, int]]:
    """(index, expiry, lot) of a recorded listing or bhavcopy."""
    frame = pl.read_csv(path, infer_schema=False)
    if "XpryDt" in frame.columns:
        frame = frame.rename({"TckrSymb": "name", "XpryDt": "expiry", "NewBrdLotQty": "lot_size"})
    frame = frame.filter(pl.col("name").is_in(INDICES)).select("name", "expiry", "lot_size").unique()
    pattern = "%Y-%m-%d" if frame["expiry"][0][4] == "-" else "%d-%m-%Y"
    return {(name, datetime.strptime(e, pattern).date(), int(lot)) for name, e, lot in frame.iter_rows()}  # noqa: DTZ007


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        ("2024-04-02", "kite_instruments/nfo_2024-04-02_index_rows.csv.gz"),
        ("2025-01-07", "nse_bhavcopy_udiff/fo_index_2025-01-07.csv.gz"),
        ("2025-01-09", "nse_bhavcopy_udiff/fo_index_2025-01-09.csv.gz"),
        ("2025-09-08", "kite_instruments/bfo_2025-09_full.csv.gz"),
        ("2025-09-24", "kite_instruments/nfo_2025-09-24_full.csv.gz"),
        ("2026-02-03", "nse_bhavcopy_udiff/fo_index_2026-02-03.csv.gz"),
        ("2026-03-24", "nse_bhavcopy_udiff/fo_index_2026-03-24.csv.gz"),
    ],
)
def test_the_table_never_contradicts_a_recorded_listing(recorded: Callable[[str], Path], seen: str, name: str) -> None:
    rows = listed(recorded(name))
    day = date.fromisoformat(seen)
    answers = [(row, lot_size(row[0], day, row[1])) for row in rows]
    assert [(row, lot) for row, lot in answers if lot not in (None, row[2])] == []
    assert sum(lot is not None for _, lot in answers) > 0.6 * len(rows)


def test_what_is_not_certain_is_not_known() -> None:
    assert lot_size("NIFTY", date(2026, 8, 18), date(2026, 8, 25)) == 65
    assert lot_size("NIFTY", date(2025, 11, 20), date(2026, 1, 27)) is None
    assert lot_size("NIFTY", date(2010, 1, 4), date(2010, 1, 28)) is None
    assert lot_size("NIFTYNXT50", date(2026, 2, 3), date(2026, 2, 24)) is None


def test_rows_of_the_table_are_in_order_and_do_not_contradict() -> None:
    for index, a, b, x, y, lot in LOTS:
        assert a <= b and x <= y and lot > 0, (index, a)
    for one in LOTS:
        for other in LOTS:
            if one[0] == other[0] and one[5] != other[5]:
                seen = max(one[1], other[1]) <= min(one[2], other[2])
                expiry = max(one[3], other[3], one[1], other[1]) <= min(one[4], other[4])
                exempt = one[3] == one[4] or other[3] == other[4]
                assert not (seen and expiry) or exempt, (one, other)
