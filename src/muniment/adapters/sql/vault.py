"""The vault's records on SQL: project keys (wrapped) and sealed objects (their wrapped keys)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError as Duplicate

from muniment.adapters.sql.schema import DIGEST, METADATA, MOMENT, NAME
from muniment.errors import Conflict, IntegrityError, Invalid
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.vault.model import Erased, KeyEnd, ProjectKey, Sealed
from muniment.vault.ports import ErasedObjects, KeyEnds, ProjectKeys, SealedObjects

_KEYS: Final = Table(
    "vault_project_key",
    METADATA,
    Column("project", NAME, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("kms_key", String(400), nullable=False),
    Column("wrapped_kek", LargeBinary, nullable=False),
    Column("wrapped_name_key", LargeBinary, nullable=False),
    Column("created_at", MOMENT, nullable=False),
)

_OBJECTS: Final = Table(
    "vault_sealed_object",
    METADATA,
    Column("project", NAME, primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("kek_version", Integer, nullable=False),
    Column("format", String(80), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    ForeignKeyConstraint(["project", "kek_version"], [_KEYS.c.project, _KEYS.c.version]),
)


_ERASED: Final = Table(
    "vault_erased_object",
    METADATA,
    Column("project", NAME, primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("decision", DIGEST, nullable=False),
    Column("why", String(16), nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("blob", String(64), nullable=False),
)

_ENDS: Final = Table(
    "vault_key_end",
    METADATA,
    Column("project", NAME, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("kms_key", String(400), nullable=False),
    Column("ordered_at", MOMENT, nullable=False),
    Column("destroyed_at", MOMENT),
)

_AT_ONCE: Final = 500


class SqlProjectKeys:
    """ProjectKeys in the table ``vault_project_key``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, key: ProjectKey) -> None:
        """Keep a new version."""
        try:
            self._connection.execute(
                insert(_KEYS).values(
                    project=key.project,
                    version=key.version,
                    kms_key=key.kms_key,
                    wrapped_kek=key.wrapped_kek,
                    wrapped_name_key=key.wrapped_name_key,
                    created_at=format_time(key.created_at),
                )
            )
        except Duplicate as duplicate:
            raise Conflict(
                "MUNI-S301", "this version of the key exists already", project=key.project, version=key.version
            ) from duplicate

    def current(self, project: str) -> ProjectKey | None:
        """The highest version."""
        return next(iter(self._select(_KEYS.c.project == project, limit=1)), None)

    def version(self, project: str, version: int) -> ProjectKey | None:
        """One version."""
        return next(iter(self._select((_KEYS.c.project == project) & (_KEYS.c.version == version), limit=1)), None)

    def versions(self, project: str) -> list[ProjectKey]:
        """All versions, newest first."""
        return self._select(_KEYS.c.project == project)

    def projects(self) -> list[str]:
        """The projects that have a key, in order."""
        return sorted(self._connection.scalars(select(_KEYS.c.project).distinct()))

    def _select(self, condition: Any, limit: int | None = None) -> list[ProjectKey]:
        query = select(_KEYS).where(condition).order_by(_KEYS.c.version.desc()).limit(limit)
        return [
            ProjectKey(
                row.project,
                row.version,
                row.kms_key,
                bytes(row.wrapped_kek),
                bytes(row.wrapped_name_key),
                parse_time(row.created_at),
            )
            for row in self._connection.execute(query)
        ]


class SqlSealedObjects:
    """SealedObjects in the table ``vault_sealed_object``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, sealed: Sealed) -> bool:
        """Keep the record; False when the project has this content already."""
        dialect: Any = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(_OBJECTS).values(
            project=sealed.project,
            digest=sealed.digest,
            size=sealed.size,
            wrapped_key=sealed.wrapped_key,
            kek_version=sealed.kek_version,
            format=sealed.format,
            nonce=sealed.nonce,
            created_at=format_time(sealed.created_at),
        )
        kept = self._connection.execute(statement.on_conflict_do_nothing().returning(_OBJECTS.c.digest))
        return kept.first() is not None

    def find(self, project: str, digest: Digest) -> Sealed | None:
        """The record of this content."""
        query = select(_OBJECTS).where(_OBJECTS.c.project == project, _OBJECTS.c.digest == digest)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _sealed(row)

    def page(self, project: str, after: Digest | None, limit: int) -> list[Sealed]:
        """The next records in the order of their digests."""
        query = select(_OBJECTS).where(_OBJECTS.c.project == project, _OBJECTS.c.digest > (after or ""))
        return [_sealed(row) for row in self._connection.execute(query.order_by(_OBJECTS.c.digest).limit(limit))]

    def rewrap(self, project: str, kek_version: int, wrapped: Iterable[tuple[Digest, bytes]]) -> None:
        """Replace the wrapped keys of these objects by those under another version."""
        statement = (
            update(_OBJECTS)
            .where(_OBJECTS.c.project == project, _OBJECTS.c.digest == bindparam("which"))
            .values(kek_version=kek_version, wrapped_key=bindparam("wrapped"))
        )
        parameters = [{"which": digest, "wrapped": key} for digest, key in wrapped]
        if parameters:
            self._connection.execute(statement, parameters)

    def count_by_version(self, project: str) -> dict[int, int]:
        """How many objects are sealed under each KEK version."""
        version = _OBJECTS.c.kek_version
        query = select(version, func.count()).where(_OBJECTS.c.project == project).group_by(version)
        return {number: count for number, count in self._connection.execute(query)}  # noqa: C416

    def remove(self, project: str, digests: Iterable[Digest]) -> None:
        """Forget these records, and with them the wrapped keys."""
        for some in _batches(digests):
            self._connection.execute(delete(_OBJECTS).where(_OBJECTS.c.project == project, _OBJECTS.c.digest.in_(some)))


class SqlErasedObjects:
    """ErasedObjects in the table ``vault_erased_object``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, erased: Iterable[Erased]) -> None:
        """Keep what is left of objects."""
        rows = [
            {
                "project": one.project,
                "digest": one.digest,
                "size": one.size,
                "decision": one.decision,
                "why": one.why,
                "at": format_time(one.at),
                "blob": one.blob,
            }
            for one in erased
        ]
        if rows:
            self._connection.execute(insert(_ERASED), rows)

    def find(self, project: str, digests: Iterable[Digest]) -> dict[Digest, Erased]:
        """Those of these contents that were destroyed."""
        found: dict[Digest, Erased] = {}
        for some in _batches(digests):
            query = select(_ERASED).where(_ERASED.c.project == project, _ERASED.c.digest.in_(some))
            found |= {one.digest: one for one in map(_erased, self._connection.execute(query))}
        return found

    def all(self, project: str | None = None) -> list[Erased]:
        """Everything that was destroyed, of one project or of all, oldest first."""
        query = select(_ERASED).order_by(_ERASED.c.at, _ERASED.c.project, _ERASED.c.digest)
        if project is not None:
            query = query.where(_ERASED.c.project == project)
        return [_erased(row) for row in self._connection.execute(query)]


class SqlKeyEnds:
    """KeyEnds in the table ``vault_key_end``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def order(self, end: KeyEnd) -> None:
        """Let a version end; ordering it again changes nothing."""
        dialect: Any = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(_ENDS).values(
            project=end.project, version=end.version, kms_key=end.kms_key, ordered_at=format_time(end.ordered_at)
        )
        self._connection.execute(statement.on_conflict_do_nothing())

    def pending(self) -> list[KeyEnd]:
        """Ends that were ordered and are not done, oldest first."""
        return self._select(_ENDS.c.destroyed_at.is_(None))

    def done(self, project: str, version: int, at: datetime) -> None:
        """The key of this version is destroyed."""
        which = (_ENDS.c.project == project) & (_ENDS.c.version == version) & _ENDS.c.destroyed_at.is_(None)
        self._connection.execute(update(_ENDS).where(which).values(destroyed_at=format_time(at)))

    def of(self, project: str) -> list[KeyEnd]:
        """The ends of a project's versions."""
        return self._select(_ENDS.c.project == project)

    def _select(self, condition: Any) -> list[KeyEnd]:
        query = select(_ENDS).where(condition).order_by(_ENDS.c.ordered_at, _ENDS.c.project, _ENDS.c.version)
        return [
            KeyEnd(
                row.project,
                row.version,
                row.kms_key,
                parse_time(row.ordered_at),
                None if row.destroyed_at is None else parse_time(row.destroyed_at),
            )
            for row in self._connection.execute(query)
        ]


def _batches(digests: Iterable[Digest]) -> Iterator[list[str]]:
    rest = iter(digests)
    while some := [str(digest) for digest in islice(rest, _AT_ONCE)]:
        yield some


def _erased(row: Row[Any]) -> Erased:
    return Erased(row.project, Digest(row.digest), row.size, row.decision, row.why, parse_time(row.at), row.blob)


def _sealed(row: Row[Any]) -> Sealed:
    try:
        return Sealed(
            row.project,
            Digest(row.digest),
            row.size,
            bytes(row.wrapped_key),
            row.kek_version,
            row.format,
            bytes(row.nonce),
            parse_time(row.created_at),
        )
    except Invalid as broken:
        raise IntegrityError(
            "MUNI-S521",
            "a record of a sealed object is not one that was written",
            project=row.project,
            reason=broken.message,
            do="the database was altered: compare it with a backup",
        ) from broken


REPOSITORIES: Final = {
    ErasedObjects: SqlErasedObjects,
    KeyEnds: SqlKeyEnds,
    ProjectKeys: SqlProjectKeys,
    SealedObjects: SqlSealedObjects,
}
