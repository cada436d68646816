"""The exit plan: everything out, readable without the platform."""

from __future__ import annotations

from collections.abc import Iterator

from muniment.sdk.asking import Asking
from muniment.wire import exporting as wire

__all__ = ["erasures_of", "export_of", "record_drill"]


def export_of(asking: Asking) -> Iterator[bytes]:
    """The whole installation as a tar, chunk by chunk; it is not encrypted."""
    return asking.download("evidence:ExportInstallation", wire.ExportInstallation())


def erasures_of(asking: Asking) -> Iterator[bytes]:
    """The signed list of everything that was erased; it is kept beside exports, and names nobody."""
    return asking.download("evidence:ExportErasures", wire.ExportErasures())


def record_drill(asking: Asking, drill: wire.RecordDrill) -> wire.Drill:
    """Put how an exercise of the exit plan went on the record of a project."""
    return asking.ask("evidence:RecordDrill", drill, wire.Drill)
