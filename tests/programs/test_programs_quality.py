"""Quality by declared rules: exact shares, three answers, and nothing said where nothing can be."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from conftest import Bench, snapshot
from muniment.analytics.quality import assess
from muniment.analytics.quality_rules import read_rules
from muniment.analytics.representation import represent
from muniment.errors import Invalid
from muniment.kernel.expressions import Outcome, evaluate, parse
from muniment.programs.contract import Job
from muniment.programs.quality import quality
from muniment.programs.representation import representation

Benches = Callable[[str], Bench]
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TABLE = pa.table(
    {
        "ID": pa.array([1, 2, 3, 4, 4, None]),
        "age": pa.array([17, 18, 40, 65, None, 120]),
        "sex": pa.array(["f", "m", "f", "x", None, "m"]),
        "pay": pa.array([Decimal("0.10"), Decimal("0.20"), None, Decimal("5.00"), Decimal("1.00"), Decimal("0.70")]),
        "opened": pa.array([date(2026, 1, day) for day in (1, 2, 3, 4, 5, 6)]),
        "closed": pa.array([date(2026, 1, 2), None, date(2026, 1, 1), *[date(2026, 2, 1)] * 3]),
        "seen": pa.array([NOW - timedelta(days=n) for n in (1, 2, 3, 4, 5, 6)], pa.timestamp("us", "UTC")),
        "zip": pa.array(["8001", "8002", "x", "", None, "80010"]),
        "x": pa.array([0.7, float("nan"), 1.5, 2.0, None, float("inf")]),
    }
)


def ask(table: pa.Table = TABLE, /, **rule: Any) -> dict[str, Any]:
    """The result of one rule."""
    report = assess(table, read_rules({"rule": [rule]}, table.column_names), NOW)
    found: dict[str, Any] = report["rules"][0]
    return found


def figures(**rule: Any) -> tuple[int, int, int, str]:
    """How many rows met a rule, broke it, and could not be judged; and the verdict."""
    found = ask(**rule)
    return found["held"], found["failed"], found["unknown"], found["verdict"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"check": "complete", "column": "age"}, (5, 1, 0, "violated")),
        ({"check": "complete", "column": "age", "threshold": 0.8}, (5, 1, 0, "ok")),
        ({"check": "complete", "columns": ["age", "closed"]}, (4, 2, 0, "violated")),
        ({"check": "complete"}, (2, 4, 0, "violated")),
        ({"check": "range", "column": "age", "min": 18, "max": 100}, (3, 2, 1, "violated")),
        ({"check": "range", "column": "age", "min": 18, "max": 100, "threshold": 0.6}, (3, 2, 1, "ok")),
        ({"check": "range", "column": "pay", "max": 0.7}, (3, 2, 1, "violated")),
        ({"check": "range", "column": "x", "min": 0.7}, (4, 1, 1, "violated")),
        ({"check": "range", "column": "opened", "min": "2026-01-02"}, (5, 1, 0, "violated")),
        ({"check": "range", "column": "seen", "min": "2026-11-23T12:00:00Z"}, (3, 3, 0, "violated")),
        ({"check": "allowed", "column": "sex", "values": ["f", "m"]}, (4, 1, 1, "violated")),
        ({"check": "allowed", "column": "age", "values": [17, 18]}, (2, 3, 1, "violated")),
        ({"check": "pattern", "column": "zip", "pattern": "[0-9]{4}"}, (2, 3, 1, "violated")),
        ({"check": "type", "column": "zip", "type": "integer"}, (3, 2, 1, "violated")),
        ({"check": "type", "column": "age", "type": "integer"}, (5, 0, 1, "ok")),
        ({"check": "type", "column": "x", "type": "number"}, (3, 2, 1, "violated")),
        ({"check": "type", "column": "opened", "type": "moment"}, (0, 6, 0, "violated")),
        ({"check": "unique", "column": "ID"}, (3, 3, 0, "violated")),
        ({"check": "unique", "columns": ["ID", "opened"]}, (5, 1, 0, "violated")),
        ({"check": "distinct"}, (6, 0, 0, "ok")),
        ({"check": "holds", "expression": "opened <= closed"}, (4, 1, 1, "violated")),
        ({"check": "holds", "expression": "not age < 18 or sex = \"f\""}, (5, 0, 1, "ok")),
        ({"check": "holds", "expression": "closed is absent or opened <= closed"}, (5, 1, 0, "violated")),
        ({"check": "holds", "expression": "pay >= 0.7"}, (3, 2, 1, "violated")),
        ({"check": "holds", "expression": "key > 0", "names": {"key": "ID"}}, (5, 0, 1, "ok")),
        ({"check": "holds", "expression": "id > 0"}, (5, 0, 1, "ok")),
        ({"check": "fresh", "column": "seen", "max_age_days": 1}, (1, 0, 0, "ok")),
        ({"check": "fresh", "column": "seen", "max_age_days": 0.5}, (0, 1, 0, "violated")),
        ({"check": "fresh", "column": "opened", "max_age_days": 30}, (0, 1, 0, "violated")),
    ],
)  # fmt: skip
def test_each_check_counts_exactly(rule: dict[str, Any], expected: tuple[int, int, int, str]) -> None:
    """Rows that meet a rule, break it, and cannot be judged, counted by hand; the verdict follows from the share."""
    assert figures(**rule) == expected


def test_a_share_is_compared_exactly() -> None:
    """Seven tenths are enough for a threshold of 0.7, which no binary fraction is."""
    table = pa.table({"a": [1] * 7 + [0] * 3})
    assert ask(table, check="range", column="a", min=1, threshold=0.7)["verdict"] == "ok"
    assert ask(table, check="range", column="a", min=1, threshold=0.7000001)["verdict"] == "violated"


def test_what_cannot_be_judged_is_unknown() -> None:
    """A column without values is neither fine nor wrong; without rules nothing is known, and it is still measured."""
    empty = pa.table({"a": pa.array([None, None], pa.int64()), "d": pa.array([None, None], pa.date32())})
    assert ask(empty, check="range", column="a", min=0)["verdict"] == "unknown"
    assert ask(empty, check="fresh", column="d", max_age_days=1)["verdict"] == "unknown"
    report = assess(TABLE, (), NOW)
    assert (report["verdict"], set(report["dimensions"].values())) == ("unknown", {"unknown"})
    assert {one["column"]: one["nulls"] for one in report["completeness"]}["age"] == 1


def test_an_event_that_lies_ahead_is_no_proof_of_freshness() -> None:
    """A clock that is wrong does not make data fresh."""
    table = pa.table({"t": pa.array([NOW + timedelta(hours=1)], pa.timestamp("us", "UTC"))})
    found = ask(table, check="fresh", column="t", max_age_days=1)
    assert (found["verdict"], found["facts"]["ahead"]) == ("violated", True)


def test_rows_are_named_and_their_values_are_not() -> None:
    """The report says where to look, by position, and shows nobody's values."""
    found = ask(check="pattern", column="zip", pattern="[0-9]{4}")
    assert found["first_rows"] == [3, 4, 6]
    assert "80010" not in str(found)


def test_expressions_agree_with_the_kernel_row_by_row() -> None:
    """Evaluated for all rows at once or for one after the other, an expression comes to the same, nulls included."""
    chance = random.Random(7)
    rows = [
        {
            "a": chance.choice([None, 0, 1, 2, 3]),
            "b": chance.choice([None, 0.5, 1.0, 2.5]),
            "s": chance.choice([None, "x", "y", "xy"]),
            "f": chance.choice([None, True, False]),
        }
        for _ in range(400)
    ]
    table = pa.Table.from_pylist(
        rows, pa.schema([("a", pa.int64()), ("b", pa.float64()), ("s", pa.string()), ("f", pa.bool_())])
    )
    tests = ["a > 1", "b <= 1", "a < b", "s = \"x\"", "s != \"y\"", "a in (1, 3)", "s in (\"x\", \"xy\")", "f = true",
             "s contains \"y\"", "b is absent", "a is present", "f"]  # fmt: skip
    for _ in range(120):
        parts = [chance.choice(["", "not "]) + chance.choice(tests) for _ in range(chance.randint(1, 4))]
        text = parts[0]
        for part in parts[1:]:
            text = f"({text}) {chance.choice(['and', 'or'])} {part}"
        outcomes = [evaluate(parse(text), row).outcome for row in rows]
        found = ask(table, check="holds", expression=text)
        assert (found["held"], found["failed"], found["unknown"]) == tuple(
            outcomes.count(one) for one in (Outcome.YES, Outcome.NO, Outcome.UNKNOWN)
        ), text


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"check": "nice"}, "MUNI-J184"),
        ({"check": "range", "column": "age"}, "MUNI-J184"),
        ({"check": "range", "column": "age", "min": "soon"}, "MUNI-J184"),
        ({"check": "range", "column": "AGE", "min": 1}, "MUNI-J183"),
        ({"check": "range", "column": "age", "min": 1, "pattern": "x"}, "MUNI-J184"),
        ({"check": "range", "column": "age", "min": 1, "threshold": 0}, "MUNI-J184"),
        ({"check": "range", "column": "age", "min": 1, "threshold": "much"}, "MUNI-J184"),
        ({"check": "allowed", "column": "age", "values": []}, "MUNI-J184"),
        ({"check": "holds", "expression": "nothing > 1"}, "MUNI-J183"),
        ({"check": "holds", "expression": "age >"}, None),
        ({"check": "range", "column": "sex", "min": 1}, "MUNI-J185"),
        ({"check": "allowed", "column": "age", "values": ["x"]}, "MUNI-J185"),
        ({"check": "pattern", "column": "age", "pattern": "x"}, "MUNI-J185"),
        ({"check": "pattern", "column": "zip", "pattern": "("}, "MUNI-J185"),
        ({"check": "fresh", "column": "age", "max_age_days": 1}, "MUNI-J185"),
        ({"check": "holds", "expression": "age < sex"}, "MUNI-J185"),
    ],
)
def test_a_rule_that_cannot_be_asked_is_refused(rule: dict[str, Any], code: str | None) -> None:
    """The rule, the field and what was expected are named."""
    with pytest.raises(Invalid) as refused:
        ask(**rule)
    assert refused.value.code == (code or refused.value.code)


def test_the_program_reports(bench: Benches) -> None:
    """The job writes one report of its format, and says how many rules are broken."""
    desk = bench("job")
    desk.channel("data", snapshot(TABLE))
    rules = {"rule": [{"check": "complete", "column": "age"}, {"check": "distinct"}]}
    desk.given(rules=rules, as_of="2026-11-26T12:00:00Z")
    quality(Job(desk.root))
    report = desk.result("report.json")
    assert (report["format"], report["verdict"]) == ("muniment.quality/1", "violated")
    assert report["dimensions"] == {
        "completeness": "violated", "validity": "unknown", "uniqueness": "ok", "consistency": "unknown",
        "timeliness": "unknown",
    }  # fmt: skip


def groups(**counts: int) -> pa.Table:
    """Rows of one column."""
    return pa.table({"g": [name for name, count in counts.items() for _ in range(count)]})


def test_equal_shares_are_represented() -> None:
    """The same shares in another number of rows: no difference, an index of almost nothing, p of 1."""
    report = represent(groups(a=60, b=40), groups(a=600, b=400), ["g"])
    column = report["columns"][0]
    assert (report["verdict"], column["chi_square"]["p"]) == ("ok", 1.0)
    assert column["psi"] < 1e-4
    assert all(one["difference"] == 0 for one in column["groups"])


def test_the_measures_are_those_of_the_textbooks() -> None:
    """Chi-square of 30 and 70 against halves is 16 with one degree of freedom; p by its distribution."""
    column = represent(groups(a=30, b=70), groups(a=500, b=500), ["g"])["columns"][0]
    assert column["chi_square"]["statistic"] == pytest.approx(16)
    assert column["chi_square"]["p"] == pytest.approx(6.334e-5, rel=1e-3)
    assert [round(one["difference"], 12) for one in column["groups"]] == [-0.2, 0.2]
    assert column["verdict"] == "violated"


def test_groups_that_are_absent_or_unexpected_are_named() -> None:
    """A group of the population without a row here, and one that the population does not know; nothing is merged."""
    report = represent(groups(a=50, new=50), groups(a=50, b=50), ["g"])
    column = report["columns"][0]
    assert (column["absent"], column["unexpected"]) == (["b"], ["new"])
    assert column["chi_square"]["p"] is None
    assert report["verdict"] == "violated"


def test_columns_can_agree_while_their_combinations_do_not() -> None:
    """Each column alone is balanced on both sides; together they are not, and that is seen."""
    data = pa.table({"a": ["x", "y"] * 50, "b": ["x", "y"] * 50})
    population = pa.table({"a": ["x", "y", "x", "y"] * 50, "b": ["x", "x", "y", "y"] * 50})
    report = represent(data, population, ["a", "b"])
    assert [one["verdict"] for one in report["columns"]] == ["ok", "ok"]
    assert (report["joint"]["verdict"], report["verdict"]) == ("violated", "violated")


def test_numbers_fall_between_the_deciles_of_the_population() -> None:
    """Edges come from the reference alone; missing values are a group of their own."""
    population = pa.table({"x": [float(n) for n in range(1000)]})
    report = represent(pa.table({"x": [5.0] * 99 + [None]}), population, ["x"])
    column = report["columns"][0]
    assert len(column["groups"]) == 11
    assert column["groups"][0]["rows"] == 99
    assert column["unexpected"] == ["(missing)"]


def test_what_cannot_be_compared_is_refused() -> None:
    """Too many levels, a column of one side only, kinds that differ, no rows."""
    many = pa.table({"g": [f"n{n}" for n in range(61)]})
    for data, population, columns, code in (
        (many, many, ["g"], "MUNI-J189"),
        (groups(a=1), groups(a=1), ["h"], "MUNI-J187"),
        (pa.table({"g": [1]}), groups(a=1), ["g"], "MUNI-J188"),
        (pa.table({"g": pa.array([], pa.string())}), groups(a=1), ["g"], "MUNI-J186"),
    ):
        with pytest.raises(Invalid) as refused:
            represent(data, population, columns)
        assert refused.value.code == code


def test_the_program_of_representation_reports(bench: Benches) -> None:
    """The job compares two snapshots and writes one report of its format."""
    desk = bench("job")
    desk.channel("data", snapshot(groups(a=30, b=70)))
    desk.channel("reference", snapshot(groups(a=50, b=50)))
    desk.given(columns=["g"])
    representation(Job(desk.root))
    assert desk.result("report.json")["verdict"] == "violated"
