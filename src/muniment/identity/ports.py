"""What identity asks of the store and of the rooms beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from muniment.identity.model import (
    Account,
    AccountLink,
    BootstrapSecret,
    Group,
    Membership,
    Password,
    Project,
    RoleGrant,
    SigningKey,
    Stage,
    StageChange,
    Standing,
    Tie,
    Token,
)
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session


class Accounts(Protocol):
    """People and service accounts; one name, one account."""

    def add(self, account: Account) -> None:
        """Add one whose name is free."""

    def find(self, name: str) -> Account | None:
        """The account of this name."""

    def disable(self, name: str, at: datetime) -> None:
        """Let it act no more from this moment on."""

    def all(self, limit: int) -> tuple[Account, ...]:
        """Accounts, newest first."""

    def exist(self) -> bool:
        """Whether there is any account."""


class Standings(Protocol):
    """Everything that policy needs about a principal, in one question."""

    def standing(self, name: str, at: datetime) -> Standing | None:
        """The account with the groups and grants that hold at that moment; None when there is no such account."""

    def holders(self, role: str, at: datetime) -> tuple[str, ...]:
        """Names of active accounts that hold a role in the whole installation, directly or by a group."""


class Groups(Protocol):
    """Groups and who belongs to them."""

    def add(self, group: Group) -> None:
        """Add one whose name is free."""

    def has(self, name: str) -> bool:
        """Whether there is such a group."""

    def all(self) -> tuple[Group, ...]:
        """Every group, newest first."""

    def add_member(self, membership: Membership) -> None:
        """Begin a membership."""

    def end_member(self, group: str, member: str, at: datetime) -> int:
        """End the memberships that hold at this moment; how many there were."""

    def members(self, at: datetime, group: str | None = None) -> tuple[Membership, ...]:
        """Memberships that hold at this moment, of one group or of all."""


class Grants(Protocol):
    """Who holds which role where."""

    def add(self, grant: RoleGrant) -> None:
        """Begin a grant."""

    def find(self, grant: str) -> RoleGrant | None:
        """The grant of this id."""

    def revoke(self, grant: str, at: datetime, by: str) -> None:
        """End a grant now."""

    def all(self, limit: int, subject: str | None = None) -> tuple[RoleGrant, ...]:
        """Grants, also ended ones, newest first; of one subject's name or of all."""


class Tokens(Protocol):
    """API tokens and sessions, by id; only digests are kept."""

    def add(self, token: Token) -> None:
        """Keep a new token."""

    def find(self, token: str) -> tuple[Token, Account] | None:
        """A token and its owner, in one indexed question."""

    def revoke(self, token: str, at: datetime) -> None:
        """End a token now."""

    def revoke_sessions(self, owner: str, at: datetime) -> None:
        """End every session that came from signing in."""

    def all(self, limit: int, owner: str | None = None) -> tuple[Token, ...]:
        """Tokens, also ended ones, newest first; of one owner or of all."""

    def used(self, uses: Mapping[str, datetime]) -> None:
        """Note last uses by token id; an older moment never replaces a newer one."""


class Passwords(Protocol):
    """Password hashes."""

    def find(self, account: str) -> Password | None:
        """The hash kept for an account."""

    def set(self, password: Password) -> None:
        """Keep a hash in place of the former one."""

    def forget(self, account: str) -> None:
        """Keep no hash for an account any more."""


class Bootstraps(Protocol):
    """The secrets that can make the first administrators."""

    def add(self, secret: BootstrapSecret) -> None:
        """Keep a new secret; every former one dies."""

    def find(self, secret: str) -> BootstrapSecret | None:
        """The secret of this id."""

    def spend(self, secret: str, at: datetime) -> None:
        """Let it never be used again."""


class Projects(Protocol):
    """Projects by name; implements the kernel's ProjectDirectory too."""

    def add(self, project: Project) -> None:
        """Add one whose name is free; it begins in development."""

    def stage(self, name: str) -> Stage:
        """The strictest stage that a project came to; development for one that never came to another."""

    def come_to(self, change: StageChange) -> None:
        """Let a project be of a stage from now on."""

    def has_project(self, name: str) -> bool:
        """Whether a project of this name exists."""

    def all(self) -> tuple[Project, ...]:
        """Every project, newest first."""


class ProjectOpened(Protocol):
    """What else must happen, in the same transaction, when a project is opened: its key is made."""

    def opened(self, session: Session, project: str) -> None:
        """Called once, before the transaction commits."""


class SigningKeys(Protocol):
    """Public keys of people; a key is bound to one account for ever."""

    def add(self, key: SigningKey) -> None:
        """Keep one that nobody holds."""

    def find(self, fingerprint: Digest) -> SigningKey | None:
        """The key of this fingerprint, also a revoked one."""

    def of(self, account: str | None) -> Sequence[SigningKey]:
        """The keys of an account, or of all, newest first, also revoked ones."""

    def revoke(self, fingerprint: Digest, at: datetime, by: str) -> None:
        """Let it sign no more from this moment on."""


class Ties(Protocol):
    """Which accounts are one person, and which depend on others."""

    def link(self, link: AccountLink) -> None:
        """Join two accounts."""

    def unlink(self, link: str, at: datetime, by: str) -> None:
        """End a link now."""

    def links(self) -> Sequence[AccountLink]:
        """The links that were not ended, newest first."""

    def same(self, names: Iterable[str]) -> frozenset[str]:
        """Every account of the people behind these accounts.

        The owner of a service account is the person behind it, and linked accounts are one person; the answer holds the
        accounts that were given, and the service accounts that these people answer for.
        """

    def beholden(self, names: Iterable[str], project: str) -> Sequence[Tie]:
        """Other accounts that one of these made, issued a token for, or gave a role or a membership that reaches a
        project and was not ended early. It asks no clock: what ran out by itself still counts.
        """
