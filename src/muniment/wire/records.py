"""Requests and replies about whether the record in the database is the one that the ledger tells of."""

from __future__ import annotations

from msgspec import Struct, field


class VerifyRecords(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Compare runs, lineage and names of all projects with the ledger."""


class RecordsReport(Struct, kw_only=True, frozen=True):
    """What was compared and what differs."""

    ok: bool
    runs: int
    """Ended runs that the ledger tells of."""

    entities: int
    """Results of these runs whose files were compared with their digests."""

    checked: list[str]
    not_checked: list[str]
    findings: list[str] = field(default_factory=list)
    """At most 100."""


class VerifyInventory(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Compare records, versions and signing keys of all projects with the ledger."""


class InventoryReport(Struct, kw_only=True, frozen=True):
    """What was compared and what differs."""

    ok: bool
    records: int
    checked: list[str]
    findings: list[str] = field(default_factory=list)
    """At most 100."""
