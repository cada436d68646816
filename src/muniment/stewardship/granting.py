"""Access to data for a purpose and a time: asked for by one, given by a second person, ending by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from muniment.catalog.resources import DATASET
from muniment.errors import Conflict, Invalid, NotFound
from muniment.identity.ports import Accounts
from muniment.inventory.model import RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.stewardship.apart import check_second
from muniment.stewardship.setting import reason_of, record_of
from muniment.stewardship.standing import DataGrant, grants_in, with_later
from muniment.stewardship.using import grant_view, subject_for
from muniment.wire import stewardship as wire

__all__ = ["LONGEST", "VERBS"]

LONGEST: Final = 90
"""Days that access can last; who needs it longer asks again."""

_PURPOSE: Final = 400
_STATES: Final = ("requested", "rejected", "active", "expired", "revoked")
_MOST: Final = 1000


@verb(
    "stewardship:RequestGrant",
    on=DATASET,
    request=wire.RequestDataGrant,
    reply=wire.DataGrantView,
    event="grant.requested",
    group="data:use",
)
def request_grant(call: Call, request: wire.RequestDataGrant) -> wire.DataGrantView:
    """Ask for access to a data set, for a purpose and a time; a data steward decides."""
    purpose = request.purpose.strip()
    if not 1 <= len(purpose) <= _PURPOSE:
        raise Invalid("MUNI-W106", f"access is for a purpose of 1 to {_PURPOSE} characters", characters=len(purpose))
    _check_days(request.days)
    name = request.account.strip() or call.principal.id
    account = call.use(Accounts).find(name)
    if account is None or not account.active(call.now):
        raise NotFound("MUNI-W202", f"there is no active account {name[:80]!r}", account=name[:80])
    data, subject = subject_for(call, request.dataset, every_version=request.every_version)
    body = {
        "account": str(account.principal),
        "purpose": purpose,
        "reason": reason_of(request.reason),
        "days": request.days,
        "snapshot": str(data.digest),
    }
    record = keep(call, RecordKind.DATA_GRANT, subject, body)
    call.note(grant=record.id, dataset=subject, account=str(account.principal), purpose=purpose, days=request.days)
    return grant_view(DataGrant(record), call.now)


@verb(
    "stewardship:ApproveGrant",
    on=PROJECT,
    request=wire.ApproveDataGrant,
    reply=wire.DataGrantView,
    event="grant.approved",
    group="data:steward",
)
def approve_grant(call: Call, request: wire.ApproveDataGrant) -> wire.DataGrantView:
    """Give access that somebody else asked for; it begins now and ends by itself."""
    grant = _undecided(call, request.grant)
    days = grant.asked.body["days"] if request.days is None else request.days
    _check_days(days)
    if days > grant.asked.body["days"]:
        raise Invalid(
            "MUNI-W107", "access is not given for longer than was asked", asked=grant.asked.body["days"], given=days
        )
    for one in sorted({grant.asked.by, grant.account}):
        check_second(call, one, "approve this access")
    until = format_time(call.now + timedelta(days=days))
    return _decided(call, grant, "approved", reason_of(request.reason, least=0), until)


@verb(
    "stewardship:RejectGrant",
    on=PROJECT,
    request=wire.RejectDataGrant,
    reply=wire.DataGrantView,
    event="grant.rejected",
    group="data:steward",
)
def reject_grant(call: Call, request: wire.RejectDataGrant) -> wire.DataGrantView:
    """Refuse access that somebody asked for, with the reason."""
    return _decided(call, _undecided(call, request.grant), "rejected", reason_of(request.reason), None)


@verb(
    "stewardship:RevokeGrant",
    on=PROJECT,
    request=wire.RevokeDataGrant,
    reply=wire.DataGrantView,
    event="grant.revoked",
    group="data:steward",
)
def revoke_grant(call: Call, request: wire.RevokeDataGrant) -> wire.DataGrantView:
    """Take access back before it ends; jobs that wait for a worker do not begin any more."""
    grant = _found(call, request.grant)
    state = grant.state(call.now)
    if state != "active":
        raise Conflict(
            "MUNI-W303", f"this access is {state}, so it cannot be revoked", grant=grant.asked.id, state=state
        )
    return _decided(call, grant, "revoked", reason_of(request.reason), None)


@verb(
    "stewardship:ListGrants",
    on=PROJECT,
    request=wire.ListDataGrants,
    reply=wire.DataGrants,
    event="grants.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_grants(call: Call, request: wire.ListDataGrants) -> wire.DataGrants:
    """List requests for access and what came of them, newest first."""
    if request.state is not None and request.state not in _STATES:
        raise Invalid("MUNI-W108", f"{request.state[:40]!r} is no state of access", states=list(_STATES))
    asked = call.use(Records).of_kind(call.project, RecordKind.DATA_GRANT)
    shown = [grant_view(grant, call.now) for grant in grants_in(*with_later(call.session, call.project, asked))]
    mine = str(call.principal)
    return wire.DataGrants(
        grants=[
            one for one in shown if (not request.mine or one.account == mine) and request.state in (None, one.state)
        ][: max(1, min(request.limit, _MOST))]
    )


def _found(call: Call, id_: str) -> DataGrant:
    asked = record_of(call, id_, RecordKind.DATA_GRANT, "request for access")
    (grant,) = grants_in(*with_later(call.session, call.project, [asked]))
    return grant


def _undecided(call: Call, id_: str) -> DataGrant:
    grant = _found(call, id_)
    state = grant.state(call.now)
    if state != "requested":
        raise Conflict(
            "MUNI-W304", f"this request was decided: it is {state}", grant=grant.asked.id, state=state, do="ask again"
        )
    return grant


def _decided(call: Call, grant: DataGrant, decision: str, reason: str, until: str | None) -> wire.DataGrantView:
    body = {"decision": decision, "reason": reason, "until": until, "record": str(grant.asked.digest)}
    keep(call, RecordKind.DATA_GRANT_DECISION, grant.asked.id, body)
    call.note(
        grant=grant.asked.id,
        dataset=grant.asked.subject,
        account=grant.account,
        purpose=grant.purpose,
        asked_by=grant.asked.by,
        **({} if until is None else {"until": until}),
    )
    return grant_view(_found(call, grant.asked.id), call.now)


def _check_days(days: int) -> None:
    if not 1 <= days <= LONGEST:
        raise Invalid("MUNI-W109", f"access lasts 1 to {LONGEST} days", days=days, longest=LONGEST)


VERBS: Final = (request_grant, approve_grant, reject_grant, revoke_grant, list_grants)
