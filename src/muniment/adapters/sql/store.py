"""The store on SQLite or PostgreSQL: transactions, and the repositories bound to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from muniment.errors import IntegrityError, Unavailable
from muniment.kernel.ports import Faults, NoFaults

T = TypeVar("T")
Repositories = Mapping[type[Any], Callable[[Connection], Any]]

_PATIENCE_S: Final = 30.0

_LOST_RACES: Final = frozenset({"40001", "40P01", "23505"})
"""States of PostgreSQL after which a transaction may be tried again from its start: serialization failure, deadlock,
and the unique violation that two overlapping serializable transactions can meet although both looked first (PostgreSQL
manual, section 13.5)."""


class SqlSession:
    """One transaction; repositories are made when first asked for."""

    def __init__(self, connection: Connection, repositories: Repositories) -> None:
        self._connection, self._repositories = connection, repositories
        self._bound: dict[type[Any], Any] = {}

    def use(self, port: type[T]) -> T:
        """The repository that implements this port, bound to the transaction."""
        if port not in self._bound:
            self._bound[port] = self._repositories[port](self._connection)
        return cast("T", self._bound[port])


class SqlStore:
    """State and ledger entries in one database.

    SQLite runs in WAL mode with ``synchronous=FULL`` and takes its write lock when a writing transaction begins; the
    threads of one process take turns on one connection instead of polling for that lock. PostgreSQL runs writing
    transactions serializable. A transaction that lost a race raises Unavailable, which is safe to retry from the start.
    """

    def __init__(self, url: str, repositories: Repositories, faults: Faults | None = None) -> None:
        self.engine = open_engine(url)
        self._repositories = repositories
        self._faults = faults or NoFaults()
        self._turn = threading.Lock()
        self._writer: Connection | None = None

    @contextmanager
    def write(self) -> Iterator[SqlSession]:
        """A writing transaction: commits when the block ends, rolls back when it raises."""
        with self._transaction("SERIALIZABLE", "begin immediate") as connection:
            yield SqlSession(connection, self._repositories)
            self._faults.point("store.commit")
            connection.commit()
            self._faults.point("store.committed")

    @contextmanager
    def read(self) -> Iterator[SqlSession]:
        """A reading transaction: one consistent view."""
        with self._transaction("REPEATABLE READ", "begin") as connection:
            yield SqlSession(connection, self._repositories)

    @contextmanager
    def _transaction(self, isolation: str, begin: str) -> Iterator[Connection]:
        with answering(self.engine), self._connected(isolation, begin) as connection:
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def _connected(self, isolation: str, begin: str) -> Iterator[Connection]:
        if self.engine.dialect.name != "sqlite":
            with self.engine.connect() as connection:
                yield connection.execution_options(isolation_level=isolation)
        elif begin == "begin":
            with self.engine.connect() as connection:
                _begin(connection, begin)
                yield connection
        else:
            if not self._turn.acquire(timeout=_PATIENCE_S):
                raise Unavailable("MUNI-S503", "another change holds the state store", waited_s=_PATIENCE_S)
            try:
                self._writer = self._writer or self.engine.connect()
                _begin(self._writer, begin)
                yield self._writer
            except (DBAPIError, self.engine.dialect.loaded_dbapi.Error):
                self._drop_writer()
                raise
            finally:
                self._turn.release()

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def close(self) -> None:
        """Give back all connections."""
        self._drop_writer()
        self.engine.dispose()


@contextmanager
def answering(engine: Engine) -> Iterator[None]:
    """Turn what the driver raises into what the platform can act on.

    Raises:
        Unavailable: the database does not answer, or another transaction came first.
        IntegrityError: the file is no database, or a damaged one.
    """
    try:
        yield
    except (DBAPIError, engine.dialect.loaded_dbapi.Error) as broken:
        original = getattr(broken, "orig", broken)
        if getattr(original, "sqlstate", None) in _LOST_RACES:
            raise Unavailable("MUNI-S502", "another change came first; try again", retry=True) from broken
        if getattr(broken, "connection_invalidated", False) or type(broken).__name__ == "OperationalError":
            raise Unavailable(
                "MUNI-S501",
                "the state store did not answer",
                engine=engine.dialect.name,
                reason=str(original)[:300],
                do="check that the disk is not full and that the database is reachable: muni doctor",
            ) from broken
        if type(broken).__name__ == "DatabaseError":
            raise IntegrityError(
                "MUNI-S507",
                "the database is damaged",
                engine=engine.dialect.name,
                reason=str(original)[:300],
                do="stop and keep everything as it is; restore the newest backup of the database",
            ) from broken
        raise


def _begin(connection: Connection, statement: str) -> None:
    """Begin on SQLite, at a tenth of the cost of SQLAlchemy's way."""
    connection.rollback()
    connection.begin()
    cast("Any", connection.connection.dbapi_connection).execute(statement)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def open_engine(url: str) -> Engine:
    """An engine for the URL with the settings that durability needs."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=64,
        connect_args={"timeout": _PATIENCE_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def durable(raw: Any, _record: object) -> None:
        raw.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
            "trusted_schema=OFF",
        ):
            raw.execute(f"pragma {pragma}").close()

    return engine
