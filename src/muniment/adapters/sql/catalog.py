"""The catalog on SQL.

Lineage is one table of arrows: ``source`` rests on ``target``. An entity's node is its positive row number, an
activity's node is its negative one, so the sign tells the relation: an arrow from an entity is ``was_generated_by``,
an arrow from an activity is ``used``. One recursive query over eight-byte numbers then follows both, each arrow once,
which is what keeps a closure fast at a million arrows; names and digests are joined to the result only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count, islice, repeat
from operator import ne
from typing import Any, Final, TypeVar

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Executable,
    FromClause,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError as Duplicate

from muniment.adapters.sql.direct import Among, Bulk, Question, Replacement
from muniment.adapters.sql.indexing import forget_values, index_edges, index_entity, index_metrics, index_name
from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT, NAME
from muniment.catalog.growing import grown
from muniment.catalog.model import (
    Activity,
    ActivityKind,
    ActivityNode,
    Direction,
    Edge,
    Entity,
    EntityKind,
    EntityNode,
    Graph,
    Match,
    Metric,
    Name,
    Relation,
)
from muniment.catalog.ports import Activities, Entities, Last, Lineage, Metrics, Names, Told
from muniment.errors import Conflict, IntegrityError, NotFound, Unavailable
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time, parse_time

T = TypeVar("T")

_NODE: Final = BigInteger().with_variant(Integer, "sqlite")
_KIND: Final = String(16)
_ROLE: Final = String(64)
_CHUNK: Final = 1000

ENTITY: Final = Table(
    "catalog_entity",
    METADATA,
    Column("id", _NODE, primary_key=True, autoincrement=True),
    Column("project", NAME, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("kind", _KIND, nullable=False),
    Column("grade", _KIND, nullable=False),
    Column("author", NAME, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("content_digest", DIGEST),
    Column("facts", Text, nullable=False),
    UniqueConstraint("project", "digest"),
    Index(None, "project", "content_digest"),
    Index(None, "project", "kind", "id"),
    Index("ix_catalog_entity_project_kind_at", "project", "kind", "at"),
)

PART: Final = Table(
    "catalog_part",
    METADATA,
    Column("entity", _NODE, nullable=False),
    Column("digest", DIGEST, nullable=False),
    PrimaryKeyConstraint("entity", "digest"),
    Index(None, "digest"),
    sqlite_with_rowid=False,
)

ACTIVITY: Final = Table(
    "catalog_activity",
    METADATA,
    Column("id", _NODE, primary_key=True, autoincrement=True),
    Column("ulid", ID, nullable=False, unique=True),
    Column("project", NAME, nullable=False),
    Column("kind", _KIND, nullable=False),
    Column("plan", DIGEST),
    Column("agent", NAME, nullable=False),
    Column("started_at", MOMENT, nullable=False),
    Column("ended_at", MOMENT, nullable=False),
    Column("grade", _KIND, nullable=False),
    Column("experiment", NAME),
    Column("facts", Text, nullable=False),
    Index(None, "project", "kind", "ulid"),
    Index(None, "project", "experiment", "ulid"),
    Index(None, "project", "plan"),
)

EDGE: Final = Table(
    "catalog_edge",
    METADATA,
    Column("source", _NODE, nullable=False),
    Column("target", _NODE, nullable=False),
    Column("role", _ROLE, nullable=False),
    Column("grade", _KIND, nullable=False),
    Column("record", DIGEST),
    PrimaryKeyConstraint("source", "target", "role"),
    Index(None, "target", "source"),
    sqlite_with_rowid=False,
)

NAMES: Final = Table(
    "catalog_name",
    METADATA,
    Column("project", NAME, nullable=False),
    Column("kind", _KIND, nullable=False),
    Column("name", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("author", NAME, nullable=False),
    Column("at", MOMENT, nullable=False),
    PrimaryKeyConstraint("project", "kind", "name", "version"),
    Index(None, "project", "digest"),
    sqlite_with_rowid=False,
)

METRIC: Final = Table(
    "catalog_metric",
    METADATA,
    Column("activity", ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", NAME, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("value", Double, comment="null stands for NaN, which SQLite cannot hold"),
    Column("told_us", BigInteger, comment="by the clock of who told it: microseconds since 1970"),
    PrimaryKeyConstraint("activity", "position"),
    sqlite_with_rowid=False,
)

LATEST: Final = Table(
    "catalog_metric_latest",
    METADATA,
    Column("project", NAME, nullable=False),
    Column("activity", ID, nullable=False),
    Column("name", NAME, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("value", Double, comment="null stands for NaN"),
    PrimaryKeyConstraint("activity", "name"),
    Index(None, "project", "name", "value"),
    sqlite_with_rowid=False,
)


class SqlEntities:
    """``Entities`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def record(self, entity: Entity, parts: Iterable[Digest] = ()) -> None:
        """Keep an entity and its pieces; known facts only grow."""
        row = {
            "project": entity.project,
            "digest": entity.digest,
            "kind": entity.kind,
            "grade": entity.grade,
            "author": entity.author,
            "at": format_time(entity.at),
            "content_digest": entity.content_digest,
            "facts": _json(entity.facts),
        }
        known = self.find(entity.project, [entity.digest]).get(entity.digest)
        if known is None:
            _insert_new(self._db, ENTITY, [row])
            self._index(entity)
        else:
            self._grow(known, entity)
        if pieces := sorted(set(parts)):
            node = _entity_nodes(self._db, entity.project, [entity.digest])[entity.digest]
            _insert_new(self._db, PART, [{"entity": node, "digest": piece} for piece in pieces])

    def _grow(self, known: Entity, told: Entity) -> None:
        after = grown(known, told)
        if after == known:
            return
        here = and_(ENTITY.c.project == known.project, ENTITY.c.digest == known.digest)
        row = {
            "kind": after.kind,
            "facts": _json(after.facts),
            "content_digest": after.content_digest,
            "grade": after.grade,
        }
        self._db.execute(ENTITY.update().where(here).values(row))
        self._index(after)

    def _index(self, entity: Entity) -> None:
        """Let it be found by its facts."""
        if entity.facts:
            node = _entity_nodes(self._db, entity.project, [entity.digest])[entity.digest]
            index_entity(self._db, entity.project, node, entity.facts)

    def find(self, project: str, digests: Iterable[Digest]) -> dict[Digest, Entity]:
        """Those of these entities that the project knows."""
        return {
            Digest(digest): Entity(
                project, Digest(digest), EntityKind(kind), Grade(grade), author, parse_time(at), json.loads(facts)
            )
            for digest, kind, grade, author, at, facts in _FIND.ask(self._db, {"project": project}, digests)
        }

    def newest(self, project: str, kind: EntityKind | None, prefix: str, limit: int) -> Sequence[Entity]:
        """Entities, newest first."""
        query = select(ENTITY).where(ENTITY.c.project == project).order_by(ENTITY.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(ENTITY.c.kind == kind)
        if prefix:
            named = (NAMES.c.project == project, _starts(NAMES.c.name, prefix))
            query = query.where(ENTITY.c.digest.in_(select(NAMES.c.digest).where(*named)))
        return [_entity(row) for row in self._db.execute(query)]

    def alike(self, project: str, digests: Iterable[Digest]) -> Sequence[Match]:
        """Other entities with the same content, or that share a piece with one of these, are one, or hold it as one."""
        asked, piece, other = ENTITY.alias("asked"), PART.alias("piece"), ENTITY.alias("other")
        mine = and_(asked.c.project == project, _any_of(asked.c.digest))
        shares = PART.c.digest == piece.c.digest
        ways = (
            select(asked.c.digest, other.c.digest, asked.c.content_digest)
            .join(other, and_(other.c.project == asked.c.project, other.c.content_digest == asked.c.content_digest))
            .where(mine),
            select(asked.c.digest, other.c.digest, PART.c.digest)
            .join(piece, piece.c.entity == asked.c.id)
            .join(PART, shares)
            .join(other, and_(other.c.id == PART.c.entity, other.c.project == asked.c.project))
            .where(mine),
            select(asked.c.digest, other.c.digest, PART.c.digest)
            .join(PART, PART.c.digest == asked.c.digest)
            .join(other, and_(other.c.id == PART.c.entity, other.c.project == asked.c.project))
            .where(mine),
            select(asked.c.digest, other.c.digest, piece.c.digest)
            .join(piece, piece.c.entity == asked.c.id)
            .join(other, and_(other.c.digest == piece.c.digest, other.c.project == asked.c.project))
            .where(mine),
        )
        chosen = list(digests)
        found = {tuple(row) for way in ways for row in _by_chunks(self._db, way, chosen)}
        return [Match(*map(Digest, match)) for match in sorted(found) if match[0] != match[1]]

    def holders(self, project: str, pieces: Iterable[Digest]) -> dict[Digest, frozenset[Digest]]:
        """The entities that each of these is a piece of."""
        query = (
            select(PART.c.digest, ENTITY.c.digest)
            .join(ENTITY, ENTITY.c.id == PART.c.entity)
            .where(ENTITY.c.project == project, _any_of(PART.c.digest))
        )
        found: dict[Digest, set[Digest]] = {}
        for piece, entity in _by_chunks(self._db, query, list(pieces)):
            found.setdefault(Digest(piece), set()).add(Digest(entity))
        return {piece: frozenset(entities) for piece, entities in found.items()}


class SqlActivities:
    """``Activities`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def record(self, activity: Activity) -> None:
        """Keep an activity; another one by its id raises Conflict."""
        row = {
            "ulid": activity.id,
            "project": activity.project,
            "kind": activity.kind,
            "plan": activity.plan,
            "agent": activity.agent,
            "started_at": format_time(activity.started_at),
            "ended_at": format_time(activity.ended_at),
            "grade": activity.grade,
            "experiment": activity.facts.get("experiment"),
            "facts": _json(activity.facts),
        }
        known = self._db.execute(select(ACTIVITY).where(ACTIVITY.c.ulid == activity.id)).one_or_none()
        if known is None:
            _insert_new(self._db, ACTIVITY, [row])
        elif any(known._mapping[column] != value for column, value in row.items()):
            raise Conflict("MUNI-C301", f"another activity is known as {activity.id}", activity=activity.id)

    def find(self, project: str, ids: Iterable[str]) -> dict[str, Activity]:
        """Those of these activities that the project knows."""
        query = select(ACTIVITY).where(ACTIVITY.c.project == project, _any_of(ACTIVITY.c.ulid))
        found = map(_activity, _by_chunks(self._db, query, ids))
        return {activity.id: activity for activity in found}

    def newest(self, project: str, kind: ActivityKind | None, experiment: str | None, limit: int) -> Sequence[Activity]:
        """Activities, newest first."""
        query = select(ACTIVITY).where(ACTIVITY.c.project == project).order_by(ACTIVITY.c.ulid.desc()).limit(limit)
        if kind is not None:
            query = query.where(ACTIVITY.c.kind == kind)
        if experiment is not None:
            query = query.where(ACTIVITY.c.experiment == experiment)
        return [_activity(row) for row in self._db.execute(query)]

    def experiments(self, project: str) -> dict[str, int]:
        """The experiments of a project, with the number of their activities."""
        query = (
            select(ACTIVITY.c.experiment, func.count())
            .where(ACTIVITY.c.project == project, ACTIVITY.c.experiment.is_not(None))
            .group_by(ACTIVITY.c.experiment)
            .order_by(ACTIVITY.c.experiment)
        )
        return {row[0]: row[1] for row in self._db.execute(query)}


class SqlLineage:
    """``Lineage`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def record(self, project: str, edges: Iterable[Edge]) -> None:
        """Keep edges between nodes that are known."""
        edges = list(edges)
        entities = _entity_nodes(self._db, project, {edge.entity for edge in edges})
        activities = _activity_nodes(self._db, project, {edge.activity for edge in edges})
        rows = []
        for edge in edges:
            if edge.entity not in entities or edge.activity not in activities:
                raise NotFound(
                    "MUNI-C204", "lineage joins only what is known", activity=edge.activity, entity=edge.entity
                )
            ends = (activities[edge.activity], entities[edge.entity])
            source, target = ends if edge.relation is Relation.USED else reversed(ends)
            rows.append(
                {"source": source, "target": target, "role": edge.role, "grade": edge.grade, "record": edge.record}
            )
        _insert_new(self._db, EDGE, rows)
        sides = {Relation.USED: "input", Relation.GENERATED: "output"}
        index_edges(
            self._db, project, [(edge.activity, sides[edge.relation], edge.role, str(edge.entity)) for edge in edges]
        )

    def closure(self, project: str, start: Digest | str, direction: Direction, depth: int | None = None) -> Graph:
        """Everything that can be reached, and the edges on the way."""
        is_entity = isinstance(start, Digest)
        nodes = (_entity_nodes if is_entity else _activity_nodes)(self._db, project, [start])
        if start not in nodes:
            return Graph({}, {}, ())
        hops = None if depth is None else max(0, 2 * depth - (not is_entity))
        ends = ("source", "target") if direction is Direction.UPSTREAM else ("target", "source")
        engine = self._db.dialect.name
        if engine == "postgresql":  # it would compile the query, expecting a long one, for longer than it then runs
            self._db.execute(text("set local jit = off"))
        rows = self._db.execute(_walk(nodes[start], *ends, hops, engine)).all()
        return self._graph(rows, [nodes[start]])

    def around(self, project: str, digests: Iterable[Digest]) -> Graph:
        """The activities that used or generated one of these entities, and the edges between them."""
        nodes = list(_entity_nodes(self._db, project, list(digests)).values())
        query = select(EDGE).where(or_(_any_of(EDGE.c.source), _any_of(EDGE.c.target)))
        return self._graph(list(_by_chunks(self._db, query, nodes)), nodes)

    def of_activities(self, project: str, ids: Iterable[str]) -> Graph:
        """These activities with everything that they used and generated."""
        nodes = list(_activity_nodes(self._db, project, ids).values())
        query = select(EDGE).where(or_(_any_of(EDGE.c.source), _any_of(EDGE.c.target)))
        return self._graph(list(_by_chunks(self._db, query, nodes)), nodes)

    def _graph(self, rows: Sequence[Any], nodes: Iterable[int]) -> Graph:
        seen = set(nodes)
        for source, target, *_ in rows:
            seen.add(source)
            seen.add(target)
        entities = {
            node: EntityNode(Digest(digest), _ENTITIES[kind], _GRADES[grade], Digest(content) if content else None)
            for node, digest, kind, grade, content in _numbered(
                self._db, _ENTITY_NODES, [node for node in seen if node > 0]
            )
        }
        activities = {
            -node: ActivityNode(ulid, _ACTIVITIES[kind], agent, parse_time(at), Digest(plan) if plan else None)
            for node, ulid, kind, agent, at, plan in _numbered(
                self._db, _ACTIVITY_NODES, [-node for node in seen if node < 0]
            )
        }
        records = {record: Digest(record) for record in {row[4] for row in rows} if record}
        try:
            edges = tuple(
                Edge(
                    Relation.USED,
                    activities[source].id,
                    entities[target].digest,
                    role,
                    _GRADES[grade],
                    records.get(record),
                )
                if source < 0
                else Edge(
                    Relation.GENERATED,
                    activities[target].id,
                    entities[source].digest,
                    role,
                    _GRADES[grade],
                    records.get(record),
                )
                for source, target, role, grade, record in rows
            )
        except KeyError as lost:
            raise IntegrityError(
                "MUNI-C503",
                "an edge of the lineage leads to something that is missing from the database",
                node=lost.args[0],
                do="stop, keep everything as it is: muni audit verify --profile auditor",
            ) from lost
        return Graph(
            {node.digest: node for node in entities.values()}, {node.id: node for node in activities.values()}, edges
        )


class SqlNames:
    """``Names`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def append(
        self,
        project: str,
        kind: EntityKind,
        name: str,
        *,
        digest: Digest,
        by: str,
        at: datetime,
        expected: int | None = None,
    ) -> Name:
        """Give the name its next version."""
        if digest not in _entity_nodes(self._db, project, [digest]):
            raise NotFound("MUNI-C205", "only what is known can be named", digest=digest, name=f"{kind}:{name}")
        latest = self.find(project, kind, name, None)
        version = latest.version if latest else 0
        if expected is not None and expected != version:
            raise Conflict(
                "MUNI-C302", f"{kind}:{name} is at version {version}, not {expected}", latest=version, expected=expected
            )
        if latest is not None and latest.digest == digest:
            return latest
        named = Name(project, kind, name, version + 1, digest, by, at)
        row = {
            "project": project,
            "kind": kind,
            "name": name,
            "version": named.version,
            "digest": digest,
            "author": by,
            "at": format_time(at),
        }
        try:
            self._db.execute(NAMES.insert(), row)
        except Duplicate as raced:
            raise Unavailable("MUNI-C502", f"another version of {kind}:{name} came first", retry=True) from raced
        index_name(self._db, project, str(digest))
        return named

    def find(self, project: str, kind: EntityKind, name: str, version: int | None) -> Name | None:
        """That version, the latest for None."""
        query = self._versions(project, kind, name).limit(1)
        if version is not None:
            query = query.where(NAMES.c.version == version)
        row = self._db.execute(query).one_or_none()
        return None if row is None else _name(row)

    def versions(self, project: str, kind: EntityKind, name: str) -> Sequence[Name]:
        """All versions, newest first."""
        return [_name(row) for row in self._db.execute(self._versions(project, kind, name))]

    def of(self, project: str, digests: Iterable[Digest]) -> dict[Digest, list[Name]]:
        """The names these digests bear, newest first."""
        rows = _BORNE.ask(self._db, {"project": project}, digests)
        found = (
            Name(project, EntityKind(kind), name, version, Digest(digest), author, parse_time(at))
            for kind, name, version, digest, author, at in rows
        )
        names = sorted(found, key=str)
        borne: dict[Digest, list[Name]] = {}
        for name in sorted(names, key=lambda name: name.at, reverse=True):
            borne.setdefault(name.digest, []).append(name)
        return borne

    def latest(self, project: str, kind: EntityKind, prefix: str, limit: int) -> Sequence[Name]:
        """The latest version of each name that starts so, newest first."""
        newer = NAMES.alias("newer")
        same = and_(newer.c.project == NAMES.c.project, newer.c.kind == NAMES.c.kind, newer.c.name == NAMES.c.name)
        overtaken = select(literal(1)).where(same, newer.c.version > NAMES.c.version).exists()
        query = (
            select(NAMES)
            .where(NAMES.c.project == project, NAMES.c.kind == kind, ~overtaken)
            .order_by(NAMES.c.at.desc(), NAMES.c.name)
            .limit(limit)
        )
        if prefix:
            query = query.where(_starts(NAMES.c.name, prefix))
        return [_name(row) for row in self._db.execute(query)]

    @staticmethod
    def _versions(project: str, kind: EntityKind, name: str) -> Select[Any]:
        here = (NAMES.c.project == project, NAMES.c.kind == kind, NAMES.c.name == name)
        return select(NAMES).where(*here).order_by(NAMES.c.version.desc())


class SqlMetrics:
    """``Metrics`` on SQL: every value in order, and the last one of each name beside them for comparing and search."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def append_many(self, project: str, activity: str, metrics: Sequence[Metric], after: int | None = None) -> int:
        """Keep measurements in their order and return how many the activity has now."""
        counted = select(func.max(METRIC.c.position)).where(METRIC.c.activity == activity)
        stored = self._db.execute(counted).scalar() or 0
        if after is not None and after > stored:
            raise Conflict(
                "MUNI-C303", "measurements are missing before these", activity=activity, stored=stored, after=after
            )
        fresh = metrics if after is None else metrics[stored - after :]
        if not fresh:
            return stored
        rows: list[tuple[Any, ...]] = []
        moment, at = fresh[0].at, format_time(fresh[0].at)
        for position, metric in enumerate(fresh, stored + 1):
            if metric.at is not moment:  # what came together has one moment, and to write it takes longest of all
                moment, at = metric.at, format_time(metric.at)
            value = None if metric.value != metric.value else metric.value
            rows.append((activity, position, metric.name, metric.step, at, value, metric.told_us))
        return self._keep(project, rows)

    def tell(self, project: str, activity: str, at: datetime, told: Told) -> int:
        """Keep many measurements that came at one moment."""
        ((stored,),) = _STORED.ask(self._db, {"activity": activity})
        values: Sequence[float | None] = told.values
        if any(map(ne, values, values)):  # only NaN differs from itself
            values = [None if value != value else value for value in values]  # noqa: PLR0124
        # Columns put side by side by ``zip``: nothing here is done value by value.
        positions = count((stored or 0) + 1)
        moment = repeat(format_time(at))
        rows = list(
            zip(repeat(activity), positions, told.names, told.steps, moment, values, told.moments_us, strict=False)
        )
        return self._keep(project, rows, told.last)

    def _keep(self, project: str, rows: list[tuple[Any, ...]], which: Last = Last.TOLD_LAST) -> int:
        """Add rows that are not empty, and show the last one of each name."""
        _ADD_METRICS.add(self._db, rows)
        last = {row[2]: row for row in rows}
        if which is Last.HIGHEST_STEP:
            last = {row[2]: row for row in sorted(rows, key=lambda row: row[3])}
            shown = dict(_STEPS.ask(self._db, {"activity": rows[0][0]}, last))
            last = {name: row for name, row in last.items() if row[3] >= shown.get(name, row[3])}
        latest = [(project, activity, name, step, at, value) for activity, _, name, step, at, value, _ in last.values()]
        _SHOW_LATEST.put(self._db, latest)
        index_metrics(self._db, project, rows[0][0], {row[2]: row[5] for row in latest})
        return int(rows[-1][1])

    def forget(self, activity: str) -> None:
        """Drop what an activity measured that begins again from the start."""
        for table in (METRIC, LATEST):
            self._db.execute(table.delete().where(table.c.activity == activity))
        forget_values(self._db, "metric", activity)

    def latest(self, project: str, activities: Iterable[str]) -> dict[str, dict[str, Metric]]:
        """The last value of each metric by activity and name."""
        found: dict[str, dict[str, Metric]] = {}
        for owner, activity, name, step, at, value in _LAST.ask(self._db, {}, activities):
            if owner == project:
                number = float("nan") if value is None else value
                found.setdefault(activity, {})[name] = Metric(name, number, parse_time(at), step)
        return found

    def series(self, project: str, activity: str, name: str) -> Sequence[Metric]:
        """Every value of one metric in the order it came."""
        owned = select(LATEST.c.activity).where(LATEST.c.project == project, LATEST.c.activity == activity)
        query = select(METRIC).where(METRIC.c.activity.in_(owned), METRIC.c.name == name).order_by(METRIC.c.position)
        return [_metric(row) for row in self._db.execute(query)]


def _walk(start: int, here: str, there: str, hops: int | None, engine: str) -> Select[Any]:
    """The arrows on the way from a node, followed from one end to the other, to the last or for so many hops."""
    node, zero = cast(start, _NODE).label("node"), cast(0, Integer).label("hops")
    if hops is None:
        reached = select(node).cte("reached", recursive=True)
        arrows, at = arrows_of(reached, here, engine, there)
        reached = reached.union(select(arrows.c[there]).join_from(reached, arrows, at))
        arrows, at = arrows_of(reached, here, engine)
        return select(*arrows.c).join_from(reached, arrows, at)
    reached = select(node, zero).cte("reached", recursive=True)
    arrows, at = arrows_of(reached, here, engine, there)
    onward = select(arrows.c[there], reached.c.hops + 1).join_from(reached, arrows, at)
    reached = reached.union(onward.where(reached.c.hops < hops))
    arrows, at = arrows_of(reached, here, engine)
    return select(*arrows.c).join_from(reached, arrows, at).where(reached.c.hops < hops).distinct()


def arrows_of(reached: CTE, here: str, engine: str, there: str | None = None) -> tuple[FromClause, ColumnElement[bool]]:
    """The arrows, to be looked up node by node, and what ties them to the node.

    No engine can know how few nodes a walk reaches, and each would rather read the whole table. For PostgreSQL a
    lateral query that it must not flatten, because of its ``offset``, leaves only the index; for SQLite a sum in place
    of the node, which it cannot look up the other way round.

    Args:
        reached: the nodes, as ``node``.
        here: the end of the arrows that they are.
        engine: the name of the engine.
        there: the other end, when nothing else of the arrows is wanted: then the index holds it all.
    """
    if engine == "sqlite":
        return EDGE, EDGE.c[here] == reached.c.node + literal_column("0")
    wanted = EDGE.c if there is None else (EDGE.c[here], EDGE.c[there])
    arrows = select(*wanted).where(EDGE.c[here] == reached.c.node).offset(0).lateral("arrows")
    return arrows, arrows.c[here] == reached.c.node


def _any_of(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the column holds one of the values that ``_by_chunks`` supplies."""
    return column.in_(bindparam("chosen", expanding=True))


def _by_chunks(db: Connection, query: Executable, chosen: Iterable[Any]) -> Iterator[Any]:
    """The rows of a query for many values, some at a time: engines bound the number of parameters."""
    remaining = iter(chosen)
    while chunk := list(islice(remaining, _CHUNK)):
        yield from db.execute(query, {"chosen": chunk})


def _numbered(db: Connection, query: Select[Any], numbers: Sequence[int]) -> Sequence[Any]:
    """The rows of a query over objects for these numbers: one value, so that the statement is the same for any many."""
    if not numbers:
        return ()
    lite = db.dialect.name == "sqlite"
    chosen = _LISTED if lite else _UNNESTED
    told: Any = json.dumps(numbers) if lite else numbers
    key = query.selected_columns[0]
    return db.execute(query.where(key.in_(chosen)), {"numbers": told}).all()


def _starts(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Whether the column starts with the prefix, as a range that an index answers and no wildcard can widen."""
    return and_(column >= prefix, column < prefix + "\U0010ffff")


def _upserting(db: Connection, table: Table) -> Any:
    return (sqlite if db.dialect.name == "sqlite" else postgresql).insert(table)


def _insert_new(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        db.execute(_upserting(db, table).on_conflict_do_nothing(), rows)


def _entity_nodes(db: Connection, project: str, digests: Iterable[str]) -> dict[str, int]:
    query = select(ENTITY.c.digest, ENTITY.c.id).where(ENTITY.c.project == project, _any_of(ENTITY.c.digest))
    return dict(_by_chunks(db, query, digests))


def _activity_nodes(db: Connection, project: str, ids: Iterable[str]) -> dict[str, int]:
    query = select(ACTIVITY.c.ulid, ACTIVITY.c.id).where(ACTIVITY.c.project == project, _any_of(ACTIVITY.c.ulid))
    return {ulid: -node for ulid, node in _by_chunks(db, query, ids)}


def _json(facts: Mapping[str, Any]) -> str:
    return canonical(dict(facts)).decode()


def _entity(row: Row[Any]) -> Entity:
    return Entity(
        row.project,
        Digest(row.digest),
        EntityKind(row.kind),
        Grade(row.grade),
        row.author,
        parse_time(row.at),
        json.loads(row.facts),
    )


def _activity(row: Row[Any]) -> Activity:
    return Activity(
        row.project,
        row.ulid,
        ActivityKind(row.kind),
        Digest(row.plan) if row.plan else None,
        row.agent,
        parse_time(row.started_at),
        parse_time(row.ended_at),
        Grade(row.grade),
        json.loads(row.facts),
    )


def _name(row: Row[Any]) -> Name:
    kind = EntityKind(row.kind)
    return Name(row.project, kind, row.name, row.version, Digest(row.digest), row.author, parse_time(row.at))


def _metric(row: Row[Any]) -> Metric:
    value = float("nan") if row.value is None else row.value
    return Metric(row.name, value, parse_time(row.at), row.step, row._mapping.get("told_us"))


_ENTITY_NODES: Final = select(ENTITY.c.id, ENTITY.c.digest, ENTITY.c.kind, ENTITY.c.grade, ENTITY.c.content_digest)
_ACTIVITY_NODES: Final = select(
    ACTIVITY.c.id, ACTIVITY.c.ulid, ACTIVITY.c.kind, ACTIVITY.c.agent, ACTIVITY.c.started_at, ACTIVITY.c.plan
)
_LISTED: Final = select(func.json_each(bindparam("numbers", type_=String)).table_valued("value").c.value)
_UNNESTED: Final = select(func.unnest(bindparam("numbers", type_=postgresql.ARRAY(BigInteger))))

_GRADES: Final = {grade.value: grade for grade in Grade}
_ENTITIES: Final = {kind.value: kind for kind in EntityKind}
_ACTIVITIES: Final = {kind.value: kind for kind in ActivityKind}

_FIND: Final = Among(
    lambda chosen: select(
        ENTITY.c.digest, ENTITY.c.kind, ENTITY.c.grade, ENTITY.c.author, ENTITY.c.at, ENTITY.c.facts
    ).where(ENTITY.c.project == bindparam("project"), ENTITY.c.digest.in_(chosen))
)

_BORNE: Final = Among(
    lambda chosen: select(
        NAMES.c.kind, NAMES.c.name, NAMES.c.version, NAMES.c.digest, NAMES.c.author, NAMES.c.at
    ).where(NAMES.c.project == bindparam("project"), NAMES.c.digest.in_(chosen))
)

_STORED: Final = Question(select(func.max(METRIC.c.position)).where(METRIC.c.activity == bindparam("activity")))

_LAST: Final = Among(  # by activity alone: with the project SQLite would walk through an index over all of its runs
    lambda chosen: (
        select(*(LATEST.c[name] for name in ("project", "activity", "name", "step", "at", "value")))
        .where(LATEST.c.activity.in_(chosen))
        .order_by(LATEST.c.name)
    )
)

_STEPS: Final = Among(
    lambda chosen: select(LATEST.c.name, LATEST.c.step).where(
        LATEST.c.activity == bindparam("activity"), LATEST.c.name.in_(chosen)
    )
)

_ADD_METRICS: Final = Bulk(METRIC, "activity", "position", "name", "step", "at", "value", "told_us")

_SHOW_LATEST: Final = Replacement(LATEST, "project", "activity", "name", "step", "at", "value")


REPOSITORIES: Final[dict[type[Any], Callable[[Connection], Any]]] = {
    Entities: SqlEntities,
    Activities: SqlActivities,
    Lineage: SqlLineage,
    Names: SqlNames,
    Metrics: SqlMetrics,
}
