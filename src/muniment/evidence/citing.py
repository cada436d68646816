"""The index of records: every number of a report leads to one of its lines, and each line to the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from muniment.evidence.document import Mark

__all__ = ["Citations"]

_STRENGTH: Final = ("declared", "attested", "proven")


@dataclass(slots=True)
class Citations:
    """The lines of the index, numbered in the order in which they are first needed."""

    entries: Mapping[str, Mapping[str, Any]]
    """Ledger entry by the digest of the record that it bears out: ``{index, id}``."""

    kept: Set[str] = frozenset()
    """Digests of the documents that lie beside the report as records."""

    _lines: dict[str, dict[str, Any]] = field(default_factory=dict)

    def mark(
        self,
        what: str,
        *,
        run: str | None = None,
        digest: str | None = None,
        record: str | None = None,
        grade: str | None = None,
    ) -> Mark | None:
        """The mark that leads to this evidence; None where there is nothing to lead to.

        Args:
            what: the evidence in a few words.
            run: ``run:<id>`` of the job that made it.
            digest: of the bytes it is about.
            record: digest of the document that bears it out, which a ledger entry names.
            grade: of what is said; what is no grade counts as the weakest.
        """
        key = record or digest or run
        grade = grade if grade is None or grade in _STRENGTH else "declared"
        if not key:
            return None if grade is None else self.untraced(what, grade)
        key = f"{run or ''} {key}"
        line = self._lines.setdefault(key, {"number": len(self._lines) + 1, "what": what})
        entry = self.entries.get(record or "") or self.entries.get(digest or "") or self.entries.get(run or "") or {}
        for name, value in (("run", run), ("digest", digest), ("record", record), ("grade", grade)):
            line[name] = line.get(name) or value
        line["entry"] = line.get("entry") if line.get("entry") is not None else entry.get("index")
        line["entry_id"] = line.get("entry_id") or entry.get("id")
        return Mark(grade, line["number"])

    def untraced(self, what: str, grade: str) -> Mark:
        """A mark for what the dossier itself says without naming a document for it."""
        line = self._lines.setdefault(f"dossier {what}", {"number": len(self._lines) + 1, "what": what})
        line.setdefault("grade", grade)
        line.setdefault("where", "dossier.json")
        return Mark(grade, line["number"])

    def lines(self) -> tuple[dict[str, Any], ...]:
        """The index."""
        blank = {
            "run": None,
            "digest": None,
            "record": None,
            "grade": None,
            "entry": None,
            "entry_id": None,
            "where": None,
        }
        return tuple({**blank, **line, "kept": line.get("record") in self.kept} for line in self._lines.values())
