"""What a user can set under [analytics.greeks]."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from g6core import Duration

NSE_RATE = 0.10


class GreeksSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    convention: Literal["forward", "nse"] = Field(
        "forward",
        description="`forward`: Black-76 on each expiry's forward, time to the second. "
        "`nse`: as NSE publishes it, Black-Scholes on the spot at 10 %, whole calendar days, last price",
    )
    rate: float = Field(0.065, ge=-0.1, le=0.5, description="interest per year, continuously compounded, a fraction")
    price: Literal["auto", "mid", "last"] = Field(
        "auto", description="`auto`: mid of bid and ask where both stand and the spread is sane, else last price"
    )
    max_spread: float = Field(
        0.2, gt=0, le=2, description="the widest sane spread, a fraction of the mid; two ticks are always sane"
    )
    delta: Literal["forward", "spot"] = Field(
        "forward", description="what delta is a derivative by; theta and rho hold the same one still"
    )
    max_age: Duration = Field(
        timedelta(minutes=15),
        description="a last price whose quote is older by the exchange's time is not used; one without a time is",
    )
    bid_ask: bool = Field(False, description="the columns `iv_bid` and `iv_ask` too: volatilities of bid and ask")

    @model_validator(mode="after")
    def _nse_leaves_no_choice(self) -> GreeksSettings:
        chosen = sorted(self.model_fields_set & {"rate", "price", "max_spread", "delta", "max_age"})
        if self.convention == "nse" and chosen:
            raise ValueError(f"the nse convention fixes {', '.join(chosen)}: leave it out or use `forward`")
        return self


class VixSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    price: Literal["mid", "last"] = Field(
        "mid",
        description="`mid`: middle of bid and ask, options without a bid left out, as Cboe and NSE do. "
        "`last`: last price of what was traded today, for recordings without a book",
    )
    forward: Literal["greeks", "cboe"] = Field(
        "greeks",
        description="`greeks`: the forward of the analytic `greeks`, from many strikes. "
        "`cboe`: by parity from the one strike with the smallest difference of call and put",
    )
    expiries: Literal["all", "monthly"] = Field(
        "all",
        description="what `vix_30d` is taken from: `all` that are collected, or as India VIX "
        "this month's and the next's only",
    )
    max_missing: float = Field(
        0.1, ge=0, le=1, description="the largest `vix_missing` of an expiry that `vix_30d` is taken from"
    )


class RealizedSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    days: int = Field(20, ge=2, le=250, description="trading days that `rv_daily` is taken from")
    minutes: int = Field(
        30,
        ge=1,
        le=375,
        description="minutes of the session before which there is no `rv_intraday`; after 30 its "
        "standard error is 13 % of it",
    )


class QualitySettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    max_age: Duration = Field(
        timedelta(minutes=15), gt=timedelta(0), description="a quote whose exchange time is further back is `stale`"
    )
    parity_ticks: float = Field(
        20,
        ge=0,
        description="ticks by which the mids of call and put may be off put-call parity, beyond their half spreads, "
        "before both are flagged `parity`",
    )
