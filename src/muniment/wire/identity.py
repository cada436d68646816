"""Requests and replies about people, groups, projects, roles and credentials."""

from __future__ import annotations

from msgspec import Struct

from muniment.kernel.verb import Secret


class AddUser(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make an account for a person."""

    name: str


class AddServiceAccount(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make an account for a program, for which a person answers."""

    name: str
    owner: str


class DisableUser(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let an account act no more; its tokens end with it."""

    name: str


class Account(Struct, kw_only=True, frozen=True):
    """A person or a service account."""

    name: str
    kind: str
    """``User`` or ``ServiceAccount``."""

    owner: str | None
    active: bool
    created_at: str
    created_by: str
    groups: list[str]
    roles: list[str]
    """``role`` or ``role@project``; those that hold now."""


class ListUsers(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """People and service accounts, newest first."""

    role: str | None = None
    """Only those who hold this role somewhere."""

    limit: int = 100


class Users(Struct, kw_only=True, frozen=True):
    """A list of accounts."""

    users: list[Account]


class AddGroup(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make an empty group."""

    name: str


class AddMember(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let an account belong to a group."""

    group: str
    member: str
    until: str | None = None
    """Moment at which the membership ends by itself, ISO 8601 with zone."""


class RemoveMember(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """End a membership now."""

    group: str
    member: str


class Member(Struct, kw_only=True, frozen=True):
    """A membership that holds."""

    name: str
    since: str
    until: str | None
    added_by: str


class Group(Struct, kw_only=True, frozen=True):
    """A group with its members of now."""

    name: str
    created_at: str
    members: list[Member]
    roles: list[str]


class ListGroups(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Every group, newest first."""


class Groups(Struct, kw_only=True, frozen=True):
    """A list of groups."""

    groups: list[Group]


class AddProject(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Open a project: a scope for roles and a key of its own."""

    name: str
    stage: str = "development"
    """``development``, ``test`` or ``production``."""


class SetStage(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let a project be of a stricter stage from now on; it never becomes less strict."""

    name: str
    stage: str
    """``test`` or ``production``."""

    reason: str


class Project(Struct, kw_only=True, frozen=True):
    """A project."""

    name: str
    created_at: str
    created_by: str
    stage: str = "development"
    """``development``; ``test``; or ``production``: nothing is trained, scripted or registered by hand there."""


class ListProjects(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The projects in which one holds a role, newest first."""


class Projects(Struct, kw_only=True, frozen=True):
    """A list of projects."""

    projects: list[Project]


class GrantRole(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Give a role to an account or a group, in a project or everywhere."""

    subject: str
    """Name of an account, or ``group:<name>``."""

    role: str
    scope: str | None = None
    """Name of a project; None for the whole installation."""

    until: str | None = None
    """Moment at which the grant ends by itself, ISO 8601 with zone."""


class RevokeRole(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """End a grant now."""

    grant: str


class RoleGrant(Struct, kw_only=True, frozen=True):
    """A role held by somebody somewhere."""

    id: str
    subject: str
    role: str
    scope: str | None
    since: str
    until: str | None
    granted_by: str
    active: bool


class ListRoles(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Grants of roles, also ended ones, newest first."""

    subject: str | None = None
    limit: int = 100


class RoleGrants(Struct, kw_only=True, frozen=True):
    """A list of grants."""

    grants: list[RoleGrant]


class IssueToken(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make a token for oneself."""

    label: str = ""
    days: int = 30
    actions: list[str] | None = None
    """Action groups or actions the token is limited to; None for all that its owner may do."""


class IssueTokenFor(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make a token for somebody else."""

    owner: str
    label: str = ""
    days: int = 30
    actions: list[str] | None = None


class IssuedToken(Struct, kw_only=True, frozen=True):
    """A new token; its text is never shown again."""

    id: str
    owner: str
    token: str
    expires_at: str
    actions: list[str] | None = None


class RevokeToken(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """End one of one's own tokens now."""

    token: str
    """Id of the token, not its text."""


class RevokeTokenOf(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """End anybody's token now."""

    token: str
    """Id of the token, not its text."""


class Token(Struct, kw_only=True, frozen=True):
    """What is known of a token."""

    id: str
    kind: str
    owner: str
    label: str
    actions: list[str] | None
    issued_by: str
    created_at: str
    expires_at: str
    last_used_at: str | None
    """Accurate to a minute."""

    status: str
    """``active``, ``expired`` or ``revoked``."""


class ListTokens(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One's own tokens, newest first."""

    limit: int = 100


class ListTokensOf(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The tokens of one account or of all, newest first."""

    owner: str | None = None
    limit: int = 100


class Tokens(Struct, kw_only=True, frozen=True):
    """A list of tokens."""

    tokens: list[Token]


class SetPassword(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Set or change one's own password."""

    password: Secret
    current: Secret | None = None
    """The present password; needed when there is one."""


class PasswordSet(Struct, kw_only=True, frozen=True):
    """The password was set; sessions made with the former one ended."""

    changed_at: str


class SignIn(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Exchange a password for a token that lives 12 hours."""

    name: str
    password: Secret


class WhoAmI(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Who one is to the platform."""


class Identity(Struct, kw_only=True, frozen=True):
    """A principal with what it holds and how it was recognised."""

    name: str
    kind: str
    method: str
    credential: str
    expires_at: str | None
    actions: list[str] | None
    groups: list[str]
    roles: list[RoleGrant]


class Bootstrap(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make the first two administrators with the one-time secret that the machine's operator printed."""

    secret: Secret
    administrators: list[str]


class Administrators(Struct, kw_only=True, frozen=True):
    """The first administrators with a token each; the texts are never shown again."""

    administrators: list[IssuedToken]


class RestoreAccess(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Give two administrators of a restored installation tokens, since none came with the export."""

    administrators: list[str] = []
    """Empty for the first two by name."""


class EnrolSigningKey(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make known the public half of a key that one signs with."""

    public_key: str
    """Base64 of the 32 bytes, or of the DER form that openssl writes."""

    proof: str
    """Base64 of a signature with this key over ``{"format":"muniment.enrolment/1","public_key":...,"signer":...}``."""

    label: str = ""
    endorsement: str | None = None
    """Base64 of a signature with a key that one has already, over the same bytes; needed for every key but the first,
    unless an administrator revoked the former one."""


class RevokeSigningKey(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let one of one's own keys sign no more."""

    key: str
    """Fingerprint."""


class RevokeSigningKeyOf(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let anybody's key sign no more."""

    key: str


class ListSigningKeys(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One's own signing keys, newest first."""


class ListSigningKeysOf(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The signing keys of one account or of all, newest first."""

    owner: str | None = None
    limit: int = 100


class SigningKey(Struct, kw_only=True, frozen=True):
    """A public key that somebody signs with."""

    key: str
    """Fingerprint: the SHA-256 of its 32 bytes."""

    owner: str
    public_key: str
    """Base64 of the 32 bytes."""

    label: str
    enrolled_at: str
    revoked_at: str | None
    revoked_by: str | None


class SigningKeys(Struct, kw_only=True, frozen=True):
    """A list of signing keys."""

    keys: list[SigningKey]


class LinkAccounts(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """State that two accounts belong to one person."""

    account: str
    other: str


class UnlinkAccounts(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """End a link that was made in error."""

    link: str
    """Id of the link."""


class AccountLink(Struct, kw_only=True, frozen=True):
    """Two accounts belong to one person."""

    id: str
    account: str
    other: str
    since: str
    linked_by: str


class ListAccountLinks(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Which accounts are known to belong to one person."""


class AccountLinks(Struct, kw_only=True, frozen=True):
    """A list of links."""

    links: list[AccountLink]
