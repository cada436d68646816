"""Requests and replies about the ledger."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.wire.witness import Witness


class TailEntries(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The newest entries."""

    limit: int = 50
    """At most 1,000."""


class SearchEntries(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Entries that fit every field that is given."""

    principal: str | None = None
    """Such as ``User:ana``."""

    type: str | None = None
    """An event type, or its beginning followed by ``*``."""

    project: str | None = None
    outcome: str | None = None
    since: str | None = None
    """At or after this moment, ISO 8601 with a zone."""

    until: str | None = None
    """Before this moment."""

    text: str | None = None
    """Text that occurs in the entry; no character in it has a special meaning."""

    limit: int = 100
    """At most 1,000."""


class GetEntry(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One entry and the proof that it is in the tree."""

    entry: str
    """Its index or its id."""


class ExportLedger(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The whole ledger as a tar file that ``verify.py`` checks offline."""


class VerifyLedger(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Check the ledger against its signed checkpoints."""

    deep: bool = True
    """Whether to recompute everything from the first entry on; otherwise only the newest part."""


class GetCheckpoint(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The signed statement over everything recorded so far."""


class LedgerEntry(Struct, kw_only=True, frozen=True):
    """An entry."""

    index: int | None
    """Its leaf in the tree; None until it is numbered, within about a second."""

    id: str
    time: str
    type: str
    subject: str
    principal: str
    project: str | None
    outcome: str
    data: dict[str, Any]
    line: str
    """The entry in one printable line: control characters in its values are shown as escapes."""


class LedgerEntries(Struct, kw_only=True, frozen=True):
    """Entries, the newest first."""

    entries: list[LedgerEntry]


class LedgerCheckpoint(Struct, kw_only=True, frozen=True):
    """A signed checkpoint."""

    origin: str
    size: int
    root: str
    note: str
    """The signed note itself: keep it somewhere else, and nothing before it can be changed unnoticed."""

    key: str
    """The ledger's public key, as verifiers take it."""


class EntryProof(Struct, kw_only=True, frozen=True):
    """An entry, its exact bytes, and the way from its leaf to a signed root."""

    entry: LedgerEntry
    body: str
    """The exact text that was hashed."""

    checkpoint: LedgerCheckpoint
    path: list[str]
    """The inclusion proof (RFC 6962), from the leaf upwards, as hexadecimal."""


class LedgerFinding(Struct, kw_only=True, frozen=True):
    """Something about the ledger that is not as it was signed."""

    index: int | None
    """The entry it is about, where one can be named."""

    what: str


class LedgerReport(Struct, kw_only=True, frozen=True):
    """What was checked and what was found."""

    ok: bool
    entries: int
    """Entries under the newest checkpoint."""

    waiting: int
    """Entries that are recorded and not numbered yet."""

    first: int | None
    """The first entry that is not as it was signed."""

    checked: list[str]
    not_checked: list[str]
    findings: list[LedgerFinding] = field(default_factory=list)
    checkpoint: LedgerCheckpoint | None = None
    witnesses: list[Witness] = field(default_factory=list)
    """Who cosigned, and how far."""

    required: int = 0
    """How many of them must cosign a checkpoint."""

    cosigned: int | None = None
    """Entries of the newest checkpoint that as many cosigned."""
