"""Fingerprints of rows: free of order, layout and type, bound to the key, and counted like a naive multiset."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Bench, snapshot
from muniment.analytics.rows import Counts, RowHasher, common, sort_fingerprints, tokens_of
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job
from muniment.programs.difference import difference
from muniment.programs.fingerprint import fingerprint
from muniment.programs.overlap import overlap

QUICK = settings(deadline=None, max_examples=150)
KEY, OTHER = bytes(range(32)), bytes(32)

values = st.one_of(
    st.none(), st.integers(-3, 3), st.sampled_from(["", "a", "A", "ä", "5", "5.0", " 5", "x y", "true", "2020-01-31"])
)
pairs = st.lists(st.tuples(values, values), max_size=30)


def hashed(content: bytes) -> bytes:
    """A hash of a text, as the tokens take one."""
    return hashlib.blake2b(content, digest_size=16).digest()


def token(value: Any, kind: pa.DataType | None = None) -> bytes:
    """The token of one value."""
    return tokens_of(pa.array([value], kind), hashed)[0].tobytes()


def table(rows: Sequence[tuple[Any, ...]], names: Sequence[str] = ("p", "q")) -> pa.Table:
    """Rows as a table whose columns are texts."""
    texts = [[None if row[at] is None else str(row[at]) for row in rows] for at in range(len(names))]
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, texts, strict=True)})


def prints(data: pa.Table, by: str = "names", columns: Sequence[str] | None = None, key: bytes = KEY) -> np.ndarray:
    """The fingerprints of a table, in order."""
    return RowHasher(key, by, columns or data.schema.names).fingerprints(data)


def told(data: pa.Table, **how: Any) -> list[tuple[int, int]]:
    """The fingerprints of a table as plain pairs."""
    return [(int(high), int(low)) for high, low in prints(data, **how)]


SAME = [
    [
        (5, pa.int8()),
        (5, pa.int64()),
        (5, pa.uint64()),
        (5.0, pa.float32()),
        (5.0, pa.float64()),
        (Decimal("5.00"), None),
        ("5", None),
        ("5.0", None),
        ("+5", None),
        ("005", None),
        (" 5\t", None),
        ("5e0", None),
        ("50E-1", None),
    ],
    [(-7, pa.int16()), (-7.0, pa.float64()), ("-7", None), (Decimal(-7), None), ("-7.000", None)],
    [
        (0, pa.int64()),
        (-0.0, pa.float64()),
        ("0", None),
        ("-0.0", None),
        ("0e99999", None),
        (False, None),
        ("false", None),
    ],
    [(True, None), (1, pa.int64()), ("TRUE", None), ("True", None), ("1", None), (1.0, pa.float32())],
    [
        (0.1, pa.float64()),
        (0.1, pa.float32()),
        (float(np.float32(0.1)), pa.float64()),
        ("0.1", None),
        (".1", None),
        (Decimal("0.10"), None),
        ("1e-1", None),
    ],
    [(1234.56, pa.float64()), ("1234.56", None), (Decimal("1234.56"), None), ("1.23456E+3", None)],
    [(2**63 - 1, pa.int64()), (2**63 - 1, pa.uint64()), (str(2**63 - 1), None), (Decimal(2**63 - 1), None)],
    [(2**64 - 1, pa.uint64()), (str(2**64 - 1), None), (Decimal(2**64 - 1), None)],
    [(2.0**70, pa.float64()), (str(2**70), None), (Decimal(2**70), None)],
    [(1e300, pa.float64()), ("1e300", None), ("1" + "0" * 300, None)],
    [
        (date(2020, 1, 31), None),
        (datetime.fromisoformat("2020-01-31"), pa.timestamp("s")),
        (datetime.fromisoformat("2020-01-31"), pa.timestamp("ns")),
        ("2020-01-31", None),
        ("2020-01-31 00:00:00", None),
        ("2020-01-31T00:00Z", None),
    ],
    [
        (datetime(2020, 1, 31, 11, 30, 0, 500000, tzinfo=UTC), pa.timestamp("us", "UTC")),
        (datetime(2020, 1, 31, 12, 30, 0, 500000, tzinfo=timezone(timedelta(hours=1))), pa.timestamp("ms", "UTC")),
        ("2020-01-31T12:30:00.5+01:00", None),
        ("2020-01-31 12:30:00.5+01", None),
        ("2020-01-31 12:30:00.5 +0100", None),
        ("2020-01-31 11:30:00.500", None),
    ],
    [(float("inf"), pa.float64()), (float("inf"), pa.float32()), ("inf", None), ("+Infinity", None), ("INF", None)],
    [(float("-inf"), pa.float64()), ("-inf", None), ("-Infinity", None)],
    [(date(1969, 12, 31), None), (datetime.fromisoformat("1969-12-31"), pa.timestamp("ms")), ("1969-12-31", None)],
    [("Zürich", None), ("Zu\u0308rich", None), ("Zürich ", None), ("\u00a0Zürich", None)],
    [(None, pa.string()), (None, pa.int64()), (float("nan"), pa.float64()), (float("nan"), pa.float32())],
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda one: str(one[0][0]))
def test_one_value_has_one_token_whatever_its_type(spellings: list[tuple[Any, Any]]) -> None:
    """The same value in every type and notation that the documentation names is one value."""
    assert len({token(value, kind) for value, kind in spellings}) == 1


def test_different_values_have_different_tokens() -> None:
    """No two of the classes meet, and neither do neighbours that a careless conversion would merge."""
    different = [group[0] for group in SAME] + [
        ("", None), ("a", None), ("A", None), ("nan", None), ("null", None), ("6", None), ("5.000000000000001", None),
        (2**53, pa.int64()), (2**53 + 1, pa.int64()), (2**63, pa.uint64()), ("in f", None),
        ("0.1000000000000000055", None), ("0.30000000000000004", None), (0.3, None),
        ("31.01.2020", None), ("2020-13-45", None), ("2020-02-31", None), ("1,5", None), ("1_000", None), ("0x5", None),
        ("1e-400", None), ("1e-401", None), (Decimal("12345678901234567890.12345"), None),
        (Decimal("12345678901234567890.12346"), None), ("5 5", None), ("0001-01-01T00:00+01:00", None),
    ]  # fmt: skip
    tokens = [token(value, kind) for value, kind in different]
    assert len(set(tokens)) == len(tokens)


@QUICK
@given(st.floats(allow_nan=False), st.sampled_from([pa.float32(), pa.float64()]))
def test_a_float_survives_every_text_that_writes_it_exactly(value: float, kind: pa.DataType) -> None:
    """Written by Python, polars or pyarrow and read back as text, a finite float is the same value."""
    array = pa.array([value], pa.float64()).cast(kind, safe=False)
    number = array[0].as_py()
    here = token(number, kind)
    assert token(number, pa.float64()) == here
    # Beyond these a text is shorter than the whole number that the float is.
    if abs(number) < (2**24 if kind == pa.float32() else 2**53):
        polars = pl.Series([number], dtype=pl.Float32 if kind == pa.float32() else pl.Float64)
        assert token(array.cast(pa.string())[0].as_py()) == token(str(polars.cast(pl.String)[0])) == here


@QUICK
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_a_decimal_is_what_its_digits_say(value: Decimal) -> None:
    """A decimal, its text, and the double that writes it are one value; trailing zeros say nothing."""
    assert token(value, pa.decimal128(38, 4)) == token(str(value)) == token(f"{value:.9f}")
    if len(value.normalize().as_tuple().digits) <= 15:
        assert token(float(value), pa.float64()) == token(value, pa.decimal128(38, 4))


@QUICK
@given(st.lists(st.one_of(values, st.floats(width=32), st.dates().map(str)), max_size=40), st.integers(1, 7))
def test_cuts_dictionaries_and_slices_leave_no_trace(drawn: list[Any], size: int) -> None:
    """The tokens of a column are the same in one chunk, in many, as a dictionary and as a slice of something longer."""
    texts = [None if value is None else str(value) for value in drawn]
    whole = pa.array(texts, pa.string())
    wanted = tokens_of(whole, hashed)
    chunks = pa.chunked_array([whole[at : at + size] for at in range(0, len(whole), size)], pa.string())
    sliced = pa.array(["before", *texts, "after"], pa.string())[1:-1]
    for other in (chunks, whole.dictionary_encode(), whole.cast(pa.large_string()), sliced):
        assert np.array_equal(tokens_of(other, hashed), wanted)


@QUICK
@given(pairs, st.randoms())
def test_order_of_rows_and_columns_says_nothing(rows: list[tuple[Any, Any]], chance: Any) -> None:
    """Shuffled rows and swapped columns give the same fingerprints, as a multiset."""
    data, shuffled = table(rows), list(rows)
    chance.shuffle(shuffled)
    other = table(shuffled).select(["q", "p"])
    assert Counter(told(data)) == Counter(told(other))
    assert np.array_equal(sort_fingerprints(prints(data)), sort_fingerprints(prints(other)))


@QUICK
@given(st.tuples(values, values), st.tuples(values, values))
def test_fingerprints_are_equal_just_when_the_rows_are(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """Two rows have one fingerprint when their values are the same, column by column, and else two."""
    same = all(token(a if a is None else str(a), pa.string()) == token(b if b is None else str(b), pa.string())
               for a, b in zip(one, other, strict=True))  # fmt: skip
    assert (told(table([one])) == told(table([other]))) is same


def test_views_differ_in_what_they_ignore() -> None:
    """By names a swap of columns is another row; by values it is not, nor is another name; keys ignore names only."""
    data, swapped = table([("a", "b")]), table([("b", "a")])
    renamed = table([("a", "b")], ("x", "y"))
    assert told(data) != told(swapped)
    assert told(data) != told(renamed)
    assert told(data, by="values") == told(swapped, by="values") == told(renamed, by="values")
    assert told(data, by="keys") == told(renamed, by="keys") != told(swapped, by="keys")
    assert len({tuple(told(data, by=by)) for by in ("names", "values", "keys")}) == 3
    assert told(table([("a", "a")]), by="values") != told(table([("a", "b")]), by="values")


def test_columns_cannot_be_shifted_into_each_other() -> None:
    """What one value ends with is never taken for what the next begins with."""
    rows = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), (None, "abc"), ("abc", None)]
    assert len(set(told(table(rows)))) == len(rows)


def test_without_the_key_nothing_is_known() -> None:
    """Another key gives unrelated fingerprints, also of texts and of rows without any text."""
    rows = table([("a", "b"), (1, 2), (None, None)])
    assert not set(told(rows)) & set(told(rows, key=OTHER))


def test_a_row_without_any_key_is_left_out() -> None:
    """Rows whose keys are all missing name nobody; one key that is there is enough."""
    rows = table([("a", None), (None, None), (None, "b")])
    assert told(rows, by="keys") == [told(rows.slice(0, 1), by="keys")[0], told(rows.slice(2, 1), by="keys")[0]]


def naive(a: Sequence[Any], b: Sequence[Any]) -> Counts:
    """The counts by Python's own multiset."""
    here, there = Counter(a), Counter(b)
    both = here.keys() & there.keys()
    return Counts(
        rows_a=len(a),
        rows_b=len(b),
        distinct_a=len(here),
        distinct_b=len(there),
        shared=(here & there).total(),
        distinct_shared=len(both),
        a_in_b=sum(here[row] for row in both),
        b_in_a=sum(there[row] for row in both),
        once_a=sum(times == 1 for times in here.values()),
        once_a_in_b=sum(here[row] == 1 for row in both),
    )


halves = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=60)


@QUICK
@given(halves, halves, st.integers(1, 9))
def test_counts_are_those_of_a_naive_multiset(a: list[Any], b: list[Any], block: int) -> None:
    """Merged in blocks of any size, also where halves of fingerprints collide, the counts are Python's own."""
    lists = [sort_fingerprints(np.array(one, np.uint64).reshape(-1, 2)) for one in (a, b)]
    assert common(lists[0], lists[1], block) == naive(a, b)


@QUICK
@given(halves, halves)
def test_laws_of_multisets(a: list[Any], b: list[Any]) -> None:
    """Sharing is symmetric, a list shares all with itself, and what is shared is no more than either has."""
    one, other = (sort_fingerprints(np.array(rows, np.uint64).reshape(-1, 2)) for rows in (a, b))
    there, back = common(one, other), common(other, one)
    assert (there.shared, there.a_in_b, there.b_in_a) == (back.shared, back.b_in_a, back.a_in_b)
    assert common(one, one).shared == common(one, one).a_in_b == len(a)
    assert there.distinct_shared <= there.shared <= min(there.a_in_b, there.b_in_a)
    assert common(one, one[:0]) == naive(a, [])


def job(bench: Callable[[str], Bench], name: str, tables: dict[str, pa.Table], **given: Any) -> Bench:
    """A job with snapshots as inputs and the project's key."""
    desk = bench(name)
    for channel, data in tables.items():
        desk.channel(channel, snapshot(data))
    desk.given(**given)
    keys = desk.root / "input/config/keys"
    keys.mkdir(parents=True, exist_ok=True)
    (keys / "rows").write_bytes(KEY)
    return desk


def made(bench: Callable[[str], Bench], name: str, data: pa.Table, **view: Any) -> Path:
    """The folder of the fingerprints that the program makes of a table."""
    desk = job(bench, name, {"data": data}, views={"00": {"by": "names", **view}})
    fingerprint(Job(desk.root))
    return desk.root / "output/data/0"


def counted(bench: Callable[[str], Bench], a: Path, b: Path) -> dict[str, Any]:
    """What the program counts."""
    desk = bench("overlap")
    for channel, folder in (("a", a), ("b", b)):
        desk.channel(channel, {path.name: path for path in folder.iterdir()})
    desk.given(pairs={"rows": {"a": "a", "b": "b"}}, question={"why": "test"})
    overlap(Job(desk.root))
    report: dict[str, Any] = desk.result("report.json")
    assert report["question"] == {"why": "test"}
    found: dict[str, Any] = report["pairs"]["rows"]
    return found


@QUICK
@given(rows_a=pairs, rows_b=pairs)
def test_the_programs_count_what_python_counts(rows_a: list[Any], rows_b: list[Any]) -> None:
    """From snapshots through files to a report, the counts are those of a multiset of canonical rows."""

    def plain(rows: list[Any]) -> list[tuple[bytes, ...]]:
        return [tuple(token(None if v is None else str(v), pa.string()) for v in row) for row in rows]

    found = [sort_fingerprints(prints(table(rows))) for rows in (rows_a, rows_b)]
    assert common(*found) == naive(plain(rows_a), plain(rows_b))


def test_a_snapshot_becomes_fingerprints_and_two_become_counts(bench: Callable[[str], Bench]) -> None:
    """Several views in one pass; files are sorted and named by digest; columns that differ are left out by the view."""
    data = pa.table({"id": [1, 2, 3, 3], "x": [0.5, None, 2.0, 2.0], "t": ["a", "b", "c", "c"]})
    views = {"00": {"by": "names"}, "01": {"by": "names", "except": ["id"]}, "02": {"by": "keys", "columns": ["id"]}}
    desk = job(bench, "views", {"data": data}, views=views)
    fingerprint(Job(desk.root))
    for number, distinct in enumerate((3, 3, 3)):
        about = desk.result(f"{number}/manifest.json")
        found = np.fromfile(desk.root / f"output/data/{number}/rows.fp", ">u8").reshape(-1, 2)
        assert (about["rows"], about["distinct"], about["once"]) == (4, distinct, 2)
        assert np.array_equal(sort_fingerprints(found.astype(np.uint64)), found)
    other = pa.table({"t": ["c", "b", "z"], "id": pa.array(["3", "2", "9"]), "x": pa.array([2, None, 4], pa.float32())})
    found = counted(bench, desk.root / "output/data/0", made(bench, "other", other))
    assert (found["shared"], found["a_in_b"], found["b_in_a"], found["once_a_in_b"]) == (2, 3, 2, 1)


def test_empty_and_very_wide_tables(bench: Callable[[str], Bench]) -> None:
    """No rows share nothing; ten thousand columns are hashed in small pieces and found again."""
    empty = table([])
    assert counted(bench, made(bench, "none", empty), made(bench, "none2", empty))["shared"] == 0
    wide = pa.table({f"c{at}": [at, at + 1, None] for at in range(10_000)})
    backwards = wide.select(wide.schema.names[::-1]).take([2, 0])
    found = counted(bench, made(bench, "wide", wide), made(bench, "wide2", backwards))
    assert (found["shared"], found["columns"]) == (2, 10_000)


def test_what_does_not_fit_is_refused(bench: Callable[[str], Bench]) -> None:
    """Unknown columns, a view that is none, a missing key, other views and changed files are refused, not counted."""
    data = table([("a", "b")])
    for view in ({"by": "keys", "columns": ["nope"]}, {"by": "keys"}, {"by": "magic"}):
        with pytest.raises(Invalid) as refused:
            made(bench, f"bad{sorted(view.items())}"[:40].replace("/", ""), data, **view)
        assert refused.value.code == "MUNI-O111"
    desk = bench("keyless")
    desk.channel("data", snapshot(data))
    desk.given(views={"00": {"by": "names"}})
    with pytest.raises(Invalid) as keyless:
        fingerprint(Job(desk.root))
    assert keyless.value.code == "MUNI-O114"
    good, keyed = made(bench, "good", data), made(bench, "keyed", data, by="keys", columns=["p"])
    with pytest.raises(Invalid) as mixed:
        counted(bench, good, keyed)
    assert mixed.value.code == "MUNI-O112"
    (good / "rows.fp").write_bytes(bytes(16))
    with pytest.raises(IntegrityError) as changed:
        counted(bench, good, good)
    assert changed.value.code == "MUNI-D539"


def differs(bench: Callable[[str], Bench], a: pa.Table, b: pa.Table, **given: Any) -> dict[str, Any]:
    """The report of a difference."""
    desk = job(bench, "difference", {"a": a, "b": b}, **given)
    difference(Job(desk.root))
    report: dict[str, Any] = desk.result("report.json")
    return report


def test_a_difference_tells_schema_counts_rows_and_distributions(bench: Callable[[str], Bench]) -> None:
    """Columns come, go and change type; rows are added, removed and changed; the column that moved shows."""
    a = pa.table({"id": range(100), "x": [float(at % 10) for at in range(100)], "old": ["v"] * 100})
    b = pa.table(
        {
            "x": pa.array([float(at % 10) + (50 if at < 40 else 0) for at in range(5, 105)], pa.float32()),
            "id": [str(at) for at in range(5, 105)],
            "new": pa.array([None] * 100, pa.string()),
        }
    )
    report = differs(bench, a, b, keys=["id"])
    assert report["schema"]["added"] == [{"name": "new", "type": "string"}]
    assert report["schema"]["removed"] == [{"name": "old", "type": "string"}]
    assert [one["name"] for one in report["schema"]["retyped"]] == ["id", "x"]
    assert report["schema"]["reordered"] is True
    assert report["rows"] | {"duplicates_a": 0, "duplicates_b": 0} == report["rows"]
    assert {name: report["rows"][name] for name in ("added", "removed", "changed", "unchanged")} == {
        "added": 5, "removed": 5, "changed": 35, "unchanged": 60
    }  # fmt: skip
    columns = {one["name"]: one for one in report["columns"]}
    assert columns["x"]["changed"] == 35
    assert columns["x"]["psi"] > 0.25
    assert (columns["x"]["mean_a"], columns["x"]["quantiles_a"]["0.5"]) == (4.5, 4.0)
    without = differs(bench, a.select(["id", "x"]), b.select(["id", "x"]))
    assert {name: without["rows"][name] for name in ("added", "removed", "unchanged")} == {
        "added": 40, "removed": 40, "unchanged": 60
    }  # fmt: skip
    assert "changed" not in without["rows"]


def test_a_snapshot_differs_from_itself_in_nothing(bench: Callable[[str], Bench]) -> None:
    """Equal content is said to be equal; nothing was added, nothing moved; empty tables do not break it."""
    data = pa.table({"id": [1, 2, 2], "x": ["a", None, None]})
    report = differs(bench, data, data)
    assert report["content_equal"] is True
    assert (report["rows"]["added"], report["rows"]["removed"], report["rows"]["duplicates_a"]) == (0, 0, 1)
    assert [one["psi"] for one in report["columns"]] == [0.0, 0.0]
    empty = differs(bench, data.slice(0, 0), data)
    assert (empty["rows"]["added"], empty["columns"][0]["psi"]) == (3, None)


def test_keys_that_name_several_rows_are_refused(bench: Callable[[str], Bench]) -> None:
    """With a key that repeats nobody could say which row changed into which."""
    data = pa.table({"id": [1, 2, 2], "x": ["a", "b", "c"]})
    with pytest.raises(Invalid) as refused:
        differs(bench, data, data, keys=["id"])
    assert (refused.value.code, refused.value.facts["repeated_rows"]) == ("MUNI-O129", 1)


@pytest.mark.parametrize("written", ["csv", "json", "parquet"])
def test_a_copy_in_any_file_is_the_same_rows(written: str, tmp_path: Path) -> None:
    """Shuffled, turned around and written by polars, a table that comes back in other types shares every row."""
    chance = np.random.default_rng(7)
    data = pl.DataFrame(
        {
            "id": range(500),
            "amount": np.round(chance.normal(0, 1000, 500), 2),
            "rate": chance.normal(0, 1, 500).astype(np.float32),
            "day": [date(2020, 1, 1) + timedelta(days=int(at)) for at in chance.integers(0, 900, 500)],
            "name": [f"Kunde {at % 50}" if at % 7 else None for at in range(500)],
            "good": chance.integers(0, 2, 500).astype(bool),
        }
    )
    copy = data.sample(fraction=1, shuffle=True, seed=1).select(reversed(data.columns))
    path = tmp_path / f"copy.{written}"
    if written == "csv":
        copy.write_csv(path)
        back = pl.read_csv(path).to_arrow()
    elif written == "json":
        copy.write_ndjson(path)
        back = pl.read_ndjson(path).to_arrow()
    else:
        copy.with_columns(pl.col("id").cast(pl.Float64), pl.col("amount").cast(pl.Decimal(12, 2))).write_parquet(path)
        back = pl.read_parquet(path).to_arrow()
    here = sort_fingerprints(prints(data.to_arrow()))
    assert common(here, sort_fingerprints(prints(back))).shared == 500


CHEATS: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "shuffled and turned around": (
        lambda d: d.sample(fraction=1, shuffle=True, seed=1).select(reversed(d.columns)), "names"
    ),
    "every column as text": (lambda d: d.select(pl.all().cast(pl.String)), "names"),
    "white space around": (lambda d: d.select(pl.all().cast(pl.String) + "  "), "names"),
    "rows twice": (lambda d: pl.concat([d, d]), "names"),
    "columns renamed": (lambda d: d.rename({name: f"f{at}" for at, name in enumerate(d.columns)}), "values"),
    "columns swapped under their names": (lambda d: d.rename({"amount": "age", "age": "amount"}), "values"),
    "a column left out": (lambda d: d.drop("score"), "fewer"),
    "a column more": (lambda d: d.with_columns(row=pl.int_range(pl.len())), "fewer"),
    "rounded": (lambda d: d.with_columns(pl.col("score").round(2)), "keys"),
    "noise on a column": (lambda d: d.with_columns(pl.col("amount") + 0.01), "keys"),
    "rounded and renamed": (
        lambda d: d.with_columns(pl.col("score").round(2)).rename({"id": "nr"}), "renamed keys"
    ),
    "another notation of the key": (
        lambda d: d.with_columns(pl.col("score").round(2), pl.format("ID-{}", "id").alias("id")), "nothing"
    ),
}  # fmt: skip


@pytest.mark.parametrize("cheat", CHEATS)
def test_which_cheats_are_caught_by_what(cheat: str) -> None:
    """The table of the documentation, worked out: what finds the rows, and what does not find them."""
    change, caught = CHEATS[cheat]
    chance = np.random.default_rng(3)
    data = pl.DataFrame(
        {"id": range(200), "amount": chance.integers(0, 10**6, 200) / 100}
        | {"age": chance.integers(18, 90, 200), "score": chance.normal(0, 1, 200)}
    )
    here, there = data.to_arrow(), change(data).to_arrow()
    shared = [name for name in here.schema.names if name in there.schema.names]

    def found(by: str, a: Sequence[str], b: Sequence[str]) -> int:
        return common(*(sort_fingerprints(prints(t, by, c)) for t, c in ((here, a), (there, b)))).a_in_b

    same = here.num_columns == there.num_columns
    ways = {
        "names": found("names", shared, shared) if set(shared) == set(here.schema.names) and same else 0,
        "values": found("values", here.schema.names, there.schema.names) if same else 0,
        "fewer": found("names", shared, shared) if shared else 0,
        "keys": found("keys", ["id"], ["id"]) if "id" in shared else 0,
        "renamed keys": found("keys", ["id"], ["nr"]) if "nr" in there.schema.names else 0,
    }
    order = list(ways)
    first = order.index(caught) if caught in ways else len(order)
    assert [ways[way] for way in order[:first]] == [0] * first
    assert caught == "nothing" or ways[caught] == 200


def test_the_layout_is_fixed_for_ever() -> None:
    """Fingerprints are kept and met again years later: worked out again from the published layout, byte by byte."""
    data = pa.table({"b": pa.array(["x", None]), "a": pa.array([1.5, 2.0]), "d": pa.array([date(2020, 1, 31)] * 2)})
    text = hashlib.blake2b(b"x", digest_size=16, key=KEY, person=b"muniment.text/1").digest()
    a, b = b"\2" + np.float64(1.5).tobytes() + bytes(8), b"\5" + text
    d = b"\4" + (18292).to_bytes(8, "little") + bytes(8)
    assert b"".join(sorted([a, b, d])) == a + d + b
    for by, columns, row in (
        ("names", '["a","b","d"]', a + b + d),
        ("values", "3", a + d + b),
        ("keys", "3", b + a + d),
    ):
        header = f'{{"by":"{by}","columns":{columns},"format":"muniment.rows/1"}}'.encode()
        wanted = hashlib.blake2b(header + row, digest_size=16, key=KEY, person=b"muniment.row/1").hexdigest()
        assert next(f"{high:016x}{low:016x}" for high, low in prints(data, by)) == wanted
    assert [f"{high:016x}{low:016x}" for high, low in prints(data)] == [
        "b35ced907109fa20faeb8ca3ce7ff3bc",
        "6d9aaf4fae306158fd85f8e1727a04d5",
    ]
