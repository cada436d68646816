"""Who there is: people, service accounts, groups, projects, roles and the credentials they act by.

Nothing here is ever deleted. A membership, a grant and a token end; an account is disabled: so who could do what on any
past day can be answered from the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from muniment.kernel.digest import Digest
from muniment.kernel.principal import Principal, PrincipalKind

TOKEN_LIFE_DEFAULT_DAYS: Final = 30
TOKEN_LIFE_LONGEST_DAYS: Final = 365
SESSION_LIFE: Final = timedelta(hours=12)
BOOTSTRAP_LIFE: Final = timedelta(minutes=15)
FIRST_ADMINISTRATORS: Final = 2
"""One alone could never satisfy four-eyes."""


class Role(StrEnum):
    """The roles that ship with the product; each is a policy template."""

    ADMINISTRATOR = "administrator"
    KEY_ADMINISTRATOR = "key-administrator"
    SCIENTIST = "scientist"
    VALIDATOR = "validator"
    APPROVER = "approver"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    DATA_STEWARD = "data-steward"


class Stage(StrEnum):
    """What a project is for, in rising strictness; a project never becomes less strict."""

    DEVELOPMENT = "development"
    """Where models are made."""

    TEST = "test"
    """Where models that were approved elsewhere are tried; work by hand is possible."""

    PRODUCTION = "production"
    """Where models are used: nothing is trained, scripted or registered by hand, everything is promoted."""

    @property
    def strictness(self) -> int:
        """Its place in the order."""
        return list(Stage).index(self)


class SubjectKind(StrEnum):
    """Who can hold a role: the Cedar entity types."""

    USER = "User"
    SERVICE_ACCOUNT = "ServiceAccount"
    GROUP = "Group"


class TokenKind(StrEnum):
    """What a token is for; part of its text, so that a leak scanner and its owner can tell."""

    PERSONAL = "pat"
    """Issued to a person."""

    SERVICE = "svc"
    """Issued to a service account."""

    SESSION = "ses"
    """Made by signing in with a password."""

    BOOTSTRAP = "boot"
    """Makes the first administrators, once."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person or a service account."""

    name: str
    kind: PrincipalKind
    owner: str | None
    """For a service account the person who answers for it."""

    created_at: datetime
    created_by: str
    disabled_at: datetime | None = None

    @property
    def principal(self) -> Principal:
        """As policies and the ledger see it."""
        return Principal(self.kind, self.name)

    def active(self, now: datetime) -> bool:
        """Whether it may act at this moment."""
        return self.disabled_at is None or self.disabled_at > now


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of accounts."""

    name: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Membership:
    """An account belongs to a group for some time."""

    id: str
    group: str
    member: str
    since: datetime
    until: datetime | None
    """The end that was set when it began; None for open-ended."""

    added_by: str
    ended_at: datetime | None = None
    """When it was ended early."""

    def active(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        return _holds(now, self.since, self.until, self.ended_at)


@dataclass(frozen=True, slots=True)
class Project:
    """What separates one team's data, runs and models from another's; has its own key."""

    name: str
    created_at: datetime
    created_by: str
    stage: Stage = Stage.DEVELOPMENT


@dataclass(frozen=True, slots=True)
class StageChange:
    """A project came to a stage."""

    id: str
    project: str
    stage: Stage
    since: datetime
    set_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A role held by somebody in a project or in the whole installation."""

    id: str
    subject_kind: SubjectKind
    subject: str
    role: Role
    project: str | None
    """None for the whole installation."""

    since: datetime
    until: datetime | None
    granted_by: str
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def active(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        return _holds(now, self.since, self.until, self.revoked_at)

    @property
    def holder(self) -> str:
        """The subject as people write it: ``ana`` or ``group:risk``."""
        return f"group:{self.subject}" if self.subject_kind is SubjectKind.GROUP else self.subject


@dataclass(frozen=True, slots=True)
class Standing:
    """All that policy needs to know about a principal at one moment."""

    account: Account
    groups: tuple[str, ...]
    """Groups it belongs to at that moment, sorted."""

    grants: tuple[RoleGrant, ...]
    """Grants that hold at that moment, its own and those of its groups, sorted by id."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles held anywhere, sorted."""
        return tuple(sorted({grant.role.value for grant in self.grants}))


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: its digest, never its text."""

    id: str
    kind: TokenKind
    owner: str
    digest: Digest
    label: str
    actions: frozenset[str] | None
    """Action groups or actions it is limited to; None for all that its owner may do."""

    issued_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Password:
    """What is kept of a password: an argon2id hash with its parameters and salt."""

    account: str
    hash: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class BootstrapSecret:
    """The one-time right to make the first administrators."""

    id: str
    digest: Digest
    expires_at: datetime
    spent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public half of a key that a person signs with."""

    fingerprint: Digest
    """SHA-256 of the 32 bytes of the key: unique for ever, over all accounts."""

    account: str
    public_key: bytes
    """32 bytes, Ed25519."""

    label: str
    enrolled_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None


@dataclass(frozen=True, slots=True)
class AccountLink:
    """Two accounts belong to one person."""

    id: str
    account: str
    other: str
    since: datetime
    linked_by: str
    ended_at: datetime | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class Tie:
    """Why an account is not independent of another."""

    account: str
    """Who depends."""

    by: str
    """On whom."""

    how: str
    """``made this account``, ``issued a token of this account``, ``granted scientist to this account`` ..."""


def _holds(now: datetime, since: datetime, until: datetime | None, ended: datetime | None) -> bool:
    return since <= now and (until is None or now < until) and (ended is None or now < ended)
