"""The online table of features, and what was published into it.

Rows lie in the order of (table, key), so that a read of one entity is one look at one index and nothing else. A row is
replaced only by one that does not go back in (event, known): the database itself compares, inside the upsert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT, NAME
from muniment.data.features.ports import Online, OnlineRow, Publication
from muniment.kernel.digest import Digest

_NODE: Final = BigInteger().with_variant(Integer, "sqlite")
_BATCH: Final = 5_000
_AT_ONCE: Final = 500

TABLE: Final = Table(
    "feature_table",
    METADATA,
    Column("id", _NODE, primary_key=True, autoincrement=True),
    Column("project", NAME, nullable=False),
    Column("view", DIGEST, nullable=False),
    UniqueConstraint("project", "view"),
)

ONLINE: Final = Table(
    "feature_online",
    METADATA,
    Column("table_id", _NODE, nullable=False),
    Column("key", String(1000), nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("known", BigInteger, nullable=False),
    Column("publication", ID, nullable=False),
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("table_id", "key"),
    sqlite_with_rowid=False,
)

PUBLICATION: Final = Table(
    "feature_publication",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("project", NAME, nullable=False),
    Column("view", DIGEST, nullable=False),
    Column("build", DIGEST, nullable=False),
    Column("as_of", MOMENT, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("by", NAME, nullable=False),
    Column("key_types", Text, nullable=False),
    Column("offered", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
    Index(None, "project", "view", "at"),
)

_READ: Final = (
    select(ONLINE.c.key, ONLINE.c.event, ONLINE.c.known, ONLINE.c.content)
    .join(TABLE, TABLE.c.id == ONLINE.c.table_id)
    .where(
        TABLE.c.project == bindparam("project"),
        TABLE.c.view == bindparam("view"),
        ONLINE.c.key.in_(bindparam("keys", expanding=True)),
    )
)


class SqlOnline:
    """``Online`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put(self, project: str, view: Digest, publication: str, rows: Iterable[OnlineRow]) -> int:
        """Keep rows that do not go back in time."""
        table = self._table(project, view)
        remaining = iter(rows)
        statement = (sqlite if self._db.dialect.name == "sqlite" else postgresql).insert(ONLINE)
        new, old = statement.excluded, ONLINE.c
        forward = or_(new.event > old.event, and_(new.event == old.event, new.known >= old.known))
        changed = {name: new[name] for name in ("event", "known", "publication", "content")}
        upsert = statement.on_conflict_do_update(index_elements=["table_id", "key"], set_=changed, where=forward)
        while batch := list(islice(remaining, _BATCH)):
            self._db.execute(
                upsert,
                [
                    {
                        "table_id": table,
                        "key": row.key,
                        "event": row.event,
                        "known": row.known,
                        "publication": publication,
                        "content": row.content,
                    }
                    for row in batch
                ],
            )
        taken = select(func.count()).where(old.table_id == table, old.publication == publication)
        return int(self._db.execute(taken).scalar() or 0)

    def keep_only(self, project: str, view: Digest, keys: Iterable[str]) -> int:
        """Take out all other entities."""
        table, kept = self._table(project, view), set(keys)
        held = self._db.execute(select(ONLINE.c.key).where(ONLINE.c.table_id == table)).scalars()
        gone = sorted(key for key in held if key not in kept)
        for start in range(0, len(gone), _AT_ONCE):
            chosen = gone[start : start + _AT_ONCE]
            self._db.execute(delete(ONLINE).where(ONLINE.c.table_id == table, ONLINE.c.key.in_(chosen)))
        return len(gone)

    def get(self, project: str, view: Digest, keys: Sequence[str]) -> Mapping[str, OnlineRow]:
        """What is known of these entities."""
        found: dict[str, OnlineRow] = {}
        for start in range(0, len(keys), _AT_ONCE):
            given = {"project": project, "view": view, "keys": list(keys[start : start + _AT_ONCE])}
            for key, event, known, content in self._db.execute(_READ, given):
                found[key] = OnlineRow(key, event, known, content)
        return found

    def rows(self, project: str, view: Digest) -> Iterator[OnlineRow]:
        """Every row, in order of the keys."""
        here = (TABLE.c.project == project, TABLE.c.view == view)
        query = (
            select(ONLINE.c.key, ONLINE.c.event, ONLINE.c.known, ONLINE.c.content)
            .join(TABLE, TABLE.c.id == ONLINE.c.table_id)
            .where(*here)
            .order_by(ONLINE.c.key)
        )
        for row in self._db.execute(query):
            yield OnlineRow(*row)

    def count(self, project: str, view: Digest) -> int:
        """How many entities the table holds."""
        here = (TABLE.c.project == project, TABLE.c.view == view)
        query = select(func.count()).select_from(ONLINE).join(TABLE, TABLE.c.id == ONLINE.c.table_id).where(*here)
        return int(self._db.execute(query).scalar() or 0)

    def views(self, project: str) -> Sequence[Digest]:
        """The views that have a table."""
        query = select(TABLE.c.view).where(TABLE.c.project == project).order_by(TABLE.c.view)
        return [Digest(view) for view in self._db.execute(query).scalars()]

    def held(self, project: str, view: Digest) -> Mapping[str, int]:
        """How many rows came with each publication."""
        query = (
            select(ONLINE.c.publication, func.count())
            .join(TABLE, TABLE.c.id == ONLINE.c.table_id)
            .where(TABLE.c.project == project, TABLE.c.view == view)
            .group_by(ONLINE.c.publication)
        )
        return {publication: int(rows) for publication, rows in self._db.execute(query)}

    def remove(self, project: str, view: Digest, keys: Sequence[str]) -> int:
        """Take entities out."""
        return self._remove(project, view, ONLINE.c.key, keys)

    def remove_of(self, project: str, view: Digest, publications: Sequence[str]) -> int:
        """Take out what came with these publications."""
        return self._remove(project, view, ONLINE.c.publication, publications)

    def _remove(self, project: str, view: Digest, column: Column[Any], values: Sequence[str]) -> int:
        table, gone = self._table(project, view), 0
        if self._db.dialect.name == "sqlite":  # what is taken out for somebody's sake does not stay in free pages
            self._db.exec_driver_sql("pragma secure_delete=on")
        for start in range(0, len(values), _AT_ONCE):
            chosen = list(values[start : start + _AT_ONCE])
            gone += self._db.execute(delete(ONLINE).where(ONLINE.c.table_id == table, column.in_(chosen))).rowcount
        return gone

    def published(self, publication: Publication) -> None:
        """Keep that the table was filled."""
        names = [column.name for column in PUBLICATION.columns]
        self._db.execute(insert(PUBLICATION), {name: getattr(publication, name) for name in names})

    def publications(self, project: str, view: Digest, limit: int) -> Sequence[Publication]:
        """The latest fillings, newest first."""
        known = PUBLICATION.c
        query = (
            select(PUBLICATION)
            .where(known.project == project, known.view == view)
            .order_by(known.at.desc(), known.id.desc())
            .limit(limit)
        )
        return [
            Publication(**{**row._mapping, "view": Digest(row.view), "build": Digest(row.build)})
            for row in self._db.execute(query)
        ]

    def _table(self, project: str, view: Digest) -> int:
        query = select(TABLE.c.id).where(TABLE.c.project == project, TABLE.c.view == view)
        known = self._db.execute(query).scalar()
        if known is None:
            self._db.execute(insert(TABLE), {"project": project, "view": view})
            known = self._db.execute(query).scalar()
        assert known is not None
        return int(known)


REPOSITORIES: Final[dict[type[Any], Callable[[Connection], Any]]] = {Online: SqlOnline}
