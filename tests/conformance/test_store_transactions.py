"""The store on each engine: what commits is seen, what fails is not, and writers that race are told."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from muniment.adapters.sql import repositories
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore
from muniment.errors import Unavailable
from muniment.kernel.ports import Faults
from muniment.testing.fakes import CutAt, PowerCut


class Notes:
    """A repository of one table, for these tests only."""

    def __init__(self, connection) -> None:
        self._connection = connection

    def add(self, note: str) -> None:
        self._connection.execute(text("insert into notes values (:note)"), {"note": note})

    def one_by_one(self) -> dict[str, object]:
        """What the connection was set to; from now on it gives rows one by one."""
        before = dict(self._connection.get_execution_options())
        self._connection.execution_options(yield_per=1)
        return before

    def driver(self) -> Any:
        """The driver's own connection."""
        return self._connection.connection.dbapi_connection

    def all(self) -> list[str]:
        return [row.note for row in self._connection.execute(text("select note from notes order by note"))]


@pytest.fixture
def open_notes(store_url: str):
    """Opens stores on one database that holds one table of notes."""
    opened: list[SqlStore] = []

    def open_(faults: Faults | None = None) -> SqlStore:
        opened.append(SqlStore(store_url, {Notes: Notes}, faults))
        return opened[-1]

    with open_().engine.begin() as connection:
        connection.execute(text("create table notes (note varchar(40) primary key)"))
    yield open_
    for one in opened:
        one.close()


def test_a_transaction_that_raises_leaves_nothing(open_notes) -> None:
    """When the block raises, not one of its writes is seen afterwards."""
    store = open_notes()
    with pytest.raises(RuntimeError, match="changed my mind"), store.write() as session:
        session.use(Notes).add("gone")
        raise RuntimeError("changed my mind")
    with store.read() as session:
        assert session.use(Notes).all() == []


def test_a_commit_is_seen_by_another_store(open_notes) -> None:
    """What one store committed, another store on the same database reads."""
    with open_notes().write() as session:
        session.use(Notes).add("kept")
    with open_notes().read() as session:
        assert session.use(Notes).all() == ["kept"]


@pytest.mark.parametrize(("point", "survives"), [(1, False), (2, True)])
def test_death_around_the_commit_is_all_or_nothing(open_notes, point: int, survives: bool) -> None:
    """Dying just before the commit leaves nothing, dying just after it leaves everything."""
    with pytest.raises(PowerCut), open_notes(CutAt(point)).write() as session:
        session.use(Notes).add("a")
        session.use(Notes).add("b")
    with open_notes().read() as session:
        assert session.use(Notes).all() == (["a", "b"] if survives else [])


def test_a_read_is_one_consistent_view(open_notes) -> None:
    """A reader that began before a commit does not see it until it begins again."""
    store = open_notes()
    with store.read() as reader:
        before = reader.use(Notes).all()
        with store.write() as writer:
            writer.use(Notes).add("later")
        assert reader.use(Notes).all() == before == []
    with store.read() as reader:
        assert reader.use(Notes).all() == ["later"]


def test_an_unreachable_database_is_unavailable(open_notes, store_url: str) -> None:
    """A store that cannot be reached answers Unavailable with advice, not with a driver's exception."""
    target = store_url.replace("/t_", "/absent_") if "postgres" in store_url else "sqlite:////nonexistent/folder/a.db"
    closed = SqlStore(target, {})
    with pytest.raises(Unavailable) as refused, closed.read():
        pass
    closed.close()
    assert refused.value.code == "MUNI-S501"
    assert "muni doctor" in refused.value.facts["do"]


def test_what_a_transaction_sets_on_its_connection_ends_with_it(open_notes) -> None:
    """Options that one transaction gives its connection are not met by the next, whether it reads or writes."""
    store = open_notes()
    for transaction in (store.read, store.write):
        seen = []
        for _ in range(2):
            with transaction() as session:
                seen.append(session.use(Notes).one_by_one())
        assert seen[0] == seen[1]
        assert "yield_per" not in seen[1]


def test_connections_are_kept_and_shared_by_turns(open_notes) -> None:
    """Readers side by side see one view each; when all have ended, a reader still sees what was committed last."""
    store = open_notes()
    with ExitStack() as readers:
        views = [readers.enter_context(store.read()).use(Notes) for _ in range(12)]
        assert [view.all() for view in views] == [[]] * 12
        with store.write() as session:
            session.use(Notes).add("kept")
        assert [view.all() for view in views] == [[]] * 12
    for _ in range(12):
        with store.read() as session:
            assert session.use(Notes).all() == ["kept"]


def test_a_statement_that_fails_ends_no_more_than_its_transaction(open_notes) -> None:
    """After a statement that the database refused, the next transactions write and read as before."""
    store = open_notes()
    for transaction in (store.write, store.read):
        with pytest.raises((SQLAlchemyError, Unavailable)), transaction() as session:
            session.use(Notes).add("half")
            session.use(Notes).add("half")
    with store.write() as session:
        session.use(Notes).add("whole")
    with store.read() as session:
        assert session.use(Notes).all() == ["whole"]


def test_same_repository_within_a_transaction(store: SqlStore) -> None:
    """Asking twice for a port in one transaction gives one object."""
    with store.read() as session:
        assert all(session.use(port) is session.use(port) for port in REPOSITORIES)


def test_no_two_rooms_claim_one_port() -> None:
    """Every port has one implementation: merging the rooms loses none."""
    rooms = [room for room in vars(repositories).values() if isinstance(room, ModuleType)]
    assert len(rooms) > 5
    assert len(REPOSITORIES) == sum(len(room.REPOSITORIES) for room in rooms)


@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
def test_what_is_lent_when_the_store_closes_is_closed_when_it_comes_back(open_notes, writes: bool) -> None:
    """A thread that still holds a connection when everything ends leaves none open behind it."""
    store = open_notes()
    with store.write() if writes else store.read() as session:
        notes = session.use(Notes)
        notes.all()
        held = notes.driver()
        store.close()
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        held.execute("select 1")
