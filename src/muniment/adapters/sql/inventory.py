"""The inventory in SQL: records, which are never updated; the projection of versions; challenges to be signed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT, NAME
from muniment.inventory.lifecycle import State
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import (
    Challenge,
    Challenges,
    Count,
    Records,
    VersionRow,
    Versions,
    Wanted,
)
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
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

VERSIONS: Final = Table(
    "inventory_version",
    METADATA,
    Column("project", NAME, primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("name", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("use_case", NAME),
    Column("model_kind", String(16), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("owner", NAME, nullable=False),
    Column("algorithm", String(200), nullable=False),
    Column("supplier", NAME),
    Column("tier", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("registered_at", MOMENT, nullable=False),
    Column("approvals", Integer, nullable=False),
    Column("required", Integer, nullable=False),
    Column("approved_at", MOMENT),
    Column("expires", MOMENT),
    Column("emergency_until", MOMENT),
    Column("next_review", String(10)),
    Column("findings_high", Integer, nullable=False),
    Column("findings_open", Integer, nullable=False),
    Index(None, "project", "registered_at", "digest"),
    Index(None, "project", "state", "tier"),
    Index(None, "project", "use_case"),
)
INPUTS: Final = Table(
    "inventory_input",
    METADATA,
    Column("project", NAME, primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("input", DIGEST, primary_key=True),
    Column("label", String(400), nullable=False),
    Index(None, "project", "input"),
)
CHALLENGES: Final = Table(
    "inventory_challenge",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("project", NAME, nullable=False),
    Column("model", DIGEST, nullable=False),
    Column("meaning", String(40), nullable=False),
    Column("signer", NAME, nullable=False),
    Column("key", DIGEST, nullable=False),
    Column("statement", DIGEST, nullable=False),
    Column("prepared_at", MOMENT, nullable=False),
    Column("expires", MOMENT, nullable=False),
    Column("spent_at", MOMENT),
)

_SUBJECTS_AT_ONCE: Final = 500
_KEPT: Final = timedelta(days=1)
"""So long a challenge is kept after its end, so that a late signature is told why it is refused."""

_FINAL: Final = tuple(state.value for state in State if state.final)


class _Finding(msgspec.Struct):
    """What is read of a finding to count it."""

    severity: str
    due: str


_FINDING: Final = msgspec.json.Decoder(_Finding)


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


class SqlVersions:
    """The registered versions, one row each."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put(self, row: VersionRow) -> None:
        """Keep a row in place of the former one of the same digest."""
        values = {name: _plain(getattr(row, name)) for name in _COLUMNS}
        mine = and_(VERSIONS.c.project == row.project, VERSIONS.c.digest == row.digest)
        if self._db.execute(update(VERSIONS).where(mine).values(**values)).rowcount == 0:
            self._db.execute(insert(VERSIONS).values(**values))
        if row.state.final:
            self._db.execute(delete(INPUTS).where(INPUTS.c.project == row.project, INPUTS.c.digest == row.digest))

    def get(self, project: str, digest: Digest) -> VersionRow | None:
        """The row of a version."""
        return self.find(project, [digest]).get(digest)

    def find(self, project: str, digests: Iterable[Digest]) -> Mapping[Digest, VersionRow]:
        """Those of these versions that are registered."""
        wanted, found = sorted(set(digests)), dict[Digest, VersionRow]()
        for at in range(0, len(wanted), _SUBJECTS_AT_ONCE):
            some = wanted[at : at + _SUBJECTS_AT_ONCE]
            query = select(VERSIONS).where(VERSIONS.c.project == project, VERSIONS.c.digest.in_(some))
            found |= {row.digest: row for row in map(_version, self._db.execute(query))}
        return found

    def listed(self, project: str, wanted: Wanted, now: datetime, limit: int) -> Sequence[VersionRow]:
        """Versions, the newest registration first."""
        query = select(VERSIONS).where(VERSIONS.c.project == project, *_wanted(wanted, format_time(now)))
        newest = query.order_by(VERSIONS.c.registered_at.desc(), VERSIONS.c.digest).limit(limit)
        return [*map(_version, self._db.execute(newest))]

    def of_use_case(self, project: str, use_case: str) -> Sequence[VersionRow]:
        """Every version that is registered under a use case."""
        query = select(VERSIONS).where(VERSIONS.c.project == project, VERSIONS.c.use_case == use_case)
        return [*map(_version, self._db.execute(query.order_by(VERSIONS.c.digest)))]

    def put_inputs(self, project: str, digest: Digest, inputs: Mapping[Digest, str]) -> None:
        """Keep which data and models a version came from, in place of what was kept."""
        self._db.execute(delete(INPUTS).where(INPUTS.c.project == project, INPUTS.c.digest == digest))
        rows = [
            {"project": project, "digest": digest, "input": one, "label": label[:400]}
            for one, label in sorted(inputs.items())
        ]
        row = self.get(project, digest)
        if rows and row is not None and not row.state.final:
            self._db.execute(insert(INPUTS), rows)

    def inputs(self, project: str) -> Mapping[Digest, Mapping[Digest, str]]:
        """Which data and models each living version came from, with a name for each."""
        wanted = select(INPUTS).where(INPUTS.c.project == project).order_by(INPUTS.c.digest, INPUTS.c.input)
        found: dict[Digest, dict[Digest, str]] = {}
        for row in self._db.execute(wanted):
            found.setdefault(Digest(row.digest), {})[Digest(row.input)] = row.label
        return found

    def counts(self, project: str, now: datetime) -> Sequence[tuple[int, str, int]]:
        """How many versions stand where: tier, state as people see it, count."""
        at = format_time(now)
        state = case(
            (_emergency(at), State.APPROVED.value),
            (and_(VERSIONS.c.state == State.APPROVED.value, VERSIONS.c.expires <= at), "expired"),
            else_=VERSIONS.c.state,
        ).label("shown")
        query = select(VERSIONS.c.tier, state, func.count()).where(VERSIONS.c.project == project)
        return [(row[0], row[1], row[2]) for row in self._db.execute(query.group_by(VERSIONS.c.tier, state))]

    def open_findings(self, project: str) -> Sequence[tuple[str, datetime, date]]:
        """Severity, moment and due day of every finding that is not closed."""
        closing = RECORDS.alias()
        closed = exists().where(
            closing.c.project == project,
            closing.c.subject == RECORDS.c.id,
            closing.c.kind == RecordKind.FINDING_CLOSURE.value,
        )
        of_findings = RECORDS.c.project == project, RECORDS.c.kind == RecordKind.FINDING.value
        rows = self._db.execute(select(RECORDS.c.at, RECORDS.c.body).where(*of_findings, not_(closed)))
        found = [(at, _FINDING.decode(body)) for at, body in rows]
        return [(one.severity, parse_time(at), date.fromisoformat(one.due)) for at, one in found]

    def ages(self, project: str) -> Sequence[tuple[str, datetime, int]]:
        """State, the oldest moment since when a version is in it, and how many are."""
        query = (
            select(VERSIONS.c.state, func.min(VERSIONS.c.since), func.count())
            .where(VERSIONS.c.project == project, VERSIONS.c.state.notin_(_FINAL))
            .group_by(VERSIONS.c.state)
        )
        return [(row[0], parse_time(row[1]), row[2]) for row in self._db.execute(query)]

    def shared(self, project: str, what: str, limit: int) -> Sequence[Count]:
        """What most versions share."""
        many = func.count().label("many")
        if what == "input":
            by: ColumnElement[Any] = INPUTS.c.input
            counted = select(by, many).where(INPUTS.c.project == project).group_by(by).having(many > 1)
            found = self._db.execute(counted.order_by(many.desc(), by).limit(limit)).all()
            return [Count(what, self._label(project, row[0]), row[1]) for row in found]
        by = VERSIONS.c[what]
        living = [VERSIONS.c.project == project, VERSIONS.c.state.notin_(_FINAL), by.is_not(None), by != ""]
        query = select(*[by, many]).where(*living).group_by(by).having(many > 1)
        return [Count(what, row[0], row[1]) for row in self._db.execute(query.order_by(many.desc(), by).limit(limit))]

    def _label(self, project: str, digest: str) -> str:
        """The name under which an input was noted last."""
        query = select(func.max(INPUTS.c.label)).where(INPUTS.c.project == project, INPUTS.c.input == digest)
        return str(self._db.execute(query).scalar_one())


class SqlChallenges:
    """Statements that wait for a signature."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, challenge: Challenge) -> None:
        """Keep a new one; those that ended long ago go."""
        ended = format_time(challenge.prepared_at - _KEPT)
        self._db.execute(delete(CHALLENGES).where(CHALLENGES.c.expires < ended))
        self._db.execute(
            insert(CHALLENGES), {one.name: _plain(getattr(challenge, one.name)) for one in fields(Challenge)}
        )

    def get(self, project: str, challenge: str) -> Challenge | None:
        """The challenge of this id."""
        query = select(CHALLENGES).where(CHALLENGES.c.id == challenge, CHALLENGES.c.project == project)
        row = self._db.execute(query).first()
        if row is None:
            return None
        return Challenge(
            id=row.id,
            project=row.project,
            model=Digest(row.model),
            meaning=row.meaning,
            signer=row.signer,
            key=Digest(row.key),
            statement=Digest(row.statement),
            prepared_at=parse_time(row.prepared_at),
            expires=parse_time(row.expires),
            spent_at=_moment(row.spent_at),
        )

    def spend(self, challenge: str, at: datetime) -> None:
        """Let it never be used again."""
        self._db.execute(update(CHALLENGES).where(CHALLENGES.c.id == challenge).values(spent_at=format_time(at)))


_COLUMNS: Final = tuple(one.name for one in fields(VersionRow))
_MOMENTS: Final = frozenset({"since", "registered_at", "approved_at", "expires", "emergency_until"})


def _plain(value: Any) -> Any:
    """A field as its column holds it."""
    if isinstance(value, datetime):
        return format_time(value)
    return value.value if isinstance(value, State) else value


def _version(row: Row[Any]) -> VersionRow:
    values = dict(row._mapping)
    moments = {name: _moment(values[name]) for name in _MOMENTS}
    return VersionRow(**{**values, **moments, "digest": Digest(row.digest), "state": State(row.state)})


def _moment(text: str | None) -> datetime | None:
    return parse_time(text) if text is not None else None


def _emergency(at: str) -> ColumnElement[bool]:
    return and_(VERSIONS.c.emergency_until > at, VERSIONS.c.state.notin_(_FINAL))


def _wanted(wanted: Wanted, at: str) -> list[ColumnElement[bool]]:
    """The conditions that a filter means."""
    plain = ("tier", "use_case", "owner", "origin", "supplier")
    asked = {name: value for name in plain if (value := getattr(wanted, name)) is not None}
    conditions: list[ColumnElement[bool]] = [VERSIONS.c[name] == value for name, value in asked.items()]
    emergency = func.coalesce(VERSIONS.c.emergency_until, "") > at
    living = VERSIONS.c.state.notin_(_FINAL)
    if wanted.state is State.APPROVED:
        conditions.append(or_(VERSIONS.c.state == wanted.state.value, _emergency(at)))
    elif wanted.state is not None:
        conditions += [VERSIONS.c.state == wanted.state.value, or_(not_(living), not_(emergency))]
    meanings = {
        "emergency": and_(emergency, living),
        "overdue": and_(func.coalesce(VERSIONS.c.next_review, "9999") < at[:10], living),
        "expired": and_(func.coalesce(VERSIONS.c.expires, "9999") <= at, living, not_(emergency)),
    }
    for name, meaning in meanings.items():
        if (value := getattr(wanted, name)) is not None:
            conditions.append(meaning if value else not_(meaning))
    return conditions


REPOSITORIES: Final[Mapping[type[Any], Callable[[Connection], Any]]] = {
    Challenges: SqlChallenges,
    Records: SqlRecords,
    Versions: SqlVersions,
}
