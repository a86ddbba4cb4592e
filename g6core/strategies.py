"""The strike strategies that come with G6: `atm_window`, `percent`, `all`. They register like anybody's.

Each counts its offsets from a centre per expiry, and the centre has hysteresis: while the spot lies around the middle
of two strikes, the one that was the centre stays it, so that neither the selection nor the labels flap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Generic, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from g6core.components import Strategy
from g6core.hookspecs import hookimpl
from g6core.specs import NoSettings, StrategySpec
from g6core.strikes import atm_strike, listed_strikes, strike_step, with_offsets

HYSTERESIS = 0.2

Depth = Annotated[int, Field(ge=0)]


class Depths(BaseModel):
    model_config = ConfigDict(extra="forbid")

    below: Depth = Field(description="strikes below the centre")
    above: Depth = Field(description="strikes above the centre")


class AtmWindowSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    below: Depth = Field(10, description="strikes below the centre")
    above: Depth = Field(10, description="strikes above the centre")
    offsets: list[int] | None = Field(
        None, min_length=1, description="exactly these steps from the centre, in place of below and above"
    )
    calls: Depths | None = Field(None, description="other depths for calls")
    puts: Depths | None = Field(None, description="other depths for puts")
    hysteresis: float = Field(
        HYSTERESIS, ge=0, lt=0.5, description="steps beyond the middle of two strikes at which the centre moves"
    )

    @model_validator(mode="after")
    def _said_once(self) -> AtmWindowSettings:
        given = [name for name in ("below", "above", "calls", "puts") if name in self.model_fields_set]
        if self.offsets is not None and given:
            raise ValueError(f"`offsets` names every strike: take out {_listed(given)}, or `offsets`")
        plain = [name for name in given if name in ("below", "above")]
        if self.calls and self.puts and plain:
            raise ValueError(f"`calls` and `puts` say both sides: take out {_listed(plain)}, or one of the two")
        return self


class PercentSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    percent: float = Field(5.0, gt=0, le=100, description="distance on both sides of the spot, in percent of it")


class AtmWindow(Strategy):
    """A number of strikes around the money; where fewer are listed, those."""

    def __init__(self, settings: AtmWindowSettings) -> None:
        self._centres = _Centres(settings.hysteresis)
        self._rows = _Kept(self._window)
        self._wanted = _window(settings)

    def select(self, contracts: pl.DataFrame, spot: float | None, today: date, held: pl.DataFrame) -> pl.DataFrame:
        return self._rows(contracts, self._centres.of(contracts, spot, held))

    def _window(self, contracts: pl.DataFrame, centres: Mapping[date, float]) -> pl.DataFrame:
        return with_offsets(contracts, centres).filter(self._wanted)


class Percent(Strategy):
    """Every strike within a percentage of the spot; without a spot what was held, as far as it is still listed."""

    def __init__(self, settings: PercentSettings) -> None:
        self._share = settings.percent / 100
        self._centres = _Centres(HYSTERESIS)
        self._rows = _Kept(with_offsets)

    def select(self, contracts: pl.DataFrame, spot: float | None, today: date, held: pl.DataFrame) -> pl.DataFrame:
        rows = self._rows(contracts, self._centres.of(contracts, spot, held))
        if spot is None:
            return rows.join(held, on=["exchange", "symbol"], how="semi", maintain_order="left")
        return rows.filter(pl.col("strike").is_between(spot * (1 - self._share), spot * (1 + self._share)))


class All(Strategy):
    """Every listed strike of the configured expiries; without any spot so far their offsets are null."""

    def __init__(self, settings: NoSettings) -> None:
        self._centres = _Centres(HYSTERESIS)
        self._rows = _Kept(with_offsets)

    def select(self, contracts: pl.DataFrame, spot: float | None, today: date, held: pl.DataFrame) -> pl.DataFrame:
        return self._rows(contracts, self._centres.of(contracts, spot, held))


T = TypeVar("T")


class _Kept(Generic[T]):
    """A pure function of a frame that keeps its last answer: the engine gives the same frames all day."""

    def __init__(self, work: Callable[..., T]) -> None:
        self._work = work
        self._last: tuple[pl.DataFrame, tuple[Any, ...], T] | None = None

    def __call__(self, frame: pl.DataFrame, *given: Any) -> T:
        if self._last is None or self._last[0] is not frame or self._last[1] != given:
            self._last = (frame, given, self._work(frame, *given))
        return self._last[2]


class _Centres:
    """The centre strike of each expiry, from which offsets are counted."""

    def __init__(self, hysteresis: float) -> None:
        self._hysteresis = hysteresis
        self._strikes = _Kept(listed_strikes)
        self._held = _Kept(_nearest_to_centre)

    def of(self, contracts: pl.DataFrame, spot: float | None, held: pl.DataFrame) -> dict[date, float]:
        """An expiry has no centre when there is no spot and none of it was held."""
        before = self._held(held)
        centres = {
            day: self._centre(strikes, spot, before.get(day)) for day, strikes in self._strikes(contracts).items()
        }
        return {day: centre for day, centre in centres.items() if centre is not None}

    def _centre(self, strikes: Sequence[float], spot: float | None, before: tuple[float, int] | None) -> float | None:
        nearest = None if spot is None else atm_strike(strikes, spot)
        if before is None:
            return nearest
        strike, offset = before
        centre = strike - offset * (strike_step(strikes) or 0.0) if offset else strike
        if spot is None or nearest is None or nearest == centre:
            return centre
        step = strike_step(strikes) or 0.0
        # Past the middle by h steps the spot is 2h steps nearer to the neighbour; said so, it also holds across a gap.
        kept = abs(spot - centre) - abs(spot - nearest) <= 2 * self._hysteresis * step
        return centre if kept and centre in strikes else nearest


def _nearest_to_centre(held: pl.DataFrame) -> dict[date, tuple[float, int]]:
    """Of each held expiry the strike nearest to its centre with its offset: 0, unless the settings left 0 out."""
    if held.is_empty():
        return {}
    nearest = held.drop_nulls("offset").sort(pl.col("offset").abs()).unique("expiry", keep="first", maintain_order=True)
    return {day: (strike, offset) for day, strike, offset in nearest.select("expiry", "strike", "offset").iter_rows()}


def _window(settings: AtmWindowSettings) -> pl.Expr:
    offset = pl.col("offset")
    if settings.offsets is not None:
        return offset.is_in(settings.offsets)
    plain = Depths(below=settings.below, above=settings.above)
    calls, puts = settings.calls or plain, settings.puts or plain
    return (
        pl.when(pl.col("right") == "CE")
        .then(offset.is_between(-calls.below, calls.above))
        .otherwise(offset.is_between(-puts.below, puts.above))
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


@hookimpl
def g6_strategies() -> list[StrategySpec]:
    return [
        StrategySpec("atm_window", AtmWindow, AtmWindowSettings, "a number of strikes around the money"),
        StrategySpec("percent", Percent, PercentSettings, "strikes within a percentage of the spot"),
        StrategySpec("all", All, help="every listed strike"),
    ]
