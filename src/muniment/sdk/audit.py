"""The ledger, read: what happened, and proof that the record was not changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from muniment.sdk.asking import Asking
from muniment.sdk.assets import Register, changes_of, rows_of
from muniment.sdk.cells import table
from muniment.sdk.frames import to_frame
from muniment.sdk.witnesses import Witnesses
from muniment.wire import ledger as wl

__all__ = ["Audit", "Entries"]


class Entries(tuple[wl.LedgerEntry, ...]):
    """Ledger entries, newest first."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per entry."""
        return to_frame([dict(zip(_COLUMNS, _row(entry), strict=True)) for entry in self], _COLUMNS)

    def __repr__(self) -> str:
        return "\n".join(entry.line for entry in self)

    def _repr_html_(self) -> str:
        return table(_COLUMNS, [_row(entry) for entry in self])


class Audit:
    """The ledger of the installation: ``m.audit``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.witnesses = Witnesses(asking)
        """Who cosigns what the ledger grows to."""

    def tail(self, limit: int = 50) -> Entries:
        """The newest entries."""
        request = wl.TailEntries(limit=limit)
        return Entries(self._asking.ask("ledger:TailEntries", request, wl.LedgerEntries).entries)

    def search(self, **wanted: Any) -> Entries:
        """Entries that fit every field given: principal, type, project, outcome, since, until, text, limit."""
        request = wl.SearchEntries(**wanted)
        return Entries(self._asking.ask("ledger:SearchEntries", request, wl.LedgerEntries).entries)

    def entry(self, entry: str | int) -> wl.EntryProof:
        """One entry by index or id, with the proof that it is in the tree."""
        return self._asking.ask("ledger:GetEntry", wl.GetEntry(entry=str(entry)), wl.EntryProof)

    def checkpoint(self) -> wl.LedgerCheckpoint:
        """The signed statement over everything recorded so far; keep it elsewhere."""
        return self._asking.ask("ledger:GetCheckpoint", wl.GetCheckpoint(), wl.LedgerCheckpoint)

    def verify(self, *, deep: bool = True) -> wl.LedgerReport:
        """Check the ledger against its signed checkpoints; with ``deep`` from the first entry on."""
        return self._asking.ask("ledger:VerifyLedger", wl.VerifyLedger(deep=deep), wl.LedgerReport)

    def changes(self, *, since: str | None = None, until: str | None = None, scope: str | None = None) -> Register:
        """Every change of a period, one row each; moments or days in ISO 8601, ``scope`` a project."""
        return rows_of(changes_of(self._asking, since=since, until=until, scope=scope, form="json"))

    def export(self) -> Iterator[bytes]:
        """The whole ledger as a tar that the stand-alone verifier checks offline, chunk by chunk."""
        return self._asking.download("ledger:ExportLedger", wl.ExportLedger())


_COLUMNS = ("entry", "time", "type", "principal", "project", "subject", "outcome")


def _row(entry: wl.LedgerEntry) -> tuple[Any, ...]:
    return (entry.index, entry.time, entry.type, entry.principal, entry.project, entry.subject, entry.outcome)
