"""Search in SQL: a query tree becomes a statement whose every value is bound.

Each kind of object is one *source*: a table of objects, its plain columns, and its *satellites*, tables that hold the
values of a field beside the objects. Negations are pushed down to the tests first, so that each test becomes one of two
two-valued conditions: that it holds, or that it does not; what is unknown satisfies neither (``language``).

How a statement is put, so that no engine has to guess: the test of a satellite that the fewest rows satisfy leads,
found by counting to a bound in its index; the others are looked up object by object, in the order of the objects'
numbers. When the first key of the order is a metric or a parameter and only the first objects are wanted, its index
leads.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any as Whatever
from typing import Final, Literal

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Join,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    Text,
    and_,
    any_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
)
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from muniment.adapters.sql.catalog import ACTIVITY, EDGE, ENTITY, NAMES, arrows_of
from muniment.adapters.sql.execution import TAGS as _TAGS
from muniment.adapters.sql.indexing import FIELD, OBJECT, PREFIX, RUN, VALUE
from muniment.adapters.sql.inventory import RECORDS, VERSIONS
from muniment.adapters.sql.schema import METADATA, MOMENT, NAME
from muniment.execution.queue import DELETED
from muniment.inventory.model import RecordKind
from muniment.kernel.digest import Digest
from muniment.kernel.expressions import Comparator, Day, Number
from muniment.kernel.expressions import Text as TextValue
from muniment.kernel.identifiers import format_time, parse_time
from muniment.search.kinds import KINDS, Field, Type, find_field
from muniment.search.language import (
    All,
    Any,
    Comparison,
    Condition,
    Key,
    Lineage,
    Match,
    Matching,
    Membership,
    Moment,
    Negation,
    Now,
    Path,
    Presence,
    Query,
    Span,
)
from muniment.search.ports import Hit, SavedSearch, SavedSearches, Scope, SearchIndex

SAVED: Final = Table(
    "search_saved",
    METADATA,
    Column("project", NAME, nullable=False),
    Column("name", String(100), nullable=False),
    Column("query", Text, nullable=False),
    Column("author", NAME, nullable=False),
    Column("at", MOMENT, nullable=False),
    PrimaryKeyConstraint("project", "name"),
)

_FEW: Final = 10_000
"""A test that at most so many rows satisfy leads a statement."""

_FEW_COUNTED: Final = 50_000
"""The same when SQLite counts to the end: it has no other way than to look at object by object."""

_MANY: Final = 50_000
"""Of fewer objects that lineage reaches, each is better looked up in the other tests than joined with them."""

_FEW_JOINED: Final = 1000
"""The same for a test of values that stand with another object, which must be joined to be counted."""

_PAGE: Final = 2000
"""Up to so many objects, the index of the first key leads."""

_HASHED_MB: Final = 64
"""What a table of hashes may take in PostgreSQL, some two million objects; beyond that it would look through a list."""

_CHUNK: Final = 500
_MOST_VALUES: Final = 50
"""Values of one field of one object in an answer."""

_Sql = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class _Cell:
    """Where a value stands: as a number, or as a text with, for a long one, its first characters."""

    type: Type
    number: ColumnElement[Whatever] | None = None
    text: ColumnElement[Whatever] | None = None
    prefix: ColumnElement[Whatever] | None = None
    """An indexed column that holds the first characters; then ``text`` is null where these are all."""

    def by_object(self) -> _Cell:
        """The same for a look at one object's rows: written so that engines go by the object, not by the value."""
        if self.prefix is None:
            return self
        number = None if self.number is None else self.number + literal_column("0")
        return _Cell(self.type, number, self.text, self.prefix.op("||")(literal_column("''")))

    @property
    def whole(self) -> ColumnElement[Whatever]:
        """All of the text."""
        assert self.text is not None
        return self.text if self.prefix is None else func.coalesce(self.text, self.prefix)

    @property
    def shown(self) -> ColumnElement[Whatever]:
        """What an answer holds."""
        if self.type in (Type.NUMBER, Type.SPAN):
            assert self.number is not None
            return self.number
        return self.whole


@dataclass(frozen=True, slots=True)
class _Satellite:
    """Values of a field that stand in rows of their own."""

    rows: FromClause
    cell: _Cell
    of: _Sql
    """Ties the rows to the object of the surrounding statement."""

    within: tuple[_Sql, ...]
    """Which rows of the table are meant."""

    owner: ColumnElement[Whatever] | None
    """The object's key in the rows; None when rows cannot lead."""

    many: bool

    def holds(self, condition: _Sql | None, *, lazily: bool = False) -> _Sql:
        """Whether a row of the object satisfies this.

        With ``lazily`` it is looked up for each object that is come to: PostgreSQL does not join what has an offset.
        """
        rows: Select[Whatever] = (
            select(literal_column("1")).select_from(self.rows).where(self.of, *self._meant(condition))
        )
        return exists(rows.offset(0) if lazily else rows)

    def holds_of(self, key: ColumnElement[Whatever], condition: _Sql | None) -> _Sql:
        """The same for many objects: all that satisfy it are put into one table of hashes.

        PostgreSQL would join, in an order that it takes from how few rows it expects, and it is wrong by far where a
        value is frequent in one field and rare in all others. It does not join what is compared with a truth value.
        """
        return key.in_(self.owners(condition)).is_(true())

    def owners(self, condition: _Sql | None) -> Select[Whatever]:
        """The objects of which a row satisfies this."""
        assert self.owner is not None
        return select(self.owner).select_from(self.rows).where(*self._meant(condition))

    def _meant(self, condition: _Sql | None) -> list[_Sql]:
        return [*self.within, *([] if condition is None else [condition])]


@dataclass(frozen=True, slots=True)
class _Source:
    """How one kind is found."""

    base: FromClause
    key: ColumnElement[Whatever]
    project: ColumnElement[Whatever]
    within: tuple[_Sql, ...]
    newest: tuple[ColumnElement[Whatever], ...]
    """The order of objects when nothing else is asked for, and of those that are alike."""

    plain: Mapping[str, ColumnElement[Whatever]]
    """Columns by field."""

    satellite: Callable[[_Compiler, Path, Field], _Satellite | None] = lambda compiler, path, field: None
    lineage: Callable[[CTE], Select[Whatever]] | None = None
    """The keys of those objects that are among the nodes of a walk."""

    guard: Mapping[str, ColumnElement[Whatever]] = field(default_factory=dict)
    reference: str = ""
    """``run``, ``entity``, ``experiment`` or ``record``."""


class SqlSearchIndex:
    """``SearchIndex`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def find(self, query: Query, scope: Scope, columns: Sequence[Path], *, limit: int, offset: int) -> Sequence[Hit]:
        """Objects in the order that the query asks for."""
        self._ready()
        compiler = _Compiler(self._db, query, scope)
        rows = _Pager(compiler).page(columns, limit, offset)
        return _Teller(compiler).hits(rows, columns)

    def count(self, query: Query, scope: Scope) -> int:
        """How many there are."""
        self._ready()
        return _Pager(_Compiler(self._db, query, scope)).count()

    def words(self, projects: Sequence[str], space: str, prefix: str, limit: int) -> Sequence[str]:
        """Names in a family of fields that begin so."""
        query = (
            select(FIELD.c.name)
            .where(FIELD.c.project.in_(projects), FIELD.c.space == space)
            .where(_starts(FIELD.c.name, prefix, self._db.dialect.name) if prefix else true())
            .distinct()
            .order_by(FIELD.c.name)
            .limit(limit)
        )
        return [name for (name,) in self._db.execute(query)]

    def _ready(self) -> None:
        if self._db.dialect.name == "postgresql":  # it would compile what then runs for a shorter time
            self._db.execute(text("set local jit = off"))
            self._db.execute(text(f"set local work_mem = '{_HASHED_MB}MB'"))


class _Cells:
    """What a value must satisfy, in the words of one engine."""

    def __init__(self, engine: str, now: datetime) -> None:
        self._engine, self._now = engine, now

    def condition(self, cell: _Cell, test: Comparison | Membership | Match) -> _Sql:
        """What a value must satisfy: true, false, or null for a value that cannot be compared so."""
        match test:
            case Match(_, how, words):
                return self._matches(cell, how, words.value)
            case Membership(_, values):
                return self._member(cell, values)
            case Comparison(_, comparator, Number(value)) | Comparison(_, comparator, Span(value)):
                return _compared(cell.number, comparator, float(value))
            case Comparison(_, comparator, TextValue(value)):
                return self._equals(cell, value, comparator)
            case Comparison(_, comparator, value):
                return self._at(cell.whole, comparator, value)
        raise TypeError(f"{type(test).__name__} is no test")

    def _member(self, cell: _Cell, values: Sequence[Whatever]) -> _Sql:
        numbers = [float(one.value) for one in values if isinstance(one, Number)]
        numbers += [float(one.seconds) for one in values if isinstance(one, Span)]
        texts = [one.value for one in values if isinstance(one, TextValue)]
        moments = [one for one in values if isinstance(one, (Day, Moment, Now))]
        found: list[_Sql] = []
        if numbers:
            assert cell.number is not None
            found.append(cell.number.in_(numbers))
        short = [one for one in texts if cell.prefix is None or len(one) < PREFIX]
        if short:
            found.append((cell.whole if cell.prefix is None else cell.prefix).in_(short))
        found += [self._equals(cell, one, Comparator.EQUAL) for one in texts if one not in short]
        found += [self._at(cell.whole, Comparator.EQUAL, one) for one in moments]
        return or_(*found)

    @staticmethod
    def _equals(cell: _Cell, value: str, comparator: Comparator) -> _Sql:
        if cell.prefix is None:
            same = cell.whole == value
        elif len(value) < PREFIX:
            same = cell.prefix == value
        else:
            same = and_(cell.prefix == value[:PREFIX], cell.whole == value)
        return not_(same) if comparator is Comparator.UNEQUAL else same

    def _matches(self, cell: _Cell, how: Matching, words: str) -> _Sql:
        whole = cell.whole
        if how is Matching.CONTAINS:
            place = func.instr(whole, words) if self._engine == "sqlite" else func.strpos(whole, words)
            return place > 0
        if how is Matching.STARTS:
            return _starts(whole, words, self._engine)
        if self._engine == "sqlite":
            return whole.bool_op("GLOB")(_glob(words))
        return whole.like(_like(words), escape="\\")

    def _at(self, column: ColumnElement[Whatever], comparator: Comparator, value: Whatever) -> _Sql:
        """A moment against a moment, or against a whole day."""
        if not isinstance(value, Day):
            moment = value.value if isinstance(value, Moment) else value.at(self._now)
            return _compared(column, comparator, _written(moment))
        start = datetime(value.value.year, value.value.month, value.value.day, tzinfo=UTC)
        first, after = _written(start), _written(start, days=1)
        match comparator:
            case Comparator.EQUAL:
                return and_(column >= first, column < after)
            case Comparator.UNEQUAL:
                return or_(column < first, column >= after)
            case Comparator.LESS | Comparator.AT_LEAST:
                return _compared(column, comparator, first)
            case Comparator.AT_MOST:
                return column < after
        return column >= after


class _Compiler:
    """The conditions of one query as conditions of the engine."""

    def __init__(self, db: Connection, query: Query, scope: Scope) -> None:
        self.db, self.query, self.scope = db, query, scope
        self.engine: Final[str] = db.dialect.name
        self.kind = KINDS[query.kind]
        self.lazily = False
        """Whether few objects will be come to, so that satellites are better looked up than joined."""
        self._fields: dict[tuple[str, str], tuple[int, ...]] = {}
        self._reached: dict[Lineage, list[int]] = {}
        self.cells = _Cells(self.engine, scope.now)
        self.source = SOURCES[query.kind](self)

    def satellite(self, path: Path) -> _Satellite | None:
        """The rows that hold a field; None when a plain column does."""
        if path.name is None and path.head in self.source.plain:
            return None
        return self.source.satellite(self, path, self.field(path))

    def field(self, path: Path) -> Field:
        """The field of the kind that a path names."""
        found = find_field(self.kind, path.head, path.name)
        assert found is not None, path
        return found[1]

    def fields(self, space: str, name: str) -> tuple[int, ...]:
        """The numbers of a field, one per project that has it."""
        known = self._fields.get((space, name))
        if known is None:
            query = select(FIELD.c.id).where(
                FIELD.c.project.in_(self.scope.projects), FIELD.c.space == space, FIELD.c.name == name
            )
            known = self._fields[space, name] = tuple(number for (number,) in self.db.execute(query))
        return known

    def values_of(self, space: str, name: str, owner: ColumnElement[Whatever], field: Field) -> _Satellite:
        """The values that the index keeps for a field."""
        rows = VALUE.alias()
        numbers = self.fields(space, name)
        within = rows.c.field == numbers[0] if len(numbers) == 1 else rows.c.field.in_(numbers or (-1,))
        cell = _Cell(field.type, rows.c.number, rows.c.text, rows.c.prefix)
        alone = () if field.many else (rows.c.place == literal_column("0"),)  # at most one row: engines join it plainly
        return _Satellite(rows, cell, rows.c.object == owner, (within, *alone), rows.c.object, field.many)

    def holds(self, condition: Condition, *, negated: bool = False) -> _Sql:
        """The condition that this one holds, or with ``negated`` that it certainly does not."""
        match condition:
            case Negation(inner):
                return self.holds(inner, negated=not negated)
            case All(parts):
                return (or_ if negated else and_)(*(self.holds(part, negated=negated) for part in parts))
            case Any(parts):
                return (and_ if negated else or_)(*(self.holds(part, negated=negated) for part in parts))
            case Presence(path, present):
                return self._present(path, present is not negated)
            case Lineage():
                reached = self._lineage(condition)
                return not_(reached) if negated else reached
            case Comparison() | Membership() | Match():
                return self._tested(condition, negated)
        raise TypeError(f"{type(condition).__name__} is no condition")

    def _present(self, path: Path, present: bool) -> _Sql:
        satellite = self.satellite(path)
        if satellite is None:
            column = self.source.plain[path.head]
            return column.is_not(None) if present else column.is_(None)
        there = satellite.holds(None, lazily=self.lazily)
        return there if present else not_(there)

    def _tested(self, test: Comparison | Membership | Match, negated: bool) -> _Sql:
        satellite = self.satellite(test.path)
        if satellite is None:
            condition = self.cells.condition(self._plain_cell(test.path), test)
            return not_(condition) if negated else condition
        cell = satellite.cell.by_object() if self.lazily or self.engine == "sqlite" else satellite.cell
        if not satellite.many:
            condition = self.cells.condition(cell, test)
            if self._frequent(satellite, test) and not negated:
                return satellite.holds_of(self.source.key, condition)
            return satellite.holds(not_(condition) if negated else condition, lazily=self.lazily)
        positive, flipped = _positive(test)
        condition = self.cells.condition(cell, positive)
        if negated is flipped:
            if self._frequent(satellite, positive):
                return satellite.holds_of(self.source.key, condition)
            return satellite.holds(condition, lazily=self.lazily)
        some = satellite.holds(condition.is_not(None), lazily=self.lazily)
        return and_(some, not_(satellite.holds(condition, lazily=self.lazily)))

    def _frequent(self, satellite: _Satellite, test: Comparison | Membership | Match) -> bool:
        """Whether PostgreSQL would expect too little: that a value is frequent in this field it cannot know."""
        if self.engine != "postgresql" or self.lazily or satellite.owner is None:
            return False
        return not isinstance(test, Match)

    def _plain_cell(self, path: Path) -> _Cell:
        column, type_ = self.source.plain[path.head], self.field(path).type
        return _Cell(type_, number=column) if type_ in (Type.NUMBER, Type.SPAN) else _Cell(type_, text=column)

    def _lineage(self, test: Lineage) -> _Sql:
        reached = self.walk(test)
        if not reached:
            return false()
        among = self.source.key.in_(self.listed(reached))
        return among if self.engine == "sqlite" else among.is_(true())  # see _Satellite.holds_of

    def walk(self, test: Lineage) -> list[int]:
        """The keys of the objects that a lineage test reaches: followed once, so that their number is known."""
        known = self._reached.get(test)
        if known is not None:
            return known
        assert self.source.lineage is not None
        near, far = ("source", "target") if test.upstream else ("target", "source")
        starts: list[int] = []
        for project, start in self.scope.starts.get(test.reference, ()):
            if isinstance(start, Digest):
                found = select(ENTITY.c.id).where(ENTITY.c.project == project, ENTITY.c.digest == str(start))
            else:
                found = select(-ACTIVITY.c.id).where(ACTIVITY.c.project == project, ACTIVITY.c.ulid == start)
            starts += [node for (node,) in self.db.execute(found)]
        keys: list[int] = []
        if starts:
            begin = or_(*(EDGE.c[near] == node for node in starts))
            reached = select(EDGE.c[far].label("node")).where(begin).cte(recursive=True)
            arrows, at = arrows_of(reached, near, self.engine, far)
            reached = reached.union(select(arrows.c[far]).join_from(reached, arrows, at))
            keys = [key for (key,) in self.db.execute(self.source.lineage(reached))]
        self._reached[test] = keys
        return keys

    def listed(self, numbers: Sequence[int]) -> Select[Whatever]:
        """Numbers that are known, as rows: one value, from which PostgreSQL learns how many they are."""
        if self.engine == "sqlite":
            return select(func.json_each(json.dumps(numbers)).table_valued("value").c.value)
        return select(func.unnest(cast(literal(numbers, ARRAY(BigInteger)), ARRAY(BigInteger))))

    def within(self) -> list[_Sql]:
        projects = self.scope.projects
        here = self.source.project == projects[0] if len(projects) == 1 else self.source.project.in_(projects)
        return [here, *self.source.within]


class _Pager:
    """The objects that a query finds: how many, and one page of them in order."""

    def __init__(self, compiler: _Compiler) -> None:
        self._compiler, self._query = compiler, compiler.query
        self._db, self._source = compiler.db, compiler.source

    def count(self) -> int:
        """How many objects there are."""
        lite = self._compiler.engine == "sqlite"
        lead, condition = self._led(self._query.condition, _FEW_COUNTED if lite else _FEW)
        query = select(func.count()).select_from(self._source.base).where(*self._compiler.within(), *lead, condition)
        return int(self._db.execute(query).scalar_one())

    def page(self, columns: Sequence[Path], limit: int, offset: int) -> list[Whatever]:
        """The rows of the objects wanted, in order: key, guard and plain columns.

        First only the keys are found and put in order, because an engine that sorts drags along whatever it selects.
        """
        indexed = not self._query.order or self._query.order[0].path == Path("created")
        self._compiler.lazily = self._compiler.engine == "postgresql" and indexed and offset + limit <= _PAGE
        lead, condition = self._led(self._query.condition, _FEW)
        keys = None if lead else self._walked(limit, offset)
        if keys is None:
            query = (
                select(self._source.key)
                .select_from(self._source.base)
                .where(*self._compiler.within(), *lead, condition)
            )
            query = query.order_by(*self._order()).limit(limit).offset(offset)
            keys = [key for (key,) in self._db.execute(query)]
        rows: dict[Whatever, Whatever] = {}
        for chunk in _chunks(keys):
            told = self._select(columns).where(self._source.key.in_(chunk), *self._compiler.within())
            rows |= {row["key"]: row for row in self._db.execute(told).mappings()}
        return [rows[key] for key in keys]

    def _select(self, columns: Sequence[Path], base: FromClause | None = None) -> Select[Whatever]:
        source = self._source
        plain = [
            source.plain[path.head].label(f"c_{path}")
            for path in dict.fromkeys(columns)
            if path.name is None and path.head in source.plain
        ]
        guard = [column.label(f"g_{name}") for name, column in source.guard.items()]
        first = (source.key.label("key"), source.project.label("project"))
        return select(*first, *guard, *plain).select_from(source.base if base is None else base)

    def _led(self, condition: Condition | None, few: int) -> tuple[list[_Sql], _Sql]:
        """A condition that leads, if a test of all is satisfied by at most so many rows, and what else must hold."""
        if condition is None:
            return [], true()
        parts = list(condition.parts) if isinstance(condition, All) else [condition]
        first: Condition | None = None
        for part in sorted(parts, key=lambda part: not isinstance(part, Lineage)):
            many = self._many(part, few)
            if many is not None:
                few, first = many - 1, part
                if many <= 1:
                    break
        reached = (len(self._compiler.walk(part)) for part in parts if isinstance(part, Lineage))
        selective = first is not None or min(reached, default=_MANY) < _MANY
        self._compiler.lazily = self._compiler.lazily or (selective and self._compiler.engine == "postgresql")
        whole = and_(*(self._compiler.holds(part) for part in sorted(parts, key=_weight) if part is not first), true())
        return ([] if first is None else [self._among(self._owners(first))]), whole

    def _many(self, part: Condition, few: int) -> int | None:
        """How many rows satisfy a test, when lineage or an index knows it and they are at most so many."""
        if isinstance(part, Lineage):
            many = len(self._compiler.walk(part))
        else:
            satellite = self._indexed(part)
            if satellite is None:
                return None
            if isinstance(satellite.rows, Join):
                few = min(few, _FEW_JOINED)
            rows = self._satisfying(satellite, part).limit(few + 1).subquery()
            many = self._db.execute(select(func.count()).select_from(rows)).scalar_one()
        return many if many <= few else None

    def _owners(self, part: Condition) -> list[Whatever]:
        """The keys of the objects that satisfy a test that is known to be satisfied by few."""
        if isinstance(part, Lineage):
            return self._compiler.walk(part)
        satellite = self._indexed(part)
        assert satellite is not None
        return [*{key for (key,) in self._db.execute(self._satisfying(satellite, part)) if key is not None}]

    def _indexed(self, part: Condition) -> _Satellite | None:
        """The rows whose index knows who satisfies a test; None when there are none."""
        if not isinstance(part, (Comparison, Membership)) or _positive(part)[1]:
            return None
        satellite = self._compiler.satellite(part.path)
        return None if satellite is None or satellite.owner is None else satellite

    def _satisfying(self, satellite: _Satellite, part: Whatever) -> Select[Whatever]:
        return satellite.owners(self._compiler.cells.condition(satellite.cell, part))

    def _among(self, keys: Sequence[Whatever]) -> _Sql:
        """Whether an object is one of these, told so that engines begin with them."""
        if not keys:
            return false()
        if not isinstance(keys[0], int):
            return self._source.key.in_(keys)
        if self._compiler.engine == "sqlite":
            return self._source.key.in_(self._compiler.listed(keys))
        return self._source.key == any_(cast(literal(keys, ARRAY(BigInteger)), ARRAY(BigInteger)))

    def _walked(self, limit: int, offset: int) -> list[Whatever] | None:
        """The keys of a page, led by the values of the first key; None when it is not such a one.

        What has the field comes first, in its order; only when it does not fill the page is the rest asked for. Tests
        of the same field are made on the same rows. A page near the beginning is read off the index of the values; one
        far away is found faster in the order of the objects, and sorted.
        """
        if not self._query.order or len(self._compiler.scope.projects) != 1:
            return None
        first = self._query.order[0]
        field_, satellite = self._compiler.field(first.path), self._compiler.satellite(first.path)
        if satellite is None or satellite.many or field_.type is not Type.NUMBER or satellite.owner is None:
            return None
        mine, others = self._split(first.path)
        lite = self._compiler.engine == "sqlite"
        near = not others or offset + limit <= _PAGE
        cell = satellite.cell if near or not lite else satellite.cell.by_object()
        number = cell.number
        assert number is not None
        owner = satellite.owner + literal_column("0") if lite else satellite.owner
        base = satellite.rows.join(self._source.base, self._source.key == owner)
        within = [*satellite.within, number.is_not(None), *self._source.within]
        tests = [self._compiler.cells.condition(cell, test) for test in mine]
        self._compiler.lazily = near and not lite
        holds = [self._compiler.holds(part) for part in others]
        rest = self._order()[2:]
        query = select(self._source.key).select_from(base).where(*within, *tests, *holds)
        query = query.order_by(number.desc() if first.descending else number, *rest)
        if mine:  # then nothing without the field is asked for, and the engine can pass over what comes before the page
            return [key for (key,) in self._db.execute(query.limit(limit).offset(offset))]
        found = [key for (key,) in self._db.execute(query.limit(offset + limit))]
        if len(found) < offset + limit:
            without = not_(satellite.holds(satellite.cell.by_object().number.is_not(None)))  # type: ignore[union-attr]
            more = (
                select(self._source.key).select_from(self._source.base).where(*self._compiler.within(), without, *holds)
            )
            found += [key for (key,) in self._db.execute(more.order_by(*rest).limit(offset + limit - len(found)))]
        return found[offset:]

    def _split(self, path: Path) -> tuple[list[Comparison | Membership | Match], list[Condition]]:
        """The tests that must hold of this field, and whatever else must hold."""
        condition = self._query.condition
        parts = () if condition is None else condition.parts if isinstance(condition, All) else (condition,)
        mine = [part for part in parts if isinstance(part, (Comparison, Membership, Match)) and part.path == path]
        return mine, sorted((part for part in parts if part not in mine), key=_weight)

    def _order(self) -> list[ColumnElement[Whatever]]:
        keys = [one for key in self._query.order for one in self._keyed(key)]
        return [*keys, *(column.desc() for column in self._source.newest)]

    def _keyed(self, key: Key) -> Iterator[ColumnElement[Whatever]]:
        """What is absent comes last either way; texts by their letters' numbers, alike on every engine."""
        for column, always in self._sorted(key):
            if not always:
                yield case((column.is_(None), 1), else_=0)
            yield column.desc() if key.descending else column

    def _sorted(self, key: Key) -> Iterator[tuple[ColumnElement[Whatever], bool]]:
        """What to sort by, and whether every object has it.

        Moments are written alike, so that every collation puts them in the same order: an index can be read in it.
        """
        satellite, field_ = self._compiler.satellite(key.path), self._compiler.field(key.path)
        if satellite is None:
            column = self._source.plain[key.path.head]
            own = isinstance(column, Column) and column.table is getattr(self._source.key, "table", None)
            always = own and not getattr(column, "nullable", True)
            as_is = field_.type in (Type.NUMBER, Type.SPAN, Type.MOMENT)
            yield column if as_is else self._collated(column), always
            return
        pick = func.max if key.descending else func.min
        cell = satellite.cell
        forms = {Type.ANY: ("number", "text"), Type.NUMBER: ("number",), Type.SPAN: ("number",)}
        for form in forms.get(field_.type, ("text",)):
            value = cell.number if form == "number" else self._collated(cell.whole)
            assert value is not None
            one = select(value if not satellite.many else pick(value)).select_from(satellite.rows)
            yield one.where(satellite.of, *satellite.within).scalar_subquery(), False

    def _collated(self, column: ColumnElement[Whatever]) -> ColumnElement[Whatever]:
        return column if self._compiler.engine == "sqlite" else column.collate("C")


class _Teller:
    """What is told of the objects of a page."""

    def __init__(self, compiler: _Compiler) -> None:
        self._compiler, self._query = compiler, compiler.query
        self._db, self._source = compiler.db, compiler.source

    def hits(self, rows: Sequence[Whatever], columns: Sequence[Path]) -> list[Hit]:
        """What is told of the objects of these rows."""
        values: dict[Whatever, dict[str, Whatever]] = {
            row["key"]: {name[2:]: _number(row[name]) for name in row if name.startswith("c_")} for row in rows
        }
        for path in columns:
            satellite = self._compiler.satellite(path)
            if satellite is not None:
                for key, found in self._several(satellite, [row["key"] for row in rows]).items():
                    values[key][str(path)] = found if len(found) > 1 else found[0]
        references = self._references(rows)
        return [
            Hit(
                reference=references[row["key"]],
                project=row["project"],
                values={str(path): values[row["key"]].get(str(path)) for path in columns},
                guard={name[2:]: row[name] or "" for name in row if name.startswith("g_")},
            )
            for row in rows
        ]

    def _several(self, satellite: _Satellite, keys: Sequence[Whatever]) -> dict[Whatever, list[Whatever]]:
        """The values of a field by object, as far as an answer holds them."""
        found: dict[Whatever, list[Whatever]] = {}
        source = self._source
        for chunk in _chunks(keys):
            query = (
                select(source.key, satellite.cell.shown)
                .select_from(source.base.join(satellite.rows, satellite.of))
                .where(source.key.in_(chunk), *satellite.within)
                .distinct()
                .order_by(source.key, satellite.cell.shown)
            )
            for key, value in self._db.execute(query):
                values = found.setdefault(key, [])
                if len(values) < _MOST_VALUES and value is not None:
                    values.append(_number(value))
        return {key: values for key, values in found.items() if values}

    def _references(self, rows: Sequence[Whatever]) -> dict[Whatever, str]:
        """The best name of each object."""
        how, keys = self._source.reference, [row["key"] for row in rows]
        if how == "run":
            return {row["key"]: f"run:{row['g_id']}" for row in rows}
        if how != "entity":
            return {row["key"]: f"{how}:{row['g_id']}" for row in rows}
        found = {row["key"]: str(row["g_id"]) for row in rows}
        names = NAMES.alias()
        for chunk in _chunks(keys):
            query = (
                select(ENTITY.c.id, names.c.kind, names.c.name, names.c.version)
                .join(names, and_(names.c.project == ENTITY.c.project, names.c.digest == ENTITY.c.digest))
                .where(ENTITY.c.id.in_(chunk))
                .order_by(names.c.at, names.c.name, names.c.version)
            )
            for key, kind, name, version in self._db.execute(query):
                found[key] = f"{kind}:{name}@{version}"
        return found


def _positive(test: Comparison | Membership | Match) -> tuple[Comparison | Membership | Match, bool]:
    """A test without ``!=``, and whether it must be negated."""
    if isinstance(test, Comparison) and test.comparator is Comparator.UNEQUAL:
        return Comparison(test.path, Comparator.EQUAL, test.value), True
    return test, False


def _weight(condition: Condition) -> int:
    """Plain columns before satellites, which cost a look each; lineage last."""
    tests = [*condition.tests()]
    if any(isinstance(test, Lineage) for test in tests):
        return 1000
    return sum(_looks(test) for test in tests)


def _looks(test: Whatever) -> int:
    """What a test costs, about: a plain column one, a look at a satellite ten, and what must be and not be so, two."""
    apart = test.path.name is not None
    return 1 + 9 * apart * (2 if isinstance(test, Comparison) and test.comparator is Comparator.UNEQUAL else 1)


def _compared(column: ColumnElement[Whatever] | None, comparator: Comparator, value: Whatever) -> _Sql:
    assert column is not None
    return _COMPARE[comparator](column, value)


_COMPARE: Final[Mapping[Comparator, Callable[[Whatever, Whatever], _Sql]]] = {
    Comparator.EQUAL: operator.eq,
    Comparator.UNEQUAL: operator.ne,
    Comparator.LESS: operator.lt,
    Comparator.AT_MOST: operator.le,
    Comparator.MORE: operator.gt,
    Comparator.AT_LEAST: operator.ge,
}


def _starts(column: ColumnElement[Whatever], prefix: str, engine: str) -> _Sql:
    if engine == "sqlite":
        return func.substr(column, 1, len(prefix)) == prefix
    return func.starts_with(column, prefix)


def _pieces(pattern: str) -> Iterator[tuple[Literal["any", "one", "letter"], str]]:
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\" and at + 1 < len(pattern) and pattern[at + 1] in "%_\\":
            yield "letter", pattern[at + 1]
            at += 2
            continue
        yield ("any" if letter == "%" else "one" if letter == "_" else "letter"), letter
        at += 1


def _glob(pattern: str) -> str:
    """A pattern of ``like`` in SQLite's GLOB, which tells upper from lower case."""
    signs = {"any": "*", "one": "?"}
    return "".join(
        signs.get(sort) or (f"[{letter}]" if letter in "*?[" else letter) for sort, letter in _pieces(pattern)
    )


def _like(pattern: str) -> str:
    signs = {"any": "%", "one": "_"}
    return "".join(
        signs.get(sort) or (f"\\{letter}" if letter in "%_\\" else letter) for sort, letter in _pieces(pattern)
    )


def _written(moment: datetime, days: int = 0) -> str:
    """A moment as columns hold it; beyond the calendar's end its last moment."""
    try:
        return format_time(moment + timedelta(days=days))
    except OverflowError:
        return "9999-12-31T23:59:59.999999Z"


def _number(value: Whatever) -> Whatever:
    """A whole number without a fraction, so that a count reads like one."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _chunks(values: Sequence[Whatever]) -> Iterator[list[Whatever]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


# sources


def _runs(compiler: _Compiler) -> _Source:
    r = RUN
    plain = {
        "id": r.c.run,
        "status": r.c.status,
        "kind": r.c.kind,
        "label": r.c.label,
        "name": r.c.name,
        "experiment": r.c.experiment,
        "trial": r.c.trial,
        "author": r.c.author,
        "created": r.c.created_at,
        "started": r.c.started_at,
        "ended": r.c.ended_at,
        "duration": r.c.duration,
        "grade": r.c.grade,
        "seed": r.c.seed,
        "env": r.c.env,
        "code": r.c.code,
        "commit": r.c.commit,
        "plan": r.c.plan,
    }

    def satellite(compiler: _Compiler, path: Path, field: Field) -> _Satellite | None:
        if path.head in ("metric", "param", "tag"):
            return compiler.values_of(path.head, path.name or "", r.c.number, field)
        if path.name in ("name", "kind"):
            return compiler.values_of(path.head, path.name, r.c.number, field)
        used = OBJECT.alias()
        of = used.c.run == r.c.number
        return _thing(compiler, path, field, used, of, used.c.side == path.head, used.c.run)

    def lineage(reached: CTE) -> Select[Whatever]:
        # a sum in place of the node, and the engines look its row up; without it they read all activities
        node: ColumnElement[Whatever] = literal_column("0") - reached.c.node
        ran = select(ACTIVITY.c.ulid).where(ACTIVITY.c.id == node)
        ran_only = reached.c.node < literal_column("0")
        if compiler.engine == "sqlite":
            return (
                select(r.c.number)
                .join_from(reached, ACTIVITY, ACTIVITY.c.id == node)
                .join(r, r.c.run == ACTIVITY.c.ulid)
                .where(ran_only)
            )
        one = ran.offset(0).lateral()
        return select(r.c.number).select_from(reached).join(one, true()).join(r, r.c.run == one.c.ulid).where(ran_only)

    gone = select(_TAGS.c.run).where(_TAGS.c.project.in_(compiler.scope.projects), _TAGS.c.name == DELETED)
    guard = {"id": r.c.run, "kind": r.c.kind, "author": r.c.author}
    within = (r.c.run.not_in(gone),)
    return _Source(r, r.c.number, r.c.project, within, (r.c.number,), plain, satellite, lineage, guard, "run")


def _thing(
    compiler: _Compiler,
    path: Path,
    field: Field,
    used: FromClause,
    of: _Sql,
    within: _Sql,
    owner: ColumnElement[Whatever] | None,
) -> _Satellite:
    """A field of something that a run used or made."""
    if path.name in ("digest", "role"):
        cell = _Cell(field.type, text=used.c[path.name])
        return _Satellite(used, cell, of, (within,), owner, True)
    if path.name in ("version", "reference"):
        names = NAMES.alias()
        rows = used.join(names, and_(names.c.project == used.c.project, names.c.digest == used.c.digest))
        return _Satellite(rows, _name_cell(path.name, names, field), of, (within,), owner, True)
    entity = ENTITY.alias()
    rows = used.join(entity, and_(entity.c.project == used.c.project, entity.c.digest == used.c.digest))
    told = compiler.values_of("fact", "classification", entity.c.id, field)
    rows = rows.join(told.rows, told.of)
    return _Satellite(rows, told.cell, of, (within, *told.within), owner, True)


def _name_cell(what: str, names: FromClause, field: Field) -> _Cell:
    if what == "version":
        return _Cell(field.type, number=names.c.version)
    if what == "name":
        return _Cell(field.type, text=names.c.name)
    return _Cell(field.type, text=names.c.kind + ":" + names.c.name + "@" + cast(names.c.version, SqlText))


def _entities(kind: str) -> Callable[[_Compiler], _Source]:
    def source(compiler: _Compiler) -> _Source:
        e, v = ENTITY, VERSIONS
        plain = {
            "digest": e.c.digest,
            "content": e.c.content_digest,
            "author": e.c.author,
            "created": e.c.at,
            "grade": e.c.grade,
        }
        base: FromClause = e
        if kind == "model":
            base = e.outerjoin(v, and_(v.c.project == e.c.project, v.c.digest == e.c.digest))
            plain |= {name: v.c[name] for name in ("state", "tier", "use_case", "owner", "origin", "supplier")}
            plain |= {
                "registered": v.c.registered_at,
                "approved": v.c.approved_at,
                "expires": v.c.expires,
                "next_review": v.c.next_review,
                "findings": v.c.findings_open,
                "findings_high": v.c.findings_high,
            }
        classification = compiler.values_of("fact", "classification", e.c.id, _CLASSIFICATION)
        said = select(classification.cell.whole).select_from(classification.rows)
        guard = {
            "id": e.c.digest,
            "author": e.c.author,
            "classification": said.where(classification.of, *classification.within).limit(1).scalar_subquery(),
        }
        return _Source(
            base, e.c.id, e.c.project, (e.c.kind == kind,), (e.c.id,), plain, _of_entity, _entity_nodes, guard, "entity"
        )

    return source


_CLASSIFICATION: Final = Field("classification", Type.TEXT, "", many=True)


def _entity_nodes(reached: CTE) -> Select[Whatever]:
    return select(reached.c.node).where(reached.c.node > literal_column("0"))


def _of_entity(compiler: _Compiler, path: Path, field: Field) -> _Satellite | None:
    e = ENTITY
    if path.head in ("name", "version", "reference"):
        names = NAMES.alias()
        of = and_(names.c.project == e.c.project, names.c.digest == e.c.digest)
        return _Satellite(names, _name_cell(path.head, names, field), of, (), None, True)
    if path.head == "column" and path.name == "name":
        values, names = VALUE.alias(), FIELD.alias()
        rows = values.join(names, names.c.id == values.c.field)
        within = (names.c.space == "column", names.c.project.in_(compiler.scope.projects))
        return _Satellite(
            rows, _Cell(field.type, text=names.c.name), values.c.object == e.c.id, within, values.c.object, True
        )
    if path.head == "column":
        return compiler.values_of("column", path.name or "", e.c.id, field)
    if path.head == "metric":
        return _measured(compiler, path, field)
    if path.head == "param":
        made = OBJECT.alias()
        return _about(
            e, made, compiler.values_of("param", path.name or "", made.c.run, field), (made.c.side == "output",)
        )
    if path.head == "trained_on":
        made, used = OBJECT.alias(), OBJECT.alias()
        if path.name in ("name", "kind"):
            inner = compiler.values_of("input", path.name, made.c.run, field)
        else:
            inner = _thing(compiler, path, field, used, used.c.run == made.c.run, used.c.side == "input", None)
        return _about(e, made, inner, (made.c.side == "output",))
    name = path.name if path.head == "fact" else path.head
    return compiler.values_of("fact", name or "", e.c.id, field)


def _measured(compiler: _Compiler, path: Path, field: Field) -> _Satellite:
    """Metrics of the runs that made a model or evaluated it."""
    told, run = OBJECT.alias(), RUN.alias()
    values = compiler.values_of("metric", path.name or "", told.c.run, field)
    evaluated = exists(select(literal_column("1")).where(run.c.number == told.c.run, run.c.kind == "evaluate"))
    return _about(ENTITY, told, values, (or_(told.c.side == "output", evaluated),))


def _about(entity: Table, told: FromClause, values: _Satellite, within: tuple[_Sql, ...]) -> _Satellite:
    """Values of the runs that used or made an entity, as values of the entity."""
    of = told.c.entity == entity.c.id
    rows = told.join(values.rows, values.of)
    return _Satellite(rows, values.cell, of, (*within, *values.within), told.c.entity, True)


def _experiments(compiler: _Compiler) -> _Source:
    r = RUN
    busy, bad = r.c.status.in_(("queued", "running")), r.c.status.not_in(("queued", "running", "ok"))
    counted = (
        select(
            r.c.project,
            r.c.experiment.label("name"),
            func.count().label("runs"),
            func.sum(case((busy, 1), else_=0)).label("running"),
            func.sum(case((bad, 1), else_=0)).label("failed"),
            func.min(r.c.created_at).label("created"),
            func.max(r.c.created_at).label("latest"),
        )
        .where(r.c.project.in_(compiler.scope.projects), r.c.experiment.is_not(None))
        .group_by(r.c.project, r.c.experiment)
        .subquery("counted")
    )
    names = ("name", "runs", "running", "failed", "created", "latest")
    one = RUN.alias()
    trials = select(func.count(one.c.trial.distinct())).where(
        one.c.project == counted.c.project, one.c.experiment == counted.c.name
    )
    key = counted.c.project + "/" + counted.c.name
    return _Source(
        counted,
        key,
        counted.c.project,
        (),
        (counted.c.latest, counted.c.name),
        {**{name: counted.c[name] for name in names}, "trials": trials.scalar_subquery()},
        guard={"id": counted.c.name},
        reference="experiment",
    )


_RECORD_KINDS: Final = {
    "finding": RecordKind.FINDING,
    "usecase": RecordKind.USE_CASE,
    "approval": RecordKind.APPROVAL,
    "review": RecordKind.REVIEW,
    "risk": RecordKind.RISK,
}


def _records(kind: str) -> Callable[[_Compiler], _Source]:
    def source(compiler: _Compiler) -> _Source:
        r = RECORDS
        plain: dict[str, ColumnElement[Whatever]] = {
            "id": r.c.id,
            "kind": r.c.kind,
            "subject": r.c.subject,
            "author": r.c.by,
            "created": r.c.at,
            "grade": r.c.grade,
            "text": r.c.body,
        }
        for one in KINDS[kind].fields:
            if one.name is None and one.head not in plain and one.head != "status":
                plain[one.head] = _within_body(compiler, one.head)
        if kind == "finding":
            closing = RECORDS.alias()
            closed = exists().where(
                closing.c.project == r.c.project,
                closing.c.subject == r.c.id,
                closing.c.kind == RecordKind.FINDING_CLOSURE.value,
            )
            plain["status"] = case((closed, "closed"), else_="open")
        meant = () if kind == "record" else (r.c.kind == _RECORD_KINDS[kind].value,)
        guard = {"id": r.c.id, "subject": r.c.subject}
        return _Source(r, r.c.id, r.c.project, meant, (r.c.id,), plain, _of_record, guard=guard, reference=kind)

    return source


def _of_record(compiler: _Compiler, path: Path, field: Field) -> _Satellite | None:
    r = RECORDS
    if path.head == "model":
        names = NAMES.alias()
        of = and_(names.c.project == r.c.project, names.c.digest == r.c.subject)
        return _Satellite(names, _Cell(field.type, text=names.c.name), of, (), None, True)
    told = RECORDS.alias()
    value = _within_body(compiler, path.name or "", told)
    return _Satellite(told, _Cell(field.type, text=value), told.c.id == r.c.id, (value.is_not(None),), told.c.id, False)


def _within_body(compiler: _Compiler, name: str, records: FromClause = RECORDS) -> ColumnElement[Whatever]:
    """A part of a record that is a text, a number or a truth value, as text."""
    body = records.c.body
    if compiler.engine == "sqlite":
        if '"' in name:
            return cast(literal(None), SqlText)
        path = literal(f'$."{name}"')
        sort = func.json_type(body, path)
        return case(
            (sort.in_(("true", "false")), sort),
            (sort.in_(("text", "integer", "real")), cast(func.json_extract(body, path), SqlText)),
            else_=None,
        )
    whole = cast(body, JSONB)
    sort = func.jsonb_typeof(whole.op("->")(literal(name)))
    return case(
        (sort.in_(("string", "number", "boolean")), whole.op("->>", return_type=SqlText())(literal(name))), else_=None
    )


SOURCES: Final[dict[str, Callable[[_Compiler], _Source]]] = {
    "run": _runs,
    "experiment": _experiments,
    **{
        kind: _entities(kind)
        for kind in ("data", "model", "file", "env", "report", "proof", "features", "artifact", "code")
    },
    **{kind: _records(kind) for kind in (*_RECORD_KINDS, "record")},
}
"""How each kind is found; a kind that another room registers is added here."""


class SqlSavedSearches:
    """``SavedSearches`` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put(self, saved: SavedSearch) -> None:
        """Keep one in place of the former one of its name."""
        self.remove(saved.project, saved.name)
        row = {"project": saved.project, "name": saved.name, "query": saved.query}
        self._db.execute(SAVED.insert(), {**row, "author": saved.by, "at": format_time(saved.at)})

    def get(self, project: str, name: str) -> SavedSearch | None:
        """The one of this name."""
        row = self._db.execute(select(SAVED).where(SAVED.c.project == project, SAVED.c.name == name)).first()
        return None if row is None else _saved(row)

    def all(self, project: str) -> Sequence[SavedSearch]:
        """Every one, by name."""
        return [*map(_saved, self._db.execute(select(SAVED).where(SAVED.c.project == project).order_by(SAVED.c.name)))]

    def remove(self, project: str, name: str) -> None:
        """Keep it no more."""
        self._db.execute(SAVED.delete().where(SAVED.c.project == project, SAVED.c.name == name))


def _saved(row: Whatever) -> SavedSearch:
    return SavedSearch(project=row.project, name=row.name, query=row.query, by=row.author, at=parse_time(row.at))


REPOSITORIES: Final[Mapping[type[Whatever], Callable[[Connection], Whatever]]] = {
    SavedSearches: SqlSavedSearches,
    SearchIndex: SqlSearchIndex,
}
