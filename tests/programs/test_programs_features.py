"""Features: the join gives what was known, against a naive reference and DuckDB; transforms are functions of their
sources; columns are found out, not claimed; online values are the offline ones.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Bench, snapshot, start
from muniment.analytics.asof import MISSING, as_of, in_order
from muniment.errors import Invalid
from muniment.programs.feature_join import features_at
from muniment.programs.feature_latest import known_at, lines
from muniment.programs.feature_rows import conform, leaks
from muniment.programs.feature_view import FORMAT, View, duration_s, key_text, read_view, sampled
from muniment.programs.snapshots import read_snapshot

QUICK = settings(deadline=None, max_examples=300)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TREE = "sha256:" + "0" * 64


def document(**given: Any) -> dict[str, Any]:
    """The definition of a small view."""
    return {
        "format": FORMAT,
        "name": "behaviour",
        "entity": ["id"],
        "event_time": "at",
        "knowledge_time": "known",
        "ttl_s": None,
        "owner": "risk",
        "description": "",
        "sources": {"rows": TREE},
        "features": [{"name": "value", "type": "int64", "description": ""}],
        "transform": {"language": "python", "entry": "t.py", "function": "transform", "source": TREE},
        **given,
    }


def moments(numbers: list[int | None]) -> pa.Array:
    """Small numbers as moments, in seconds."""
    return pa.array([None if n is None else EPOCH + timedelta(seconds=n) for n in numbers], pa.timestamp("us", "UTC"))


# --- the join -----------------------------------------------------------------------------------------------------

SMALL = st.integers(0, 12)
ROWS = st.lists(st.tuples(st.integers(0, 3), SMALL, SMALL), max_size=24)
REQUESTS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 4)), st.one_of(st.none(), st.integers(-2, 16))), max_size=16
)
TTL = st.one_of(st.none(), st.integers(0, 6))


def naive(
    requests: list[tuple[int | None, int | None]], rows: list[tuple[int, int, int]], ttl: int | None
) -> list[int | None]:
    """Brute force, by the words of the contract: the row id of the answer to each request."""
    answers: list[int | None] = []
    for key, moment in requests:
        best = None
        for number, (row_key, event, known) in enumerate(rows):
            if moment is None or row_key != key or event > moment or known > moment:
                continue
            if best is None or (event, known, number) > best:
                best = (event, known, number)
        if best is not None and ttl is not None and moment is not None and moment - best[0] > ttl:
            best = None
        answers.append(None if best is None else best[2])
    return answers


def found(
    requests: list[tuple[int | None, int | None]], rows: list[tuple[int, int, int]], ttl: int | None, *, clocks: int
) -> list[int | None]:
    """What the join finds, as row ids."""
    kind = {"id": pl.Int64, "event": pl.Int64, "known": pl.Int64}
    table = pl.DataFrame(rows, kind, orient="row").with_row_index("row")
    ordered = in_order(table, ["id"], "event", "known" if clocks == 2 else None)
    asked = pl.DataFrame(requests, {"id": pl.Int64, "t": pl.Int64}, orient="row")
    known = "known" if clocks == 2 else None
    positions = as_of(asked, "t", ordered, ["id"], "event", known, ttl)
    names = ordered["row"].to_list()
    return [None if place == MISSING else names[place] for place in positions.tolist()]


@QUICK
@given(REQUESTS, ROWS, TTL)
def test_the_join_is_the_contract(
    requests: list[tuple[int | None, int | None]], rows: list[tuple[int, int, int]], ttl: int | None
) -> None:
    """Late corrections, corrections of corrections, equal times, clocks that go backwards, nulls, duplicates, requests
    before the first value: the answer is that of brute force, one for each request, in order.
    """
    assert found(requests, rows, ttl, clocks=2) == naive(requests, rows, ttl)


@QUICK
@given(REQUESTS, ROWS, TTL)
def test_without_a_knowledge_time_things_are_known_when_they_happen(
    requests: list[tuple[int | None, int | None]], rows: list[tuple[int, int, int]], ttl: int | None
) -> None:
    """One clock is two equal clocks."""
    assert found(requests, rows, ttl, clocks=1) == naive(requests, [(key, at, at) for key, at, _ in rows], ttl)


@settings(deadline=None, max_examples=60)
@given(REQUESTS, ROWS)
def test_duckdb_finds_the_same(requests: list[tuple[int | None, int | None]], rows: list[tuple[int, int, int]]) -> None:
    """Another engine, asked in SQL for the greatest row by (event, known, row id), gives the same answers."""
    asked = pa.table({"n": range(len(requests)), "id": pa.array([r[0] for r in requests], pa.int64()),
                      "t": pa.array([r[1] for r in requests], pa.int64())})  # fmt: skip
    table = pa.table({"row": pa.array(range(len(rows)), pa.int64()),
                      **{name: pa.array([r[i] for r in rows], pa.int64())
                         for i, name in enumerate(("id", "e", "k"))}})  # fmt: skip
    with duckdb.connect() as database:
        database.register("asked", asked)
        database.register("rows_", table)
        answers = database.execute(
            "select n, (select arg_max(row, (e, k, row)) from rows_ r where r.id = a.id and e <= t and k <= t) "
            "from asked a order by n"
        ).fetchall()
    assert [row for _, row in answers] == found(requests, rows, None, clocks=2)


def test_an_asof_join_with_a_filter_is_wrong_where_ours_is_right() -> None:
    """The trap: a value that was corrected later is still what was known before the correction."""
    rows = [(1, 0, 0), (1, 5, 20)]
    assert found([(1, 10), (1, 20)], rows, None, clocks=2) == [0, 1]


def test_several_keys_and_views_and_types() -> None:
    """Keys of several columns and kinds; every value comes back exactly; what is unknown is null in its own type."""
    view = read_view(document(
        entity=["country", "id"],
        features=[{"name": n, "type": k} for n, k in (
            ("big", "int64"), ("money", "decimal(20,4)"), ("text", "string"), ("day", "date"), ("flag", "bool"),
            ("unsigned", "uint64"),
        )],
    ))  # fmt: skip
    made = pa.table({
        "country": ["DE", "DE", "FR"], "id": [1, 1, 1], "at": moments([1, 3, 2]), "known": moments([1, 9, 2]),
        "big": [2**62 + 1, None, -(2**63)],
        "money": pa.array([Decimal("12345.6789"), None, Decimal("-0.0001")]).cast(pa.decimal128(20, 4)),
        "text": ["a", "b", "ü\n"], "day": [date(9999, 12, 31), None, date(1, 1, 1)], "flag": [True, None, False],
        "unsigned": pa.array([2**64 - 1, 0, None], pa.uint64()),
    })  # fmt: skip
    rows, findings = conform(made, view)
    assert findings == []
    requests = pa.table(
        {"country": ["FR", "DE", "DE", "XX"], "id": pa.array([1, 1, 1, 1], pa.int32()), "t": moments([2, 5, 9, 9])}
    )
    columns, facts = features_at(requests, "t", rows, view, {name: name for name in view.chosen(None)})
    assert columns["big"].to_pylist() == [-(2**63), 2**62 + 1, None, None]
    assert columns["money"].to_pylist() == [Decimal("-0.0001"), Decimal("12345.6789"), None, None]
    assert columns["text"].to_pylist() == ["ü\n", "a", "b", None]
    assert columns["day"].to_pylist() == [date(1, 1, 1), date(9999, 12, 31), None, None]
    assert columns["unsigned"].to_pylist() == [None, 2**64 - 1, 0, None]
    assert columns["unsigned"].type == pa.uint64()
    assert (facts["answered"], facts["unanswered"]) == (3, 1)


@pytest.mark.parametrize(("ids", "code"), [(["1"], "MUNI-F135"), ([1.0], "MUNI-F135")])
def test_keys_of_another_type_never_meet(ids: list[Any], code: str) -> None:
    """A text is no number, and a float is no integer: nothing is converted in silence."""
    view = read_view(document(knowledge_time=None))
    rows, _ = conform(pa.table({"id": [1], "at": moments([1]), "value": [1]}), view)
    with pytest.raises(Invalid) as refused:
        features_at(pa.table({"id": ids, "t": moments([2])}), "t", rows, view, {"value": "value"})
    assert refused.value.code == code


# --- rows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"id": [1], "at": moments([1]), "known": moments([1])}, "MUNI-F124"),
        ({"id": [None], "at": moments([1]), "known": moments([1]), "value": [1]}, "MUNI-F125"),
        ({"id": pa.array([1, None]), "at": moments([1, 1]), "known": moments([1, 1]), "value": [1, 1]}, "MUNI-F132"),
        ({"id": [1], "at": moments([None]), "known": moments([1]), "value": [1]}, "MUNI-F132"),
        ({"id": [1.5], "at": moments([1]), "known": moments([1]), "value": [1]}, "MUNI-F127"),
        ({"id": [1], "at": ["2026-01-01"], "known": moments([1]), "value": [1]}, "MUNI-F126"),
        ({"id": [1], "at": moments([1]), "known": moments([1]), "value": ["1"]}, "MUNI-F125"),
        ({"id": [1], "at": moments([1]), "known": moments([1]), "value": pa.array([2**63], pa.uint64())}, "MUNI-F125"),
    ],
)
def test_rows_that_are_none_are_refused(columns: Mapping[str, Any], code: str) -> None:
    """A missing column, a null key or clock, one of no use, a value that does not fit: each by its name."""
    if code == "MUNI-F125" and columns["id"] == [None]:
        columns, code = {**columns, "id": pa.array([None], pa.null())}, "MUNI-D129"
    with pytest.raises(Invalid) as refused:
        conform(pa.table(columns), read_view(document()))
    assert refused.value.code == code


def test_ties_go_to_the_last_row() -> None:
    """Among rows with equal keys and times the last one that the transform gave counts."""
    view = read_view(document(knowledge_time=None))
    rows, _ = conform(pa.table({"id": [1, 1, 1], "at": moments([5, 5, 1]), "value": [10, 20, 30]}), view)
    columns, _ = features_at(pa.table({"id": [1], "t": moments([5])}), "t", rows, view, {"value": "v"})
    assert columns["v"].to_pylist() == [20]


def test_a_moment_without_a_zone_is_utc_and_a_date_is_its_midnight() -> None:
    """Clocks of every kind that can be said in microseconds become microseconds in UTC; nothing is rounded."""
    view = read_view(document(knowledge_time=None))
    naive_clock, day = pa.array([1767268800 * 10**9], pa.timestamp("ns")), pa.array([date(2026, 1, 1)])
    for column, hour in ((naive_clock, 12), (day, 0)):
        rows, _ = conform(pa.table({"id": [1], "at": column, "value": [1]}), view)
        assert rows["at"].to_pylist() == [datetime(2026, 1, 1, hour, tzinfo=UTC)]
    with pytest.raises(Invalid, match="at"):
        conform(pa.table({"id": [1], "at": pa.array([1], pa.timestamp("ns")), "value": [1]}), view)


def test_a_target_in_other_words_is_found() -> None:
    """A feature that equals the target, names it otherwise, or almost gives it away; an honest one is left alone."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    table = pa.table({
        "same": labels, "renamed": pa.array(["bad" if one else "good" for one in labels]),
        "close": labels + rng.normal(0, 0.2, 400), "honest": labels + rng.normal(0, 3, 400),
        "missing": pa.nulls(400, pa.int64()), "one": [1] * 400,
    })  # fmt: skip
    told = leaks(table, table.schema.names, pa.chunked_array([labels]), "default", "loans")
    assert {(one["code"], one["facts"]["feature"]) for one in told} == {
        ("equals_target", "same"),
        ("equals_target", "renamed"),
        ("gives_target_away", "close"),
    }


# --- whole jobs ---------------------------------------------------------------------------------------------------

SOURCE = pa.table({
    "id": [1, 1, 2, 2], "at": moments([1, 3, 2, 4]), "known": moments([1, 9, 2, 3]),
    "amount": [5, 7, 11, 13], "noise": ["a", "b", "c", "d"], "label": [0, 1, 0, 1],
})  # fmt: skip
GOOD = """
import polars as pl

def transform(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.select("id", "at", "known", value=pl.col("amount").cum_sum().over("id"))
"""


def build(
    bench: Bench, code: str, source: pa.Table = SOURCE, target: str | None = None, **given: Any
) -> dict[str, Any]:
    """Run a build as the sandbox would; the report, or the failure document."""
    entry = "t.sql" if code.startswith("select") else "t.py"
    language = entry[2:].replace("py", "python")
    transform = {
        "language": language,
        "entry": entry,
        "function": "transform" if language == "python" else "",
        "source": TREE,
    }
    view = document(transform=transform, **given)
    bench.channel("view", {"view.json": json.dumps(view).encode()})
    bench.channel("rows", dict(snapshot(source, target)))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(entry)
        member.size = len(code.encode())
        tar.addfile(member, io.BytesIO(code.encode()))
    (bench.root / "input/source.tar").write_bytes(archive.getvalue())
    status, _, _ = start(bench.root, "-m", "muniment.programs.feature_build", MUNIMENT_TREE=str(bench.root / "tree"))
    if status:
        return json.loads((bench.root / "output/failure").read_bytes())
    return bench.result("report.json")


@pytest.mark.slow
def test_a_python_transform_fills_a_view(bench: Callable[[str], Bench]) -> None:
    """The rows are there in order; each feature rests on the columns that its plan needs, checked by blanking."""
    job = bench("good")
    told = build(job, GOOD)
    rows = read_snapshot(job.root / "output/data")
    assert rows["value"].to_pylist() == [5, 12, 11, 24]
    assert told["column_lineage"]["method"] == "projection"
    assert told["column_lineage"]["features"] == {"value": {"columns": ["rows.id", "rows.amount"], "grade": "proven"}}
    assert [one["code"] for one in told["findings"]] == ["known_before_it_happened"]
    assert (told["runs"], told["rows"], told["entities"]) == (2, 4, 2)


@pytest.mark.slow
def test_a_query_fills_a_view(bench: Callable[[str], Bench]) -> None:
    """The same features in SQL: the same rows, the same columns, found in DuckDB's plan; filters count as read."""
    job = bench("sql")
    told = build(job, """select id, "at", known, sum(amount) over (partition by id order by "at")::bigint as value
                         from rows where noise <> 'z'""")  # fmt: skip
    assert read_snapshot(job.root / "output/data")["value"].to_pylist() == [5, 12, 11, 24]
    assert told["column_lineage"]["method"] == "plan"
    found_columns = told["column_lineage"]["features"]["value"]
    assert set(found_columns["columns"]) == {"rows.id", "rows.at", "rows.amount", "rows.noise"}
    assert found_columns["grade"] == "proven"


@pytest.mark.slow
def test_a_transform_over_data_frames_is_not_narrowed_by_guessing(bench: Callable[[str], Bench]) -> None:
    """Where the columns cannot be derived the answer is every column of the sources, and the report says why."""
    told = build(bench("eager"), GOOD.replace("LazyFrame", "DataFrame"))
    assert told["column_lineage"]["method"] == "sources"
    assert "not derived" in told["column_lineage"]["reason"]
    assert told["column_lineage"]["features"]["value"]["columns"] == [f"rows.{name}" for name in SOURCE.schema.names]


@pytest.mark.slow
def test_a_transform_that_collects_on_the_way_is_read_as_wide_as_it_reads(bench: Callable[[str], Bench]) -> None:
    """What is collected inside counts for every feature."""
    code = """
import polars as pl

def transform(rows):
    top = rows.select(pl.col("label").max()).collect()
    return rows.select("id", "at", "known", value=pl.col("amount") * pl.lit(int(top.height)))
"""
    told = build(bench("inside"), code)
    assert set(told["column_lineage"]["features"]["value"]["columns"]) == {"rows.amount", "rows.label"}


CLOCKS = (
    "from datetime import datetime as d\ndef f(): return d.now().year",
    "import datetime\ndef f(): return datetime.date.today().year",
    "import time\ndef f(): return int(time.time())",
    "import time\ndef f(): return int(time.strftime('%Y'))",
    "import time\ndef f(): return time.localtime().tm_year",
)


@pytest.mark.slow
@pytest.mark.parametrize("head", CLOCKS)
def test_a_transform_that_reads_the_clock_is_refused_with_its_line(bench: Callable[[str], Bench], head: str) -> None:
    """Whatever the clock's resolution: a year reads the same twice, and is refused all the same."""
    told = build(bench("clock"), f"{head}\ndef transform(rows):\n    import polars as pl\n"
                 '    return rows.select("id", "at", "known", value=pl.col("amount") + f())\n')  # fmt: skip
    assert told["code"] == "MUNI-F129"
    assert told["facts"]["where"] == "t.py:2"


@pytest.mark.slow
def test_a_moment_that_is_given_is_no_clock(bench: Callable[[str], Bench]) -> None:
    """Making a moment of numbers that stand in the transform reads no clock."""
    head = (
        "import time\nfrom datetime import datetime\ndef f(): return time.gmtime(0).tm_year + datetime(2020, 1, 1).year"
    )
    told = build(bench("given"), f"{head}\ndef transform(rows):\n    import polars as pl\n"
                 '    return rows.select("id", "at", "known", value=pl.col("amount") + f())\n')  # fmt: skip
    assert told.get("rows") == 4, told


@pytest.mark.slow
@pytest.mark.parametrize("word", ["year(now())", "year(current_date)", "year(today())", "year(age(known::timestamp))"])
def test_a_query_that_reads_the_clock_is_refused(bench: Callable[[str], Bench], word: str) -> None:
    """By the name of what it calls, before it runs."""
    told = build(bench("sqlclock"), f'select id, "at", known,\n {word}::bigint as value from rows')
    assert (told["code"], told["facts"]["where"]) == ("MUNI-F129", "t.sql:2")


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        'select id, "at", known, (random() * 1000000000)::bigint as value from rows',
        "import random\nimport polars as pl\ndef transform(rows):\n"
        '    return rows.select("id", "at", "known", value=pl.lit(random.getrandbits(40)))',
        "import polars as pl\ndef transform(rows):\n"
        '    return rows.select("id", "at", "known", value=pl.lit(int.from_bytes(__import__("os").urandom(5), "big")))',
    ],
)
def test_a_transform_by_chance_is_refused(bench: Callable[[str], Bench], code: str) -> None:
    """Two runs over the same sources must give the same content."""
    assert build(bench("chance"), code)["code"] == "MUNI-F128"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "expected", "where"),
    [
        (
            "def transform(rows):\n    import urllib.request\n    urllib.request.urlopen('http://127.0.0.1:9/')",
            "MUNI-F130",
            "t.py:3",
        ),
        ("def transform(rows):\n    return rows['nothing']", "MUNI-F131", "t.py:2"),
        ("import polars as pl\ndef transform(rows):\n    return rows.select('absent')", "MUNI-F131", "t.py:2"),
        ("def transform(rows:\n    pass", "MUNI-F131", "t.py:1"),
        ("def transform(rows):\n    return 5", "MUNI-F123", None),
        ("def other(rows):\n    return rows", "MUNI-F121", None),
        ("def transform(a, b):\n    return a", "MUNI-F122", None),
        ('select id, "at", known, absent as value from rows', "MUNI-F131", "t.sql"),
        ("select id frm rows", "MUNI-F133", None),
        ("select id, \"at\", known, 1::bigint as value from read_csv('/etc/passwd')", "MUNI-F131", "t.sql"),
    ],
)
def test_a_transform_that_fails_is_told_by_its_place(
    bench: Callable[[str], Bench], code: str, expected: str, where: str | None
) -> None:
    """The code says what kind of failure it is, the facts say which line of the user's own file."""
    told = build(bench("bad"), code)
    assert told["code"] == expected, told
    assert told["facts"].get("where") == where or where is None
    assert not (bench("bad").root / "output/data/manifest.json").exists()


@pytest.mark.slow
def test_a_failure_tells_no_value(bench: Callable[[str], Bench]) -> None:
    """What an exception says may hold data: it stays in the sealed log."""
    told = build(bench("secret"), "def transform(rows):\n    raise ValueError('IBAN DE00 1234')")
    assert told["code"] == "MUNI-F131"
    assert "IBAN" not in json.dumps(told)


@pytest.mark.slow
def test_a_feature_that_reads_the_target_is_found(bench: Callable[[str], Bench]) -> None:
    """By what it rests on, and by what it says, whatever it is called."""
    code = GOOD.replace('pl.col("amount").cum_sum().over("id")', 'pl.col("label")')
    told = build(bench("leak"), code, target="label")
    assert "reads_target" in [one["code"] for one in told["findings"]]
    named = build(bench("named"), code.replace("value=", "label="), target="label",
                  features=[{"name": "label", "type": "int64"}])  # fmt: skip
    assert "named_as_target" in [one["code"] for one in named["findings"]]


@pytest.mark.slow
def test_ten_thousand_columns(bench: Callable[[str], Bench]) -> None:
    """A source of 10,000 columns is no trouble, and the feature rests on the two that it needs."""
    wide = {
        **{name: SOURCE[name] for name in ("id", "at", "known", "amount")},
        **{f"c{n}": [n] * 4 for n in range(9_996)},
    }
    told = build(bench("wide"), GOOD, pa.table(wide))
    assert told["column_lineage"]["features"]["value"]["columns"] == ["rows.id", "rows.amount"]


def test_the_whole_join_as_a_job(bench: Callable[[str], Bench]) -> None:
    """Every request once, in order, with its target; views beside each other; a leak is told."""
    job = bench("join")
    view = document()
    rows, _ = conform(SOURCE.select(["id", "at", "known"]).append_column("value", SOURCE["amount"]), read_view(view))
    job.channel(
        "requests",
        dict(snapshot(pa.table({"id": [2, 9, 1, 1], "t": moments([4, 4, 4, None]), "y": [0, 1, 0, 1]}), "y")),
    )
    for number in range(2):
        job.channel(f"view_{number}", {"view.json": json.dumps(view).encode()})
        job.channel(f"rows_{number}", dict(snapshot(rows)))
    job.given(time="t", views={"0": [["value", "a"]], "1": [["value", "b"]]})
    status, _, errors = start(job.root, "-m", "muniment.programs.feature_join")
    assert status == 0, errors
    joined = read_snapshot(job.root / "output/data")
    assert joined["id"].to_pylist() == [2, 9, 1, 1]
    assert joined["a"].to_pylist() == joined["b"].to_pylist() == [13, None, 5, None]
    told = job.result("report.json")
    assert [one["answered"] for one in told["views"]] == [2, 2]
    assert json.loads((job.root / "output/data/manifest.json").read_bytes())["target"] == "y"


# --- online -------------------------------------------------------------------------------------------------------


def online(rows: pa.Table, view: View, at: int) -> dict[str, Any]:
    """What is published at a moment, by key."""
    return {key_text(one["key"]): one for one in lines(known_at(rows, view, EPOCH + timedelta(seconds=at)), view)}


@QUICK
@given(ROWS, st.integers(-1, 14))
def test_what_is_published_is_what_the_join_gives(rows: list[tuple[int, int, int]], at: int) -> None:
    """For every entity, at every moment, online and offline are one rule."""
    view = read_view(document())
    columns = {"id": pa.array([r[0] for r in rows], pa.int64()), "at": moments([r[1] for r in rows]),
               "known": moments([r[2] for r in rows]), "value": pa.array(range(len(rows)), pa.int64())}  # fmt: skip
    table, _ = conform(pa.table(columns), view)
    published = online(table, view, at)
    answers = naive([(key, at) for key in range(4)], rows, None)
    assert {key: published.get(f"[{key}]", {"values": [None]})["values"][0] for key in range(4)} == dict(
        enumerate(answers)
    )


def test_published_values_are_exact() -> None:
    """Integers beyond 2^53, decimals, moments and numbers that are none survive as JSON."""
    kinds = (("i", "int64"), ("d", "decimal(20,4)"), ("f", "float64"), ("m", "timestamp[us,UTC]"), ("s", "string"))
    view = read_view(document(knowledge_time=None, features=[{"name": n, "type": k} for n, k in kinds]))
    made = pa.table({
        "id": [1, 2], "at": moments([1, 1]), "i": [2**62 + 1, None],
        "d": pa.array([Decimal("1.1000"), None], pa.decimal128(20, 4)), "f": [0.1, float("nan")],
        "m": moments([1, None]),
        "s": ["\u2028'\"", None],
    })  # fmt: skip
    rows, _ = conform(made, view)
    published = online(rows, view, 5)
    again = json.loads(json.dumps(published["[1]"]["values"], allow_nan=False))
    assert again == [2**62 + 1, "1.1000", 0.1, "1970-01-01T00:00:01+00:00", "\u2028'\""]
    assert published["[2]"]["values"] == [None, None, "NaN", None, None]


def skewed(job: Bench, there: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
    """What the comparison of a small view with these online rows reports."""
    view = document(knowledge_time=None)
    rows, _ = conform(pa.table({"id": range(50), "at": moments([1] * 50), "value": range(50)}), read_view(view))
    job.channel("view", {"view.json": json.dumps(view).encode()})
    job.channel("rows", dict(snapshot(rows)))
    job.channel("online", {"source": "".join(json.dumps(one) + "\n" for one in there).encode() or b"\n"})
    job.given(as_of="1970-01-01T00:00:09Z", **given)
    status, _, errors = start(job.root, "-m", "muniment.programs.feature_skew")
    assert status == 0, errors
    return dict(job.result("report.json"))


def test_skew_is_counted(bench: Callable[[str], Bench]) -> None:
    """Equal, different in value, in type or in time, missing on either side: each is counted, and no value leaves."""
    rows = [{"key": [n], "event": 1_000_000, "known": 1_000_000, "values": [n]} for n in range(50)]
    clean = skewed(bench("clean"), rows)
    assert (clean["compared"], clean["equal"], clean["different"]) == (50, 50, 0)
    rows[3]["values"], rows[4]["values"], rows[5]["event"] = [99], [4.0], 2_000_000
    told = skewed(bench("skew"), [*rows[1:], {**rows[0], "key": [77]}])
    counted = {name: told[name] for name in ("compared", "equal", "different", "missing_online", "missing_offline")}
    assert counted == {"compared": 51, "equal": 46, "different": 3, "missing_online": 1, "missing_offline": 1}
    assert told["features"] == [{"name": "value", "different": 2}]
    assert told["different_times"] == 1
    assert skewed(bench("empty"), [])["missing_online"] == 50
    half = skewed(bench("half"), rows, share=0.5, seed=3)
    assert half["compared"] == sum(sampled(f"[{n}]", 3, 0.5) for n in range(50))


def test_drift_is_told_by_feature(bench: Callable[[str], Bench]) -> None:
    """A feature that moved has a PSI beyond the red line, one that stayed has hardly any, texts count by level."""
    job = bench("drift")
    kinds = (("moved", "float64"), ("stayed", "int64"), ("level", "string"), ("many", "string"))
    view = document(knowledge_time=None, features=[{"name": n, "type": k} for n, k in kinds])
    rng = np.random.default_rng(0)
    for channel, shift in (("reference", 0.0), ("rows", 2.0)):
        made = pa.table({
            "id": range(1000), "at": moments([1] * 1000), "moved": rng.normal(shift, 1, 1000),
            "stayed": pa.array(rng.integers(0, 9, 1000)), "level": rng.choice(["a", "b"], 1000),
            "many": [str(n) for n in range(1000)],
        })  # fmt: skip
        rows, _ = conform(made, read_view(view))
        job.channel(channel, dict(snapshot(rows)))
    job.channel("view", {"view.json": json.dumps(view).encode()})
    status, _, errors = start(job.root, "-m", "muniment.programs.feature_drift")
    assert status == 0, errors
    told = {one["name"]: one for one in job.result("report.json")["features"]}
    assert told["moved"]["psi"] > 0.25
    assert abs(told["stayed"]["psi"]) < 0.1
    assert told["level"]["psi"] < 0.1
    assert told["many"]["psi"] is None


# --- definitions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"format": "x"}, "MUNI-F106"),
        ({"entity": []}, "MUNI-F106"),
        ({"entity": ["at"]}, "MUNI-F104"),
        ({"features": []}, "MUNI-F105"),
        ({"features": [{"name": f"f{n}", "type": "int64"} for n in range(501)]}, "MUNI-F105"),
        ({"features": [{"name": "v", "type": "money"}]}, "MUNI-F103"),
        ({"features": [{"name": "v\n", "type": "int64"}]}, "MUNI-F106"),
        ({"sources": {}}, "MUNI-F106"),
        ({"sources": {"view": TREE}}, "MUNI-F106"),
        ({"ttl_s": 0}, "MUNI-F106"),
        ({"transform": {"language": "python", "entry": "../t.py", "function": "f", "source": TREE}}, "MUNI-F106"),
        ({"transform": {"language": "r", "entry": "t.R", "function": "f", "source": TREE}}, "MUNI-F106"),
        ({"transform": None}, "MUNI-F101"),
    ],
)
def test_a_definition_that_is_none_is_refused(given_: dict[str, Any], code: str) -> None:
    """Each refusal names the field."""
    with pytest.raises(Invalid) as refused:
        read_view(document(**given_))
    assert refused.value.code == code


def test_a_definition_survives_its_document() -> None:
    """What is read from a document has that document."""
    view = read_view(document(ttl_s=60))
    assert read_view(view.document()) == view
    with pytest.raises(Invalid, match="no feature"):
        view.chosen(["absent"])


def test_durations() -> None:
    """A whole number and a unit."""
    assert [duration_s(text) for text in ("90d", "12 h", "30m", "5s", "2w")] == [7776000, 43200, 1800, 5, 1209600]
    for wrong in ("", "1y", "-1d", "0d", "1.5h", "d"):
        with pytest.raises(Invalid):
            duration_s(wrong)


def test_a_view_without_rows_answers_with_nulls() -> None:
    """An empty table of features has its types, and gives nulls of them."""
    view = read_view(document())
    rows, _ = conform(SOURCE.slice(0, 0).rename_columns([*SOURCE.schema.names[:3], "value", "n", "l"]), view)
    columns, _ = features_at(pa.table({"id": [1], "t": moments([1])}), "t", rows, view, {"value": "v"})
    assert columns["v"].to_pylist() == [None]
    assert columns["v"].type == pa.int64()
