"""The life of a version: which step may follow on which state, and what the records come to. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from muniment.inventory.lifecycle import Act, Outcome, State, Version, fold, missing, usable
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MODEL = "sha256:" + "a" * 64
LATER = format_time(START + timedelta(days=365))


class Life:
    """Records of one version, in the order they are stated."""

    def __init__(self, approvals: int = 1, steps: tuple[str, ...] = ("submission", "validation", "approval")) -> None:
        self.records: list[Record] = []
        told = {"model": "model:m@1", "manifest": MODEL, "model_kind": "model", "use_case": None, "origin": "platform"}
        self.say(RecordKind.REGISTRATION, by="ana", **told)
        self.say(RecordKind.TIER, level=3, because="x", requires={"approvals": approvals, "steps": list(steps)})

    def say(self, kind: RecordKind, by: str = "ana", *, after_days: float = 0, **body: Any) -> Record:
        """One more record."""
        at = (self.records[-1].at if self.records else START) + timedelta(days=after_days)
        step = len(self.records)
        record = Record(f"{step:026}", "main", kind, MODEL, at, f"User:{by}", Grade.ATTESTED, {**body, "step": step})
        self.records.append(record)
        return record

    def submit(self) -> Record:
        """A submission."""
        return self.say(RecordKind.SUBMISSION, note="")

    def review(self, outcome: Outcome = Outcome.SATISFACTORY) -> Record:
        """A review."""
        return self.say(RecordKind.REVIEW, "vera", outcome=outcome.value)

    def approve(self, by: str = "paul", *, completes: bool = True, expires: str = LATER, **more: Any) -> Record:
        """An approval."""
        terms = {"conditions": [], "use_limits": [], "expires": expires, "emergency": False, "counted": []}
        return self.say(RecordKind.APPROVAL, by, completes=completes, **terms | more)

    @property
    def version(self) -> Version:
        """What it comes to."""
        found = fold(self.records)
        assert found is not None
        return found


def at(state: State) -> Life:
    """A life that has come to a state."""
    life = Life()
    if state is State.DRAFT:
        return life
    if state is State.RETIRED:
        life.say(RecordKind.RETIREMENT, reason="x")
        return life
    life.submit()
    if state is State.REJECTED:
        life.say(RecordKind.REJECTION, reason="x")
    elif state is not State.SUBMITTED:
        life.review()
        if state is State.APPROVED:
            life.approve()
    assert life.version.state is state
    return life


ALLOWED = {
    (State.DRAFT, Act.DETERMINE),
    (State.DRAFT, Act.SUBMIT),
    (State.DRAFT, Act.RETIRE),
    (State.DRAFT, Act.BREAK_GLASS),
    (State.SUBMITTED, Act.DETERMINE),
    (State.SUBMITTED, Act.REVIEW),
    (State.SUBMITTED, Act.REJECT),
    (State.SUBMITTED, Act.RETIRE),
    (State.SUBMITTED, Act.BREAK_GLASS),
    (State.IN_VALIDATION, Act.DETERMINE),
    (State.IN_VALIDATION, Act.REVIEW),
    (State.IN_VALIDATION, Act.APPROVE),
    (State.IN_VALIDATION, Act.REJECT),
    (State.IN_VALIDATION, Act.RETIRE),
    (State.IN_VALIDATION, Act.BREAK_GLASS),
    (State.APPROVED, Act.DETERMINE),
    (State.APPROVED, Act.SUBMIT),
    (State.APPROVED, Act.RETIRE),
    (State.APPROVED, Act.BREAK_GLASS),
}
"""Every step that may be taken, written down a second time: all others may not."""


@pytest.mark.parametrize("state", [*State])
@pytest.mark.parametrize("act", [*Act])
def test_only_what_is_allowed_may_follow(state: State, act: Act) -> None:
    """From each state exactly the steps of the table may be taken; each refusal names the state or what is missing."""
    refusal = missing(at(state).version, act)
    assert (refusal is None) is ((state, act) in ALLOWED)
    assert refusal is None or refusal.because


def test_an_unsatisfactory_review_leads_back_to_submission() -> None:
    """It cannot be approved; it can be submitted again, and what was said before counts no more."""
    life = at(State.SUBMITTED)
    life.review(Outcome.UNSATISFACTORY)
    assert missing(life.version, Act.APPROVE) is not None
    assert missing(life.version, Act.SUBMIT) is None
    life.submit()
    assert (life.version.state, life.version.reviews) == (State.SUBMITTED, ())


def test_a_good_review_is_not_submitted_over() -> None:
    """Once it is validated, another submission would throw the validation away: it is refused."""
    assert missing(at(State.IN_VALIDATION).version, Act.SUBMIT) is not None


def test_a_tier_without_validation_is_approved_from_submission() -> None:
    """What the tier does not ask for is not waited for."""
    life = Life(steps=("submission", "approval"))
    life.submit()
    assert missing(life.version, Act.APPROVE) is None


def test_approvals_complete_together() -> None:
    """Of two approvals the first changes nothing; the second one does, with the earlier end and all conditions."""
    life = Life(approvals=2)
    life.submit()
    life.review()
    sooner = format_time(START + timedelta(days=30))
    first = life.approve("paul", completes=False, expires=sooner, conditions=["a"])
    assert (life.version.state, life.version.in_force) == (State.IN_VALIDATION, None)
    life.approve("petra", counted=[first.id], conditions=["a", "b"], use_limits=["c"])
    standing = life.version.in_force
    assert standing is not None
    assert (life.version.state, standing.expires) == (State.APPROVED, START + timedelta(days=30))
    assert (standing.conditions, standing.use_limits) == (("a", "b"), ("c",))


def test_an_approval_that_does_not_count_leaves_no_condition() -> None:
    """The approval of somebody whose key was revoked meanwhile is not part of what is in force."""
    life = Life(approvals=2)
    life.submit()
    life.review()
    life.approve("gone", completes=False, conditions=["void"])
    second = life.approve("paul", completes=False)
    life.approve("petra", counted=[second.id])
    standing = life.version.in_force
    assert standing is not None
    assert standing.conditions == ()
    assert [record.by for record in standing.records] == ["User:paul", "User:petra"]


def test_the_end_of_an_approval_is_a_question_of_the_clock() -> None:
    """The state stays, but it may not be used from that moment on; a renewal leaves it usable until then."""
    life = at(State.APPROVED)
    end = START + timedelta(days=365)
    assert usable(life.version, end - timedelta(seconds=1)).usable
    assert not usable(life.version, end).usable
    assert "expired" in usable(life.version, end).because[0]
    life.submit()
    assert life.version.state is State.SUBMITTED
    assert usable(life.version, START).usable


def test_an_emergency_stands_beside_the_steps() -> None:
    """It makes a draft usable for days and moves nothing on; an ordinary approval takes its place."""
    life = at(State.SUBMITTED)
    soon = format_time(START + timedelta(days=7))
    life.approve("admin", completes=False, emergency=True, expires=soon)
    version = life.version
    assert (version.state, version.state_at(START)) == (State.SUBMITTED, State.APPROVED)
    assert usable(version, START).emergency
    assert not usable(version, START + timedelta(days=7)).usable
    assert version.state_at(START + timedelta(days=7)) is State.SUBMITTED
    life.review()
    life.approve()
    assert not usable(life.version, START).emergency


@pytest.mark.parametrize("state", [State.RETIRED, State.REJECTED])
def test_what_has_ended_stays_so(state: State) -> None:
    """After the end nothing that is stated makes it usable, not even an emergency."""
    life = at(state)
    life.approve("admin", completes=False, emergency=True)
    life.say(RecordKind.RETIREMENT, reason="again")
    assert life.version.state is state
    assert not usable(life.version, START).usable


@pytest.mark.parametrize(("high", "overdue"), [(1, 0), (0, 1)])
def test_findings_and_reviews_take_an_approval_away(high: int, overdue: int) -> None:
    """An open high finding or an overdue review makes it unusable, and says so."""
    told = usable(at(State.APPROVED).version, START, high=high, overdue=overdue)
    assert not told.usable
    assert told.because


def test_a_draft_is_registered_anew_and_nothing_else_is() -> None:
    """The last registration of a draft counts; after the submission none does."""
    life = Life()
    again = {"model": "model:m@1", "manifest": "sha256:" + "b" * 64, "model_kind": "eut", "use_case": "x"}
    life.say(RecordKind.REGISTRATION, origin="platform", **again)
    assert life.version.model_kind == "eut"
    life.submit()
    life.say(RecordKind.REGISTRATION, origin="platform", **again | {"model_kind": "model"})
    assert life.version.model_kind == "eut"


def test_without_a_registration_there_is_no_version() -> None:
    """Whatever else was said."""
    assert fold([record for record in at(State.APPROVED).records if record.kind is not RecordKind.REGISTRATION]) is None
    assert usable(None, START).because == ("it is not in the inventory",)
