"""The slice of the world that one decision looks at: principal, its groups and grants, resource, project. Pure.

A slice is built for each request from the rows that hold at its moment, so nothing in it can be stale; its digest
stands in the ledger, so that a replay can prove that it looks at the same world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from muniment.identity.model import RoleGrant, Standing
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.verb import Resource
from muniment.policy.cedar import Link, Question
from muniment.policy.ports import NO_SECOND_FACTOR, Facts
from muniment.policy.schema import INSTALLATION_ID, attribute_type

_EVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
_INSTALLATION: Final = ("Installation", INSTALLATION_ID)
_encode = msgspec.json.Encoder(order="deterministic").encode
_end = lru_cache(1024)(format_time)
"""The end of a credential as text: the same for all of its requests."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What one decision may look at."""

    principal: tuple[str, str]
    resource: tuple[str, str]
    entities: str
    """JSON list of Cedar entities."""

    links: tuple[Link, ...]
    """The grants that reach the resource."""

    @property
    def digest(self) -> Digest:
        """The name of this slice: equal digests mean that policies saw the same world."""
        return Digest.of(_encode([self.entities, [[link.id, link.role, link.principal] for link in self.links]]))

    def question(self, action: str, context: Mapping[str, Any]) -> Question:
        """The request for the engine, in a context as the ledger keeps it."""
        return Question(self.principal, action, self.resource, _cedar_context(context), self.entities)


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a request; written by us alone, never taken from the request."""

    ip: str
    now: datetime
    expires: datetime
    covered: bool
    """Whether the credential's limits include the action."""

    method: str
    mfa_age_s: int = NO_SECOND_FACTOR
    purpose: str = ""
    tls: bool = False

    def record(self) -> dict[str, Any]:
        """The context as the ledger keeps it."""
        return {
            "ip": self.ip,
            "now": format_time(self.now),
            "expires": _end(self.expires),
            "covered": self.covered,
            "method": self.method,
            "mfa_age_s": self.mfa_age_s,
            "purpose": self.purpose,
            "tls": self.tls,
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Context:
        """The inverse of ``record``."""
        return cls(**(dict(record) | {"now": parse_time(record["now"]), "expires": parse_time(record["expires"])}))


def _cedar_context(record: Mapping[str, Any]) -> str:
    """A recorded context as Cedar's JSON; moments in milliseconds, as Cedar has them."""
    typed = {
        "ip": _extension("ip", record["ip"].partition("%")[0]),
        "now": _extension("datetime", record["now"][:23] + "Z"),
        "expires": _extension("datetime", record["expires"][:23] + "Z"),
    }
    return _encode({**record, **typed}).decode()


def make_context(authentication: Authentication, now: datetime, covers: tuple[str, str], facts: Facts) -> Context:
    """The context of a request.

    Args:
        authentication: how the principal was recognised.
        now: the moment of the decision.
        covers: the action and its group; a limited credential must name one of them.
        facts: what the gate knows besides.
    """
    limits = authentication.actions
    return Context(
        ip=authentication.ip,
        now=now,
        expires=authentication.expires or _EVER,
        covered=limits is None or not limits.isdisjoint(covers),
        method=authentication.method,
        mfa_age_s=facts.mfa_age_s,
        purpose=facts.purpose,
        tls=facts.tls,
    )


def make_slice(
    principal: Principal, standing: Standing | None, resource: Resource, types: Mapping[str, str], now: datetime
) -> Slice:
    """The slice for a principal and a resource.

    Args:
        principal: who asks.
        standing: what it holds at ``now``; None for the platform itself.
        resource: what it asks about.
        types: Cedar types of the resource's attributes by name.
        now: the moment of the decision.
    """
    who, what = (principal.kind.value, principal.id), (resource.kind, resource.id)
    active = standing.account.active(now) if standing else principal.kind is PrincipalKind.SYSTEM
    entities: list[dict[str, Any]] = [
        {
            "uid": _uid(who),
            "attrs": {"active": active, "roles": list(standing.roles) if standing else []},
            "parents": [_uid(("Group", group)) for group in (standing.groups if standing else ())],
        }
    ]
    parent = _INSTALLATION
    if resource.project is not None:
        parent = ("Project", resource.project)
        entities.append({"uid": _uid(parent), "attrs": {}, "parents": [_uid(_INSTALLATION)]})
    if what not in (parent, _INSTALLATION):
        attributes = {name: _attribute(value, types.get(name, "String")) for name, value in resource.attributes.items()}
        entities.append({"uid": _uid(what), "attrs": attributes, "parents": [_uid(parent)]})
    reaching = [grant for grant in (standing.grants if standing else ()) if grant.project in (None, resource.project)]
    return Slice(who, what, _encode(entities).decode(), tuple(_link(grant) for grant in reaching))


def _link(grant: RoleGrant) -> Link:
    where = _INSTALLATION if grant.project is None else ("Project", grant.project)
    return Link(grant.id, grant.role.value, (grant.subject_kind.value, grant.subject), where)


def _attribute(value: Any, type_: str) -> Any:
    many, entity = attribute_type(type_)
    if entity is None:
        return sorted(value) if many else value
    return (
        [{"__entity": _uid((entity, each))} for each in sorted(value)] if many else {"__entity": _uid((entity, value))}
    )


def _extension(function: str, argument: str) -> dict[str, Any]:
    return {"__extn": {"fn": function, "arg": argument}}


def _uid(entity: tuple[str, str]) -> dict[str, str]:
    return {"type": entity[0], "id": entity[1]}
