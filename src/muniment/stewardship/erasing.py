"""Erasure of a person, and deletion of what is due: searched hermetically, decided by two, done by destroying keys.

What was destroyed cannot be read again from anywhere: not from this installation, nor from an older copy of it, because
the key that wrapped its key is destroyed too. Records and lineage stay, so every proof still verifies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from muniment.catalog.declaring import Declarer
from muniment.catalog.model import Entity, EntityKind
from muniment.catalog.naming import label
from muniment.catalog.ports import Entities, Names
from muniment.catalog.resources import DATASET
from muniment.errors import Conflict, Invalid
from muniment.execution.model import JobSpec, RunStatus
from muniment.execution.ports import Limits
from muniment.execution.queue import RunQueue
from muniment.execution.submitting import files_of, submit
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.ports import Entropy
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.ledger.model import Search
from muniment.ledger.ports import EntryRepository
from muniment.stewardship.apart import check_second
from muniment.stewardship.searching import SUBJECT, Plan, find_subject, holding, plan_for, to_search
from muniment.stewardship.serving import KIND as ONLINE
from muniment.stewardship.serving import of_builds, take_out
from muniment.stewardship.setting import reason_of, record_of
from muniment.stewardship.standing import of_snapshot
from muniment.stewardship.using import subject_for
from muniment.vault.ports import KeyEnds, SealedObjects
from muniment.vault.service import Vault
from muniment.wire import stewardship as wire

__all__ = ["VERBS"]

_LONGEST_VALUE: Final = 1000
_COLUMN: Final = 200
_MOST_SNAPSHOTS: Final = 48
_MOST_BYTES: Final = 256 << 20
"""So much is searched by one job, or one snapshot if that is larger."""

_SCAN_LIMITS: Final = Limits(memory_mb=1024)
_EXPORTED: Final = "muniment.evidence.installation.exported.v1"


@verb(
    "stewardship:SearchSubject",
    on=PROJECT,
    request=wire.PreviewErasure,
    reply=wire.SubjectSearch,
    event="subject.search_requested",
    group="data:steward",
)
def search_subject(call: Call, request: wire.PreviewErasure) -> wire.SubjectSearch:
    """Have every snapshot that has a column searched for one person, hermetically; his value enters no record."""
    if not 1 <= len(request.column) <= _COLUMN or not 1 <= len(request.value.strip()) <= _LONGEST_VALUE:
        raise Invalid(
            "MUNI-W111",
            f"a person is named by a column and his value in it, of at most {_LONGEST_VALUE} characters",
            column=request.column[:80],
        )
    snapshots = to_search(call, request.column)
    if not snapshots:
        raise Invalid("MUNI-W112", f"no snapshot has a column {request.column[:80]!r}", column=request.column[:80])
    subject = _seal_subject(call, request)
    runs = [_scan(call, subject, batch) for batch in _batches(snapshots)]
    call.note(subject=str(subject), column=request.column, snapshots=len(snapshots), runs=runs)
    return wire.SubjectSearch(subject=str(subject), column=request.column, runs=runs, snapshots=len(snapshots))


@verb(
    "stewardship:ShowErasurePlan",
    on=PROJECT,
    request=wire.ShowErasurePlan,
    reply=wire.ErasurePlan,
    event="erasure.plan_shown",
    group="data:steward",
    effect=Effect.READ,
)
def show_erasure_plan(call: Call, request: wire.ShowErasurePlan) -> wire.ErasurePlan:
    """Show where a person is, and what his erasure would destroy and touch."""
    plan = plan_for(call, find_subject(call, request.subject), request.keep, request.include)
    call.note(subject=request.subject, found=len(plan.found), objects=len(plan.objects))
    return wire.ErasurePlan(
        subject=request.subject,
        column=plan.column,
        complete=not plan.missing,
        searched=plan.searched,
        missing=[label(call.session, call.project, one) for one in plan.missing],
        found=list(plan.found),
        affected=list(plan.affected),
        objects=len(plan.objects),
        bytes=plan.bytes,
        obstacles=list(plan.obstacles),
    )


@verb(
    "stewardship:RequestErasure",
    on=PROJECT,
    request=wire.RequestErasure,
    reply=wire.ErasureView,
    event="erasure.requested",
    group="data:steward",
)
def request_erasure(call: Call, request: wire.RequestErasure) -> wire.ErasureView:
    """Ask for the erasure of a person who was searched for; another steward decides."""
    reason = reason_of(request.reason)
    subject = find_subject(call, request.subject)
    plan = _sound(call, plan_for(call, subject, request.keep, request.include))
    if not any(one.action == "destroy" for one in plan.found):
        raise Conflict("MUNI-W308", "nothing holds him, so there is nothing to destroy", subject=request.subject)
    _not_asked_twice(call, "subject", request.subject)
    runs = _redactions(call, subject, plan) if request.replace else []
    body = {
        "why": "erasure",
        "subject": request.subject,
        "column": plan.column,
        "reason": reason,
        "keep": sorted(one.digest for one in plan.found if one.action == "keep"),
        "include": sorted(one.digest for one in plan.found if one.why == "named by who asks"),
        "found": msgspec.to_builtins(list(plan.found)),
        "affected": msgspec.to_builtins(list(plan.affected)),
        "objects": [str(one) for one in plan.objects],
        "bytes": plan.bytes,
        "runs": runs,
    }
    record = keep(call, RecordKind.ERASURE_REQUEST, request.subject, body)
    call.note(erasure=record.id, subject=request.subject, objects=len(plan.objects), runs=runs)
    return _view(call, record)


@verb(
    "stewardship:RequestDeletion",
    on=DATASET,
    request=wire.RequestDeletion,
    reply=wire.ErasureView,
    event="deletion.requested",
    group="data:steward",
)
def request_deletion(call: Call, request: wire.RequestDeletion) -> wire.ErasureView:
    """Ask for the deletion of a snapshot whose time is over; another steward decides."""
    reason = reason_of(request.reason)
    data, _ = subject_for(call, request.dataset, every_version=False)
    end = of_snapshot(call.session, call.project, data.digest).terms.retention
    today = call.now.astimezone(UTC).date()
    reference = label(call.session, call.project, data.digest)
    if end is None or today <= end:
        raise Conflict(
            "MUNI-W307",
            f"{reference} is not due: " + (f"it is kept until {end}" if end else "nothing says until when it is kept"),
            dataset=reference,
            retention=str(end or ""),
            do="state when its time is over: muni data terms",
        )
    _not_asked_twice(call, "dataset", str(data.digest))
    objects = _alone(call, data)
    if kept := call.use(Vault).guarded(call.session, call.project, objects, call.now):
        raise _kept(sorted(set(kept.values())))
    served = of_builds(call, {data.digest}, f"published from {reference}")
    found = wire.Affected(
        reference=reference, digest=str(data.digest), kind="data", why=f"its time was over on {end}", rows=None
    )
    body = {
        "why": "retention",
        "subject": str(data.digest),
        "dataset": str(data.digest),
        "column": "",
        "reason": reason,
        "keep": [],
        "include": [],
        "found": msgspec.to_builtins([found, *(one.affected(call, "destroy") for one in served)]),
        "affected": [],
        "objects": [str(one) for one in sorted(objects)],
        "bytes": sum(objects.values()),
        "runs": [],
    }
    record = keep(call, RecordKind.ERASURE_REQUEST, str(data.digest), body)
    call.note(erasure=record.id, dataset=str(data.digest), objects=len(objects))
    return _view(call, record)


@verb(
    "stewardship:ApproveErasure",
    on=PROJECT,
    request=wire.ApproveErasure,
    reply=wire.ErasureView,
    event="erasure.approved",
    group="data:steward",
)
def approve_erasure(call: Call, request: wire.ApproveErasure) -> wire.ErasureView:
    """Decide as the second person, and destroy: the keys of the objects now, the keys that wrapped them next."""
    asked = _undecided(call, request.erasure)
    reason = reason_of(request.reason, least=0)
    check_second(call, asked.by, "approve this erasure")
    objects = [Digest(one) for one in asked.body["objects"]]
    if asked.body["why"] == "erasure":
        served = _check_unchanged(call, asked, objects).served
    else:
        served = tuple(of_builds(call, {Digest(asked.body["dataset"])}, "published from it"))
    if kept := call.use(Vault).guarded(call.session, call.project, objects, call.now):
        raise _kept(sorted(set(kept.values())))
    epoch = call.use(Vault).erase(
        call.session, call.project, objects, decision=str(asked.digest), why=asked.body["why"], now=call.now
    )
    online = take_out(call, served)
    body = {
        "decision": "approved",
        "reason": reason,
        "online": online,
        "record": str(asked.digest),
        "objects": len(epoch.erased),
        "survivors": epoch.survivors,
        "version": epoch.version,
        "ending": list(epoch.ending),
    }
    keep(call, RecordKind.ERASURE, asked.id, body)
    call.note(
        erasure=asked.id,
        asked_by=asked.by,
        objects=len(epoch.erased),
        online=online,
        survivors=epoch.survivors,
        version=epoch.version,
        ending=[str(one) for one in epoch.ending],
    )
    return _view(call, asked)


@verb(
    "stewardship:RejectErasure",
    on=PROJECT,
    request=wire.RejectErasure,
    reply=wire.ErasureView,
    event="erasure.rejected",
    group="data:steward",
)
def reject_erasure(call: Call, request: wire.RejectErasure) -> wire.ErasureView:
    """Decide that nothing is destroyed, with the reason; who asked may take his own request back so."""
    asked = _undecided(call, request.erasure)
    body = {"decision": "rejected", "reason": reason_of(request.reason), "record": str(asked.digest)}
    keep(call, RecordKind.ERASURE, asked.id, body)
    call.note(erasure=asked.id, asked_by=asked.by)
    return _view(call, asked)


@verb(
    "stewardship:FinishErasure",
    on=PROJECT,
    request=wire.FinishErasure,
    reply=wire.Finished,
    event="erasure.finished",
    group="data:steward",
)
def finish_erasure(call: Call, request: wire.FinishErasure) -> wire.Finished:
    """Destroy the keys that erasures left behind; the platform does so by itself too, when it was interrupted."""
    ended = call.use(Vault).destroy_keys(call.session, call.now)
    call.note(keys=[f"{end.project}@{end.version} {end.kms_key}" for end in ended])
    return wire.Finished(keys=[end.kms_key for end in ended if end.project == call.project])


@verb(
    "stewardship:ShowErasure",
    on=PROJECT,
    request=wire.ShowErasure,
    reply=wire.ErasureView,
    event="erasure.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_erasure(call: Call, request: wire.ShowErasure) -> wire.ErasureView:
    """Show one request for erasure, and what came of it."""
    return _view(call, record_of(call, request.erasure, RecordKind.ERASURE_REQUEST, "request for erasure"))


@verb(
    "stewardship:ListErasures",
    on=PROJECT,
    request=wire.ListErasures,
    reply=wire.Erasures,
    event="erasures.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_erasures(call: Call, request: wire.ListErasures) -> wire.Erasures:
    """List the requests for erasure and deletion, newest first."""
    asked = call.use(Records).of_kind(call.project, RecordKind.ERASURE_REQUEST)
    return wire.Erasures(erasures=[_view(call, record) for record in asked])


def _seal_subject(call: Call, request: wire.PreviewErasure) -> Digest:
    """Seal the column and the value with random salt; the digest stands for the person from now on."""
    salt = call.use(Entropy).token(32).hex()
    document = canonical(
        {"format": "muniment.subject/1", "salt": salt, "column": request.column, "value": request.value.strip()}
    )
    vault = call.use(Vault)
    sealed = vault.seal_bytes(call.project, document)
    vault.register(call.session, call.project, sealed)
    files = [{"path": "subject.json", "digest": str(sealed.digest), "size": sealed.size}]
    facts = {"what": SUBJECT, "column": request.column, "files": files, "classification": "restricted"}
    recorder = Declarer(call.session, call.project, call.now)
    recorder.entity(sealed.digest, EntityKind.ARTIFACT, author=str(call.principal), facts=facts, parts=[sealed.digest])
    return sealed.digest


def _scan(call: Call, subject: Digest, snapshots: Sequence[Entity]) -> str:
    channels = {f"d{number:04d}": str(entity.digest) for number, entity in enumerate(snapshots)}
    spec = JobSpec(
        kind="scan",
        program="muniment.programs.scan",
        label=f"search {len(snapshots)} snapshots for a person",
        inputs={"subject": str(subject), **channels},
        params={"channels": sorted(channels)},
        limits=_SCAN_LIMITS,
    )
    return submit(call, spec).run


def _batches(snapshots: Sequence[Entity]) -> Iterable[list[Entity]]:
    batch: list[Entity] = []
    size = 0
    for entity in snapshots:
        bytes_ = sum(int(file["size"]) for file in files_of(entity))
        if batch and (len(batch) == _MOST_SNAPSHOTS or size + bytes_ > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entity)
        size += bytes_
    if batch:
        yield batch


def _redactions(call: Call, subject: Entity, plan: Plan) -> list[str]:
    """Have the next version of each name whose latest version holds him made without him."""
    holding = [Digest(one.digest) for one in plan.found if one.rows and one.action == "destroy" and one.kind != ONLINE]
    entities = call.use(Entities).find(call.project, holding)
    names, runs = call.use(Names), []
    for digest, bearing in sorted(names.of(call.project, holding).items()):
        for name in {one.name for one in bearing if one.kind is EntityKind.DATA}:
            latest = names.find(call.project, EntityKind.DATA, name, None)
            if latest is not None and latest.digest == digest:
                spec = JobSpec(
                    kind="redact",
                    program="muniment.programs.redact",
                    label=f"{name} without a person",
                    inputs={"data": str(digest), "subject": str(subject.digest)},
                    name=name,
                    facts={"classification": entities[digest].classification},
                )
                runs.append(submit(call, spec).run)
    return sorted(runs)


def _sound(call: Call, plan: Plan) -> Plan:
    """The plan, unless it leaves something unsearched or must not be carried out."""
    if plan.missing:
        raise Conflict(
            "MUNI-W309",
            f"{len(plan.missing)} snapshots were not searched for him",
            snapshots=[label(call.session, call.project, one) for one in plan.missing][:20],
            do="search again: muni data erase preview",
        )
    if plan.obstacles:
        raise _kept(plan.obstacles)
    return plan


def _kept(because: Sequence[str]) -> Conflict:
    return Conflict(
        "MUNI-W310",
        f"it may not be destroyed: {because[0]}",
        because=list(because)[:20],
        do="a hold or a duty to keep wins over erasure; once it has ended, ask again",
    )


def _check_unchanged(call: Call, asked: Record, objects: Sequence[Digest]) -> Plan:
    """The plan as it is now; a decision about something else than what there is now is refused."""
    for run in asked.body["runs"]:
        found = call.use(RunQueue).get(call.project, run.removeprefix("run:"))
        if found is None or found.status is not RunStatus.OK:
            raise Conflict(
                "MUNI-W311",
                "the next version without him is not made yet",
                run=run,
                status="" if found is None else found.status.value,
                do="let the run end well, or ask again without --replace",
            )
    subject = find_subject(call, asked.body["subject"])
    plan = _sound(call, plan_for(call, subject, asked.body["keep"], asked.body["include"]))
    if set(plan.objects) != set(objects):
        raise Conflict(
            "MUNI-W306",
            "what holds him changed since the request",
            erasure=asked.id,
            now=len(plan.objects),
            asked=len(objects),
            do="reject it, then ask again",
        )
    return plan


def _not_asked_twice(call: Call, field: str, value: str) -> None:
    """One request about the same thing at a time."""
    for record in call.use(Records).of_kind(call.project, RecordKind.ERASURE_REQUEST):
        if record.body.get(field) == value and _decision(call, record) is None:
            raise Conflict("MUNI-W312", "this was asked for already, and waits to be decided", erasure=record.id)


def _undecided(call: Call, id_: str) -> Record:
    asked = record_of(call, id_, RecordKind.ERASURE_REQUEST, "request for erasure")
    if (decision := _decision(call, asked)) is not None:
        raise Conflict(
            "MUNI-W313",
            f"this request was decided: {decision.body['decision']}",
            erasure=asked.id,
            by=decision.by,
            at=format_time(decision.at),
        )
    return asked


def _decision(call: Call, asked: Record) -> Record | None:
    return next(iter(call.use(Records).about(call.project, [asked.id], RecordKind.ERASURE)), None)


def _alone(call: Call, data: Entity) -> dict[Digest, int]:
    """The objects of a snapshot that no other living entity has a piece of, with their bytes."""
    pieces = holding(data)
    holders = call.use(Entities).holders(call.project, pieces)
    objects = call.session.use(SealedObjects)
    found = {}
    for piece in pieces:
        sealed = objects.find(call.project, piece)
        if sealed is not None and not holders.get(piece, frozenset()) - {data.digest}:
            found[piece] = sealed.size
    return found


def _exports(call: Call, since: datetime) -> list[str]:
    """Exports of everything that were taken since a moment: in them it lies in the clear, at whoever keeps them."""
    search = Search(type=_EXPORTED, outcome="ok", since=since, limit=50)
    entries = call.session.use(EntryRepository).search(search)
    return [
        f"{entry.event['time'][:16]} by {entry.event['data']['principal']} ({entry.event['id']})" for entry in entries
    ]


def _view(call: Call, asked: Record) -> wire.ErasureView:
    body: dict[str, Any] = dict(asked.body)
    decision = _decision(call, asked)
    state, survivors, online, keys = "requested", None, None, list[str]()
    if decision is not None:
        state = "rejected"
        if decision.body["decision"] == "approved":
            ends = {end.version: end for end in call.session.use(KeyEnds).of(call.project)}
            ending = [ends[one] for one in decision.body["ending"] if one in ends]
            survivors, online = decision.body["survivors"], decision.body.get("online", 0)
            keys = [
                f"{end.kms_key}: "
                + ("to be destroyed" if end.destroyed_at is None else f"destroyed {format_time(end.destroyed_at)[:19]}")
                for end in ending
            ]
            state = "erased" if any(end.destroyed_at is None for end in ending) else "done"
    digests = [Digest(one["digest"]) for one in body["found"]]
    known = call.use(Entities).find(call.project, digests).values()
    since = min((entity.at for entity in known), default=asked.at)
    return wire.ErasureView(
        id=asked.id,
        why=body["why"],
        subject=body["subject"],
        column=body["column"],
        reason=body["reason"],
        state=state,
        asked_at=format_time(asked.at),
        asked_by=asked.by,
        decided_at=None if decision is None else format_time(decision.at),
        decided_by=None if decision is None else decision.by,
        found=msgspec.convert(body["found"], list[wire.Affected]),
        affected=msgspec.convert(body["affected"], list[wire.Affected]),
        runs=list(body["runs"]),
        objects=len(body["objects"]),
        bytes=body["bytes"],
        survivors=survivors,
        online=online,
        keys=keys,
        exports=_exports(call, since),
        record=str(asked.digest),
    )


VERBS: Final = (
    search_subject,
    show_erasure_plan,
    request_erasure,
    request_deletion,
    approve_erasure,
    reject_erasure,
    finish_erasure,
    show_erasure,
    list_erasures,
)
