"""Laws of the life of a version, over arbitrary lives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from muniment.inventory.lifecycle import Act, Outcome, State, Version, fold, missing, usable
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time

START = datetime(2026, 11, 23, tzinfo=UTC)
MODEL = "sha256:" + "a" * 64
PEOPLE = st.sampled_from(["paul", "petra", "pia"])


class Lives(RuleBasedStateMachine):
    """A version to which people do whatever the rules let them, beside a plain model of what should come out."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.now = START
        self.state = State.DRAFT
        self.reviewed: Outcome | None = None
        self.approved_by: list[str] = []
        self.in_force_until: datetime | None = None
        self.emergency_until: datetime | None = None

    @initialize(approvals=st.integers(1, 3), validated=st.booleans())
    def register(self, approvals: int, validated: bool) -> None:
        self.approvals, self.validated = approvals, validated
        told = {"model": "m", "manifest": MODEL, "model_kind": "model", "use_case": None, "origin": "platform"}
        self.say(RecordKind.REGISTRATION, "ana", **told)
        steps = ["submission", *(["validation"] if validated else []), "approval"]
        self.say(RecordKind.TIER, "ana", level=2, because="", requires={"approvals": approvals, "steps": steps})

    def say(self, kind: RecordKind, by: str, **body: Any) -> None:
        step = len(self.records)
        # the ids run backwards: what counts is the number of the step, for ids of one millisecond are in no order
        id_ = f"{10**6 - step:026}"
        self.records.append(
            Record(id_, "main", kind, MODEL, self.now, f"User:{by}", Grade.ATTESTED, {**body, "step": step})
        )

    @property
    def version(self) -> Version:
        found = fold(self.records)
        assert found is not None
        return found

    def may(self, act: Act) -> bool:
        return missing(self.version, act) is None

    @rule(hours=st.integers(1, 24 * 60))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.may(Act.SUBMIT))
    @rule()
    def submit(self) -> None:
        assert self.state in (State.DRAFT, State.APPROVED) or self.reviewed is Outcome.UNSATISFACTORY
        self.say(RecordKind.SUBMISSION, "ana", note="")
        self.state, self.reviewed, self.approved_by = State.SUBMITTED, None, []

    @precondition(lambda self: self.may(Act.REVIEW))
    @rule(outcome=st.sampled_from([*Outcome]))
    def review(self, outcome: Outcome) -> None:
        assert self.state in (State.SUBMITTED, State.IN_VALIDATION)
        self.say(RecordKind.REVIEW, "vera", outcome=outcome.value)
        self.state, self.reviewed = State.IN_VALIDATION, outcome

    @precondition(lambda self: self.may(Act.APPROVE))
    @rule(by=PEOPLE, days=st.integers(1, 400))
    def approve(self, by: str, days: int) -> None:
        assert self.state in (State.SUBMITTED, State.IN_VALIDATION)
        assert not self.validated or self.reviewed not in (None, Outcome.UNSATISFACTORY)
        if by in self.approved_by:
            return
        version = self.version
        completes = len(self.approved_by) + 1 >= self.approvals
        terms = {"conditions": [], "use_limits": [], "emergency": False, "completes": completes}
        counted = [record.id for record in version.approvals]
        self.say(
            RecordKind.APPROVAL, by, expires=format_time(self.now + timedelta(days=days)), counted=counted, **terms
        )
        self.approved_by.append(by)
        if completes:
            self.state, self.emergency_until = State.APPROVED, None
            ends = [datetime.fromisoformat(r.body["expires"]) for r in (*version.approvals, self.records[-1])]
            self.in_force_until = min(ends)

    @precondition(lambda self: self.may(Act.BREAK_GLASS))
    @rule(days=st.integers(1, 7))
    def break_glass(self, days: int) -> None:
        until = self.now + timedelta(days=days)
        terms = {"conditions": [], "use_limits": [], "emergency": True, "completes": False, "counted": []}
        self.say(RecordKind.APPROVAL, "admin", expires=format_time(until), **terms)
        self.emergency_until = until

    @precondition(lambda self: self.may(Act.REJECT))
    @rule()
    def reject(self) -> None:
        self.say(RecordKind.REJECTION, "vera", reason="x")
        self.state = State.REJECTED

    @precondition(lambda self: self.may(Act.RETIRE))
    @rule()
    def retire(self) -> None:
        self.say(RecordKind.RETIREMENT, "paul", reason="x")
        self.state = State.RETIRED

    @invariant()
    def the_fold_agrees_with_the_model(self) -> None:
        if not self.records:
            return
        version = self.version
        assert version.state is self.state
        assert sorted({record.by for record in version.approvals}) == sorted(f"User:{by}" for by in self.approved_by)

    @invariant()
    def usable_means_in_force_or_emergency(self) -> None:
        if not self.records:
            return
        regular = self.in_force_until is not None and self.now < self.in_force_until
        emergency = self.emergency_until is not None and self.now < self.emergency_until
        told = usable(self.version, self.now)
        assert told.usable is ((regular or emergency) and not self.state.final)
        assert told.emergency is (told.usable and not regular)

    @invariant()
    def the_order_in_which_records_are_read_changes_nothing(self) -> None:
        if self.records:
            assert fold(reversed(self.records)) == fold(sorted(self.records, key=lambda r: r.id)) == self.version

    @invariant()
    def nothing_follows_on_an_end(self) -> None:
        if self.records and self.state.final:
            assert not any(self.may(act) for act in Act)


TestLives = Lives.TestCase
