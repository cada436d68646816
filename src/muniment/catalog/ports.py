"""What the catalog needs from the store, and from the platform around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from muniment.catalog.model import (
    Activity,
    ActivityKind,
    Direction,
    Edge,
    Entity,
    EntityKind,
    Graph,
    Match,
    Metric,
    Name,
)
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session


class Entities(Protocol):
    """Content that a project knows."""

    def record(self, entity: Entity, parts: Iterable[Digest] = ()) -> None:
        """Keep an entity and the digests of the pieces it is made of.

        What is known of the same digest grows by the rules of ``growing.grown``.
        """

    def find(self, project: str, digests: Iterable[Digest]) -> dict[Digest, Entity]:
        """Those of these entities that the project knows."""

    def newest(self, project: str, kind: EntityKind | None, prefix: str, limit: int) -> Sequence[Entity]:
        """Entities, newest first; with a prefix only those that bear a name that starts with it."""

    def alike(self, project: str, digests: Iterable[Digest]) -> Sequence[Match]:
        """Other entities with the same content as one of these, or that share a piece with it, are one, or hold it."""

    def holders(self, project: str, pieces: Iterable[Digest]) -> Mapping[Digest, frozenset[Digest]]:
        """The entities that each of these is a piece of; a piece need not be an entity of its own."""


class Activities(Protocol):
    """What ran in a project."""

    def record(self, activity: Activity) -> None:
        """Keep an activity; recording the same one again changes nothing.

        Raises:
            Conflict: another activity has this id.
        """

    def find(self, project: str, ids: Iterable[str]) -> dict[str, Activity]:
        """Those of these activities that the project knows."""

    def newest(self, project: str, kind: ActivityKind | None, experiment: str | None, limit: int) -> Sequence[Activity]:
        """Activities, newest first."""

    def experiments(self, project: str) -> dict[str, int]:
        """The experiments of a project, with the number of their activities."""


class Lineage(Protocol):
    """The edges between entities and activities."""

    def record(self, project: str, edges: Iterable[Edge]) -> None:
        """Keep edges; recording one again changes nothing.

        Raises:
            NotFound: the project does not know the entity or the activity.
        """

    def closure(self, project: str, start: Digest | str, direction: Direction, depth: int | None = None) -> Graph:
        """Everything that can be reached from an entity, or from an activity by its id, and the edges on the way.

        Args:
            project: the project to look in.
            start: an entity by its digest, or an activity by its id; unknown ones reach nothing.
            direction: which way to go.
            depth: how many activities away to go at most; None goes to the end.
        """

    def around(self, project: str, digests: Iterable[Digest]) -> Graph:
        """The activities that used or generated one of these entities, and the edges between them, at once."""

    def of_activities(self, project: str, ids: Iterable[str]) -> Graph:
        """These activities with everything that they used and generated."""


class Names(Protocol):
    """Versions of names; append-only."""

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
        """Give the name its next version; naming the digest of its latest version again returns that version.

        Args:
            project: the project the name belongs to.
            kind: prefix of the reference.
            name: the name without kind and version.
            digest: what the new version means.
            by: the agent that names it.
            at: the moment.
            expected: the latest version the caller knows of, 0 for none; None when any will do.

        Raises:
            Conflict: the latest version is not the expected one.
            Unavailable: another writer came first; safe to retry.
        """

    def find(self, project: str, kind: EntityKind, name: str, version: int | None) -> Name | None:
        """That version, the latest for None; absent when there is none."""

    def versions(self, project: str, kind: EntityKind, name: str) -> Sequence[Name]:
        """All versions, newest first."""

    def of(self, project: str, digests: Iterable[Digest]) -> dict[Digest, list[Name]]:
        """The names these digests bear, newest first."""

    def latest(self, project: str, kind: EntityKind, prefix: str, limit: int) -> Sequence[Name]:
        """The latest version of each name that starts so, newest first."""


class Last(Enum):
    """Which of a metric's values is its last one, for whoever compares and searches."""

    TOLD_LAST = "told last"
    HIGHEST_STEP = "highest step"
    """Of the highest step, and of that the one that was told last: for tellers that send out of order."""


@dataclass(frozen=True, slots=True)
class Told:
    """Measurements in their order, as columns of one length: many come at once, and columns are cheap to pass on."""

    names: Sequence[str]
    steps: Sequence[int]
    values: Sequence[float]
    moments_us: Sequence[int | None]
    """When each was measured by the teller's clock, in microseconds since 1970."""

    last: Last = Last.TOLD_LAST
    """Which of them, and of those that were told before, counts."""


class Metrics(Protocol):
    """Measurements made while something runs; append-only while it does."""

    def append_many(self, project: str, activity: str, metrics: Sequence[Metric], after: int | None = None) -> int:
        """Keep measurements in their order and return how many the activity has now.

        Args:
            project: the project of the activity.
            activity: the activity's id; it may still be running, and so not be recorded yet.
            metrics: the measurements in the order they were made.
            after: how many the caller believes are stored; those it sends again are skipped. None appends at the end.

        Raises:
            Conflict: fewer are stored than the caller believes.
        """

    def tell(self, project: str, activity: str, at: datetime, told: Told) -> int:
        """Keep many measurements that came at one moment, behind those that are kept; how many there are now.

        Args:
            project: the project of the activity.
            activity: the activity's id.
            at: when they came.
            told: what was measured, at least one value.
        """

    def forget(self, activity: str) -> None:
        """Drop what an activity measured that begins again from the start; never one that stands in the record."""

    def latest(self, project: str, activities: Iterable[str]) -> dict[str, dict[str, Metric]]:
        """The last value of each metric by activity and name."""

    def series(self, project: str, activity: str, name: str) -> Sequence[Metric]:
        """Every value of one metric in the order it came."""


class Checkpoints(Protocol):
    """The ledger's signed state, so that an answer can say at which point of history it was given."""

    def covering(self) -> tuple[int, str]:
        """Size and root hash of a checkpoint that covers everything committed so far."""


@dataclass(frozen=True, slots=True)
class Then:
    """The store as it was at some point of the past."""

    session: Session
    """Shows what the ledger had told of by then, and nothing else."""

    moment: datetime
    """When that was."""

    entries: int
    """How many entries the ledger had by then."""

    size: int
    """Entries under the first signed checkpoint that covers all of these: their number where one was signed then."""

    root: str
    """Root hash of that checkpoint."""


class Histories(Protocol):
    """Looks back; what the ledger told of when is known above the catalog."""

    def then(self, session: Session, when: str, now: datetime) -> Then:
        """The store at a moment of the past (ISO 8601 with a zone, or a day, whose first moment is meant, UTC), or at
        a signed checkpoint, by its number of entries.

        Raises:
            Invalid: it is no moment, or lies in the future.
            NotFound: nothing was recorded by then, or no checkpoint of that size was signed.
        """


class Stewarded(Protocol):
    """What stewards said of data sets, for policies that ask; what is above the catalog knows it."""

    def attributes(self, project: str, digest: Digest, now: datetime) -> Mapping[str, Any]:
        """The attributes of a snapshot at a moment, by the names that ``resources.DATASET`` declares."""
