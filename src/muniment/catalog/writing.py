"""How anything enters the catalog: by ``recording.Recorder`` or ``declaring.Declarer``; the name says whose word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from muniment.catalog.model import Activity, ActivityKind, Edge, Entity, EntityKind, Name, Relation
from muniment.catalog.naming import check_entity_name
from muniment.catalog.ports import Activities, Entities, Lineage, Names
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.ports import Session


class Writer:
    """Writes to one project in one transaction; everything it writes carries the grade of its class."""

    grade: ClassVar[Grade]

    def __init__(self, session: Session, project: str, now: datetime) -> None:
        self._session, self._project, self._now = session, project, now

    def entity(
        self,
        digest: Digest,
        kind: EntityKind,
        *,
        author: str,
        facts: Mapping[str, Any] | None = None,
        parts: Iterable[Digest] = (),
    ) -> Entity:
        """Make content known.

        Args:
            digest: what the content hashes to.
            kind: what it is.
            author: the agent that brings it, as ``User:ana``.
            facts: small JSON about the content itself; ``content_digest`` lets copies in another layout be recognised.
            parts: digests of the pieces it is made of (Parquet parts of a snapshot, files of a code tree): sharing one
                is sharing content, so pieces that carry none, such as an empty file, do not belong here.
        """
        entity = Entity(self._project, digest, kind, self.grade, author, self._now, dict(facts or {}))
        self._session.use(Entities).record(entity, parts)
        return entity

    def activity(
        self,
        id: str,
        kind: ActivityKind,
        *,
        agent: str,
        started_at: datetime,
        ended_at: datetime,
        plan: Digest | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Activity:
        """Make known that something ran; repeating it changes nothing.

        Raises:
            Conflict: something else is known by this id.
        """
        activity = Activity(self._project, id, kind, plan, agent, started_at, ended_at, self.grade, dict(facts or {}))
        self._session.use(Activities).record(activity)
        return activity

    def used(self, activity: str, entity: Digest, role: str, record: Digest | None = None) -> None:
        """The activity could read the entity, in this role.

        Raises:
            NotFound: the project does not know one of them.
        """
        edge = Edge(Relation.USED, activity, entity, role, self.grade, record)
        self._session.use(Lineage).record(self._project, [edge])

    def generated(self, activity: str, entity: Digest, role: str, record: Digest | None = None) -> None:
        """The entity came out of the activity, in this role.

        Raises:
            NotFound: the project does not know one of them.
        """
        edge = Edge(Relation.GENERATED, activity, entity, role, self.grade, record)
        self._session.use(Lineage).record(self._project, [edge])

    def edges(self, activity: str, edges: Iterable[tuple[Relation, Digest, str]], record: Digest | None = None) -> None:
        """Many edges of one activity at once: relation, entity and role of each; see ``used`` and ``generated``.

        Raises:
            NotFound: the project does not know one of them.
        """
        found = [Edge(relation, activity, entity, role, self.grade, record) for relation, entity, role in edges]
        self._session.use(Lineage).record(self._project, found)

    def name(self, kind: EntityKind, name: str, digest: Digest, *, by: str, expected: int | None = None) -> Name:
        """Give the name its next version, meaning this digest; the latest digest again keeps its version.

        Args:
            kind: prefix of the reference.
            name: such as ``credit`` or ``credit/train``.
            digest: what the new version means.
            by: the agent that names it.
            expected: the latest version the caller knows of, 0 for none; None when any will do.

        Raises:
            Invalid: not a name.
            NotFound: the project does not know the digest.
            Conflict: the latest version is not the expected one.
            Unavailable: another writer came first; safe to retry.
        """
        check_entity_name(kind, name)
        return self._session.use(Names).append(
            self._project, kind, name, digest=digest, by=by, at=self._now, expected=expected
        )
