"""How Alembic runs here: on the engine it is given, all steps in one transaction."""

from __future__ import annotations

from alembic import context

import muniment.adapters.sql.repositories  # noqa: F401  brings every table into the metadata
from muniment.adapters.sql.schema import METADATA

with context.config.attributes["engine"].connect() as connection, connection.begin():
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("begin immediate")
    context.configure(connection=connection, target_metadata=METADATA, transactional_ddl=True, compare_type=True)
    context.run_migrations()
