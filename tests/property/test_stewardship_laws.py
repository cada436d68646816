"""Terms form a lattice: put together in any order they come out the same, and nothing that was stated is weakened."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from muniment.inventory.model import Record, RecordKind
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time
from muniment.stewardship.standing import DataGrant
from muniment.stewardship.terms import ANYTHING, RIGHTS, Terms, obstacles, of_document, strictest, wider

DAYS = st.none() | st.dates(date(2020, 1, 1), date(2040, 1, 1))
WORDS = st.frozensets(st.sampled_from(["scoring", "marketing", "fraud", "research"]))
TERMS = st.builds(
    Terms,
    classification=st.sampled_from(["public", "internal", "confidential", "restricted", "other"]),
    owners=WORDS,
    purposes=st.none() | WORDS,
    legal_basis=WORDS,
    forbids=st.frozensets(st.sampled_from(sorted(RIGHTS))),
    use_until=DAYS,
    retention=DAYS,
    keep_until=DAYS,
    access=st.sampled_from(["role", "grant"]),
)
KINDS = st.sampled_from(["train", "run", "evaluate", "explain", "split", "transform", "join", "predict", "profile"])
MOMENTS = st.integers(1_546_300_800, 2_240_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(TERMS, TERMS, TERMS)
def test_strictest_is_a_join(a: Terms, b: Terms, c: Terms) -> None:
    """Commutative, associative, idempotent, and saying nothing changes nothing."""
    assert strictest([a, b]) == strictest([b, a])
    assert strictest([a, strictest([b, c])]) == strictest([strictest([a, b]), c]) == strictest([a, b, c])
    assert strictest([a, a]) == strictest([a]) == strictest([a, ANYTHING]) == a


@given(TERMS, TERMS, KINDS, WORDS, MOMENTS)
def test_what_one_refuses_both_refuse(a: Terms, b: Terms, kind: str, purposes: frozenset[str], now: datetime) -> None:
    """What may not be done with one data set may not be done with what it is joined to."""
    alone = list(obstacles(a, kind, purposes, now))
    if alone:
        assert list(obstacles(strictest([a, b]), kind, purposes, now))


@given(TERMS, TERMS, KINDS, WORDS, MOMENTS)
def test_what_is_not_wider_allows_nothing_more(
    a: Terms, b: Terms, kind: str, purposes: frozenset[str], now: datetime
) -> None:
    """Terms that need no second person never let through what was refused before them."""
    if not wider(a, b) and list(obstacles(a, kind, purposes, now)):
        assert list(obstacles(b, kind, purposes, now))
    assert not wider(a, strictest([a, b]))


@given(TERMS)
def test_what_is_written_is_what_was_stated(a: Terms) -> None:
    """A record's document gives the same terms back."""
    assert of_document(a.document()) == a


@given(
    MOMENTS,
    st.integers(1, 90),
    st.integers(-200 * 86400, 200 * 86400),
    st.none() | st.integers(0, 90 * 86400),
)
def test_a_grant_serves_from_its_approval_to_its_end_and_never_outside(
    at: datetime, days: int, offset: int, revoked_after: int | None
) -> None:
    """Only its account, only its purpose, only within its time, and not once it was revoked."""

    def record(kind: RecordKind, body: dict[str, object], moment: datetime) -> Record:
        return Record("1" * 26, "p", kind, "s", moment, "User:s", Grade.DECLARED, body)

    asked = {"account": "User:ana", "purpose": "Scoring", "reason": "r", "days": days}
    until = at + timedelta(days=days)
    decided = {"decision": "approved", "reason": "", "until": format_time(until), "record": ""}
    revoked = None
    now = at + timedelta(seconds=offset)
    if revoked_after is not None:
        moment = at + timedelta(seconds=revoked_after)
        revoked = record(RecordKind.DATA_GRANT_DECISION, {"decision": "revoked", "reason": "", "until": None}, moment)
    grant = DataGrant(
        record(RecordKind.DATA_GRANT, asked, at), record(RecordKind.DATA_GRANT_DECISION, decided, at), revoked
    )
    serves = grant.serves("User:ana", frozenset({"scoring"}), now)
    assert serves == (now < until and revoked is None)
    assert not grant.serves("User:bob", frozenset({"scoring"}), now)
    assert not grant.serves("User:ana", frozenset({"marketing"}), now)
