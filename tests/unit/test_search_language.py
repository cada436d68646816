"""The language of search: what is read, and how everything else is refused, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from muniment.errors import Invalid
from muniment.search.kinds import KINDS
from muniment.search.language import DEEPEST, LONGEST, MOST_TESTS, MOST_VALUES, parse, parse_path

EXAMPLE = 'run where metric.auc > 0.78 and input.name = "credit" and param.max_depth in (3, 5) order by metric.auc desc'


def refused(query: str) -> dict[str, Any]:
    """What the refusal of a query says."""
    with pytest.raises(Invalid) as error:
        parse(query)
    return {"code": error.value.code, "message": error.value.message, **error.value.facts}


def test_the_example_is_its_own_normal_form() -> None:
    """The query that the documents show is read, and printed as it stands."""
    assert str(parse(EXAMPLE)) == EXAMPLE


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("RUNS WHERE Status = ok", 'run where status = "ok"'),
        (
            "runs where not (status = ok or kind in (train, run))",
            'run where not (status = "ok" or kind in ("train", "run"))',
        ),
        ("run where metric.`val auc` is absent", 'run where metric."val auc" is absent'),
        ("run where tag.mlflow.runName = x", 'run where tag."mlflow.runName" = "x"'),
        ("run where params.depth not in (3)", "run where not param.depth in (3)"),
        ("run where created > now - 7d and duration < 5m", "run where created > now - 604800s and duration < 300s"),
        ("run where upstream contains data:credit@1", "run where downstream of data:credit@1"),
        ("model where downstream contains report:x@1", "model where upstream of report:x@1"),
        ("data where rows >= 1e3 limit 5 offset 2", "data where rows >= 1000 limit 5 offset 2"),
        (
            "run where seed = 3 order by created asc, metric.auc desc",
            "run where seed = 3 order by created, metric.auc desc",
        ),
        ("run where (status = ok)", 'run where status = "ok"'),
        ("run where param.in = 3 and metric.order > 1", "run where param.in = 3 and metric.order > 1"),
        ('run where param."in" = "in"', 'run where param.in = "in"'),
    ],
)
def test_what_is_read(written: str, normal: str) -> None:
    """Other ways to write the same thing have one normal form, which is read as itself."""
    assert str(parse(written)) == normal
    assert parse(normal) == parse(written)


@pytest.mark.parametrize(
    ("query", "code", "column", "says"),
    [
        ("", "MUNI-Q102", 1, "begins with what is searched for"),
        ("modle where x = 1", "MUNI-Q102", 1, "begins with"),
        ("run status = ok", "MUNI-Q103", 5, "where"),
        ("run where metric.auc >> 3", "MUNI-Q103", 23, "a value"),
        ("run where metric.auc", "MUNI-Q103", 21, "is"),
        ("run where status = 'ok'", "MUNI-Q103", 20, "double quotes"),
        ('run where label = "x', "MUNI-Q103", 21, "ends the text"),
        ("run where (status = ok", "MUNI-Q103", 23, ")"),
        ("run where status = ok &", "MUNI-Q104", 23, "neither a name"),
        ("run where status == ok", "MUNI-Q103", 18, "="),
        ('run where metric.auc > "x"', "MUNI-Q105", 24, "number"),
        ("run where status > ok", "MUNI-Q105", 20, "compared by"),
        ("run where created > 5", "MUNI-Q105", 21, "moment"),
        ("run where created > 2026-02-30", "MUNI-Q105", 21, "no such moment"),
        ("run where duration > ok", "MUNI-Q105", 22, "duration"),
        ('run where label contains ""', "MUNI-Q105", 26, "empty text"),
        ("run where auc > 1", "MUNI-Q107", 11, "no field"),
        ("run where input.nmae = x", "MUNI-Q107", 11, "no field"),
        ("experiment where upstream of data:x@1", "MUNI-Q103", 30, "no lineage"),
        ("run limit 0", "MUNI-Q105", 11, "lies between"),
        ("run order by", "MUNI-Q103", 13, "order by"),
        ("run order by created, created, created, created, created, created", "MUNI-Q106", 66, "at most"),
        ("run where now = 3", "MUNI-Q103", 11, "a field"),
    ],
)
def test_what_is_refused_and_where(query: str, code: str, column: int, says: str) -> None:
    """Each refusal names its column, puts a mark under it, and says what would have been right."""
    told = refused(query)
    assert (told["code"], told["column"]) == (code, column)
    assert says in f"{told['message']} {told.get('expected', '')} {told.get('reason', '')}"
    cut = max(0, column - 41)
    assert told["place"].index("^") == column - 1 - cut
    assert told["query"] == query[cut : cut + 80]


def test_a_mark_in_a_long_query_stands_under_its_place() -> None:
    """Of a long query the part around the place is shown."""
    told = refused("run where " + "status = ok and " * 10 + "stauts = ok")
    assert told["query"][told["place"].index("^") :].startswith("stauts")


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ("modle", "model"),
        ("run where stauts = ok", "status"),
        ("run where auc > 1", "metric.auc"),
        ("run where metrc.auc > 1", "metric.auc"),
        ("data where colunm.name = x", "column.name"),
    ],
)
def test_what_was_meant_is_suggested(query: str, near: str) -> None:
    """A name that is almost one is answered with the one."""
    assert near in refused(query)["near"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("run where " + "(" * (DEEPEST + 2) + "status = ok" + ")" * (DEEPEST + 2), "MUNI-Q106"),
        ("run where " + "not " * (DEEPEST + 2) + "status = ok", "MUNI-Q106"),
        ("run where " + " or ".join(["seed = 1"] * (MOST_TESTS + 1)), "MUNI-Q106"),
        (f"run where seed in ({', '.join(['1'] * (MOST_VALUES + 1))})", "MUNI-Q106"),
        ("run where label = " + "x" * LONGEST, "MUNI-Q101"),
        ("run where seed = " + "1" * 41, "MUNI-Q105"),
        ("run where seed = 1e41", "MUNI-Q105"),
        ("run where created > now - 99999999w", "MUNI-Q105"),
        ('run where metric."' + "x" * 201 + '" > 1', "MUNI-Q105"),
    ],
)
def test_length_and_depth_are_bounded(query: str, code: str) -> None:
    """No query costs more than a bounded one, and each bound says what it is."""
    assert refused(query)["code"] == code


def test_every_kind_has_its_columns() -> None:
    """What a table shows by default are fields of the kind."""
    for kind in KINDS.values():
        for column in kind.columns:
            assert str(parse_path(column, kind)) == column
