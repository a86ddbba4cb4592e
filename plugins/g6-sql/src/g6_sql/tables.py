"""The tables as they are now: a column's name and kind. `migrations` makes them; a test compares the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from g6_sql.kinds import Kind

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True)
class Table:
    """keys: the columns that tell a row from every other. grows: a column it lacks is added when one first comes."""

    name: str
    keys: Sequence[str]
    columns: Mapping[str, Kind]
    required: Sequence[str] = ()
    indices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    grows: bool = False


def _columns(**kinds: str) -> dict[str, Kind]:
    """`_columns(double="bid ask", text="symbol")`: each name with its kind."""
    return {name: kind for kind, names in kinds.items() for name in names.split()}  # type: ignore[misc]


SNAPSHOTS = Table(
    "snapshots",
    ("ts", "index"),
    _columns(time="ts", text="index source", boolean="simulated", integer="options quoted expiries"),
    ("source", "simulated", "options", "quoted", "expiries"),
    {"g6_snapshots_index": ("index", "ts")},
)
OPTIONS = Table(
    "options",
    ("ts", "exchange", "symbol"),
    _columns(
        time="ts exchange_ts received_ts",
        text="index exchange symbol right expiry_code iv_source iv_reason flags smile_flag",
        integer="token lot_size offset bid_qty ask_qty volume oi oi_change oi_change_day",
        date="expiry",
        double="strike tick_size last_price average_price bid ask iv iv_err iv_bid iv_ask iv_fit "
        "delta gamma theta vega rho",
    ),
    ("index",),
    {"g6_options_chain": ("index", "expiry", "ts")},
    grows=True,
)
EXPIRIES = Table(
    "expiries",
    ("ts", "index", "expiry"),
    _columns(
        time="ts expires_at",
        text="index code forward_source smile_status",
        date="expiry",
        json="codes",
        integer="contracts quoted dte oi_calls oi_puts oi_change_day_calls oi_change_day_puts vix_strikes smile_points",
        double="atm_strike future t discount forward parity_rmse pcr_oi pcr_volume max_pain atm_iv straddle "
        "expected_move rr25 bf25 gex coverage quality vix_variance vix_missing iv_premium "
        "svi_a svi_b svi_rho svi_m svi_sigma smile_rmse smile_butterfly smile_calendar",
    ),
    (),
    {"g6_expiries_chain": ("index", "expiry", "ts")},
    grows=True,
)
FACTS = Table("facts", ("ts", "index", "name"), _columns(time="ts", text="index name", double="value"))
ALERTS = Table(
    "alerts",
    ("ts", "index", "rule", "key"),
    _columns(time="ts", text="index rule key severity state summary", json="labels"),
    ("severity", "state", "summary", "labels"),
)
TABLES = (SNAPSHOTS, OPTIONS, EXPIRIES, FACTS, ALERTS)


def metadata() -> sa.MetaData:
    """The same for SQLAlchemy."""
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import JSONB

    types: dict[Kind, sa.types.TypeEngine] = {
        "integer": sa.BigInteger(),
        "double": sa.Double(),
        "boolean": sa.Boolean(),
        "text": sa.Text(),
        "date": sa.Date(),
        "time": sa.DateTime(timezone=True),
        "json": sa.JSON().with_variant(JSONB(), "postgresql"),
    }
    made = sa.MetaData()
    for table in TABLES:
        filled = {*table.keys, *table.required}
        columns = [
            sa.Column(name, types[kind], primary_key=name in table.keys, nullable=name not in filled)
            for name, kind in table.columns.items()
        ]
        partition = {"postgresql_partition_by": "RANGE (ts)"} if table is OPTIONS else {}
        sa.Table(table.name, made, *columns, **partition)  # type: ignore[arg-type]
        for name, parts in table.indices.items():
            sa.Index(name, *(made.tables[table.name].c[part] for part in parts))
    return made
