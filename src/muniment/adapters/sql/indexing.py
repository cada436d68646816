"""What search looks things up by: narrow tables over whole numbers, kept beside what they are made from.

A run has one narrow row. The last value of each of its metrics, its parameters and its tags, and likewise the facts of
an entity, are *values*: rows (field, object, value) clustered by field and object, so that testing one field of every
run in turn is a walk through one part of one tree, and finding the runs by a value is a range of an index. A field has
a number instead of its name, an object its row number: a question about 100,000 runs compares each key several times.

Everything here can be made again from the other tables (``reindex``), which is what an upgrade of an old home does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    column,
    delete,
    select,
    table,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from muniment.adapters.sql.direct import Question, Replacement
from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT, NAME
from muniment.catalog.model import ActivityKind
from muniment.execution.model import RunStatus
from muniment.kernel.identifiers import parse_time

__all__ = [
    "FIELD",
    "OBJECT",
    "RUN",
    "VALUE",
    "forget_values",
    "index_edges",
    "index_entity",
    "index_metrics",
    "index_name",
    "index_objects",
    "index_run",
    "index_values",
    "reindex",
    "renumbered",
    "value_of",
]

_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
PREFIX: Final = 64
"""Characters of a text that an index holds."""

RUN: Final = Table(
    "search_run",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("project", NAME, nullable=False),
    Column("run", ID, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("label", NAME, nullable=False),
    Column("experiment", NAME),
    Column("trial", NAME),
    Column("name", NAME),
    Column("status", String(16), nullable=False),
    Column("author", NAME, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("started_at", MOMENT),
    Column("ended_at", MOMENT),
    Column("duration", Double, comment="seconds"),
    Column("grade", String(16), nullable=False),
    Column("seed", BigInteger),
    Column("env", DIGEST),
    Column("code", DIGEST),
    Column("commit", String(64)),
    Column("plan", DIGEST),
    UniqueConstraint("run"),
    Index(None, "project", "number"),
    Index(None, "project", "created_at"),
    Index(None, "project", "experiment", "status", "created_at"),
)

FIELD: Final = Table(
    "search_field",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("project", NAME, nullable=False),
    Column("space", String(16), nullable=False, comment="metric, param, tag, input, output, fact or column"),
    Column("name", NAME, nullable=False),
    UniqueConstraint("project", "space", "name"),
)

VALUE: Final = Table(
    "search_value",
    METADATA,
    Column("field", _NUMBER, nullable=False),
    Column("object", _NUMBER, nullable=False, comment="the run or the entity by its number"),
    Column("place", Integer, nullable=False, comment="0, and more for a list"),
    Column("number", Double, comment="null for what is no number"),
    Column("prefix", String(PREFIX), comment="the first characters; null for a metric"),
    Column("text", Text, comment="all of it, where it is longer than the prefix"),
    PrimaryKeyConstraint("field", "object", "place"),
    Index(None, "field", "number", "object", "place"),
    Index("ix_search_value_field_prefix", "field", "prefix", "object", "place"),
    sqlite_with_rowid=False,
)

OBJECT: Final = Table(
    "search_object",
    METADATA,
    Column("run", _NUMBER, nullable=False),
    Column("side", String(8), nullable=False, comment="input or output"),
    Column("role", NAME, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("project", NAME, nullable=False),
    Column("entity", _NUMBER, comment="its number, once it is an entity"),
    PrimaryKeyConstraint("run", "side", "role", "digest"),
    Index(None, "project", "digest", "side", "run"),
    Index(None, "entity", "side", "run"),
    sqlite_with_rowid=False,
)

_NUMBER_OF: Final = Question(select(RUN.c.number).where(RUN.c.run == bindparam("run")))

_FIELD_OF: Final = Question(
    select(FIELD.c.id).where(
        FIELD.c.project == bindparam("project"), FIELD.c.space == bindparam("space"), FIELD.c.name == bindparam("name")
    )
)

_MEASURED: Final = Replacement(VALUE, "field", "object", "place", "number", "prefix", "text")

_WELL_EVALUATED: Final = and_(RUN.c.kind == ActivityKind.EVALUATE.value, RUN.c.status == RunStatus.OK.value)
_CHUNK: Final = 1000
_ONE_BY_ONE: Final = 8
"""Up to so many names are looked up one after the other, which is the faster way past SQLAlchemy."""

_LONGEST_NAME: Final = 200
_MOST_FACTS: Final = 500
_NO_FACTS: Final = frozenset({"files", "schema", "content_digest"})
_LISTS: Final = frozenset({"input", "output", "fact"})
"""Spaces in which an object may come to have fewer values than before."""

_AROUND: Final = frozenset({"code", "env", "base"})
"""Kinds of entity that every job runs on; they are no inputs of it."""

_RUNS: Final = table(
    "run",
    *map(column, ("id", "project", "kind", "label", "experiment", "trial", "name", "status", "requested_by")),
    *map(column, ("created_at", "started_at", "ended_at", "plan", "job", "asked", "facts", "result")),
)
"""Only what is read here; the table itself belongs to the queue."""


def index_run(db: Connection, run: str) -> None:
    """Let the narrow row of a run be as the queue's row is now, and its declared inputs be found."""
    row = db.execute(select(_RUNS).where(_RUNS.c.id == run)).mappings().first()
    if row is None:
        return
    job, result = json.loads(row["job"]), json.loads(row["result"])
    values = _run_row(dict(row), job, result)
    number = db.execute(select(RUN.c.number).where(RUN.c.run == run)).scalar()
    if number is not None:
        db.execute(update(RUN).where(RUN.c.number == number).values(values))
        if (values["kind"], values["status"]) == (ActivityKind.EVALUATE.value, RunStatus.OK.value):
            _credit(db, number, row["project"], run)
        return
    db.execute(RUN.insert(), values)
    inputs = job.get("inputs")
    if isinstance(inputs, Mapping) and inputs:
        index_objects(db, row["project"], [(run, "input", role, str(digest)) for role, digest in inputs.items()])


def _credit(db: Connection, evaluation: int, project: str, run: str) -> None:
    """Let the runs that made what was evaluated be found by the measurements, where they have none of that name."""
    measured = dict(_pairs(db, select(_LATEST.c.name, _LATEST.c.value).where(_LATEST.c.activity == run)))
    measured = {name: value for name, value in measured.items() if _findable(name)}
    if not measured:
        return
    fields = _fields(db, project, "metric", measured)
    used, made = OBJECT.alias(), OBJECT.alias()
    makers = (
        select(made.c.run, RUN.c.run)
        .join_from(used, made, and_(made.c.entity == used.c.entity, made.c.side == "output"))
        .join(RUN, RUN.c.number == made.c.run)
        .where(used.c.run == evaluation, used.c.side == "input", used.c.role == "model")
    )
    for number, maker in db.execute(makers).all():
        own = {name for (name,) in db.execute(select(_LATEST.c.name).where(_LATEST.c.activity == maker))}
        told = [(fields[name], number, 0, value, None, None) for name, value in measured.items() if name not in own]
        _MEASURED.put(db, told)


def _run_row(row: Mapping[str, Any], job: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    facts = json.loads(row["facts"])
    origin = facts.get("origin") if isinstance(facts.get("origin"), Mapping) else {}
    commit = origin.get("commit") or facts.get("commit")
    seed = job.get("seed")
    enforcement = result.get("enforcement") or {}
    return {
        "project": row["project"],
        "run": row["id"],
        "kind": row["kind"],
        "label": row["label"],
        "experiment": row["experiment"],
        "trial": row["trial"],
        "name": row["name"],
        "status": row["status"],
        "author": row["requested_by"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "ended_at": row["ended_at"],
        "duration": _duration(row["started_at"], row["ended_at"]),
        "grade": "proven" if enforcement.get("complete") else "declared",
        "seed": seed if isinstance(seed, int) and not isinstance(seed, bool) and abs(seed) < 2**63 else None,
        "env": _digest(job.get("env")),
        "code": _digest(job.get("source")),
        "commit": commit[:64] if isinstance(commit, str) and commit else None,
        "plan": row["plan"],
    }


def _duration(started: str | None, ended: str | None) -> float | None:
    return None if started is None or ended is None else (parse_time(ended) - parse_time(started)).total_seconds()


def _digest(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) == 71 else None


def index_objects(db: Connection, project: str, used: Sequence[tuple[str, str, str, str]]) -> None:
    """Let runs be found by what they used and made.

    Args:
        db: the connection.
        project: of the runs.
        used: run, ``input`` or ``output``, role, digest.
    """
    numbers = renumbered(db, (run for run, *_ in used))
    nodes: dict[str, int] = {}
    for chunk in _chunks({digest for *_, digest in used}):
        query = select(_ENTITY.c.digest, _ENTITY.c.id).where(_ENTITY.c.project == project, _ENTITY.c.digest.in_(chunk))
        nodes |= dict(_pairs(db, query))
    rows = [
        {
            "run": numbers[run],
            "side": side,
            "role": role[:_LONGEST_NAME],
            "digest": digest,
            "project": project,
            "entity": nodes.get(digest),
        }
        for run, side, role, digest in used
        if run in numbers
    ]
    if rows:
        statement = _upserting(db, OBJECT)
        key = ["run", "side", "role", "digest"]
        known = statement.on_conflict_do_update(index_elements=key, set_={"entity": statement.excluded.entity})
        db.execute(known, rows)
    if rows:
        _name_objects(db, [numbers[run] for run, *_ in used if run in numbers])


def index_name(db: Connection, project: str, digest: str) -> None:
    """Let the runs that used or made something be found by a name that it has now."""
    runs = db.execute(select(OBJECT.c.run).where(OBJECT.c.project == project, OBJECT.c.digest == digest).distinct())
    _name_objects(db, {run for (run,) in runs})


def _name_objects(db: Connection, runs: Iterable[int]) -> None:
    """Put names and kinds of what runs used and made beside the runs, where a look at each run is cheap."""
    for chunk in _chunks(sorted(set(runs))):
        named = and_(_NAMES.c.project == OBJECT.c.project, _NAMES.c.digest == OBJECT.c.digest)
        known = and_(_ENTITY.c.project == OBJECT.c.project, _ENTITY.c.digest == OBJECT.c.digest)
        query = (
            select(OBJECT.c.run, OBJECT.c.project, OBJECT.c.side, _NAMES.c.name, _ENTITY.c.kind)
            .outerjoin_from(OBJECT, _NAMES, named)
            .outerjoin(_ENTITY, known)
            .where(OBJECT.c.run.in_(chunk))
        )
        told: dict[tuple[int, str, str], dict[str, set[str]]] = {}
        for run, project, side, name, kind in db.execute(query):
            found = told.setdefault((run, project, side), {"name": set(), "kind": set()})
            for what, text in (("name", name), ("kind", kind)):
                if text is not None:
                    found[what].add(text)
        for (run, project, side), found in told.items():
            texts = {what: [(None, text) for text in sorted(some)] for what, some in found.items() if some}
            index_values(db, project, side, run, texts)


def renumbered(db: Connection, runs: Iterable[str]) -> dict[str, int]:
    """The numbers of those runs that have one."""
    found: dict[str, int] = {}
    for chunk in _chunks(set(runs)):
        found |= dict(_pairs(db, select(RUN.c.run, RUN.c.number).where(RUN.c.run.in_(chunk))))
    return found


def index_metrics(db: Connection, project: str, run: str, latest: Mapping[str, float | None]) -> None:
    """Let a run be found by the last values of its metrics; None stands for what is not a number."""
    told = {name: value for name, value in latest.items() if _findable(name)}
    numbers = _NUMBER_OF.ask(db, {"run": run})
    if not numbers or not told:
        return
    fields: dict[str, int] = {}
    if len(told) <= _ONE_BY_ONE:
        for name in told:
            for (field,) in _FIELD_OF.ask(db, {"project": project, "space": "metric", "name": name}):
                fields[name] = field
    if len(fields) < len(told):
        fields = _fields(db, project, "metric", told)
    _MEASURED.put(db, [(fields[name], numbers[0][0], 0, value, None, None) for name, value in told.items()])


def index_values(
    db: Connection,
    project: str,
    space: str,
    thing: int,
    values: Mapping[str, Sequence[tuple[float | None, str | None]]],
) -> None:
    """Put values in place of those that an object had in the same fields.

    Args:
        db: the connection.
        project: of the object.
        space: what kind of field.
        thing: the object's number.
        values: number and text by name; several for a list.
    """
    told = {name: some for name, some in values.items() if _findable(name)}
    if not told:
        return
    fields = _fields(db, project, space, told)
    rows = [
        {"field": fields[name], "object": thing, "place": place, "number": number, **_texts(text)}
        for name, some in told.items()
        for place, (number, text) in enumerate(some)
    ]
    if space in _LISTS or any(len(some) != 1 for some in told.values()):
        for chunk in _chunks(fields[name] for name in told):
            db.execute(delete(VALUE).where(VALUE.c.object == thing, VALUE.c.field.in_(chunk)))
    if rows:
        statement = _upserting(db, VALUE)
        new = {name: statement.excluded[name] for name in ("number", "prefix", "text")}
        db.execute(statement.on_conflict_do_update(index_elements=["field", "object", "place"], set_=new), rows)


def _findable(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and "\0" not in name


def forget_values(db: Connection, space: str, run: str, names: Sequence[str] | None = None) -> None:
    """Drop what a run is found by in a space, all of it or some names."""
    found = db.execute(select(RUN.c.number, RUN.c.project).where(RUN.c.run == run)).first()
    if found is None:
        return
    fields = select(FIELD.c.id).where(FIELD.c.project == found.project, FIELD.c.space == space)
    if names is not None:
        fields = fields.where(FIELD.c.name.in_(list(names)))
    db.execute(delete(VALUE).where(VALUE.c.object == found.number, VALUE.c.field.in_(fields)))


def index_entity(db: Connection, project: str, node: int, facts: Mapping[str, Any]) -> None:
    """Let an entity be found by its facts, and by the columns that its schema names."""
    flat: dict[str, Sequence[tuple[float | None, str | None]]] = {}
    for name, value in _flattened(facts):
        flat[name] = [_value(one) for one in value] if isinstance(value, list) else [_value(value)]
    index_values(db, project, "fact", node, flat)
    schema = facts.get("schema")
    if isinstance(schema, list):
        columns = {
            str(one["name"]): [(None, str(one.get("type") or ""))]
            for one in schema
            if isinstance(one, Mapping) and one.get("name")
        }
        for chunk in _chunks(columns):
            index_values(db, project, "column", node, {name: columns[name] for name in chunk})


def _flattened(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Small facts by name; those of a mapping under dotted names. What is nested deeper is for reading only."""
    many = 0
    for name, value in sorted(facts.items()):
        if name in _NO_FACTS:
            continue
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for under, one in inner:
            plain = [x for x in one if isinstance(x, str | int | float)][:100] if isinstance(one, list) else one
            many += 1
            if many > _MOST_FACTS:
                return
            if plain is not None and isinstance(plain, str | int | float | list):
                yield (f"{name}.{under}" if under else name), plain


def value_of(value: Any) -> tuple[float | None, str | None]:
    """The number, if it is one, and the text of a parameter, a tag or a fact."""
    return _value(value)


def _value(value: Any) -> tuple[float | None, str | None]:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None, text
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None, text
    return (number if math.isfinite(number) else None), text


def _texts(text: str | None) -> dict[str, str | None]:
    if text is None:
        return {"prefix": None, "text": None}
    clean = text.replace("\0", "")
    return {"prefix": clean[:PREFIX], "text": clean if len(clean) > PREFIX else None}


def _fields(db: Connection, project: str, space: str, names: Iterable[str]) -> dict[str, int]:
    """The numbers of these fields; new ones get one."""
    wanted, found = sorted(set(names)), dict[str, int]()
    for turn in range(2):
        for chunk in _chunks(name for name in wanted if name not in found):
            query = select(FIELD.c.name, FIELD.c.id).where(
                FIELD.c.project == project, FIELD.c.space == space, FIELD.c.name.in_(chunk)
            )
            found |= dict(_pairs(db, query))
        missing = [name for name in wanted if name not in found]
        if not missing or turn:
            break
        _insert_new(db, FIELD, [{"project": project, "space": space, "name": name} for name in missing])
    return found


def reindex(db: Connection) -> int:
    """Make whatever is missing here from the other tables; how many runs and entities were added.

    What an installation of an older release kept is filled in by this; run again, it finds nothing to do.
    """
    return _reindex_runs(db) + _reindex_entities(db)


_PARAMS: Final = table("run_param", *map(column, ["project", "run", "name", "text", "number", "prefix"]))
_TAGS: Final = table("run_tag", *map(column, ["project", "run", "name", "text"]))
_LATEST: Final = table("catalog_metric_latest", *map(column, ["project", "activity", "name", "value"]))
_ENTITY: Final = table("catalog_entity", *map(column, ["id", "project", "digest", "kind", "facts"]))
_NAMES: Final = table("catalog_name", *map(column, ("project", "digest", "name")))
_ACTIVITY: Final = table("catalog_activity", *map(column, ["id", "ulid", "project"]))
_EDGE: Final = table("catalog_edge", *map(column, ["source", "target", "role"]))


def _reindex_runs(db: Connection) -> int:
    missing = select(_RUNS.c.id).where(_RUNS.c.id.not_in(select(RUN.c.run))).order_by(_RUNS.c.id)
    runs = [run for (run,) in db.execute(missing)]
    for chunk in _chunks(runs):
        for run in chunk:
            index_run(db, run)
        _fill_params(db, chunk)
        _fill_labels(db, chunk)
        _fill_objects(db, chunk)
        _fill_credits(db, chunk)
    return len(runs)


def _fill_credits(db: Connection, runs: Sequence[str]) -> None:
    ended = select(RUN.c.number, RUN.c.project, RUN.c.run).where(RUN.c.run.in_(runs), _WELL_EVALUATED)
    for number, project, run in db.execute(ended.order_by(RUN.c.run)).all():
        _credit(db, number, project, run)


def _fill_params(db: Connection, runs: Sequence[str]) -> None:
    """Parameters as a table, for runs that were asked for before there was one."""
    kept = {run for (run,) in db.execute(select(_PARAMS.c.run).where(_PARAMS.c.run.in_(runs)).distinct())}
    rows = []
    query = select(_RUNS.c.id, _RUNS.c.project, _RUNS.c.job).where(_RUNS.c.id.in_(set(runs) - kept))
    for run, project, job in db.execute(query):
        params = json.loads(job).get("params")
        for name, value in params.items() if isinstance(params, Mapping) else ():
            number, text = _value(value)
            rows.append(
                {
                    "project": project,
                    "run": run,
                    "name": name,
                    "text": text,
                    "number": number,
                    "prefix": (text or "")[:64],
                }
            )
    if rows:
        db.execute(_PARAMS.insert(), rows)


def _fill_labels(db: Connection, runs: Sequence[str]) -> None:
    numbers = renumbered(db, runs)
    for told, space in ((_PARAMS, "param"), (_TAGS, "tag")):
        for row in db.execute(select(told).where(told.c.run.in_(runs))):
            index_values(db, row.project, space, numbers[row.run], {row.name: [_value(row.text)]})
    for row in db.execute(select(_LATEST).where(_LATEST.c.activity.in_(runs))):
        index_values(db, row.project, "metric", numbers[row.activity], {row.name: [(row.value, None)]})


def _fill_objects(db: Connection, runs: Sequence[str]) -> None:
    for side, near, far in (("input", _EDGE.c.source, _EDGE.c.target), ("output", _EDGE.c.target, _EDGE.c.source)):
        query = (
            select(_ACTIVITY.c.ulid, _ACTIVITY.c.project, _EDGE.c.role, _ENTITY.c.digest, _ENTITY.c.kind)
            .join_from(_ACTIVITY, _EDGE, near == -_ACTIVITY.c.id)
            .join(_ENTITY, _ENTITY.c.id == far)
            .where(_ACTIVITY.c.ulid.in_(runs))
        )
        for run, project, role, digest, kind in db.execute(query).all():
            if side == "output" or kind not in _AROUND:
                index_objects(db, project, [(run, side, role, digest)])


def _reindex_entities(db: Connection) -> int:
    told = select(VALUE.c.object).join(FIELD, and_(FIELD.c.id == VALUE.c.field, FIELD.c.space.in_(("fact", "column"))))
    missing = select(_ENTITY.c.id, _ENTITY.c.project, _ENTITY.c.facts).where(
        _ENTITY.c.id.not_in(told), _ENTITY.c.facts != "{}"
    )
    found = db.execute(missing).all()
    for node, project, facts in found:
        index_entity(db, project, node, json.loads(facts))
    return len(found)


def index_edges(db: Connection, project: str, edges: Iterable[tuple[str, str, str, str]]) -> None:
    """Let runs be found by what lineage says they used and made.

    Args:
        db: the connection.
        project: where.
        edges: activity, ``input`` or ``output``, role, digest of the entity.
    """
    told = list(edges)
    kinds: dict[str, str] = {}
    for chunk in _chunks({digest for _, side, _, digest in told if side == "input"}):
        query = select(_ENTITY.c.digest, _ENTITY.c.kind).where(
            _ENTITY.c.project == project, _ENTITY.c.digest.in_(chunk)
        )
        kinds |= dict(_pairs(db, query))
    index_objects(db, project, [edge for edge in told if kinds.get(edge[3]) not in _AROUND])


def _pairs(db: Connection, query: Select[Any]) -> list[tuple[Any, Any]]:
    return [(row[0], row[1]) for row in db.execute(query)]


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def _upserting(db: Connection, into: Table) -> Any:
    return (sqlite if db.dialect.name == "sqlite" else postgresql).insert(into)


def _insert_new(db: Connection, into: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        db.execute(_upserting(db, into).on_conflict_do_nothing(), rows)
