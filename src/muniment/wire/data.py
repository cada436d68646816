"""Requests and replies about data sets."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.wire.execution import JobLimits


class Origin(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where the bytes come from, as the connector that read them says; declared, and never with a secret."""

    kind: str
    """``file``, ``s3``, ``postgresql``, ``sqlite``, ``odbc``, ``delta`` or ``iceberg``."""

    location: str
    """A path or URL without password."""

    query: str | None = None
    version: str | None = None
    """What the source calls the version that was read."""

    at: str | None = None
    """The moment whose version was asked for."""

    read_at: str | None = None
    """When it was read, by the clock of whoever read it."""

    details: dict[str, str] = field(default_factory=dict)
    """What else the source says: ETag, server, isolation."""


class AddDataset(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ingest a file as the next version of a data set; the bytes of the file come along."""

    project: str
    name: str
    filename: str
    """As its owner calls it; only ever shown."""

    target: str | None = None
    format: str = "auto"
    delimiter: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    """Declared types by column name."""

    header: list[str] = field(default_factory=list)
    """Names of the columns of a delimited file that has no header line."""

    nulls: list[str] = field(default_factory=list)
    """Spellings of a missing value besides the empty field."""

    fresh: bool = False
    """Run it although the record holds the answer: a run of the same plan that ended well."""

    sheet: str | None = None
    """Sheet of a workbook; needed where it has several."""

    version: str | None = None
    """Version of a Delta table, or snapshot of an Iceberg table, a number as text; None takes the newest."""

    at: str | None = None
    """Moment whose version of a Delta or Iceberg table is read."""

    origin: Origin | None = None
    """Where the bytes come from."""

    classification: str = "confidential"
    owner: str | None = None
    """Who answers for the data."""

    purposes: list[str] = field(default_factory=list)
    """What they may be used for; none given means whatever the project does."""

    legal_basis: list[str] = field(default_factory=list)
    """By which right they are processed."""

    rights: list[str] = field(default_factory=list)
    """What they are kept from: ``no-training``, ``no-scripts``, ``no-evaluation``, ``no-prediction``,
    ``no-derivation``."""

    use_until: str | None = None
    """The day, or the time from now, at which the right to use them ends."""

    retention: str | None = None
    """The day, or the time from now, until which they are kept."""

    bounds: dict[str, int] = field(default_factory=dict)
    """What the file may hold at most, where that is not as usual: ``columns``, ``rows``, ``bytes`` after the
    compression is taken off, ``ratio`` of these to the compressed ones, ``record_bytes`` of the longest line."""

    limits: JobLimits = field(default_factory=JobLimits)


class ListDatasets(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The data sets of a project."""

    project: str
    limit: int = 100


class DatasetSummary(Struct, kw_only=True, frozen=True):
    """The latest version of a data set in one line."""

    dataset: str
    """``data:name@version``."""

    digest: str
    rows: int
    columns: int
    bytes: int
    target: str | None
    created_at: str
    versions: int


class Datasets(Struct, kw_only=True, frozen=True):
    """A list of data sets."""

    datasets: list[DatasetSummary]


class ShowDataset(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One snapshot in full."""

    project: str
    dataset: str


class Column(Struct, kw_only=True, frozen=True):
    """One column of a snapshot."""

    name: str
    type: str
    nullable: bool


class Judged(Struct, kw_only=True, frozen=True):
    """What a judgement of a snapshot came to."""

    what: str
    """``quality`` or ``representation``."""

    verdict: str
    run: str
    created_at: str


class DatasetDetail(Struct, kw_only=True, frozen=True):
    """Everything recorded about a snapshot."""

    dataset: str
    digest: str
    content_digest: str
    rows: int
    bytes: int
    target: str | None
    columns: list[Column]
    created_at: str
    created_by: str
    run: str | None
    grade: str
    facts: dict[str, Any]
    findings: list[dict[str, Any]]
    proof: dict[str, Any] | None = None
    """For a part of a split: what proves that the parts are disjoint and together complete."""

    profile: dict[str, Any] | None = None
    """The newest profile, when one was made."""

    judged: list[Judged] = field(default_factory=list)
    """The newest judgement of each kind: its quality, and whom it represents."""

    superseded_by: str | None = None
    """The latest version of its name, where it is another one."""

    derived_from: list[str] = field(default_factory=list)
    """What it was made from: the file that was ingested, or what was split, transformed or joined."""


class SplitDataset(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Split a snapshot into disjoint parts that together are complete."""

    project: str
    dataset: str
    parts: dict[str, float] = field(default_factory=lambda: {"train": 0.6, "test": 0.2, "holdout": 0.2})
    """Share of rows by name of the part; the shares add up to 1."""

    stratify: str | None = None
    """Column whose classes keep their shares in each part; None takes the target when the snapshot declares one."""

    group: str | None = None
    """Column whose equal values stay in one part."""

    seed: int = 0
    fresh: bool = False
    """Run it although the record holds the answer: a run of the same plan that ended well."""


class ProfileDataset(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Describe each column of a snapshot, hermetically."""

    project: str
    dataset: str
    fresh: bool = False
    """Run it although the record holds the answer: a run of the same plan that ended well."""
