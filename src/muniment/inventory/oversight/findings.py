"""The verbs of findings: what is not as it should be, who remedies it by when, and the evidence that it is remedied."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from muniment.catalog.resources import MODEL, find
from muniment.errors import Conflict, Denied, Invalid
from muniment.identity.model import Role
from muniment.identity.ports import Accounts, Standings
from muniment.inventory.citing import (
    called,
    check_not_signer,
    cited,
    day,
    model_of,
    one_of,
    text_of,
    why_not_independent,
)
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.oversight.challenge import threads_about
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.inventory.standing import Finding, Severity, findings_in
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import oversight as wire

__all__ = ["VERBS"]

_MOST_LISTED: Final = 1000


class Shown(StrEnum):
    """Which findings a list shows."""

    OPEN = "open"
    OVERDUE = "overdue"
    CLOSED = "closed"
    ALL = "all"


@verb(
    "inventory:OpenFinding",
    on=MODEL,
    request=wire.OpenFinding,
    reply=wire.FindingView,
    event="finding.opened",
    group="inventory:oversee",
)
def open_finding(call: Call, request: wire.OpenFinding) -> wire.FindingView:
    """Record that something about a version is not as it should be; an open high one closes every gate."""
    model = model_of(call, request.model)
    due = day(request.due, "due")
    if due < call.now.date():
        raise Invalid("MUNI-M156", "a finding is due today or later", due=request.due, today=str(call.now.date()))
    account = call.use(Accounts).find(request.owner)
    if account is None or not account.active(call.now):
        raise Invalid("MUNI-M157", f"{request.owner[:80]!r} is no active account", owner=request.owner[:200])
    body = {
        "title": text_of(request.title, "title")[:300],
        "severity": one_of(Severity, request.severity, "severity").value,
        "owner": request.owner,
        "due": due.isoformat(),
        "text": request.text.strip()[:10_000],
        "model": str(model.digest),
    }
    record = keep(call, RecordKind.FINDING, str(model.digest), body)
    call.note(model=str(model.digest), finding=record.id, severity=body["severity"])
    return _views(call, [Finding(record, None)])[0]


@verb(
    "inventory:CloseFinding",
    on=PROJECT,
    request=wire.CloseFinding,
    reply=wire.FindingView,
    event="finding.closed",
    group="inventory:oversee",
)
def close_finding(call: Call, request: wire.CloseFinding) -> wire.FindingView:
    """Record that a finding is remedied, with evidence that exists; an author of the model never says so."""
    record = cited(call, request.finding, RecordKind.FINDING, "finding")
    (finding,) = findings_in([record, *call.use(Records).about(call.project, [record.id])])
    if not finding.open:
        raise Conflict("MUNI-M353", "the finding is closed already", finding=record.id, do="open a new one")
    by = str(call.principal)
    if why := why_not_independent(call, Digest(record.subject)):
        raise Denied(
            "MUNI-M451",
            "who had a part in the model does not close findings on it",
            finding=record.id,
            principal=by,
            because=why,
            do="ask whoever opened it, or a validator",
        )
    if finding.severity is Severity.HIGH:
        check_not_signer(call, Digest(record.subject))
    if finding.severity is Severity.HIGH and by != record.by and not _validates(call):
        raise Denied(
            "MUNI-M452",
            "a finding of high severity is closed by whoever opened it, or by a validator",
            finding=record.id,
            opened_by=record.by,
            principal=by,
            do=f"ask {record.by}, or a validator",
        )
    evidence = find(call.session, call.project, request.evidence)
    digest = str(evidence.digest) if hasattr(evidence, "digest") else f"run:{evidence.id}"
    body = {
        "evidence": digest,
        "named": request.evidence[:300],
        "text": text_of(request.text, "text"),
        "model": record.subject,
    }
    closure = keep(call, RecordKind.FINDING_CLOSURE, record.id, body)
    call.note(model=record.subject, finding=record.id, evidence=digest)
    return _views(call, [Finding(record, closure)])[0]


@verb(
    "inventory:ListFindings",
    on=PROJECT,
    request=wire.ListFindings,
    reply=wire.Findings,
    event="findings.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_findings(call: Call, request: wire.ListFindings) -> wire.Findings:
    """List findings of the project or of one version, newest first, with those past their day marked."""
    shown = one_of(Shown, request.state, "state")
    severity = None if request.severity is None else one_of(Severity, request.severity, "severity")
    records = call.use(Records)
    if request.model is None:
        told: Sequence[Record] = records.of_kind(call.project, RecordKind.FINDING)
    else:
        subject = str(model_of(call, request.model).digest)
        told = records.about(call.project, [subject], RecordKind.FINDING)[::-1]
    told = [r for r in told if severity is None or r.body["severity"] == severity]
    told = [r for r in told if request.owner is None or r.body["owner"] == request.owner]
    closures = records.about(call.project, [record.id for record in told], RecordKind.FINDING_CLOSURE)
    findings = [one for one in findings_in([*told, *closures]) if _is_shown(call, one, shown)]
    return wire.Findings(findings=_views(call, findings[: max(1, min(request.limit, _MOST_LISTED))]))


@verb(
    "inventory:ShowFinding",
    on=PROJECT,
    request=wire.ShowFinding,
    reply=wire.FindingDetail,
    event="finding.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_finding(call: Call, request: wire.ShowFinding) -> wire.FindingDetail:
    """Show one finding, its closure and what was said about it."""
    record = cited(call, request.finding, RecordKind.FINDING, "finding")
    about = call.use(Records).about(call.project, [record.id])
    (finding,) = findings_in([record, *about])
    return wire.FindingDetail(finding=_views(call, [finding])[0], threads=threads_about(call, about))


def _validates(call: Call) -> bool:
    """Whether the principal is a validator in the project."""
    standing = call.use(Standings).standing(call.principal.id, call.now)
    grants = standing.grants if standing is not None else ()
    return any(g.role is Role.VALIDATOR and g.project in (None, call.project) for g in grants)


def _is_shown(call: Call, finding: Finding, shown: Shown) -> bool:
    match shown:
        case Shown.OPEN:
            return finding.open
        case Shown.OVERDUE:
            return finding.overdue(call.now)
        case Shown.CLOSED:
            return not finding.open
    return True


def _views(call: Call, findings: Sequence[Finding]) -> list[wire.FindingView]:
    names = called(call, [Digest(one.record.subject) for one in findings])
    return [
        wire.FindingView(
            finding=f"finding:{one.record.id}",
            model=names[one.record.subject],
            digest=one.record.subject,
            title=one.record.body["title"],
            severity=one.severity.value,
            owner=one.record.body["owner"],
            due=one.due.isoformat(),
            open=one.open,
            overdue=one.overdue(call.now),
            text=one.record.body["text"],
            opened_at=format_time(one.record.at),
            opened_by=one.record.by,
            record=str(one.record.digest),
            closure=None if one.closure is None else _closure(one.closure),
        )
        for one in findings
    ]


def _closure(record: Record) -> wire.FindingClosure:
    return wire.FindingClosure(
        evidence=record.body["named"],
        evidence_digest=record.body["evidence"],
        text=record.body["text"],
        closed_at=format_time(record.at),
        closed_by=record.by,
        record=str(record.digest),
    )


VERBS: Final = (open_finding, close_finding, list_findings, show_finding)
