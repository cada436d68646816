"""The inventory at a glance: versions by tier and state, how long they wait, findings, and what many models share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from muniment.errors import Invalid
from muniment.inventory.lifecycle import State
from muniment.inventory.ports import VersionRow, Versions, Wanted
from muniment.inventory.standing import Severity
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import inventory as wire

__all__ = ["VERBS", "summary_of"]

_MOST: Final = 10_000
_SHARED: Final = ("algorithm", "input", "owner", "supplier", "use_case")


@verb(
    "inventory:ListVersions",
    on=PROJECT,
    request=wire.ListVersions,
    reply=wire.Versions,
    event="versions.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_versions(call: Call, request: wire.ListVersions) -> wire.Versions:
    """List registered versions with state and tier, the newest registration first, by any of the filters."""
    if request.state is not None and request.state not in [*State]:
        raise Invalid("MUNI-M143", f"{request.state[:40]!r} is no state", states=[state.value for state in State])
    if request.tier is not None and request.tier not in (1, 2, 3, 4):
        raise Invalid("MUNI-M144", "a tier is 1, 2, 3 or 4", tier=request.tier)
    wanted = Wanted(
        state=State(request.state) if request.state else None,
        tier=request.tier,
        use_case=request.use_case,
        owner=request.owner,
        origin=request.origin,
        supplier=request.supplier,
        emergency=request.emergency,
        overdue=request.overdue,
        expired=request.expired,
    )
    rows = call.use(Versions).listed(call.project, wanted, call.now, max(1, min(request.limit, _MOST)))
    return wire.Versions(versions=[summary_of(row, call.now) for row in rows])


@verb(
    "inventory:ShowBoard",
    on=PROJECT,
    request=wire.ShowBoard,
    reply=wire.Board,
    event="board.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_board(call: Call, request: wire.ShowBoard) -> wire.Board:
    """Show the inventory at a glance: tiers and states, ages, findings, overdue reviews, emergencies, concentration."""
    top, now, versions = max(1, min(request.top, 100)), call.now, call.use(Versions)
    counts = versions.counts(call.project, now)

    def listed(wanted: Wanted) -> list[wire.VersionSummary]:
        return [summary_of(row, now) for row in versions.listed(call.project, wanted, now, top)]

    return wire.Board(
        project=call.project,
        at=format_time(now),
        versions=sum(many for _, _, many in counts),
        cells=[wire.BoardCell(tier=tier, state=state, versions=many) for tier, state, many in sorted(counts)],
        ages=[
            wire.BoardAge(
                state=state, versions=many, oldest_since=format_time(since), oldest_days=max(0, (now - since).days)
            )
            for state, since, many in sorted(versions.ages(call.project), key=lambda age: age[1])
        ],
        findings=_findings(call),
        overdue_reviews=listed(Wanted(overdue=True)),
        emergencies=listed(Wanted(emergency=True)),
        expired=listed(Wanted(expired=True)),
        concentration=[
            wire.BoardShare(what=one.what, value=one.value, versions=one.versions)
            for what in _SHARED
            for one in versions.shared(call.project, what, top)
        ],
    )


def summary_of(row: VersionRow, now: datetime) -> wire.VersionSummary:
    """A registered version as a line of a list."""
    return wire.VersionSummary(
        model=row.reference,
        digest=str(row.digest),
        state=row.state_at(now).value,
        tier=row.tier,
        use_case=row.use_case,
        model_kind=row.model_kind,
        origin=row.origin,
        owner=row.owner,
        algorithm=row.algorithm,
        supplier=row.supplier,
        registered_at=format_time(row.registered_at),
        since=format_time(row.since),
        approvals=row.approvals,
        required=row.required,
        approved_at=format_time(row.approved_at) if row.approved_at else None,
        expires=format_time(row.expires) if row.expires else None,
        expired=row.expired_at(now),
        emergency=row.emergency_at(now),
        next_review=row.next_review,
        overdue=row.next_review is not None and row.next_review < now.date().isoformat() and not row.state.final,
        findings_high=row.findings_high,
        findings_open=row.findings_open,
    )


def _findings(call: Call) -> list[wire.BoardFinding]:
    """Open findings by severity and age; without them nothing is read."""
    waiting = call.use(Versions).open_findings(call.project)
    if not waiting:
        return []
    return [_ages(call.now, severity, [one for one in waiting if one[0] == severity]) for severity in Severity]


def _ages(now: datetime, severity: Severity, findings: Sequence[tuple[str, datetime, date]]) -> wire.BoardFinding:
    days = [(now - at).days for _, at, _ in findings]
    today = now.date()
    return wire.BoardFinding(
        severity=severity.value,
        open=len(days),
        overdue=sum(due < today for _, _, due in findings),
        up_to_30_days=sum(age <= 30 for age in days),
        up_to_90_days=sum(30 < age <= 90 for age in days),
        older=sum(age > 90 for age in days),
        oldest_days=max(days, default=None),
    )


VERBS: Final = (list_versions, show_board)
