"""Runs, their leases and logs, and job environments, in SQL."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    RowMapping,
    String,
    Table,
    Text,
    and_,
    bindparam,
    or_,
    select,
    update,
)

from muniment.adapters.sql.direct import Among, Question
from muniment.adapters.sql.indexing import forget_values, index_run, index_values, renumbered, value_of
from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT, NAME
from muniment.errors import Conflict
from muniment.execution.bases import Bases
from muniment.execution.environments import Environments, JobEnvironment, Wheel
from muniment.execution.indexes import Indexes, PackageIndex
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import DELETED, LogChunk, RunLabels, RunLogs, RunQueue
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time

RUNS: Final = Table(
    "run",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("project", NAME, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("label", NAME, nullable=False),
    Column("experiment", NAME),
    Column("name", NAME),
    Column("requested_by", NAME, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("plan", DIGEST, nullable=False),
    Column("job", Text, nullable=False),
    Column("asked", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", NAME),
    Column("leased_until", MOMENT),
    Column("started_at", MOMENT),
    Column("ended_at", MOMENT),
    Column("cancel_requested", Boolean, nullable=False),
    Column("result", Text, nullable=False),
    Column("trial", NAME),
    Index(None, "project", "id"),
    Index(None, "project", "experiment", "id"),
    Index(None, "project", "plan"),
    Index(None, "status", "id"),
)

PARAMS: Final = Table(
    "run_param",
    METADATA,
    Column("project", NAME, nullable=False),
    Column("run", ID, nullable=False),
    Column("name", NAME, nullable=False),
    Column("text", Text, nullable=False),
    Column("number", Double, comment="the value as a number, where it is one"),
    Column("prefix", String(64), nullable=False, comment="the first characters, which an index can hold"),
    PrimaryKeyConstraint("run", "name"),
    Index(None, "project", "name", "number"),
    Index(None, "project", "name", "prefix"),
    sqlite_with_rowid=False,
)

TAGS: Final = Table(
    "run_tag",
    METADATA,
    Column("project", NAME, nullable=False),
    Column("run", ID, nullable=False),
    Column("name", NAME, nullable=False),
    Column("text", Text, nullable=False),
    Column("prefix", String(64), nullable=False, comment="the first characters, which an index can hold"),
    PrimaryKeyConstraint("run", "name"),
    Index(None, "project", "name", "prefix"),
    sqlite_with_rowid=False,
)

BASES: Final = Table(
    "base_root",
    METADATA,
    Column("digest", DIGEST, primary_key=True),
    Column("archive", DIGEST, nullable=False),
    Column("at", MOMENT, nullable=False),
)

LOGS: Final = Table(
    "run_log",
    METADATA,
    Column("run", ID, ForeignKey("run.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("offset", Integer, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("digest", DIGEST, nullable=False),
)

ENVIRONMENTS: Final = Table(
    "job_environment",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("python", NAME, nullable=False),
    Column("wheels", Text, nullable=False),
    Column("lock", DIGEST, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("index", NAME),
    Index(None, "digest"),
)

INDEXES: Final = Table(
    "package_index",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("url", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("by", NAME, nullable=False),
)

_PREFIX: Final = 64
_WAITING: Final = RUNS.c.status == RunStatus.QUEUED.value


class SqlRunQueue:
    """The queue as one table; a lease is an owner and a moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, run: Run) -> None:
        """Put a run at the end of the queue."""
        self._connection.execute(
            RUNS.insert(),
            {
                "id": run.id,
                "project": run.project,
                "kind": run.kind,
                "label": run.label,
                "experiment": run.experiment,
                "name": run.name,
                "requested_by": run.requested_by,
                "created_at": run.created_at,
                "plan": str(run.plan),
                "job": canonical(dict(run.job)).decode(),
                "asked": canonical(dict(run.asked)).decode(),
                "facts": canonical(dict(run.facts)).decode(),
                "status": run.status.value,
                "attempt": run.attempt,
                "started_at": run.started_at,
                "cancel_requested": False,
                "result": "{}",
                "trial": run.trial,
            },
        )
        index_run(self._connection, run.id)
        given = run.job.get("params")
        SqlRunLabels(self._connection).params(run.project, run.id, given if isinstance(given, Mapping) else {})

    def get(self, project: str, run: str) -> Run | None:
        """One run."""
        row = (
            self._connection.execute(select(RUNS).where(RUNS.c.id == run, RUNS.c.project == project)).mappings().first()
        )
        return run_of(row) if row else None

    def asked_by(self, project: str, run: str) -> tuple[str, str] | None:
        """Kind of a run and who asked for it."""
        rows = _ASKED_BY.ask(self._connection, {"run": run, "project": project})
        return (rows[0][0], rows[0][1]) if rows else None

    def status(self, run: str) -> RunStatus | None:
        """Where a run of any project stands."""
        found = self._connection.execute(select(RUNS.c.status).where(RUNS.c.id == run)).scalar()
        return None if found is None else RunStatus(found)

    def find(
        self,
        project: str,
        *,
        experiment: str | None,
        kind: str | None,
        status: str | None,
        limit: int,
        trial: str | None = None,
        deleted: bool = True,
    ) -> tuple[Run, ...]:
        """Runs of a project, newest first."""
        query = select(RUNS).where(RUNS.c.project == project)
        wanted = ((RUNS.c.experiment, experiment), (RUNS.c.trial, trial), (RUNS.c.kind, kind), (RUNS.c.status, status))
        for column, value in wanted:
            if value is not None:
                query = query.where(column == value)
        if not deleted:
            gone = select(TAGS.c.run).where(TAGS.c.project == project, TAGS.c.name == DELETED)
            query = query.where(RUNS.c.id.not_in(gone))
        rows = self._connection.execute(query.order_by(RUNS.c.id.desc()).limit(limit)).mappings()
        return tuple(run_of(row) for row in rows)

    def of_plan(self, project: str, plan: Digest) -> tuple[Run, ...]:
        """The runs of one plan, oldest first."""
        query = select(RUNS).where(RUNS.c.project == project, RUNS.c.plan == str(plan)).order_by(RUNS.c.id)
        return tuple(run_of(row) for row in self._connection.execute(query).mappings())

    def waiting(self, now: str) -> bool:
        """Whether a run is queued, or running under a lease that has run out."""
        query = select(RUNS.c.id).where(or_(_WAITING, self._abandoned(now))).limit(1)
        return self._connection.execute(query).first() is not None

    def lease(self, owner: str, now: str, until: str, most_attempts: int) -> Run | None:
        """Take the oldest waiting run."""
        query = (
            select(RUNS)
            .where(or_(_WAITING, self._abandoned(now)))
            .order_by(RUNS.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = self._connection.execute(query).mappings().first()
        if row is None:
            return None
        if row["cancel_requested"] or row["attempt"] >= most_attempts:
            status = RunStatus.CANCELLED if row["cancel_requested"] else RunStatus.LOST
            change: dict[str, Any] = {"status": status.value, "ended_at": now, "owner": None}
        else:
            change = {
                "status": RunStatus.RUNNING.value,
                "owner": owner,
                "leased_until": until,
                "attempt": row["attempt"] + 1,
                "started_at": now,
            }
        self._connection.execute(update(RUNS).where(RUNS.c.id == row["id"]).values(**change))
        index_run(self._connection, row["id"])
        return run_of({**row, **change})

    def renew(self, run: str, owner: str, until: str) -> bool | None:
        """Keep a lease alive."""
        held = and_(RUNS.c.id == run, RUNS.c.owner == owner, RUNS.c.status == RunStatus.RUNNING.value)
        if self._connection.execute(update(RUNS).where(held).values(leased_until=until)).rowcount != 1:
            return None
        return bool(self._connection.execute(select(RUNS.c.cancel_requested).where(RUNS.c.id == run)).scalar_one())

    def finish(self, run: str, owner: str, status: RunStatus, ended_at: str, result: Mapping[str, Any]) -> bool:
        """End a run that this owner still holds."""
        held = and_(RUNS.c.id == run, RUNS.c.owner == owner, RUNS.c.status == RunStatus.RUNNING.value)
        done = self._connection.execute(
            update(RUNS)
            .where(held)
            .values(status=status.value, ended_at=ended_at, owner=None, result=canonical(dict(result)).decode())
        )
        if done.rowcount == 1:
            index_run(self._connection, run)
        return done.rowcount == 1

    def withdraw(self, project: str, run: str, ended_at: str) -> RunStatus:
        """Ask for a stop."""
        mine = and_(RUNS.c.id == run, RUNS.c.project == project)
        self._connection.execute(
            update(RUNS)
            .where(mine, _WAITING)
            .values(status=RunStatus.CANCELLED.value, ended_at=ended_at, cancel_requested=True)
        )
        self._connection.execute(
            update(RUNS).where(mine, RUNS.c.status == RunStatus.RUNNING.value).values(cancel_requested=True)
        )
        index_run(self._connection, run)
        return RunStatus(self._connection.execute(select(RUNS.c.status).where(mine)).scalar_one())

    def _abandoned(self, now: str) -> Any:
        return and_(RUNS.c.status == RunStatus.RUNNING.value, RUNS.c.leased_until <= now)


class SqlRunLabels:
    """``RunLabels`` as two tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def params(self, project: str, run: str, params: Mapping[str, Any]) -> None:
        """Keep parameters; one that is known keeps its value."""
        if not params:
            return
        told = {name: _as_text(value) for name, value in params.items()}
        known = self.params_of(project, [run]).get(run, {})
        if changed := sorted(name for name, text in told.items() if known.get(name, text) != text):
            raise Conflict(
                "MUNI-X305",
                "a parameter of a run is set once",
                run=run,
                parameters=changed[:10],
                do="log a new value under another name, or as a metric",
            )
        rows = [
            {
                "project": project,
                "run": run,
                "name": name,
                "text": text,
                "number": _as_number(params[name]),
                "prefix": text[:_PREFIX],
            }
            for name, text in told.items()
            if name not in known
        ]
        if rows:
            self._connection.execute(PARAMS.insert(), rows)
            self._index("param", project, run, {name: told[name] for name in told if name not in known})

    def tags(self, project: str, run: str, tags: Mapping[str, str | None]) -> None:
        """Set tags; None takes one away."""
        if not tags:
            return
        self._connection.execute(TAGS.delete().where(TAGS.c.run == run, TAGS.c.name.in_(list(tags))))
        rows = [
            {"project": project, "run": run, "name": name, "text": text, "prefix": text[:_PREFIX]}
            for name, text in tags.items()
            if text is not None
        ]
        if rows:
            self._connection.execute(TAGS.insert(), rows)
        if gone := [name for name, text in tags.items() if text is None]:
            forget_values(self._connection, "tag", run, gone)
        self._index("tag", project, run, {name: text for name, text in tags.items() if text is not None})

    def forget(self, run: str, given: Iterable[str]) -> None:
        """Drop what a run told about itself that begins again from the start."""
        self._connection.execute(PARAMS.delete().where(PARAMS.c.run == run, PARAMS.c.name.not_in(list(given))))
        self._connection.execute(TAGS.delete().where(TAGS.c.run == run))

    def params_of(self, project: str, runs: Iterable[str]) -> dict[str, dict[str, str]]:
        """Parameters by run and name."""
        return self._of(PARAMS, project, runs)

    def tags_of(self, project: str, runs: Iterable[str]) -> dict[str, dict[str, str]]:
        """Tags by run and name."""
        return self._of(TAGS, project, runs)

    def _index(self, space: str, project: str, run: str, told: Mapping[str, str]) -> None:
        """Let the run be found by these."""
        number = renumbered(self._connection, [run]).get(run)
        if number is not None:
            index_values(self._connection, project, space, number, {name: [value_of(told[name])] for name in told})

    def _of(self, table: Table, project: str, runs: Iterable[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for owner, run, name, text in _LABELS[table].ask(self._connection, {}, runs):
            if owner == project:
                found.setdefault(run, {})[name] = text
        return found


class SqlRunLogs:
    """Chunks by run, attempt and offset."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, run: str, attempt: int, chunk: LogChunk) -> None:
        """Add the next chunk; adding it again changes nothing."""
        here = and_(LOGS.c.run == run, LOGS.c.attempt == attempt, LOGS.c.offset == chunk.offset)
        if self._connection.execute(select(LOGS.c.digest).where(here)).scalar() == str(chunk.digest):
            return
        self._connection.execute(
            LOGS.insert(),
            {"run": run, "attempt": attempt, "offset": chunk.offset, "size": chunk.size, "digest": str(chunk.digest)},
        )

    def chunks(self, run: str, attempt: int, offset: int) -> tuple[LogChunk, ...]:
        """Chunks that hold bytes at or behind the offset."""
        query = (
            select(LOGS)
            .where(LOGS.c.run == run, LOGS.c.attempt == attempt, LOGS.c.offset + LOGS.c.size > offset)
            .order_by(LOGS.c.offset)
        )
        rows = self._connection.execute(query).mappings()
        return tuple(LogChunk(row["offset"], row["size"], Digest(row["digest"])) for row in rows)


class SqlEnvironments:
    """Job environments; versions of a name only grow."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, environment: JobEnvironment) -> None:
        """Keep a new version."""
        self._connection.execute(
            ENVIRONMENTS.insert(),
            {
                "name": environment.name,
                "version": environment.version,
                "digest": str(environment.digest),
                "python": environment.python,
                "wheels": canonical([wheel.document() for wheel in environment.wheels]).decode(),
                "lock": str(environment.lock),
                "created_at": environment.created_at,
                "index": environment.index,
            },
        )

    def all(self) -> tuple[JobEnvironment, ...]:
        """Every version of every environment, newest first."""
        query = select(ENVIRONMENTS).order_by(ENVIRONMENTS.c.name, ENVIRONMENTS.c.version.desc())
        return tuple(_environment(row) for row in self._connection.execute(query).mappings())

    def newest(self, name: str, version: int | None = None) -> JobEnvironment | None:
        """The newest version of a name, or the one asked for."""
        query = select(ENVIRONMENTS).where(ENVIRONMENTS.c.name == name).order_by(ENVIRONMENTS.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(ENVIRONMENTS.c.version == version)
        row = self._connection.execute(query).mappings().first()
        return _environment(row) if row else None

    def of_digest(self, digest: Digest) -> JobEnvironment | None:
        """An environment by what it is."""
        query = select(ENVIRONMENTS).where(ENVIRONMENTS.c.digest == str(digest)).limit(1)
        row = self._connection.execute(query).mappings().first()
        return _environment(row) if row else None


class SqlIndexes:
    """Allowed package indexes by name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[PackageIndex, ...]:
        """All of them, by name."""
        rows = self._connection.execute(select(INDEXES).order_by(INDEXES.c.name)).mappings()
        return tuple(PackageIndex(**row) for row in rows)

    def add(self, index: PackageIndex) -> None:
        """Allow one; one of the same name is replaced."""
        self.remove(index.name)
        self._connection.execute(INDEXES.insert(), asdict(index))

    def remove(self, name: str) -> bool:
        """Take one off the list; False when it is not on it."""
        return self._connection.execute(INDEXES.delete().where(INDEXES.c.name == name)).rowcount == 1


class SqlBases:
    """Kept base roots by digest."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, base: Digest, archive: Digest, at: datetime) -> None:
        """Keep one; one that is kept already stays as it is."""
        if self.archive(base) is None:
            row = {"digest": str(base), "archive": str(archive), "at": format_time(at)}
            self._connection.execute(BASES.insert(), row)

    def archive(self, base: Digest) -> Digest | None:
        """Digest of the archive; None when it is not kept."""
        found = self._connection.execute(select(BASES.c.archive).where(BASES.c.digest == str(base))).scalar()
        return None if found is None else Digest(found)


def _labels_of(table: Table) -> Among:
    """Labels by run alone: with the project SQLite would walk through an index over all of its runs."""
    columns = table.c.project, table.c.run, table.c.name, table.c.text
    return Among(lambda chosen: select(*columns).where(table.c.run.in_(chosen)).order_by(table.c.name))


_LABELS: Final = {table: _labels_of(table) for table in (PARAMS, TAGS)}

_ASKED_BY: Final = Question(
    select(RUNS.c.kind, RUNS.c.requested_by).where(
        RUNS.c.id == bindparam("run"), RUNS.c.project == bindparam("project")
    )
)


def run_of(row: RowMapping | Mapping[str, Any]) -> Run:
    """The run that a row of the table is."""
    return Run(
        id=row["id"],
        project=row["project"],
        kind=row["kind"],
        label=row["label"],
        experiment=row["experiment"],
        name=row["name"],
        requested_by=row["requested_by"],
        created_at=row["created_at"],
        plan=Digest(row["plan"]),
        job=json.loads(row["job"]),
        asked=json.loads(row["asked"]),
        facts=json.loads(row["facts"]),
        status=RunStatus(row["status"]),
        attempt=row["attempt"],
        owner=row["owner"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        cancel_requested=bool(row["cancel_requested"]),
        trial=row["trial"],
        result=json.loads(row["result"]),
    )


def _environment(row: RowMapping) -> JobEnvironment:
    return JobEnvironment(
        name=row["name"],
        version=row["version"],
        python=row["python"],
        wheels=tuple(Wheel.parse(wheel) for wheel in json.loads(row["wheels"])),
        lock=Digest(row["lock"]),
        created_at=row["created_at"],
        index=row["index"],
    )


def _as_text(value: Any) -> str:
    """A parameter as it is found and shown: text as it is, everything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _as_number(value: Any) -> float | None:
    """The number that a parameter is, also when it was given as text; truth values are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


REPOSITORIES: Final = {
    RunQueue: SqlRunQueue,
    RunLabels: SqlRunLabels,
    RunLogs: SqlRunLogs,
    Bases: SqlBases,
    Indexes: SqlIndexes,
    Environments: SqlEnvironments,
}
