"""Studies and their jobs in SQL. One job for one purpose: the key of a step says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    update,
)

from muniment.adapters.sql.schema import ID, METADATA, MOMENT, NAME
from muniment.errors import Conflict
from muniment.kernel.canonical import canonical
from muniment.kernel.identifiers import format_time, parse_time
from muniment.tuning.ports import Studies, StudyRow, StudyStep

STUDIES: Final = Table(
    "study",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("project", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("by", NAME, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("document", Text, nullable=False),
    Column("stopped_at", MOMENT),
    Column("resumed", Integer, nullable=False),
    UniqueConstraint("project", "name"),
)

STEPS: Final = Table(
    "study_step",
    METADATA,
    Column("study", ID, ForeignKey("study.id"), nullable=False),
    Column("do", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("run", ID, ForeignKey("run.id"), nullable=False),
    PrimaryKeyConstraint("study", "do", "number", "attempt"),
    sqlite_with_rowid=False,
)


class SqlStudies:
    """``Studies`` in SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, study: StudyRow) -> None:
        """Keep a new study; raises Conflict when the project has one of this name."""
        if self.get(study.project, study.name) is not None:
            raise Conflict(
                "MUNI-N301",
                f"there is a study {study.name!r} already",
                study=study.name,
                do=f"go on with it: muni tune resume {study.name}; or give another --study",
            )
        self._connection.execute(
            insert(STUDIES).values(
                id=study.id,
                project=study.project,
                name=study.name,
                by=study.by,
                at=format_time(study.at),
                document=canonical(dict(study.document)).decode(),
                stopped_at=None,
                resumed=0,
            )
        )

    def get(self, project: str, name: str) -> StudyRow | None:
        """The study of this name."""
        mine = select(STUDIES).where(STUDIES.c.project == project, STUDIES.c.name == name)
        row = self._connection.execute(mine).mappings().first()
        return None if row is None else _study(row)

    def all(self, project: str, limit: int) -> Sequence[StudyRow]:
        """Studies, newest first."""
        mine = select(STUDIES).where(STUDIES.c.project == project).order_by(STUDIES.c.id.desc()).limit(limit)
        return [_study(row) for row in self._connection.execute(mine).mappings()]

    def stop(self, study: str, at: datetime) -> None:
        """Let nothing more of it begin."""
        self._connection.execute(update(STUDIES).where(STUDIES.c.id == study).values(stopped_at=format_time(at)))

    def resume(self, study: str) -> None:
        """Let it go on."""
        again = {"stopped_at": None, "resumed": STUDIES.c.resumed + 1}
        self._connection.execute(update(STUDIES).where(STUDIES.c.id == study).values(again))

    def add_step(self, study: str, step: StudyStep) -> None:
        """Keep that a job was asked for."""
        self._connection.execute(
            insert(STEPS).values(study=study, do=step.do, number=step.number, attempt=step.attempt, run=step.run)
        )

    def steps(self, study: str) -> Sequence[StudyStep]:
        """Its jobs, in the order they were asked for."""
        mine = select(STEPS).where(STEPS.c.study == study).order_by(STEPS.c.run)
        return [
            StudyStep(row["do"], row["number"], row["attempt"], row["run"])
            for row in self._connection.execute(mine).mappings()
        ]


def _study(row: RowMapping) -> StudyRow:
    return StudyRow(
        id=row["id"],
        project=row["project"],
        name=row["name"],
        by=row["by"],
        at=parse_time(row["at"]),
        document=json.loads(row["document"]),
        stopped_at=None if row["stopped_at"] is None else parse_time(row["stopped_at"]),
        resumed=row["resumed"],
    )


REPOSITORIES: Final[Mapping[type[Any], Callable[[Connection], Any]]] = {Studies: SqlStudies}
