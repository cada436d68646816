"""The verbs of use cases: a project states what its models are for before it makes them. A job outside is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from muniment.errors import Conflict, Invalid
from muniment.identity.ports import Accounts
from muniment.inventory.model import RecordKind
from muniment.inventory.ports import Records, Versions
from muniment.inventory.recording import keep
from muniment.inventory.tiers import reassess
from muniment.inventory.usecases import UseCase, bound_to, find_use_case, living_use_case, newest, subject_of
from muniment.kernel.expressions import parse
from muniment.kernel.identifiers import check_name, format_time
from muniment.kernel.principal import PrincipalKind
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import inventory as wire

__all__ = ["VERBS", "check_owner", "check_text", "check_texts"]

_LONGEST: Final = 4000
_MATERIAL: Final = ("exposure", "purpose_class")
"""What makes the tier of the models under a use case."""

_MOST: Final = 200
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_CLASS: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")


def check_owner(call: Call, name: str) -> str:
    """Return the name of an active person.

    Raises:
        Invalid: nobody of this name can answer for anything.
    """
    account = call.use(Accounts).find(name)
    if account is None or account.kind is not PrincipalKind.USER or not account.active(call.now):
        raise Invalid("MUNI-M102", f"{name[:80]!r} is no active person, who could answer for it", owner=name[:200])
    return name


@verb(
    "inventory:AddUseCase",
    on=PROJECT,
    request=wire.AddUseCase,
    reply=wire.UseCase,
    event="usecase.added",
    group="inventory:manage",
)
def add_use_case(call: Call, request: wire.AddUseCase) -> wire.UseCase:
    """State what models may be used for; under a name that is there, its next version."""
    name = check_name(request.name, "use case")
    known = newest(call.use(Records).about(call.project, [subject_of(name)]))
    earlier = living_use_case(call.session, call.project, name) if known else None
    body = {"name": name, "version": earlier.version + 1 if earlier else 1, **_checked(call, request)}
    record = keep(call, RecordKind.USE_CASE, subject_of(name), body)
    call.note(use_case=f"{name}@{body['version']}")
    if earlier is not None and any(earlier.record.body[field] != body[field] for field in _MATERIAL):
        for row in call.use(Versions).of_use_case(call.project, name):
            reassess(call, row.digest)
    return _view(UseCase(record, None))


@verb(
    "inventory:RetireUseCase",
    on=PROJECT,
    request=wire.RetireUseCase,
    reply=wire.UseCase,
    event="usecase.retired",
    group="inventory:manage",
)
def retire_use_case(call: Call, request: wire.RetireUseCase) -> wire.UseCase:
    """End a use case: no job and no registration may name it any more; what stands in the record stays."""
    found = find_use_case(call.session, call.project, request.name)
    if found.retired is not None:
        raise Conflict("MUNI-M302", f"the use case {found.name!r} is retired already", use_case=found.name)
    reason = check_text("reason", request.reason)
    record = keep(call, RecordKind.RETIREMENT, subject_of(found.name), {"reason": reason, "version": found.version})
    call.note(use_case=str(found))
    return _view(UseCase(found.record, record))


@verb(
    "inventory:ListUseCases",
    on=PROJECT,
    request=wire.ListUseCases,
    reply=wire.UseCases,
    event="usecases.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_use_cases(call: Call, request: wire.ListUseCases) -> wire.UseCases:
    """List the use cases of a project in their newest versions, by name."""
    records = call.use(Records)
    names = sorted({str(r.body["name"]) for r in records.of_kind(call.project, RecordKind.USE_CASE)})
    told = records.about(call.project, map(subject_of, names))
    found = [newest([r for r in told if r.subject == subject_of(name)]) for name in names]
    return wire.UseCases(use_cases=[_view(one) for one in found if one and (request.retired or not one.retired)])


@verb(
    "inventory:ShowUseCase",
    on=PROJECT,
    request=wire.ShowUseCase,
    reply=wire.UseCaseDetail,
    event="usecase.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_use_case(call: Call, request: wire.ShowUseCase) -> wire.UseCaseDetail:
    """Show a use case with its history, the experiments that are bound to it and the models under it."""
    found = find_use_case(call.session, call.project, request.name)
    records = call.use(Records)
    history = sorted(
        records.about(call.project, [subject_of(found.name)], RecordKind.USE_CASE), key=lambda r: r.body["version"]
    )
    bound = {str(r.body["experiment"]) for r in records.of_kind(call.project, RecordKind.BINDING)}
    rows = call.use(Versions).of_use_case(call.project, found.name)
    return wire.UseCaseDetail(
        use_case=_view(found),
        history=[
            wire.UseCaseVersion(version=r.body["version"], record=str(r.digest), at=format_time(r.at), by=r.by)
            for r in history
        ],
        experiments=sorted(one for one in bound if bound_to(call.session, call.project, one) == found.name),
        models=[f"{row.reference}" for row in rows],
    )


@verb(
    "inventory:BindExperiment",
    on=PROJECT,
    request=wire.BindExperiment,
    reply=wire.Binding,
    event="experiment.bound",
    group="inventory:manage",
)
def bind_experiment(call: Call, request: wire.BindExperiment) -> wire.Binding:
    """Let every job of an experiment belong to a use case, so that none can leave it out; or free the experiment."""
    experiment = request.experiment
    if not 1 <= len(experiment) <= 80 or not experiment.isprintable():
        raise Invalid("MUNI-M103", "an experiment has a name of at most 80 characters", given=experiment[:100])
    if request.use_case is not None:
        living_use_case(call.session, call.project, request.use_case)
    subject = f"experiment:{experiment}"
    number = len(call.use(Records).about(call.project, [subject], RecordKind.BINDING))
    body = {"experiment": experiment, "use_case": request.use_case, "number": number}
    keep(call, RecordKind.BINDING, subject, body)
    call.note(experiment=experiment, use_case=request.use_case or "")
    return wire.Binding(experiment=experiment, use_case=request.use_case)


def _checked(call: Call, request: wire.AddUseCase) -> dict[str, Any]:
    """Everything but name and version, as the record holds it."""
    if not 0 <= request.exposure <= 10**15:
        raise Invalid("MUNI-M104", "an exposure is 0 to 10^15, in whole units of currency", exposure=request.exposure)
    if not _CURRENCY.fullmatch(request.currency):
        raise Invalid("MUNI-M105", "a currency is three capital letters (ISO 4217)", given=request.currency[:20])
    if not _CLASS.fullmatch(request.purpose_class):
        raise Invalid("MUNI-M106", "a purpose class is one word like credit-decision", given=request.purpose_class[:80])
    names = [kpi.name for kpi in request.kpis]
    if len(set(names)) != len(names) or len(names) > _MOST or not all(0 < len(name) <= 100 for name in names):
        raise Invalid("MUNI-M107", "each key figure has a name of its own, of at most 100 characters", names=names[:20])
    for kpi in request.kpis:
        parse(kpi.expression)
    return {
        "purpose": check_text("purpose", request.purpose),
        "kpis": [{"name": kpi.name, "expression": kpi.expression} for kpi in request.kpis],
        "legal": check_texts("legal", request.legal),
        "jurisdiction": check_texts("jurisdiction", request.jurisdiction),
        "allowed_algorithms": check_texts("allowed_algorithms", request.allowed_algorithms),
        "prohibited_attributes": check_texts("prohibited_attributes", request.prohibited_attributes),
        "owner": check_owner(call, request.owner),
        "exposure": request.exposure,
        "currency": request.currency,
        "purpose_class": request.purpose_class,
        "intended_use": check_text("intended_use", request.intended_use, empty=True),
        "out_of_scope": check_text("out_of_scope", request.out_of_scope, empty=True),
    }


def check_text(field: str, text: str, *, empty: bool = False) -> str:
    """Return a text that is neither too long nor, unless it may be, empty; raises Invalid otherwise."""
    if len(text) > _LONGEST or not (text.strip() or empty):
        raise Invalid(
            "MUNI-M108", f"{field} is a text of at most {_LONGEST:,} characters", field=field, length=len(text)
        )
    return text


def check_texts(field: str, texts: Sequence[str]) -> list[str]:
    """Return texts, each once; raises Invalid when there are too many, or one is too long or empty."""
    if len(texts) > _MOST:
        raise Invalid("MUNI-M109", f"{field} has too many entries", field=field, most=_MOST)
    return list(dict.fromkeys(check_text(field, text) for text in texts))


def _view(found: UseCase) -> wire.UseCase:
    body = found.record.body
    return wire.UseCase(
        use_case=str(found),
        name=found.name,
        version=found.version,
        purpose=body["purpose"],
        kpis=[wire.Kpi(name=kpi["name"], expression=kpi["expression"]) for kpi in body["kpis"]],
        legal=list(body["legal"]),
        jurisdiction=list(body["jurisdiction"]),
        allowed_algorithms=list(body["allowed_algorithms"]),
        prohibited_attributes=list(body["prohibited_attributes"]),
        owner=body["owner"],
        exposure=body["exposure"],
        currency=body["currency"],
        purpose_class=body["purpose_class"],
        intended_use=body["intended_use"],
        out_of_scope=body["out_of_scope"],
        record=str(found.record.digest),
        at=format_time(found.record.at),
        by=found.record.by,
        retired=format_time(found.retired.at) if found.retired else None,
    )


VERBS: Final = (
    add_use_case,
    bind_experiment,
    list_use_cases,
    retire_use_case,
    show_use_case,
)
