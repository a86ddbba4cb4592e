"""What can be set, and what each known kind of recording implies unless it is set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator

Unit = Literal["units", "contracts"]

KEYS = ("ts", "index", "expiry", "strike", "right")
LEVELS = ("spot", "open", "high", "low", "close", "vix")
PRICES = ("last_price", "average_price", "bid", "ask")
QUANTITIES = ("bid_qty", "ask_qty")
COUNTS = ("volume", "oi")
TIMES = ("exchange_ts", "received_ts")
LISTING = ("exchange", "symbol", "token", "lot_size", "tick_size")
COLUMNS = (*KEYS, *LISTING, *LEVELS, *PRICES, *QUANTITIES, *COUNTS, *TIMES)
"""Our names of what a recording may hold; `exchange_…` numbers, such as `exchange_iv`, may follow."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "minute_option_chain": {
        "columns": {
            "ts": "timestamp",
            "index": "symbol",
            "right": "option_type",
            "last_price": "ltp",
            "exchange_iv": "iv",
        },
        "timestamp_format": "%Y%m%d%H%M",
        "oi_unit": "contracts",
        "volume_unit": "contracts",
        "iv_unit": "percent",
    },
    "nse_json": {
        "timestamp_format": "%d-%b-%Y %H:%M:%S",
        "oi_unit": "contracts",
        "volume_unit": "contracts",
        "iv_unit": "percent",
    },
    "g6_csv": {"timestamp_format": "%d-%m-%Y %H:%M:%S"},
}


def _dates(value: Any) -> Any:
    """One date, a list of them, or a text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return value if isinstance(value, list) else [value]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: Path = Field(description="the recording: a file, or the directory of a `g6_csv` tree or of NSE JSON files")
    format: Literal["auto", "journal", "parquet", "csv", "nse_json", "g6_csv"] = Field(
        "auto", description="what the file is; `auto` goes by its name and header"
    )
    preset: Literal["minute_option_chain", "g6_csv"] | None = Field(
        None, description="column names, formats and units of a known kind of file; found by the header when not set"
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description='our column names and the file\'s: `{ last_price = "ltp" }`'
    )
    timestamp_format: str | None = Field(
        None, description="strftime pattern of the file's times; ISO 8601 when not set", examples=["%Y%m%d%H%M"]
    )
    expiry_format: str | None = Field(
        None, description="strftime pattern of expiry dates; 2026-08-25, 25-Aug-2026 and 25-08-2026 need none"
    )
    timezone: str = Field("Asia/Kolkata", description="zone of times that are written without one")
    index: str | None = Field(None, description="the underlying, when the file does not say")
    exchange: Literal["NFO", "BFO"] | None = Field(
        None, description="the options' exchange, when the file does not say; BFO for SENSEX and BANKEX, else NFO"
    )
    lot_sizes: dict[str, PositiveInt] = Field(
        default_factory=dict, description="units a lot per index, where the file does not say: `{ NIFTY = 65 }`"
    )
    tick_size: PositiveFloat = Field(
        0.05, description="rupees, where the file does not say; the index options of NSE and BSE have 0.05"
    )
    oi_unit: Unit = Field("units", description="what the file counts open interest in")
    volume_unit: Unit = Field("units", description="what the file counts volume in")
    iv_unit: Literal["fraction", "percent"] = Field("fraction", description="how the file writes `exchange_iv`")
    expiries: dict[str, Annotated[list[date], BeforeValidator(_dates)]] = Field(
        default_factory=dict,
        description="expiry dates per tag for older `g6_csv` files without them: `{ this_week = 2025-09-30 }`, or a "
        "list of every expiry of the index",
    )

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in columns if name not in COLUMNS and not name.startswith("exchange_")]
        if unknown:
            raise ValueError(f"no column of ours is called {', '.join(unknown)}; ours are {', '.join(COLUMNS)}")
        return columns

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as e:
            raise ValueError(f"no such time zone: {name}") from e
        return name

    def completed(self, preset: str) -> Settings:
        """With what the preset implies, as far as it was not set."""
        implied = PRESETS[preset]
        unset = {name: value for name, value in implied.items() if name not in self.model_fields_set}
        return self.model_copy(update={**unset, "columns": {**implied.get("columns", {}), **self.columns}})
