"""Policy on SQL: documents by digest, and which publication is in force where. Nothing is ever replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    Table,
    bindparam,
    func,
    literal_column,
    select,
)

from muniment.adapters.sql.direct import Addition, Question
from muniment.adapters.sql.schema import DIGEST, METADATA, MOMENT, NAME
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.policy.ports import PolicyDocuments, Publication, Publications

DOCUMENTS: Final = Table(
    "policy_documents",
    METADATA,
    Column("digest", DIGEST, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)
PUBLICATIONS: Final = Table(
    "policy_publications",
    METADATA,
    Column("scope", NAME, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", DIGEST, nullable=False),
    Column("published_by", NAME, nullable=False),
    Column("published_at", MOMENT, nullable=False),
)

_KEPT: Final = 4096
_LATER: Final = PUBLICATIONS.alias("later")
_HEADS: Final = Question(
    select(PUBLICATIONS).where(
        PUBLICATIONS.c.scope.in_([literal_column("''"), bindparam("project")]),
        PUBLICATIONS.c.version
        == select(func.max(_LATER.c.version)).where(_LATER.c.scope == PUBLICATIONS.c.scope).scalar_subquery(),
    )
)

_ADD_DOCUMENT: Final = Addition(DOCUMENTS)
_ADD_PUBLICATION: Final = Addition(PUBLICATIONS)


class SqlPolicyDocuments:
    """Immutable texts by digest."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put(self, document: bytes) -> Digest:
        """Keep a document; keeping it again changes nothing."""
        digest = Digest.of(document)
        if self._db.execute(select(DOCUMENTS.c.digest).where(DOCUMENTS.c.digest == digest)).first() is None:
            _ADD_DOCUMENT.add(self._db, {"digest": digest, "document": document})
        return digest

    def get(self, digest: Digest) -> bytes | None:
        """The document, or None."""
        row = self._db.execute(select(DOCUMENTS.c.document).where(DOCUMENTS.c.digest == digest)).first()
        return bytes(row.document) if row is not None else None


class SqlPublications:
    """Which policies are in force."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, publication: Publication) -> None:
        """Put the next version of its scope in force."""
        _ADD_PUBLICATION.add(
            self._db,
            {
                "scope": publication.scope,
                "version": publication.version,
                "document": publication.document,
                "published_by": publication.published_by,
                "published_at": format_time(publication.published_at),
            },
        )

    def heads(self, project: str | None) -> Mapping[str, Publication]:
        """The versions in force: of the installation and, when given, of the project."""
        rows = _HEADS.ask(self._db, {"project": project or ""})
        return {row[0]: _head(row) for row in rows}

    def all(self) -> tuple[Publication, ...]:
        """Every version of every scope, newest first."""
        rows = self._db.execute(
            select(PUBLICATIONS).order_by(
                PUBLICATIONS.c.published_at.desc(), PUBLICATIONS.c.version.desc(), PUBLICATIONS.c.scope
            )
        )
        return tuple(_publication(row) for row in rows)


@lru_cache(_KEPT)
def _head(row: tuple[Any, ...]) -> Publication:
    """What the row says; kept by what it holds, so never stale."""
    return _publication(row)


def _publication(row: Sequence[Any]) -> Publication:
    scope, version, document, published_by, published_at = row
    return Publication(scope, version, Digest(document), published_by, parse_time(published_at))


REPOSITORIES: Final[Mapping[type[Any], Callable[[Connection], Any]]] = {
    PolicyDocuments: SqlPolicyDocuments,
    Publications: SqlPublications,
}
