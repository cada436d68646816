"""Identity's records as replies show them."""

from __future__ import annotations

from datetime import datetime

from muniment.identity.model import Account, RoleGrant, Standing
from muniment.kernel.identifiers import format_time
from muniment.wire import identity as wire


def grant_view(grant: RoleGrant, now: datetime) -> wire.RoleGrant:
    """A grant as a reply."""
    return wire.RoleGrant(
        id=grant.id,
        subject=grant.holder,
        role=grant.role.value,
        scope=grant.project,
        since=format_time(grant.since),
        until=format_time(grant.until) if grant.until else None,
        granted_by=grant.granted_by,
        active=grant.active(now),
    )


def account_view(account: Account, standing: Standing | None, now: datetime) -> wire.Account:
    """An account with what it holds now."""
    return wire.Account(
        name=account.name,
        kind=account.kind.value,
        owner=account.owner,
        active=account.active(now),
        created_at=format_time(account.created_at),
        created_by=account.created_by,
        groups=list(standing.groups) if standing else [],
        roles=sorted({role_at(grant) for grant in standing.grants}) if standing else [],
    )


def role_at(grant: RoleGrant) -> str:
    """``role`` or ``role@project``."""
    return grant.role.value if grant.project is None else f"{grant.role.value}@{grant.project}"
