"""Tracked runs, experiments and series in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    update,
)

from muniment.adapters.sql.catalog import LATEST, METRIC
from muniment.adapters.sql.direct import Question
from muniment.adapters.sql.execution import RUNS, TAGS, SqlRunQueue
from muniment.adapters.sql.indexing import index_objects, index_run
from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT, NAME
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import DELETED
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.tracking.model import KIND, Artifact, Glance, Measured, Standing, Used
from muniment.tracking.ports import Experiments, Measurements, TrackedRuns

KEYS: Final = Table(
    "tracked_key",
    METADATA,
    Column("project", NAME, nullable=False),
    Column("agent", NAME, nullable=False),
    Column("key", NAME, nullable=False),
    Column("run", ID, ForeignKey("run.id"), nullable=False),
    PrimaryKeyConstraint("project", "agent", "key"),
    sqlite_with_rowid=False,
)

WRITERS: Final = Table(
    "tracked_writer",
    METADATA,
    Column("run", ID, ForeignKey("run.id"), nullable=False),
    Column("writer", NAME, nullable=False),
    Column("upto", BigInteger, nullable=False, comment="last record of the stream that is kept"),
    PrimaryKeyConstraint("run", "writer"),
    sqlite_with_rowid=False,
)

INPUTS: Final = Table(
    "tracked_input",
    METADATA,
    Column("run", ID, ForeignKey("run.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("role", NAME, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("what", Text, nullable=False),
    PrimaryKeyConstraint("run", "position"),
    sqlite_with_rowid=False,
)

ARTIFACTS: Final = Table(
    "tracked_artifact",
    METADATA,
    Column("run", ID, ForeignKey("run.id"), nullable=False),
    Column("path", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", NAME, nullable=False),
    Column("at", MOMENT, nullable=False),
    PrimaryKeyConstraint("run", "path", "version"),
    Index(None, "digest"),
    sqlite_with_rowid=False,
)


class SqlTrackedRuns:
    """``TrackedRuns`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def start(self, run: Run, key: str | None) -> None:
        """Keep a run that is running; no lease ever runs out, because nobody leases it."""
        SqlRunQueue(self._db).add(run)
        if key is not None:
            row = {"project": run.project, "agent": run.requested_by, "key": key, "run": run.id}
            self._db.execute(KEYS.insert(), row)

    def of_key(self, project: str, agent: str, key: str) -> str | None:
        """The run that this agent started under this key."""
        here = and_(KEYS.c.project == project, KEYS.c.agent == agent, KEYS.c.key == key)
        return self._db.execute(select(KEYS.c.run).where(here)).scalar()

    def standing(self, project: str, run: str) -> Standing | None:
        """Where a run of the project stands."""
        rows = _STANDING.ask(self._db, {"run": run, "project": project})
        if not rows:
            return None
        id_, owner, agent, status, cancel, kind = rows[0]
        return Standing(id_, owner, agent, RunStatus(status), bool(cancel), kind == KIND)

    def upto(self, run: str, writer: str) -> int:
        """The last record of a writer's stream that is kept."""
        rows = _UPTO.ask(self._db, {"run": run, "writer": writer})
        return int(rows[0][0]) if rows else 0

    def advance(self, run: str, writer: str, upto: int) -> None:
        """The stream is kept up to this record."""
        here = and_(WRITERS.c.run == run, WRITERS.c.writer == writer)
        if self._db.execute(update(WRITERS).where(here).values(upto=upto)).rowcount == 0:
            self._db.execute(WRITERS.insert(), {"run": run, "writer": writer, "upto": upto})

    def end(self, run: str, status: RunStatus, ended_at: str, result: Mapping[str, Any]) -> None:
        """The run has ended."""
        told = {"status": status.value, "ended_at": ended_at, "result": canonical(dict(result)).decode()}
        self._db.execute(update(RUNS).where(RUNS.c.id == run, RUNS.c.kind == KIND).values(**told))
        index_run(self._db, run)

    def use(self, run: str, inputs: Sequence[Used]) -> None:
        """Keep what a run says it used."""
        known = self.used(run)
        seen = {(one.role, one.digest) for one in known}
        fresh = [one for one in dict.fromkeys(inputs) if (one.role, one.digest) not in seen]
        rows = [
            {"run": run, "position": position, "role": one.role, "digest": str(one.digest), "what": one.what}
            for position, one in enumerate(fresh, len(known) + 1)
        ]
        if rows:
            self._db.execute(INPUTS.insert(), rows)
            told = canonical(_by_role([*known, *fresh])).decode()
            self._db.execute(update(RUNS).where(RUNS.c.id == run, RUNS.c.kind == KIND).values(asked=told))
            project = self._db.execute(select(RUNS.c.project).where(RUNS.c.id == run)).scalar_one()
            index_objects(self._db, project, [(run, "input", one.role, str(one.digest)) for one in fresh])

    def used(self, run: str) -> tuple[Used, ...]:
        """What a run says it used, in the order in which it said so."""
        query = select(INPUTS).where(INPUTS.c.run == run).order_by(INPUTS.c.position)
        return tuple(Used(row.role, Digest(row.digest), row.what) for row in self._db.execute(query))

    def keep(self, run: str, artifact: Artifact) -> None:
        """Keep a file of a run."""
        self._db.execute(ARTIFACTS.insert(), {"run": run, **artifact.document()})

    def artifacts(self, run: str) -> tuple[Artifact, ...]:
        """The files of a run with all versions, by path and version."""
        query = select(ARTIFACTS).where(ARTIFACTS.c.run == run).order_by(ARTIFACTS.c.path, ARTIFACTS.c.version)
        return tuple(
            Artifact(row.path, row.version, Digest(row.digest), row.size, row.media_type, row.at)
            for row in self._db.execute(query)
        )

    def delete(self, project: str, run: str, note: str | None) -> None:
        """Take a run out of lists, or put it back."""
        self._db.execute(TAGS.delete().where(TAGS.c.run == run, TAGS.c.name == DELETED))
        if note is not None:
            row = {"project": project, "run": run, "name": DELETED, "text": note, "prefix": note[:64]}
            self._db.execute(TAGS.insert(), row)


class SqlExperiments:
    """``Experiments`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def glance(self, project: str, prefix: str, limit: int, *, deleted: bool) -> tuple[Glance, ...]:
        """The experiments of a project, the one with the newest run first."""
        r = RUNS.c
        open_ = r.status.in_([RunStatus.QUEUED.value, RunStatus.RUNNING.value])
        newest = func.max(r.id)
        query = (
            select(
                r.experiment,
                func.count(),
                func.count(r.trial.distinct()),
                func.sum(case((open_, 1), else_=0)),
                func.sum(case((open_, 0), (r.status == RunStatus.OK.value, 0), else_=1)),
                func.min(r.created_at),
                func.max(r.created_at),
                newest,
            )
            .where(r.project == project, r.experiment.is_not(None))
            .group_by(r.experiment)
            .order_by(newest.desc())
            .limit(limit)
        )
        if prefix:
            query = query.where(r.experiment >= prefix, r.experiment < prefix + "\U0010ffff")
        if not deleted:
            query = query.where(r.id.not_in(_deleted(project)))
        return tuple(
            Glance(name, runs, trials, int(running), int(failed), first, last, f"run:{run}")
            for name, runs, trials, running, failed, first, last, run in self._db.execute(query)
        )

    def runs(self, project: str, experiment: str, limit: int, *, deleted: bool) -> tuple[Run, ...]:
        """The newest runs of an experiment, newest first."""
        return SqlRunQueue(self._db).find(
            project, experiment=experiment, kind=None, status=None, limit=limit, deleted=deleted
        )

    def deleted(self, project: str, runs: Sequence[str]) -> frozenset[str]:
        """Those of these runs that are deleted."""
        gone = {row[0] for row in self._db.execute(_deleted(project))}
        return frozenset(gone.intersection(runs))


class SqlMeasurements:
    """``Measurements`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def summary(self, run: str) -> tuple[Measured, ...]:
        """Each metric of a run over all its values, by name."""
        m = METRIC.c
        # An infinite value is a measurement, but neither the lowest nor the highest that a reader asks for.
        finite = case((and_(m.value >= -_HUGE, m.value <= _HUGE), m.value), else_=None)
        query = (
            select(m.name, func.count(), func.min(finite), func.max(finite))
            .where(m.activity == run)
            .group_by(m.name)
            .order_by(m.name)
        )
        return tuple(Measured(*row) for row in self._db.execute(query))

    def count(self, run: str) -> tuple[int, int]:
        """How many values a run has, and under how many names."""
        ((values, names),) = _COUNT.ask(self._db, {"run": run})
        return int(values or 0), int(names)

    def page(
        self, run: str, name: str, after: int, limit: int
    ) -> Sequence[tuple[int, int, float | None, str, int | None]]:
        """Values of one metric behind a position."""
        m = METRIC.c
        query = (
            select(m.position, m.step, m.value, m.at, m.told_us)
            .where(m.activity == run, m.name == name, m.position > after)
            .order_by(m.position)
            .limit(limit)
        )
        return [tuple(row) for row in self._db.execute(query)]


def _by_role(inputs: Sequence[Used]) -> dict[str, str]:
    """Inputs as a job has them, one by channel; the second of one role is ``train/2``."""
    named: dict[str, str] = {}
    for one in inputs:
        taken = sum(1 for name in named if name == one.role or name.startswith(f"{one.role}/"))
        named[one.role if not taken else f"{one.role}/{taken + 1}"] = one.what
    return named


def _deleted(project: str) -> Any:
    return select(TAGS.c.run).where(TAGS.c.project == project, TAGS.c.name == DELETED)


_HUGE: Final[ColumnElement[float]] = literal_column("1.7976931348623157e308")
"""The largest finite number."""

_STANDING: Final = Question(
    select(RUNS.c.id, RUNS.c.project, RUNS.c.requested_by, RUNS.c.status, RUNS.c.cancel_requested, RUNS.c.kind).where(
        RUNS.c.id == bindparam("run"), RUNS.c.project == bindparam("project")
    )
)

_UPTO: Final = Question(
    select(WRITERS.c.upto).where(WRITERS.c.run == bindparam("run"), WRITERS.c.writer == bindparam("writer"))
)

_COUNT: Final = Question(
    select(
        select(func.max(METRIC.c.position)).where(METRIC.c.activity == bindparam("run")).scalar_subquery(),
        select(func.count()).select_from(LATEST).where(LATEST.c.activity == bindparam("run")).scalar_subquery(),
    )
)

REPOSITORIES: Final = {
    TrackedRuns: SqlTrackedRuns,
    Experiments: SqlExperiments,
    Measurements: SqlMeasurements,
}
