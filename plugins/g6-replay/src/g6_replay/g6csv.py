"""Options of the earlier platform: a row a strike with both legs, made into a row a leg.

Tag and offset folders are labels: a contract stands under several tags, and folder `0` holds a strike that changes. So
the identity of a leg is index, expiry date, strike, right and time. Its implied volatilities and Greeks are not taken:
they come from the prices again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from g6_replay.bulk import Reader
from g6_replay.g6layout import OPTIONS, TAGS, tag_of
from g6_replay.normalise import ALIASES, IDENTITY, IST, comes_again, time_of
from g6_replay.settings import Settings
from g6_replay.tally import FILE, LINE, NOT_TAKEN, NOTICED, REPAIRED, Tally

NEEDED = ("timestamp", "strike", "ce", "pe")
SHARED = {"ts": "ts", "index": "index", "expiry_date": "expiry", "index_price": "spot", "strike": "strike"}
LEG = {"{}": "last_price", "avg_{}": "average_price", "{}_vol": "volume", "{}_oi": "oi"}
IV = {
    "implied volatility 0 (the platform had none)": [0.0],
    "implied volatility exactly 0.25 (its default where it had none)": [0.25],
    "implied volatility 0.01, 3.0 or 5.0 (the bounds of its solver)": [0.01, 3.0, 5.0],
}

FABRICATED_PRICE = 1000.0
FABRICATED_SPOT = {
    # What the platform wrote when its broker did not answer. A true index stands on such a round number once in
    # thousands of rows; losing that one is the smaller harm.
    "NIFTY": [24800.0],
    "BANKNIFTY": [54000.0],
    "FINNIFTY": [25950.0, 26000.0],
    "MIDCPNIFTY": [12000.0],
    "SENSEX": [81000.0],
}
UTC_TIME = pl.Datetime("us", "UTC")
REACH = {"this_week": 8, "next_week": 15, "this_month": 37, "next_month": 72}
"""Days from a row to the expiry of its tag at the most: a date of `expiries` that lies farther is another's."""


def options(
    paths: Sequence[Path], index: str | None, day: date | None, settings: Settings, tally: Tally
) -> pl.DataFrame:
    """The rows of the files that say what they are: text, with `ts` in UTC, `index`, `expiry_date` and `tag`.

    index, day: what the files' places say; None for a file that is read alone. Empty when nothing can be used.
    """
    rows = Reader(OPTIONS, NEEDED, tally).read(paths)
    tally.counts["rows of options"] += rows.height
    if rows.is_empty():
        return rows
    rows = timed(named(rows, index, settings, tally), day, settings, tally)
    rows = _tagged(rows, [tag_of(path) for path in paths] if index else [], tally)
    rows = _dated(rows, settings.expiries, day)
    return _genuine(rows, tally)


def named(rows: pl.DataFrame, index: str | None, settings: Settings, tally: Tally) -> pl.DataFrame:
    """With `index`, and without the rows that name another index than their folder."""
    said = pl.col("index") if "index" in rows.columns else pl.lit(settings.index, pl.String)
    rows = rows.with_columns(index=said.str.strip_chars().str.to_uppercase().replace(ALIASES))
    if index is None:
        return rows
    other = pl.col("index") != index
    rows = tally.without(rows, other, "row that names another index than its folder")
    silent = "row that does not name its index, taken from the folder"
    tally.note(rows, pl.col("index").is_null(), silent, REPAIRED)
    return rows.with_columns(index=pl.lit(index))


def timed(rows: pl.DataFrame, day: date | None, settings: Settings, tally: Tally) -> pl.DataFrame:
    """With `ts` in UTC, and without the rows that have none or one of another date than their file."""
    text = rows.rename({"timestamp": "ts"})
    rows = text.with_columns(time_of("ts", pl.String(), settings).alias("ts"))
    rows = tally.without(rows, pl.col("ts").is_null(), "row whose time is not readable")
    if day is None:
        return rows
    same = pl.col("ts").dt.convert_time_zone(IST).dt.date() == day
    return tally.without(rows, ~same, "row whose time is not of its file's date")


def _tagged(rows: pl.DataFrame, folders: Sequence[str], tally: Tally) -> pl.DataFrame:
    """With `tag`: the column's, else the folder's; null where they differ."""
    said = pl.col("expiry_tag") if "expiry_tag" in rows.columns else pl.lit(None, pl.String)
    if not folders:
        return rows.with_columns(tag=said)
    rows = rows.with_columns(tag=said, _folder=pl.lit(pl.Series(folders)).gather(pl.col(FILE)))
    other = (pl.col("tag") != pl.col("_folder")).fill_null(False)
    reason = "row whose tag is not that of its folder (tags are labels; the expiry date counts)"
    tally.note(rows, other, reason, NOTICED)
    return rows.with_columns(tag=pl.when(~other).then(pl.coalesce("tag", "_folder"))).drop("_folder")


def _dated(rows: pl.DataFrame, expiries: Mapping[str, Sequence[date]], day: date | None) -> pl.DataFrame:
    if "expiry_date" not in rows.columns:
        rows = rows.with_columns(expiry_date=pl.lit(None, pl.String))
    if not expiries:
        return rows
    days = [day] if day else rows["ts"].dt.convert_time_zone(IST).dt.date().unique().to_list()
    found = {(d, tag): expiry for d in days for tag in expiries if (expiry := expiry_of(tag, expiries[tag], d))}
    key = pl.format("{} {}", pl.col("ts").dt.convert_time_zone(IST).dt.date(), "tag")
    dates = {f"{d} {tag}": str(expiry) for (d, tag), expiry in found.items()}
    set_date = key.replace_strict(dates, default=None, return_dtype=pl.String)
    return rows.with_columns(expiry_date=pl.coalesce("expiry_date", set_date))


def expiry_of(tag: str, listed: Sequence[date], day: date) -> date | None:
    """What the tag meant on that day, of the expiries listed for it; None when none of them can be it.

    Of several, `next_…` is the second from the day on; a date that is listed alone is the tag's own.
    """
    ahead = [expiry for expiry in sorted(listed) if expiry >= day]
    at = 1 if tag.startswith("next_") and len(listed) > 1 else 0
    if len(ahead) <= at or ahead[at] - day > timedelta(REACH.get(tag, 0)):
        return None
    return ahead[at]


def _genuine(rows: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """Without the rows that the platform made up when it had no data."""
    legs = (_number(name) == FABRICATED_PRICE for name in ("ce", "pe"))
    reasons = {"fabricated row (every leg is 1000.0)": pl.all_horizontal(legs)}
    if "index_price" in rows.columns:
        reasons["fabricated row (the index stands on the platform's stand-in price)"] = stands_in("index_price")
    reasons["row without an expiry date (name it in `expiries`)"] = pl.col("expiry_date").is_null()
    for reason, refused in reasons.items():
        rows = tally.without(rows, refused, reason)
    return rows


def stands_in(column: str) -> pl.Expr:
    spot = pl.col(column).cast(pl.Float64, strict=False)
    return pl.any_horizontal(
        (pl.col("index") == index) & spot.is_in(levels) for index, levels in FABRICATED_SPOT.items()
    )


def legs_of(rows: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """A row a leg, under our names, as text; what the legs say and is not taken is counted."""
    tally.counts["legs of usable rows"] += 2 * rows.height
    shared = [pl.col(theirs).alias(ours) for theirs, ours in SHARED.items() if theirs in rows.columns]
    legs = pl.concat(
        rows.select(
            FILE,
            LINE,
            *shared,
            pl.lit(side.upper()).alias("right"),
            *(pl.col(p.format(side)).alias(ours) for p, ours in LEG.items() if p.format(side) in rows.columns),
            (pl.col(f"{side}_iv") if f"{side}_iv" in rows.columns else pl.lit(None, pl.String)).alias("_iv"),
        )
        for side in ("ce", "pe")
    )
    _count_iv(legs, tally)
    return _quoted(legs.drop("_iv"), tally)


def _count_iv(legs: pl.DataFrame, tally: Tally) -> None:
    iv = legs.select(FILE, LINE, iv=_number("_iv"))
    for reason, values in IV.items():
        tally.note(iv, pl.col("iv").is_in(values), reason, NOT_TAKEN)
    known = [value for values in IV.values() for value in values]
    others = "any other implied volatility, with its Greeks (computed again from the prices)"
    tally.note(iv, ~pl.col("iv").is_in(known), others, NOT_TAKEN)


def _quoted(legs: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """A leg of nothing but zeros is how the platform wrote a quote that it did not have."""
    names = [name for name in LEG.values() if name in legs.columns]
    numbers = legs.select(FILE, LINE, *(_number(name).alias(name) for name in names))
    for name in ("last_price", "average_price"):
        if name in names:
            tally.note(numbers, pl.col(name).is_nan(), f"`{name}` that is NaN, taken as absent", REPAIRED)
    zeros = numbers.select(pl.all_horizontal(pl.col(name) == 0 for name in names).fill_null(False)).to_series()
    if not zeros.any():
        return legs
    tally.rows(legs.filter(zeros), "leg of nothing but zeros (the platform had no quote)", NOT_TAKEN)
    return legs.with_columns(pl.when(~zeros).then(pl.col(name)).alias(name) for name in names)


def _number(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)


def merged(legs: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """Of several copies of a leg the latest: volume only grows during a day; of equal ones the last by file and line.
    A copy without a price never wins.
    """
    values = [name for name in LEG.values() if name in legs.columns]
    later = [pl.col("last_price").is_not_null(), *(pl.col(name) for name in values if name == "volume")]
    legs = legs.sort(*IDENTITY, *later, FILE, LINE, nulls_last=False)
    again = comes_again(legs)
    if not again.any():
        return legs
    copy = legs.with_columns(_group=(~again.shift(1, fill_value=False)).cum_sum(), _again=again)
    copy = copy.filter(again | again.shift(1, fill_value=False))
    differ = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).first()).any().over("_group") for name in values)
    copy = copy.with_columns(_differ=differ).filter("_again")
    same = "leg that comes again with the same numbers, merged (a contract stands under several tags)"
    tally.rows(copy.filter(~pl.col("_differ")), same, REPAIRED)
    other = "leg that comes again with other numbers; the copy with the higher volume is kept, of equal ones the last"
    tally.rows(copy.filter("_differ"), other, REPAIRED)
    return legs.filter(~again)


def found_tags(rows: pl.DataFrame) -> pl.DataFrame:
    """ts and the mask of the tags that have a row then."""
    if rows.is_empty():
        return pl.DataFrame(schema={"ts": UTC_TIME, "found": pl.Int64})
    bit = pl.col("tag").replace_strict(TAGS, default=0, return_dtype=pl.Int64)
    return rows.with_columns(_bit=bit).unique(["ts", "_bit"]).group_by("ts").agg(found=pl.col("_bit").sum())
