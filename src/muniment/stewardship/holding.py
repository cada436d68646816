"""Holds: data that have to stay for a case. And what is due, because its time is over."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from muniment.catalog.model import EntityKind
from muniment.catalog.naming import label
from muniment.catalog.ports import Entities
from muniment.catalog.resources import DATASET
from muniment.errors import Conflict, Invalid
from muniment.execution.submitting import files_of
from muniment.inventory.model import RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.kernel.digest import Digest
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.stewardship.apart import check_second
from muniment.stewardship.setting import reason_of, record_of
from muniment.stewardship.standing import Hold, holds_in, of_snapshot, with_later
from muniment.stewardship.using import hold_view, subject_for
from muniment.vault.service import Vault
from muniment.wire import stewardship as wire

__all__ = ["VERBS"]

_CASE: Final = 200
_MOST: Final = 1 << 30


@verb(
    "stewardship:PlaceHold",
    on=DATASET,
    request=wire.PlaceHold,
    reply=wire.HoldView,
    event="hold.placed",
    group="data:steward",
)
def place_hold(call: Call, request: wire.PlaceHold) -> wire.HoldView:
    """Have a data set stay as it is, for a case: neither erasure nor the end of its time destroys it."""
    case = request.case.strip()
    if not 1 <= len(case) <= _CASE:
        raise Invalid("MUNI-W110", f"a hold is for a case of 1 to {_CASE} characters", characters=len(case))
    data, subject = subject_for(call, request.dataset, every_version=request.every_version)
    body: dict[str, Any] = {
        "case": case,
        "reason": reason_of(request.reason),
        "forbids_use": request.forbids_use,
        "snapshot": str(data.digest),
    }
    record = keep(call, RecordKind.DATA_HOLD, subject, body)
    call.note(hold=record.id, dataset=subject, case=case, forbids_use=request.forbids_use)
    return hold_view(Hold(record))


@verb(
    "stewardship:ReleaseHold",
    on=PROJECT,
    request=wire.ReleaseHold,
    reply=wire.HoldView,
    event="hold.released",
    group="data:steward",
)
def release_hold(call: Call, request: wire.ReleaseHold) -> wire.HoldView:
    """Let a hold end; it takes another person than the one who placed it."""
    placed = record_of(call, request.hold, RecordKind.DATA_HOLD, "hold")
    reason = reason_of(request.reason)
    (hold,) = holds_in(*with_later(call.session, call.project, [placed]))
    if hold.released is not None:
        raise Conflict("MUNI-W305", "this hold was released already", hold=placed.id, by=hold.released.by)
    check_second(call, placed.by, "release this hold")
    body = {"reason": reason, "record": str(placed.digest)}
    released = keep(call, RecordKind.DATA_HOLD_RELEASE, placed.id, body)
    call.note(hold=placed.id, dataset=placed.subject, placed_by=placed.by)
    return hold_view(Hold(placed, released))


@verb(
    "stewardship:ListHolds",
    on=PROJECT,
    request=wire.ListHolds,
    reply=wire.Holds,
    event="holds.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_holds(call: Call, request: wire.ListHolds) -> wire.Holds:
    """List the holds of a project, newest first."""
    placed = call.use(Records).of_kind(call.project, RecordKind.DATA_HOLD)
    found = holds_in(*with_later(call.session, call.project, placed))
    return wire.Holds(holds=[hold_view(hold) for hold in found if request.released or hold.released is None])


@verb(
    "stewardship:ListDue",
    on=PROJECT,
    request=wire.ListDue,
    reply=wire.Due,
    event="due.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_due(call: Call, request: wire.ListDue) -> wire.Due:
    """List the snapshots whose time is over; nothing is deleted by itself, somebody has to decide."""
    today = call.now.astimezone(UTC).date()
    due: list[wire.DueView] = []
    for entity in call.use(Entities).newest(call.project, EntityKind.DATA, "", _MOST):
        situation = of_snapshot(call.session, call.project, entity.digest)
        end = situation.terms.retention
        if end is None or today <= end:
            continue
        objects = [Digest(str(file["digest"])) for file in files_of(entity)]
        if call.use(Vault).erased(call.session, call.project, objects):
            continue
        guarded = call.use(Vault).guarded(call.session, call.project, objects, call.now)
        due.append(
            wire.DueView(
                dataset=label(call.session, call.project, entity.digest),
                digest=str(entity.digest),
                retention=end.isoformat(),
                days_over=(today - end).days,
                held_by=sorted(set(guarded.values())),
                bytes=sum(int(file["size"]) for file in files_of(entity)),
            )
        )
    return wire.Due(due=sorted(due, key=lambda one: (one.retention, one.dataset)))


VERBS: Final = (place_hold, release_hold, list_holds, list_due)
