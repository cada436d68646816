"""The words of the catalog, after W3C PROV: entities, activities, agents, and the relations between them.

An *entity* is content, known by its digest: the same bytes are one entity, however often and by whomever they were
made. An *activity* is something that ran, took entities and made entities. An *agent* is the principal on whose behalf
it ran.
``used`` and ``was_generated_by`` are edges of a graph, and each carries a grade: who stands behind it.

Source: W3C PROV-DM (Recommendation of 30 April 2013), sections 5.1 and 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade


class EntityKind(StrEnum):
    """What an entity is; the value is the prefix of its references, as in ``data:credit@3``."""

    DATA = "data"
    """A snapshot of a table, by the digest of its manifest."""

    FILE = "file"
    """Bytes as they came from outside."""

    CODE = "code"
    """A source tree, by its tree digest."""

    ENVIRONMENT = "env"
    """A job environment: a set of wheels."""

    BASE = "base"
    """The sealed root file system that jobs run on."""

    MODEL = "model"
    """A trained model, by the digest of its manifest."""

    REPORT = "report"
    """A document that a program wrote: a profile, an evaluation."""

    PROOF = "proof"
    """A report that establishes something about other entities, such as that the parts of a split are disjoint."""

    METRICS = "metrics"
    """A set of measurements kept as a file."""

    FEATURES = "features"
    """A feature view: keys, clocks and the transform that fills it, by the digest of its definition."""

    FINGERPRINTS = "fingerprints"
    """Keyed fingerprints of the rows of one snapshot."""

    ARTIFACT = "artifact"
    """Any other result of a job."""


class ActivityKind(StrEnum):
    """What an activity did."""

    INGEST = "ingest"
    PROFILE = "profile"
    SPLIT = "split"
    TRAIN = "train"
    RUN = "run"
    """A user's script."""

    EVALUATE = "evaluate"
    REPRODUCE = "reproduce"
    COMPARE = "compare"
    """Two models were scored on the same rows."""

    PREDICT = "predict"
    EXPLAIN = "explain"
    BUILD = "build"
    """A job environment was built."""

    TRANSFORM = "transform"
    """A feature view was filled from its sources."""

    JOIN = "join"
    """Features were joined to requests as they were known at the time."""

    FINGERPRINT = "fingerprint"
    """The rows of a snapshot were fingerprinted."""

    OVERLAP = "overlap"
    """The rows that two snapshots share were counted."""

    DIFFERENCE = "difference"
    """Two snapshots were compared."""

    ASSESS = "assess"
    """Quality, bias or representativeness of a snapshot was measured."""

    SUGGEST = "suggest"
    """A sampler chose the parameters that a search tries next."""

    TRACK = "track"
    """Ran elsewhere, and told about itself while it ran."""

    SCAN = "scan"
    """Snapshots were searched for the rows of one subject."""

    REDACT = "redact"
    """A snapshot was made again without the rows of one subject."""

    PUBLISH = "publish"
    """What is known of each entity of a feature view was picked for online reads."""

    SKEW = "skew"
    """Offline and online values of a feature view were compared."""

    DRIFT = "drift"
    """Two fillings of a feature view were compared."""

    IMPORT = "import"
    """Recorded elsewhere and brought in."""


class Relation(StrEnum):
    """The PROV relation that an edge stands for."""

    USED = "used"
    GENERATED = "was_generated_by"


@dataclass(frozen=True, slots=True)
class Entity:
    """Content that the catalog knows."""

    project: str
    digest: Digest
    kind: EntityKind
    grade: Grade
    """Who stands behind the facts: PROVEN when the platform saw the bytes."""

    author: str
    """The agent that brought it first, as ``User:ana``."""

    at: datetime
    """When it was first recorded."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small JSON about the content itself, never about one making of it: ``rows``, ``bytes``, ``schema``,
    ``content_digest`` (schema and values, independent of file layout), ``target``, ``classification``."""

    @property
    def content_digest(self) -> Digest | None:
        """What schema and values hash to, whatever the file layout; None where nobody computed it."""
        text = self.facts.get("content_digest")
        return Digest(text) if isinstance(text, str) else None

    @property
    def classification(self) -> str:
        """The data classification; ``internal`` where nothing was said."""
        return str(self.facts.get("classification") or "internal")


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that ran; recorded once, when it has ended, and never changed."""

    project: str
    id: str
    """A ULID; the run's id for jobs."""

    kind: ActivityKind
    plan: Digest | None
    """Digest of the resolved job; None for what was not planned here."""

    agent: str
    """On whose behalf (PROV ``wasAssociatedWith``), as ``User:ana``."""

    started_at: datetime
    ended_at: datetime
    grade: Grade
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small JSON: ``experiment``, ``params``, ``status``, ``engine``, ``seed``."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One ``used`` or ``was_generated_by``."""

    relation: Relation
    activity: str
    entity: Digest
    role: str
    """Which input or output it was, such as ``train`` or ``model``."""

    grade: Grade
    record: Digest | None = None
    """Digest of the document that bears it out, such as the run's outcome."""


@dataclass(frozen=True, slots=True)
class Name:
    """A version of a name: ``data:credit@3`` means this digest, for ever."""

    project: str
    kind: EntityKind
    name: str
    version: int
    digest: Digest
    by: str
    at: datetime

    def __str__(self) -> str:
        """The reference."""
        return f"{self.kind}:{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured value."""

    name: str
    value: float
    """May be infinite or NaN: those are measurements too."""

    at: datetime
    """When the platform took it."""

    step: int = 0
    told_us: int | None = None
    """When it was measured by the clock of whoever told it, in microseconds since 1970: a claim."""


class Direction(StrEnum):
    """Which way to follow the edges."""

    UPSTREAM = "upstream"
    """Where does it come from."""

    DOWNSTREAM = "downstream"
    """What was made of it."""


@dataclass(frozen=True, slots=True)
class EntityNode:
    """What a walk needs to know of an entity."""

    digest: Digest
    kind: EntityKind
    grade: Grade
    content_digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class ActivityNode:
    """What a walk needs to know of an activity."""

    id: str
    kind: ActivityKind
    agent: str
    started_at: datetime
    plan: Digest | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """A part of the lineage of a project."""

    entities: Mapping[Digest, EntityNode]
    activities: Mapping[str, ActivityNode]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Another entity that holds the same content as the one asked about, or shares a piece with it."""

    asked: Digest
    entity: Digest
    shared: Digest
    """What they have in common: a content digest, or the digest of a piece or of a whole."""
