"""Requests and replies about control catalogues: what supervisors ask, and what the records answer."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class ListCatalogues(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The control catalogues that reports of this project can be made by."""

    project: str


class CatalogueSummary(Struct, kw_only=True, frozen=True):
    """The newest version of a catalogue."""

    catalogue: str
    """``id@version``."""

    id: str
    version: int
    versions: list[int]
    """Every version that is known, oldest first."""

    title: str
    issuer: str
    effective_from: str
    """The day from which it applies."""

    superseded_by: str | None
    """Id of the catalogue that took its place."""

    origin: str
    """``shipped`` with the product, or ``published`` by the institution."""

    digest: str
    """Of the file."""

    items: int
    fully: int
    """Items that records can answer in full."""

    in_part: int
    """Items that records can answer in part at best."""

    open: int
    """Items that no query can answer today."""


class CatalogueList(Struct, kw_only=True, frozen=True):
    """Catalogues in force first, by id."""

    catalogues: list[CatalogueSummary]


class ShowCatalogue(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everything that one version of a catalogue asks."""

    project: str
    catalogue: str
    """``id`` for the newest version, or ``id@version``."""


class CatalogueItem(Struct, kw_only=True, frozen=True):
    """One requirement in our own words."""

    id: str
    reference: str
    """Where it stands in the source."""

    title: str
    text: str
    confidence: str
    """``checked`` against the source, from ``memory``, or ``unrecorded``."""

    answerable: str
    """``fully``, ``in part`` or ``open``."""

    query: str
    """What must hold of a model; empty when no query can answer it."""

    gap: str
    """What the query does not show."""

    open: str
    """Why no query can answer it."""

    records: list[str]
    """Kinds of records that answer it."""

    evidence: list[str]
    """Short names of the evidence that the requirement speaks of."""


class CatalogueDetail(Struct, kw_only=True, frozen=True):
    """One version of a catalogue."""

    summary: CatalogueSummary
    status: str
    """How firm it is, and what is not known about it."""

    sources: list[str]
    items: list[CatalogueItem]


class PublishCatalogue(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Add a control catalogue of one's own, or a newer version of any."""

    project: str
    content: str
    """The file, TOML."""

    file: str = "catalogue.toml"
    """Its name, for errors."""


class ReportModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the records answer a supervisor about one model version."""

    project: str
    model: str
    catalogue: str | None = None
    """``id`` or ``id@version``; None for the newest version of each that is in force."""


class Checkpoint(Struct, kw_only=True, frozen=True):
    """The state of the ledger that a report rests on."""

    size: int
    root: str


class AnswerPart(Struct, kw_only=True, frozen=True):
    """One thing that must hold for an item to be answered."""

    text: str
    outcome: str
    """``yes``, ``no`` or ``unknown``."""

    why: str
    """What was found, or why nothing can be said."""


class FactFound(Struct, kw_only=True, frozen=True):
    """One fact that an answer rests on."""

    name: str
    value: Any
    grade: str
    record: str
    """What bears it out: the digest of a record or entity, ``run:<id>``, or ``checkpoint:<size>``."""

    text: str
    """Where it came from, in words."""


class ItemAnswer(Struct, kw_only=True, frozen=True):
    """What one item comes to."""

    item: CatalogueItem
    status: str
    """``answered``, ``partly``, ``unanswered`` or ``open``."""

    grade: str | None
    """The weakest grade among the facts; None when nothing was found."""

    parts: list[AnswerPart]
    facts: list[FactFound]
    missing: list[str]
    """What does not hold or is not recorded, in words."""


class CatalogueReport(Struct, kw_only=True, frozen=True):
    """What one catalogue comes to."""

    summary: CatalogueSummary
    status: str
    """How firm the catalogue is, and what is not known about it."""

    counts: dict[str, int]
    """Items by status; every status is named."""

    answers: list[ItemAnswer]


class ModelReport(Struct, kw_only=True, frozen=True):
    """What the records answer about one model version, by one catalogue or by all."""

    model: str
    digest: str
    project: str
    at: str
    """When it was asked."""

    checkpoint: Checkpoint
    known: dict[str, str] = field(default_factory=dict)
    """State, tier, owner and origin, as far as they are recorded."""

    reports: list[CatalogueReport] = field(default_factory=list)
