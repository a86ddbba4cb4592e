"""A line per snapshot, the five strikes around the money, and the mid price."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from g6core import Analytic, AnalyticSpec, Sink, SinkSpec, Strategy, StrategySpec, hookimpl


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: Path = Field(Path("lines.txt"), description="file to append to")


class Lines(Sink):
    def __init__(self, settings):
        self.path = settings.path

    def write(self, snapshots):
        there = set(self.path.read_text().splitlines()) if self.path.exists() else set()
        lines = [f"{s.ts.isoformat()} {s.index} {s.facts.get('spot')} {s.options.height}" for s in snapshots]
        with self.path.open("a") as f:
            f.writelines(f"{line}\n" for line in dict.fromkeys(lines) if line not in there)


class Five(Strategy):
    def __init__(self, settings):
        pass

    def select(self, contracts, spot, today, held):
        if spot is None or contracts.is_empty():
            return contracts.clear()
        strikes = contracts["strike"].unique()
        nearest = strikes.gather((strikes - spot).abs().arg_sort()[:5])
        return contracts.filter(contracts["strike"].is_in(nearest.to_list()))


class Mid(Analytic):
    def __init__(self, settings):
        pass

    def compute(self, snapshot):
        bid, ask = snapshot.options["bid"], snapshot.options["ask"]
        return snapshot.add(options=[((bid + ask) / 2).alias("mid")])


@hookimpl
def g6_sinks():
    return [SinkSpec(name="lines", build=Lines, settings=Settings, help="a line per snapshot")]


@hookimpl
def g6_strategies():
    return [StrategySpec(name="five", build=Five, help="the five strikes nearest to the spot")]


@hookimpl
def g6_analytics():
    return [AnalyticSpec(name="mid", build=Mid, needs=("options.bid", "options.ask"), adds=("options.mid",))]
