"""The provider: answers for the instant that the clock shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import polars as pl

from g6_replay.recording import CONTRACT, IST, Recording
from g6_replay.settings import Settings
from g6_replay.sources import load
from g6core import QUOTES, Context, Finding, G6Error, Provider, ReadReport, Remark, Spot, conform


class Replay(Provider):
    """A recording, read in `open`. Between its instants nothing is known: spots are left out and quotes are null."""

    always_open = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._loaded: Recording | None = None

    def open(self, context: Context) -> None:
        self._clock = context.clock
        self._recording.use(context.calendar)
        self.simulated = self._recording.simulated

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None

    def diagnose(self, context: Context) -> Iterable[Finding]:
        try:
            recording = self._recording
            recording.use(context.calendar)
            instants = recording.instants
        except G6Error as e:
            yield Finding("error", e.message, e.hint or "name a recording in `path` of `replay`")
            return
        first, last = (instants[i].astimezone(IST).strftime("%Y-%m-%d %H:%M:%S") for i in (0, -1))
        what = f"{', '.join(recording.indices)}, {len(instants)} instants, {first} to {last} IST"
        yield Finding("ok", f"{self.settings.path}: {what}")
        hint = "look at that line; the rest is replayed without it"
        yield from (Finding("warning", str(entry), hint) for entry in recording.set_aside)

    @property
    def _recording(self) -> Recording:
        """Read when first needed: the indices may be asked for before `open`."""
        if self._loaded is None:
            self._loaded = load(self.settings)
        return self._loaded

    @property
    def set_aside(self) -> Sequence[Remark]:
        """What of the recording is not replayed, or not as it stands: reason, count and first place of each."""
        return self._recording.set_aside

    def indices(self) -> Sequence[str]:
        return self._recording.indices

    def timeline(self) -> Iterable[datetime]:
        return self._recording.timeline()

    def report(self) -> ReadReport:
        return self._recording.report()

    def contracts(self, index: str) -> pl.DataFrame:
        """The contracts recorded on the clock's day in India."""
        return self._recording.contracts(index, self._clock.now().astimezone(IST).date())

    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        known = self._recording.spots(self._clock.now())
        return {index: known[index] for index in (*indices, "INDIAVIX") if index in known}

    def futures(self, indices: Sequence[str]) -> Mapping[str, Mapping[date, float]]:
        known = self._recording.futures(self._clock.now())
        return {index: known[index] for index in indices if index in known}

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        """QUOTES and the recorded `exchange_…` columns."""
        rows = self._recording.rows(self._clock.now())
        found = contracts.select(CONTRACT).join(rows, on=CONTRACT, how="left", maintain_order="left")
        return conform(found.drop(CONTRACT), QUOTES, who="the recording")
