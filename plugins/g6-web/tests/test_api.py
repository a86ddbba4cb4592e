from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from g6core import IST, Alert, Context, Snapshot, chain_json
from g6core.testing import START, snapshot, snapshots

from .conftest import Site, opening, recorded, served_context


def rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode())))


def with_facts(s: Snapshot, n: int) -> Snapshot:
    """pcr_oi of the nearest expiry is n, of the others n + 0.5; spot is 100 + n."""
    ratio = [float(n), *[n + 0.5] * (s.expiries.height - 1)]
    return s.replace(expiries=s.expiries.with_columns(pcr_oi=pl.Series(ratio)), facts={"spot": 100.0 + n})


DAY = [with_facts(s, n) for n, s in enumerate(snapshots(10))]


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Ten recorded minutes of NIFTY (`DAY`) and one of BANKNIFTY, for tests that only read."""
    place = tmp_path_factory.mktemp("fixed")
    recorded(place, [*DAY, snapshot("BANKNIFTY")])
    with opening() as start:
        yield start(served_context(place))


def test_a_snapshot_is_the_newest_with_its_age(site: Site, context: Context) -> None:
    context.clock.now = lambda: START + timedelta(seconds=90)  # type: ignore[method-assign]
    first, second = snapshots(2)
    site.sink.write([first])
    assert site.api("snapshot/NIFTY").json["age"] == 90
    site.sink.write([second])
    site.sink.write([first])
    found = site.api("snapshot/nifty").json
    assert found["v"] == 1 and found["index"] == "NIFTY" and found["source"] == second.source
    assert datetime.fromisoformat(found["ts"]) == second.ts
    assert found["age"] == (START + timedelta(seconds=90) - second.ts).total_seconds()
    assert found["facts"] == dict(second.facts)
    assert [o["symbol"] for o in found["options"]] == second.options["symbol"].to_list()
    assert [o["last_price"] for o in found["options"]] == second.options["last_price"].to_list()


def test_no_number_but_a_finite_one_ever_leaves(site: Site) -> None:
    s = snapshot(strikes=3)
    odd = [float("nan"), float("inf"), -float("inf"), None] * s.options.height
    given = s.replace(
        options=s.options.with_columns(
            iv=pl.Series(odd[: s.options.height]), parts=pl.lit([float("nan")]), raw=pl.lit(b"\xff")
        ),
        expiries=s.expiries.with_columns(pcr_oi=float("nan")),
        facts={"spot": 1.5, "gex": float("inf")},
    )
    site.sink.write([given])
    found = site.api("snapshot/NIFTY").json
    assert found["facts"] == {"spot": 1.5, "gex": None}
    assert {o["iv"] for o in found["options"]} == {None} == {e["pcr_oi"] for e in found["expiries"]}
    assert site.api("chain/NIFTY").json["expiry"]["pcr_oi"] is None
    for path in ("snapshot/NIFTY?format=csv", "chain/NIFTY?format=csv"):
        text = site.api(path).body.decode().lower()
        assert "nan" not in text and "inf" not in text


def test_a_snapshot_as_csv_has_india_s_times_and_empty_cells(site: Site) -> None:
    s = snapshot(strikes=3)
    given = s.replace(options=s.options.with_columns(bid=pl.lit(None, pl.Float64)))
    site.sink.write([given])
    answer = site.api("snapshot/NIFTY?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    found = rows(answer.body)
    assert list(found[0])[:2] == ["ts", "index"]
    assert {row["ts"] for row in found} == {START.astimezone(IST).isoformat()}
    assert {row["bid"] for row in found} == {""}
    assert [float(row["strike"]) for row in found] == s.options["strike"].to_list()


def test_a_chain_is_what_the_command_line_prints(fixed: Site) -> None:
    import json

    now = DAY[-1]
    for expiry in (None, "this_week", str(now.expiries["expiry"][1])):
        query = f"?expiry={expiry}&around=2" if expiry else "?around=2"
        found = fixed.api(f"chain/NIFTY{query}").json
        assert found.pop("age") == (START - now.ts).total_seconds()
        assert found == json.loads(chain_json(now, expiry, 2))
    assert {o["offset"] for o in found["options"]} == {-2, -1, 0, 1, 2}


def test_a_chain_as_csv_is_a_ladder(fixed: Site) -> None:
    found = rows(fixed.api("chain/NIFTY?format=csv&columns=oi,last_price").body)
    assert list(found[0]) == [
        "ts", "index", "expiry", "call_oi", "call_last_price", "strike", "put_last_price", "put_oi",
    ]  # fmt: skip
    options = DAY[-1].options.filter(pl.col("expiry") == DAY[-1].expiries["expiry"][0])
    for right, side in (("CE", "call"), ("PE", "put")):
        wanted = options.filter(pl.col("right") == right).select("strike", "last_price", "oi").rows()
        given = [(r["strike"], r[f"{side}_last_price"], r[f"{side}_oi"]) for r in found]
        assert [tuple(float(cell) if cell else None for cell in row) for row in given] == wanted
    assert "call_iv" in rows(fixed.api("chain/NIFTY?format=csv").body)[0], "also where nobody computes it"


def test_the_history_of_a_fact(fixed: Site) -> None:
    found = fixed.api("history/NIFTY/spot").json
    assert [p["value"] for p in found["points"]] == [100.0 + n for n in range(10)]
    assert [datetime.fromisoformat(p["ts"]) for p in found["points"]] == [s.ts for s in DAY]
    assert datetime.fromisoformat(found["ts"]) == DAY[-1].ts
    assert {p["expiry"] for p in found["points"]} == {None}


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", list(range(10))),
        ("?expiry=next_week", [n + 0.5 for n in range(10)]),
        ("?from={3}&to={5}", [3, 4, 5]),
        ("?from={8}", [8, 9]),
        ("?to={1}", [0, 1]),
        ("?date={day}&every=5m", [4, 9]),
        ("?from={day}&to={day}&every=1d", [9]),
        ("?from=2026-01-01&to=2026-01-02", []),
    ],
)
def test_the_history_of_a_fact_of_an_expiry(fixed: Site, query: str, values: list[float]) -> None:
    # As India writes it without a zone: the seconds of `:` need no escape.
    times = [f"{s.ts.astimezone(IST):%Y-%m-%dT%H:%M:%S}" for s in DAY]
    found = fixed.api(f"history/NIFTY/pcr_oi{query.format(*times, day=times[0][:10])}").json
    assert [p["value"] for p in found["points"]] == values
    wanted = DAY[0].expiries["expiry"][1 if "next_week" in query else 0]
    assert {p["expiry"] for p in found["points"]} <= {str(wanted)}


def test_zones_are_understood_and_a_plus_that_was_not_escaped(fixed: Site) -> None:
    for ts in (DAY[5].ts.astimezone(IST).isoformat(), f"{DAY[5].ts:%Y-%m-%dT%H:%M:%SZ}"):
        found = fixed.api(f"history/NIFTY/spot?from={ts}").json
        assert found["points"][0]["value"] == 105.0


def test_history_as_csv(fixed: Site) -> None:
    found = rows(fixed.api("history/NIFTY/pcr_oi?format=csv&expiry=this_week").body)
    assert [float(row["pcr_oi"]) for row in found] == list(range(10))
    assert found[0]["ts"] == DAY[0].ts.astimezone(IST).isoformat()
    assert found[0]["expiry"] == str(DAY[0].expiries["expiry"][0])


def test_what_a_snapshot_does_not_have_is_null(site: Site, record: Callable[..., None]) -> None:
    first, second, third = snapshots(3)
    batch = [with_facts(first, 1), second.replace(facts={}), with_facts(third, 3)]
    record(batch)
    site.sink.write(batch)
    for fact, values in (("spot", [101.0, None, 103.0]), ("pcr_oi", [1.0, None, 3.0])):
        assert [p["value"] for p in site.api(f"history/NIFTY/{fact}").json["points"]] == values


def test_alerts_come_by_time_the_newest_of_them(site: Site, record: Callable[..., None]) -> None:
    raised = [
        Alert("pcr_high", "NIFTY", START + timedelta(minutes=n), f"PCR {n} ₹", labels={"expiry": "this_week"})
        for n in range(5)
    ]
    record(snapshots(1), raised)
    found = site.api("alerts?limit=2").json["alerts"]
    assert [a["summary"] for a in found] == ["PCR 3 ₹", "PCR 4 ₹"]
    assert found[0]["labels"] == {"expiry": "this_week"}
    since = f"{raised[1].ts:%Y-%m-%dT%H:%M:%SZ}"
    assert len(site.api(f"alerts?from={since}&to={since}").json["alerts"]) == 1
    assert site.api("alerts?to=2026-01-01").json["alerts"] == []


def test_journal_and_indices(site: Site, record: Callable[..., None], context: Context) -> None:
    record([*DAY, snapshot("BANKNIFTY")])
    site.sink.write([*DAY, snapshot("BANKNIFTY")])
    bad = context.data_dir / "journal" / "2026-08-10.db"
    bad.write_bytes(b"no journal at all, for sure")
    found = site.api("journal").json
    assert [(d["day"], d["snapshots"]) for d in found["days"]] == [("2026-08-17", 11)]
    assert [fault["code"] for fault in found["unreadable"]] == ["bad-journal"]
    indices = site.api("indices").json
    assert [i["index"] for i in indices["indices"]] == ["BANKNIFTY", "NIFTY"]
    assert indices["indices"][1]["spot"] == 109.0
    assert datetime.fromisoformat(indices["ts"]) == DAY[-1].ts
    assert site.api("history/NIFTY/spot?date=2026-08-10").code == "bad-journal"


def test_a_restart_shows_what_was_recorded(opened: Callable[..., Site], record: Callable[..., None]) -> None:
    first, second = snapshots(2)
    record([first, second, snapshot("SENSEX")])
    found = opened().api("snapshot/NIFTY").json
    assert datetime.fromisoformat(found["ts"]) == second.ts
    assert len(found["options"]) == second.options.height


def test_without_a_recorder_there_is_no_status(site: Site) -> None:
    answer = site.api("status")
    assert (answer.status, answer.code) == (503, "not-running")


@pytest.mark.parametrize(
    ("path", "status", "code", "says"),
    [
        ("snapshot/NIFTTY", 404, "unknown-index", "did you mean `NIFTY`"),
        ("snapshot/X", 404, "unknown-index", "there is BANKNIFTY, NIFTY"),
        ("chain/NIFTY?expiry=last_week", 404, "no-such-expiry", "this_week"),
        ("chain/NIFTY?expiry=2020-01-01", 404, "no-such-expiry", "this_week"),
        ("history/NIFTY/spott", 404, "unknown-fact", "did you mean `spot`"),
        ("history/NIFTY/pcr_oi?expiry=next_month&date=2026-08-17", 404, "no-such-expiry", "this_week"),
        ("history/NIFTY/spot?date=2026-08-16", 404, "no-such-day", "journal"),
        ("nothing", 404, "no-such-page", "openapi.json"),
        ("snapshot/NIFTY/", 404, "no-such-page", "openapi.json"),
        ("snapshot/NIFTY?formt=csv", 400, "bad-request", "did you mean `format`"),
        ("snapshot/NIFTY?format=xml", 400, "bad-request", "one of json, csv"),
        ("snapshot/NIFTY?format=csv&format=csv", 400, "bad-request", ""),
        ("snapshot/NIFTY?format=%ff", 400, "bad-request", "UTF-8"),
        ("chain/NIFTY?around=-1", 400, "bad-request", "whole number"),
        ("chain/NIFTY?expiry=DROP TABLE".replace(" ", "%20"), 400, "bad-request", "this_week"),
        ("chain/NIFTY?format=csv&columns=oii", 400, "bad-request", "did you mean `oi`"),
        ("chain/NIFTY?columns=oi", 400, "bad-request", "format=csv"),
        ("history/NIFTY/spot?date=2026-13-01", 400, "bad-request", "month"),
        ("history/NIFTY/spot?date=2026-08-17&from=2026-08-17", 400, "bad-request", ""),
        ("history/NIFTY/spot?from=2026-08-18&to=2026-08-17", 400, "bad-request", ""),
        ("history/NIFTY/spot?from=0001-01-01", 400, "bad-request", ""),
        ("history/NIFTY/spot?to=9999-12-31", 400, "bad-request", ""),
        ("history/NIFTY/spot?every=0s", 400, "bad-request", "one second"),
        ("history/NIFTY/spot?every=often", 400, "bad-request", "30s"),
        ("alerts?limit=0", 400, "bad-request", "1 to 1000"),
        ("stream?index=NIFTTY", 404, "unknown-index", "did you mean `NIFTY`"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(fixed: Site, path: str, status: int, code: str, says: str) -> None:
    answer = fixed.api(path)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert says in answer.json.get("hint", "")


def test_too_many_points_are_refused(record: Callable[..., None], context: Context) -> None:
    from g6core import DataError, Records

    record(DAY)
    first, last = DAY[0].ts, DAY[-1].ts
    with pytest.raises(DataError, match="more than 9 points") as caught:
        Records(context.data_dir).series("NIFTY", "spot", first, last, limit=9)
    assert "every" in (caught.value.hint or "")
    assert len(Records(context.data_dir).series("NIFTY", "spot", first, last, limit=10)) == 10


def test_a_snapshot_that_is_known_already_is_not_sent_again(site: Site) -> None:
    first, second = snapshots(2)
    site.sink.write([first])
    for path in ("snapshot/NIFTY", "snapshot/NIFTY?format=csv", "chain/NIFTY?expiry=this_week"):
        tag = site.api(path).headers["etag"]
        for given in (tag, f'"other", {tag}', "*"):
            answer = site.api(path, If_None_Match=given)
            assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
        assert site.api(path, If_None_Match='"other"').status == 200
    tags = {site.api(p).headers["etag"] for p in ("snapshot/NIFTY", "chain/NIFTY?around=1", "chain/NIFTY?around=2")}
    assert len(tags) == 3
    site.sink.write([second])
    assert site.api("snapshot/NIFTY", If_None_Match=min(tags)).status == 200


def test_head_is_get_without_its_body(fixed: Site) -> None:
    for path in ("/metrics", "/api/v1/chain/NIFTY?format=csv", "/api/v1/openapi.json", "/api/v1/nothing"):
        get, head = fixed.get(path), fixed.get(path, "HEAD")
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
    assert fixed.get("/api/v1/stream", "HEAD").headers["content-type"].startswith("text/event-stream")


def test_the_recorder_s_own_pages_are_there_too(site: Site) -> None:
    site.api("snapshot/NIFTY")
    metrics = site.get("/metrics").body.decode()
    assert 'g6_web_requests_total{route="snapshot",status="404"}' in metrics
    assert site.get("/livez").status == 200
    assert (site.get("/readyz").status, site.get("/readyz").body) == (503, b"starting\n")
    assert site.get("/healthz").json["state"] == "starting"


def test_no_page_of_another_site_may_read_it(fixed: Site) -> None:
    answer = fixed.api("snapshot/NIFTY", Origin="https://elsewhere.example")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert fixed.get("/api/v1/snapshot/NIFTY", "OPTIONS").status == 405


def test_nothing_is_served_where_there_is_no_port(context: Context, caplog: Any) -> None:
    from dataclasses import replace

    from g6_web.settings import Settings
    from g6_web.sink import WebSink

    caplog.set_level("INFO")
    sink = WebSink(Settings())
    sink.open(replace(context, http=None))
    sink.write(snapshots(1))
    assert sink.port is None
    assert "the API is not served" in caplog.text
    sink.close()


def test_a_naive_machine_does_not_matter(fixed: Site) -> None:
    """Every time in JSON says its zone."""
    found = fixed.api("snapshot/NIFTY").json
    times = [found["ts"], *(o["received_ts"] for o in found["options"]), *(e["expires_at"] for e in found["expiries"])]
    assert all(datetime.fromisoformat(ts).utcoffset() == UTC.utcoffset(None) for ts in times if ts)


def test_requests_and_the_work_for_them_give_way_to_recording(
    context: Context, record: Callable[..., None], tmp_path: Path
) -> None:
    record(DAY)
    threads: list[str] = []
    lent = replace(context, give_way=lambda: threads.append(threading.current_thread().name))
    with opening() as start:
        site = start(lent)
        assert site.api("snapshot/NIFTY").status == 200 and threads[0] == "g6-web"
        assert site.api("history/NIFTY/spot").status == 200
    assert {name.rstrip("01") for name in threads} == {"g6-web", "g6-web-quick-", "g6-web-slow-"}
