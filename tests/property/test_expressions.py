"""The language of gates and catalogues: its laws, and what it does with input that means no good."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from muniment.errors import Invalid
from muniment.kernel import expressions as ex
from muniment.kernel.expressions import Outcome, conjuncts, evaluate, parse

WORDS = {"and", "or", "not", "in", "is", "present", "absent", "contains", "true", "false"}
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}(\.[a-z0-9_]{1,5}){0,2}", fullmatch=True).filter(lambda n: n not in WORDS)
LITERALS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12).map(ex.Number),
    st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8).map(ex.Text),
    st.booleans().map(ex.Truth),
    st.dates().map(ex.Day),
)
TESTS = st.one_of(
    st.builds(ex.Comparison, NAMES, st.sampled_from(ex.Comparator), st.one_of(LITERALS, NAMES.map(ex.Name))),
    st.builds(ex.Membership, NAMES, st.lists(LITERALS, min_size=1, max_size=3).map(tuple)),
    st.builds(ex.Containment, NAMES, LITERALS),
    st.builds(ex.Presence, NAMES, st.booleans()),
)


def joined(kind: Any, parts: list[ex.Expression]) -> ex.Expression:
    """Parts under one ``and`` or ``or``, flat as the reader makes them."""
    flat = [one for part in parts for one in (part.parts if isinstance(part, kind) else (part,))]
    return kind(tuple(flat)) if len(flat) > 1 else flat[0]


EXPRESSIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: joined(ex.And, parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: joined(ex.Or, parts)),
        inner.map(ex.Not),
    ),
    max_leaves=8,
)
MOMENTS = st.one_of(
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(timezones=st.just(timezone(timedelta(hours=14)))),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(min_value=10**400, max_value=10**5000),
        st.floats(),
        st.decimals(),
        st.text(max_size=20),
        st.dates(),
        MOMENTS,
        MOMENTS.map(datetime.isoformat),
        st.binary(max_size=4),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)


@given(EXPRESSIONS)
def test_the_normal_form_reads_back_as_the_same_expression(expression: ex.Expression) -> None:
    """``parse(str(x)) == x``, and the normal form is its own normal form."""
    text = str(expression)
    assume(len(text) <= ex.LONGEST)
    again = parse(text)
    assert again == expression
    assert str(again) == text


@given(EXPRESSIONS, st.data())
def test_no_fact_makes_an_evaluation_raise(expression: ex.Expression, data: st.DataObject) -> None:
    """Whatever stands in the facts: there is an outcome, and each test says in short what was found."""
    facts = {name: data.draw(VALUES, label=name) for name in expression.names if data.draw(st.booleans())}
    answer = evaluate(expression, facts)
    assert answer.outcome in Outcome
    assert len(answer.parts) == len(list(expression.tests()))
    assert all(part.why and len(part.why) < 500 for part in answer.parts)


@given(TESTS, VALUES, VALUES)
def test_no_pair_of_values_makes_a_test_raise(test: ex.Question, first: Any, second: Any) -> None:
    """Every kind of value can stand on either side of every test."""
    alone = dict(zip(sorted(test.names), (first, second), strict=False))
    same = dict.fromkeys(test.names, first)
    for facts in (alone, same):
        [part] = evaluate(test, facts).parts
        assert part.why


def truth(outcome: Outcome) -> ex.Expression:
    """An expression that comes to this outcome over FACTS."""
    return {Outcome.YES: parse("t"), Outcome.NO: parse("f"), Outcome.UNKNOWN: parse("u")}[outcome]


FACTS: Mapping[str, bool] = {"t": True, "f": False}
ORDER = (Outcome.NO, Outcome.UNKNOWN, Outcome.YES)
OUTCOMES = st.sampled_from(ORDER)


@given(st.lists(OUTCOMES, min_size=2, max_size=4))
def test_and_is_the_least_and_or_the_greatest_of_its_parts(outcomes: list[Outcome]) -> None:
    """Kleene's logic: with no < unknown < yes, ``and`` is the minimum, ``or`` the maximum, ``not`` the mirror."""
    parts = tuple(map(truth, outcomes))
    lowest, highest = min(outcomes, key=ORDER.index), max(outcomes, key=ORDER.index)
    assert evaluate(ex.And(parts), FACTS).outcome is lowest
    assert evaluate(ex.Or(parts), FACTS).outcome is highest
    for one in outcomes:
        assert evaluate(ex.Not(truth(one)), FACTS).outcome is ORDER[2 - ORDER.index(one)]


@given(EXPRESSIONS, EXPRESSIONS, st.data())
def test_the_laws_of_de_morgan_hold(a: ex.Expression, b: ex.Expression, data: st.DataObject) -> None:
    """Not (a and b) is (not a) or (not b), over any facts; and a double negation changes nothing."""
    facts = {name: data.draw(VALUES) for name in a.names | b.names if data.draw(st.booleans())}
    left = evaluate(ex.Not(ex.And((a, b))), facts).outcome
    assert left is evaluate(ex.Or((ex.Not(a), ex.Not(b))), facts).outcome
    assert evaluate(ex.Not(ex.Not(a)), facts).outcome is evaluate(a, facts).outcome


@given(EXPRESSIONS, st.data())
def test_a_further_fact_never_turns_yes_into_no(expression: ex.Expression, data: st.DataObject) -> None:
    """What is settled without a fact stays settled with it, as long as nobody asks whether it is there."""
    assume(not any(isinstance(test, ex.Presence) for test in expression.tests()))
    facts = {name: data.draw(VALUES) for name in expression.names}
    missing = data.draw(st.sampled_from(sorted(facts)))
    before = evaluate(expression, {name: value for name, value in facts.items() if name != missing}).outcome
    assert before in (Outcome.UNKNOWN, evaluate(expression, facts).outcome)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_equals_the_number_that_people_see(value: float) -> None:
    """A float is exactly the decimal that it is shown as: at least, at most and equal to it, never more or less."""
    shown = ex.Number(Decimal(repr(value)))
    outcomes = {c.value: evaluate(ex.Comparison("x", c, shown), {"x": value}).outcome for c in ex.Comparator}
    assert {c for c, outcome in outcomes.items() if outcome is Outcome.YES} == {"=", "<=", ">="}
    assert Outcome.UNKNOWN not in outcomes.values()


def refusal(text: str) -> Invalid | None:
    """Why the reader refuses a text; None when it is an expression. Any other exception is a bug."""
    try:
        evaluate(parse(text), {})
    except Invalid as refused:
        return refused
    return None


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    """Nothing but Invalid comes out of the reader, with a code, and a column within the text or at its end."""
    refused = refusal(text)
    if refused is not None:
        assert refused.code in {"MUNI-K123", "MUNI-K124", "MUNI-K125"}
        assert 1 <= refused.facts["column"] <= len(text) + 1


@given(st.text(alphabet='abn.()=<>!,"\\01-andortis \n', max_size=200))
def test_any_text_of_the_signs_of_the_language_is_an_expression_or_is_refused(text: str) -> None:
    """The same for texts that look like expressions; what is read is in its normal form ever after."""
    if refusal(text) is None:
        assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000,
        "(" * 999 + "a" + ")" * 999,
        "not " * 499 + "a",
        "a or " * 100_000 + "a",
        "a" * 2_000,
        '"' + "\\" * 1_998,
        "a." * 999,
        "a=1 " * 499,
        "a = " + "9" * 1_900,
        "a in (" + "1," * 900 + "1)",
        "1" * 1_999 + "a",
    ],
)
def test_hostile_input_costs_little(text: str) -> None:
    """Depth, length and digits are bounded, so that the worst text costs milliseconds and no stack."""
    began = time.perf_counter()
    refused = refusal(text)
    assert refused is None or refused.code.startswith("MUNI-K12")
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("text", "code", "column", "expected"),
    [
        ("", "MUNI-K124", 1, "a name, 'not' or '('"),
        ("metric.auc >=", "MUNI-K124", 14, "a value or a name"),
        ("metric.auc == 1", "MUNI-K124", 12, "="),
        ("a && b", "MUNI-K124", 3, "and"),
        ("a = 1 b = 2", "MUNI-K124", 7, "'and', 'or' or the end"),
        ("(a = 1", "MUNI-K124", 7, "')'"),
        ("a in 1", "MUNI-K124", 6, "'('"),
        ("a in (1 2)", "MUNI-K124", 9, "',' or ')'"),
        ("a is there", "MUNI-K124", 6, "'present' or 'absent'"),
        ("Metric.AUC = 1", "MUNI-K124", 1, "a name in lower case, such as 'metric.auc'"),
        ("1 = a", "MUNI-K124", 1, "a name, 'not' or '('"),
        ("a = 'b'", "MUNI-K124", 5, 'a text in double quotes, such as "approved"'),
        ("a = 1 § 2", "MUNI-K123", 7, None),
        ("a = 1.2.3", "MUNI-K123", 5, None),
        ("a..b", "MUNI-K123", 1, None),
        ("a = 2026-02-30", "MUNI-K125", 5, None),
        ('a = "x\ty"', "MUNI-K125", 5, None),
    ],
)
def test_an_error_names_column_and_expectation(text: str, code: str, column: int, expected: str | None) -> None:
    """Whoever mistypes an expression is told where, and what may stand there."""
    with pytest.raises(Invalid) as refused:
        parse(text)
    assert (refused.value.code, refused.value.facts["column"]) == (code, column)
    assert refused.value.facts.get("expected") == expected


NOW = "2026-11-26T23:30:00.000000Z"


@pytest.mark.parametrize(
    ("text", "facts", "outcome"),
    [
        ("metric.auc >= 0.7", {"metric.auc": 0.7}, "yes"),
        ("metric.auc = 0.3", {"metric.auc": 0.1 + 0.2}, "no"),
        ("metric.auc >= 0.7", {"metric.auc": math.nan}, "unknown"),
        ("metric.auc < 1", {"metric.auc": math.inf}, "unknown"),
        ("metric.auc >= 0.7", {"metric.auc": "0.8"}, "unknown"),
        ("metric.auc != 0.7", {"metric.auc": "good"}, "unknown"),
        ("not metric.auc >= 0.7", {}, "unknown"),
        ("findings.high = 0", {"findings.high": False}, "unknown"),
        ("approval.count >= approval.required", {"approval.count": 2, "approval.required": 2}, "yes"),
        ("approval.count >= approval.required", {"approval.count": 2}, "unknown"),
        ("approval.expires > 2026-11-26", {"approval.expires": NOW}, "no"),
        ("approval.expires = 2026-11-26", {"approval.expires": NOW}, "yes"),
        ("approval.expires = 2026-11-26", {"approval.expires": "2026-11-27T00:30:00+02:00"}, "yes"),
        ("approval.expires > 2026-11-26", {"approval.expires": "soon"}, "unknown"),
        ("a < b", {"a": "2026-11-26T23:29:59Z", "b": NOW}, "yes"),
        ("a < b", {"a": date(2026, 11, 25), "b": NOW}, "yes"),
        ("a < b", {"a": "apples", "b": "pears"}, "unknown"),
        ('model.state in ("approved", "retired")', {"model.state": "approved"}, "yes"),
        ('model.state not in ("approved", "retired")', {"model.state": "draft"}, "yes"),
        ('tier.level in (1, "high")', {"tier.level": 2}, "unknown"),
        ("tier.level is present", {"tier.level": 0}, "yes"),
        ("tier.level is absent", {"tier.level": None}, "yes"),
        ('usecase.kpis contains "auc"', {"usecase.kpis": ["ks", "auc"]}, "yes"),
        ('usecase.kpis contains "auc"', {"usecase.kpis": 3}, "unknown"),
        ("lineage.complete", {"lineage.complete": True}, "yes"),
        ("lineage.complete", {"lineage.complete": 1}, "unknown"),
        ("a OR NOT b", {"a": False, "b": False}, "yes"),
        ("a or b AND c", {"a": True, "b": False, "c": False}, "yes"),
    ],
)
def test_an_expression_means_what_the_reference_says(text: str, facts: dict[str, Any], outcome: str) -> None:
    """The cases that docs/reference/expressions.md explains."""
    assert evaluate(parse(text), facts).outcome == outcome


def test_an_answer_says_of_every_test_what_was_found() -> None:
    """Also of those that settle nothing any more, and in the order of the expression."""
    text = 'metric.auc>=0.750 and (fairness.air >= 0.8 or model.kind = "eut") and tier.level'
    answer = evaluate(parse(text), {"metric.auc": 0.7123, "model.kind": "model", "tier.level": 1})
    assert answer.outcome is Outcome.NO
    assert [(part.text, part.outcome.value, part.why) for part in answer.parts] == [
        ("metric.auc >= 0.75", "no", "metric.auc is 0.7123"),
        ("fairness.air >= 0.8", "unknown", "fairness.air is not recorded"),
        ('model.kind = "eut"', "no", 'model.kind is "model"'),
        ("tier.level = true", "unknown", "tier.level is 1, a number, and is compared with a truth value"),
    ]


def test_what_must_all_hold_can_be_asked_one_by_one() -> None:
    """The conjuncts of an expression come to its outcome when they are put together again."""
    whole = parse("a and (b or c) and (d and not e)")
    assert [str(one) for one in conjuncts(whole)] == ["a = true", "b = true or c = true", "d = true", "not e = true"]
    assert conjuncts(parse("a or b")) == (parse("a or b"),)
    assert whole.names == set("abcde")
