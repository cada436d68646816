"""Attacks that worked on other platforms, on identity and policy: each named after its CVE, each refused."""

from __future__ import annotations

import pytest
from msgspec.structs import fields

from charter import TABLE, authorizer, dataset, known_as
from desk import Desk, make_administrators
from muniment.adapters.sql.store import SqlStore
from muniment.errors import Denied, Invalid, NotFound, Unauthenticated
from muniment.identity import credentials, people
from muniment.identity.service import VERBS as IDENTITY
from muniment.identity.service import authenticate
from muniment.kernel.verb import Resource
from muniment.testing.fakes import FakeClock
from muniment.wire import identity as wire

FIRST, SECOND = "the first sentence of ana's", "the second sentence of ana's"
HERE = Resource("Installation", "muniment", None)


@pytest.fixture
def desk(sqlite_store: SqlStore, clock: FakeClock) -> Desk:
    """Administrators root and rita, and ana, who holds no role."""
    desk = Desk(sqlite_store, clock)
    make_administrators(desk)
    desk.ask(people.add_user, wire.AddUser(name="ana"))
    return desk


def sign_in(desk: Desk, name: str, password: str):
    return desk.ask(credentials.sign_in, wire.SignIn(name=name, password=password), by="anonymous")


@pytest.mark.parametrize("name", ["admin", "administrator", "root", "rita", "muniment", "platform", "anonymous", ""])
@pytest.mark.parametrize("password", ["", "admin", "password1234", "muniment"])
def test_cve_2026_2635_no_default_credential(
    sqlite_store: SqlStore, clock: FakeClock, name: str, password: str
) -> None:
    """MLflow CVE-2026-2635, CVE-2025-11200: shipped admin/password1234 and took empty passwords.

    Nobody signs in to a fresh installation, nor to one whose administrators have no password yet.
    """
    desk = Desk(sqlite_store, clock)
    with pytest.raises(Unauthenticated):
        sign_in(desk, name, password)
    make_administrators(desk)
    desk.clock.advance(hours=1)
    with pytest.raises(Unauthenticated):
        sign_in(desk, name, password)


def test_cve_2023_6014_nobody_makes_an_account_for_himself(desk: Desk) -> None:
    """MLflow CVE-2023-6014: anyone could create an account.

    Of the verbs that need no credential none makes an account without the one-time secret; adding a person is denied to
    whoever holds no role.
    """
    assert {verb.action for verb in TABLE if verb.public} == {"identity:SignIn", "identity:Bootstrap"}
    cedar = authorizer(desk.clock)
    with desk.store.read() as session:
        assert not cedar.decide(session, known_as("ana", desk.clock), people.add_user, HERE).allowed
    with pytest.raises(Unauthenticated):
        desk.ask(credentials.bootstrap, wire.Bootstrap(secret="muni_boot_x", administrators=["eve", "mallory"]))


def test_cve_2024_25723_no_credential_changes_without_the_present_one(desk: Desk) -> None:
    """ZenML CVE-2024-25723, -2035, -2213, -2083: an endpoint took a name and a new password.

    No request that sets a password names an account: it is always one's own, and needs the present password.
    """
    setting = [verb for verb in IDENTITY if any(field.name == "password" for field in fields(verb.request))]
    assert [verb.action for verb in setting if not verb.public] == ["identity:SetPassword"]
    assert {field.name for field in fields(wire.SetPassword)} == {"password", "current"}
    desk.ask(credentials.set_password, wire.SetPassword(password=FIRST), by="ana")
    with pytest.raises(Denied):
        desk.ask(credentials.set_password, wire.SetPassword(password=SECOND), by="ana")
    assert sign_in(desk, "ana", FIRST).owner == "ana"


def test_cve_2026_40934_sessions_do_not_survive_a_reset(desk: Desk) -> None:
    """Jupyter CVE-2026-40934, -35397: cookies stayed good after the password was reset."""
    desk.ask(credentials.set_password, wire.SetPassword(password=FIRST), by="ana")
    stolen = sign_in(desk, "ana", FIRST)
    desk.ask(credentials.set_password, wire.SetPassword(password=SECOND, current=FIRST), by="ana")
    with pytest.raises(Unauthenticated), desk.store.read() as session:
        authenticate(session, stolen.token, desk.clock.now(), "192.0.2.1")


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../ana",
        "a/../b",
        "a%2e%2e",
        "a%252e",
        "a;x=1",
        "a\\b",
        "a b",
        "a\x00",
        "ä",
        "",
        "A",
        "a" * 129,
        "a\n",
        ".a",
    ],
)
def test_cve_2024_1560_names_are_allow_listed(desk: Desk, name: str) -> None:
    """MLflow CVE-2024-1560, -1593, CVE-2023-1177: encoded and parameterised paths passed the fix.

    A name is lower-case letters, digits, dots, hyphens and underscores, and is never decoded.
    """
    for verb, request in (
        (people.add_user, wire.AddUser(name=name)),
        (people.add_group, wire.AddGroup(name=name)),
        (people.add_project, wire.AddProject(name=name)),
        (people.add_service_account, wire.AddServiceAccount(name=name, owner="ana")),
    ):
        with pytest.raises(Invalid):
            desk.ask(verb, request)


def test_cve_2026_2652_every_verb_is_denied_to_who_holds_nothing(desk: Desk) -> None:
    """MLflow CVE-2026-2652, -0545, -2651, -3198, -118624, -118625: routes left unchecked.

    A verb is an action; an action that no policy permits is denied. Only one's own affairs are everybody's.
    """
    cedar = authorizer(desk.clock)
    allowed = set()
    with desk.store.read() as session:
        for verb in TABLE:
            resource = {"Installation": HERE, "Project": Resource("Project", "credit", "credit")}.get(
                verb.on.name, dataset("credit", "d")
            )
            if cedar.decide(session, known_as("ana", desk.clock), verb, resource).allowed:
                allowed.add(verb.group)
    assert allowed == {"identity:self"}


def test_a_stolen_database_opens_nothing(desk: Desk) -> None:
    """Who reads the table of tokens can present none of it: neither id nor digest is a token."""
    issued = desk.ask(credentials.issue_token, wire.IssueToken(), by="ana")
    with desk.store.engine.connect() as connection:
        rows = connection.exec_driver_sql("select id, digest from identity_tokens").all()
    assert issued.id in {row.id for row in rows}
    for row in rows:
        for guess in (row.id, row.digest, row.digest[7:], f"muni_pat_{row.id}_{row.digest[7:59]}0000000"):
            with pytest.raises(Unauthenticated), desk.store.read() as session:
                authenticate(session, guess, desk.clock.now(), "192.0.2.1")


def test_tokens_of_others_cannot_be_told_from_none(desk: Desk) -> None:
    """Revoking another person's token and one that never was give the same answer."""
    other = desk.ask(credentials.issue_token, wire.IssueToken(), by="root")
    answers = []
    for token in (other.id, "0" * 26):
        with pytest.raises(NotFound) as refused:
            desk.ask(credentials.revoke_token, wire.RevokeToken(token=token), by="ana")
        answers.append((refused.value.code, refused.value.message))
    assert answers[0] == answers[1]
