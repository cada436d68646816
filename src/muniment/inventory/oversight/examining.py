"""The verbs of internal audit: what an auditor examined of a version or of how model risk is managed, signed by him.

Who had a part in a version, or depends on somebody who had, does not examine it: the core forbids it. Source: SS1/23,
principle 2.5; SR 11-7, VI; ECB guide to internal models, internal audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date
from typing import Any, Final

from muniment.errors import Conflict
from muniment.inventory.citing import called, model_of
from muniment.inventory.facts.known import OFFICE
from muniment.inventory.lifecycle import State
from muniment.inventory.meanings import Meaning
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.inventory.signing import accept, accept_of_project
from muniment.inventory.versions import MODEL_VERSION
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.ledger.ports import CheckpointRepository
from muniment.wire import assurance as wire

__all__ = ["VERBS", "checkpoint_now"]

_MOST_LISTED: Final = 1000


@verb(
    "inventory:RecordExamination",
    on=MODEL_VERSION,
    request=wire.RecordExamination,
    reply=wire.Examination,
    event="model.examined",
    group="inventory:examine",
)
def record_examination(call: Call, request: wire.RecordExamination) -> wire.Examination:
    """Record what internal audit found of a version, with the auditor's signature; no author of it examines it."""
    signed = accept(call, Meaning.EXAMINED, request)
    if signed.version.state is State.DRAFT:
        raise Conflict(
            "MUNI-M375",
            "a draft can still be registered anew: there is nothing to examine yet",
            model=str(signed.model),
            do="examine it once it is submitted",
        )
    return _keep(call, str(signed.model), signed.terms, signed.signature)


@verb(
    "inventory:ExamineManagement",
    on=PROJECT,
    request=wire.ExamineManagement,
    reply=wire.Examination,
    event="management.examined",
    group="inventory:examine",
)
def examine_management(call: Call, request: wire.ExamineManagement) -> wire.Examination:
    """Record what internal audit found of how the project manages model risk, with the auditor's signature."""
    terms, signature = accept_of_project(call, Meaning.EXAMINED, request)
    return _keep(call, OFFICE, terms, signature)


@verb(
    "inventory:ListExaminations",
    on=PROJECT,
    request=wire.ListExaminations,
    reply=wire.Examinations,
    event="examinations.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_examinations(call: Call, request: wire.ListExaminations) -> wire.Examinations:
    """List what internal audit examined, newest first, with those marked after which the next one is overdue."""
    told = call.use(Records).of_kind(call.project, RecordKind.EXAMINATION)
    newest = {record.subject: record.id for record in reversed(told)}
    if request.model is not None:
        subject = str(model_of(call, request.model).digest)
        told = [record for record in told if record.subject == subject]
    shown = told[: max(1, min(request.limit, _MOST_LISTED))]
    return wire.Examinations(examinations=[_view(call, one, newest[one.subject] == one.id) for one in shown])


def checkpoint_now(call: Call) -> dict[str, Any]:
    """The newest signed checkpoint of the ledger, as a record names it."""
    head = call.use(CheckpointRepository).head()
    if head is None:
        return {"size": 0, "root": None}
    return {"size": head.checkpoint.size, "root": str(head.checkpoint.root)}


def _keep(call: Call, subject: str, terms: Mapping[str, Any], signature: Mapping[str, str]) -> wire.Examination:
    body = {**terms, "checkpoint": checkpoint_now(call), "signature": dict(signature)}
    record = keep(call, RecordKind.EXAMINATION, subject, body, Grade.ATTESTED)
    call.note(examination=record.id, outcome=str(terms["outcome"]))
    return _view(call, record, True)


def _view(call: Call, record: Record, newest: bool) -> wire.Examination:
    body = record.body
    due = date.fromisoformat(body["next_due"])
    model = None
    if record.subject != OFFICE:
        model = called(call, [Digest(record.subject)])[record.subject]
    return wire.Examination(
        model=model,
        scope=list(body["scope"]),
        period_from=body["period_from"],
        period_to=body["period_to"],
        outcome=body["outcome"],
        text=body["text"],
        recommendations=list(body["recommendations"]),
        next_due=body["next_due"],
        overdue=newest and due < call.now.astimezone(UTC).date(),
        at=format_time(record.at),
        by=record.by,
        checkpoint=int(body["checkpoint"]["size"]),
        record=str(record.digest),
    )


VERBS: Final = (record_examination, examine_management, list_examinations)
