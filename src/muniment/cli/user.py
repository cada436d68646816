"""``muni user``, ``group``, ``role``, ``token`` and ``project``: who is who, and who may do what."""

from __future__ import annotations

from importlib import import_module

import click

from muniment.cli import signing
from muniment.cli.face import Face, Group, with_face
from muniment.wire import identity as wire

LIMIT = click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
_STAGES = click.Choice(["development", "test", "production"])
UNTIL = click.option("--until", metavar="MOMENT", help="When it ends by itself, ISO 8601 with a zone.")


@click.group(cls=Group)
def user() -> None:
    """People and service accounts."""


for _command in (signing.key, signing.link, signing.unlink, signing.links):
    user.add_command(_command)


@user.command("add")
@click.argument("name")
@click.option("--service", is_flag=True, help="A service account: a program, for which a person answers.")
@click.option("--owner", metavar="NAME", help="Who answers for a service account.")
@with_face
def user_add(face: Face, name: str, service: bool, owner: str | None) -> None:
    """Make an account; give it roles with muni role grant, and a token with muni token issue --for NAME."""
    if service != (owner is not None):
        raise click.UsageError("--service and --owner belong together")
    if owner is not None:
        request = wire.AddServiceAccount(name=name, owner=owner)
        made = face.client.ask("identity:AddServiceAccount", request, wire.Account)
    else:
        made = face.client.ask("identity:AddUser", wire.AddUser(name=name), wire.Account)
    face.answer(made, lambda screen: screen.done(f"{made.kind} {made.name} may now be given roles"))


@user.command("list")
@click.option("--role", metavar="ROLE", help="Only those who hold this role somewhere.")
@LIMIT
@with_face
def user_list(face: Face, role: str | None, limit: int) -> None:
    """List accounts, newest first, with the roles that hold now."""
    found = face.client.ask("identity:ListUsers", wire.ListUsers(role=role, limit=limit), wire.Users)
    rows = [
        [u.name, u.kind, "" if u.active else "disabled", ", ".join(u.roles), ", ".join(u.groups), u.created_at[:10]]
        for u in found.users
    ]
    face.answer(
        found,
        lambda screen: screen.table(["name", "kind", "", "roles", "groups", "since"], rows, wrap=["roles", "groups"]),
    )


@user.command()
@click.argument("name")
@with_face
def disable(face: Face, name: str) -> None:
    """Let an account act no more; its tokens end with it."""
    made = face.client.ask("identity:DisableUser", wire.DisableUser(name=name), wire.Account)
    face.answer(made, lambda screen: screen.done(f"{made.name} may act no more"))


@user.command()
@with_face
def password(face: Face) -> None:
    """Set or change one's own password; asks for the present one when there is one."""
    current = click.prompt(
        "present password (empty if none)", hide_input=True, default="", show_default=False, err=True
    )
    fresh = click.prompt("new password", hide_input=True, confirmation_prompt=True, err=True)
    request = wire.SetPassword(password=fresh, current=current or None)
    made = face.client.ask("identity:SetPassword", request, wire.PasswordSet)
    face.answer(made, lambda screen: screen.done("the password is set"))


@click.group(cls=Group)
def group() -> None:
    """Groups of people: roles given to a group hold for its members."""


@group.command("add")
@click.argument("name")
@with_face
def group_add(face: Face, name: str) -> None:
    """Make an empty group."""
    made = face.client.ask("identity:AddGroup", wire.AddGroup(name=name), wire.Group)
    face.answer(made, lambda screen: screen.done(f"group {made.name} is there"))


@group.command("list")
@with_face
def group_list(face: Face) -> None:
    """List groups with their members and roles of now."""
    found = face.client.ask("identity:ListGroups", wire.ListGroups(), wire.Groups)
    rows = [[g.name, ", ".join(m.name for m in g.members), ", ".join(g.roles), g.created_at[:10]] for g in found.groups]
    face.answer(
        found,
        lambda screen: screen.table(
            ["group", "members", "roles", "since"], rows, empty="no group yet", wrap=["members", "roles"]
        ),
    )


@group.command()
@click.argument("group")
@click.argument("member")
@UNTIL
@with_face
def join(face: Face, group: str, member: str, until: str | None) -> None:
    """Let an account belong to a group."""
    request = wire.AddMember(group=group, member=member, until=until)
    made = face.client.ask("identity:AddMember", request, wire.Member)
    face.answer(made, lambda screen: screen.done(f"{made.name} belongs to {group}"))


@group.command()
@click.argument("group")
@click.argument("member")
@with_face
def leave(face: Face, group: str, member: str) -> None:
    """End a membership now."""
    made = face.client.ask("identity:RemoveMember", wire.RemoveMember(group=group, member=member), wire.Group)
    face.answer(made, lambda screen: screen.done(f"{member} belongs to {made.name} no more"))


@click.group(cls=Group)
def role() -> None:
    """Roles: who may do what, where, until when."""


@role.command()
@click.argument("subject")
@click.argument("role")
@click.option("--in", "scope", metavar="PROJECT", help="Only in this project; else in the whole installation.")
@UNTIL
@with_face
def grant(face: Face, subject: str, role: str, scope: str | None, until: str | None) -> None:
    """Give SUBJECT (an account, or group:NAME) a role."""
    request = wire.GrantRole(subject=subject, role=role, scope=scope, until=until)
    made = face.client.ask("identity:GrantRole", request, wire.RoleGrant)
    face.answer(made, lambda screen: screen.done(f"{made.subject} is {made.role} {_where(made)} (grant {made.id})"))


@role.command("list")
@click.option("--of", "subject", metavar="SUBJECT", help="Only grants to this account or group:NAME.")
@LIMIT
@with_face
def role_list(face: Face, subject: str | None, limit: int) -> None:
    """List grants of roles, also ended ones, newest first."""
    found = face.client.ask("identity:ListRoles", wire.ListRoles(subject=subject, limit=limit), wire.RoleGrants)
    rows = [
        [
            g.subject,
            g.role,
            g.scope or "everywhere",
            "" if g.active else "ended",
            (g.until or "")[:16],
            g.granted_by,
            g.id,
        ]
        for g in found.grants
    ]
    face.answer(found, lambda screen: screen.table(["who", "role", "where", "", "until", "given by", "grant"], rows))


@role.command()
@click.argument("grant")
@with_face
def revoke(face: Face, grant: str) -> None:
    """End a grant now; its id is shown by muni role list."""
    made = face.client.ask("identity:RevokeRole", wire.RevokeRole(grant=grant), wire.RoleGrant)
    face.answer(made, lambda screen: screen.done(f"{made.subject} is {made.role} {_where(made)} no more"))


@click.group(cls=Group)
def token() -> None:
    """API tokens: they expire, can be limited, and are shown once."""


@token.command()
@click.option("--for", "owner", metavar="NAME", help="For somebody else; needs the right to do so.")
@click.option("--label", default="", metavar="TEXT", help="What it is for.")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How long it lives.")
@click.option(
    "--action", "actions", multiple=True, metavar="ACTION", help="Limit it to an action or group; repeatable."
)
@click.option("--save", metavar="PROFILE", help="Keep it as a profile on this machine instead of printing it.")
@with_face
def issue(face: Face, owner: str | None, label: str, days: int, actions: tuple[str, ...], save: str | None) -> None:
    """Make a token. Its text is printed once and kept nowhere."""
    limited = list(actions) or None
    if owner is None:
        request = wire.IssueToken(label=label, days=days, actions=limited)
        made = face.client.ask("identity:IssueToken", request, wire.IssuedToken)
    else:
        other = wire.IssueTokenFor(owner=owner, label=label, days=days, actions=limited)
        made = face.client.ask("identity:IssueTokenFor", other, wire.IssuedToken)
    if save is None:
        face.answer(made, lambda screen: screen.raw(made.token + "\n"))
        if not face.json:
            face.notes.line(f"token {made.id} of {made.owner}, until {made.expires_at[:16]}; it is not shown again")
        return
    connecting = import_module("muniment.connecting")
    kept = connecting.Profile(name=save, token=made.token, project=face.client.project, url=face.url)
    path = connecting.write_profile(connecting.home_folder(face.home), kept)
    document = {"id": made.id, "owner": made.owner, "expires_at": made.expires_at, "profile": save, "file": str(path)}
    face.answer(
        document, lambda screen: screen.done(f"profile {save} acts as {made.owner} until {made.expires_at[:16]}")
    )


@token.command("list")
@click.option("--of", "owner", metavar="NAME", help="Of this account; needs the right to do so.")
@click.option("--all", "everyone", is_flag=True, help="Of all accounts; needs the right to do so.")
@LIMIT
@with_face
def token_list(face: Face, owner: str | None, everyone: bool, limit: int) -> None:
    """List one's own tokens, newest first; never their texts."""
    if owner is not None or everyone:
        request = wire.ListTokensOf(owner=owner, limit=limit)
        found = face.client.ask("identity:ListTokensOf", request, wire.Tokens)
    else:
        found = face.client.ask("identity:ListTokens", wire.ListTokens(limit=limit), wire.Tokens)
    rows = [[t.id, t.owner, t.label, t.status, t.expires_at[:16], (t.last_used_at or "")[:16]] for t in found.tokens]
    face.answer(found, lambda screen: screen.table(["token", "owner", "label", "status", "until", "last used"], rows))


@token.command("revoke")
@click.argument("token")
@click.option("--of-others", is_flag=True, help="Also somebody else's; needs the right to do so.")
@with_face
def token_revoke(face: Face, token: str, of_others: bool) -> None:
    """End a token now, by its id (not its text)."""
    if of_others:
        made = face.client.ask("identity:RevokeTokenOf", wire.RevokeTokenOf(token=token), wire.Token)
    else:
        made = face.client.ask("identity:RevokeToken", wire.RevokeToken(token=token), wire.Token)
    face.answer(made, lambda screen: screen.done(f"token {made.id} of {made.owner} is {made.status}"))


@click.group(cls=Group)
def project() -> None:
    """Projects: each is a scope for roles and has a key of its own."""


@project.command("add")
@click.argument("name")
@click.option("--stage", type=_STAGES, default="development", show_default=True, help="What it is for.")
@with_face
def project_add(face: Face, name: str, stage: str) -> None:
    """Open a project; into one in production models come by promotion alone."""
    made = face.client.ask("identity:AddProject", wire.AddProject(name=name, stage=stage), wire.Project)
    face.answer(made, lambda screen: screen.done(f"project {made.name} is open ({made.stage})"))


@project.command("stage")
@click.argument("name")
@click.argument("stage", type=_STAGES)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def project_stage(face: Face, name: str, stage: str, reason: str) -> None:
    """Let a project be of a stricter stage from now on; there is no way back."""
    request = wire.SetStage(name=name, stage=stage, reason=reason)
    made = face.client.ask("identity:SetStage", request, wire.Project)
    face.answer(made, lambda screen: screen.done(f"project {made.name} is in {made.stage}"))


@project.command("list")
@with_face
def project_list(face: Face) -> None:
    """List the projects in which one holds a role."""
    found = face.client.ask("identity:ListProjects", wire.ListProjects(), wire.Projects)
    rows = [[p.name, p.stage, p.created_at[:16], p.created_by] for p in found.projects]
    columns = ["project", "stage", "opened", "by"]
    face.answer(found, lambda screen: screen.table(columns, rows, empty="you hold no role yet"))


def _where(grant: wire.RoleGrant) -> str:
    return f"in {grant.scope}" if grant.scope else "everywhere"
