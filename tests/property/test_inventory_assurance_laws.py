"""Laws of the risk register, of acknowledgements and of what else is signed: nothing unknown looks good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.errors import Invalid
from muniment.inventory.facts.assuring import SIDES, still_current
from muniment.inventory.facts.fact import MEASURED, Absent, Fact, Facts, family_of
from muniment.inventory.facts.instructions import acknowledgements
from muniment.inventory.facts.risks import Risk, judge_risks, risk_facts, risks_in
from muniment.inventory.facts.thresholds import Gate
from muniment.inventory.meanings import Meaning, read_meaning
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.expressions import Outcome
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import new_id
from muniment.testing.fakes import FakeClock, SeededEntropy

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
MODEL = "sha256:" + "a" * 64
NAMES = ("metric.auc", "fairness.air", "stability.psi", "tier.level", "challenge.unresolved")

numbers = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
values = st.dictionaries(st.sampled_from(NAMES), numbers)
comparisons = st.tuples(
    st.sampled_from(NAMES), st.sampled_from((">=", "<", "=", "!=")), st.sampled_from(("0", "0.5", "1"))
).map(" ".join)
tests = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=5,
)


def identifier(minute: int, salt: int = 0) -> str:
    """An identifier that was made so many minutes after the start."""
    return new_id(FakeClock(START + timedelta(minutes=minute)), SeededEntropy(1000 * salt + minute))


def record(kind: RecordKind, body: Mapping[str, Any], *, minute: int = 0, salt: int = 0, by: str = "ana") -> Record:
    """Something stated at that minute."""
    at = START + timedelta(minutes=minute)
    return Record(identifier(minute, salt), "p", kind, MODEL, at, f"User:{by}", Grade.DECLARED, dict(body))


def risk(test: str, *, minute: int = 0, name: str = "r", salt: int = 0) -> Risk:
    """A living risk, fixed at that minute."""
    body = {"name": name, "test": test, "min_grade": "proven"}
    return Risk(record(RecordKind.RISK, body, minute=minute, salt=salt))


def facts(known: Mapping[str, float], *, minute: int = 1) -> Facts:
    """These facts; what a run measures was asked for at that minute."""
    return Facts(
        Fact(name, value, Grade.PROVEN, "run:x", "t", run=identifier(minute) if family_of(name) in MEASURED else None)
        for name, value in known.items()
    )


def register(risks: list[Risk], known: Facts) -> dict[str, Fact | Absent]:
    """The facts of the register by name."""
    return {one.name: one for one in risk_facts(judge_risks(risks, [], known), MODEL)}


@given(tests, values, st.sets(st.sampled_from(NAMES)))
def test_red_never_turns_green_by_what_is_unknown(test: str, known: dict[str, float], forgotten: set[str]) -> None:
    """Whatever is forgotten, a risk that was red stays red."""
    [before] = judge_risks([risk(test)], [], facts(known))
    [after] = judge_risks([risk(test)], [], facts({n: v for n, v in known.items() if n not in forgotten}))
    assert after.red or not before.red


@given(tests, values, st.integers(0, 4))
def test_what_was_measured_before_the_risk_counts_for_nothing(test: str, known: dict[str, float], minute: int) -> None:
    """A test comes to the same whatever an earlier measurement came to."""
    fixed = risk(test, minute=minute + 1)
    other = {n: 1.0 - v if family_of(n) in MEASURED else v for n, v in known.items()}
    outcomes = {judge_risks([fixed], [], facts(told, minute=minute))[0].outcome for told in (known, other)}
    assert len(outcomes) == 1


@given(st.lists(tests, max_size=5), values)
def test_the_facts_count_what_is_red_and_say_nothing_where_nothing_is_registered(
    written: list[str], known: dict[str, float]
) -> None:
    """Registered and red count the same risks; without one ``risk.red`` is absent, so that no gate opens on it."""
    risks = [risk(test, name=f"r{number}", salt=number) for number, test in enumerate(written)]
    found = register(risks, facts(known))
    judged = judge_risks(risks, [], facts(known))
    registered = found["risk.registered"]
    assert isinstance(registered, Fact)
    assert registered.value == len(written)
    for name in ("risk.red", "risk.open"):
        assert isinstance(found[name], Fact if written else Absent)
    if written:
        names = [one.name for one in judged if one.red]
        assert (found["risk.red"].value, found["risk.open"].value) == (len(names), names)  # type: ignore[union-attr]


@given(tests, values)
def test_a_gate_that_names_a_risk_is_its_test(test: str, known: dict[str, float]) -> None:
    """It is judged as a risk with that test is, and a retired risk is judged no more."""
    body = {"name": "g", "version": 1, "expression": test, "stage": "approve", "min_grade": "proven", "risk": "named"}
    gate = Gate(record(RecordKind.GATE, body))
    [by_gate] = judge_risks([], [gate], facts(known))
    [by_risk] = judge_risks([risk(test)], [], facts(known))
    assert (by_gate.name, by_gate.outcome, by_gate.red) == ("named", by_risk.outcome, by_risk.red)
    stated = risk(test)
    ended = record(RecordKind.RISK_RETIREMENT, {"risk": stated.record.id, "reason": "x"}, minute=2)
    assert judge_risks(risks_in([stated.record, ended]), [], facts(known)) == []
    assert by_risk.red is (by_risk.outcome is not Outcome.YES)


readers = st.sampled_from(["ana", "bob", "eve"])
texts = st.sampled_from(["sha256:" + letter * 64 for letter in "123"])


@given(st.lists(st.tuples(readers, texts), max_size=8), st.sets(readers), texts)
def test_an_acknowledgement_dies_with_the_text(told: list[tuple[str, str]], authors: set[str], now: str) -> None:
    """Of each person who is no author the last signature alone counts, and only for the text that it names."""
    records = [
        record(RecordKind.ACKNOWLEDGEMENT, {"instructions": text}, minute=minute, by=by)
        for minute, (by, text) in enumerate(told)
    ]
    read = acknowledgements(records, authors)
    last = {f"User:{by}": text for by, text in told if by not in authors}
    assert {by: one.body["instructions"] for by, one in read.items()} == last
    current = {by for by, one in read.items() if one.body["instructions"] == now}
    assert current == {by for by, text in last.items() if text == now}


EXAMINED: dict[str, Any] = {
    "scope": ["records", "ledger"],
    "period_from": "2026-01-01",
    "period_to": "2026-10-31",
    "outcome": "satisfactory",
    "text": " fine ",
    "next_due": "2027-10-31",
}
STATED: dict[str, Any] = {"appetite": "low", "accountable": "the CRO", "policy": "P 1", "adopted": "2026-01-02"}
LAID: dict[str, Any] = {"report": MODEL, "day": "2026-11-01"}


@pytest.mark.parametrize(
    ("meaning", "given"),
    [
        (Meaning.ACKNOWLEDGED, {"instructions": MODEL}),
        (Meaning.EXAMINED, EXAMINED),
        (Meaning.STATED, STATED),
        (Meaning.LAID, LAID),
    ],
)
def test_terms_are_written_one_way(meaning: Meaning, given: dict[str, Any]) -> None:
    """Read again, the terms are the same: what is recorded is what was signed."""
    terms = read_meaning(meaning, given, START)
    assert read_meaning(meaning, terms, START) == terms


@pytest.mark.parametrize(
    ("meaning", "given", "code"),
    [
        (Meaning.ACKNOWLEDGED, {}, "MUNI-M170"),
        (Meaning.ACKNOWLEDGED, {"instructions": "the text"}, "MUNI-K101"),
        (Meaning.EXAMINED, {**EXAMINED, "surprise": 1}, "MUNI-M170"),
        (Meaning.EXAMINED, {**EXAMINED, "scope": []}, "MUNI-M171"),
        (Meaning.EXAMINED, {**EXAMINED, "scope": ["ledger", "ledger"]}, "MUNI-M171"),
        (Meaning.EXAMINED, {**EXAMINED, "scope": ["weather"]}, "MUNI-M153"),
        (Meaning.EXAMINED, {**EXAMINED, "period_from": "2026-11-01"}, "MUNI-M172"),
        (Meaning.EXAMINED, {**EXAMINED, "period_to": "2026-11-24"}, "MUNI-M174"),
        (Meaning.EXAMINED, {**EXAMINED, "next_due": "2026-11-23"}, "MUNI-M173"),
        (Meaning.EXAMINED, {**EXAMINED, "outcome": "great"}, "MUNI-M153"),
        (Meaning.EXAMINED, {**EXAMINED, "text": " "}, "MUNI-M154"),
        (Meaning.EXAMINED, {**EXAMINED, "recommendations": ["x"] * 101}, "MUNI-M176"),
        (Meaning.STATED, {**STATED, "accountable": "x" * 301}, "MUNI-M175"),
        (Meaning.STATED, {**STATED, "adopted": "soon"}, "MUNI-M152"),
        (Meaning.LAID, {**LAID, "day": "2026-11-24"}, "MUNI-M174"),
        (Meaning.LAID, {**LAID, "report": "board.pdf"}, "MUNI-K101"),
    ],
)
def test_terms_that_make_no_sense_are_refused(meaning: Meaning, given: dict[str, Any], code: str) -> None:
    """Each with its own code, before anybody signs."""
    with pytest.raises(Invalid) as refused:
        read_meaning(meaning, given, START)
    assert refused.value.code == code


@given(st.dates(min_value=START.date() - timedelta(days=3000), max_value=START.date()))
def test_a_report_to_the_board_stands_for_twelve_months(day: Any) -> None:
    """Up to the same day a year later, and not beyond."""
    assert still_current(day, START) is ((START.date() - day).days <= 365)


@given(st.integers(0, 800), st.integers(1, 900))
def test_a_log_counts_as_reviewed_for_a_year_and_until_the_next_time(ago: int, again: int) -> None:
    """It was looked at within twelve months, and the auditor is not late; an author's own look counts for nothing."""
    at = START - timedelta(days=ago)
    body = {"scope": ["ledger"], "outcome": "satisfactory", "next_due": str((at + timedelta(days=again)).date())}
    told = Record(identifier(0), "p", RecordKind.EXAMINATION, "governance", at, "User:aud", Grade.ATTESTED, body)
    for own in ((), ("he trained it",)):
        parties = SimpleNamespace(why=lambda name, own=own: own)
        known: Any = SimpleNamespace(records=[], office=[told], parties=parties, at=START)
        found = {one.name: one for side in SIDES if side.__name__ == "_audit" for one in side(known)}
        if own:
            assert isinstance(found["audit."], Absent)
        else:
            reviewed = found["audit.log_reviewed"]
            assert isinstance(reviewed, Fact)
            assert reviewed.value is (ago <= 365 and ago <= again)
