"""Whether a job may use its inputs: policy is asked set for set, and then the terms that each set is under.

A role says who may use the data of a project. What else decides is the data set's own: its purposes, rights, ends,
holds and grants, with all that it inherits from what it was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from muniment.catalog.model import Entity, EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Entities
from muniment.catalog.resources import DATASET, dataset_resource
from muniment.errors import Conflict, Denied
from muniment.execution.admission import LOOKUP, Using
from muniment.execution.model import Run
from muniment.execution.submitting import files_of
from muniment.inventory.model import Record
from muniment.inventory.usecases import living_use_case
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.ports import Session
from muniment.kernel.principal import Authentication, PrincipalKind
from muniment.kernel.verb import Call, Effect, Resource, Verb, verb
from muniment.policy.ports import Authorizer, Decision, Facts
from muniment.stewardship.standing import DataGrant, Hold, Situation, brought_in, days_after, of_snapshot
from muniment.stewardship.terms import HOUSEKEEPING, Terms, obstacles, of_document
from muniment.vault.ports import ErasedObjects
from muniment.wire import stewardship as wire

__all__ = ["VERBS", "StewardedUse", "Stewards", "use_dataset"]

_SCRUTINY: Final = frozenset({"scan", "redact"})
"""Jobs that look for a person, or take him out: the duty to do so does not ask for a grant."""

_ASKED: Final = frozenset({EntityKind.DATA, EntityKind.ARTIFACT})
"""What policies are asked about: an artifact may hold the rows that it was made of. A file is asked about by the
snapshots that came of it."""

KINDS: Final = ("train", "run", "evaluate", "explain", "split", "transform", "join", "predict", "publish", LOOKUP)
"""Kinds of jobs that ``data rights`` speaks of."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of asking about one data set."""

    situation: Situation
    reasons: tuple[str, ...]
    """Why not; empty when it may be used."""

    decision: Decision | None
    grants: tuple[DataGrant, ...]
    """Grants that it could not be used without."""


class Stewards:
    """The port by which policies see what stewards said."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def attributes(self, project: str, digest: Digest, now: datetime) -> Mapping[str, Any]:
        """The attributes of a snapshot at a moment."""
        return attributes_of(of_snapshot(self._session, project, digest), now, None)


def attributes_of(situation: Situation, now: datetime, purposes: frozenset[str] | None) -> dict[str, Any]:
    """What policies see of a situation; grants count for these purposes, or for any."""
    terms = situation.terms
    grantees = [one.partition(":") for one in situation.grantees(now, purposes)]
    return {
        "classification": terms.classification,
        "access": terms.access,
        "granted": sorted(name for kind, _, name in grantees if kind == PrincipalKind.USER),
        "granted_services": sorted(name for kind, _, name in grantees if kind == PrincipalKind.SERVICE_ACCOUNT),
        "held": bool(situation.frozen),
        "legal_basis": sorted(terms.legal_basis),
        "owners": sorted(terms.owners),
        "purposes": sorted(terms.purposes or ()),
        "rights": sorted(terms.forbids),
    }


class StewardedUse:
    """Decides by policy and by terms; asked whenever a job is submitted, and again when it begins."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def permit(self, call: Call, using: Using) -> Mapping[str, Any]:
        """What the run keeps of the permission."""
        inputs = _ruled(call.session, call.project, using.inputs)
        if using.kind != LOOKUP:  # when a snapshot is destroyed, the rows of its online table that had to go went too
            _not_erased(call.session, call.project, using.inputs)
        purposes = purposes_of(call, using.purpose, using.use_case)
        relied: dict[str, DataGrant] = {}
        records: dict[str, Record] = {}
        for entity in inputs:
            reference = label(call.session, call.project, entity.digest)
            verdict = self.judge(call, entity, using.kind, purposes)
            records |= {record.id: record for record in verdict.situation.records}
            decision = verdict.decision
            if decision is not None and not decision.allowed:
                raise Denied(
                    "MUNI-W402",
                    f"{call.principal.id} may not use {reference} here",
                    principal=str(call.principal),
                    action=use_dataset.action,
                    dataset=reference,
                    classification=verdict.situation.terms.classification,
                    policies=list(decision.policies) or ["no policy permits it"],
                    because=[*decision.reasons, *verdict.reasons],
                    ledger={
                        "dataset": str(entity.digest),
                        "policies": ", ".join(decision.policies)[:400],
                        "policy_set": str(decision.policy_set),
                    },
                    do=f"muni data rights {reference}; ask for access: muni data grant request {reference}",
                )
            if verdict.reasons:
                raise Denied(
                    "MUNI-W403",
                    f"the terms of {reference} do not allow this: {verdict.reasons[0]}",
                    dataset=reference,
                    kind=using.kind,
                    because=list(verdict.reasons),
                    records=[str(record.digest) for record in verdict.situation.records][:20],
                    ledger={"dataset": str(entity.digest), "why": "; ".join(verdict.reasons)[:400]},
                    do=f"muni data rights {reference}",
                )
            relied |= {one.asked.id: one for one in verdict.grants}
            if decision is not None:
                call.note_more(uses=f"{entity.digest} by {', '.join(decision.policies)}")
        kept: dict[str, Any] = {}
        if purposes and (using.purpose or records or relied):
            kept["purposes"] = sorted(purposes)
            call.note(purposes=sorted(purposes))
        if records:
            kept["terms"] = sorted(str(record.digest) for record in records.values())
        if relied:
            kept["grants"] = sorted(relied)
            call.note(grants=sorted(relied))
        return {"data_use": kept} if kept else {}

    def examine(self, call: Call, using: Using) -> Sequence[str]:
        """Why a use would have been refused; nothing is refused, and nothing is relied on."""
        purposes = purposes_of(call, using.purpose, using.use_case)
        found: list[str] = []
        for entity in _ruled(call.session, call.project, using.inputs):
            reference = label(call.session, call.project, entity.digest)
            verdict = self.judge(call, entity, using.kind, purposes)
            decision = verdict.decision
            if decision is not None and not decision.allowed:
                found.append(f"{reference}: {', '.join(decision.policies) or 'no policy permits it'}")
            found += [f"{reference}: {reason}" for reason in verdict.reasons]
        return found

    def still(self, session: Session, run: Run, now: datetime) -> None:
        """Refuse a run that may not begin any more."""
        kept = run.facts.get("data_use") or {}
        purposes = frozenset(kept.get("purposes", ()))
        digests = [Digest(one) for one in run.job["inputs"].values()]
        inputs = session.use(Entities).find(run.project, digests).values()
        _not_erased(session, run.project, inputs)
        for entity in _ruled(session, run.project, inputs):
            situation = of_snapshot(session, run.project, entity.digest)
            held = {one.asked.id: one.state(now) for choice in situation.grants for one in choice}
            over = [
                f"grant {one} is {held[one]}" for one in kept.get("grants", ()) if held.get(one, "") not in ("", _ON)
            ]
            # not the kind of the plan: a reproduction has that of the training which it repeats
            reasons = [*over, *_obstacles(situation, run.kind, purposes, run.requested_by, now)]
            if reasons:
                raise Denied(
                    "MUNI-W404",
                    f"its data may not be used any more: {reasons[0]}",
                    dataset=label(session, run.project, entity.digest),
                    because=reasons,
                    do="muni data rights DATASET, then ask again",
                )

    def judge(self, call: Call, entity: Entity, kind: str, purposes: frozenset[str]) -> Verdict:
        """What policy and terms say of one input."""
        situation = of_snapshot(call.session, call.project, entity.digest)
        account, now = str(call.principal), call.now
        asked = _asked(kind, purposes)
        reasons = _obstacles(situation, kind, purposes, account, now)
        serving = situation.granted(account, asked or _all(situation), now)
        decision: Decision | None = None
        needed: tuple[DataGrant, ...] = ()
        if entity.kind in _ASKED and kind not in _SCRUTINY:
            decision = self._decide(call, entity, attributes_of(situation, now, asked), purposes)
            if decision.allowed and serving:
                bare = attributes_of(situation, now, asked) | {"granted": [], "granted_services": []}
                if not self._decide(call, entity, bare, purposes).allowed:
                    needed = serving
        if situation.terms.access == "grant" and serving and kind not in _SCRUTINY:
            needed = serving
        return Verdict(situation, reasons, decision, tuple(needed))

    def _decide(self, call: Call, entity: Entity, attributes: Mapping[str, Any], purposes: frozenset[str]) -> Decision:
        plain = dataset_resource(entity)
        resource = Resource(plain.kind, plain.id, plain.project, {**plain.attributes, **attributes})
        facts = Facts(purpose=" | ".join(sorted(purposes)))
        who = _uncovered(call.authentication)
        return self._authorizer.decide(call.session, who, use_dataset, resource, facts)


_ON: Final = "active"


def _ruled(session: Session, project: str, inputs: Iterable[Entity]) -> list[Entity]:
    """The inputs that terms speak of, models apart, and for a file the snapshots that were ingested from it."""
    ruled = {one.digest: one for one in inputs if one.kind is not EntityKind.MODEL}
    files = [digest for digest, one in ruled.items() if one.kind is EntityKind.FILE]
    came = {digest for file in files for digest in brought_in(session, project, file)} - ruled.keys()
    found = session.use(Entities).find(project, came) if came else {}
    return [*ruled.values(), *(found[digest] for digest in sorted(came) if found[digest].kind is EntityKind.DATA)]


def _uncovered(authentication: Authentication) -> Authentication:
    """A token that is limited to submitting jobs may use their inputs: that it names the job is enough."""
    return replace(authentication, actions=None)


def _asked(kind: str, purposes: frozenset[str]) -> frozenset[str] | None:
    """The purposes that a grant must be for; None when any will do."""
    return None if not purposes and kind in HOUSEKEEPING else purposes


def _all(situation: Situation) -> frozenset[str]:
    return frozenset(one.purpose for choice in situation.grants for one in choice)


def _obstacles(
    situation: Situation, kind: str, purposes: frozenset[str], account: str, now: datetime
) -> tuple[str, ...]:
    return tuple(_why_not(situation, kind, purposes, account, now))


def _why_not(situation: Situation, kind: str, purposes: frozenset[str], account: str, now: datetime) -> Iterator[str]:
    yield from obstacles(situation.terms, kind, purposes, now)
    for hold in situation.frozen if kind not in _SCRUTINY else ():
        yield f"{hold} forbids its use"
    if situation.terms.access == "grant" and kind not in _SCRUTINY:
        wanted = _asked(kind, purposes)
        if situation.granted(account, _all(situation) if wanted is None else wanted, now) is None:
            said = f" for {' or '.join(sorted(purposes))}" if purposes else ""
            yield f"it is used under a grant only, and {account.partition(':')[2]} has none{said} now"


def _not_erased(session: Session, project: str, inputs: Iterable[Entity]) -> None:
    """Refuse what was destroyed on purpose, with the decision."""
    for entity in inputs:
        pieces = [Digest(str(file["digest"])) for file in files_of(entity)]
        gone = session.use(ErasedObjects).find(project, [entity.digest, *pieces])
        if gone:
            one = next(iter(gone.values()))
            reference = label(session, project, entity.digest)
            raise Conflict(
                "MUNI-W301",
                f"{reference} was destroyed on {one.at:%Y-%m-%d} by {one.why}",
                dataset=reference,
                decision=one.decision,
                at=format_time(one.at),
                do="take a version that still stands",
            )


def purposes_of(call: Call, purpose: str | None, use_case: str | None) -> frozenset[str]:
    """What a job is for, in every word for it: what the asker says, or what its use case says."""
    if purpose:
        return frozenset({purpose.strip()})
    if not use_case:
        return frozenset()
    body = living_use_case(call.session, call.project, use_case).record.body
    return frozenset(str(body[field]).strip() for field in ("name", "purpose", "purpose_class") if body[field])


@verb(
    "data:UseDataset",
    on=DATASET,
    request=wire.UseDataset,
    reply=wire.Allowance,
    event="dataset.use_asked",
    group="data:use",
    effect=Effect.READ,
)
def use_dataset(call: Call, request: wire.UseDataset) -> wire.Allowance:
    """Ask whether one may use a data set for a purpose, as a job would be asked; policies decide about this action."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    purposes = purposes_of(call, request.purpose or None, request.use_case or None)
    return _allowance(call, call.use(StewardedUse), data, request.kind, purposes)


@verb(
    "stewardship:ShowRights",
    on=DATASET,
    request=wire.ShowRights,
    reply=wire.Rights,
    event="rights.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_rights(call: Call, request: wire.ShowRights) -> wire.Rights:
    """Show what may be done with a data set, for the one who asks, and why."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    situation = of_snapshot(call.session, call.project, data.digest)
    purposes = purposes_of(call, request.purpose or None, request.use_case or None)
    use = call.use(StewardedUse)
    gone = call.session.use(ErasedObjects).find(
        call.project, [data.digest, *(Digest(str(file["digest"])) for file in files_of(data))]
    )
    grants = {one.asked.id: one for choice in situation.grants for one in choice}
    holds = {hold.placed.id: hold for hold in (*situation.holds, *situation.frozen)}
    waiting = {record.id for record in situation.waiting}
    said = sorted({r.id: r for r in (*situation.records, *situation.waiting)}.values(), key=lambda r: r.id)
    return wire.Rights(
        dataset=label(call.session, call.project, data.digest),
        digest=str(data.digest),
        terms=terms_view(situation.terms),
        own=terms_view(situation.own),
        statements=[statement_view(record, waiting=record.id in waiting) for record in said],
        holds=[hold_view(holds[one]) for one in sorted(holds)],
        grants=[grant_view(grants[one], call.now) for one in sorted(grants)],
        uses=[] if gone else [_allowance(call, use, data, kind, purposes) for kind in KINDS],
        erased=bool(gone),
    )


def _allowance(call: Call, use: StewardedUse, data: Entity, kind: str, purposes: frozenset[str]) -> wire.Allowance:
    verdict = use.judge(call, data, kind, purposes)
    decision = verdict.decision
    assert decision is not None
    allowed = decision.allowed and not verdict.reasons
    because = [*verdict.reasons] if decision.allowed else [*decision.reasons, *verdict.reasons]
    if allowed:
        because = [*decision.policies, *(f"grant {one.asked.id}" for one in verdict.grants)]
    return wire.Allowance(kind=kind, allowed=allowed, because=because)


def terms_view(terms: Terms) -> wire.TermsView:
    """Terms as replies show them."""
    return wire.TermsView(**terms.document())


def statement_view(record: Record, *, waiting: bool) -> wire.Statement:
    """A statement as replies show it."""
    body = record.body
    return wire.Statement(
        id=record.id,
        subject=record.subject,
        at=format_time(record.at),
        by=record.by,
        reason=str(body["reason"]),
        states=list(body["states"]),
        terms=terms_view(of_document(body["terms"])),
        stands_alone=bool(body["stands_alone"]),
        widens=list(body["widens"]),
        waiting=waiting,
        record=str(record.digest),
    )


def hold_view(hold: Hold) -> wire.HoldView:
    """A hold as replies show it."""
    placed, released = hold.placed, hold.released
    return wire.HoldView(
        id=placed.id,
        dataset=placed.subject,
        case=str(placed.body["case"]),
        reason=str(placed.body["reason"]),
        forbids_use=hold.forbids_use,
        placed_at=format_time(placed.at),
        placed_by=placed.by,
        released_at=None if released is None else format_time(released.at),
        released_by=None if released is None else released.by,
        release_reason=None if released is None else str(released.body["reason"]),
        record=str(placed.digest),
    )


def grant_view(grant: DataGrant, now: datetime) -> wire.DataGrantView:
    """A grant as replies show it."""
    asked, last = grant.asked, grant.revocation or grant.decision
    until, state = grant.until, grant.state(now)
    return wire.DataGrantView(
        id=asked.id,
        dataset=asked.subject,
        account=grant.account,
        purpose=grant.purpose,
        reason=str(asked.body["reason"]),
        days=int(asked.body["days"]),
        state=state,
        asked_at=format_time(asked.at),
        asked_by=asked.by,
        decided_at=None if last is None else format_time(last.at),
        decided_by=None if last is None else last.by,
        decision_reason=None if last is None else str(last.body["reason"]),
        until=None if until is None else format_time(until),
        days_left=days_after(now, until) if state == _ON else None,
        record=str(asked.digest),
    )


def subject_for(call: Call, reference: str, *, every_version: bool) -> tuple[Entity, str]:
    """The snapshot that a request names, and what a record about it has as its subject: its name, or its digest."""
    data = resolve(call.session, call.project, reference, EntityKind.DATA)
    said = reference if ":" in reference else f"data:{reference}"
    if not every_version or said.startswith("sha256:"):
        return data, str(data.digest)
    return data, said.partition("@")[0]


VERBS: Final[Sequence[Verb]] = (use_dataset, show_rights)
