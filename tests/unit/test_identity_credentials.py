"""Tokens, passwords and the first administrators: what opens, what does not, and that no secret is kept or repeated."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import inspect, text

from desk import QUICK, Desk, make_administrators
from muniment.adapters.sql.store import SqlStore
from muniment.errors import Conflict, Denied, Invalid, MunimentError, NotFound, Unauthenticated
from muniment.identity import tokens
from muniment.identity.credentials import (
    bootstrap,
    issue_token,
    issue_token_for,
    list_tokens,
    list_tokens_of,
    open_bootstrap,
    revoke_token,
    revoke_token_of,
    set_password,
    sign_in,
    who_am_i,
)
from muniment.identity.model import Account, TokenKind
from muniment.identity.passwords import Cost, PasswordHasher, SignInDelays
from muniment.identity.people import add_service_account, add_user, disable_user, grant_role
from muniment.identity.ports import Accounts, Passwords
from muniment.identity.service import LastUses, TokenAuthenticator, authenticate
from muniment.kernel.identifiers import new_id
from muniment.kernel.principal import PrincipalKind
from muniment.testing.fakes import FakeClock, SeededEntropy
from muniment.wire import identity as wire
from statements import reading

PASSPHRASE = "a sentence only ana would think of"


@pytest.fixture
def desk(sqlite_store: SqlStore, clock: FakeClock) -> Desk:
    """An installation with its first administrators root and rita, and with ana."""
    desk = Desk(sqlite_store, clock)
    make_administrators(desk)
    desk.ask(add_user, wire.AddUser(name="ana"))
    return desk


def recognise(desk: Desk, token: str):
    with desk.store.read() as session:
        return authenticate(session, token, desk.clock.now(), "10.0.0.1")


def refusal(desk: Desk, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as refused:
        recognise(desk, token)
    return refused.value


def test_a_token_has_the_published_form(entropy: SeededEntropy, clock: FakeClock) -> None:
    """``muni_<kind>_<id>_<secret><crc>``, with 256 bits of secret, is read back to its kind and id."""
    token_id = new_id(clock, entropy)
    made = tokens.mint(TokenKind.PERSONAL, token_id, entropy)
    assert re.fullmatch(r"muni_pat_[0-9a-z]{26}_[0-9a-z]{59}", made)
    presented = tokens.read(made)
    assert presented is not None
    assert (presented.kind, presented.id) == (TokenKind.PERSONAL, token_id)


def test_a_mistyped_token_is_told_without_asking_the_store(entropy: SeededEntropy, clock: FakeClock) -> None:
    """Every change of one character breaks the checksum or the form."""
    made = tokens.mint(TokenKind.SERVICE, new_id(clock, entropy), entropy)
    for position in range(len(made)):
        other = "x" if made[position] != "x" else "y"
        assert tokens.read(made[:position] + other + made[position + 1 :]) is None
    assert tokens.read(made + "\n") is None
    assert tokens.read("") is None


def test_a_token_opens_until_its_last_moment(desk: Desk) -> None:
    """A token is good from the moment it is issued until the one it expires at, not later."""
    issued = desk.ask(issue_token, wire.IssueToken(days=1), by="ana")
    known = recognise(desk, issued.token)
    assert (known.principal.id, known.method, known.credential) == ("ana", "token", issued.id)
    assert known.expires == desk.clock.now() + timedelta(days=1)
    desk.clock.advance(days=1, microseconds=-1)
    assert recognise(desk, issued.token).principal.id == "ana"
    desk.clock.advance(microseconds=1)
    assert refusal(desk, issued.token).facts["ledger"]["why"] == "expired"


def test_all_refusals_look_alike_and_the_ledger_knows_why(desk: Desk) -> None:
    """Unknown, forged, revoked, expired, disabled, mistyped, missing: one answer; why is a fact for the ledger."""
    asks = [desk.ask(issue_token, wire.IssueToken(days=days), by="ana") for days in (1, 2, 2)]
    robot = desk.ask(add_service_account, wire.AddServiceAccount(name="robot", owner="ana"))
    of_robot = desk.ask(issue_token_for, wire.IssueTokenFor(owner=robot.name))
    desk.ask(revoke_token, wire.RevokeToken(token=asks[1].id), by="ana")
    desk.ask(disable_user, wire.DisableUser(name="robot"))
    forged = tokens.mint(TokenKind.PERSONAL, asks[2].id, SeededEntropy(99))
    unknown = tokens.mint(TokenKind.PERSONAL, new_id(desk.clock, SeededEntropy(5)), SeededEntropy(6))
    desk.clock.advance(days=1)
    refused = {
        "expired": refusal(desk, asks[0].token),
        "revoked": refusal(desk, asks[1].token),
        "disabled": refusal(desk, of_robot.token),
        "malformed": refusal(desk, "muni_pat_x"),
        "missing": refusal(desk, ""),
    }
    assert {error.facts["ledger"]["why"] for error in (refusal(desk, forged), refusal(desk, unknown))} == {"unknown"}
    assert all(error.facts["ledger"]["why"] == why for why, error in refused.items())

    def public(error: MunimentError) -> object:
        return error.code, error.message, {k: v for k, v in error.facts.items() if k != "ledger"}

    everyone = [*refused.values(), refusal(desk, forged), refusal(desk, unknown)]
    assert all(public(error) == public(everyone[0]) for error in everyone)


def test_recognising_is_one_query(desk: Desk) -> None:
    """The hot path asks the store once."""
    issued = desk.ask(issue_token, wire.IssueToken(), by="ana")
    with reading(desk.store) as (session, statements):
        authenticate(session, issued.token, desk.clock.now(), "10.0.0.1")
        assert len(statements) == 1


def test_secrets_are_nowhere_in_the_database(desk: Desk) -> None:
    """Of tokens, passwords and bootstrap secrets only digests and hashes are stored."""
    with_secret = [desk.ask(issue_token, wire.IssueToken(), by="ana").token]
    desk.ask(set_password, wire.SetPassword(password=PASSPHRASE), by="ana")
    with_secret.append(desk.ask(sign_in, wire.SignIn(name="ana", password=PASSPHRASE), by="anonymous").token)
    stored = ""
    with desk.store.engine.connect() as connection:
        for table in inspect(desk.store.engine).get_table_names():
            stored += repr(connection.execute(text(f'select * from "{table}"')).all())
    for secret in [*with_secret, PASSPHRASE]:
        assert secret not in stored
        assert secret[-40:] not in stored
    assert PASSPHRASE not in repr(desk.noted)
    assert with_secret[0] not in repr(desk.noted)


@pytest.mark.parametrize("days", [0, -1, 366, 10**9])
def test_no_token_lives_for_ever(desk: Desk, days: int) -> None:
    """An expiry is mandatory: 1 to 365 days, 30 unless said otherwise."""
    with pytest.raises(Invalid, match="1 to 365"):
        desk.ask(issue_token, wire.IssueToken(days=days), by="ana")
    usual = desk.ask(issue_token, wire.IssueToken(), by="ana")
    assert recognise(desk, usual.token).expires == desk.clock.now() + timedelta(days=30)


def test_a_limited_token_cannot_issue_a_wider_one(desk: Desk) -> None:
    """Limits only shrink: a token limited to some groups issues tokens within them or none."""
    desk.ask(issue_token, wire.IssueToken(actions=["identity:self", "data:read"]), by="ana")
    limited = frozenset({"identity:self", "data:read"})
    inner = desk.ask(issue_token, wire.IssueToken(actions=["data:read"]), by="ana", actions=limited)
    assert recognise(desk, inner.token).actions == {"data:read"}
    for wider in (None, ["data:read", "data:write"]):
        with pytest.raises(Denied):
            desk.ask(issue_token, wire.IssueToken(actions=wider), by="ana", actions=limited)


@pytest.mark.parametrize("actions", [[], ["*"], ["data"], ["data:read;drop"], ["x:y"] * 51])
def test_limits_are_actions_or_groups(desk: Desk, actions: list[str]) -> None:
    """Anything but action names and group names is refused as a limit, and so is an empty list."""
    with pytest.raises(Invalid):
        desk.ask(issue_token, wire.IssueToken(actions=actions), by="ana")


def test_revocation_takes_effect_at_once(desk: Desk) -> None:
    """A revoked token opens nothing from that very moment, for its owner as for an administrator."""
    own, other = (desk.ask(issue_token, wire.IssueToken(), by="ana") for _ in range(2))
    assert desk.ask(revoke_token, wire.RevokeToken(token=own.id), by="ana").status == "revoked"
    assert desk.ask(revoke_token_of, wire.RevokeTokenOf(token=other.id), by="root").status == "revoked"
    for token in (own, other):
        assert refusal(desk, token.token).facts["ledger"]["why"] == "revoked"


def test_nobody_acts_beside_a_person_unnoticed(desk: Desk) -> None:
    """An administrator makes a token for a person only while none of his works; then his password ends as well."""
    first = desk.ask(issue_token_for, wire.IssueTokenFor(owner="ana", days=2))
    for administrator in ("root", "rita"):
        with pytest.raises(Denied, match="has a token that works"):
            desk.ask(issue_token_for, wire.IssueTokenFor(owner="ana"), by=administrator)
    with pytest.raises(Denied):
        desk.ask(issue_token_for, wire.IssueTokenFor(owner="rita"), by="root")
    desk.ask(set_password, wire.SetPassword(password=PASSPHRASE), by="ana")
    desk.clock.advance(days=2)
    desk.ask(issue_token_for, wire.IssueTokenFor(owner="ana"))
    refusal(desk, first.token)
    with pytest.raises(Unauthenticated):
        desk.ask(sign_in, wire.SignIn(name="ana", password=PASSPHRASE), by="anonymous")


def test_nobody_revokes_what_is_not_his(desk: Desk) -> None:
    """Another person's token looks like none; that of a service account one answers for is one's own."""
    issued = desk.ask(issue_token, wire.IssueToken(), by="root")
    with pytest.raises(NotFound):
        desk.ask(revoke_token, wire.RevokeToken(token=issued.id), by="ana")
    desk.ask(add_service_account, wire.AddServiceAccount(name="robot", owner="ana"))
    robot = desk.ask(issue_token_for, wire.IssueTokenFor(owner="robot"))
    assert desk.ask(revoke_token, wire.RevokeToken(token=robot.id), by="ana").status == "revoked"


def test_lists_show_who_issued_a_token_and_no_text(desk: Desk) -> None:
    """A list of tokens says who made each one, and never repeats its text."""
    made = desk.ask(issue_token_for, wire.IssueTokenFor(owner="ana", label="first"))
    desk.clock.advance(seconds=1)
    own = desk.ask(issue_token, wire.IssueToken(label="laptop"), by="ana")
    shown = desk.ask(list_tokens, wire.ListTokens(), by="ana").tokens
    assert [(token.label, token.issued_by) for token in shown] == [("laptop", "ana"), ("first", "root")]
    assert own.token not in repr(shown)
    assert made.token not in repr(shown)
    assert len(desk.ask(list_tokens_of, wire.ListTokensOf(), by="root").tokens) == 4


def test_last_use_is_written_at_most_once_a_minute(desk: Desk) -> None:
    """Uses are remembered at once, shown at once, and written once a minute per token."""
    token = desk.ask(issue_token, wire.IssueToken(), by="ana")
    recognised = TokenAuthenticator(desk.clock, desk.uses)

    def used() -> int:
        with desk.store.write() as session:
            recognised(session, token.token, "10.0.0.1")
            return desk.uses.flush(session, desk.clock.now())

    counts = []
    for _ in range(13):
        counts.append(used())
        desk.clock.advance(seconds=10)
    assert counts == [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    shown = desk.ask(list_tokens, wire.ListTokens(), by="ana").tokens[0]
    assert shown.last_used_at == "2026-11-23T09:02:00.000000Z"


def test_a_use_between_two_writes_is_not_lost() -> None:
    """What is not due yet stays pending."""
    uses, clock = LastUses(), FakeClock()
    uses.note("t", clock.now())
    assert uses.pending() == {"t": clock.now()}


def test_the_first_administrators_are_exactly_two(desk: Desk, sqlite_store: SqlStore) -> None:
    """The bootstrap secret makes two administrators with a token each, once; then no secret can be made at all."""
    listed = desk.ask(who_am_i, wire.WhoAmI(), by="rita")
    assert [(grant.role, grant.scope) for grant in listed.roles] == [("administrator", None)]
    with pytest.raises(Conflict), desk.store.write() as session:
        open_bootstrap(session, desk.clock, desk.entropy)


@pytest.mark.parametrize("names", [[], ["one"], ["one", "one"], ["one", "two", "three"], ["one", "NOT A NAME"]])
def test_a_bootstrap_for_other_than_two_people_changes_nothing(
    sqlite_store: SqlStore, clock: FakeClock, names: list[str]
) -> None:
    """One administrator, three, the same one twice or a bad name: refused, and the secret still lives."""
    desk = Desk(sqlite_store, clock)
    with desk.store.write() as session:
        secret = open_bootstrap(session, clock, desk.entropy)
    with pytest.raises(Invalid):
        desk.ask(bootstrap, wire.Bootstrap(secret=secret, administrators=names), by="anonymous")
    with desk.store.read() as session:
        assert not session.use(Accounts).exist()
    made = desk.ask(bootstrap, wire.Bootstrap(secret=secret, administrators=["one", "two"]), by="anonymous")
    assert [recognise(desk, each.token).principal.id for each in made.administrators] == ["one", "two"]


def test_a_bootstrap_secret_dies(sqlite_store: SqlStore, clock: FakeClock) -> None:
    """Wrong, replaced, 15 minutes old, spent: each makes nobody, with one answer."""
    desk = Desk(sqlite_store, clock)
    with desk.store.write() as session:
        replaced = open_bootstrap(session, clock, desk.entropy)
        secret = open_bootstrap(session, clock, desk.entropy)

    def attempt(text: str) -> object:
        return desk.ask(bootstrap, wire.Bootstrap(secret=text, administrators=["one", "two"]), by="anonymous")

    for wrong in (replaced, secret[:-1] + "0", "", tokens.mint(TokenKind.BOOTSTRAP, replaced[10:36], desk.entropy)):
        with pytest.raises(Unauthenticated):
            attempt(wrong)
    clock.advance(minutes=15)
    with pytest.raises(Unauthenticated):
        attempt(secret)
    clock.advance(seconds=-1)
    attempt(secret)
    with pytest.raises(Unauthenticated):
        attempt(secret)


def test_signing_in_gives_a_token_for_twelve_hours(desk: Desk) -> None:
    """The right password opens a session; it is recognised as made by a password and ends after 12 hours."""
    desk.ask(set_password, wire.SetPassword(password=PASSPHRASE), by="ana")
    opened = desk.ask(sign_in, wire.SignIn(name="ana", password=PASSPHRASE), by="anonymous")
    assert recognise(desk, opened.token).method == "password"
    desk.clock.advance(hours=12)
    assert refusal(desk, opened.token).facts["ledger"]["why"] == "expired"


def test_signing_in_never_says_what_was_wrong(desk: Desk) -> None:
    """No such account, no password set, wrong password, disabled account: one answer; what was typed is not kept."""
    desk.ask(set_password, wire.SetPassword(password=PASSPHRASE), by="ana")
    desk.ask(add_user, wire.AddUser(name="bob"))
    seen = []
    for name, password in (("ana", "wrong"), ("bob", "wrong"), ("my secret passphrase", "ana"), ("", "")):
        with pytest.raises(Unauthenticated) as refused:
            desk.ask(sign_in, wire.SignIn(name=name, password=password), by="anonymous")
        seen.append(refused.value)
        assert "passphrase" not in repr(refused.value.facts)
    desk.ask(disable_user, wire.DisableUser(name="ana"))
    with pytest.raises(Unauthenticated) as refused:
        desk.ask(sign_in, wire.SignIn(name="ana", password=PASSPHRASE), by="anonymous")
    seen.append(refused.value)
    assert len({(error.code, error.message) for error in seen}) == 1
    assert [error.facts["ledger"]["why"] for error in seen] == [
        "password",
        "password",
        "unknown",
        "unknown",
        "disabled",
    ]


def test_a_password_change_needs_the_present_one_and_ends_sessions(desk: Desk) -> None:
    """Who has a password must show it to change it; sessions made with it end, API tokens do not."""
    desk.ask(set_password, wire.SetPassword(password=PASSPHRASE), by="ana")
    session = desk.ask(sign_in, wire.SignIn(name="ana", password=PASSPHRASE), by="anonymous")
    token = desk.ask(issue_token, wire.IssueToken(), by="ana")
    for wrong in (None, "not the present password"):
        with pytest.raises(Denied):
            desk.ask(set_password, wire.SetPassword(password=PASSPHRASE + "!", current=wrong), by="ana")
    assert recognise(desk, session.token).principal.id == "ana"
    desk.ask(set_password, wire.SetPassword(password=PASSPHRASE + "!", current=PASSPHRASE), by="ana")
    assert refusal(desk, session.token).facts["ledger"]["why"] == "revoked"
    assert recognise(desk, token.token).principal.id == "ana"


@pytest.mark.parametrize("password", ["", "password1234", "x" * 14, " " * 20, "x" * 1025])
def test_a_password_alone_has_fifteen_characters(desk: Desk, password: str) -> None:
    """Too short, blank or absurdly long: refused, and the error does not repeat it."""
    with pytest.raises(Invalid) as refused:
        desk.ask(set_password, wire.SetPassword(password=password), by="ana")
    assert not password.strip() or password not in repr(refused.value.document())


def test_service_accounts_have_no_password(desk: Desk) -> None:
    """A program acts by tokens only."""
    desk.ask(add_service_account, wire.AddServiceAccount(name="robot", owner="ana"))
    with pytest.raises(Invalid):
        desk.ask(set_password, wire.SetPassword(password=PASSPHRASE), by="robot", kind=PrincipalKind.SERVICE_ACCOUNT)


def test_guessing_becomes_slow_and_nobody_is_locked_out(clock: FakeClock) -> None:
    """After five failures the wait doubles from one address, to 15 minutes at most; from elsewhere it is 10 seconds."""
    delays = SignInDelays()
    waits = []
    for _ in range(30):
        try:
            delays.check("ana", "evil", clock.now())
            waits.append(0)
        except Unauthenticated as slow:
            waits.append(int(slow.facts["wait_s"]))
            clock.advance(seconds=waits[-1])
            delays.check("ana", "evil", clock.now())
        delays.failed("ana", "evil", clock.now())
    assert waits[:9] == [0, 0, 0, 0, 0, 2, 3, 5, 9]
    assert max(waits) == waits[-1] == 901
    with pytest.raises(Unauthenticated) as slow:
        delays.check("ana", "home", clock.now())
    assert slow.value.facts["wait_s"] <= 11
    delays.check("bob", "evil", clock.now())
    clock.advance(seconds=10)
    delays.check("ana", "home", clock.now())
    delays.succeeded("ana", "home")
    delays.failed("ana", "home", clock.now())
    delays.check("ana", "home", clock.now())


def test_failed_sign_ins_are_counted(desk: Desk) -> None:
    """The sixth attempt after five wrong passwords is refused before any hash is computed, even with the right one."""
    desk.ask(set_password, wire.SetPassword(password=PASSPHRASE), by="ana")
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            desk.ask(sign_in, wire.SignIn(name="ana", password="wrong"), by="anonymous")
    with pytest.raises(Unauthenticated, match="wait"):
        desk.ask(sign_in, wire.SignIn(name="ana", password=PASSPHRASE), by="anonymous")
    desk.clock.advance(seconds=2)
    assert desk.ask(sign_in, wire.SignIn(name="ana", password=PASSPHRASE), by="anonymous").owner == "ana"


def test_a_hash_is_argon2id_salted_and_made_again_when_the_cost_rises(desk: Desk) -> None:
    """Hashes say argon2id, differ for equal passwords, and are raised to today's cost at the next sign-in."""
    entropy = SeededEntropy()
    hasher = PasswordHasher(entropy, QUICK)
    kept, again = hasher.hash(PASSPHRASE), hasher.hash(PASSPHRASE)
    assert kept.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert kept != again
    assert hasher.verify(kept, PASSPHRASE).matches
    assert not hasher.verify(kept, PASSPHRASE + " ").matches
    assert not hasher.verify("not a hash", PASSPHRASE).matches
    dearer = PasswordHasher(entropy, Cost(memory_kib=128, passes=1))
    assert dearer.verify(kept, PASSPHRASE).outdated
    desk.ask(set_password, wire.SetPassword(password=PASSPHRASE), by="ana")
    desk.services[PasswordHasher] = dearer
    desk.ask(sign_in, wire.SignIn(name="ana", password=PASSPHRASE), by="anonymous")
    with desk.store.read() as session:
        password = session.use(Passwords).find("ana")
        assert password is not None
        assert "m=128" in password.hash


def test_who_am_i_tells_rights_and_credential(desk: Desk) -> None:
    """One sees one's own name, kind, roles with their scope, and the credential in use."""
    desk.ask(grant_role, wire.GrantRole(subject="ana", role="auditor"))
    me = desk.ask(who_am_i, wire.WhoAmI(), by="ana", credential="c7", actions=frozenset({"identity:self"}))
    assert (me.name, me.kind, me.credential, me.actions) == ("ana", "User", "c7", ["identity:self"])
    assert [(grant.role, grant.scope, grant.active) for grant in me.roles] == [("auditor", None, True)]


def test_an_account_is_active_until_it_is_disabled(clock: FakeClock) -> None:
    """Disabling counts from its moment on."""
    now = clock.now()
    account = Account("ana", PrincipalKind.USER, None, now, "root", now + timedelta(seconds=1))
    assert account.active(now)
    assert not account.active(now + timedelta(seconds=1))
