"""What may not be destroyed: what is held, what there is a duty to keep, and evidence for as long as the law says.

The vault asks here in the transaction of every destruction, so no verb can forget to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from muniment.catalog.model import Direction, Entity, EntityKind
from muniment.catalog.naming import label
from muniment.catalog.ports import Entities, Lineage
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.stewardship.standing import of_snapshot

__all__ = ["EVIDENCE", "RetentionPolicy", "StewardedGuards"]

EVIDENCE: Final = frozenset({EntityKind.MODEL, EntityKind.PROOF, EntityKind.REPORT, EntityKind.METRICS})
"""What bears out how a model was made and judged (EU AI Act, Article 18: ten years)."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long what must be kept, counted from the day it was first recorded."""

    kinds: frozenset[EntityKind] = EVIDENCE
    years: int = 10

    def keeps(self, entity: Entity, now: datetime) -> str | None:
        """Why an entity must stay, in words; None when it need not."""
        if entity.kind not in self.kinds:
            return None
        at = entity.at.astimezone(UTC)
        day = min(at.day, 28) if at.month == 2 else at.day
        end = at.replace(year=at.year + self.years, day=day)
        return f"evidence, kept for {self.years} years, until {end:%Y-%m-%d}" if now < end else None


class StewardedGuards:
    """The vault's guards, from holds, terms and the retention policy."""

    def __init__(self, policy: RetentionPolicy) -> None:
        self._policy = policy

    def guarded(self, session: Session, project: str, digests: Iterable[Digest], now: datetime) -> Mapping[Digest, str]:
        """Those of these objects that must stay, each with why."""
        asked = set(digests)
        entities = session.use(Entities)
        holders = {one: {one, *some} for one, some in entities.holders(project, asked).items()}
        holders = {one: holders.get(one, {one}) for one in asked}
        known = entities.find(project, {one for some in holders.values() for one in some})
        why = {one: found for one, entity in known.items() if (found := self._why(session, entity, now)) is not None}
        return {
            one: next(why[holder] for holder in sorted(some) if holder in why)
            for one, some in holders.items()
            if any(holder in why for holder in some)
        }

    def _why(self, session: Session, entity: Entity, now: datetime) -> str | None:
        if (kept := self._policy.keeps(entity, now)) is not None:
            return f"{label(session, entity.project, entity.digest)}: {kept}"
        if entity.kind is EntityKind.FILE:
            return self._of_file(session, entity)
        situation = of_snapshot(session, entity.project, entity.digest)
        name = label(session, entity.project, entity.digest)
        if situation.holds:
            return f"{name}: {situation.holds[0]}"
        until = situation.own.keep_until
        if until is not None and now.astimezone(UTC).date() <= until:
            return f"{name}: a duty to keep it until {until}"
        return None

    def _of_file(self, session: Session, entity: Entity) -> str | None:
        """A file stays as long as a snapshot that was read from it is held."""
        graph = session.use(Lineage).closure(entity.project, entity.digest, Direction.DOWNSTREAM, 1)
        for digest, node in sorted(graph.entities.items()):
            if node.kind is EntityKind.DATA and (holds := of_snapshot(session, entity.project, digest).holds):
                return f"the file of {label(session, entity.project, digest)}: {holds[0]}"
        return None
