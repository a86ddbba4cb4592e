"""At least once in, exactly once on disk: repeats, disorder, restarts, torn files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from g6_csv.columns import KEYS
from g6_csv.files import Descriptors, Table
from g6_csv.settings import Settings
from g6_csv.sink import CsvSink, ascending
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from g6core import Context, Snapshot
from g6core.clock import CycleClock
from g6core.exchange import Calendar
from g6core.history import History
from g6core.testing import START, snapshot

AT_THE_MONEY = "options/NIFTY/this_week/0/2026-08-17.csv"
OVERVIEW_FILE = "overview/NIFTY/2026-08-17.csv"

Open = Callable[..., CsvSink]
Tree = Callable[[], dict[str, bytes]]
Cells = Callable[[str], list[dict[str, str]]]
Minutes = Callable[..., list[Snapshot]]


def rows(tree: dict[str, bytes]) -> dict[str, list[bytes]]:
    return {path: sorted(data.splitlines(keepends=True)) for path, data in tree.items()}


@pytest.mark.parametrize("layout", ["wide", "day"])
def test_a_repeat_in_any_form_leaves_one(opened: Open, tree: Tree, minutes: Minutes, layout: str) -> None:
    batch = minutes(4)
    sink = opened(layout=layout)
    sink.write(batch)
    wanted = tree()
    sink.write(batch[1:3])
    sink.write([batch[3], batch[3], batch[0]])
    opened(layout=layout).write(batch)
    assert tree() == wanted


@pytest.mark.parametrize("layout", ["wide", "day"])
def test_disorder_leaves_the_same_rows(opened: Open, tree: Tree, minutes: Minutes, layout: str) -> None:
    first, second, third, fourth = minutes(4)
    sink = opened(layout=layout)
    sink.write([third])
    sink.write([first, fourth, second])
    disordered = rows(tree())
    shutil.rmtree(sink._root)
    opened(layout=layout).write([first, second, third, fourth])
    assert disordered == rows(tree())


def test_rows_that_a_file_lacks_are_added_to_a_time_that_it_has(opened: Open, cells: Cells, minutes: Minutes) -> None:
    (s,) = minutes(1)
    path = "options/NIFTY/2026-08-17.csv"
    opened(layout="day").write([s.replace(options=s.options.filter(pl.col("right") == "CE"))])
    opened(layout="day").write([s])
    assert sorted(row["symbol"] for row in cells(path)) == sorted(s.options["symbol"])


def test_fewer_descriptors_than_files_change_nothing(opened: Open, tree: Tree) -> None:
    batch = [snapshot(index, START + timedelta(minutes=i)) for i in range(3) for index in ("NIFTY", "BANKNIFTY")]
    for s in batch:
        opened(2).write([s])
    wanted = tree()
    shutil.rmtree(opened()._root)
    sink = opened(1)
    for s in batch:
        sink.write([s])
    assert tree() == wanted


def test_no_more_descriptors_are_open_than_allowed(tmp_path: Path) -> None:
    descriptors = Descriptors(3)
    for n in range(10):
        Table(descriptors, tmp_path / f"{n}.csv", b"timestamp,a\n", 1).append([b"1,x\n"])
        assert len(descriptors._open) <= 3
    descriptors.close_all()


def test_a_day_left_behind_is_closed(opened: Open) -> None:
    sink = opened()
    sink.write([snapshot()])
    before = len(sink._descriptors._open)
    sink.write([snapshot(ts=START + timedelta(days=1))])
    assert before > 0
    assert not [path for path in sink._descriptors._open if "2026-08-17" in path]


def test_a_second_set_of_columns_continues_in_a_second_file(opened: Open, tree: Tree, minutes: Minutes) -> None:
    batch = minutes(4)
    opened().write(batch[:1])
    opened(bid_ask=False).write(batch[1:2])
    opened(extra=["iv_source"]).write(batch[2:3])
    opened().write(batch[3:])
    files = tree()
    stem = AT_THE_MONEY.removesuffix(".csv")
    times = {p: [row[11:16] for row in files[p].splitlines()[1:]] for p in files if p.startswith(stem)}
    assert times == {f"{stem}.2.csv": [b"09:31"], f"{stem}.3.csv": [b"09:32"], f"{stem}.csv": [b"09:30", b"09:33"]}
    assert all(len({row.count(b",") for row in data.splitlines()}) == 1 for data in files.values())


def test_a_row_written_with_other_columns_is_not_written_again(opened: Open, tree: Tree, minutes: Minutes) -> None:
    batch = minutes(3)
    opened().write(batch[:2])
    opened(bid_ask=False).write(batch)
    opened().write(batch)
    assert [tree()[p].count(b"\n") for p in tree() if p.startswith("options/NIFTY/this_week/0/")] == [2, 3]


def test_a_file_of_somebody_else_is_left_alone(opened: Open, tree: Tree, tmp_path: Path, minutes: Minutes) -> None:
    foreign = b"timestamp,index,ce,pe\n17-08-2026 09:30:00,NIFTY,1.0,2.0\n"
    path = tmp_path / "g6_data" / AT_THE_MONEY
    path.parent.mkdir(parents=True)
    path.write_bytes(foreign)
    for _ in range(2):
        opened().write(minutes(2))
    assert tree()[AT_THE_MONEY] == foreign
    assert tree()[AT_THE_MONEY.replace(".csv", ".2.csv")].count(b"\n") == 3


def test_each_line_is_whole(opened: Open, tree: Tree) -> None:
    for _ in range(2):
        opened(4).write([snapshot(ts=START + timedelta(minutes=i)) for i in range(5)])
    for data in tree().values():
        lines = data.splitlines()
        assert data.endswith(b"\n")
        assert {line.count(b",") for line in lines} == {lines[0].count(b",")}


@pytest.mark.parametrize("path", [AT_THE_MONEY, OVERVIEW_FILE])
def test_a_torn_file_is_mended(opened: Open, tree: Tree, tmp_path: Path, minutes: Minutes, path: str) -> None:
    batch = minutes(3, offsets=(0,))
    opened().write(batch)
    wanted = tree()
    whole = wanted[path]
    for length in range(whole.index(b"\n", whole.index(b"\n") + 1) + 1, len(whole), 7):
        (tmp_path / "g6_data" / path).write_bytes(whole[:length])
        sink = opened()
        sink.write(batch)
        sink.close()
        assert tree() == wanted, length


@pytest.mark.parametrize(("layout", "path"), [("wide", AT_THE_MONEY), ("day", "options/NIFTY/2026-08-17.csv")])
def test_a_file_torn_at_any_byte_is_mended(
    opened: Open, tree: Tree, tmp_path: Path, minutes: Minutes, layout: str, path: str
) -> None:
    opened(layout=layout).write(minutes(3, offsets=(0,)))
    whole = tree()[path]
    header, *lines = whole.splitlines(keepends=True)
    torn = tmp_path / "torn.csv"
    descriptors = Descriptors(1)
    for length in range(len(whole) + 1):
        torn.write_bytes(whole[:length])
        table = Table(descriptors, torn, header, KEYS[layout])
        for line in lines:
            table.append([line])
        assert torn.read_bytes() == whole, length
        table.close()


def test_a_repeated_time_begins_a_new_run() -> None:
    a, b, c = (snapshot(ts=START + timedelta(minutes=i)) for i in range(3))
    other = snapshot("BANKNIFTY", START)
    assert list(ascending([])) == []
    assert list(ascending([a, other, b, c])) == [[a, other, b, c]]
    assert list(ascending([a, b, b, a, other])) == [[a, b], [b], [a, other]]


MARKET = [snapshot("NIFTY", START + timedelta(minutes=i), strikes=3, expiries=2) for i in range(5)]
MARKET += [snapshot("BANKNIFTY", START + timedelta(hours=h), strikes=3, expiries=1) for h in (0, 20)]
DELIVERIES = st.lists(st.tuples(st.lists(st.integers(0, len(MARKET) - 1), max_size=4), st.booleans()), max_size=6)


@hypothesis_settings(max_examples=25, deadline=None)
@given(deliveries=DELIVERIES, layout=st.sampled_from(["wide", "day"]), descriptors=st.sampled_from([1, 3, 100]))
def test_any_deliveries_leave_the_rows_of_one(
    deliveries: list[tuple[list[int], bool]], layout: str, descriptors: int
) -> None:
    """Each delivery is a batch in any order with any repeats, then perhaps a restart that nobody announced."""
    batches = [[MARKET[n] for n in numbers] for numbers, _ in deliveries]
    seen = {n for numbers, _ in deliveries for n in numbers}
    with TemporaryDirectory() as given_in, TemporaryDirectory() as once:
        restarts = [restart for _, restart in deliveries]
        deliver(Path(given_in), layout, descriptors, zip(batches, restarts, strict=True))
        deliver(Path(once), layout, 100, [([MARKET[n]], False) for n in sorted(seen)])
        assert written(Path(given_in)) == written(Path(once))


def deliver(root: Path, layout: str, descriptors: int, batches: Iterable[tuple[list[Snapshot], bool]]) -> None:
    sinks = []

    def start() -> CsvSink:
        sinks.append(CsvSink(Settings(dir=root, layout=layout), descriptors))
        sinks[-1].open(Context(root, CycleClock(START), Calendar.load(), History(root)))
        return sinks[-1]

    sink = start()
    for batch, restart in batches:
        sink.write(batch)
        sink = start() if restart else sink
    for sink in sinks:
        sink.close()


def written(root: Path) -> dict[str, list[bytes]]:
    return rows({p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.csv")})


def test_a_shuffled_day_is_the_day(opened: Open, tree: Tree, minutes: Minutes) -> None:
    batch = minutes(30)
    opened().write(batch)
    wanted = rows(tree())
    shutil.rmtree(opened()._root)
    shuffled = random.Random(7).sample(batch * 2, 60)
    sink = opened()
    for start in range(0, 60, 7):
        sink.write(shuffled[start : start + 7])
    assert rows(tree()) == wanted
