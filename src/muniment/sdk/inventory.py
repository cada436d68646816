"""The inventory: registered versions with state and tier, models from outside, and the board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from muniment.sdk.asking import Asking, reference_of
from muniment.sdk.assets import Register, assets_of, rows_of
from muniment.sdk.cells import card, facts, fold, table
from muniment.sdk.frames import to_frame
from muniment.wire import evidence as we
from muniment.wire import inventory as wi

__all__ = ["Board", "Inventory", "VersionList"]

_COLUMNS: Final = (
    "model",
    "state",
    "tier",
    "use_case",
    "owner",
    "origin",
    "algorithm",
    "expires",
    "next_review",
    "findings_open",
    "findings_high",
    "emergency",
)


class VersionList(tuple[wi.VersionSummary, ...]):
    """Registered versions, the newest registration first."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per version."""
        names = ("digest", *_COLUMNS, "supplier", "registered_at", "since", "approved_at", "expired", "overdue")
        return to_frame([{name: getattr(row, name) for name in names} for row in self], names)

    def __repr__(self) -> str:
        return "\n".join(f"{row.model:40} {_state(row):24} tier {row.tier}  {row.use_case or ''}" for row in self)

    def _repr_html_(self) -> str:
        return _rows(self)


class Board:
    """The inventory at a glance."""

    def __init__(self, reply: wi.Board) -> None:
        self.reply = reply
        """All of it."""

    def to_frame(self) -> Any:
        """A data frame, one row per tier and state."""
        names = ("tier", "state", "versions")
        return to_frame([{name: getattr(cell, name) for name in names} for cell in self.reply.cells], names)

    def __repr__(self) -> str:
        b = self.reply
        lines = [f"{b.project}: {b.versions} versions at {b.at[:19]}"]
        lines += [f"  tier {cell.tier}  {cell.state:14} {cell.versions}" for cell in b.cells]
        lines += [f"  {f.severity} findings: {f.open} open, {f.overdue} overdue" for f in b.findings]
        lines += [f"  EMERGENCY {row.model} until {row.expires or ''}" for row in b.emergencies]
        lines += [f"  review overdue: {row.model} since {row.next_review}" for row in b.overdue_reviews]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        b = self.reply
        states = list(dict.fromkeys(cell.state for cell in b.cells))
        by = {(cell.tier, cell.state): cell.versions for cell in b.cells}
        tiers = [[tier, *(by.get((tier, state), "") for state in states)] for tier in (1, 2, 3, 4)]
        findings = [[f.severity, f.open, f.overdue, f.oldest_days] for f in b.findings]
        shares = [[share.what, share.value, share.versions] for share in b.concentration]
        return card(
            f"board of {b.project}",
            facts({"versions": b.versions, "at": b.at}),
            table(["tier", *states], tiers),
            table(["findings", "open", "overdue", "oldest, days"], findings) if findings else "",
            fold("emergencies", _rows(b.emergencies)) if b.emergencies else "",
            fold("reviews overdue", _rows(b.overdue_reviews)) if b.overdue_reviews else "",
            fold("approvals that ended", _rows(b.expired)) if b.expired else "",
            fold("concentration", table(["shared", "what", "versions"], shares)) if shares else "",
            badges=("emergency",) if b.emergencies else (),
        )


class Inventory:
    """Registered models: ``m.inventory``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def list(self, *, limit: int = 100, **wanted: Any) -> VersionList:
        """Registered versions, the newest registration first.

        Args:
            limit: so many at most.
            wanted: any of ``state``, ``tier``, ``use_case``, ``owner``, ``origin``, ``supplier``, ``emergency``,
                ``overdue`` and ``expired``.
        """
        request = wi.ListVersions(project=self._asking.project, limit=limit, **wanted)
        return VersionList(self._asking.ask("inventory:ListVersions", request, wi.Versions).versions)

    def board(self, top: int = 10) -> Board:
        """The inventory at a glance."""
        request = wi.ShowBoard(project=self._asking.project, top=top)
        return Board(self._asking.ask("inventory:ShowBoard", request, wi.Board))

    def save_board(self, file: str | Path) -> Path:
        """Write the board's report (PDF/A) to a file; gives its path."""
        request = we.BriefBoard(project=self._asking.project)
        path = Path(file)
        with path.open("wb") as out:
            for chunk in self._asking.download("evidence:BriefBoard", request):
                out.write(chunk)
        return path

    def register_external(
        self, name: str, *, origin: str, owner: str, description: str, file: str | Path | None = None, **more: Any
    ) -> wi.Registered:
        """Enter a model of a vendor (``origin="vendor"``) or one that lives outside (``"off-platform"``).

        Args:
            name: what to call it.
            origin: ``vendor`` or ``off-platform``.
            owner: who answers for it here.
            description: what it does, in a few sentences.
            file: its file, such as a workbook, which is sealed and never opened; None without one.
            more: ``supplier``, ``contract``, ``supplier_version``, ``location``, ``algorithm``, ``use_case``,
                ``model_kind``, ``assumptions``, ``limits``.
        """
        given: dict[str, Any] = {"name": name, "origin": origin, "owner": owner, "description": description, **more}
        if file is None:
            request = wi.RegisterExternalModel(project=self._asking.project, **given)
            return self._asking.ask("inventory:RegisterExternalModel", request, wi.Registered)
        path = Path(file)
        with path.open("rb") as body:
            sent = wi.RegisterModelFile(project=self._asking.project, filename=path.name, **given)
            return self._asking.ask("inventory:RegisterModelFile", sent, wi.Registered, body)

    def dependencies(self, model: Any) -> wi.Dependencies:
        """Which registered versions feed a model, and which it feeds."""
        request = wi.ShowDependencies(project=self._asking.project, model=reference_of(model))
        return self._asking.ask("inventory:ShowDependencies", request, wi.Dependencies)

    def depends_on(self, model: Any, on: Any, reason: str) -> wi.Dependencies:
        """State that another model feeds this one, where lineage cannot know it."""
        request = wi.DeclareDependency(
            project=self._asking.project, model=reference_of(model), on=reference_of(on), reason=reason
        )
        return self._asking.ask("inventory:DeclareDependency", request, wi.Dependencies)

    def tiering(self) -> wi.Tiering:
        """The rule by which exposure and purpose come to a tier."""
        return self._asking.ask("inventory:ShowTiering", wi.ShowTiering(), wi.Tiering)

    def publish_tiering(self, rule: Mapping[str, Any]) -> wi.Tiering:
        """Put another tiering rule in force."""
        return self._asking.ask("inventory:PublishTiering", wi.PublishTiering(rule=dict(rule)), wi.Tiering)

    def assets(self, scope: str | None = None) -> Register:
        """The register of assets, one row each; ``scope`` is a project, None the whole installation."""
        return rows_of(assets_of(self._asking, scope=scope, form="json"))

    def questions(self) -> Mapping[str, Any]:
        """The questions by which it is determined whether something is a model."""
        return self._asking.ask("inventory:ShowQuestionnaire", wi.ShowQuestionnaire(), wi.Questionnaire).document


def _state(row: wi.VersionSummary) -> str:
    return "approved (EMERGENCY)" if row.emergency else "expired" if row.expired else row.state


def _rows(rows: Iterable[wi.VersionSummary]) -> str:
    def cells(row: wi.VersionSummary) -> list[Any]:
        shown = {"state": _state(row), "emergency": "EMERGENCY" if row.emergency else ""}
        return [shown.get(name, getattr(row, name)) for name in _COLUMNS]

    return table(_COLUMNS, [cells(row) for row in rows])
