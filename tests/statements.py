"""Counts what reaches the driver, also what goes past SQLAlchemy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import event

from muniment.adapters.sql.store import SqlStore
from muniment.kernel.ports import Session


@contextmanager
def reading(store: SqlStore) -> Iterator[tuple[Session, list[str]]]:
    """A reading transaction, and the statements that the driver has been given in it."""
    statements: list[str] = []

    class Counting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **options: Any) -> Counting:
            statements.append(str(query))
            return super().execute(query, *args, **options)

    raws: list[Any] = []

    def watch(raw: Any, _record: object, _proxy: object) -> None:
        raws.append(raw)

    event.listen(store.engine, "checkout", watch)
    with store.read() as session:
        (raw,) = raws
        if isinstance(raw, sqlite3.Connection):
            raw.set_trace_callback(statements.append)
        else:
            raw.cursor_factory = Counting
        try:
            yield session, statements
        finally:
            event.remove(store.engine, "checkout", watch)
            if isinstance(raw, sqlite3.Connection):
                raw.set_trace_callback(None)
            else:
                raw.cursor_factory = psycopg.Cursor
