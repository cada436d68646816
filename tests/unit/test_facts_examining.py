"""Facts about what was examined: the newest examination counts, and what was never examined is no good news."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muniment.inventory.facts.examining import NOTHING, Examination, Examined, facts_of
from muniment.inventory.facts.fact import NAMES, Fact, Facts
from muniment.kernel.grade import Grade


def found(known: Examined) -> Facts:
    """The facts, each under a name that gates know."""
    some = list(facts_of(known))
    assert {one.name for one in some if isinstance(one, Fact)} <= NAMES.keys()
    return Facts(some)


def done(report: dict[str, Any] | None, *, grade: Grade = Grade.PROVEN, run: str = "r", **asked: Any) -> Examination:
    """An examination."""
    return Examination(run, grade, report, asked.get("question"))


def quality(verdict: str, *violated: str) -> Examination:
    """A report of quality."""
    rules = [{"rule": one, "verdict": "violated"} for one in violated] + [{"rule": "good", "verdict": "ok"}]
    return done({"verdict": verdict, "rules": rules})


def rows(found_rows: int, *, whole: bool = True, grade: str = "proven", **changed: Any) -> Examination:
    """A search for rows in one input."""
    question = {"grade": grade, "searches": {"p0": {"whole": whole, "grade": "proven"}}}
    report = {"question": question, "pairs": {"p0": {"a_in_b": found_rows}}, **changed}
    return done(report, question=question)


def test_nothing_examined_says_nothing() -> None:
    """Every fact is absent, with why."""
    facts = found(NOTHING)
    assert len(facts) == 0
    assert facts.absent().keys() == {
        "data.quality", "data.quality_violated", "features.skew", "rules.fired", "data.overlap_holdout"
    }  # fmt: skip


class TestQuality:
    """Of the data that it was trained on."""

    @pytest.mark.parametrize(
        ("verdicts", "expected"),
        [
            (("ok",), "ok"),
            (("ok", "unknown"), "unknown"),
            (("unknown", "violated", "ok"), "violated"),
            (("splendid",), "unknown"),
        ],
    )
    def test_the_worst_snapshot_decides(self, verdicts: tuple[str, ...], expected: str) -> None:
        """A verdict that is none of ours counts as unknown."""
        known = replace(NOTHING, quality={str(n): quality(one) for n, one in enumerate(verdicts)})
        assert found(known)["data.quality"].value == expected

    def test_violated_rules_are_counted_and_named(self) -> None:
        """Over all snapshots."""
        known = replace(NOTHING, quality={"a": quality("violated", "x", "y"), "b": quality("violated", "z")})
        fact = found(known)["data.quality_violated"]
        assert (fact.value, fact.text) == (3, "violated: x, y, z")

    def test_a_snapshot_that_was_never_measured_leaves_it_open(self) -> None:
        """However good the others are."""
        facts = found(replace(NOTHING, quality={"a": quality("ok"), "b": None}))
        assert "data.quality" not in facts
        assert facts.why_absent("data.quality") == "the quality of b was never measured"

    def test_an_unreadable_report_is_unknown(self) -> None:
        """And counts no rules."""
        facts = found(replace(NOTHING, quality={"a": done(None)}))
        assert (facts["data.quality"].value, "data.quality_violated" in facts) == ("unknown", False)


class TestSkew:
    """Of the views that its data came from."""

    def test_what_differs_and_what_stands_on_one_side_counts(self) -> None:
        """Over all views; graded by the weakest run."""
        some = {"v": done({"compared": 10, "equal": 7}), "w": done({"compared": 5, "equal": 5}, grade=Grade.DECLARED)}
        fact = found(replace(NOTHING, skew=some))["features.skew"]
        assert (fact.value, fact.grade) == (3, Grade.DECLARED)

    @pytest.mark.parametrize("one", [None, done(None), done({"compared": "many", "equal": 1})])
    def test_a_view_that_was_not_compared_leaves_it_open(self, one: Examination | None) -> None:
        """So does a report that says nothing."""
        known = replace(NOTHING, skew={"v": done({"compared": 1, "equal": 1}), "w": one})
        assert "features.skew" not in found(known)


class TestRules:
    """Of its training."""

    def test_those_that_fired_are_named_once(self) -> None:
        """A verdict that its script reported is only declared."""
        said = [
            {"rule": "Overfit", "fired": True, "grade": "proven"},
            {"rule": "Overfit", "fired": True, "grade": "declared"},
            {"rule": "LossNotDecreasing", "fired": False, "grade": "proven"},
        ]
        fact = found(replace(NOTHING, watched=True, rules=said, maker="r", enforced=True))["rules.fired"]
        assert (fact.value, fact.grade, fact.record) == (["Overfit"], Grade.DECLARED, "run:r")

    def test_none_fired_is_an_answer_and_unwatched_is_none(self) -> None:
        """A gate that asks for no fired rule opens only where rules looked on."""
        assert found(replace(NOTHING, watched=True, maker="r", enforced=True))["rules.fired"].value == []
        assert "rules.fired" not in found(replace(NOTHING, maker="r"))


class TestOverlap:
    """Rows of the holdout in what it learned from."""

    def test_certain_rows_are_graded_by_the_run(self) -> None:
        """Whatever was left unsearched, these were found."""
        fact = found(replace(NOTHING, rows={"h": rows(4, grade="declared")}))["data.overlap_holdout"]
        assert (fact.value, fact.grade) == (4, Grade.PROVEN)

    def test_rows_that_may_be_there_count_too(self) -> None:
        """Over a part of the columns: declared."""
        fact = found(replace(NOTHING, rows={"h": rows(4, whole=False)}))["data.overlap_holdout"]
        assert (fact.value, fact.grade) == (4, Grade.DECLARED)

    @pytest.mark.parametrize(("grade", "expected"), [("proven", Grade.PROVEN), ("declared", Grade.DECLARED)])
    def test_none_is_as_firm_as_the_search(self, grade: str, expected: Grade) -> None:
        """What could not be searched makes it declared."""
        fact = found(replace(NOTHING, rows={"h": rows(0, grade=grade)}))["data.overlap_holdout"]
        assert (fact.value, fact.grade) == (0, expected)

    @pytest.mark.parametrize("one", [None, done(None, question={}), rows(0, question={"other": 1}), rows(0, pairs={})])
    def test_no_search_or_another_question_leaves_it_open(self, one: Examination | None) -> None:
        """A report that answers something else, or not everything, is no proof."""
        assert "data.overlap_holdout" not in found(replace(NOTHING, rows={"h": one}))
