"""Identity on SQL. Rows end, they are not deleted; only password hashes and last uses are replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    union_all,
    update,
)

from muniment.adapters.sql.direct import Addition, Question
from muniment.adapters.sql.schema import DIGEST, ID, METADATA, MOMENT, NAME
from muniment.identity.model import (
    Account,
    AccountLink,
    BootstrapSecret,
    Group,
    Membership,
    Password,
    Project,
    Role,
    RoleGrant,
    SigningKey,
    Stage,
    StageChange,
    Standing,
    SubjectKind,
    Tie,
    Token,
    TokenKind,
)
from muniment.identity.ports import (
    Accounts,
    Bootstraps,
    Grants,
    Groups,
    Passwords,
    Projects,
    SigningKeys,
    Standings,
    Ties,
    Tokens,
)
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.principal import PrincipalKind
from muniment.kernel.resources import ProjectDirectory

_KIND: Final = String(16)

ACCOUNTS: Final = Table(
    "identity_accounts",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("kind", _KIND, nullable=False),
    Column("owner", NAME),
    Column("created_at", MOMENT, nullable=False),
    Column("created_by", NAME, nullable=False),
    Column("disabled_at", MOMENT),
)
GROUPS: Final = Table(
    "identity_groups",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("created_at", MOMENT, nullable=False),
    Column("created_by", NAME, nullable=False),
)
MEMBERSHIPS: Final = Table(
    "identity_memberships",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("group", NAME, nullable=False),
    Column("member", NAME, nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("until", MOMENT),
    Column("added_by", NAME, nullable=False),
    Column("ended_at", MOMENT),
)
Index("ix_identity_memberships_member", MEMBERSHIPS.c.member)
Index("ix_identity_memberships_group", MEMBERSHIPS.c.group)
GRANTS: Final = Table(
    "identity_grants",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("subject_kind", _KIND, nullable=False),
    Column("subject", NAME, nullable=False),
    Column("role", String(32), nullable=False),
    Column("project", NAME),
    Column("since", MOMENT, nullable=False),
    Column("until", MOMENT),
    Column("granted_by", NAME, nullable=False),
    Column("revoked_at", MOMENT),
    Column("revoked_by", NAME),
)
Index("ix_identity_grants_subject", GRANTS.c.subject)
TOKENS: Final = Table(
    "identity_tokens",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("kind", _KIND, nullable=False),
    Column("owner", NAME, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("label", String(200), nullable=False),
    Column("actions", Text),
    Column("issued_by", NAME, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
    Column("last_used_at", MOMENT),
)
Index("ix_identity_tokens_owner", TOKENS.c.owner)
PASSWORDS: Final = Table(
    "identity_passwords",
    METADATA,
    Column("account", NAME, primary_key=True),
    Column("hash", String(300), nullable=False),
    Column("changed_at", MOMENT, nullable=False),
)
BOOTSTRAPS: Final = Table(
    "identity_bootstraps",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("spent_at", MOMENT),
)
PROJECTS: Final = Table(
    "identity_projects",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("created_at", MOMENT, nullable=False),
    Column("created_by", NAME, nullable=False),
)
STAGES: Final = Table(
    "identity_stages",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("project", NAME, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("set_by", NAME, nullable=False),
    Column("reason", Text, nullable=False),
)
Index("ix_identity_stages_project", STAGES.c.project)
SIGNING_KEYS: Final = Table(
    "identity_signing_keys",
    METADATA,
    Column("fingerprint", DIGEST, primary_key=True),
    Column("account", NAME, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("label", String(200), nullable=False),
    Column("enrolled_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
    Column("revoked_by", NAME),
)
Index("ix_identity_signing_keys_account", SIGNING_KEYS.c.account)
LINKS: Final = Table(
    "identity_links",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("account", NAME, nullable=False),
    Column("other", NAME, nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("linked_by", NAME, nullable=False),
    Column("ended_at", MOMENT),
    Column("ended_by", NAME),
)


def _strictest(stages: Iterable[Stage]) -> Stage:
    return max(stages, key=lambda stage: stage.strictness, default=Stage.DEVELOPMENT)


def _holds(table: Table, ended: str) -> ColumnElement[bool]:
    """Whether a row of a table with since, until and an early end holds at the bound moment ``at``."""
    at: ColumnElement[str] = bindparam("at", type_=MOMENT)
    until, early = table.c.until, table.c[ended]
    return and_(table.c.since <= at, or_(until.is_(None), until > at), or_(early.is_(None), early > at))


_IN_FORCE: Final = _holds(GRANTS, "revoked_at")
_BELONGS: Final = _holds(MEMBERSHIPS, "ended_at")


def _own_or_by_group(member: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a grant is an account's own or one of a group that it belongs to."""
    by_group = (
        exists()
        .where(MEMBERSHIPS.c.group == GRANTS.c.subject, MEMBERSHIPS.c.member == member, _BELONGS)
        .correlate_except(MEMBERSHIPS)  # by itself SQLAlchemy would not see the accounts two levels up
    )
    return or_(
        and_(GRANTS.c.subject_kind != SubjectKind.GROUP.value, GRANTS.c.subject == member),
        and_(GRANTS.c.subject_kind == SubjectKind.GROUP.value, by_group),
    )


_KEPT: Final = 4096
_NAMED: Final[ColumnElement[str]] = bindparam("name")
_GROUP_KIND: Final[ColumnElement[str]] = literal_column(f"'{SubjectKind.GROUP.value}'")
_STANDING: Final = Question(
    union_all(
        select(literal_column("'account'"), *ACCOUNTS.c, *[null()] * (len(GRANTS.c) - len(ACCOUNTS.c))).where(
            ACCOUNTS.c.name == _NAMED
        ),
        select(literal_column("'group'"), MEMBERSHIPS.c.group, *[null()] * (len(GRANTS.c) - 1)).where(
            MEMBERSHIPS.c.member == _NAMED, _BELONGS
        ),
        select(literal_column("'grant'"), *GRANTS.c).where(
            GRANTS.c.subject == _NAMED, GRANTS.c.subject_kind != _GROUP_KIND, _IN_FORCE
        ),
        select(literal_column("'grant'"), *GRANTS.c)
        .select_from(MEMBERSHIPS)
        .join(GRANTS, GRANTS.c.subject == MEMBERSHIPS.c.group)
        .where(MEMBERSHIPS.c.member == _NAMED, _BELONGS, GRANTS.c.subject_kind == _GROUP_KIND, _IN_FORCE),
    )
)
_HOLDERS: Final = (
    select(ACCOUNTS.c.name)
    .where(
        or_(ACCOUNTS.c.disabled_at.is_(None), ACCOUNTS.c.disabled_at > bindparam("at")),
        exists().where(
            GRANTS.c.role == bindparam("role"),
            GRANTS.c.project.is_(None),
            _IN_FORCE,
            _own_or_by_group(ACCOUNTS.c.name),
        ),
    )
    .order_by(ACCOUNTS.c.name)
)
_HAS_PROJECT: Final = Question(select(PROJECTS.c.name).where(PROJECTS.c.name == bindparam("name")))

_TOKEN: Final = Question(
    select(TOKENS, *[column.label(f"account_{column.name}") for column in ACCOUNTS.c])
    .join(ACCOUNTS, ACCOUNTS.c.name == TOKENS.c.owner)
    .where(TOKENS.c.id == bindparam("id"))
)

_ADD_ACCOUNT: Final = Addition(ACCOUNTS)
_ADD_GROUP: Final = Addition(GROUPS)
_ADD_MEMBERSHIP: Final = Addition(MEMBERSHIPS)
_ADD_GRANT: Final = Addition(GRANTS)
_ADD_TOKEN: Final = Addition(TOKENS)
_ADD_PASSWORD: Final = Addition(PASSWORDS)
_ADD_BOOTSTRAP: Final = Addition(BOOTSTRAPS)
_ADD_PROJECT: Final = Addition(PROJECTS)
_ADD_STAGE: Final = Addition(STAGES)
_ADD_SIGNING_KEY: Final = Addition(SIGNING_KEYS)
_ADD_LINK: Final = Addition(LINKS)


class SqlAccounts:
    """People and service accounts."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, account: Account) -> None:
        """Add one whose name is free."""
        _ADD_ACCOUNT.add(
            self._db,
            {
                "name": account.name,
                "kind": account.kind.value,
                "owner": account.owner,
                "created_at": format_time(account.created_at),
                "created_by": account.created_by,
                "disabled_at": _text(account.disabled_at),
            },
        )

    def find(self, name: str) -> Account | None:
        """The account of this name."""
        row = self._db.execute(select(ACCOUNTS).where(ACCOUNTS.c.name == name)).first()
        return _account(row) if row is not None else None

    def disable(self, name: str, at: datetime) -> None:
        """Let it act no more from this moment on."""
        self._db.execute(update(ACCOUNTS).where(ACCOUNTS.c.name == name).values(disabled_at=format_time(at)))

    def all(self, limit: int) -> tuple[Account, ...]:
        """Accounts, newest first."""
        newest = select(ACCOUNTS).order_by(ACCOUNTS.c.created_at.desc(), ACCOUNTS.c.name).limit(limit)
        return tuple(_account(row) for row in self._db.execute(newest))

    def exist(self) -> bool:
        """Whether there is any account."""
        return self._db.execute(select(ACCOUNTS.c.name).limit(1)).first() is not None


class SqlStandings:
    """Everything that policy needs about a principal, in one query."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def standing(self, name: str, at: datetime) -> Standing | None:
        """The account with the groups and grants that hold at that moment."""
        return _standing(tuple(_STANDING.ask(self._db, {"name": name, "at": format_time(at)})))

    def holders(self, role: str, at: datetime) -> tuple[str, ...]:
        """Names of active accounts that hold a role in the whole installation."""
        return tuple(self._db.execute(_HOLDERS, {"role": role, "at": format_time(at)}).scalars())


class SqlGroups:
    """Groups and memberships."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, group: Group) -> None:
        """Add one whose name is free."""
        _ADD_GROUP.add(
            self._db, {"name": group.name, "created_at": format_time(group.created_at), "created_by": group.created_by}
        )

    def has(self, name: str) -> bool:
        """Whether there is such a group."""
        return self._db.execute(select(GROUPS.c.name).where(GROUPS.c.name == name)).first() is not None

    def all(self) -> tuple[Group, ...]:
        """Every group, newest first."""
        rows = self._db.execute(select(GROUPS).order_by(GROUPS.c.created_at.desc(), GROUPS.c.name))
        return tuple(Group(row.name, parse_time(row.created_at), row.created_by) for row in rows)

    def add_member(self, membership: Membership) -> None:
        """Begin a membership."""
        _ADD_MEMBERSHIP.add(
            self._db,
            {
                "id": membership.id,
                "group": membership.group,
                "member": membership.member,
                "since": format_time(membership.since),
                "until": _text(membership.until),
                "added_by": membership.added_by,
                "ended_at": _text(membership.ended_at),
            },
        )

    def end_member(self, group: str, member: str, at: datetime) -> int:
        """End the memberships that hold at this moment; how many there were."""
        ended = self._db.execute(
            update(MEMBERSHIPS)
            .where(MEMBERSHIPS.c.group == group, MEMBERSHIPS.c.member == member, _BELONGS)
            .values(ended_at=bindparam("ended")),
            {"at": format_time(at), "ended": format_time(at)},
        )
        return ended.rowcount

    def members(self, at: datetime, group: str | None = None) -> tuple[Membership, ...]:
        """Memberships that hold at this moment, of one group or of all."""
        holding = select(MEMBERSHIPS).where(_BELONGS).order_by(MEMBERSHIPS.c.group, MEMBERSHIPS.c.member)
        if group is not None:
            holding = holding.where(MEMBERSHIPS.c.group == group)
        return tuple(
            Membership(
                row.id,
                row.group,
                row.member,
                parse_time(row.since),
                _moment(row.until),
                row.added_by,
                _moment(row.ended_at),
            )
            for row in self._db.execute(holding, {"at": format_time(at)})
        )


class SqlGrants:
    """Who holds which role where."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, grant: RoleGrant) -> None:
        """Begin a grant."""
        _ADD_GRANT.add(
            self._db,
            {
                "id": grant.id,
                "subject_kind": grant.subject_kind.value,
                "subject": grant.subject,
                "role": grant.role.value,
                "project": grant.project,
                "since": format_time(grant.since),
                "until": _text(grant.until),
                "granted_by": grant.granted_by,
                "revoked_at": _text(grant.revoked_at),
                "revoked_by": grant.revoked_by,
            },
        )

    def find(self, grant: str) -> RoleGrant | None:
        """The grant of this id."""
        row = self._db.execute(select(GRANTS).where(GRANTS.c.id == grant)).first()
        return _grant(row) if row is not None else None

    def revoke(self, grant: str, at: datetime, by: str) -> None:
        """End a grant now."""
        self._db.execute(update(GRANTS).where(GRANTS.c.id == grant).values(revoked_at=format_time(at), revoked_by=by))

    def all(self, limit: int, subject: str | None = None) -> tuple[RoleGrant, ...]:
        """Grants, also ended ones, newest first; of one subject's name or of all."""
        newest = select(GRANTS).order_by(GRANTS.c.id.desc()).limit(limit)
        if subject is not None:
            newest = newest.where(GRANTS.c.subject == subject)
        return tuple(_grant(row) for row in self._db.execute(newest))


class SqlTokens:
    """Tokens by id; only digests are kept."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, token: Token) -> None:
        """Keep a new token."""
        _ADD_TOKEN.add(
            self._db,
            {
                "id": token.id,
                "kind": token.kind.value,
                "owner": token.owner,
                "digest": token.digest,
                "label": token.label,
                "actions": None if token.actions is None else json.dumps(sorted(token.actions), separators=(",", ":")),
                "issued_by": token.issued_by,
                "created_at": format_time(token.created_at),
                "expires_at": format_time(token.expires_at),
                "revoked_at": _text(token.revoked_at),
                "last_used_at": _text(token.last_used_at),
            },
        )

    def find(self, token: str) -> tuple[Token, Account] | None:
        """A token and its owner, in one indexed question."""
        rows = _TOKEN.ask(self._db, {"id": token})
        return _token_and_owner(rows[0]) if rows else None

    def revoke(self, token: str, at: datetime) -> None:
        """End a token now."""
        self._db.execute(
            update(TOKENS).where(TOKENS.c.id == token, TOKENS.c.revoked_at.is_(None)).values(revoked_at=format_time(at))
        )

    def revoke_sessions(self, owner: str, at: datetime) -> None:
        """End every session that came from signing in."""
        self._db.execute(
            update(TOKENS)
            .where(TOKENS.c.owner == owner, TOKENS.c.kind == TokenKind.SESSION.value, TOKENS.c.revoked_at.is_(None))
            .values(revoked_at=format_time(at))
        )

    def all(self, limit: int, owner: str | None = None) -> tuple[Token, ...]:
        """Tokens, also ended ones, newest first; of one owner or of all."""
        newest = select(TOKENS).order_by(TOKENS.c.id.desc()).limit(limit)
        if owner is not None:
            newest = newest.where(TOKENS.c.owner == owner)
        return tuple(_token(row) for row in self._db.execute(newest))

    def used(self, uses: Mapping[str, datetime]) -> None:
        """Note last uses by token id; an older moment never replaces a newer one."""
        for token, at in sorted(uses.items()):
            used = TOKENS.c.last_used_at
            moment = format_time(at)
            self._db.execute(
                update(TOKENS)
                .where(TOKENS.c.id == token, or_(used.is_(None), used < moment))
                .values(last_used_at=moment)
            )


class SqlPasswords:
    """Password hashes."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def find(self, account: str) -> Password | None:
        """The hash kept for an account."""
        row = self._db.execute(select(PASSWORDS).where(PASSWORDS.c.account == account)).first()
        return Password(row.account, row.hash, parse_time(row.changed_at)) if row is not None else None

    def set(self, password: Password) -> None:
        """Keep a hash in place of the former one."""
        values = {"hash": password.hash, "changed_at": format_time(password.changed_at)}
        replaced = self._db.execute(update(PASSWORDS).where(PASSWORDS.c.account == password.account).values(**values))
        if replaced.rowcount == 0:
            _ADD_PASSWORD.add(self._db, {"account": password.account, **values})

    def forget(self, account: str) -> None:
        """Keep no hash for an account any more."""
        self._db.execute(delete(PASSWORDS).where(PASSWORDS.c.account == account))


class SqlBootstraps:
    """The secrets that can make the first administrators."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, secret: BootstrapSecret) -> None:
        """Keep a new secret; every former one dies."""
        made = BOOTSTRAPS.c.spent_at
        self._db.execute(update(BOOTSTRAPS).where(made.is_(None)).values(spent_at=BOOTSTRAPS.c.expires_at))
        _ADD_BOOTSTRAP.add(
            self._db,
            {
                "id": secret.id,
                "digest": secret.digest,
                "expires_at": format_time(secret.expires_at),
                "spent_at": _text(secret.spent_at),
            },
        )

    def find(self, secret: str) -> BootstrapSecret | None:
        """The secret of this id."""
        row = self._db.execute(select(BOOTSTRAPS).where(BOOTSTRAPS.c.id == secret)).first()
        if row is None:
            return None
        return BootstrapSecret(row.id, Digest(row.digest), parse_time(row.expires_at), _moment(row.spent_at))

    def spend(self, secret: str, at: datetime) -> None:
        """Let it never be used again."""
        self._db.execute(update(BOOTSTRAPS).where(BOOTSTRAPS.c.id == secret).values(spent_at=format_time(at)))


class SqlProjects:
    """Projects by name."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, project: Project) -> None:
        """Add one whose name is free."""
        _ADD_PROJECT.add(
            self._db,
            {"name": project.name, "created_at": format_time(project.created_at), "created_by": project.created_by},
        )

    def stage(self, name: str) -> Stage:
        """The strictest stage that a project came to."""
        reached = self._db.execute(select(STAGES.c.stage).where(STAGES.c.project == name)).scalars()
        return _strictest(map(Stage, reached))

    def come_to(self, change: StageChange) -> None:
        """Let a project be of a stage from now on."""
        _ADD_STAGE.add(
            self._db,
            {
                "id": change.id,
                "project": change.project,
                "stage": change.stage.value,
                "since": format_time(change.since),
                "set_by": change.set_by,
                "reason": change.reason,
            },
        )

    def has_project(self, name: str) -> bool:
        """Whether a project of this name exists."""
        return bool(_HAS_PROJECT.ask(self._db, {"name": name}))

    def all(self) -> tuple[Project, ...]:
        """Every project, newest first."""
        rows = self._db.execute(select(PROJECTS).order_by(PROJECTS.c.created_at.desc(), PROJECTS.c.name))
        reached: dict[str, list[Stage]] = {}
        for project, stage in self._db.execute(select(STAGES.c.project, STAGES.c.stage)):
            reached.setdefault(project, []).append(Stage(stage))
        return tuple(
            Project(row.name, parse_time(row.created_at), row.created_by, _strictest(reached.get(row.name, ())))
            for row in rows
        )


class SqlSigningKeys:
    """Public keys of people."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, key: SigningKey) -> None:
        """Keep one that nobody holds."""
        _ADD_SIGNING_KEY.add(
            self._db,
            {
                "fingerprint": key.fingerprint,
                "account": key.account,
                "public_key": key.public_key,
                "label": key.label,
                "enrolled_at": format_time(key.enrolled_at),
                "revoked_at": _text(key.revoked_at),
                "revoked_by": key.revoked_by,
            },
        )

    def find(self, fingerprint: Digest) -> SigningKey | None:
        """The key of this fingerprint, also a revoked one."""
        row = self._db.execute(select(SIGNING_KEYS).where(SIGNING_KEYS.c.fingerprint == fingerprint)).first()
        return _signing_key(row) if row is not None else None

    def of(self, account: str | None) -> Sequence[SigningKey]:
        """The keys of an account, or of all, newest first, also revoked ones."""
        newest = select(SIGNING_KEYS).order_by(SIGNING_KEYS.c.enrolled_at.desc(), SIGNING_KEYS.c.fingerprint)
        if account is not None:
            newest = newest.where(SIGNING_KEYS.c.account == account)
        return [_signing_key(row) for row in self._db.execute(newest)]

    def revoke(self, fingerprint: Digest, at: datetime, by: str) -> None:
        """Let it sign no more from this moment on."""
        self._db.execute(
            update(SIGNING_KEYS)
            .where(SIGNING_KEYS.c.fingerprint == fingerprint, SIGNING_KEYS.c.revoked_at.is_(None))
            .values(revoked_at=format_time(at), revoked_by=by)
        )


class SqlTies:
    """Which accounts are one person, and which depend on others."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def link(self, link: AccountLink) -> None:
        """Join two accounts."""
        _ADD_LINK.add(
            self._db,
            {
                "id": link.id,
                "account": link.account,
                "other": link.other,
                "since": format_time(link.since),
                "linked_by": link.linked_by,
            },
        )

    def unlink(self, link: str, at: datetime, by: str) -> None:
        """End a link now."""
        self._db.execute(
            update(LINKS)
            .where(LINKS.c.id == link, LINKS.c.ended_at.is_(None))
            .values(ended_at=format_time(at), ended_by=by)
        )

    def links(self) -> Sequence[AccountLink]:
        """The links that were not ended, newest first."""
        holding = select(LINKS).where(LINKS.c.ended_at.is_(None))
        return [
            AccountLink(row.id, row.account, row.other, parse_time(row.since), row.linked_by)
            for row in self._db.execute(holding.order_by(LINKS.c.id.desc()))
        ]

    def same(self, names: Iterable[str]) -> frozenset[str]:
        """Every account of the people behind these accounts."""
        found = {name for name in names if name}
        pairs = [(link.account, link.other) for link in self.links()]
        pairs += [
            tuple(row)
            for row in self._db.execute(select(ACCOUNTS.c.name, ACCOUNTS.c.owner).where(ACCOUNTS.c.owner.is_not(None)))
        ]
        while more := {two for pair in pairs for two in pair if found & set(pair)} - found:
            found |= more
        return frozenset(found)

    def beholden(self, names: Iterable[str], project: str) -> Sequence[Tie]:
        """Other accounts that one of these made, issued a token for, or gave a role or membership."""
        by = sorted(set(names))
        if not by:
            return []
        here = or_(GRANTS.c.project.is_(None), GRANTS.c.project == project)
        grouped = GRANTS.c.subject_kind == SubjectKind.GROUP.value
        members = MEMBERSHIPS.c.group == GRANTS.c.subject
        made = select(ACCOUNTS.c.name, ACCOUNTS.c.created_by, literal("made this account"))
        issued = select(TOKENS.c.owner, TOKENS.c.issued_by, literal("issued a token of this account"))
        granted = select(GRANTS.c.subject, GRANTS.c.granted_by, literal("granted it ") + GRANTS.c.role)
        through = select(MEMBERSHIPS.c.member, GRANTS.c.granted_by, literal("granted its group ") + GRANTS.c.role)
        joined = select(
            MEMBERSHIPS.c.member, MEMBERSHIPS.c.added_by, literal("put it into the group ") + GRANTS.c.subject
        )
        both = MEMBERSHIPS.join(GRANTS, members)
        held, belongs = GRANTS.c.revoked_at.is_(None), MEMBERSHIPS.c.ended_at.is_(None)
        found: set[tuple[str, str, str]] = set()
        for query in (
            made.where(ACCOUNTS.c.created_by.in_(by)),
            issued.where(TOKENS.c.issued_by.in_(by), TOKENS.c.owner != TOKENS.c.issued_by),
            granted.where(GRANTS.c.granted_by.in_(by), here, not_(grouped), held),
            through.select_from(both).where(GRANTS.c.granted_by.in_(by), here, grouped, held, belongs),
            joined.select_from(both).where(MEMBERSHIPS.c.added_by.in_(by), here, grouped, held, belongs),
        ):
            found |= {(row[0], row[1], row[2]) for row in self._db.execute(query)}
        return [Tie(*one) for one in sorted(found) if one[0] not in by]


def _signing_key(row: Any) -> SigningKey:
    return SigningKey(
        Digest(row.fingerprint),
        row.account,
        bytes(row.public_key),
        row.label,
        parse_time(row.enrolled_at),
        _moment(row.revoked_at),
        row.revoked_by,
    )


def _text(moment: datetime | None) -> str | None:
    return format_time(moment) if moment is not None else None


def _moment(text: str | None) -> datetime | None:
    return parse_time(text) if text is not None else None


@lru_cache(_KEPT)
def _standing(rows: tuple[tuple[Any, ...], ...]) -> Standing | None:
    """What the rows say; kept by what they hold, so never stale."""
    account: Account | None = None
    groups: set[str] = set()
    grants: dict[str, RoleGrant] = {}  # by id: who is in a group twice holds its grants once
    for what, *fields in rows:
        if what == "grant":
            grants[fields[0]] = _grant(fields)
        elif what == "group":
            groups.add(fields[0])
        else:
            account = _account(fields[:6])
    if account is None:
        return None
    return Standing(account, tuple(sorted(groups)), tuple(grants[id_] for id_ in sorted(grants)))


@lru_cache(_KEPT)
def _token_and_owner(row: tuple[Any, ...]) -> tuple[Token, Account]:
    """What the row says; kept by what it holds, so never stale."""
    kept = len(TOKENS.c)
    return _token(row[:kept]), _account(row[kept:])


def _account(row: Sequence[Any]) -> Account:
    name, kind, owner, created_at, created_by, disabled_at = row
    return Account(name, PrincipalKind(kind), owner, parse_time(created_at), created_by, _moment(disabled_at))


def _grant(row: Sequence[Any]) -> RoleGrant:
    id_, kind, subject, role, project, since, until, granted_by, revoked_at, revoked_by = row
    return RoleGrant(
        id_,
        SubjectKind(kind),
        subject,
        Role(role),
        project,
        parse_time(since),
        _moment(until),
        granted_by,
        _moment(revoked_at),
        revoked_by,
    )


def _token(row: Sequence[Any]) -> Token:
    id_, kind, owner, digest, label, actions, issued_by, created_at, expires_at, revoked_at, last_used_at = row
    return Token(
        id_,
        TokenKind(kind),
        owner,
        Digest(digest),
        label,
        frozenset(json.loads(actions)) if actions is not None else None,
        issued_by,
        parse_time(created_at),
        parse_time(expires_at),
        _moment(revoked_at),
        _moment(last_used_at),
    )


REPOSITORIES: Final[Mapping[type[Any], Callable[[Connection], Any]]] = {
    Accounts: SqlAccounts,
    Standings: SqlStandings,
    Groups: SqlGroups,
    Grants: SqlGrants,
    Tokens: SqlTokens,
    Passwords: SqlPasswords,
    SigningKeys: SqlSigningKeys,
    Ties: SqlTies,
    Bootstraps: SqlBootstraps,
    Projects: SqlProjects,
    ProjectDirectory: SqlProjects,
}
