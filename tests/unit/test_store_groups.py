"""Properties of writing transactions on SQLite that several threads have made durable by one commit."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.errors import Unavailable

THREADS = 8


class Notes:
    """A repository of one table, for these tests only."""

    def __init__(self, connection) -> None:
        self.connection = connection

    def add(self, note: str) -> None:
        self.connection.execute(text("insert into notes values (:note)"), {"note": note})

    def all(self) -> list[str]:
        return [row.note for row in self.connection.execute(text("select note from notes order by note"))]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """A store of one table of notes, which a deferred constraint can make impossible to commit."""
    opened = SqlStore(sqlite_url(tmp_path / "notes.db"), {Notes: Notes})
    with opened.engine.begin() as connection:
        connection.execute(text("create table notes (note varchar(40) primary key)"))
        connection.execute(text("create table owed (note varchar(40) references notes deferrable initially deferred)"))
    yield opened
    opened.close()


def together(store: SqlStore, write: Callable[[int], None]) -> list[BaseException | None]:
    """What came of each thread's writing; they all wait for one turn, which is held until the last has come.

    The last of the list is the one that held the turn and wrote ``first``.
    """
    came: list[BaseException | None] = [None] * (THREADS + 1)

    def begin() -> None:
        with store.write() as session:
            session.use(Notes).add("first")
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 30
            while store._lender._waiting < THREADS:
                assert time.monotonic() < deadline
                time.sleep(0.001)

    def do(number: int, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as trouble:
            came[number] = trouble

    threads = [threading.Thread(target=do, args=(number, partial(write, number))) for number in range(THREADS)]
    do(THREADS, begin)
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return came


def expected(came: list[BaseException | None]) -> list[str]:
    """The notes of those who were told that their change is kept."""
    names = [*(f"n{number}" for number in range(THREADS)), "first"]
    return sorted(name for name, trouble in zip(names, came, strict=True) if trouble is None)


def kept(store: SqlStore) -> list[str]:
    """The notes that somebody else finds in the file."""
    outside = sqlite3.connect(str(store.engine.url.database))
    try:
        return [note for (note,) in outside.execute("select note from notes order by note")]
    finally:
        outside.close()


def _may_try_again(trouble: BaseException) -> bool:
    return isinstance(trouble, Unavailable) and bool(trouble.facts.get("retry"))


def test_nobody_returns_before_his_change_is_kept(store: SqlStore) -> None:
    """Each thread finds its own change in the file, through a connection of its own, as soon as its block ends."""
    seen: list[bool] = []

    def write(number: int) -> None:
        with store.write() as session:
            session.use(Notes).add(f"n{number}")
        seen.append(f"n{number}" in kept(store))

    assert together(store, write) == [None] * (THREADS + 1)
    assert seen == [True] * THREADS
    assert kept(store) == ["first", *(f"n{number}" for number in range(THREADS))]


def test_who_fails_takes_nobody_along(store: SqlStore) -> None:
    """Blocks that raise, by themselves or through the driver, leave nothing; those before and after them are kept."""

    def write(number: int) -> None:
        with store.write() as session:
            session.use(Notes).add(f"n{number}")
            if number % 4 == 1:
                raise RuntimeError("changed my mind")
            if number % 4 == 2:
                session.use(Notes).add("first")

    came = together(store, write)
    assert [type(one).__name__ for one in came] == ["NoneType", "RuntimeError", "IntegrityError", "NoneType"] * 2 + [
        "NoneType"
    ]
    assert kept(store) == ["first", "n0", "n3", "n4", "n7"]


def test_a_commit_that_fails_has_failed_for_all_of_it(store: SqlStore) -> None:
    """Who is told that a change is kept finds it, and who is told that it is not does not, also where commits fail."""

    def write(number: int) -> None:
        with store.write() as session:
            session.use(Notes).add(f"n{number}")
            if number == 3:
                session.use(Notes).connection.execute(text("insert into owed values ('nobody')"))

    came = together(store, write)
    assert came[3] is not None
    own = [one for one in came if one is not None and not _may_try_again(one)]
    assert [type(one) for one in own] == [sqlite3.IntegrityError]  # of the thread that committed
    assert kept(store) == expected(came)
    with store.write() as session:
        session.use(Notes).add("later")
    assert "later" in kept(store)


def test_a_transaction_that_the_engine_undid_is_lost_for_all(store: SqlStore) -> None:
    """Who shared a transaction with one that the engine undid is told to try again, and nothing of his is left."""

    def write(number: int) -> None:
        with store.write() as session:
            session.use(Notes).add(f"n{number}")
            if number == 3:
                session.use(Notes).connection.connection.dbapi_connection.execute("rollback")
                raise RuntimeError("the disk is full")

    came = together(store, write)
    assert isinstance(came[3], RuntimeError)
    assert all(one is None or number == 3 or _may_try_again(one) for number, one in enumerate(came))
    assert kept(store) == expected(came)


def test_many_threads_lose_nothing(store: SqlStore) -> None:
    """Eight threads with fifty changes each, some of which fail: exactly those that succeeded are there."""
    done: list[str] = []

    def write(number: int) -> None:
        for turn in range(50):
            try:
                with store.write() as session:
                    session.use(Notes).add(f"{number}-{turn:02}")
                    if turn % 7 == number % 7:
                        raise RuntimeError
                done.append(f"{number}-{turn:02}")
            except RuntimeError:
                pass

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert kept(store) == sorted(done)
    with store.read() as session:
        assert session.use(Notes).all() == sorted(done)
