"""Verbs about accounts, groups, projects and roles."""

from __future__ import annotations

from typing import Final

from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.identity import rules
from muniment.identity.model import (
    Account,
    Group,
    Membership,
    Project,
    Role,
    RoleGrant,
    Stage,
    StageChange,
    Standing,
    SubjectKind,
)
from muniment.identity.ports import Accounts, Grants, Groups, ProjectOpened, Projects, Standings
from muniment.identity.rules import Refusal
from muniment.identity.stages import project_view, stage_named
from muniment.identity.views import account_view, grant_view, role_at
from muniment.kernel.identifiers import check_name, format_time
from muniment.kernel.principal import PrincipalKind
from muniment.kernel.resources import INSTALLATION, PLATFORM
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import identity as wire

_GROUP: Final = "group:"
RESERVED: Final = frozenset({"anonymous", "bootstrap", "muniment", PLATFORM})
"""Names that mean a part of the platform wherever they stand."""

_MOST: Final = 1000


@verb(
    "identity:AddUser",
    on=INSTALLATION,
    request=wire.AddUser,
    reply=wire.Account,
    event="user.added",
    group="identity:manage",
)
def add_user(call: Call, request: wire.AddUser) -> wire.Account:
    """Make an account for a person; it can do nothing until somebody grants it a role."""
    name = check_name(request.name, "person")
    return _add_account(call, Account(name, PrincipalKind.USER, None, call.now, call.principal.id))


@verb(
    "identity:AddServiceAccount",
    on=INSTALLATION,
    request=wire.AddServiceAccount,
    reply=wire.Account,
    event="serviceaccount.added",
    group="identity:manage",
)
def add_service_account(call: Call, request: wire.AddServiceAccount) -> wire.Account:
    """Make an account for a program, for which a person answers."""
    name, owner = check_name(request.name, "service account"), account_named(call, request.owner)
    if owner.kind is not PrincipalKind.USER or not owner.active(call.now):
        raise Invalid("MUNI-I109", "a service account is answered for by an active person", owner=owner.name)
    return _add_account(call, Account(name, PrincipalKind.SERVICE_ACCOUNT, owner.name, call.now, call.principal.id))


@verb(
    "identity:DisableUser",
    on=INSTALLATION,
    request=wire.DisableUser,
    reply=wire.Account,
    event="user.disabled",
    group="identity:manage",
)
def disable_user(call: Call, request: wire.DisableUser) -> wire.Account:
    """Let an account act no more from this moment on; nothing it did is lost, and its tokens are good for nothing."""
    account = account_named(call, request.name)
    check_active(call, account)
    remaining = set(call.use(Standings).holders(Role.ADMINISTRATOR, call.now)) - {account.name}
    _permit(rules.keeps_administrator(remaining))
    call.use(Accounts).disable(account.name, call.now)
    call.note(account=account.name)
    return account_view(account_named(call, account.name), None, call.now)


@verb(
    "identity:ListUsers",
    on=INSTALLATION,
    request=wire.ListUsers,
    reply=wire.Users,
    event="users.listed",
    group="identity:read",
    effect=Effect.READ,
)
def list_users(call: Call, request: wire.ListUsers) -> wire.Users:
    """People and service accounts with their groups and roles, newest first."""
    if request.role is not None:
        rules.role_named(request.role)
    users = []
    for account in call.use(Accounts).all(max(1, min(request.limit, _MOST))):
        standing = call.use(Standings).standing(account.name, call.now)
        if request.role is None or (standing is not None and request.role in standing.roles):
            users.append(account_view(account, standing, call.now))
    return wire.Users(users=users)


@verb(
    "identity:AddGroup",
    on=INSTALLATION,
    request=wire.AddGroup,
    reply=wire.Group,
    event="group.added",
    group="identity:manage",
)
def add_group(call: Call, request: wire.AddGroup) -> wire.Group:
    """Make an empty group."""
    group = Group(check_name(request.name, "group"), call.now, call.principal.id)
    if call.use(Groups).has(group.name):
        raise Conflict("MUNI-I302", f"there is already a group {group.name!r}", name=group.name)
    call.use(Groups).add(group)
    call.note(group=group.name)
    return _group_view(call, group)


@verb(
    "identity:AddMember",
    on=INSTALLATION,
    request=wire.AddMember,
    reply=wire.Member,
    event="member.added",
    group="identity:manage",
)
def add_member(call: Call, request: wire.AddMember) -> wire.Member:
    """Let an account belong to a group, until an end date if one is given; nobody adds himself."""
    _check_group(call, request.group)
    standing = standing_of(call, request.member)
    if request.group in standing.groups:
        raise Conflict("MUNI-I306", f"{request.member} belongs to {request.group} already", group=request.group)
    _permit(rules.not_for_oneself(call.principal.id, _beneficiaries(standing.account)))
    _permit(rules.segregation(standing.roles, _roles_of_group(call, request.group)))
    end = rules.end_date(request.until, call.now)
    call.use(Groups).add_member(
        Membership(call.new_id(), request.group, request.member, call.now, end, call.principal.id)
    )
    call.note(group=request.group, member=request.member)
    return wire.Member(
        name=request.member,
        since=format_time(call.now),
        until=format_time(end) if end else None,
        added_by=call.principal.id,
    )


@verb(
    "identity:RemoveMember",
    on=INSTALLATION,
    request=wire.RemoveMember,
    reply=wire.Group,
    event="member.removed",
    group="identity:manage",
)
def remove_member(call: Call, request: wire.RemoveMember) -> wire.Group:
    """End a membership from this moment on."""
    _check_group(call, request.group)
    if call.use(Groups).end_member(request.group, request.member, call.now) == 0:
        raise NotFound(
            "MUNI-I203", f"{request.member[:80]} does not belong to {request.group}", member=request.member[:200]
        )
    _permit(rules.keeps_administrator(call.use(Standings).holders(Role.ADMINISTRATOR, call.now)))
    call.note(group=request.group, member=request.member)
    return next(_group_view(call, group) for group in call.use(Groups).all() if group.name == request.group)


@verb(
    "identity:ListGroups",
    on=INSTALLATION,
    request=wire.ListGroups,
    reply=wire.Groups,
    event="groups.listed",
    group="identity:read",
    effect=Effect.READ,
)
def list_groups(call: Call, request: wire.ListGroups) -> wire.Groups:
    """Every group with its members and roles of now, newest first."""
    return wire.Groups(groups=[_group_view(call, group) for group in call.use(Groups).all()])


@verb(
    "identity:AddProject",
    on=INSTALLATION,
    request=wire.AddProject,
    reply=wire.Project,
    event="project.opened",
    group="identity:manage",
)
def add_project(call: Call, request: wire.AddProject) -> wire.Project:
    """Open a project: a scope for roles and a key of its own."""
    name = check_name(request.name, "project")
    check_free(name)
    if call.use(Projects).has_project(name):
        raise Conflict("MUNI-I303", f"there is already a project {name!r}", name=name)
    stage = stage_named(request.stage)
    project = Project(name, call.now, call.principal.id, stage)
    call.use(Projects).add(project)
    if stage is not Stage.DEVELOPMENT:
        call.use(Projects).come_to(StageChange(call.new_id(), name, stage, call.now, call.principal.id, "opened so"))
    call.use(ProjectOpened).opened(call.session, name)
    call.note(project=name, stage=stage.value)
    return project_view(project)


@verb(
    "identity:ListProjects",
    on=INSTALLATION,
    request=wire.ListProjects,
    reply=wire.Projects,
    event="projects.listed",
    group="identity:self",
    effect=Effect.READ,
)
def list_projects(call: Call, request: wire.ListProjects) -> wire.Projects:
    """The projects in which one holds a role, newest first; all of them with a role in the whole installation."""
    scopes = {grant.project for grant in standing_of(call, call.principal.id).grants}
    return wire.Projects(
        projects=[
            project_view(project)
            for project in call.use(Projects).all()
            if project.name not in RESERVED and (None in scopes or project.name in scopes)
        ]
    )


@verb(
    "identity:GrantRole",
    on=INSTALLATION,
    request=wire.GrantRole,
    reply=wire.RoleGrant,
    event="role.granted",
    group="identity:manage",
)
def grant_role(call: Call, request: wire.GrantRole) -> wire.RoleGrant:
    """Give a role to an account or a group, in a project or everywhere; nobody gives one to himself."""
    role, end = rules.role_named(request.role), rules.end_date(request.until, call.now)
    if request.scope is not None and not call.use(Projects).has_project(request.scope):
        raise NotFound("MUNI-I206", f"there is no project {request.scope[:80]!r}", project=request.scope[:200])
    if request.subject.startswith(_GROUP):
        name, kind = request.subject.removeprefix(_GROUP), SubjectKind.GROUP
        _check_group(call, name)
        gaining = [standing_of(call, membership.member) for membership in call.use(Groups).members(call.now, name)]
        _permit(rules.segregation(_roles_of_group(call, name), [role]))
    else:
        holder = standing_of(call, request.subject)
        name, kind, gaining = request.subject, SubjectKind(holder.account.kind.value), [holder]
    for standing in gaining:
        _permit(rules.not_for_oneself(call.principal.id, _beneficiaries(standing.account)))
        _permit(rules.segregation(standing.roles, [role]))
    grant = RoleGrant(call.new_id(), kind, name, role, request.scope, call.now, end, call.principal.id)
    call.use(Grants).add(grant)
    call.note(grant=grant.id, subject=grant.holder, role=role.value, scope=request.scope or "")
    return grant_view(grant, call.now)


@verb(
    "identity:RevokeRole",
    on=INSTALLATION,
    request=wire.RevokeRole,
    reply=wire.RoleGrant,
    event="role.revoked",
    group="identity:manage",
)
def revoke_role(call: Call, request: wire.RevokeRole) -> wire.RoleGrant:
    """End a grant from this moment on."""
    grant = call.use(Grants).find(request.grant)
    if grant is None:
        raise NotFound("MUNI-I207", "there is no such grant", grant=request.grant[:80])
    if not grant.active(call.now):
        raise Conflict("MUNI-I307", "this grant has ended already", grant=grant.id)
    call.use(Grants).revoke(grant.id, call.now, call.principal.id)
    _permit(rules.keeps_administrator(call.use(Standings).holders(Role.ADMINISTRATOR, call.now)))
    call.note(grant=grant.id, subject=grant.holder, role=grant.role.value, scope=grant.project or "")
    return grant_view(call.use(Grants).find(grant.id) or grant, call.now)


@verb(
    "identity:ListRoles",
    on=INSTALLATION,
    request=wire.ListRoles,
    reply=wire.RoleGrants,
    event="roles.listed",
    group="identity:read",
    effect=Effect.READ,
)
def list_roles(call: Call, request: wire.ListRoles) -> wire.RoleGrants:
    """Grants of roles, also ended ones, newest first."""
    subject = request.subject.removeprefix(_GROUP) if request.subject is not None else None
    grants = call.use(Grants).all(max(1, min(request.limit, _MOST)), subject)
    return wire.RoleGrants(grants=[grant_view(grant, call.now) for grant in grants])


def _add_account(call: Call, account: Account) -> wire.Account:
    check_free(account.name)
    if call.use(Accounts).find(account.name) is not None:
        raise Conflict("MUNI-I301", f"there is already an account {account.name!r}", name=account.name)
    call.use(Accounts).add(account)
    call.note(account=account.name)
    return account_view(account, None, call.now)


def check_active(call: Call, account: Account) -> None:
    """Refuse a disabled account; raises Conflict."""
    if not account.active(call.now):
        raise Conflict("MUNI-I304", f"the account {account.name!r} is disabled", name=account.name)


def standing_of(call: Call, name: str) -> Standing:
    """What the account of this name holds now; raises NotFound when there is none."""
    standing = call.use(Standings).standing(name, call.now)
    if standing is None:
        raise _no_account(name)
    return standing


def check_free(name: str) -> str:
    """Return a name that is not one of the platform's own; raises Invalid when it is."""
    if name in RESERVED:
        raise Invalid("MUNI-I110", f"the name {name!r} is the platform's own", name=name, do="take another name")
    return name


def account_named(call: Call, name: str) -> Account:
    """The account of this name; raises NotFound when there is none."""
    account = call.use(Accounts).find(name)
    if account is None:
        raise _no_account(name)
    return account


def _no_account(name: str) -> NotFound:
    return NotFound("MUNI-I201", f"there is no account {name[:80]!r}", name=name[:200])


def _check_group(call: Call, name: str) -> None:
    if not call.use(Groups).has(name):
        raise NotFound("MUNI-I202", f"there is no group {name[:80]!r}", group=name[:200])


def _grants_of_group(call: Call, group: str) -> list[RoleGrant]:
    return [
        grant
        for grant in call.use(Grants).all(_MOST, group)
        if grant.subject_kind is SubjectKind.GROUP and grant.active(call.now)
    ]


def _roles_of_group(call: Call, group: str) -> list[str]:
    return [grant.role.value for grant in _grants_of_group(call, group)]


def _beneficiaries(account: Account) -> tuple[str, ...]:
    """Who gains when an account gains: itself, and the person who answers for it."""
    return (account.name,) if account.owner is None else (account.name, account.owner)


def _permit(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise Denied("MUNI-I407", refusal.because, because=[refusal.because])


def _group_view(call: Call, group: Group) -> wire.Group:
    return wire.Group(
        name=group.name,
        created_at=format_time(group.created_at),
        members=[
            wire.Member(
                name=membership.member,
                since=format_time(membership.since),
                until=format_time(membership.until) if membership.until else None,
                added_by=membership.added_by,
            )
            for membership in call.use(Groups).members(call.now, group.name)
        ],
        roles=sorted({role_at(grant) for grant in _grants_of_group(call, group.name)}),
    )


VERBS: Final = (
    add_group,
    add_member,
    add_project,
    add_service_account,
    add_user,
    disable_user,
    grant_role,
    list_groups,
    list_projects,
    list_roles,
    list_users,
    remove_member,
    revoke_role,
)
