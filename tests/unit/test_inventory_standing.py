"""What records come to: findings, threads and reviews; and the names that facts have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from muniment.inventory.facts.fact import FAMILIES, NAMES, Absent, Fact, Facts, near
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.oversight.changes import propose, shipped_rules
from muniment.inventory.standing import Review, Trigger, findings_in, reviews_in, threads_in
from muniment.kernel.expressions import parse
from muniment.kernel.grade import Grade

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
MODEL = "sha256:" + "a" * 64


def said(number: int, kind: RecordKind, by: str = "User:val", subject: str = MODEL, **body: Any) -> Record:
    """A record made so many days after the start, known by that number."""
    return Record(f"{number:026}", "p", kind, subject, START + timedelta(number), by, Grade.DECLARED, body)


def finding(number: int, due: str = "2026-12-01", **body: Any) -> Record:
    """A finding."""
    return said(number, RecordKind.FINDING, severity="high", due=due, title="t", **body)


def comment(number: int, reply_to: int | None = None, *, by: str = "User:val", resolved: bool = False) -> Record:
    """A comment."""
    reply = None if reply_to is None else f"{reply_to:026}"
    return said(number, RecordKind.COMMENT, by, text=str(number), in_reply_to=reply, resolved=resolved)


def test_a_finding_is_open_until_it_is_closed_and_overdue_after_its_day() -> None:
    """The due day itself is in time, in UTC; a closed one is never overdue."""
    closure = said(3, RecordKind.FINDING_CLOSURE, subject=f"{1:026}", evidence="x", text="y")
    one, two = findings_in([finding(1), finding(2), closure])
    assert (one.open, two.open) == (False, True)
    late = datetime(2026, 12, 2, tzinfo=UTC)
    assert [f.overdue(late) for f in (one, two)] == [False, True]
    assert not two.overdue(datetime(2026, 12, 1, 23, 59, tzinfo=UTC))


def test_a_thread_is_resolved_by_the_last_word_of_the_asker() -> None:
    """An answer resolves nothing; the asker does, also in reply to an answer, and can reopen it."""
    asked, answered = comment(1), comment(2, 1, by="User:sci")
    (thread,) = threads_in([asked, answered])
    assert (thread.resolved, len(thread.replies)) == (False, 1)
    done = comment(3, 2, resolved=True)
    assert [t.resolved for t in threads_in([asked, answered, done])] == [True]
    assert [t.resolved for t in threads_in([asked, answered, done, comment(4, 1)])] == [False]
    assert [t.resolved for t in threads_in([asked, answered, done, comment(4, 1, by="User:sci")])] == [True]
    assert len(threads_in([asked, comment(5)])) == 2


def test_a_review_settles_what_was_due_before_it_and_names_the_next() -> None:
    """One that names no other settles all before it; what it names as next is a review by date."""
    first = said(1, RecordKind.REVIEW_SCHEDULE, due="2026-12-01", trigger="date", reason="yearly")
    set_off = Review("data:credit@2", date(2026, 12, 20), Trigger.DATA, "superseded", START + timedelta(2))
    done = said(3, RecordKind.REVIEW_DONE, outcome="satisfactory", text="ok", next_due="2027-12-01", review=None)
    later = said(4, RecordKind.REVIEW_SCHEDULE, due="2026-12-02", trigger="drift", reason="psi")
    reviews = reviews_in([first, done, later], [set_off])
    assert [(r.due, r.done is not None) for r in reviews] == [
        (date(2026, 12, 2), False),
        (date(2027, 12, 1), False),
        (date(2026, 12, 1), True),
        (date(2026, 12, 20), True),
    ]
    assert [r.overdue(datetime(2027, 1, 1, tzinfo=UTC)) for r in reviews] == [True, False, False, False]


def test_a_review_that_names_one_settles_that_one_alone() -> None:
    """The others stay due."""
    first = said(1, RecordKind.REVIEW_SCHEDULE, due="2026-12-01", trigger="date", reason="a")
    second = said(2, RecordKind.REVIEW_SCHEDULE, due="2026-12-02", trigger="date", reason="b")
    done = said(3, RecordKind.REVIEW_DONE, outcome="satisfactory", text="ok", next_due=None, review=second.id)
    assert [(r.reason, r.done is not None) for r in reviews_in([first, second, done])] == [("a", False), ("b", True)]


def test_names_of_facts_are_known_and_others_bring_what_is_near() -> None:
    """Every listed name and every name of a family is taken; a slip is answered with what looks like it."""
    assert [name for name in NAMES if near(name) is not None] == []
    assert {near(f"{family}.anything") for family in FAMILIES} == {None}
    assert near("fairness.air.sex") is None
    assert near("metric.auc.sex") is not None
    assert "metric.auc" in (near("metrics.auc") or [])
    assert "findings.high" in (near("finding.high") or [])
    for name in NAMES:
        assert parse(f"{name} is present").names == {name}


def test_facts_say_why_something_is_not_known() -> None:
    """A reason of the very name comes before that of its family; what is known is never absent too."""
    fact = Fact("metric.auc", 0.8, Grade.PROVEN, "run:x", "t")
    facts = Facts(
        [fact, Absent("metric.", "no such metric"), Absent("metric.ks", "it has no value"), Absent("metric.auc", "?")]
    )
    assert dict(facts) == {"metric.auc": fact}
    assert facts.why_absent("metric.ks") == "it has no value"
    assert facts.why_absent("metric.f1") == "no such metric"
    assert facts.why_absent("tier.level") == "nothing of the kind is recorded"
    assert "metric.auc" not in facts.absent()


def test_the_shipped_rules_of_changes_are_whole() -> None:
    """Each rule parses, and proposes a class that exists; the digest is that of the bytes."""
    rules, digest = shipped_rules()
    assert rules.classes == ["material", "notify before", "notify after", "minor"]
    for rule in rules.rules:
        parse(rule.when)
        assert {rule.class_, rule.when_unknown or "minor"} <= set(rules.classes)
    assert digest.startswith("sha256:")
    assert len({rule.id for rule in rules.rules}) == len(rules.rules)


CALM = {
    "origin.unknown": False,
    "algorithm.changed": False,
    "target.changed": False,
    "use_case.changed": False,
    "tier.raised": False,
    "features.changed": 0,
    "features.changed_share": 0.0,
    "data.changed": False,
    "code.changed": False,
    "programs.changed": False,
    "parameters.changed": 0,
    "environment.changed": False,
    "predictions.identical": False,
    "performance.auc_size": 0.0,
    "performance.air_fall": 0.0,
    "explanation.shift": 0.0,
}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, "minor"),
        ({"algorithm.changed": True}, "material"),
        ({"features.changed": 1, "features.changed_share": 0.05}, "notify before"),
        ({"features.changed": 5, "features.changed_share": 0.2}, "material"),
        ({"parameters.changed": 1}, "notify after"),
        ({"parameters.changed": 1, "data.changed": True}, "notify before"),
        ({"environment.changed": True}, "notify after"),
        ({"environment.changed": True, "predictions.identical": True}, "minor"),
        ({"performance.auc_size": 0.049}, "notify before"),
        ({"performance.auc_size": 0.05}, "material"),
        ({"explanation.shift": 0.3}, "material"),
        ({"origin.unknown": True}, "notify before"),
    ],
)
def test_the_gravest_rule_that_speaks_gives_the_class(told: dict[str, Any], expected: str) -> None:
    """Each kind of change has its class, a change that no rule speaks of is minor, and each reason says what it saw."""
    proposal = propose(shipped_rules()[0], {**CALM, **told})
    assert proposal.change_class == expected
    assert all(reason.because.endswith(")") for reason in proposal.reasons)


def test_what_cannot_be_compared_is_never_minor() -> None:
    """Without a performance that can be compared somebody has to be told before; without explanations, after."""
    rules = shipped_rules()[0]
    for name, expected in (("performance.auc_size", "notify before"), ("explanation.shift", "notify after")):
        told = {key: value for key, value in CALM.items() if key != name}
        proposal = propose(rules, told)
        assert (proposal.change_class, "cannot be said" in proposal.reasons[0].because) == (expected, True)
