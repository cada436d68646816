"""Questions that every request asks, put to the driver past SQLAlchemy's own steps.

SQLAlchemy writes the text, once per engine; what it does at each execution besides costs several times what SQLite
needs for the answer. Only for questions whose values and answers are text and numbers, which drivers take and give as
they are.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.sql.expression import Executable

_Written = tuple[str, dict[str, Any], tuple[str, ...] | None]
"""Its text in a dialect, the constants in it by name, and the order of the values where the driver takes a list."""


def driver(connection: Connection) -> Any:
    """The driver's own connection, in the connection's transaction; its ``execute`` gives a cursor."""
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see what goes past it, and would have nothing to end
    return connection.connection.dbapi_connection


class Question:
    """One query with named values."""

    def __init__(self, query: Executable) -> None:
        self._query = query
        self._written: dict[str, _Written] = {}

    def ask(self, connection: Connection, values: dict[str, str]) -> list[tuple[Any, ...]]:
        """All rows of the answer."""
        raw = driver(connection)
        text, constants, order = self._written.get(connection.dialect.name) or self._write(connection)
        named = {**constants, **values} if constants else values
        rows = raw.execute(text, named if order is None else [named[name] for name in order]).fetchall()
        return cast("list[tuple[Any, ...]]", rows)

    def _write(self, connection: Connection) -> _Written:
        compiled = cast("Any", self._query).compile(dialect=connection.dialect)
        order = compiled.positiontup
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        written: _Written = (str(compiled), constants, None if order is None else tuple(order))
        self._written[connection.dialect.name] = written
        return written
