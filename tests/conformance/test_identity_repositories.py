"""Identity's repositories on each engine: what was written is read, and what held at a moment is what comes back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.identity.model import (
    Account,
    BootstrapSecret,
    Group,
    Membership,
    Password,
    Project,
    Role,
    RoleGrant,
    SubjectKind,
    Token,
    TokenKind,
)
from muniment.identity.ports import Accounts, Bootstraps, Grants, Groups, Passwords, Projects, Standings, Tokens
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import new_id
from muniment.kernel.principal import PrincipalKind
from muniment.kernel.resources import ProjectDirectory
from muniment.testing.fakes import FakeClock, SeededEntropy
from statements import reading

HOUR = timedelta(hours=1)


@pytest.fixture
def now(clock: FakeClock) -> datetime:
    return clock.now()


@pytest.fixture
def fresh(clock: FakeClock, entropy: SeededEntropy):
    return lambda: new_id(clock, entropy)


def person(name: str, now: datetime) -> Account:
    return Account(name, PrincipalKind.USER, None, now, "root")


def test_accounts_come_back_as_they_went_in(store: SqlStore, now: datetime) -> None:
    """An account is found by name with all it says, listed newest first, and disabled from a moment on."""
    robot = Account("robot", PrincipalKind.SERVICE_ACCOUNT, "ana", now + HOUR, "root")
    with store.write() as session:
        accounts = session.use(Accounts)
        assert not accounts.exist()
        accounts.add(person("ana", now))
        accounts.add(robot)
        accounts.disable("ana", now + HOUR)
    with store.read() as session:
        accounts = session.use(Accounts)
        assert accounts.exist()
        assert accounts.find("nobody") is None
        assert accounts.find("robot") == robot
        assert [account.name for account in accounts.all(10)] == ["robot", "ana"]
        assert [account.name for account in accounts.all(1)] == ["robot"]
        ana = accounts.find("ana")
        assert ana is not None
        assert ana.active(now)
        assert not ana.active(now + HOUR)


def test_a_standing_holds_what_held_at_that_moment(store: SqlStore, now: datetime, fresh) -> None:
    """Grants, own or of a group, count from their start to their end, revocation or loss of membership."""
    with store.write() as session:
        session.use(Accounts).add(person("ana", now))
        session.use(Accounts).add(person("bob", now))
        for name in ("risk", "other"):
            session.use(Groups).add(Group(name, now, "root"))
        session.use(Groups).add_member(Membership(fresh(), "risk", "ana", now, now + 2 * HOUR, "root"))
        session.use(Groups).add_member(Membership(fresh(), "other", "bob", now, None, "root"))
        own = RoleGrant(fresh(), SubjectKind.USER, "ana", Role.SCIENTIST, "credit", now, None, "root")
        short = RoleGrant(fresh(), SubjectKind.USER, "ana", Role.APPROVER, None, now, now + HOUR, "root")
        group = RoleGrant(fresh(), SubjectKind.GROUP, "risk", Role.VALIDATOR, None, now, None, "root")
        # a group and a person may carry one name; neither gets what the other holds
        decoys = [
            RoleGrant(fresh(), SubjectKind.USER, "risk", Role.AUDITOR, None, now, None, "root"),
            RoleGrant(fresh(), SubjectKind.GROUP, "ana", Role.OPERATOR, None, now, None, "root"),
            RoleGrant(fresh(), SubjectKind.GROUP, "other", Role.ADMINISTRATOR, None, now, None, "root"),
        ]
        for grant in (own, short, group, *decoys):
            session.use(Grants).add(grant)
    with store.write() as session:
        session.use(Grants).revoke(own.id, now + 3 * HOUR, "root")

    def held(at: datetime) -> tuple[list[str], list[str]]:
        with store.read() as session:
            standing = session.use(Standings).standing("ana", at)
            assert standing is not None
            assert standing.account == person("ana", now)
            return list(standing.groups), sorted(grant.role.value for grant in standing.grants)

    assert held(now - HOUR) == ([], [])
    assert held(now) == (["risk"], ["approver", "scientist", "validator"])
    assert held(now + HOUR) == (["risk"], ["scientist", "validator"])
    assert held(now + 2 * HOUR) == ([], ["scientist"])
    assert held(now + 3 * HOUR) == ([], [])
    with store.read() as session:
        assert session.use(Standings).standing("nobody", now) is None


def test_a_membership_ends_when_it_is_ended(store: SqlStore, now: datetime, fresh) -> None:
    """Ending a membership takes effect at that moment, leaves the past as it was, and can be begun anew."""
    with store.write() as session:
        groups = session.use(Groups)
        session.use(Accounts).add(person("ana", now))
        groups.add(Group("risk", now, "root"))
        groups.add_member(Membership(fresh(), "risk", "ana", now, None, "root"))
        assert groups.end_member("risk", "ana", now + HOUR) == 1
        assert groups.end_member("risk", "ana", now + HOUR) == 0
        assert groups.end_member("risk", "bob", now) == 0
        groups.add_member(Membership(fresh(), "risk", "ana", now + 2 * HOUR, None, "root"))
    with store.read() as session:
        groups = session.use(Groups)
        assert groups.has("risk")
        assert not groups.has("ana")
        assert [group.name for group in groups.all()] == ["risk"]
        present = [[m.member for m in groups.members(now + n * HOUR, "risk")] for n in range(3)]
        assert present == [["ana"], [], ["ana"]]
        assert len(groups.members(now)) == 1
        assert groups.members(now, "other") == ()


def test_holders_of_a_role_everywhere(store: SqlStore, now: datetime, fresh) -> None:
    """Holders are the active accounts with the role in the whole installation, also by a group, not in one project."""
    with store.write() as session:
        for name in ("ana", "bob", "cid", "dan"):
            session.use(Accounts).add(person(name, now))
        session.use(Accounts).disable("dan", now)
        session.use(Groups).add(Group("admins", now, "root"))
        session.use(Groups).add_member(Membership(fresh(), "admins", "bob", now, None, "root"))
        for kind, subject, project in (
            (SubjectKind.USER, "ana", None),
            (SubjectKind.GROUP, "admins", None),
            (SubjectKind.USER, "cid", "credit"),
            (SubjectKind.USER, "dan", None),
        ):
            session.use(Grants).add(RoleGrant(fresh(), kind, subject, Role.ADMINISTRATOR, project, now, None, "root"))
        assert session.use(Standings).holders("administrator", now) == ("ana", "bob")
        assert session.use(Standings).holders("auditor", now) == ()


def test_grants_come_back_as_they_went_in(store: SqlStore, now: datetime, fresh) -> None:
    """A grant is found by id, listed newest first, by subject, and carries its revocation."""
    first = RoleGrant(fresh(), SubjectKind.USER, "ana", Role.SCIENTIST, "credit", now, now + HOUR, "root")
    second = RoleGrant(fresh(), SubjectKind.GROUP, "risk", Role.AUDITOR, None, now, None, "root")
    with store.write() as session:
        grants = session.use(Grants)
        grants.add(first)
        grants.add(second)
        grants.revoke(second.id, now + HOUR, "eva")
    with store.read() as session:
        grants = session.use(Grants)
        assert grants.find(first.id) == first
        assert grants.find(fresh()) is None
        revoked = grants.find(second.id)
        assert revoked is not None
        assert (revoked.revoked_at, revoked.revoked_by) == (now + HOUR, "eva")
        assert {grant.id for grant in grants.all(10)} == {first.id, second.id}
        assert len(grants.all(1)) == 1
        assert grants.all(10, "ana") == (first,)


def test_tokens_come_back_with_their_owner(store: SqlStore, now: datetime, fresh) -> None:
    """A token is found with its owner, limits and last use; a revoked one stays revoked from when it was."""
    wide = Token(fresh(), TokenKind.PERSONAL, "ana", Digest.of(b"1"), "laptop", None, "root", now, now + HOUR)
    limits = frozenset({"data:read", "run:write"})
    narrow = Token(fresh(), TokenKind.SESSION, "ana", Digest.of(b"2"), "", limits, "ana", now, now + HOUR)
    with store.write() as session:
        session.use(Accounts).add(person("ana", now))
        tokens = session.use(Tokens)
        for token in (wide, narrow):
            tokens.add(token)
        tokens.used({wide.id: now + HOUR})
        tokens.used({wide.id: now})
        tokens.revoke_sessions("ana", now + HOUR)
        tokens.revoke(narrow.id, now + 2 * HOUR)
    with store.read() as session:
        tokens = session.use(Tokens)
        found = tokens.find(wide.id)
        assert found is not None
        assert found[1] == person("ana", now)
        assert found[0].last_used_at == now + HOUR
        assert found[0].revoked_at is None
        ended = tokens.find(narrow.id)
        assert ended is not None
        assert ended[0].actions == limits
        assert ended[0].revoked_at == now + HOUR
        assert tokens.find(fresh()) is None
        assert {token.id for token in tokens.all(10)} == {wide.id, narrow.id}
        assert tokens.all(10, "bob") == ()


def test_passwords_are_replaced(store: SqlStore, now: datetime) -> None:
    """One hash per account, the last one set."""
    with store.write() as session:
        passwords = session.use(Passwords)
        assert passwords.find("ana") is None
        passwords.set(Password("ana", "old", now))
        passwords.set(Password("ana", "new", now + HOUR))
        assert passwords.find("ana") == Password("ana", "new", now + HOUR)
        passwords.forget("ana")
        passwords.forget("ana")
        assert passwords.find("ana") is None


def test_a_new_bootstrap_secret_kills_the_former(store: SqlStore, now: datetime, fresh) -> None:
    """At most one bootstrap secret is alive."""
    first = BootstrapSecret(fresh(), Digest.of(b"1"), now + HOUR)
    second = BootstrapSecret(fresh(), Digest.of(b"2"), now + HOUR)
    with store.write() as session:
        secrets = session.use(Bootstraps)
        secrets.add(first)
        secrets.add(second)
        kept = secrets.find(first.id)
        assert kept is not None
        assert kept.spent_at is not None
        assert secrets.find(second.id) == second
        secrets.spend(second.id, now)
        spent = secrets.find(second.id)
        assert spent is not None
        assert spent.spent_at == now
        assert secrets.find(fresh()) is None


def test_projects_are_known_to_the_kernel(store: SqlStore, now: datetime) -> None:
    """A project that was added is one that every locator finds."""
    with store.write() as session:
        session.use(Projects).add(Project("credit", now, "root"))
        assert session.use(ProjectDirectory).has_project("credit")
        assert not session.use(ProjectDirectory).has_project("fraud")
        assert session.use(Projects).all() == (Project("credit", now, "root"),)


def test_a_standing_is_one_question(store: SqlStore, now: datetime) -> None:
    """Whoever has many groups and grants is still looked up by a single statement, as each request does it."""
    with reading(store) as (session, statements):
        session.use(Standings).standing("ana", now)
        assert len(statements) == 1
