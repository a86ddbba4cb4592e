"""Run by Alembic: the steps go over the connection, and inside the transaction, that `g6_sql.migrate` lends."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], version_table=context.config.attributes["version_table"]
)
context.run_migrations()
