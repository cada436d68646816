"""The inventory in SQL: records, which are never updated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Index, Row, String, Table, Text, insert, select

from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT, NAME
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.canonical import canonical
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time, parse_time

RECORDS: Final = Table(
    "inventory_record",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("project", NAME, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", NAME, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("by", NAME, nullable=False),
    Column("grade", String(16), nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Index(None, "project", "subject", "id"),
    Index(None, "project", "kind", "id"),
)

_SUBJECTS_AT_ONCE: Final = 500


class SqlRecords:
    """Records, in the order they were made."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, record: Record) -> None:
        """Keep a record whose id is new."""
        self._connection.execute(
            insert(RECORDS),
            {
                "id": record.id,
                "project": record.project,
                "kind": record.kind.value,
                "subject": record.subject,
                "at": format_time(record.at),
                "by": record.by,
                "grade": record.grade.value,
                "body": canonical(dict(record.body)).decode(),
                "digest": record.digest,
            },
        )

    def get(self, project: str, record: str) -> Record | None:
        """The record of this id."""
        query = select(RECORDS).where(RECORDS.c.id == record, RECORDS.c.project == project)
        row = self._connection.execute(query).first()
        return None if row is None else _record(row)

    def about(self, project: str, subjects: Iterable[str], kind: RecordKind | None = None) -> Sequence[Record]:
        """What was said about these subjects, oldest first."""
        wanted, found = sorted(set(subjects)), list[Record]()
        for at in range(0, len(wanted), _SUBJECTS_AT_ONCE):
            some = wanted[at : at + _SUBJECTS_AT_ONCE]
            query = select(RECORDS).where(RECORDS.c.project == project, RECORDS.c.subject.in_(some))
            if kind is not None:
                query = query.where(RECORDS.c.kind == kind.value)
            found += map(_record, self._connection.execute(query))
        return sorted(found, key=lambda record: record.id)

    def of_kind(self, project: str, kind: RecordKind, limit: int | None = None) -> Sequence[Record]:
        """Records of one kind, newest first."""
        query = select(RECORDS).where(RECORDS.c.project == project, RECORDS.c.kind == kind.value)
        return [*map(_record, self._connection.execute(query.order_by(RECORDS.c.id.desc()).limit(limit)))]


def _record(row: Row[Any]) -> Record:
    return Record(
        row.id,
        row.project,
        RecordKind(row.kind),
        row.subject,
        parse_time(row.at),
        row.by,
        Grade(row.grade),
        json.loads(row.body),
    )


REPOSITORIES: Final[Mapping[type[Any], Callable[[Connection], Any]]] = {Records: SqlRecords}
