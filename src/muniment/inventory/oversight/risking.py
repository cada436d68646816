"""The verbs of the risk register: add a risk with its test, list risks and which of them are red, retire one.

A risk is never changed: it is retired, by somebody apart from the model, and another one is added, whose test judges
only what is measured after it. Whoever works on a model may add risks to it, for a risk more opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from muniment.errors import Conflict, Denied, Invalid
from muniment.inventory.citing import called, cited, model_of, one_of, text_of, why_not_independent
from muniment.inventory.facts.deriving import facts_from
from muniment.inventory.facts.fact import Facts
from muniment.inventory.facts.known import load
from muniment.inventory.facts.risks import Level, Likelihood, Risk, RiskJudged, judge_risks, risks_in
from muniment.inventory.framing import check_owner
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.oversight.gates import OF_RISKS, check_names, part_view
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.inventory.usecases import living_use_case, subject_of
from muniment.kernel.digest import Digest
from muniment.kernel.expressions import parse
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import check_name, format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import assurance as wire

__all__ = ["VERBS"]

_KINDS: Final = (RecordKind.RISK, RecordKind.RISK_RETIREMENT)


@verb(
    "inventory:AddRisk",
    on=PROJECT,
    request=wire.AddRisk,
    reply=wire.RiskView,
    event="risk.added",
    group="inventory:challenge",
)
def add_risk(call: Call, request: wire.AddRisk) -> wire.RiskView:
    """Register what can go wrong with a version or a use, tied to a test; only what is measured afterwards counts."""
    name = check_name(request.name, "risk")
    test = parse(request.test)
    check_names(test.names, OF_RISKS, "the test of a risk")
    subject = _subject(call, request.model, request.use_case)
    for earlier in risks_in(_about(call, subject)):
        if earlier.living and earlier.name == name:
            raise Conflict(
                "MUNI-M371",
                f"there is a risk {name!r} already",
                risk=f"risk:{earlier.record.id}",
                do="retire it first, or choose another name",
            )
    body = {
        "name": name,
        "description": text_of(request.description, "description"),
        "harm": text_of(request.harm, "harm"),
        "likelihood": one_of(Likelihood, request.likelihood, "likelihood").value,
        "severity": one_of(Level, request.severity, "severity").value,
        "mitigation": text_of(request.mitigation, "mitigation", least=0),
        "owner": check_owner(call, request.owner),
        "test": str(test),
        "min_grade": one_of(Grade, request.min_grade, "min_grade").value,
    }
    record = keep(call, RecordKind.RISK, subject, body)
    call.note(risk=record.id, subject=subject)
    return _views(call, [Risk(record)])[0]


@verb(
    "inventory:RetireRisk",
    on=PROJECT,
    request=wire.RetireRisk,
    reply=wire.RiskView,
    event="risk.retired",
    group="inventory:oversee",
)
def retire_risk(call: Call, request: wire.RetireRisk) -> wire.RiskView:
    """Let a risk be looked after no more, with the reason; an author of the model never says so."""
    record = cited(call, request.risk, RecordKind.RISK, "risk")
    reason = text_of(request.reason, "reason")
    [risk] = [one for one in risks_in(_about(call, record.subject)) if one.record.id == record.id]
    if not risk.living:
        raise Conflict("MUNI-M372", "the risk is retired already", risk=record.id)
    if record.subject.startswith("sha256:") and (why := why_not_independent(call, Digest(record.subject))):
        raise Denied(
            "MUNI-M471",
            "who had a part in the model does not retire risks of it",
            risk=record.id,
            principal=str(call.principal),
            because=why,
            do="ask a validator",
        )
    body = {"risk": record.id, "name": risk.name, "reason": reason}
    ended = keep(call, RecordKind.RISK_RETIREMENT, record.subject, body)
    call.note(risk=record.id, subject=record.subject)
    return _views(call, [Risk(record, ended)])[0]


@verb(
    "inventory:ListRisks",
    on=PROJECT,
    request=wire.ListRisks,
    reply=wire.Risks,
    event="risks.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_risks(call: Call, request: wire.ListRisks) -> wire.Risks:
    """List risks with their tests; for a version also which of them are red, and why."""
    if request.model is not None and request.use_case is not None:
        raise Invalid("MUNI-M178", "risks are listed of a version or of a use case: name one of the two")
    wanted = None if request.risk is None else _wanted(call, request.risk)
    if request.model is not None:
        return _of_version(call, request.model, wanted, retired=request.retired)
    if request.use_case is not None:
        living_use_case(call.session, call.project, request.use_case)
        records: Iterable[Record] = _about(call, subject_of(request.use_case))
    else:
        told = call.use(Records)
        records = [record for kind in _KINDS for record in told.of_kind(call.project, kind)]
    risks = [one for one in risks_in(records) if one.living or request.retired or wanted]
    return wire.Risks(risks=_views(call, [one for one in risks if wanted in (None, one.record.id)]))


def _of_version(call: Call, reference: str, wanted: str | None, *, retired: bool) -> wire.Risks:
    """The risks of a version, of its use case, and those that its gates are set against, each judged."""
    model = model_of(call, reference).digest
    known = load(call, model)
    risks = risks_in([*known.case_records, *known.records])
    judged = judge_risks(risks, known.gates, Facts(facts_from(known)))
    ended = [one for one in risks if not one.living and (retired or wanted)]
    views = [*_judged(call, judged), *_views(call, ended)]
    call.note(model=str(model), red=sum(one.red for one in judged))
    shown = [one for one in views if wanted is None or one.risk == f"risk:{wanted}"]
    return wire.Risks(risks=shown, red=sum(bool(one.red) for one in shown))


def _subject(call: Call, model: str | None, use_case: str | None) -> str:
    if (model is None) is (use_case is None):
        raise Invalid("MUNI-M179", "a risk is one of a version or of a use case: name one of the two")
    if model is not None:
        return str(model_of(call, model).digest)
    return subject_of(living_use_case(call.session, call.project, str(use_case)).name)


def _about(call: Call, subject: str) -> list[Record]:
    return [record for record in call.use(Records).about(call.project, [subject]) if record.kind in _KINDS]


def _wanted(call: Call, reference: str) -> str:
    """The id of the risk that is asked for."""
    return cited(call, reference, RecordKind.RISK, "risk").id


def _judged(call: Call, judged: Iterable[RiskJudged]) -> list[wire.RiskView]:
    views = []
    for one in judged:
        shown = _gate_view(one) if one.risk is None else _views(call, [one.risk])[0]
        result = {"red": one.red, "outcome": one.outcome.value, "why": one.why}
        plain = {name: getattr(shown, name) for name in shown.__struct_fields__}
        views.append(wire.RiskView(**{**plain, **result, "parts": [part_view(part) for part in one.parts]}))
    return views


def _gate_view(one: RiskJudged) -> wire.RiskView:
    """A risk of which nothing is known but the gate that is set against it."""
    body = one.record.body
    return wire.RiskView(
        risk="",
        name=one.name,
        about=f"gate:{body['name']}@{body['version']}",
        description=str(body.get("reason", "")),
        harm="",
        likelihood="",
        severity="",
        mitigation="",
        owner=one.record.by.partition(":")[2],
        test=one.test,
        min_grade=str(body.get("min_grade", Grade.PROVEN)),
        added_at=format_time(one.record.at),
        added_by=one.record.by,
        record=str(one.record.digest),
    )


def _views(call: Call, risks: Iterable[Risk]) -> list[wire.RiskView]:
    risks = list(risks)
    subjects = {one.record.subject for one in risks}
    names = called(call, [Digest(one) for one in sorted(subjects) if one.startswith("sha256:")])
    return [
        wire.RiskView(
            risk=f"risk:{one.record.id}",
            about=names.get(one.record.subject, one.record.subject),
            added_at=format_time(one.record.at),
            added_by=one.record.by,
            record=str(one.record.digest),
            retired=None if one.retirement is None else str(one.retirement.body["reason"]),
            **_body(one.record),
        )
        for one in risks
    ]


def _body(record: Record) -> Any:
    """What people said of a risk: text by name."""
    return {name: str(value) for name, value in record.body.items()}


VERBS: Final = (add_risk, list_risks, retire_risk)
