"""What other people's clients keep beside runs, and their search for runs, in SQL."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import FromClause, TableValuedAlias

from muniment.adapters.sql.catalog import LATEST
from muniment.adapters.sql.direct import Among
from muniment.adapters.sql.execution import PARAMS, RUNS, TAGS, run_of
from muniment.adapters.sql.indexing import RUN as NARROW
from muniment.adapters.sql.schema import METADATA, MOMENT, NAME
from muniment.execution.model import Run
from muniment.execution.queue import DELETED
from muniment.kernel.canonical import canonical
from muniment.tracking.items import Group, Item, ItemKind, Items, RunFinder, Term, Wanted

ITEMS: Final = Table(
    "tracking_item",
    METADATA,
    Column("project", NAME, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("shelf", String(220), nullable=False, comment="what it belongs to"),
    Column("key", String(220), nullable=False),
    Column("state", Text, nullable=False, comment="canonical JSON"),
    Column("created_at", MOMENT, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    Column("deleted", Boolean, nullable=False),
    PrimaryKeyConstraint("project", "kind", "key"),
    sqlite_with_rowid=False,
)

_PLAIN: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TOLD: Final[Mapping[str, tuple[ColumnElement[Any], *tuple[str, ...]]]] = {
    "started_at": (RUNS.c.job, "started_at"),
    "ended_at": (RUNS.c.result, "told", "ended_at"),
}
"""Where a run keeps a moment as its teller told it, which goes before when the server heard of it."""

CONTEXT: Final = "mlflow.data.context"
"""Tag of a data set that says what it was to its run."""

_DATASETS: Final[Mapping[str, str]] = {
    "name": "$.inputs[*].dataset.name",
    "digest": "$.inputs[*].dataset.digest",
    "context": f'$.inputs[*].tags[*] ? (@.key == "{CONTEXT}").value',
}
"""What data sets have, as PostgreSQL finds it."""

_LABELS: Final[Mapping[str, Table]] = {"param": PARAMS, "tag": TAGS}


class SqlItems:
    """``Items`` as one table."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, project: str, kind: ItemKind, key: str) -> Item | None:
        """One item, deleted or not."""
        return self.some(project, kind, [key]).get(key)

    def some(self, project: str, kind: ItemKind, keys: Iterable[str]) -> dict[str, Item]:
        """Those of these items that there are by key, deleted or not."""
        rows = _SOME.ask(self._connection, {"project": project, "kind": kind.value}, keys)
        return {row[3]: _item(row) for row in rows}

    def put(self, item: Item) -> None:
        """Keep an item in place of what stands under its key."""
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        row = {
            "project": item.project,
            "kind": item.kind.value,
            "shelf": item.shelf,
            "key": item.key,
            "state": canonical(dict(item.state)).decode(),
            "created_at": item.created_at,
            "updated_at": item.updated_at,
            "deleted": item.deleted,
        }
        statement = dialect.insert(ITEMS).values(row)
        moving = {name: statement.excluded[name] for name in ("shelf", "state", "updated_at", "deleted")}
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["project", "kind", "key"], set_=moving)
        )

    def list(self, project: str, kind: ItemKind, shelf: str | None = None) -> tuple[Item, ...]:
        """Items by key, of one shelf or of all."""
        query = select(ITEMS).where(ITEMS.c.project == project, ITEMS.c.kind == kind.value).order_by(ITEMS.c.key)
        if shelf is not None:
            query = query.where(ITEMS.c.shelf == shelf)
        return tuple(_item(row) for row in self._connection.execute(query))


class SqlRunFinder:
    """``RunFinder`` over runs, their labels and the last values of their metrics."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, project: str, wanted: Wanted) -> tuple[tuple[Run, bool], ...]:
        """Runs, each with whether it is deleted."""
        gone = exists().where(TAGS.c.run == RUNS.c.id, TAGS.c.name == DELETED)
        query: Select[Any] = select(RUNS, gone.label("gone")).where(RUNS.c.project == project)
        if wanted.experiments is not None:
            query = query.where(RUNS.c.experiment.in_(wanted.experiments))
        if wanted.runs is not None:
            query = query.where(RUNS.c.id.in_(wanted.runs))
        if wanted.deleted is not None:
            query = query.where(gone if wanted.deleted else ~gone)
        for term in wanted.terms:
            query = query.where(self._holds(term, wanted.named_by))
        for of, name, descending in wanted.order:
            value = self._value(of, name, wanted.named_by)
            query = query.order_by(case((value.is_(None), 1), else_=0), value.desc() if descending else value.asc())
        query = query.order_by(RUNS.c.id.desc()).offset(wanted.offset).limit(wanted.limit)
        return tuple((run_of(row), bool(row["gone"])) for row in self._connection.execute(query).mappings())

    def experiments(self, project: str) -> tuple[Group, ...]:
        """The experiments that runs of a project belong to, read off an index of the narrow rows that search keeps."""
        r = NARROW.c
        query = (
            select(r.experiment, func.min(r.created_at), func.max(r.created_at))
            .where(r.project == project, r.experiment.is_not(None))
            .group_by(r.experiment)
            .order_by(func.min(r.created_at))
        )
        return tuple(Group(*row) for row in self._connection.execute(query))

    def _holds(self, term: Term, named_by: str) -> ColumnElement[bool]:
        if term.of == "dataset":
            return self._reads(term)
        if term.of == "attribute":
            return self._compared(self._value("attribute", term.name, named_by), term)
        table = _LABELS.get(term.of)
        owner = LATEST.c.activity if table is None else table.c.run
        name = LATEST.c.name if table is None else table.c.name
        here = and_(owner == RUNS.c.id, name == term.name)
        if term.op == "is null":
            return ~exists().where(here)
        if term.op == "is not null":
            return exists().where(here)
        value = LATEST.c.value if table is None else table.c.text
        return exists().where(here, self._compared(value, term))

    def _value(self, of: str, name: str, named_by: str) -> ColumnElement[Any]:
        if of == "attribute" and name == "name":
            tag = select(TAGS.c.text).where(TAGS.c.run == RUNS.c.id, TAGS.c.name == named_by).scalar_subquery()
            return func.coalesce(tag, RUNS.c.label)
        if of == "attribute":
            column: ColumnElement[Any] = RUNS.c[name]
            return func.coalesce(self._field(*_TOLD[name]), column) if name in _TOLD else column
        if of == "metric":
            here = and_(LATEST.c.activity == RUNS.c.id, LATEST.c.name == name)
            return select(LATEST.c.value).where(here).scalar_subquery()
        table = _LABELS[of]
        return select(table.c.text).where(table.c.run == RUNS.c.id, table.c.name == name).scalar_subquery()

    def _reads(self, term: Term) -> ColumnElement[bool]:
        """Whether one of the data sets that the run read is so: as a client told it, or by reference as a job did."""
        here = and_(ITEMS.c.project == RUNS.c.project, ITEMS.c.kind == ItemKind.RUN.value, ITEMS.c.key == RUNS.c.id)
        told, value = self._told(term.name)
        holds = exists(select(1).select_from(told).where(here, self._compared(value, term)))
        if term.name == "digest":
            return holds
        used = self._pairs(RUNS.c.asked)
        reference = used.c.key if term.name == "context" else used.c.value
        return or_(holds, exists(select(1).select_from(used).where(self._compared(reference, term))))

    def _told(self, name: str) -> tuple[FromClause, ColumnElement[Any]]:
        """Items with what their data sets have under a name, whatever shape a client gave to what it told."""
        state = ITEMS.c.state
        if self._connection.dialect.name != "sqlite":
            path = literal(_DATASETS[name]).op("::")(literal_column("jsonpath"))
            found = func.jsonb_path_query(cast(state, JSONB), path).table_valued("value").render_derived(name="found")
            return ITEMS.join(found, true()), func.jsonb_extract_path_text(func.jsonb_build_array(found.c.value), "0")
        told = func.json_each(state, "$.inputs").table_valued("fullkey")
        if name != "context":
            return ITEMS.join(told, true()), func.json_extract(state, told.c.fullkey.concat(f".dataset.{name}"))
        tag = func.json_each(state, told.c.fullkey.concat(".tags")).table_valued("fullkey")
        named = func.json_extract(state, tag.c.fullkey.concat(".key")) == CONTEXT
        value = func.json_extract(state, tag.c.fullkey.concat(".value"))
        return ITEMS.join(told, true()).join(tag, named), value

    def _field(self, document: ColumnElement[Any], *path: str) -> ColumnElement[Any]:
        """The text at a path in a JSON document; NULL for none."""
        if self._connection.dialect.name == "sqlite":
            return func.json_extract(document, f"$.{'.'.join(path)}")
        return func.jsonb_extract_path_text(cast(document, JSONB), *path)

    def _pairs(self, document: ColumnElement[Any]) -> TableValuedAlias:
        """The texts of a JSON object, as ``key`` and ``value``."""
        if self._connection.dialect.name == "sqlite":
            return func.json_each(document).table_valued("key", "value")
        return func.jsonb_each_text(cast(document, JSONB)).table_valued("key", "value")

    def _compared(self, value: ColumnElement[Any], term: Term) -> ColumnElement[bool]:
        if (plain := _PLAIN.get(term.op)) is not None:
            compared: ColumnElement[bool] = plain(value, term.value)
            return compared
        match term.op:
            case "in":
                return value.in_(term.value)
            case "not in":
                return value.not_in(term.value)
            case "is null":
                return value.is_(None)
            case "is not null":
                return value.is_not(None)
            case "ilike":
                return func.lower(value).like(term.value.lower())
            case _:
                return self._like(value, term.value)

    def _like(self, value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        """Case counts: SQLite's LIKE does not see it, so there the pattern is written for GLOB."""
        if self._connection.dialect.name != "sqlite":
            return value.like(pattern)
        globbed = "".join({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}.get(c, c) for c in pattern)
        return value.op("GLOB", is_comparison=True)(globbed)


_SOME: Final = Among(
    lambda chosen: select(*ITEMS.c).where(
        ITEMS.c.project == bindparam("project"), ITEMS.c.kind == bindparam("kind"), ITEMS.c.key.in_(chosen)
    )
)


def _item(row: Sequence[Any]) -> Item:
    project, kind, shelf, key, state, created_at, updated_at, deleted = row
    return Item(
        project=project,
        kind=ItemKind(kind),
        key=key,
        shelf=shelf,
        state=json.loads(state),
        created_at=created_at,
        updated_at=updated_at,
        deleted=bool(deleted),
    )


REPOSITORIES: Final = {Items: SqlItems, RunFinder: SqlRunFinder}
