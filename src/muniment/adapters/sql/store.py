"""The store on SQLite or PostgreSQL: transactions, and the repositories bound to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from muniment.errors import Unavailable
from muniment.kernel.ports import Faults, NoFaults

T = TypeVar("T")
Repositories = Mapping[type[Any], Callable[[Connection], Any]]

_SERIALIZATION_FAILURES: Final = frozenset({"40001", "40P01"})


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

    SQLite runs in WAL mode with ``synchronous=FULL`` and takes its write lock when a writing transaction begins;
    PostgreSQL runs writing transactions serializable. A transaction that lost a race raises Unavailable, which is safe to
    retry from the start.
    """

    def __init__(self, url: str, repositories: Repositories, faults: Faults | None = None) -> None:
        self.engine = open_engine(url)
        self._repositories = repositories
        self._faults = faults or NoFaults()

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
        try:
            with self.engine.connect() as connection:
                if self.engine.dialect.name == "sqlite":
                    connection.exec_driver_sql(begin)
                else:
                    connection = connection.execution_options(isolation_level=isolation)  # noqa: PLW2901
                try:
                    yield connection
                finally:
                    connection.rollback()
        except DBAPIError as broken:
            state = getattr(broken.orig, "sqlstate", None)
            if state in _SERIALIZATION_FAILURES:
                raise Unavailable("MUNI-S502", "another change came first; try again", retry=True) from broken
            if broken.connection_invalidated or type(broken).__name__ == "OperationalError":
                raise Unavailable(
                    "MUNI-S501",
                    "the state store did not answer",
                    engine=self.engine.dialect.name,
                    reason=str(broken.orig)[:300],
                    do="check that the disk is not full and that the database is reachable: muni doctor",
                ) from broken
            raise

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


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
        connect_args={"timeout": 30.0, "check_same_thread": False},
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
