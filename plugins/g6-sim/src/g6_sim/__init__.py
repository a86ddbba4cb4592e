"""Provider `sim`: a synthetic market of the six Indian indices, the same for the same seed and clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from g6core import ProviderSpec, hookimpl

if TYPE_CHECKING:
    import click

    from g6_sim.provider import Sim


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(1, ge=0, description="the market to play: the same seed and time give the same data")
    volatility: float = Field(
        0.13,
        gt=0.0,
        le=0.4,
        description="long-run volatility of NIFTY a year, as a fraction; the other indices keep their proportion to it",
    )
    tick_rounding: bool = Field(
        True, description="round prices to the tick; without it the last price and the mid are the model's own price"
    )
    weeks: int = Field(5, ge=0, le=12, description="weekly expiry dates listed, for the indices that have weeklies")
    months: int = Field(3, ge=1, le=12, description="monthly expiry dates listed")


def _build(settings: Settings) -> Sim:
    from g6_sim.provider import Sim

    return Sim(settings)


@hookimpl
def g6_providers() -> list[ProviderSpec]:
    return [ProviderSpec("sim", _build, Settings, "a seeded synthetic market, open at all hours")]


@hookimpl
def g6_commands(cli: click.Group) -> None:
    from g6_sim.serve.command import sim

    cli.add_command(sim)
