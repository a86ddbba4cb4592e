"""The sink: snapshots become rows, and rows go to the one or the other database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from g6_sql.settings import Settings
from g6core import Alert, ConfigError, Context, Finding, Sink, Snapshot

if TYPE_CHECKING:
    from g6_sql.store import Store


class SqlSink(Sink):
    """`write` returns when the rows are committed and on the database's disk."""

    def __init__(self, settings: Settings) -> None:
        self.shared = settings.server
        self._settings = settings
        self._store: Store | None = None

    def open(self, context: Context) -> None:
        self.close()
        store = self._made(context.data_dir)
        store.open()
        self._store = store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def diagnose(self, context: Context) -> Iterable[Finding]:
        try:
            store = self._made(context.data_dir)
        except ConfigError as e:
            return [Finding("error", e.message, e.hint)]
        return store.diagnose()

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        from g6_sql import rows

        for group in rows.groups(snapshots):
            self._opened.write(rows.of_snapshots(group))

    def write_alerts(self, alerts: Sequence[Alert]) -> None:
        from g6_sql import rows

        if alerts:
            self._opened.write(rows.of_alerts(alerts))

    def place(self, data_dir: Path) -> str:
        if not self.shared:
            return str(self._file(data_dir).absolute())
        from g6_sql.postgres import server_url

        url = server_url(self._settings)
        return f"postgresql://{url.host}:{url.port or 5432}/{url.database or url.username}/{self._settings.schema_name}"

    @property
    def _opened(self) -> Store:
        assert self._store is not None, "write before open"
        return self._store

    def _file(self, data_dir: Path) -> Path:
        url = self._settings.url
        return data_dir / "g6.sqlite" if url is None else Path(url.removeprefix("sqlite:///")).expanduser()

    def _made(self, data_dir: Path) -> Store:
        if not self.shared:
            from g6_sql.sqlite import SqliteStore

            return SqliteStore(self._file(data_dir), self._settings.timeout.total_seconds())
        try:
            from g6_sql.postgres import PostgresStore
        except ImportError as e:
            raise ConfigError(
                f"PostgreSQL needs a driver that is not installed: {e}", hint="pip install 'g6-sql[postgres]'"
            ) from e
        return PostgresStore(self._settings)
