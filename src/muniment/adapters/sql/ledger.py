"""The ledger's rows: entries, checkpoints and the head of the tree.

Entries without an index lie in one small index only; the indexes for searching take an entry when the sequencer
numbers it, many at once, so that recording one event touches few pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    func,
    select,
    text,
)

from muniment.adapters.sql.direct import driver
from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT
from muniment.errors import IntegrityError
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.ledger.model import Checkpoint, Entry, NewEntry, Search, column, columns
from muniment.ledger.ports import CheckpointRepository, EntryRepository, Head

ENTRIES: Final = Table(
    "ledger_entries",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("idx", BigInteger, nullable=True),
    Column("body", Text, nullable=False),
    Column("type", String(200), nullable=False),
    Column("time", MOMENT, nullable=False),
    Column("principal", String(200), nullable=False),
    Column("project", String(200), nullable=True),
    Column("outcome", String(200), nullable=False),
    Column("subject", String(200), nullable=False),
)

_NUMBERED: Final = text("idx is not null")
_WAITING: Final = text("idx is null")

Index("ix_ledger_waiting", ENTRIES.c.time, ENTRIES.c.id, sqlite_where=_WAITING, postgresql_where=_WAITING)
Index("uq_ledger_idx", ENTRIES.c.idx, unique=True, sqlite_where=_NUMBERED, postgresql_where=_NUMBERED)
for _name in ("type", "time", "principal", "project", "outcome", "subject"):
    Index(
        f"ix_ledger_{_name}",
        ENTRIES.c[_name],
        ENTRIES.c.idx,
        sqlite_where=_NUMBERED,
        postgresql_where=_NUMBERED,
    )

CHECKPOINTS: Final = Table(
    "ledger_checkpoints",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", DIGEST, nullable=False),
    Column("origin", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Column("time", MOMENT, nullable=False),
)

HEAD: Final = Table(
    "ledger_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("frontier", Text, nullable=False),
)

_SEQUENCER_LOCK: Final = 0x6D756E69
"""The PostgreSQL advisory lock of the sequencer."""

_PLACEHOLDER: Final = {"sqlite": "?", "postgresql": "%s"}
_MOST_ROWS: Final = 128
"""Rows that one statement adds at most."""

_ROW: Final = {dialect: f"({','.join([mark] * len(NewEntry._fields))})" for dialect, mark in _PLACEHOLDER.items()}
_ADD: Final = {
    (dialect, count): f"insert into ledger_entries ({','.join(NewEntry._fields)}) values "  # noqa: S608 - no value
    + ",".join([row] * count)
    for dialect, row in _ROW.items()
    for count in (2**n for n in range(_MOST_ROWS.bit_length()))
}
"""How to add one row, two, four and so on, so that few statements are prepared whatever the number is."""

_NUMBER: Final = {
    dialect: f"update ledger_entries set idx = {mark} where id = {mark} and idx is null"  # noqa: S608
    for dialect, mark in _PLACEHOLDER.items()
}

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class SqlEntries:
    """The ledger's entries within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def add(self, rows: Sequence[NewEntry]) -> None:
        """Store entries that have no index yet, past SQLAlchemy's own steps: the hot path of every answer.

        Many rows go in one statement, because the driver lets other threads run at each, and waits for its turn again.
        """
        raw = driver(self._connection)
        done, most = 0, _MOST_ROWS
        while done < len(rows):
            while most > len(rows) - done:
                most //= 2
            values = [value for row in rows[done : done + most] for value in row]
            raw.execute(_ADD[self._dialect, most], values)
            done += most

    def unsequenced(self, limit: int) -> list[tuple[str, str]]:
        """The id and body of the oldest entries without an index, by time and id."""
        e = ENTRIES.c
        query = select(e.id, e.body).where(e.idx.is_(None)).order_by(e.time, e.id).limit(limit)
        return [(id_, body) for id_, body in self._connection.execute(query)]

    def number(self, first: int, ids: Sequence[str]) -> None:
        """Give these entries the indices from ``first`` on."""
        if not ids:
            return
        pairs = [(first + offset, id_) for offset, id_ in enumerate(ids)]
        changed = self._connection.exec_driver_sql(_NUMBER[self._dialect], pairs).rowcount
        if changed != len(ids):
            raise IntegrityError(
                "MUNI-S504", "an entry was numbered twice", first=first, count=len(ids), changed=changed
            )

    def bodies(self, start: int, stop: int) -> list[tuple[int, str]]:
        """The index and body of the entries of a range, in order."""
        e = ENTRIES.c
        query = select(e.idx, e.body).where(e.idx >= start, e.idx < stop).order_by(e.idx)
        return [(index, body) for index, body in self._connection.execute(query)]

    def rows(self, start: int, stop: int) -> list[tuple[int, NewEntry]]:
        """The index of the entries of a range with everything stored of them, in order."""
        e = ENTRIES.c
        query = (
            select(e.idx, *(e[name] for name in NewEntry._fields)).where(e.idx >= start, e.idx < stop).order_by(e.idx)
        )
        return [(row[0], NewEntry(*row[1:])) for row in self._connection.execute(query)]

    def find(self, key: str | int) -> Entry | None:
        """The entry with this id or index."""
        e = ENTRIES.c
        row = self._connection.execute(
            select(e.idx, e.body).where(e.idx == key if isinstance(key, int) else e.id == key)
        ).one_or_none()
        return _entry(row) if row else None

    def search(self, search: Search) -> list[Entry]:
        """The entries that fit, the newest first."""
        e = ENTRIES.c
        fits = list(_conditions(search))
        found = select(e.idx, e.body).limit(search.limit)
        waiting = found.where(e.idx.is_(None), *fits).order_by(e.time.desc(), e.id.desc())
        entries = [_entry(row) for row in self._connection.execute(waiting)]
        if len(entries) < search.limit:
            numbered = found.where(e.idx.is_not(None), *fits).order_by(e.idx.desc()).limit(search.limit - len(entries))
            entries += [_entry(row) for row in self._connection.execute(numbered)]
        return entries

    def holding(self, text: str, since: str | None, until: str | None) -> list[Entry]:
        """The entries of a span of time that hold a text; one query by the index of times for each half."""
        e = ENTRIES.c
        span = [e.time >= since] if since is not None else []
        span += [e.time < until] if until is not None else []
        found = select(e.idx, e.body).where(*span, e.body.contains(text, autoescape=True))
        halves = (found.where(e.idx.is_not(None)), found.where(e.idx.is_(None)))
        return [_entry(row) for half in halves for row in self._connection.execute(half)]

    def counts(self) -> tuple[int, int, int]:
        """How many entries have an index, the largest index, and how many have none."""
        e = ENTRIES.c
        numbered, largest = self._connection.execute(
            select(func.count(), func.coalesce(func.max(e.idx), -1)).where(e.idx.is_not(None))
        ).one()
        waiting = self._connection.execute(select(func.count()).where(e.idx.is_(None))).scalar_one()
        return numbered, largest, waiting


class SqlCheckpoints:
    """The signed checkpoints and the head of the tree within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def hold(self) -> None:
        """Wait for the sequencer's lock. On SQLite the one writing transaction is the lock."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(select(func.pg_advisory_xact_lock(_SEQUENCER_LOCK)))

    def head(self) -> Head | None:
        """The head; None before the first checkpoint."""
        c = CHECKPOINTS.c
        row = self._connection.execute(
            select(c.origin, c.size, c.root, c.note, HEAD.c.frontier).join_from(
                HEAD, CHECKPOINTS, HEAD.c.size == c.size
            )
        ).one_or_none()
        if row is None:
            return None
        return Head(_checkpoint(row[:4]), tuple(bytes.fromhex(part) for part in row.frontier.split()))

    def advance(self, head: Head, time: str) -> None:
        """Store a checkpoint and make it the head."""
        signed = head.checkpoint
        frontier = " ".join(part.hex() for part in head.frontier)
        self._connection.execute(
            CHECKPOINTS.insert(),
            {"size": signed.size, "root": signed.root, "origin": signed.origin, "note": signed.note, "time": time},
        )
        moved = self._connection.execute(HEAD.update(), {"size": signed.size, "frontier": frontier})
        if moved.rowcount == 0:
            self._connection.execute(HEAD.insert(), {"id": 1, "size": signed.size, "frontier": frontier})

    def at(self, size: int) -> Checkpoint | None:
        """The checkpoint of exactly this size."""
        row = self._connection.execute(_CHECKPOINT.where(CHECKPOINTS.c.size == size)).one_or_none()
        return _checkpoint(row) if row else None

    def next(self, after: int, within: int) -> Checkpoint | None:
        """The largest checkpoint of at most ``after + within`` entries, or else the next one."""
        size = CHECKPOINTS.c.size
        near = _CHECKPOINT.where(size > after, size <= after + within).order_by(size.desc()).limit(1)
        far = _CHECKPOINT.where(size > after).order_by(size).limit(1)
        row = self._connection.execute(near).one_or_none() or self._connection.execute(far).one_or_none()
        return _checkpoint(row) if row else None

    def each(self) -> Iterator[Checkpoint]:
        """All of them, by size."""
        query = _CHECKPOINT.order_by(CHECKPOINTS.c.size)
        for row in self._connection.execute(query, execution_options={"yield_per": 1000}):
            yield _checkpoint(row)


_CHECKPOINT: Final = select(CHECKPOINTS.c.origin, CHECKPOINTS.c.size, CHECKPOINTS.c.root, CHECKPOINTS.c.note)


def _checkpoint(row: Any) -> Checkpoint:
    origin, size, root, note = row
    return Checkpoint(origin, size, Digest(root), note)


def _entry(row: Any) -> Entry:
    index, body = row
    raw = body.encode()
    try:
        document = _decode(raw)
        columns(document, body)
    except (msgspec.DecodeError, KeyError, AttributeError, TypeError) as broken:
        raise IntegrityError(
            "MUNI-S506",
            "a row of the ledger is not an event: the database was altered",
            index=-1 if index is None else index,
            do="stop and keep everything as it is: muni audit verify --deep",
        ) from broken
    return Entry(index, document, raw)


def _conditions(search: Search) -> Iterator[ColumnElement[bool]]:
    e = ENTRIES.c
    for name in ("principal", "project", "outcome"):
        value = getattr(search, name)
        if value is not None:
            yield e[name] == column(value)
    if search.type is not None:
        if search.type.endswith("*"):
            yield e.type.startswith(column(search.type[:-1]), autoescape=True)
        else:
            yield e.type == column(search.type)
    if search.since is not None:
        yield e.time >= format_time(search.since)
    if search.until is not None:
        yield e.time < format_time(search.until)
    if search.text is not None:
        yield e.body.icontains(json.dumps(search.text, ensure_ascii=False)[1:-1], autoescape=True)


REPOSITORIES: Final = {EntryRepository: SqlEntries, CheckpointRepository: SqlCheckpoints}
