"""Questions that every request asks and rows that it adds, put to the driver past SQLAlchemy's own steps.

SQLAlchemy writes the text, once per engine; what it does at each execution besides costs several times what SQLite
needs. Only for values and answers that drivers take and give as they are: text, numbers and bytes. Constants stand in
the text of a question (``literal_column``), not among its values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Table, Text, bindparam, column, func, insert, select
from sqlalchemy import cast as cast_
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY
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

    def ask(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of the answer."""
        raw = driver(connection)
        text = self._written.get(connection.dialect.name)
        if text is None:
            text = self._written[connection.dialect.name] = _written(self._query, connection.dialect)
        return cast("list[tuple[Any, ...]]", raw.execute(text, values).fetchall())


class Among:
    """One query about many texts, which go as one value: it is written once, however many there are."""

    def __init__(self, make: Callable[[Any], Executable]) -> None:
        """``make`` writes the query around what stands on the right of ``in_``."""
        self._questions = {
            "sqlite": Question(make(select(column("value")).select_from(func.json_each(bindparam("chosen"))))),
            "postgresql": Question(make(select(func.unnest(cast_(bindparam("chosen"), ARRAY(Text)))))),
        }

    def ask(self, connection: Connection, values: Mapping[str, Any], chosen: Iterable[str]) -> list[tuple[Any, ...]]:
        """All rows of the answer for these texts; none for no text."""
        texts = [str(one) for one in chosen]
        if not texts:
            return []
        engine = connection.dialect.name
        told: Any = json.dumps(texts) if engine == "sqlite" else texts
        return self._questions[engine].ask(connection, {**values, "chosen": told})


class Addition:
    """One new row of a table; a column without a value gets the database's own default."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._written: dict[tuple[str, ...], str] = {}

    def add(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Add the row with these values by column: text, numbers, bytes and None."""
        raw = driver(connection)
        form = (connection.dialect.name, *values)
        text = self._written.get(form)
        if text is None:
            statement = insert(self._table).values(values).inline()
            text = self._written[form] = _written(statement, connection.dialect)
        raw.execute(text, values)


class Bulk:
    """Many new rows of a table at once: one prepared statement on SQLite, ``COPY`` on PostgreSQL."""

    def __init__(self, table: Table, *columns: str) -> None:
        """Rows come as tuples of these columns; every other column gets the database's own default."""
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        self._insert = f'insert into "{table.name}" ({names}) values ({marks})'  # noqa: S608 - names of our own tables
        self._copy = f'copy "{table.name}" ({names}) from stdin'

    def add(self, connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add the rows: text, numbers and None."""
        raw = driver(connection)
        if connection.dialect.name == "sqlite":
            raw.executemany(self._insert, rows)
            return
        with raw.cursor() as cursor, cursor.copy(self._copy) as copy:
            for row in rows:
                copy.write_row(row)


class Replacement:
    """Rows by their primary key: new ones, or in place of those that are there."""

    def __init__(self, table: Table, *columns: str) -> None:
        """Rows come as tuples of these columns, the primary key among them; every other column stays as it is."""
        key = [column.name for column in table.primary_key]
        names, keys = ", ".join(f'"{name}"' for name in columns), ", ".join(f'"{name}"' for name in key)
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in key)
        self._written = {
            engine: f'insert into "{table.name}" ({names}) values ({", ".join([mark] * len(columns))})'  # noqa: S608 - names of our own tables
            f" on conflict ({keys}) do update set {changes}"
            for engine, mark in (("sqlite", "?"), ("postgresql", "%s"))
        }

    def put(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put the rows: text, numbers and None."""
        raw, text = driver(connection), self._written[connection.dialect.name]
        if len(rows) == 1:
            raw.execute(text, rows[0])
        elif rows:
            raw.cursor().executemany(text, rows)


def _written(statement: Executable, dialect: Dialect) -> str:
    named = sqlite.dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
    return str(cast("Any", statement).compile(dialect=named))
