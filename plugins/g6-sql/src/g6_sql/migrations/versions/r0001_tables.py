"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    _snapshots()
    _options()
    _expiries()
    _facts()
    _alerts()


def _key(name: str, kind: sa.types.TypeEngine) -> sa.Column:
    return sa.Column(name, kind, primary_key=True, nullable=False)


def _filled(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _open(kind: sa.types.TypeEngine, names: str) -> list[sa.Column]:
    return [sa.Column(name, kind) for name in names.split()]


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        _key("ts", TIME),
        _key("index", sa.Text()),
        *_filled(sa.Text(), "source"),
        *_filled(sa.Boolean(), "simulated"),
        *_filled(sa.BigInteger(), "options", "quoted", "expiries"),
    )
    op.create_index("g6_snapshots_index", "snapshots", ["index", "ts"])


def _options() -> None:
    op.create_table(
        "options",
        _key("ts", TIME),
        _key("exchange", sa.Text()),
        _key("symbol", sa.Text()),
        *_filled(sa.Text(), "index"),
        *_open(sa.Date(), "expiry"),
        *_open(sa.Double(), "strike"),
        *_open(sa.Text(), "right expiry_code"),
        *_open(sa.BigInteger(), "offset token lot_size"),
        *_open(sa.Double(), "tick_size last_price average_price bid ask"),
        *_open(sa.BigInteger(), "bid_qty ask_qty volume oi"),
        *_open(TIME, "exchange_ts received_ts"),
        *_open(sa.Double(), "iv iv_err iv_bid iv_ask iv_fit delta gamma theta vega rho"),
        *_open(sa.Text(), "iv_source iv_reason flags smile_flag"),
        *_open(sa.BigInteger(), "oi_change oi_change_day"),
        postgresql_partition_by="RANGE (ts)",
    )
    op.create_index("g6_options_chain", "options", ["index", "expiry", "ts"])


def _expiries() -> None:
    op.create_table(
        "expiries",
        _key("ts", TIME),
        _key("index", sa.Text()),
        _key("expiry", sa.Date()),
        *_open(sa.Text(), "code"),
        *_open(JSON, "codes"),
        *_open(TIME, "expires_at"),
        *_open(sa.Double(), "atm_strike future"),
        *_open(sa.BigInteger(), "contracts quoted dte"),
        *_open(sa.Double(), "t discount forward parity_rmse pcr_oi pcr_volume max_pain atm_iv straddle"),
        *_open(sa.Double(), "expected_move rr25 bf25 gex coverage quality vix_variance vix_missing iv_premium"),
        *_open(sa.Double(), "svi_a svi_b svi_rho svi_m svi_sigma smile_rmse smile_butterfly smile_calendar"),
        *_open(sa.BigInteger(), "oi_calls oi_puts oi_change_day_calls oi_change_day_puts vix_strikes smile_points"),
        *_open(sa.Text(), "forward_source smile_status"),
    )
    op.create_index("g6_expiries_chain", "expiries", ["index", "expiry", "ts"])


def _facts() -> None:
    op.create_table(
        "facts",
        _key("ts", TIME),
        _key("index", sa.Text()),
        _key("name", sa.Text()),
        *_open(sa.Double(), "value"),
    )


def _alerts() -> None:
    op.create_table(
        "alerts",
        _key("ts", TIME),
        _key("index", sa.Text()),
        _key("rule", sa.Text()),
        _key("key", sa.Text()),
        *_filled(sa.Text(), "severity", "state", "summary"),
        *_filled(JSON, "labels"),
    )
