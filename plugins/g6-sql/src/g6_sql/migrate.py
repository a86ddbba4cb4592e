"""A database brought to the tables of now, inside a transaction that keeps others waiting."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from g6_sql.tables import TABLES
from g6core import ConfigError

VERSION_TABLE = "g6_alembic_version"


def migrate(connection: sa.Connection, where: str) -> None:
    """Raises ConfigError: `sql-version` for tables of a newer g6-sql, `config` for tables that are not g6's."""
    config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    found = revision(connection)
    script = ScriptDirectory.from_config(config)
    if found is None:
        _refuse_others_tables(connection, where)
    elif found not in {step.revision for step in script.walk_revisions()}:
        raise ConfigError(
            f"the tables are of revision {found}, and this g6-sql knows only those up to {script.get_current_head()}",
            code="sql-version",
            where=where,
            hint="upgrade g6-sql: `pip install --upgrade g6-sql`",
        )
    if found != script.get_current_head():
        command.upgrade(config, "head")


def revision(connection: sa.Connection) -> str | None:
    """The revision of the tables, or None where there are none of g6."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _refuse_others_tables(connection: sa.Connection, where: str) -> None:
    inspector = sa.inspect(connection)
    taken = [table.name for table in TABLES if inspector.has_table(table.name)]
    if taken:
        raise ConfigError(
            f"there is a table `{taken[0]}` already that g6 did not make",
            where=where,
            hint="name another database in `url` of the sink, or on PostgreSQL another `schema_name`",
        )
