"""Requests and replies about lineage for others: in open formats, and as a story that reads from top to bottom."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.wire.catalog import Past


class ExportLineage(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where something comes from, or what was made of it, in an open format."""

    project: str
    reference: str
    """An entity, or ``run:<id>``."""

    form: str
    """``prov`` (W3C PROV-JSON), ``openlineage`` (run events, one JSON document a line), ``in-toto`` (how it was made:
    an in-toto statement with SLSA provenance; of a model that was made here in an envelope that the ledger's key
    signed, of anything else unsigned) or ``ro-crate`` (a Process Run Crate, as a zip)."""

    direction: str = "upstream"
    """``upstream``, ``downstream`` or ``both``; ``in-toto`` tells of one making, and knows no direction."""

    depth: int | None = None
    """How many activities away to go at most; None goes to the end."""

    at: str | None = None
    """As it was recorded at a moment of the past (ISO 8601), or at a signed checkpoint (its number of entries)."""


class TraceOrigin(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The way of something back to its sources, as one story."""

    project: str
    reference: str
    """An entity, such as a model version, or ``run:<id>``."""

    at: str | None = None
    """As it was recorded at a moment of the past (ISO 8601), or at a signed checkpoint (its number of entries)."""


class TraceInput(Struct, kw_only=True, frozen=True):
    """Something that a step read or made."""

    role: str
    reference: str
    kind: str
    digest: str
    grade: str
    """Of the link between it and the step."""


class TraceStep(Struct, kw_only=True, frozen=True):
    """One activity on the way."""

    run: str
    kind: str
    label: str
    by: str
    started_at: str
    ended_at: str
    status: str
    grade: str
    used: list[TraceInput]
    made: list[TraceInput]
    """What of it led on to what was asked about."""

    plan: str | None = None
    code: dict[str, Any] | None = None
    """The user's code: ``digest``, ``entry``, and ``commit``, ``clean``, ``author`` where it came from a repository."""

    environment: str | None = None
    enforced: bool | None = None
    """Whether the walls stood; None for what did not run here."""

    seed: int | None = None
    params: dict[str, Any] = field(default_factory=dict)


class TraceSource(Struct, kw_only=True, frozen=True):
    """Where the way ends: something that nothing recorded made."""

    reference: str
    digest: str
    kind: str
    by: str
    at: str
    grade: str
    origin: dict[str, Any] | None = None
    """Where the bytes came from, as their bringer said: ``kind``, ``location``, ``query``, ``version``, ``read_at``."""

    filename: str | None = None
    run: str | None = None
    """The run that read it in."""


class TraceMark(Struct, kw_only=True, frozen=True):
    """What a reader must not overlook."""

    kind: str
    """``declared``: nobody but its teller stands behind a link; ``override``: a rule was set aside, with its reason;
    ``statement``: what people stated about the thing; ``elsewhere``: the way goes on in another project; ``repeated``:
    the same bytes were made more than once."""

    what: str
    by: str | None = None
    at: str | None = None
    reason: str | None = None
    record: str | None = None


class Trace(Struct, kw_only=True, frozen=True):
    """The way back from one thing to its sources, nearest first."""

    reference: str
    digest: str | None
    """None for a run."""

    kind: str
    grade: str
    """The weakest link of the whole way."""

    by: str
    at: str
    complete: bool
    """Whether every way ends at bytes that came from outside, or at code, environment and base root."""

    steps: list[TraceStep]
    sources: list[TraceSource]
    marks: list[TraceMark]
    origin: str
    """Name of the ledger."""

    size: int
    """Entries of the checkpoint under which all of this was told."""

    root: str
    past: Past | None = None
