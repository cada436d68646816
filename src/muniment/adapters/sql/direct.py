"""Questions that every request asks, put to the driver past SQLAlchemy's own steps.

SQLAlchemy writes the text, once per engine; what it does at each execution besides costs several times what SQLite
needs for the answer. Only for questions whose values and answers are text and numbers, which drivers take and give as
they are; constants stand in the text of a question (``literal_column``), not among its values.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.expression import Executable


def driver(connection: Connection) -> Any:
    """The driver's own connection, in the connection's transaction; its ``execute`` gives a cursor."""
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see what goes past it, and would have nothing to end
    return connection.connection.dbapi_connection


class Question:
    """One query with named values; each is bound once, however often it is named."""

    def __init__(self, query: Executable) -> None:
        self._query = query
        self._written: dict[str, str] = {}

    def ask(self, connection: Connection, values: dict[str, str]) -> list[tuple[Any, ...]]:
        """All rows of the answer."""
        raw = driver(connection)
        text = self._written.get(connection.dialect.name) or self._write(connection.dialect)
        return cast("list[tuple[Any, ...]]", raw.execute(text, values).fetchall())

    def _write(self, dialect: Dialect) -> str:
        named = sqlite.dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
        text = str(cast("Any", self._query).compile(dialect=named))
        self._written[dialect.name] = text
        return text
