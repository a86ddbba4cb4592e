"""What a user can set under [analytics.greeks]."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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

    @model_validator(mode="after")
    def _nse_leaves_no_choice(self) -> GreeksSettings:
        chosen = sorted(self.model_fields_set & {"rate", "price", "max_spread", "delta"})
        if self.convention == "nse" and chosen:
            raise ValueError(f"the nse convention fixes {', '.join(chosen)}: leave it out or use `forward`")
        return self
