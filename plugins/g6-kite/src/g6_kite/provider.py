"""The provider: what the engine and `g6 login` talk to. What is heavy is imported when it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from g6_kite.settings import INDICES, KiteSettings
from g6core import Context, Finding, Login, Provider, Spot

if TYPE_CHECKING:
    import polars as pl

    from g6_kite.feed import Feed


class Kite(Provider):
    _feed: Feed

    def __init__(self, settings: KiteSettings) -> None:
        self.settings = settings
        # Whatever stands at another address is no exchange: its records are marked, and never mixed with real ones.
        self.simulated = self.always_open = settings.address is not None

    def open(self, context: Context) -> None:
        from g6_kite.feed import Feed

        self._feed = Feed(self.settings, context)

    def close(self) -> None:
        self._feed.close()

    def login(self, context: Context) -> Login:
        from g6_kite.login import KiteLogin

        return KiteLogin(self.settings, context)

    def diagnose(self, context: Context) -> Iterable[Finding]:
        from g6_kite.checks import findings

        return findings(self.settings, context)

    def indices(self) -> Sequence[str]:
        return INDICES

    def contracts(self, index: str) -> pl.DataFrame:
        return self._feed.contracts(index)

    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        return self._feed.spots(indices)

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        return self._feed.quotes(contracts)

    def futures(self, indices: Sequence[str]) -> Mapping[str, Mapping[date, float]]:
        return self._feed.futures(indices)
