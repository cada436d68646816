"""Accounts, groups, projects and roles: who may be given what, and what stays impossible."""

from __future__ import annotations

from datetime import timedelta

import pytest

from desk import Desk, make_administrators
from muniment.adapters.sql.store import SqlStore
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.identity.people import (
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
from muniment.identity.ports import ProjectOpened
from muniment.kernel.identifiers import format_time
from muniment.testing.fakes import FakeClock
from muniment.wire import identity as wire


@pytest.fixture
def desk(sqlite_store: SqlStore, clock: FakeClock) -> Desk:
    """An installation with administrators root and rita, with ana and bob, and the project credit."""
    desk = Desk(sqlite_store, clock)
    make_administrators(desk)
    for name in ("ana", "bob"):
        desk.ask(add_user, wire.AddUser(name=name))
    desk.ask(add_project, wire.AddProject(name="credit"))
    return desk


def grant(desk: Desk, subject: str, role: str, scope: str | None = None, by: str = "root", **more: str):
    return desk.ask(grant_role, wire.GrantRole(subject=subject, role=role, scope=scope, **more), by=by)


def roles_of(desk: Desk, name: str) -> list[str]:
    return next(user.roles for user in desk.ask(list_users, wire.ListUsers()).users if user.name == name)


def test_a_new_account_holds_nothing(desk: Desk) -> None:
    """An account can do nothing until somebody grants it a role."""
    assert roles_of(desk, "ana") == []


def test_a_name_is_given_once(desk: Desk) -> None:
    """One name, one account, group or project; the platform's own names are taken from the start."""
    with pytest.raises(Conflict):
        desk.ask(add_user, wire.AddUser(name="ana"))
    with pytest.raises(Conflict):
        desk.ask(add_service_account, wire.AddServiceAccount(name="ana", owner="bob"))
    with pytest.raises(Conflict):
        desk.ask(add_project, wire.AddProject(name="credit"))
    desk.ask(add_group, wire.AddGroup(name="risk"))
    with pytest.raises(Conflict):
        desk.ask(add_group, wire.AddGroup(name="risk"))
    for name in ("platform", "anonymous", "../x", "a;b", "a%2e", "", "Ana"):
        with pytest.raises(Invalid):
            desk.ask(add_user, wire.AddUser(name=name))
        with pytest.raises(Invalid):
            desk.ask(add_project, wire.AddProject(name=name))


def test_a_service_account_is_answered_for_by_an_active_person(desk: Desk) -> None:
    """No program without a person behind it; a program answers for nobody."""
    desk.ask(add_service_account, wire.AddServiceAccount(name="robot", owner="ana"))
    with pytest.raises(Invalid):
        desk.ask(add_service_account, wire.AddServiceAccount(name="robot2", owner="robot"))
    with pytest.raises(NotFound):
        desk.ask(add_service_account, wire.AddServiceAccount(name="robot2", owner="nobody"))
    desk.ask(disable_user, wire.DisableUser(name="ana"))
    with pytest.raises(Invalid):
        desk.ask(add_service_account, wire.AddServiceAccount(name="robot2", owner="ana"))


def test_opening_a_project_makes_its_key_in_the_same_transaction(desk: Desk) -> None:
    """The rooms that must act when a project opens are called before the commit; when they fail there is no project."""
    assert desk.opened.names == ["credit"]

    class NoKey:
        def opened(self, session: object, project: str) -> None:
            raise NotFound("MUNI-K201", "no key")

    desk.services[ProjectOpened] = NoKey()
    with pytest.raises(NotFound):
        desk.ask(add_project, wire.AddProject(name="fraud"))
    assert [p.name for p in desk.ask(list_projects, wire.ListProjects(), by="root").projects] == ["credit"]


def test_one_sees_the_projects_one_has_a_role_in(desk: Desk) -> None:
    """A role in a project shows that project, a role everywhere shows all, none shows none."""
    desk.ask(add_project, wire.AddProject(name="fraud"))
    grant(desk, "ana", "scientist", "credit")

    def seen(name: str) -> set[str]:
        return {p.name for p in desk.ask(list_projects, wire.ListProjects(), by=name).projects}

    assert seen("ana") == {"credit"}
    assert seen("bob") == set()
    assert seen("root") == {"credit", "fraud"}


def test_a_grant_ends_by_itself_or_by_hand(desk: Desk) -> None:
    """A role counts until its end date or its revocation; it is listed with its history ever after."""
    until = format_time(desk.clock.now() + timedelta(hours=1))
    short, long = grant(desk, "ana", "validator", "credit", until=until), grant(desk, "ana", "approver")
    assert roles_of(desk, "ana") == ["approver", "validator@credit"]
    desk.clock.advance(hours=1)
    assert roles_of(desk, "ana") == ["approver"]
    assert not desk.ask(revoke_role, wire.RevokeRole(grant=long.id)).active
    assert roles_of(desk, "ana") == []
    listed = desk.ask(list_roles, wire.ListRoles(subject="ana")).grants
    assert {(each.id, each.active) for each in listed} == {(short.id, False), (long.id, False)}
    for again in (short.id, long.id):
        with pytest.raises(Conflict):
            desk.ask(revoke_role, wire.RevokeRole(grant=again))


def test_what_does_not_exist_cannot_be_granted(desk: Desk) -> None:
    """An unknown role, subject, group, project or grant, or an end in the past, is refused and says so."""
    with pytest.raises(Invalid) as unknown:
        grant(desk, "ana", "god")
    assert "scientist" in unknown.value.facts["roles"]
    for subject, scope in (("nobody", None), ("group:none", None), ("ana", "nowhere")):
        with pytest.raises(NotFound):
            grant(desk, subject, "auditor", scope)
    for until in (format_time(desk.clock.now()), "2026-11-23T08:00:00Z", "tomorrow", "2026-11-24T08:00:00"):
        with pytest.raises(Invalid):
            grant(desk, "ana", "auditor", until=until)
    with pytest.raises(NotFound):
        desk.ask(revoke_role, wire.RevokeRole(grant="nothing"))


def test_nobody_gives_a_role_to_himself(desk: Desk) -> None:
    """Not directly, not by a group he belongs to, not by joining one, not by a service account he answers for."""
    with pytest.raises(Denied):
        grant(desk, "root", "scientist", "credit", by="root")
    desk.ask(add_group, wire.AddGroup(name="risk"))
    with pytest.raises(Denied):
        desk.ask(add_member, wire.AddMember(group="risk", member="root"), by="root")
    desk.ask(add_member, wire.AddMember(group="risk", member="root"), by="rita")
    with pytest.raises(Denied):
        grant(desk, "group:risk", "scientist", "credit", by="root")
    grant(desk, "group:risk", "scientist", "credit", by="rita")
    desk.ask(add_service_account, wire.AddServiceAccount(name="robot", owner="root"))
    with pytest.raises(Denied):
        grant(desk, "robot", "auditor", by="root")
    grant(desk, "robot", "auditor", by="rita")


def test_scientists_hold_no_keys(desk: Desk) -> None:
    """Scientist and key administrator exclude each other: granted to a person, to a group, or by joining one."""
    grant(desk, "ana", "scientist", "credit")
    with pytest.raises(Denied, match="segregation"):
        grant(desk, "ana", "key-administrator")
    for name in ("keys", "mixed"):
        desk.ask(add_group, wire.AddGroup(name=name))
    grant(desk, "group:keys", "key-administrator")
    with pytest.raises(Denied, match="segregation"):
        grant(desk, "group:keys", "scientist", "credit")
    with pytest.raises(Denied, match="segregation"):
        desk.ask(add_member, wire.AddMember(group="keys", member="ana"))
    desk.ask(add_member, wire.AddMember(group="mixed", member="ana"))
    with pytest.raises(Denied, match="segregation"):
        grant(desk, "group:mixed", "key-administrator")
    desk.ask(add_member, wire.AddMember(group="keys", member="bob"))
    with pytest.raises(Denied, match="segregation"):
        grant(desk, "bob", "scientist", "credit")


def test_a_membership_carries_roles_and_ends(desk: Desk) -> None:
    """A member holds what the group holds, until the membership ends by itself or by hand."""
    desk.ask(add_group, wire.AddGroup(name="risk"))
    grant(desk, "group:risk", "validator", "credit")
    until = format_time(desk.clock.now() + timedelta(hours=1))
    desk.ask(add_member, wire.AddMember(group="risk", member="ana", until=until))
    desk.ask(add_member, wire.AddMember(group="risk", member="bob"))
    with pytest.raises(Conflict):
        desk.ask(add_member, wire.AddMember(group="risk", member="bob"))
    assert roles_of(desk, "ana") == roles_of(desk, "bob") == ["validator@credit"]
    desk.clock.advance(hours=1)
    assert roles_of(desk, "ana") == []
    desk.ask(remove_member, wire.RemoveMember(group="risk", member="bob"))
    assert roles_of(desk, "bob") == []
    assert desk.ask(list_groups, wire.ListGroups()).groups[0].members == []
    for member in ("ana", "bob", "nobody"):
        with pytest.raises(NotFound):
            desk.ask(remove_member, wire.RemoveMember(group="risk", member=member))


def test_an_administrator_always_remains(desk: Desk) -> None:
    """The last active administrator is neither disabled, nor revoked, nor removed from the group that makes him one."""
    listed = desk.ask(list_roles, wire.ListRoles()).grants
    by_name = {each.subject: each.id for each in listed if each.role == "administrator"}
    desk.ask(disable_user, wire.DisableUser(name="rita"))
    with pytest.raises(Denied):
        desk.ask(disable_user, wire.DisableUser(name="root"))
    with pytest.raises(Denied):
        desk.ask(revoke_role, wire.RevokeRole(grant=by_name["root"]))
    desk.ask(add_group, wire.AddGroup(name="admins"))
    grant(desk, "group:admins", "administrator")
    desk.ask(add_member, wire.AddMember(group="admins", member="ana"))
    desk.ask(revoke_role, wire.RevokeRole(grant=by_name["root"]), by="ana")
    with pytest.raises(Denied):
        desk.ask(remove_member, wire.RemoveMember(group="admins", member="ana"))
    assert roles_of(desk, "ana") == ["administrator"]


def test_a_disabled_account_stays_on_record(desk: Desk) -> None:
    """Disabling deletes nothing; it happens once."""
    assert not desk.ask(disable_user, wire.DisableUser(name="ana")).active
    assert {user.name: user.active for user in desk.ask(list_users, wire.ListUsers()).users}["ana"] is False
    with pytest.raises(Conflict):
        desk.ask(disable_user, wire.DisableUser(name="ana"))


def test_people_are_found_by_role(desk: Desk) -> None:
    """A list can be narrowed to those who hold a role somewhere."""
    grant(desk, "ana", "validator", "credit")
    found = desk.ask(list_users, wire.ListUsers(role="validator")).users
    assert [user.name for user in found] == ["ana"]
    with pytest.raises(Invalid):
        desk.ask(list_users, wire.ListUsers(role="god"))
