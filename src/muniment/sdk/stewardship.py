"""Who may use which data for what: terms, grants, holds, and how data are let go of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from muniment.sdk.asking import Asking, reference_of
from muniment.wire import stewardship as ws
from muniment.wire.execution import RunDetail, ShowRun, Started

__all__ = ["Stewardship"]

Attend = Callable[[str], None]
"""Waits for a run, ``run:ID``."""


class Grants:
    """Access to data for a purpose and a time: ``m.stewardship.grants``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def request(
        self,
        dataset: Any,
        *,
        purpose: str,
        reason: str,
        days: int = 14,
        account: str = "",
        every_version: bool = True,
    ) -> ws.DataGrantView:
        """Ask for access to a data set, for a purpose and a time."""
        request = ws.RequestDataGrant(
            project=self._asking.project,
            dataset=reference_of(dataset),
            purpose=purpose,
            reason=reason,
            days=days,
            account=account,
            every_version=every_version,
        )
        return self._asking.ask("stewardship:RequestGrant", request, ws.DataGrantView)

    def approve(self, grant: str, *, reason: str = "", days: int | None = None) -> ws.DataGrantView:
        """Give the access that somebody else asked for."""
        request = ws.ApproveDataGrant(project=self._asking.project, grant=grant, reason=reason, days=days)
        return self._asking.ask("stewardship:ApproveGrant", request, ws.DataGrantView)

    def reject(self, grant: str, *, reason: str) -> ws.DataGrantView:
        """Refuse access that somebody asked for."""
        request = ws.RejectDataGrant(project=self._asking.project, grant=grant, reason=reason)
        return self._asking.ask("stewardship:RejectGrant", request, ws.DataGrantView)

    def revoke(self, grant: str, *, reason: str) -> ws.DataGrantView:
        """Take access back before it ends."""
        request = ws.RevokeDataGrant(project=self._asking.project, grant=grant, reason=reason)
        return self._asking.ask("stewardship:RevokeGrant", request, ws.DataGrantView)

    def list(self, *, mine: bool = False, state: str | None = None, limit: int = 100) -> list[ws.DataGrantView]:
        """Requests for access and what came of them, newest first."""
        request = ws.ListDataGrants(project=self._asking.project, mine=mine, state=state, limit=limit)
        return self._asking.ask("stewardship:ListGrants", request, ws.DataGrants).grants


class Holds:
    """What must be kept, whatever else is decided: ``m.stewardship.holds``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def place(
        self, dataset: Any, *, case: str, reason: str, forbids_use: bool = False, every_version: bool = True
    ) -> ws.HoldView:
        """Have a data set stay as it is, for a case."""
        request = ws.PlaceHold(
            project=self._asking.project,
            dataset=reference_of(dataset),
            case=case,
            reason=reason,
            forbids_use=forbids_use,
            every_version=every_version,
        )
        return self._asking.ask("stewardship:PlaceHold", request, ws.HoldView)

    def release(self, hold: str, *, reason: str) -> ws.HoldView:
        """Let a hold end; who placed it may not."""
        request = ws.ReleaseHold(project=self._asking.project, hold=hold, reason=reason)
        return self._asking.ask("stewardship:ReleaseHold", request, ws.HoldView)

    def list(self, *, released: bool = False) -> list[ws.HoldView]:
        """Holds, newest first."""
        request = ws.ListHolds(project=self._asking.project, released=released)
        return self._asking.ask("stewardship:ListHolds", request, ws.Holds).holds


class Erasures:
    """How data are let go of: ``m.stewardship.erasures``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def due(self) -> list[ws.DueView]:
        """Snapshots whose time is over, and that nobody has decided about yet."""
        return self._asking.ask("stewardship:ListDue", ws.ListDue(project=self._asking.project), ws.Due).due

    def search(self, column: str, value: str, attend: Attend) -> ws.ErasurePlan:
        """Search every snapshot for one person, wait, and tell what his erasure would come to.

        Args:
            column: the column that names people.
            value: his value in it; it is kept nowhere in the clear.
            attend: waits for each of the jobs that search.
        """
        request = ws.PreviewErasure(project=self._asking.project, column=column, value=value)
        begun = self._asking.ask("stewardship:SearchSubject", request, ws.SubjectSearch)
        for run in begun.runs:
            attend(run)
        return self.plan(begun.subject)

    def plan(self, subject: str, *, keep: Sequence[str] = (), include: Sequence[str] = ()) -> ws.ErasurePlan:
        """What the erasure of a person who was searched for would come to."""
        request = ws.ShowErasurePlan(
            project=self._asking.project, subject=subject, keep=list(keep), include=list(include)
        )
        return self._asking.ask("stewardship:ShowErasurePlan", request, ws.ErasurePlan)

    def request(
        self,
        subject: str,
        *,
        reason: str,
        keep: Sequence[str] = (),
        include: Sequence[str] = (),
        replace: bool = False,
    ) -> ws.ErasureView:
        """Ask for the erasure of a person who was searched for."""
        request = ws.RequestErasure(
            project=self._asking.project,
            subject=subject,
            reason=reason,
            keep=list(keep),
            include=list(include),
            replace=replace,
        )
        return self._asking.ask("stewardship:RequestErasure", request, ws.ErasureView)

    def request_deletion(self, dataset: Any, *, reason: str) -> ws.ErasureView:
        """Ask for the deletion of a snapshot whose time is over."""
        request = ws.RequestDeletion(project=self._asking.project, dataset=reference_of(dataset), reason=reason)
        return self._asking.ask("stewardship:RequestDeletion", request, ws.ErasureView)

    def approve(self, erasure: str, *, reason: str = "") -> ws.ErasureView:
        """Decide as the second person, destroy, and see to it that the keys are destroyed too."""
        request = ws.ApproveErasure(project=self._asking.project, erasure=erasure, reason=reason)
        self._asking.ask("stewardship:ApproveErasure", request, ws.ErasureView)
        self.finish()
        return self.get(erasure)

    def reject(self, erasure: str, *, reason: str) -> ws.ErasureView:
        """Decide as the second person that nothing is destroyed."""
        request = ws.RejectErasure(project=self._asking.project, erasure=erasure, reason=reason)
        return self._asking.ask("stewardship:RejectErasure", request, ws.ErasureView)

    def finish(self) -> list[str]:
        """Destroy the keys that erasures left behind; safe to repeat."""
        request = ws.FinishErasure(project=self._asking.project)
        return self._asking.ask("stewardship:FinishErasure", request, ws.Finished).keys

    def get(self, erasure: str) -> ws.ErasureView:
        """One request for erasure, and what came of it."""
        request = ws.ShowErasure(project=self._asking.project, erasure=erasure)
        return self._asking.ask("stewardship:ShowErasure", request, ws.ErasureView)

    def list(self) -> list[ws.ErasureView]:
        """Requests for erasure, newest first."""
        request = ws.ListErasures(project=self._asking.project)
        return self._asking.ask("stewardship:ListErasures", request, ws.Erasures).erasures


class Stewardship:
    """What may be done with data, and who says so: ``m.stewardship``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.grants = Grants(asking)
        """Access to data for a purpose and a time."""
        self.holds = Holds(asking)
        """What must be kept, whatever else is decided."""
        self.erasures = Erasures(asking)
        """How data are let go of."""

    def rights(self, dataset: Any, *, purpose: str = "", use_case: str = "") -> ws.Rights:
        """What may be done with a data set by the one who asks, and why."""
        request = ws.ShowRights(
            project=self._asking.project, dataset=reference_of(dataset), purpose=purpose, use_case=use_case
        )
        return self._asking.ask("stewardship:ShowRights", request, ws.Rights)

    def state(self, dataset: Any, *, reason: str, every_version: bool = True, **terms: Any) -> ws.Statement:
        """State terms of a data set; wider ones wait for a second person.

        Args:
            dataset: the data set.
            reason: why.
            every_version: about its name, or about this snapshot alone.
            terms: ``classification``, ``owner``, ``purposes``, ``legal_basis``, ``rights``, ``use_until``,
                ``retention``, ``keep_until``, ``access``, ``stands_alone``.
        """
        request = ws.SetTerms(
            project=self._asking.project,
            dataset=reference_of(dataset),
            reason=reason,
            every_version=every_version,
            **terms,
        )
        return self._asking.ask("stewardship:SetTerms", request, ws.Statement)

    def confirm(self, statement: str, *, reason: str) -> ws.Statement:
        """Agree to wider terms as the second person."""
        request = ws.ConfirmTerms(project=self._asking.project, statement=statement, reason=reason)
        return self._asking.ask("stewardship:ConfirmTerms", request, ws.Statement)

    def exclude(
        self, dataset: Any, *, reason: str, expert: str, column: str | None = None, rows: str | None = None
    ) -> ws.ExclusionView:
        """State why a column, or some rows, are left out, and which expert says so."""
        request = ws.ExcludeData(
            project=self._asking.project,
            dataset=reference_of(dataset),
            reason=reason,
            expert=expert,
            column=column,
            rows=rows,
        )
        return self._asking.ask("stewardship:ExcludeData", request, ws.ExclusionView)

    def exclusions(self, dataset: Any) -> list[ws.ExclusionView]:
        """What is left out of a data set, with the reasons."""
        request = ws.ListExclusions(project=self._asking.project, dataset=reference_of(dataset))
        return self._asking.ask("stewardship:ListExclusions", request, ws.Exclusions).exclusions

    def assess_bias(self, dataset: Any, *, facet: str, reference: Any = None, **given: Any) -> str:
        """Start a bias review of a snapshot; the run, to be waited for.

        Args:
            dataset: the snapshot.
            facet: the column whose groups are compared.
            reference: a snapshot of the population that it should look like.
            given: ``disfavoured`` or ``at_most``, ``label``, ``favourable``, ``strata``, ``default_values``.
        """
        request = ws.AssessBias(
            project=self._asking.project,
            dataset=reference_of(dataset),
            facet=facet,
            reference=None if reference is None else reference_of(reference),
            **given,
        )
        return self._asking.ask("stewardship:AssessBias", request, Started).run

    def bias(self, dataset: Any) -> ws.BiasView:
        """The newest bias review of a snapshot."""
        request = ws.ShowBias(project=self._asking.project, dataset=reference_of(dataset))
        return self._asking.ask("stewardship:ShowBias", request, ws.BiasView)

    def run(self, run: str) -> RunDetail:
        """A run that stewardship started."""
        return self._asking.ask("execution:ShowRun", ShowRun(project=self._asking.project, run=run), RunDetail)
