"""How groups fare: published counts to the last digit, undefined is never a number, order and parts change nothing."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from conftest import Bench, snapshot
from muniment.analytics.fairness import Group, count_groups, fisher, two_sample, unfairness, wilson
from muniment.analytics.split import keys
from muniment.errors import Invalid
from muniment.programs.contract import Job
from muniment.programs.evaluate import evaluate
from muniment.programs.grouping import by_group, with_people
from muniment.programs.groups import GroupRule, read_groups
from muniment.programs.train import train

QUICK = settings(deadline=None, max_examples=200)


def outcomes(hits: int, rows: int, name: str) -> Group:
    """A group of which so many have the good outcome, which is also what is predicted."""
    return Group(name, true_positive=rows - hits, false_positive=0, true_negative=hits, false_negative=0)


# Counts of the good outcome, recomputed as fractions from the full public files, and what they come to.
KNOWN = [
    pytest.param((110, 190), (590, 810), -0.149448, 0.794826, id="German credit, age <= 25 and > 25: good"),
    pytest.param((201, 310), (499, 690), -0.074801, 0.896567, id="German credit, A92 and the rest: good"),
    pytest.param((88, 149), (612, 851), -0.128550, 0.821248, id="German credit, age < 25 and the rest: good"),
    pytest.param((1179, 10771), (6662, 21790), -0.196276, 0.358023, id="Adult train, F and M: > 50K"),
    pytest.param((1769, 16192), (9918, 32650), -0.194516, 0.359655, id="Adult, F and M: > 50K"),
    pytest.param((243, 339), (1852, 2041), -0.190584, 0.789966, id="HMDA Boston, afam: not denied"),
    pytest.param((133, 197), (1612, 1792), -0.224427, 0.750513, id="loanapp, black and other: approved"),
    pytest.param((9015, 11888), (14349, 18112), -0.033909, 0.957198, id="UCI credit default, SEX: no default"),
]


@pytest.mark.parametrize(("low", "high", "difference", "ratio"), KNOWN)
def test_published_counts(low: tuple[int, int], high: tuple[int, int], difference: float, ratio: float) -> None:
    """Difference and ratio are exact on counts that anybody can recompute."""
    found = unfairness([outcomes(*low, "d"), outcomes(*high, "a")], favourable="negative", favoured=None)
    assert found["spd"] == float(Fraction(*low) - Fraction(*high))
    assert found["air"] == float(Fraction(*low) / Fraction(*high))
    assert (round(found["spd"], 6), round(found["air"], 6)) == (difference, ratio)
    assert (found["air_group"], found["reference"], found["highest"]) == ("d", "a", "a")


def test_the_tests_of_significance_on_published_counts() -> None:
    """German credit by age: z -4.046 and Fisher's p 9.9446e-5."""
    test = two_sample(110, 190, 590, 810)
    assert test is not None
    assert round(test[0], 3) == -4.046
    assert fisher(110, 190, 590, 810) == pytest.approx(9.9446e-5, rel=1e-4)


def german(folder: Path) -> pa.Table:
    """The original file as a table, by attribute number."""
    with gzip.open(folder / "german/german.data.gz", "rt") as file:
        rows = [line.split() for line in file]
    columns: dict[str, Any] = {f"a{at + 1}": [row[at] for row in rows] for at in range(20)}
    columns |= {name: [int(value) for value in columns[name]] for name in ("a2", "a13")}
    return pa.table({**columns, "bad": [row[20] == "2" for row in rows]})


def test_the_whole_block_on_the_real_german_file(shared_data: Path | None) -> None:
    """Age <= 25 against the rest under the rule "duration up to 24 months": every count and rate as published."""
    if shared_data is None:
        pytest.skip("the public data sets do not lie beside this checkout; counts are tested instead")
    table = german(shared_data)
    bad = np.array(table.column("bad"))
    long = (np.array(table.column("a2")) > 24).astype(np.float64)
    rule = GroupRule("a13", "> 25", (25.0,))
    found = by_group(
        table, rule, labels=bad, scores=long, threshold=0.5, favourable="negative", features=frozenset({"a2"})
    )
    young, old = found["groups"]
    # Good and approved: a true negative, where the positive class is the bad outcome.
    names = ("true_negative", "false_negative", "false_positive", "true_positive")
    assert [young[name] for name in names] == [96, 54, 14, 26]
    assert [old[name] for name in names] == [476, 144, 114, 76]
    assert (young["spd"], young["di"]) == (pytest.approx(37 / 1539, abs=1e-15), pytest.approx(1215 / 1178))
    assert old["tpr"] - young["tpr"] == pytest.approx(9 / 440)
    assert young["fpr"] - old["fpr"] == pytest.approx(-214 / 3245)
    assert round(abs(found["fpr_gap"]), 7) == 0.0659476
    assert (round(found["air"], 6), found["air_group"]) == (0.969547, "> 25")
    assert (found["used_by_model"], found["missing_rows"], found["rare"]["rows"]) == (False, 0, 0)
    by_sex = by_group(
        table,
        GroupRule("a9"),
        labels=bad,
        scores=bad.astype(np.float64),
        threshold=0.5,
        favourable="negative",
        features=frozenset(),
    )
    women = next(one for one in by_sex["groups"] if one["group"] == "A92")
    assert (women["favourable"], women["rows"]) == (201, 310)


def test_mean_differences_on_the_real_german_file(shared_data: Path | None) -> None:
    """The standardised difference of the amount by age, in population standard deviations of all rows."""
    if shared_data is None:
        pytest.skip("the public data sets do not lie beside this checkout")
    table = german(shared_data)
    amount = np.array([float(value) for value in table.column("a5").to_pylist()])
    young = np.array(table.column("a13")) <= 25
    groups = count_groups((~young).astype(int), ["d", "a"], young, young, amount)
    found = unfairness(groups, favourable="negative", favoured="a")
    assert round(found["groups"][0]["smd"], 6) == -0.117229


@pytest.mark.slow
def test_the_real_adult_and_credit_files(shared_data: Path | None) -> None:
    """Income by sex and default by sex: the counts of the files are the published ones."""
    if shared_data is None:
        pytest.skip("the public data sets do not lie beside this checkout; counts are tested instead")
    with gzip.open(shared_data / "adult/adult.data.gz", "rt") as file:
        rows = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
    adult = pa.table({"sex": [row[9] for row in rows]})
    rich = np.array([row[14] == ">50K" for row in rows])
    found = by_group(
        adult,
        GroupRule("sex"),
        labels=rich,
        scores=rich.astype(np.float64),
        threshold=0.5,
        favourable="positive",
        features=frozenset(),
    )
    assert [(one["favourable"], one["rows"]) for one in found["groups"]] == [(1179, 10771), (6662, 21790)]
    assert (round(found["spd"], 6), round(found["air"], 6)) == (-0.196276, 0.358023)
    with gzip.open(shared_data / "credit_default/UCI_Credit_Card.csv.gz", "rt") as file:
        lines = list(csv.DictReader(file))
    target = list(lines[0])[-1]
    credit = pa.table({"SEX": [int(line["SEX"]) for line in lines]})
    bad = np.array([line[target] == "1" for line in lines])
    found = by_group(
        credit,
        GroupRule("SEX"),
        labels=bad,
        scores=bad.astype(np.float64),
        threshold=0.5,
        favourable="negative",
        features=frozenset(),
    )
    assert [(one["positives"], one["rows"]) for one in found["groups"]] == [(2873, 11888), (3763, 18112)]
    assert (round(found["air"], 6), round(found["spd"], 6)) == (0.957198, -0.033909)


@QUICK
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_significance_equals_the_oracle(hits: int, misses: int, other_hits: int, other_misses: int) -> None:
    """Fisher's p and Wilson's interval are scipy's; without rows there is no value."""
    rows, other = hits + misses, other_hits + other_misses
    found = fisher(hits, rows, other_hits, other)
    if not rows or not other:
        assert found is None
    else:
        wanted = stats.fisher_exact([[hits, misses], [other_hits, other_misses]]).pvalue
        assert found == pytest.approx(wanted, rel=1e-7)
    if not rows:
        assert wilson(hits, rows) is None
    else:
        wanted = stats.binomtest(hits, rows).proportion_ci(method="wilson")
        assert wilson(hits, rows) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_significance_of_large_and_of_certain_counts() -> None:
    """A million rows and a certain outcome have values too, or say that they have none."""
    assert fisher(100_000, 500_000, 101_000, 500_000) == pytest.approx(
        stats.fisher_exact([[100_000, 400_000], [101_000, 399_000]]).pvalue, rel=1e-6
    )
    assert two_sample(5, 5, 9, 9) is None
    assert fisher(5, 5, 9, 9) == 1


facts = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans(), st.integers(0, 8).map(lambda n: n / 8)),
    min_size=1,
    max_size=60,
)


def counted(drawn: Iterable[tuple[str, bool, bool, float]]) -> list[Group]:
    """The groups of drawn rows."""
    rows = list(drawn)
    codes = np.array(["abc".index(name) for name, *_ in rows], np.int64)
    labels, predicted = (np.array([row[at] for row in rows], bool) for at in (1, 2))
    return count_groups(codes, ["a", "b", "c"], labels, predicted, np.array([row[3] for row in rows]))


@QUICK
@given(facts, st.randoms(use_true_random=False), st.sampled_from(["negative", "positive"]))
def test_the_order_of_rows_changes_nothing(drawn: Any, chance: Any, favourable: str) -> None:
    """Any order of the rows gives the same document, to the last bit; counts cover every row."""
    shuffled = list(drawn)
    chance.shuffle(shuffled)
    first = unfairness(counted(drawn), favourable=favourable, favoured=None)
    assert first == unfairness(counted(shuffled), favourable=favourable, favoured=None)
    assert sum(one["rows"] for one in first["groups"]) == len(drawn)


@QUICK
@given(facts, st.sampled_from(["negative", "positive"]))
def test_rates_by_definition_and_reasons_for_what_has_none(drawn: Any, favourable: str) -> None:
    """Rates are those of the definition in fractions; a value without a meaning is None and has its reason."""
    found = unfairness(counted(drawn), favourable=favourable, favoured=None)
    good = favourable == "positive"
    for one in found["groups"]:
        mine = [row for row in drawn if row[0] == one["group"]]
        if mine:
            assert one["selection_rate"] == sum(row[2] == good for row in mine) / len(mine)
        for name, among in (("tpr", True), ("fpr", False)):
            base = [row for row in mine if row[1] == among]
            assert one[name] == (sum(row[2] for row in base) / len(base) if base else None)
        for name in ("selection_rate", "tpr", "fpr", "air", "mean_score", "base_rate"):
            assert (one[name] is None) == (name in one["undefined"])
    compared = [one for one in found["groups"] if one["compared"]]
    rates = [one["selection_rate"] for one in compared]
    if len(compared) > 1 and max(rates) > 0:
        assert found["air"] == pytest.approx(min(rates) / max(rates), rel=1e-15)
    else:
        assert found["air"] is None
        assert found["undefined"]["air"]


def test_a_small_group_is_shown_and_not_compared() -> None:
    """Below 2 % of the rows a group's ratio stands there, and does not decide."""
    groups = [outcomes(800, 1000, "a"), outcomes(700, 1000, "b"), outcomes(0, 39, "c")]
    found = unfairness(groups, favourable="negative", favoured=None)
    assert [one["compared"] for one in found["groups"]] == [True, True, False]
    assert (found["air"], found["air_group"], found["groups"][2]["air"]) == (0.875, "b", 0.0)
    alone = unfairness([outcomes(5, 10, "a")], favourable="negative", favoured=None)
    assert (alone["air"], alone["spd"]) == (None, None)
    assert "fewer than two groups" in alone["undefined"]["air"]


def test_four_fifths_is_four_fifths() -> None:
    """A ratio is one division of integers, so that a bound of 0.8 is met by exactly four fifths."""
    for rows in range(10, 400, 7):
        groups = [outcomes(4 * rows, 10 * rows, "a"), outcomes(5 * rows, 10 * rows, "b")]
        assert unfairness(groups, favourable="negative", favoured=None)["air"] == 0.8
    assert unfairness([outcomes(24, 90, "a"), outcomes(1, 3, "b")], favourable="negative", favoured=None)["air"] == 0.8


def test_a_named_group_is_compared_with_and_the_ratio_keeps_the_best() -> None:
    """AIR is against the highest rate whoever is named (29 CFR 1607.4(D)); differences are against the named group."""
    groups = [outcomes(50, 100, "a"), outcomes(80, 100, "b"), outcomes(60, 100, "c")]
    found = unfairness(groups, favourable="negative", favoured="c")
    a, b, c = found["groups"]
    assert (found["highest"], found["reference"]) == ("b", "c")
    assert (a["air"], a["di"], a["spd"]) == (0.625, pytest.approx(5 / 6), pytest.approx(-0.1))
    assert b["spd"] == pytest.approx(0.2)
    assert "spd" not in c


def table(rows: int = 1000) -> pa.Table:
    """A feature, people, and an outcome that depends on the feature alone."""
    drawn = keys(rows * 3, 9).reshape(3, rows)
    x = (drawn[0] % 1000).astype(np.float64)
    who = np.array(["f", "m", None], object)[np.where(drawn[1] % 20 == 0, 2, drawn[1] % 2)]
    who[:3] = "one of three"
    age = 20 + (drawn[2] % 60).astype(np.int64)
    return pa.table(
        {"x": x, "who": pa.array(who.tolist(), pa.string()), "age": age, "y": (x + age * 5 > 700).astype(np.int64)}
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows neither age nor who somebody is."""
    desk = Bench(tmp_path_factory.mktemp("model"))
    desk.channel("train", snapshot(table(), "y"))
    desk.given(algorithm="logistic_regression", drop=["who", "age"])
    train(Job(desk.root))
    return desk.root / "model"


def evaluated(desk: Bench, model: Path, data: pa.Table, protected: pa.Table | None = None, **given_: Any) -> Any:
    """The report of an evaluation."""
    desk.channel("model", {path.name: path for path in model.iterdir()})
    desk.channel("data", snapshot(data))
    if protected is not None:
        desk.channel("protected", snapshot(protected))
    desk.given(**given_)
    evaluate(Job(desk.root))
    return desk.result("report.json")


def test_an_evaluation_compares_groups_the_model_never_saw(bench: Callable[[str], Bench], model: Path) -> None:
    """Groups come from columns of the data; the worst of all columns is the metric; rare and missing are counted."""
    asked = {"who": {"favoured": "m"}, "age": {"cuts": [25, 62]}}
    report = evaluated(bench("a"), model, table(), groups=asked, threshold=0.4)
    who, age = report["groups"]
    assert [one["group"] for one in who["groups"]] == ["f", "m"]
    assert (who["rare"]["groups"], who["rare"]["rows"], who["reference"]) == (1, 3, "m")
    assert "one of three" not in str(report)
    assert who["missing_rows"] + who["rows"] + 3 == 1000
    assert [one["group"] for one in age["groups"]] == ["<= 25", "25 to 62", "> 62"]
    assert [one["rows"] for one in age["groups"]] == [
        sum(low < value <= high for value in table().column("age").to_pylist())
        for low, high in ((0, 25), (25, 62), (62, 99))
    ]
    assert report["metrics"]["air"] == min(who["air"], age["air"])
    assert report["metrics"]["air.who"] == who["air"]
    assert abs(report["metrics"]["spd"]) == max(abs(who["spd"]), abs(age["spd"]))
    assert {one["used_by_model"] for one in report["groups"]} == {False}
    assert {one["threshold"] for one in report["groups"]} == {0.4}
    plain = evaluated(bench("b"), model, table(), threshold=0.4)
    assert (plain["groups"], plain["stability"], "air" in plain["metrics"]) == ([], None, False)
    assert plain["scores_digest"] == report["scores_digest"]


def test_a_ratio_without_a_value_is_null_with_its_reason(bench: Callable[[str], Bench], model: Path) -> None:
    """One group, or nothing favourable: no metric, and why."""
    data = table()
    alone = data.set_column(1, "who", pa.array(["f"] * 1000))
    report = evaluated(bench("a"), model, alone, groups={"who": None})
    assert report["metrics"]["air"] is None
    assert report["undefined"]["air.who"].startswith("fewer than two groups")
    report = evaluated(bench("b"), model, data, groups={"who": None}, threshold=0)
    assert report["metrics"]["air"] is None
    assert report["undefined"]["air"]


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        ({"nowhere": None}, "MUNI-D194"),
        ({"x": None}, "MUNI-D195"),
        ({"who": {"cuts": [1]}}, "MUNI-D195"),
        ({"who": {"favoured": "x"}}, "MUNI-D196"),
        ({"who": {"favoured": "one of three"}}, "MUNI-D196"),
        ({"who": {"favored": "m"}}, "MUNI-D193"),
        ({"who": {"favoured": 1}}, "MUNI-D193"),
        ({"who": "m"}, "MUNI-D193"),
        ({"age": {"cuts": [60, 25]}}, "MUNI-D193"),
        ({"age": {"cuts": ["a"]}}, "MUNI-D193"),
        ({str(at): None for at in range(21)}, "MUNI-D192"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(
    groups: dict[str, Any], code: str, bench: Callable[[str], Bench], model: Path
) -> None:
    """A column that is absent or parts nothing, a group that is none, a rule that is none: refused with the reason."""
    with pytest.raises(Invalid) as refused:
        evaluated(bench("a"), model, table(), groups=groups)
    assert refused.value.code == code


def test_protected_columns_may_lie_elsewhere(bench: Callable[[str], Bench], model: Path) -> None:
    """Groups by a key from a snapshot that the training never saw equal those from the data itself, in any order."""
    data = table().append_column("id", pa.array([f"case {at}" for at in range(1000)]))
    walled = data.drop_columns(["who", "age"])
    people = data.select(["id", "who", "age"]).take(list(range(999, -1, -1)))
    asked = {"who": None, "age": {"cuts": [40]}}
    open_, behind = (
        evaluated(bench("a"), model, data, groups=asked),
        evaluated(bench("b"), model, walled, people, groups=asked, key="id"),
    )
    assert open_["groups"] == behind["groups"]
    assert (open_["protected"], behind["protected"]["found"], behind["protected"]["not_found"]) == (None, 1000, 0)
    some = evaluated(bench("c"), model, walled, people.slice(0, 900), groups={"who": None}, key="id")
    assert (some["protected"]["found"], some["protected"]["not_found"]) == (900, 100)
    assert some["groups"][0]["missing_rows"] >= 100


@pytest.mark.parametrize(
    ("people", "code"),
    [
        (pa.table({"who": ["a"], "nr": [1]}), "MUNI-D167"),
        (pa.table({"id": [1], "who": ["a"]}), "MUNI-D167"),
        (pa.table({"id": ["1", "1"], "who": ["a", "b"]}), "MUNI-D168"),
    ],
)
def test_a_key_that_names_nobody_or_several_is_refused(people: pa.Table, code: str) -> None:
    """Without a common key of one type, or with one that is not unique, nobody is joined to anybody."""
    with pytest.raises(Invalid) as refused:
        with_people(pa.table({"id": ["1", "2"]}), people, "id")
    assert refused.value.code == code


@QUICK
@given(st.lists(st.none() | st.integers(0, 20), max_size=30), st.sets(st.integers(0, 20)))
def test_joining_keeps_the_rows(rows: list[int | None], known: set[int]) -> None:
    """Rows keep order and number; each gets the values of its own key, or none."""
    people = pa.table({"id": pa.array(sorted(known), pa.int64()), "name": [f"n{one}" for one in sorted(known)]})
    if not known:
        people = people.set_column(1, "name", pa.array([], pa.string()))
    joined, found = with_people(pa.table({"id": pa.array(rows, pa.int64())}), people, "id")
    assert joined.column("id").to_pylist() == rows
    assert joined.column("name").to_pylist() == [f"n{one}" if one in known else None for one in rows]
    assert found == sum(one in known for one in rows)


def test_rules_are_read_back_as_they_are_written() -> None:
    """A rule's document is the rule."""
    rule = GroupRule("age", "> 62", (25.0, 62.0))
    assert read_groups({"age": rule.document(), "who": None}) == (rule, GroupRule("who"))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pa.array([True] * 20 + [False] * 20), ["false", "true"]),
        (pa.array([10] * 20 + [9] * 20), ["9", "10"]),
        (pa.array([1.5] * 20 + [1.0] * 20), ["1", "1.5"]),
        (pa.array(["ä"] * 20 + ["z"] * 20).dictionary_encode(), ["z", "ä"]),
        (pa.array(["\x1b[2J"] * 20 + ["b"] * 20), ["\\x1b[2J", "b"]),
        (pa.array([None] * 40, pa.string()), []),
    ],
)
def test_groups_have_names_in_order(values: pa.Array, names: list[str]) -> None:
    """Numbers stand in the order of numbers, texts in that of their bytes, control characters are made visible."""
    data = pa.table({"g": values})
    none = np.zeros(40, bool)
    found = by_group(
        data,
        GroupRule("g"),
        labels=none,
        scores=np.zeros(40),
        threshold=0.5,
        favourable="negative",
        features=frozenset(),
    )
    assert [one["group"] for one in found["groups"]] == names
