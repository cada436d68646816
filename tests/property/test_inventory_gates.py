"""Laws of gates: nothing unknown opens one, nothing measured before it was fixed counts, findings close all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.inventory.facts.fact import MEASURED, Absent, Fact, Facts, family_of, moment_of
from muniment.inventory.facts.thresholds import Gate, gates_in, judge, judge_all, standing_facts
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.expressions import Outcome
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import new_id
from muniment.testing.fakes import FakeClock, SeededEntropy

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
NAMES = ("metric.auc", "metric.ks", "fairness.air", "stability.psi", "tier.level", "findings.open")
LIMITS = ("0", "0.25", "0.5", "0.75", "1")

numbers = st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.7, 0.75, 0.9, 1.0])
tests = st.tuples(st.sampled_from(NAMES), st.sampled_from((">=", "<", "=", "!=")), st.sampled_from(LIMITS)).map(
    " ".join
)
asking = st.one_of(tests, st.sampled_from([f"{name} is {how}" for name in NAMES for how in ("present", "absent")]))


def joined(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions over these tests."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            inner.map(lambda text: f"not ({text})"),
        ),
        max_leaves=6,
    )


def identifier(minute: int) -> str:
    """An identifier that was made so many minutes after the start."""
    return new_id(FakeClock(START + timedelta(minutes=minute)), SeededEntropy(minute))


def gate(expression: str, *, minute: int = 0, version: int = 1, grade: str = "proven", **more: Any) -> Gate:
    """A version of a gate, fixed at that minute."""
    body = {"name": "g", "version": version, "expression": expression, "stage": "approve", "min_grade": grade, **more}
    at = START + timedelta(minutes=minute)
    return Gate(Record(identifier(minute), "p", RecordKind.GATE, "project", at, "User:root", Grade.DECLARED, body))


def facts(values: Mapping[str, float], *, minute: int = 1, grade: Grade = Grade.PROVEN) -> Facts:
    """These facts; what a run measures was asked for at that minute."""
    quiet = {"findings.high": 0, "review.overdue": False}
    return Facts(
        Fact(name, value, grade, "run:x", "test", run=identifier(minute) if family_of(name) in MEASURED else None)
        for name, value in {**quiet, **values}.items()
    )


values = st.dictionaries(st.sampled_from(NAMES), numbers)


@given(joined(tests), values, st.fixed_dictionaries(dict.fromkeys(NAMES, numbers)))
def test_an_open_gate_stays_open_whatever_the_unknown_facts_are(
    expression: str, known: dict[str, float], everything: dict[str, float]
) -> None:
    """Unknown never opens a gate: if it is open on part of the facts, no value of the others could have closed it."""
    if judge(gate(expression), facts(known)).open:
        assert judge(gate(expression), facts({**everything, **known})).open


@given(joined(asking), values, st.integers(0, 5))
def test_what_was_measured_before_the_gate_counts_for_nothing(
    expression: str, known: dict[str, float], fixed: int
) -> None:
    """A gate comes to the same whatever an earlier measurement came to; neither value nor presence of it helps."""
    judged = gate(expression, minute=fixed + 1)
    first = judge(judged, facts(known, minute=fixed))
    other = judge(
        judged, facts({n: 1.0 - v if family_of(n) in MEASURED else v for n, v in known.items()}, minute=fixed)
    )
    assert first.outcome is other.outcome
    asked = {name for part in first.parts for name in NAMES if name in part.text}
    assert first.hindsight is any(family_of(name) in MEASURED and name in known for name in asked)


@given(
    st.lists(st.tuples(st.sampled_from(LIMITS), st.integers(0, 20)), min_size=1, max_size=5),
    numbers,
    st.integers(0, 20),
)
def test_a_looser_later_version_never_lets_an_earlier_measurement_in(
    versions: list[tuple[str, int]], auc: float, measured: int
) -> None:
    """However often a gate is fixed anew and looser, only a measurement after the newest version opens it."""
    minutes = sorted({minute for _, minute in versions})
    limits = sorted((limit for limit, _ in versions), key=float, reverse=True)[: len(minutes)]
    pairs = enumerate(zip(limits, minutes, strict=False), 1)
    records = [gate(f"metric.auc >= {limit}", minute=minute, version=n).record for n, (limit, minute) in pairs]
    (newest,) = gates_in(records)
    result = judge(newest, facts({"metric.auc": auc}, minute=measured))
    assert (result.version, result.record) == (len(records), str(records[-1].digest))
    assert result.open is (measured > minutes[-1] and auc >= float(limits[-1]))


@given(joined(asking), values, st.integers(1, 3), st.booleans())
def test_a_high_finding_or_an_overdue_review_closes_every_stage(
    expression: str, known: dict[str, float], high: int, overdue: bool
) -> None:
    """Whatever the gates say, and also without any, one built-in gate is closed, which no expression opens."""
    told = Facts([*facts(known).values(), Absent("tier.", "x")])
    burdened = Facts(
        Fact(one.name, {"findings.high": high, "review.overdue": overdue}.get(one.name, one.value), one.grade, "r", "t")
        for one in told.values()
    )
    for gates in ([], [gate(expression)]):
        results = judge_all(gates, burdened)
        assert not all(result.open for result in results)
        (standing,) = [fact for fact in standing_facts(results, burdened) if fact.name == "gate.open"]
        assert standing.value is False


@given(joined(asking), values, st.sampled_from([Grade.ATTESTED, Grade.DECLARED]))
def test_a_measurement_of_a_lower_grade_counts_for_nothing(
    expression: str, known: dict[str, float], grade: Grade
) -> None:
    """With declared or attested measurements a gate that asks for proven ones comes to what it does for any value."""
    measured = {name: value for name, value in known.items() if family_of(name) in MEASURED}
    flipped = {**known, **{name: 1.0 - value for name, value in measured.items()}}
    first = judge(gate(expression), facts(known, grade=grade))
    assert first.outcome is judge(gate(expression), facts(flipped, grade=grade)).outcome
    assert not first.hindsight


@given(joined(asking), values)
def test_the_parts_tell_the_whole(expression: str, known: dict[str, float]) -> None:
    """When every part says yes the gate is open, when every part says no it is closed, each below its own ``not``s."""
    result = judge(gate(expression), facts(known))
    said = {part.outcome for part in result.parts}
    if len(said) == 1:
        assert result.outcome is said.pop()


@given(st.integers(0, 10**9), st.integers(0, 999_999))
def test_an_identifier_says_when_it_was_made(seconds: int, microseconds: int) -> None:
    """``moment_of`` is the inverse of ``new_id``, to the millisecond below."""
    exact = START + timedelta(seconds=seconds, microseconds=microseconds)
    told = moment_of(new_id(FakeClock(exact), SeededEntropy(1)))
    assert timedelta(0) <= exact - told < timedelta(milliseconds=2)


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        ("metric.auc >= 0.75", Outcome.UNKNOWN),
        ("metric.auc is present", Outcome.UNKNOWN),
        ("metric.auc is absent", Outcome.UNKNOWN),
        ("metric.auc is absent or metric.auc >= 0.75", Outcome.UNKNOWN),
        ("tier.level <= 2", Outcome.YES),
        ("metric.auc >= 0.75 or tier.level <= 2", Outcome.YES),
        ("metric.auc >= 0.75 and tier.level > 2", Outcome.NO),
    ],
)
def test_a_measurement_of_the_same_minute_is_too_early(expression: str, outcome: Outcome) -> None:
    """Asked for in the very millisecond in which the gate was fixed is not after it; other facts have no such rule."""
    result = judge(gate(expression, minute=1), facts({"metric.auc": 0.8, "tier.level": 1}, minute=1))
    assert result.outcome is outcome
    if outcome is Outcome.UNKNOWN:
        assert "measured before the gate was fixed: evaluate again" in result.why


def test_a_withdrawn_gate_judges_no_more() -> None:
    """The newest version decides whether a gate is in force; set again it is."""
    first = gate("metric.auc >= 0.5")
    gone = gate("metric.auc >= 0.5", minute=1, version=2, withdrawn=True)
    back = gate("metric.auc >= 0.5", minute=2, version=3)
    assert gates_in([first.record, gone.record]) == []
    assert [one.version for one in gates_in([back.record, first.record, gone.record])] == [3]
