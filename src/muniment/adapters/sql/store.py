"""The store on SQLite or PostgreSQL: transactions, and the repositories bound to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from muniment.adapters.sql.direct import driver
from muniment.errors import IntegrityError, Unavailable
from muniment.kernel.ports import Faults, NoFaults

T = TypeVar("T")
Repositories = Mapping[type[Any], Callable[[Connection], Any]]

_PATIENCE_S: Final = 30.0
_READERS_KEPT: Final = 8
_MOST_MEMBERS: Final = 64
_LONGEST_GROUP_S: Final = 0.02
"""So many transactions are made durable by one commit at most, and none joins one that has been open for longer."""

_GLANCE_S: Final = 0.02
"""Who waits for the commit of others looks so often whether they are still there."""

_STATEMENTS_KEPT: Final = 512
"""Statements that a SQLite connection keeps prepared; the driver's own 128 are fewer than the platform has."""

_MAPPED: Final = 2**31 - 2**16
"""Bytes of a SQLite file that are read through the page cache itself, the most that Debian's library maps: searches and
walks of lineage look up hundreds of thousands of pages, and each would be copied. Writes do not go through the map."""

_LOST_RACES: Final = frozenset({"40001", "40P01", "23505"})
"""States of PostgreSQL after which a transaction may be tried again from its start: serialization failure, deadlock,
and the unique violation that two overlapping serializable transactions can meet although both looked first (PostgreSQL
manual, section 13.5)."""


class SqlSession:
    """One transaction; repositories are made when first asked for."""

    __slots__ = ("_bound", "_connection", "_repositories")

    def __init__(self, connection: Connection, repositories: Repositories) -> None:
        self._connection, self._repositories = connection, repositories
        self._bound: dict[type[Any], Any] = {}

    def use(self, port: type[T]) -> T:
        """The repository that implements this port, bound to the transaction."""
        bound = self._bound.get(port)
        if bound is None:
            bound = self._bound[port] = self._repositories[port](self._connection)
        return cast("T", bound)


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
        self._lender: _Lender = (
            _FileLender(self.engine) if self.engine.dialect.name == "sqlite" else _ServerLender(self.engine)
        )

    def write(self) -> AbstractContextManager[SqlSession]:
        """A writing transaction: commits when the block ends, rolls back when it raises."""
        return _Transaction(self._lender, self._repositories, self._faults, writes=True)

    def read(self) -> AbstractContextManager[SqlSession]:
        """A reading transaction: one consistent view."""
        return _Transaction(self._lender, self._repositories, self._faults, writes=False)

    def close(self) -> None:
        """Give back all connections."""
        self._lender.close()
        self.engine.dispose()


class _Transaction:
    """One transaction as a context; a generator would cost a third of the time that the database takes."""

    __slots__ = ("_faults", "_lender", "_lent", "_repositories", "_writes")

    def __init__(self, lender: _Lender, repositories: Repositories, faults: Faults, *, writes: bool) -> None:
        self._lender, self._repositories, self._faults, self._writes = lender, repositories, faults, writes

    def __enter__(self) -> SqlSession:
        try:
            self._lent = self._lender.lend(writes=self._writes)
        except Exception as broken:
            _tell(broken, self._lender.engine)
            raise
        return SqlSession(self._lent.connection, self._repositories)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        lender, ended = self._lender, False
        try:
            try:
                if self._writes and error is None:
                    self._faults.point("store.commit")
                    ended = True
                    lender.commit(self._lent)
                    self._faults.point("store.committed")
            except BaseException as broken:
                error = broken
                raise
            finally:
                doubtful = isinstance(error, (DBAPIError, lender.engine.dialect.loaded_dbapi.Error))
                lender.take_back(self._lent, writes=self._writes, ended=ended, doubtful=doubtful)
        except Exception as broken:
            _tell(broken, lender.engine)
            raise
        if error is not None:
            _tell(error, lender.engine)


class _Lent(NamedTuple):
    """A connection in a transaction."""

    connection: Connection
    raw: Any
    """The driver's own; None where SQLAlchemy begins and ends."""


class _Lender(Protocol):
    """Lends connections that are in a new transaction."""

    engine: Engine

    def lend(self, *, writes: bool) -> _Lent:
        """A connection in a new transaction."""

    def commit(self, lent: _Lent) -> None:
        """Keep what the transaction did; returns once it is durable."""

    def take_back(self, lent: _Lent, *, writes: bool, ended: bool, doubtful: bool) -> None:
        """Undo whatever was not committed.

        Args:
            lent: what was lent.
            writes: as it was lent.
            ended: whether it was to be committed, well or not.
            doubtful: whether the driver raised, so that the connection may be broken.
        """

    def close(self) -> None:
        """Close what is kept for the next who ask."""


class _Group:
    """Writing transactions of several threads, one after the other, that one commit makes durable."""

    __slots__ = ("began", "ended", "failed", "members")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.members = 0
        """Transactions in it that are done and wait for the commit."""
        self.failed = False
        """Whether nothing of it was kept."""
        self.ended = threading.Event()


class _FileLender:
    """On SQLite: one connection that writes, on which the threads take turns, and some that read.

    They begin and end at the driver, at a tenth of the cost of SQLAlchemy's way: to SQLAlchemy each of them is in one
    transaction that never ends.

    A commit waits for the disk, and with it every thread whose turn comes later. So a thread that is done while others
    wait for their turn leaves the transaction open to the next, which goes on behind a savepoint, and the last of them
    commits for all. Nobody returns before that commit; if it fails, it has failed for everyone in the group. The turn
    is only ever held by the thread that works; ``_group`` and ``_writer`` change hands with it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._closed = False
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._group: _Group | None = None
        self._writer: _Lent | None = None
        self._readers: list[_Lent] = []

    def lend(self, *, writes: bool) -> _Lent:
        """A connection in a new transaction; raises Unavailable when another change lasts too long."""
        if not writes:
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = None
            return self._begin(reader, "begin")
        if not self._take_turn():
            raise Unavailable("MUNI-S503", "another change holds the state store", waited_s=_PATIENCE_S)
        try:
            if self._group is not None and self._writer is not None:
                self._writer.raw.execute("savepoint member")
                return self._writer
            writer, self._writer = self._writer, None
            self._writer = self._begin(writer, "begin immediate")
            self._group = _Group()
        except BaseException:
            self._fail()
            self._turn.release()
            raise
        return self._writer

    def commit(self, lent: _Lent) -> None:
        """Keep what the transaction did, by a commit of its own or by that of the group it is in."""
        group = self._group
        assert group is not None
        try:
            if group.members:
                lent.raw.execute("release member")
            group.members += 1
            if not self._goes_on(group, lent):
                self._end()
        except BaseException:
            self._fail()
            raise
        finally:
            self._turn.release()
        while not group.ended.wait(_GLANCE_S):
            self._end_forgotten(group)
        if group.failed:
            raise _lost()

    def take_back(self, lent: _Lent, *, writes: bool, ended: bool, doubtful: bool) -> None:
        """Undo whatever was not committed, and keep the connection unless it may be broken or was changed."""
        if not writes:
            self._take_reader_back(lent, doubtful=doubtful)
        elif not ended:
            group = self._group
            assert group is not None
            try:
                if group.members == 0:
                    self._fail(keeps=not doubtful)
                    return
                lent.raw.execute("rollback to member")
                lent.raw.execute("release member")
                if doubtful or not self._goes_on(group, lent):
                    self._end(keeps=not doubtful)
            except BaseException as broken:  # the whole transaction is undone: nobody's part of it is kept
                self._fail()
                if not isinstance(broken, Exception):  # somebody wants the process to end
                    raise
            finally:
                self._turn.release()

    def _take_reader_back(self, lent: _Lent, *, doubtful: bool) -> None:
        keeps = False
        try:
            if not doubtful:
                if lent.raw.in_transaction:
                    lent.raw.rollback()
                keeps = _unchanged(lent)
        finally:
            if keeps and not self._closed and len(self._readers) < _READERS_KEPT:
                self._readers.append(lent)
            else:
                _let_go(lent.connection, self._closed)

    def _take_turn(self) -> bool:
        if self._turn.acquire(blocking=False):
            return True
        with self._counting:
            self._waiting += 1
        try:
            return self._turn.acquire(timeout=_PATIENCE_S)
        finally:
            with self._counting:
                self._waiting -= 1

    def _goes_on(self, group: _Group, lent: _Lent) -> bool:
        """Whether somebody else goes on with the open transaction: not for long, so that other processes get in."""
        soon = group.members < _MOST_MEMBERS and time.monotonic() - group.began < _LONGEST_GROUP_S
        return soon and self._waiting > 0 and _unchanged(lent)

    def _end(self, *, keeps: bool = True) -> None:
        """Commit the group."""
        group, writer = self._group, self._writer
        assert group is not None
        assert writer is not None
        writer.raw.commit()
        self._group = None
        group.ended.set()
        if self._closed or not keeps or not _unchanged(writer):
            self._writer = None
            _let_go(writer.connection, self._closed)

    def _end_forgotten(self, group: _Group) -> None:
        """Commit the group if whoever was to go on with it gave up waiting for his turn."""
        if self._turn.acquire(blocking=False):
            try:
                if self._group is group:
                    self._end()
            except BaseException:
                self._fail()
                raise
            finally:
                self._turn.release()

    def _fail(self, *, keeps: bool = False) -> None:
        """Undo the group and tell its members to try again; keep the connection only if nothing is wrong with it."""
        group, self._group = self._group, None
        writer, self._writer = self._writer, None
        try:
            if writer is not None and keeps:
                if writer.raw.in_transaction:
                    writer.raw.rollback()
                if _unchanged(writer) and not self._closed:
                    self._writer = writer
        finally:
            if group is not None:
                group.failed = True
                group.ended.set()
            if writer is not None and self._writer is None:
                _let_go(writer.connection, self._closed)

    def close(self) -> None:
        """Close what is kept for the next who ask; what comes back later is closed then."""
        self._closed = True
        writer = self._writer if self._group is None else None  # one in a transaction is closed with it
        if writer is not None:
            self._writer = None
        readers, self._readers = self._readers, []
        for lent in [*readers, *([writer] if writer else [])]:
            lent.connection.close()

    def _begin(self, kept: _Lent | None, statement: str) -> _Lent:
        lent = kept or self._open()
        try:
            lent.raw.execute(statement)
        except BaseException:
            lent.connection.close()
            raise
        return lent

    def _open(self) -> _Lent:
        connection = self.engine.connect()
        return _Lent(connection, driver(connection))


class _ServerLender:
    """On PostgreSQL: the pool's connections, with the isolation that the transaction needs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._closed = False

    def lend(self, *, writes: bool) -> _Lent:
        """A connection in a new transaction."""
        connection = self.engine.connect()
        try:
            connection = connection.execution_options(isolation_level="SERIALIZABLE" if writes else "REPEATABLE READ")
            return _Lent(connection, None)
        except BaseException:
            connection.close()
            raise

    def commit(self, lent: _Lent) -> None:
        """Keep what the transaction did."""
        lent.connection.commit()

    def take_back(self, lent: _Lent, *, writes: bool, ended: bool, doubtful: bool) -> None:
        """Undo whatever was not committed; the pool finds out by itself whether the connection is broken."""
        try:
            lent.connection.rollback()
        finally:
            _let_go(lent.connection, self._closed)

    def close(self) -> None:
        """Nothing is kept, also of what comes back later."""
        self._closed = True


def _let_go(connection: Connection, closed: bool) -> None:
    """Give a connection back; once the store is closed its pool is gone, and nobody else would close it."""
    if closed and not connection.closed and not connection.invalidated:
        connection.detach()
    connection.close()


def _lost() -> Unavailable:
    return Unavailable("MUNI-S502", "another change came first; try again", retry=True)


def _unchanged(lent: _Lent) -> bool:
    """Whether the connection is as it was made: what a borrower set must not meet the next one."""
    return not lent.connection.get_execution_options()


@contextmanager
def answering(engine: Engine) -> Iterator[None]:
    """Turn what the driver raises into what the platform can act on.

    Raises:
        Unavailable: the database does not answer, or another transaction came first.
        IntegrityError: the file is no database, or a damaged one.
    """
    try:
        yield
    except Exception as broken:
        _tell(broken, engine)
        raise


def _tell(broken: BaseException, engine: Engine) -> None:
    """Raise what the platform can act on in place of what the driver raised; return when it was something else."""
    if not isinstance(broken, (DBAPIError, engine.dialect.loaded_dbapi.Error)):
        return
    original = getattr(broken, "orig", broken)
    if getattr(original, "sqlstate", None) in _LOST_RACES:
        raise _lost() from broken
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
        connect_args={
            "timeout": _PATIENCE_S,
            "check_same_thread": False,
            "cached_statements": _STATEMENTS_KEPT,
        },
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
            f"mmap_size={_MAPPED}",
        ):
            raw.execute(f"pragma {pragma}").close()

    return engine
