"""The verbs that move a version on: determined, submitted, validated, approved, rejected, retired; and break-glass.

Who may is policy: the core forbids that an author, or whoever depends on one, judges a model. What must hold besides is
checked here, each time anew: the state, the signature, the tier of today, its steps and evidence, the gates, that the
approvers are different people, and that those who approved before still count.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from muniment.catalog.model import ActivityKind, Direction, EntityKind, Relation
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Lineage
from muniment.catalog.resources import MODEL
from muniment.errors import Conflict, Denied
from muniment.identity.ports import Accounts, SigningKeys, Ties
from muniment.identity.signing import signed_by
from muniment.identity.stages import check_by_hand
from muniment.inventory.approval.loading import examine, usability
from muniment.inventory.independence import Parties, dependants, parties
from muniment.inventory.lifecycle import (
    EMERGENCY_LONGEST,
    EMERGENCY_WINDOW,
    Act,
    Outcome,
    State,
    Version,
    missing,
    stale,
)
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.oversight.gates import require_open
from muniment.inventory.recording import advance, keep
from muniment.inventory.signing import Signed, accept
from muniment.inventory.standing import Severity, Trigger
from muniment.inventory.terms import QUESTIONNAIRE
from muniment.inventory.tiers import reassess
from muniment.inventory.usecases import living_use_case
from muniment.inventory.versions import MODEL_VERSION, find_version, records_about
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import inventory as wire

__all__ = ["VERBS"]

_EMERGENCY_REVIEW: Final = timedelta(days=5)
"""A break-glass is looked at within so many days."""


@verb(
    "inventory:ShowQuestionnaire",
    on=INSTALLATION,
    request=wire.ShowQuestionnaire,
    reply=wire.Questionnaire,
    event="questionnaire.shown",
    group="policy:read",
    effect=Effect.READ,
)
def show_questionnaire(call: Call, request: wire.ShowQuestionnaire) -> wire.Questionnaire:
    """Show the questions by which it is determined whether something is a model."""
    return wire.Questionnaire(document=dict(QUESTIONNAIRE))


@verb(
    "inventory:DetermineModel",
    on=MODEL_VERSION,
    request=wire.DetermineModel,
    reply=wire.VersionState,
    event="model.determined",
    group="inventory:validate",
)
def determine_model(call: Call, request: wire.DetermineModel) -> wire.VersionState:
    """Determine by signed answers whether something is a model, a non-model or an end-user tool."""
    signed = _begin(call, Act.DETERMINE, request)
    advance(call, RecordKind.DETERMINATION, signed.model, _body(signed), Grade.ATTESTED)
    return _state(call, reassess(call, signed.model))


@verb(
    "inventory:SubmitModel",
    on=MODEL_VERSION,
    request=wire.SubmitModel,
    reply=wire.VersionState,
    event="model.submitted",
    group="inventory:write",
)
def submit_model(call: Call, request: wire.SubmitModel) -> wire.VersionState:
    """Submit a registered version for validation, with a signature; every gate of the stage must be open."""
    signed = _begin(call, Act.SUBMIT, request)
    version = reassess(call, signed.model)
    if "determination" in version.requires.get("steps", ()) and version.determination is None:
        raise Conflict(
            "MUNI-M324",
            f"tier {version.level} asks for a determination first",
            model=request.model,
            do="a validator answers the questions: muni model determine MODEL",
        )
    if version.registration.body["use_case"]:
        living_use_case(call.session, call.project, version.registration.body["use_case"])
    require_open(call, signed.model, "submit")
    body = {"manifest": version.manifest, **_body(signed)}
    return _state(call, advance(call, RecordKind.SUBMISSION, signed.model, body, Grade.ATTESTED))


@verb(
    "inventory:ReviewModel",
    on=MODEL_VERSION,
    request=wire.ReviewModel,
    reply=wire.VersionState,
    event="model.reviewed",
    group="inventory:validate",
)
def review_model(call: Call, request: wire.ReviewModel) -> wire.VersionState:
    """Record what an independent validation found, with a signature; no author of the model may."""
    signed = _begin(call, Act.REVIEW, request)
    submission = signed.version.submission
    body = {"submission": submission.id if submission else None, **_body(signed)}
    outcome = str(signed.terms["outcome"])
    call.note(outcome=outcome)
    version = advance(call, RecordKind.REVIEW, signed.model, body, Grade.ATTESTED)
    if outcome != Outcome.UNSATISFACTORY and version.in_force is not None:
        # the version was approved before, so this is the review that its approval was due for
        settled = {"outcome": outcome, "text": "validated for its renewal", "next_due": None, "review": None}
        keep(call, RecordKind.REVIEW_DONE, str(signed.model), settled, Grade.ATTESTED)
    return _state(call, version)


@verb(
    "inventory:ApproveModel",
    on=MODEL_VERSION,
    request=wire.ApproveModel,
    reply=wire.VersionState,
    event="model.approved",
    group="inventory:approve",
)
def approve_model(call: Call, request: wire.ApproveModel) -> wire.VersionState:
    """Approve a validated version, with a signature; it is approved once as many people as its tier asks for have."""
    signed = _begin(call, Act.APPROVE, request)
    version = reassess(call, signed.model)
    _refuse(call, version, Act.APPROVE)
    _check_evidence(call, version)
    _check_person(call, version)
    _check_apart(call, (*version.reviews, *version.approvals))
    require_open(call, signed.model, "approve")
    counted = [one for one in version.approvals if not _void(call, version, one)]
    people = len({_person(call, record.by) for record in counted}) + 1
    body = {
        **_body(signed),
        "emergency": False,
        "submission": version.submission.id if version.submission else None,
        "counted": [record.id for record in counted],
        "completes": people >= version.required,
    }
    call.note(approvals=people, required=version.required)
    version = advance(call, RecordKind.APPROVAL, signed.model, body, Grade.ATTESTED)
    if version.in_force is not None and version.state is State.APPROVED:
        due, reason = version.in_force.expires, "the approval ends"
        _schedule(call, signed.model, due, Trigger.DATE, reason)
    return _state(call, version)


@verb(
    "inventory:RejectModel",
    on=MODEL_VERSION,
    request=wire.RejectModel,
    reply=wire.VersionState,
    event="model.rejected",
    group="inventory:decide",
)
def reject_model(call: Call, request: wire.RejectModel) -> wire.VersionState:
    """Reject a submitted version for good, with a signature and the reason."""
    signed = _begin(call, Act.REJECT, request)
    return _state(call, advance(call, RecordKind.REJECTION, signed.model, _body(signed), Grade.ATTESTED))


@verb(
    "inventory:RetireModel",
    on=MODEL_VERSION,
    request=wire.RetireModel,
    reply=wire.VersionState,
    event="model.retired",
    group="inventory:decide",
)
def retire_model(call: Call, request: wire.RetireModel) -> wire.VersionState:
    """Take a version out of use for good, with a signature and the reason."""
    signed = _begin(call, Act.RETIRE, request)
    return _state(call, advance(call, RecordKind.RETIREMENT, signed.model, _body(signed), Grade.ATTESTED))


@verb(
    "inventory:BreakGlass",
    on=MODEL_VERSION,
    request=wire.BreakGlass,
    reply=wire.VersionState,
    event="breakglass.signed",
    group="inventory:emergency",
)
def break_glass(call: Call, request: wire.BreakGlass) -> wire.VersionState:
    """Sign an emergency approval, which takes two administrators within a day, lasts days, and is reviewed after."""
    signed = _begin(call, Act.BREAK_GLASS, request)
    version = signed.version
    first = _first_signature(call, version)
    if first is not None and call.principal.id in call.use(Ties).same([first.by.partition(":")[2]]):
        raise Conflict(
            "MUNI-M325",
            "the second signature of a break-glass is another person's",
            first=first.by,
            do=f"another administrator signs until {format_time(first.at + EMERGENCY_WINDOW)}",
        )
    _check_apart(call, [first] if first is not None else [])
    version = advance(call, RecordKind.BREAK_GLASS, signed.model, _body(signed), Grade.ATTESTED)
    call.note(emergency="first signature" if first is None else "approved")
    if first is None:
        return _state(call, version)
    days = min(int(signed.terms["days"]), int(first.body["days"]), EMERGENCY_LONGEST.days)
    body = {
        "conditions": [f"emergency: {signed.terms['reason']}"],
        "use_limits": [],
        "expires": format_time(call.now + timedelta(days=days)),
        "emergency": True,
        "completes": False,
        "first": first.id,
        "second": version.broken[-1].id,
        "signature": dict(signed.signature),
    }
    version = advance(call, RecordKind.APPROVAL, signed.model, body, Grade.ATTESTED)
    due = call.now + _EMERGENCY_REVIEW
    finding = {
        "title": "break-glass to be reviewed",
        "severity": Severity.HIGH.value,
        "owner": str(version.registration.body["owner"]),
        "due": due.date().isoformat(),
        "text": f"{first.by} and {call.principal} approved it in an emergency: {signed.terms['reason']}"[:10_000],
        "model": str(signed.model),
    }
    keep(call, RecordKind.FINDING, str(signed.model), finding, Grade.PROVEN)
    _schedule(call, signed.model, due, Trigger.BREAK_GLASS, "approved in an emergency, outside the ordinary steps")
    return _state(call, version)


@verb(
    "inventory:CheckApproval",
    on=MODEL,
    request=wire.CheckApproval,
    reply=wire.Approval,
    event="approval.checked",
    group="catalog:read",
    effect=Effect.READ,
)
def check_approval(call: Call, request: wire.CheckApproval) -> wire.Approval:
    """Say whether a version may be loaded and used now, and why; what is not signed and borne out is refused."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL).digest
    examined = examine(call, model, files=request.files)
    found = examined.usability
    call.note(model=str(model), usable=found.usable)
    return wire.Approval(
        model=label(call.session, call.project, model),
        digest=str(model),
        usable=found.usable,
        emergency=found.emergency,
        because=list(found.because),
        expires=format_time(found.expires) if found.expires else None,
        conditions=list(found.conditions),
        use_limits=list(found.use_limits),
        manifest=examined.manifest,
        files=[wire.ModelFile(path=part.path, digest=str(part.digest), size=part.size) for part in examined.parts],
        checked=list(examined.checked),
    )


@verb(
    "inventory:ShowVersion",
    on=MODEL,
    request=wire.ShowVersion,
    reply=wire.VersionDetail,
    event="version.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_version(call: Call, request: wire.ShowVersion) -> wire.VersionDetail:
    """Show where a version stands in the inventory: registration, tier, steps so far, and who may not judge it."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL).digest
    records = records_about(call.session, call.project, model)
    version = find_version(call.session, call.project, model)
    found = usability(call, model)
    apart = parties(call.session, call.project, model, version)
    return wire.VersionDetail(
        model=label(call.session, call.project, model),
        digest=str(model),
        registered=version is not None,
        state=None if version is None else _state(call, version),
        registration=None if version is None else _plain(version.registration),
        tier=None if version is None or version.tier is None else _plain(version.tier),
        usable=found.usable,
        because=list(found.because),
        not_independent={name: list(apart.why(name)) for name in sorted({*apart.authors, *apart.beholden})},
        history=[_event(record) for record in records],
    )


def _begin(call: Call, act: Act, request: Any) -> Signed:
    """Check the signature of a request and that the version may take the step; in production only an end is one."""
    if act not in (Act.REJECT, Act.RETIRE):
        check_by_hand(call, act.value)
    signed = accept(call, act, request)
    _refuse(call, signed.version, act)
    return signed


def _refuse(call: Call, version: Version, act: Act) -> None:
    refusal = missing(version, act)
    if refusal is not None:
        raise Conflict(
            "MUNI-M326",
            f"this version cannot be {act.value} now: {refusal.because}",
            model=label(call.session, call.project, Digest(version.digest)),
            state=version.state.value,
            **({"do": refusal.do} if refusal.do else {}),
        )


def _check_person(call: Call, version: Version) -> None:
    """Refuse who has approved already, or validated where that excludes him; a person's accounts count as one."""
    same = call.use(Ties).same([call.principal.id])
    earlier = [record.by for record in version.approvals if record.by.partition(":")[2] in same]
    if earlier:
        raise Conflict(
            "MUNI-M327",
            "the same person has approved it already",
            earlier=earlier,
            do=f"{version.required} different people approve: muni user list --role approver",
        )
    reviewed = [record.by for record in version.reviews if record.by.partition(":")[2] in same]
    if reviewed and not version.requires.get("validator_may_approve"):
        raise Denied(
            "MUNI-M407",
            "who validated a version does not approve it",
            because=[f"{reviewed[0]} validated it"],
            do="ask another approver: muni user list --role approver",
        )


def _check_evidence(call: Call, version: Version) -> None:
    """Refuse when what the tier asks for is not there, or is too old."""
    asked = version.requires
    lacking = [*_lacking(call, version)]
    if lacking:
        raise Conflict(
            "MUNI-M328",
            f"evidence that tier {version.level} asks for is missing or too old: {lacking[0]}",
            because=lacking,
            evidence=list(asked.get("evidence", ())),
            days=int(asked.get("evidence_days", 0)),
        )


def _lacking(call: Call, version: Version) -> Iterator[str]:
    days = int(version.requires.get("evidence_days", 3660))
    if "determination" in version.requires.get("steps", ()) and version.determination is None:
        yield "nobody determined whether it is a model"
    if version.reviews and stale(version.reviews[-1].at, call.now, days):
        yield f"the validation of {version.reviews[-1].at:%Y-%m-%d} is older than {days} days"
    asked = version.requires.get("evidence", ())
    if not asked:
        return
    newest = _newest_runs(call, Digest(version.digest))
    kinds = {
        "evaluation": (ActivityKind.EVALUATE, "no evaluation"),
        "explanation": (ActivityKind.EXPLAIN, "no explanation"),
        "reproduction": (ActivityKind.REPRODUCE, "no reproduction that came out the same"),
    }
    for one in asked:
        kind, nothing = kinds[one]
        at = newest.get(kind)
        if at is None:
            yield f"there is {nothing} of it"
        elif stale(at, call.now, days):
            yield f"the newest {one} is of {at:%Y-%m-%d}, older than {days} days"


def _newest_runs(call: Call, model: Digest) -> dict[ActivityKind, datetime]:
    """When a model was last measured, explained, and reproduced bit for bit."""
    lineage, newest = call.use(Lineage), dict[ActivityKind, datetime]()
    for direction, relation in ((Direction.DOWNSTREAM, Relation.USED), (Direction.UPSTREAM, Relation.GENERATED)):
        graph = lineage.closure(call.project, model, direction, 1)
        for edge in graph.edges:
            if edge.entity == model and edge.relation is relation and edge.grade is Grade.PROVEN:
                node = graph.activities[edge.activity]
                newest[node.kind] = max(node.started_at, newest.get(node.kind, node.started_at))
    return newest


def _void(call: Call, version: Version, approval: Record) -> str:
    """Why an approval or the first half of a break-glass does not count any more; empty when it does."""
    name, kept = approval.by.partition(":")[2], approval.body["signature"]
    account = call.use(Accounts).find(name)
    key = call.use(SigningKeys).find(Digest(kept["key"]))
    if account is None or not account.active(call.now):
        return f"{name} is disabled"
    if key is None or key.revoked_at is not None:
        return f"the key of {name} is revoked"
    if not signed_by(base64.b64decode(kept["public_key"]), kept["statement"].encode(), kept["signature"]):
        return f"the signature of {name} does not verify"
    if "expires" in approval.body and parse_time(approval.body["expires"]) <= call.now:
        return f"the approval of {name} has ended"
    apart: Parties = parties(call.session, call.project, Digest(version.digest), version)
    return next(iter(apart.why(name)), "")


def _person(call: Call, agent: str) -> str:
    """One name for all accounts of a person."""
    return min(call.use(Ties).same([agent.partition(":")[2]]))


def _check_apart(call: Call, others: Iterable[Record]) -> None:
    """Refuse who could act in the name of somebody that signed before him, or the other way round.

    Whoever makes an account and its token can sign for it: with such a one he would be two people.
    """
    ties, two = call.use(Ties), call.principal.id
    for one in sorted({record.by.partition(":")[2] for record in others} - {two}):
        why = dependants(ties, {one: (f"{one} signed it",)}, call.project, moved=True).get(two, ())
        why += dependants(ties, {two: (f"{two} signs it",)}, call.project, moved=True).get(one, ())
        if why:
            raise Denied(
                "MUNI-M412",
                "of those who sign one after the other none made the account or a token of another",
                earlier=one,
                because=list(why),
                do="ask somebody whose account neither of you made: muni user list",
            )


def _first_signature(call: Call, version: Version) -> Record | None:
    """The break-glass signature that still waits for a second one, and that still counts."""
    since = int(version.emergency.record.body["step"]) if version.emergency else -1
    waiting = [
        record
        for record in version.broken
        if int(record.body["step"]) > since
        and call.now - record.at <= EMERGENCY_WINDOW
        and not _void(call, version, record)
    ]
    return waiting[-1] if waiting else None


def _schedule(call: Call, model: Digest, due: datetime, trigger: Trigger, reason: str) -> None:
    body = {"due": due.date().isoformat(), "trigger": trigger.value, "reason": reason}
    keep(call, RecordKind.REVIEW_SCHEDULE, str(model), body, Grade.PROVEN)


def _body(signed: Signed) -> dict[str, Any]:
    return {**signed.terms, "signature": dict(signed.signature)}


def _state(call: Call, version: Version) -> wire.VersionState:
    standing = version.emergency if version.emergency_at(call.now) else version.in_force
    return wire.VersionState(
        model=label(call.session, call.project, Digest(version.digest)),
        digest=version.digest,
        state=version.state_at(call.now).value,
        since=format_time(version.since),
        tier=version.level,
        requires=dict(version.requires),
        model_kind=version.model_kind,
        approvals=list(version.approvers),
        required=version.required,
        outcome=str(version.reviews[-1].body["outcome"]) if version.reviews else None,
        expires=format_time(standing.expires) if standing else None,
        expired=version.expired_at(call.now),
        emergency=version.emergency_at(call.now),
        conditions=list(standing.conditions) if standing else [],
        use_limits=list(standing.use_limits) if standing else [],
        waits_for=_waits_for(call, version),
    )


def _waits_for(call: Call, version: Version) -> str | None:
    """What comes next, in words."""
    if version.emergency_at(call.now):
        return "the review of the break-glass, and the ordinary steps"
    if _first_signature(call, version) is not None:
        return "a second administrator's break-glass signature"
    if version.state is State.DRAFT:
        return "submission"
    if version.state.final or version.state is State.APPROVED:
        return None
    if version.reviews and version.reviews[-1].body["outcome"] == Outcome.UNSATISFACTORY:
        return "another submission, or its rejection"
    if missing(version, Act.APPROVE) is not None:
        return "an independent validation"
    left = version.required - len({record.by for record in version.approvals})
    return f"{max(left, 1)} approval{'s' if left > 1 else ''}"


def _event(record: Record) -> wire.VersionEvent:
    signature = record.body.get("signature")
    shown = {key: value for key, value in record.body.items() if key not in ("signature", "manifest_document")}
    return wire.VersionEvent(
        kind=record.kind.value,
        at=format_time(record.at),
        by=record.by,
        grade=record.grade.value,
        record=str(record.digest),
        signed=isinstance(signature, dict),
        body=shown,
    )


def _plain(record: Record) -> dict[str, Any]:
    return dict(record.body)


VERBS: Final = (
    approve_model,
    break_glass,
    check_approval,
    determine_model,
    reject_model,
    retire_model,
    review_model,
    show_questionnaire,
    show_version,
    submit_model,
)
