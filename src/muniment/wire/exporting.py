"""Requests and replies about the exit plan: everything out, and a drill that shows that it can be used."""

from __future__ import annotations

from msgspec import Struct, field


class ExportInstallation(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everything the installation holds, readable without it."""


class ExportErasures(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The signed list of everything that was erased, to be kept beside exports."""


class RestoreInstallation(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An installation was made from an export."""

    manifest: str
    """Digest of the export's manifest."""

    entries: int
    root: str
    former_key: str
    """The verifier key of the ledger that signed the export."""

    key_from: str
    """``you`` or ``the export``: where the key came from that the export was verified with."""

    erasures_until: str = ""
    """Up to which moment it is known what was erased."""

    erased: int = 0
    """Objects that the export held and that were left out, because a list says that they were erased."""


class Restored(Struct, kw_only=True, frozen=True):
    """It stands in the ledger."""


class RecordDrill(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """State how an exercise of the exit plan went, for the record of a project."""

    project: str
    export: str
    """Digest of the manifest of the export that was used."""

    outcome: str
    """``passed`` or ``failed``."""

    objects: int
    rows: int
    entries: int
    reproduced: str = ""
    """The model that was made again from the export alone; empty when none was."""

    verdict: str = ""
    """Of that reproduction."""

    findings: list[str] = field(default_factory=list)
    seconds: int = 0


class Drill(Struct, kw_only=True, frozen=True):
    """The drill is on record."""

    record: str
    outcome: str
