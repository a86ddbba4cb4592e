"""Rows of a foreign file into rows of ours, in columns.

A row whose time, expiry, strike, right or price cannot be understood is set aside; of a row that can, a value that
makes no sense becomes null. Both are counted with their reason and first line. An exchange writes 0 for a quote that is
not there, so a price, or a quantity bid or asked, of 0 is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from g6_replay.lots import in_units, with_lots
from g6_replay.settings import COUNTS, LEVELS, PRICES, QUANTITIES, TIMES, Settings
from g6_replay.tally import FILE, LINE, REPAIRED, Tally
from g6core import CONTRACTS, QUOTES, ConfigError, DataError

ALIASES = {
    "NIFTY50": "NIFTY",
    "NIFTY 50": "NIFTY",
    "NIFTY BANK": "BANKNIFTY",
    "NIFTY FIN SERVICE": "FINNIFTY",
    "NIFTY MID SELECT": "MIDCPNIFTY",
}
RIGHTS = {"C": "CE", "CALL": "CE", "P": "PE", "PUT": "PE"}
BSE = ("SENSEX", "SENSEX50", "BANKEX")
ISO = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
DATES = ("%Y-%m-%d", "%d-%b-%Y", "%d-%m-%Y")
IST = "Asia/Kolkata"
NEEDED = ("ts", "expiry", "strike", "right")
IDENTITY = ("ts", "exchange", "symbol")
LARGEST = 2.0**53
"""The largest whole number up to which floating point has them all."""
_BAD = "_bad_"

Once = Callable[[pl.DataFrame, Tally], pl.DataFrame]


def pick(frame: pl.DataFrame, settings: Settings, path: Path, named: Iterable[str] = ()) -> pl.DataFrame:
    """The columns that are known, under our names. Raises DataError naming one that is missing and those there are.

    named: columns of ours that must be there beside the needed ones.
    """
    chosen = dict(settings.columns)
    if "ts" not in chosen and "ts" not in frame.columns:
        chosen["ts"] = "timestamp"
    for name in dict.fromkeys((*NEEDED, *named)):
        if chosen.get(name, name) not in frame.columns:
            raise _missing(path, name, chosen.get(name, name), frame)
    taken = set(chosen.values())
    known = ("ts", *CONTRACTS, *QUOTES, *LEVELS)
    for name in frame.columns:
        if name not in taken and name not in chosen and (name in known or name.startswith("exchange_")):
            chosen[name] = name
    found = {ours: theirs for ours, theirs in chosen.items() if theirs in frame.columns}
    if not {"last_price", "bid", "ask"} & found.keys():
        raise _missing(path, "last_price", chosen.get("last_price", "last_price"), frame)
    return frame.select(FILE, LINE, *(pl.col(theirs).alias(ours) for ours, theirs in found.items()))


def _missing(path: Path, ours: str, theirs: str, frame: pl.DataFrame) -> DataError:
    there = ", ".join(name for name in frame.columns if name not in (FILE, LINE))
    return DataError(
        f"{path.name} has no column `{theirs}`" + (f" for `{ours}`" if ours != theirs else ""),
        code="replay-columns",
        where=f"{path}:1",
        note=f"its columns are {there}",
        hint=f'name it in the settings of `replay`: `columns = {{ {ours} = "…" }}`',
    )


def normalise(frame: pl.DataFrame, settings: Settings, tally: Tally, once: Once | None = None) -> pl.DataFrame:
    """frame: our names, text or typed, FILE and LINE. Returns CONTRACTS, QUOTES, LEVELS, `exchange_…`, and `ts` in UTC,
    sorted by ts and contract, one row each.

    once: leaves one of several rows of a contract and instant (columns IDENTITY), sorted; the last when not given.
    """
    frame = _understood(_parsed(frame, settings), tally)
    frame = _plausible(frame, tally)
    frame = _identified(frame, settings, tally)
    frame = with_lots(frame.with_columns(day=pl.col("ts").dt.convert_time_zone(IST).dt.date()), settings.lot_sizes)
    stated = [pl.col("tick_size")] if "tick_size" in frame.columns else []
    frame = frame.with_columns(tick_size=pl.coalesce(*stated, pl.lit(settings.tick_size)))
    foreign = {"oi": settings.oi_unit, "volume": settings.volume_unit}
    frame = in_units(frame, [name for name, unit in foreign.items() if unit == "contracts" and name in frame.columns])
    if settings.iv_unit == "percent" and "exchange_iv" in frame.columns:
        frame = frame.with_columns(pl.col("exchange_iv") / 100)
    return _typed((once or _last)(frame, tally))


def _parsed(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Each column in its type, null where it makes no sense; `_bad_X` tells where there was something."""
    texts = ("index", "exchange", "symbol", "right")
    parsed: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        if name in ("ts", *TIMES):
            time = time_of(name, dtype, settings)
            parsed += [time.alias(name), (pl.col(name).is_not_null() & time.is_null()).alias(_BAD + name)]
        elif name == "expiry":
            parsed.append(_date(name, dtype, settings.expiry_format))
        elif name in texts:
            parsed.append(pl.col(name).cast(pl.String).str.strip_chars().str.to_uppercase())
        elif name not in (FILE, LINE):
            parsed += _number(name, dtype)
    try:
        return frame.with_columns(parsed)
    except (pl.exceptions.PolarsError, ValueError) as e:
        raise ConfigError(
            f"the file's times do not go with the settings: {e}",
            code="replay-format",
            hint="set `timestamp_format` and `expiry_format` of `replay` as strftime writes them",
        ) from e


def time_of(name: str, dtype: pl.DataType, settings: Settings) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return _utc(column.cast(pl.Datetime("us", dtype.time_zone)), dtype.time_zone is not None, settings.timezone)
    text = column.cast(pl.String).str.strip_chars()
    if settings.timestamp_format:
        return _in_format(text, settings.timestamp_format, settings.timezone)
    iso = text.str.replace(" ", "T", literal=True).str.replace("Z", "+00:00", literal=True)
    return pl.coalesce(_in_format(iso, pattern, settings.timezone) for pattern in ISO)


def _in_format(text: pl.Expr, pattern: str, zone: str) -> pl.Expr:
    aware = "z" in pattern
    time = text.str.to_datetime(pattern, time_unit="us", time_zone="UTC" if aware else None, strict=False)
    return _utc(time, aware, zone)


def _utc(time: pl.Expr, aware: bool, zone: str) -> pl.Expr:
    if not aware:
        time = time.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    return time.dt.convert_time_zone("UTC")


def _date(name: str, dtype: pl.DataType, pattern: str | None) -> pl.Expr:
    if isinstance(dtype, pl.Date):
        return pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return pl.col(name).dt.date()
    text = pl.col(name).cast(pl.String).str.strip_chars()
    return pl.coalesce(text.str.to_date(p, strict=False) for p in ([pattern] if pattern else DATES)).alias(name)


def _number(name: str, dtype: pl.DataType) -> list[pl.Expr]:
    """A finite number or null. A NaN is how pandas writes an absent one; an infinite one, or one beyond LARGEST, nobody
    quoted."""
    text = pl.col(name).str.strip_chars() if dtype == pl.String else pl.col(name)
    value = text.cast(pl.Float64, strict=False)
    bad = pl.col(name).is_not_null() & (value.is_null() | (value.is_not_nan() & (value.abs() > LARGEST)))
    return [pl.when(value.abs() <= LARGEST).then(value).alias(name), bad.alias(_BAD + name)]


def _understood(frame: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """The rows that have a time, a contract and readable prices."""
    right = pl.col("right").replace(RIGHTS)
    frame = frame.with_columns(right)
    unit = tally.unit
    checks = [
        (pl.col("ts").is_null(), f"{unit} whose time is not readable"),
        (pl.col("expiry").is_null(), f"{unit} whose expiry is not readable"),
        (~(pl.col("strike") > 0).fill_null(False), f"{unit} whose strike is not a positive number"),
        (~right.is_in(["CE", "PE"]).fill_null(False), f"{unit} whose right is neither CE nor PE"),
    ]
    traded = pl.col("ts").dt.convert_time_zone(IST).dt.date()
    checks.append((pl.col("expiry") < traded, f"{unit} of a contract that had expired"))
    checks += [
        (pl.col(_BAD + name), f"{unit} whose `{name}` is not a number") for name in PRICES if name in frame.columns
    ]
    for bad, reason in checks:
        frame = tally.without(frame, bad, reason)
    return frame


def _plausible(frame: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """Values that are no values are null: counted when they are wrong, quietly when 0 means that there is none."""
    positive = (*PRICES, *QUANTITIES, *LEVELS, "exchange_iv", "lot_size", "tick_size")
    values: list[pl.Expr] = []
    for name in frame.columns:
        if _BAD + name not in frame.columns or name in ("ts", "strike"):
            continue
        kind = "time" if name in TIMES else "number"
        tally.note(frame, pl.col(_BAD + name), f"`{name}` that is not a {kind}, taken as absent", REPAIRED)
        if name in positive or name in COUNTS:
            tally.note(frame, pl.col(name) < 0, f"negative `{name}`, taken as absent", REPAIRED)
            floor = pl.col(name) > 0 if name in positive else pl.col(name) >= 0
            values.append(pl.when(floor).then(pl.col(name)).alias(name))
    return frame.with_columns(values).drop(pl.selectors.starts_with(_BAD))


def _identified(frame: pl.DataFrame, settings: Settings, tally: Tally) -> pl.DataFrame:
    """With index, exchange and symbol. A contract that the file gives no symbol is called by what it is."""
    own = {name: [pl.col(name)] if name in frame.columns else [] for name in ("index", "exchange", "symbol")}
    index = pl.coalesce(*own["index"], pl.lit(settings.index, pl.String)).replace(ALIASES)
    frame = frame.with_columns(index=index)
    nameless = frame.filter(pl.col("index").is_null())
    if nameless.height < frame.height:
        tally.rows(nameless, f"{tally.unit} without an index")
        frame = frame.filter(pl.col("index").is_not_null())
    elif frame.height:
        raise ConfigError(
            "the recording does not say which index it is of",
            code="replay-index",
            where=tally.files[0],
            hint='set `index = "NIFTY"` or `columns = { index = "…" }` in the settings of `replay`',
        )
    listed = pl.when(pl.col("index").is_in(BSE)).then(pl.lit("BFO")).otherwise(pl.lit("NFO"))
    default = pl.lit(settings.exchange) if settings.exchange else listed
    strike = pl.col("strike").cast(pl.String).str.strip_suffix(".0")
    name = pl.concat_str("index", pl.col("expiry").dt.to_string("%Y-%m-%d"), strike, "right", separator=" ")
    return frame.with_columns(exchange=pl.coalesce(*own["exchange"], default), symbol=pl.coalesce(*own["symbol"], name))


def _last(frame: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """Of several rows of one contract at one instant the last."""
    frame = frame.sort(*IDENTITY, FILE, LINE)
    again = comes_again(frame)
    reason = f"{tally.unit} of a contract that comes again at the same instant; the last one counts"
    tally.rows(frame.filter(again), reason, REPAIRED)
    return frame.filter(~again)


def comes_again(frame: pl.DataFrame) -> pl.Series:
    """Whether the next row is of the same contract and instant. frame: sorted by IDENTITY."""
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(-1) for name in IDENTITY)
    return frame.select(same.fill_null(False)).to_series()


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    types = {**CONTRACTS, **QUOTES}
    typed = [pl.col(name).cast(dtype) for name, dtype in types.items() if name in frame.columns]
    return frame.with_columns(typed).drop(FILE, LINE, "day")
