"""The verbs of impact assessments: what a use does to people and to society, and what is done against harm.

Source: Regulation (EU) 2024/1689, Article 27(1)(a)-(f); Regulation (EU) 2016/679, Article 35(7); ISO/IEC 42001, A.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from typing import Final

from muniment.errors import Invalid
from muniment.inventory.citing import day, text_of
from muniment.inventory.facts.assuring import Scope
from muniment.inventory.framing import check_texts
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.inventory.usecases import find_use_case, living_use_case, subject_of
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import assurance as wire

__all__ = ["VERBS"]


@verb(
    "inventory:AssessImpact",
    on=PROJECT,
    request=wire.AssessImpact,
    reply=wire.ImpactView,
    event="impact.assessed",
    group="inventory:manage",
)
def assess_impact(call: Call, request: wire.AssessImpact) -> wire.ImpactView:
    """Record what a use does to people and to society: who is affected, what harm may come, what is done against it."""
    use_case = living_use_case(call.session, call.project, request.use_case)
    scopes = sorted(set(request.scopes))
    if not scopes or not set(scopes) <= set(Scope.ALL):
        raise Invalid(
            "MUNI-M190", "an assessment says what it is for", scopes=list(Scope.ALL), given=request.scopes[:10]
        )
    if Scope.DATA in scopes and not request.legal_basis.strip():
        raise Invalid("MUNI-M191", "an assessment of data protection names the legal basis", scopes=scopes)
    due = day(request.next_due, "next_due")
    if due <= call.now.date():
        raise Invalid("MUNI-M192", "the next assessment is due after today", next_due=request.next_due)
    body = {
        "use_case_version": use_case.version,
        "scopes": scopes,
        "process": text_of(request.process, "process"),
        "period": text_of(request.period, "period"),
        "affected": _some("affected", request.affected),
        "harms": _some("harms", request.harms),
        "oversight": text_of(request.oversight, "oversight"),
        "measures": _some("measures", request.measures),
        "legal_basis": text_of(request.legal_basis, "legal_basis", least=0),
        "next_due": due.isoformat(),
    }
    record = keep(call, RecordKind.IMPACT_ASSESSMENT, subject_of(use_case.name), body)
    call.note(use_case=str(use_case), assessment=record.id)
    return _view(call, record)


@verb(
    "inventory:ListImpacts",
    on=PROJECT,
    request=wire.ListImpacts,
    reply=wire.Impacts,
    event="impacts.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_impacts(call: Call, request: wire.ListImpacts) -> wire.Impacts:
    """List assessments of impact, newest first."""
    told = call.use(Records).of_kind(call.project, RecordKind.IMPACT_ASSESSMENT)
    if request.use_case is not None:
        subject = subject_of(find_use_case(call.session, call.project, request.use_case).name)
        told = [record for record in told if record.subject == subject]
    return wire.Impacts(assessments=[_view(call, record) for record in told])


def _some(name: str, texts: Sequence[str]) -> list[str]:
    """Texts, at least one.

    Raises:
        Invalid: there is none, or one of them is empty or too long.
    """
    if not texts:
        raise Invalid("MUNI-M193", f"an assessment says something of its {name}", field=name)
    return check_texts(name, texts)


def _view(call: Call, record: Record) -> wire.ImpactView:
    body = record.body
    return wire.ImpactView(
        use_case=record.subject.removeprefix("usecase:"),
        use_case_version=int(body["use_case_version"]),
        scopes=list(body["scopes"]),
        process=str(body["process"]),
        period=str(body["period"]),
        affected=list(body["affected"]),
        harms=list(body["harms"]),
        oversight=str(body["oversight"]),
        measures=list(body["measures"]),
        legal_basis=str(body["legal_basis"]),
        next_due=str(body["next_due"]),
        overdue=date.fromisoformat(body["next_due"]) < call.now.astimezone(UTC).date(),
        at=format_time(record.at),
        by=record.by,
        record=str(record.digest),
    )


VERBS: Final = (assess_impact, list_impacts)
