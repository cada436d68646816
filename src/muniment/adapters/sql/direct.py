"""Questions that every request asks, put to the driver past SQLAlchemy's own steps.

SQLAlchemy writes the text, once per engine; what it does at each execution besides costs several times what SQLite
needs for the answer. Only for questions whose values and answers are text and numbers, which drivers take and give as
they are.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.sql.expression import Executable


def cursor(connection: Connection) -> Any:
    """A driver's cursor in the connection's transaction."""
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see what goes past it, and would have nothing to end
    return connection.connection.cursor()


class Question:
    """One query with named values."""

    def __init__(self, query: Executable) -> None:
        self._query = query
        self._written: dict[str, tuple[str, dict[str, Any], tuple[str, ...] | None]] = {}

    def ask(self, connection: Connection, values: dict[str, str]) -> list[tuple[Any, ...]]:
        """All rows of the answer."""
        dialect = connection.dialect.name
        text, constants, order = self._written.get(dialect) or self._write(connection)
        named = {**constants, **values}
        asked = cursor(connection).execute(text, named if order is None else [named[name] for name in order])
        return cast("list[tuple[Any, ...]]", asked.fetchall())

    def _write(self, connection: Connection) -> tuple[str, dict[str, Any], tuple[str, ...] | None]:
        compiled = cast("Any", self._query).compile(dialect=connection.dialect)
        order = compiled.positiontup
        written = (str(compiled), dict(compiled.params), None if order is None else tuple(order))
        self._written[connection.dialect.name] = written
        return written
