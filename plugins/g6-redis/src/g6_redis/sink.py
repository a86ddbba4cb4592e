"""The sink: the newest snapshot of each index, in memory and from there in Redis."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from redis.exceptions import RedisError, ResponseError

from g6_redis import scripts
from g6_redis.client import Client, connect_as, place, told, translated
from g6_redis.instruments import Instruments
from g6_redis.keys import Keys
from g6_redis.measures import RESTORED, SECONDS, SUPERSEDED
from g6_redis.packing import Packed, alert_text, micros, packed
from g6_redis.settings import Settings
from g6core import Alert, Context, Finding, G6Error, Rejected, Sink, Snapshot, trading_date

LARGEST = 512 * 2**20
"""Bytes of the largest value that a Redis takes unless it was told otherwise."""


@dataclass(frozen=True)
class Held:
    """The newest snapshot of an index as Redis got it. until: `time.monotonic()` when its keys end."""

    snapshot: Snapshot
    packed: Packed
    until: float


class RedisSink(Sink):
    """Keeps the newest snapshot of each index; what Redis has lost is written again from memory."""

    shared = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._ttl = settings.ttl // timedelta(milliseconds=1)
        self._where = place(settings.url)
        self._client: Client = None
        self._largest = LARGEST
        self._held: dict[str, Held] = {}
        self._instruments = Instruments(self._keys, self._ttl, self._where)

    def open(self, context: Context) -> None:
        self._client = connect_as(self._settings)
        with told(self._where):
            self._largest = _largest(self._client)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def place(self, data_dir: Path) -> str:
        return f"{self._where} {self._settings.prefix}"

    def diagnose(self, context: Context) -> Iterable[Finding]:
        client = connect_as(self._settings)
        try:
            with told(self._where):
                server = client.info("server")
        except G6Error as e:
            yield Finding("error", f"{e.message} ({self._where})", e.hint)
        else:
            yield Finding("ok", f"Redis {server['redis_version']} answers at {self._where}")
        finally:
            client.close()

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        with told(self._where):
            self._instruments.see(snapshots)
            self._instruments.save(self._client)
            fresh = [self._packed(s) for s in self._newest(snapshots)]
            lost = self._send(fresh)
            self._held.update((held.snapshot.index, held) for held in fresh)
            self._restore(lost)

    def write_alerts(self, alerts: Sequence[Alert]) -> None:
        pipe = self._client.pipeline()
        for alert in alerts:
            text, at = alert_text(alert), micros(alert.ts)
            words = scripts.add_alert(text, at, self._keys, self._ttl, self._settings.publish)
            pipe.execute_command("EVAL", *words)
        with told(self._where):
            self._checked(pipe.execute(raise_on_error=False))

    def _newest(self, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
        """One of each index, where it is newer than the one in memory."""
        now = time.monotonic()
        self._held = {index: held for index, held in self._held.items() if held.until > now}
        newest: dict[str, Snapshot] = {}
        for s in snapshots:
            before = newest.get(s.index) or (self._held[s.index].snapshot if s.index in self._held else None)
            if before is None or s.ts > before.ts:
                newest[s.index] = s
        SUPERSEDED.inc(len(snapshots) - len(newest))
        return list(newest.values())

    def _packed(self, s: Snapshot) -> Held:
        made = packed(s)
        if made.largest > self._largest:
            raise Rejected(
                f"a table of {made.largest:,} bytes is longer than what Redis takes, {self._largest:,}",
                where=self._where,
                hint="let the strategy select fewer strikes, or raise `proto-max-bulk-len` of the server",
            )
        return Held(s, made, time.monotonic() + self._settings.ttl.total_seconds())

    def _send(self, fresh: Sequence[Held]) -> list[str]:
        """Store them in one transaction; gives the indices of which Redis has lost something."""
        kept = [index for index in self._held if index not in {held.snapshot.index for held in fresh}]
        pipe = self._client.pipeline()
        for held in fresh:
            pipe.execute_command("EVAL", *self._words(held))
        for held in fresh:
            pipe.pexpire(self._instruments_key(held.snapshot), self._ttl)
        for index in kept:
            pipe.exists(self._keys.snapshot(index))
        with SECONDS.time():
            answers = self._checked(pipe.execute(raise_on_error=False))[len(fresh) :]
        asked = [*(held.snapshot.index for held in fresh), *kept]
        return [index for index, there in zip(asked, answers, strict=True) if not there]

    def _restore(self, lost: Sequence[str]) -> None:
        """Write again what a restart, an eviction or a flush took away."""
        for index in lost:
            self._instruments.unsave(index)
            try:
                with told(self._where):
                    self._client.execute_command("EVAL", *self._words(self._held[index]))
                RESTORED.inc()
            except Rejected:
                # The batch is stored: this is no reason to refuse it.
                del self._held[index]
        self._instruments.save(self._client)

    def _words(self, held: Held) -> list[str | int | bytes]:
        left = max(1, int(1000 * (held.until - time.monotonic())))
        return scripts.store(held.packed, self._keys, left, self._settings.publish)

    def _instruments_key(self, s: Snapshot) -> str:
        return self._keys.instruments(s.index, trading_date(s.ts))

    def _checked(self, answers: Sequence[object]) -> list[object]:
        """The answers; raises what is worth trying again before what is not."""
        errors = [translated(a, self._where) for a in answers if isinstance(a, RedisError)]
        if errors:
            raise min(errors, key=lambda e: isinstance(e, Rejected))
        return list(answers)


def _largest(client: Client) -> int:
    try:
        return int(client.config_get("proto-max-bulk-len")["proto-max-bulk-len"])
    except (ResponseError, KeyError):
        # A managed Redis does not tell.
        return LARGEST
