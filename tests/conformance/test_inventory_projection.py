"""Versions, challenges, signing keys and ties on each engine: found as they were kept, filtered as the words say."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Unavailable
from muniment.identity.model import (
    Account,
    AccountLink,
    Group,
    Membership,
    Role,
    RoleGrant,
    SigningKey,
    SubjectKind,
    TokenKind,
)
from muniment.identity.model import Token as KeptToken
from muniment.identity.ports import Accounts, Grants, Groups, SigningKeys, Ties, Tokens
from muniment.inventory.lifecycle import State
from muniment.inventory.ports import Challenge, Challenges, VersionRow, Versions, Wanted
from muniment.kernel.digest import Digest
from muniment.kernel.principal import PrincipalKind

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def row(n: int, **changes: Any) -> VersionRow:
    """A version; the higher the number, the later it was registered."""
    plain = VersionRow(
        project="main",
        digest=Digest.of(b"%d" % n),
        name=f"m{n}",
        version=1,
        use_case="cards",
        model_kind="model",
        origin="platform",
        owner="ana",
        algorithm="xgboost",
        supplier=None,
        tier=2,
        state=State.DRAFT,
        since=NOW,
        registered_at=NOW + n * DAY,
        approvals=0,
        required=1,
        approved_at=None,
        expires=None,
        emergency_until=None,
        next_review=None,
        findings_high=0,
        findings_open=0,
    )
    return replace(plain, **changes)


ROWS: Mapping[str, VersionRow] = {
    "draft": row(1),
    "approved": row(2, state=State.APPROVED, approved_at=NOW, expires=NOW + 9 * DAY, tier=1, next_review="2026-11-24"),
    "expired": row(
        3, state=State.APPROVED, approved_at=NOW - 9 * DAY, expires=NOW, owner="bob", next_review="2026-11-22"
    ),
    "emergency": row(4, state=State.SUBMITTED, emergency_until=NOW + DAY, supplier="Acme", origin="vendor"),
    "lapsed": row(5, state=State.IN_VALIDATION, emergency_until=NOW, supplier="Acme", origin="vendor"),
    "retired": row(6, state=State.RETIRED, emergency_until=NOW + DAY, expires=NOW, next_review="2020-01-01"),
    "elsewhere": row(7, project="other"),
}


@pytest.fixture
def kept(store: SqlStore) -> SqlStore:
    """All of them."""
    with store.write() as session:
        for one in ROWS.values():
            session.use(Versions).put(one)
    return store


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), {"draft", "approved", "expired", "emergency", "lapsed", "retired"}),
        (Wanted(state=State.APPROVED), {"approved", "expired", "emergency"}),
        (Wanted(state=State.SUBMITTED), set()),
        (Wanted(state=State.IN_VALIDATION), {"lapsed"}),
        (Wanted(state=State.RETIRED), {"retired"}),
        (Wanted(tier=1), {"approved"}),
        (Wanted(owner="bob"), {"expired"}),
        (Wanted(origin="vendor", supplier="Acme"), {"emergency", "lapsed"}),
        (Wanted(use_case="other"), set()),
        (Wanted(emergency=True), {"emergency"}),
        (Wanted(emergency=False, origin="vendor"), {"lapsed"}),
        (Wanted(overdue=True), {"expired"}),
        (Wanted(overdue=False, tier=1), {"approved"}),
        (Wanted(expired=True), {"expired"}),
        (Wanted(expired=False, state=State.APPROVED), {"approved", "emergency"}),
    ],
    ids=lambda given: str(sorted(given) if isinstance(given, set) else given),
)
def test_a_list_shows_what_is_wanted(kept: SqlStore, wanted: Wanted, found: set[str]) -> None:
    """Each filter alone and together, the newest registration first, never of another project."""
    with kept.read() as session:
        rows = session.use(Versions).listed("main", wanted, NOW, 100)
    expected = sorted((ROWS[name] for name in found), key=lambda one: one.registered_at, reverse=True)
    assert rows == expected


def test_the_filters_agree_with_the_rows(kept: SqlStore) -> None:
    """What a row says of itself at a moment is what the list finds by it."""
    with kept.read() as session:
        for after in (-1, 0, 1, 20):
            now = NOW + after * DAY
            every = session.use(Versions).listed("main", Wanted(), now, 100)
            for state in State:
                rows = session.use(Versions).listed("main", Wanted(state=state), now, 100)
                assert rows == [one for one in every if one.state_at(now) is state]
            assert session.use(Versions).listed("main", Wanted(emergency=True), now, 100) == [
                one for one in every if one.emergency_at(now)
            ]


def test_a_row_takes_the_place_of_the_former(kept: SqlStore) -> None:
    """One row a version, whatever is put, and a limit is kept."""
    changed = replace(ROWS["draft"], state=State.SUBMITTED, findings_open=3)
    with kept.write() as session:
        session.use(Versions).put(changed)
    with kept.read() as session:
        assert session.use(Versions).get("main", changed.digest) == changed
        assert session.use(Versions).get("other", changed.digest) is None
        assert len(session.use(Versions).listed("main", Wanted(), NOW, 2)) == 2
        assert session.use(Versions).of_use_case("other", "cards") == [ROWS["elsewhere"]]


def test_counts_and_ages_say_where_versions_stand(kept: SqlStore) -> None:
    """By tier and state as people see it, an ended approval as ``expired``; ages of what is not final."""
    with kept.read() as session:
        counts = session.use(Versions).counts("main", NOW)
        ages = session.use(Versions).ages("main")
    assert sorted(counts) == [
        (1, "approved", 1),
        (2, "approved", 1),
        (2, "draft", 1),
        (2, "expired", 1),
        (2, "in_validation", 1),
        (2, "retired", 1),
    ]
    assert sorted(ages) == [
        ("approved", NOW, 2),
        ("draft", NOW, 1),
        ("in_validation", NOW, 1),
        ("submitted", NOW, 1),
    ]


def test_what_is_shared_is_counted_among_the_living(kept: SqlStore) -> None:
    """Suppliers, owners and inputs that several versions have, the most first; what has ended shares nothing."""
    data, other = Digest.of(b"data"), Digest.of(b"other")
    with kept.write() as session:
        for name in ("draft", "approved", "retired"):
            session.use(Versions).put_inputs("main", ROWS[name].digest, {data: "data:credit@1", other: "file"})
        session.use(Versions).put_inputs("main", ROWS["approved"].digest, {data: "data:credit@1"})
    with kept.read() as session:
        shared = {what: session.use(Versions).shared("main", what, 5) for what in ("supplier", "owner", "input")}
    assert [(one.value, one.versions) for one in shared["supplier"]] == [("Acme", 2)]
    assert [(one.value, one.versions) for one in shared["owner"]] == [("ana", 4)]
    assert [(one.value, one.versions) for one in shared["input"]] == [("data:credit@1", 2)]
    with kept.write() as session:
        session.use(Versions).put(replace(ROWS["draft"], state=State.REJECTED))
    with kept.read() as session:
        assert session.use(Versions).shared("main", "input", 5) == []


def test_a_challenge_is_spent_once(store: SqlStore) -> None:
    """It is found in its project only, as it was kept; old ones go when a new one comes."""
    digest = Digest.of(b"x")
    one = Challenge(
        id="0" * 26,
        project="main",
        model=digest,
        meaning="approved",
        signer="ana",
        key=digest,
        statement=digest,
        prepared_at=NOW,
        expires=NOW + timedelta(minutes=5),
    )
    with store.write() as session:
        session.use(Challenges).add(one)
        session.use(Challenges).spend(one.id, NOW)
    with store.read() as session:
        assert session.use(Challenges).get("main", one.id) == replace(one, spent_at=NOW)
        assert session.use(Challenges).get("other", one.id) is None
    late = replace(one, id="1" * 26, prepared_at=NOW + 2 * DAY, expires=NOW + 2 * DAY)
    with store.write() as session:
        session.use(Challenges).add(late)
    with store.read() as session:
        assert session.use(Challenges).get("main", one.id) is None
        assert session.use(Challenges).get("main", late.id) == late


def test_a_key_belongs_to_one_account(store: SqlStore) -> None:
    """It is found by its fingerprint and by its owner, also when revoked; a second owner is refused by the store."""
    keys = [SigningKey(Digest.of(b"%d" % n), "ana", b"%d" % n * 32, "", NOW + n * DAY) for n in (1, 2)]
    with store.write() as session:
        for key in keys:
            session.use(SigningKeys).add(key)
        session.use(SigningKeys).revoke(keys[0].fingerprint, NOW + 9 * DAY, "admin")
        session.use(SigningKeys).revoke(keys[0].fingerprint, NOW + 99 * DAY, "other")
    with store.read() as session:
        revoked = replace(keys[0], revoked_at=NOW + 9 * DAY, revoked_by="admin")
        assert session.use(SigningKeys).of("ana") == [keys[1], revoked]
        assert session.use(SigningKeys).find(keys[0].fingerprint) == revoked
        assert session.use(SigningKeys).of("bob") == []
        assert session.use(SigningKeys).of(None) == [keys[1], revoked]
    with pytest.raises((IntegrityError, Unavailable, sqlite3.IntegrityError)), store.write() as session:
        session.use(SigningKeys).add(replace(keys[0], account="bob"))


def test_ties_between_accounts(store: SqlStore) -> None:
    """Links join over any number of steps until they end; who depends on whom is told with how."""
    with store.write() as session:
        for name, kind, owner, by in (
            ("ana", PrincipalKind.USER, None, "boss"),
            ("ana2", PrincipalKind.USER, None, "boss2"),
            ("robot", PrincipalKind.SERVICE_ACCOUNT, "ana2", "boss2"),
            ("bob", PrincipalKind.USER, None, "boss2"),
        ):
            session.use(Accounts).add(Account(name, kind, owner, NOW, by))
        session.use(Ties).link(AccountLink("1" * 26, "ana", "ana2", NOW, "boss2"))
        session.use(Groups).add(Group("board", NOW, "boss2"))
        session.use(Groups).add_member(Membership("2" * 26, "board", "bob", NOW, None, "adder"))
        given = (SubjectKind.GROUP, "board", Role.APPROVER)
        session.use(Grants).add(RoleGrant("3" * 26, *given, "main", NOW, None, "giver"))
        session.use(Grants).add(RoleGrant("4" * 26, SubjectKind.USER, "bob", Role.AUDITOR, "other", NOW, None, "far"))
        session.use(Tokens).add(
            KeptToken("5" * 26, TokenKind.PERSONAL, "bob", Digest.of(b"t"), "", None, "issuer", NOW, NOW + DAY)
        )
    with store.read() as session:
        ties = session.use(Ties)
        assert ties.same(["ana"]) == ties.same(["robot"]) == {"ana", "ana2", "robot"}
        assert ties.same(["bob"]) == {"bob"}
        told = {
            (tie.account, tie.by): tie.how for tie in ties.beholden(["boss", "adder", "giver", "far", "issuer"], "main")
        }
        assert told.keys() == {("ana", "boss"), ("bob", "adder"), ("bob", "giver"), ("bob", "issuer")}
        assert ties.beholden(["far"], "other")[0].account == "bob"
        assert ties.beholden([], "main") == []
    with store.write() as session:
        session.use(Ties).unlink("1" * 26, NOW + DAY, "boss")
        session.use(Groups).end_member("board", "bob", NOW + DAY)
    with store.read() as session:
        assert session.use(Ties).same(["ana"]) == {"ana"}
        assert session.use(Ties).links() == []
        assert [tie.by for tie in session.use(Ties).beholden(["adder", "giver", "issuer"], "main")] == ["issuer"]
