"""What a user may set under `[providers.kite]`."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from g6core import Duration, Public

INDICES = ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "SENSEX", "BANKEX")


class KiteSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: Annotated[str, Public] | None = Field(None, description="of your app at developers.kite.trade; no secret")
    api_secret: SecretStr | None = Field(
        None, description="of your app; belongs in the environment or .env, never in a settings file"
    )
    access_token: SecretStr | None = Field(
        None, description="a session from elsewhere; from the environment only, instead of `g6 login kite`"
    )
    redirect: str = Field(
        "http://127.0.0.1:8765/", description="the redirect URL registered for the app; `g6 login` listens there"
    )
    address: str | None = Field(
        None, description="a server that speaks Kite's protocol instead of Zerodha's, such as `g6 sim serve`"
    )
    session_dir: Path | None = Field(None, description="where the session is kept; your state directory if not set")
    mode: Literal["stream", "quote"] = Field(
        "stream", description="`stream`: by WebSocket, and by request while that is down; `quote`: by request alone"
    )
    tape: bool = Field(False, description="keep every frame of the stream beside the journal's day")
    quotes_per_second: float = Field(0.9, gt=0.0, le=10.0, description="calls for quotes; Kite allows 1")
    candles_per_second: float = Field(2.7, gt=0.0, le=10.0, description="calls for historical candles; Kite allows 3")
    others_per_second: float = Field(9.0, gt=0.0, le=10.0, description="all other calls; Kite allows 10")
    calls_per_minute: int | None = Field(None, gt=0, description="a further limit over all calls")
    batch: int = Field(500, ge=1, le=500, description="contracts a quote call; Kite allows 500")
    retries: int = Field(3, ge=0, le=10, description="how often a call that failed for a moment is made again")
    timeout: Duration = Field(timedelta(seconds=7), description="how long a call may take")
    instruments_max_age: Duration = Field(
        timedelta(hours=6), description="how old the day's list of contracts on disk may be before it is fetched anew"
    )
    silence: Duration = Field(
        timedelta(seconds=3),
        description="a stream silent for so long is connected anew; Kite sends each second",
    )

    @field_validator("address")
    @classmethod
    def _whole(cls, address: str | None) -> str | None:
        if address is not None and not re.fullmatch(r"https?://[^/\s?#]+/?", address):
            raise ValueError(f"{address!r} is no address like http://127.0.0.1:8900; leave it out for Zerodha's own")
        return address
