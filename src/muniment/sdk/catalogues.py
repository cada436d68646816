"""Control catalogues and reports by them: what supervisors ask, and what the records answer about a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muniment.errors import Invalid
from muniment.sdk.asking import Asking
from muniment.sdk.cells import card, note, table
from muniment.sdk.frames import to_frame
from muniment.sdk.report_page import DISCLAIMER, STATUSES, html_page, html_summary, markdown, missing, totals
from muniment.wire import catalogues as wire

__all__ = ["Catalogue", "CatalogueList", "Catalogues", "Report", "report_on"]


class Catalogue:
    """One version of a control catalogue."""

    def __init__(self, detail: wire.CatalogueDetail) -> None:
        self.detail = detail
        """Everything it says."""

    @property
    def items(self) -> list[wire.CatalogueItem]:
        """What it asks."""
        return list(self.detail.items)

    def to_frame(self) -> Any:
        """A data frame, one row per item."""
        columns = ("id", "reference", "title", "confidence", "answerable", "query", "gap", "open")
        return to_frame([{name: getattr(item, name) for name in columns} for item in self.detail.items], columns)

    def __repr__(self) -> str:
        s = self.detail.summary
        lines = [f"{s.catalogue}  {s.title}  (from {s.effective_from})"]
        return "\n".join([*lines, *(f"  {i.reference:36} {i.answerable:8} {i.title}" for i in self.detail.items)])

    def _repr_html_(self) -> str:
        s = self.detail.summary
        rows = [[i.reference, i.title, i.answerable, i.query or i.open] for i in self.detail.items]
        shown = table(["reference", "asks for", "answerable", "query"], rows)
        return card(s.title, note(self.detail.status), shown, kind=f"{s.catalogue}, {s.issuer}")


class CatalogueList(tuple[wire.CatalogueSummary, ...]):
    """The newest version of each catalogue, those in force first."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per catalogue."""
        columns = ("catalogue", "title", "issuer", "effective_from", "superseded_by", "origin", "items")
        counted = (*columns, "fully", "in_part", "open")
        return to_frame([{name: getattr(row, name) for name in counted} for row in self], counted)

    def __repr__(self) -> str:
        return "\n".join(f"{row.catalogue:26} {row.effective_from}  {row.title}" for row in self)

    def _repr_html_(self) -> str:
        rows = [[r.catalogue, r.title, r.effective_from, r.items, r.fully, r.in_part, r.open] for r in self]
        return table(["catalogue", "title", "applies from", "items", "fully", "in part", "open"], rows)


class Report:
    """What the records answer about a model version, by one catalogue or by all that are in force."""

    def __init__(self, detail: wire.ModelReport) -> None:
        self.detail = detail
        """Everything it says."""

    @property
    def counts(self) -> dict[str, int]:
        """Items by status, over all its catalogues."""
        return totals(self.detail)

    def to_html(self) -> str:
        """One page that needs nothing else: to mail, to archive, to print."""
        return html_page(self.detail)

    def to_markdown(self) -> str:
        """The same as Markdown."""
        return markdown(self.detail)

    def to_frame(self) -> Any:
        """A data frame, one row per item."""
        columns = ("catalogue", "reference", "title", "status", "grade", "missing", "records")
        return to_frame(
            [
                {
                    "catalogue": one.summary.catalogue,
                    "reference": answer.item.reference,
                    "title": answer.item.title,
                    "status": answer.status,
                    "grade": answer.grade,
                    "missing": "; ".join(missing(answer)) or answer.item.open,
                    "records": list(dict.fromkeys(fact.record for fact in answer.facts)),
                }
                for one in self.detail.reports
                for answer in one.answers
            ],
            columns,
        )

    def __repr__(self) -> str:
        lines = [f"{self.detail.model}  at {self.detail.checkpoint.size} ledger entries"]
        for one in self.detail.reports:
            told = "  ".join(f"{one.counts[status]} {status}" for status in STATUSES)
            lines.append(f"  {one.summary.catalogue:26} {told}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        d = self.detail
        return card(d.model, html_summary(d), note(DISCLAIMER), kind=f"at {d.checkpoint.size} ledger entries")


class Catalogues:
    """The control catalogues that reports can be made by: ``m.catalogues``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def list(self) -> CatalogueList:
        """The newest version of each, those in force first."""
        request = wire.ListCatalogues(project=self._asking.project)
        return CatalogueList(self._asking.ask("evidence:ListCatalogues", request, wire.CatalogueList).catalogues)

    def get(self, catalogue: str) -> Catalogue:
        """One of them, ``sr-26-2`` for its newest version or ``sr-26-2@1``."""
        request = wire.ShowCatalogue(project=self._asking.project, catalogue=catalogue)
        return Catalogue(self._asking.ask("evidence:ShowCatalogue", request, wire.CatalogueDetail))

    def add(self, file: Path | str) -> wire.CatalogueSummary:
        """Publish the catalogue in a file, a new one or a newer version of any.

        Args:
            file: its path; TOML, see docs/explanation/control-catalogues.md.

        Raises:
            Invalid: it breaks a rule; the facts name the item and the key.
            Conflict: there is such a version already.
        """
        path = Path(file)
        try:
            content = path.read_bytes().decode()
        except UnicodeDecodeError as broken:
            raise Invalid(
                "MUNI-A160", f"{path.name!r} is no text in UTF-8", file=path.name, at=broken.start
            ) from broken
        request = wire.PublishCatalogue(project=self._asking.project, content=content, file=path.name)
        return self._asking.ask("evidence:PublishCatalogue", request, wire.CatalogueSummary)


def report_on(asking: Asking, model: str, catalogue: str | None) -> Report:
    """The report about a model by one catalogue, or by all that are in force."""
    request = wire.ReportModel(project=asking.project, model=model, catalogue=catalogue)
    return Report(asking.ask("evidence:ReportModel", request, wire.ModelReport))
