"""Laws of search: what is printed is read back, what is found is what the words mean, and no text becomes SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, text

from laws import examples
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.search import SqlSearchIndex
from muniment.adapters.sql.store import SqlStore
from muniment.errors import Invalid
from muniment.kernel.expressions import Comparator, Day, Number, Text
from muniment.search.kinds import KINDS
from muniment.search.language import (
    All,
    Any,
    Comparison,
    Condition,
    Key,
    Match,
    Matching,
    Membership,
    Moment,
    Negation,
    Now,
    Path,
    Presence,
    Query,
    Span,
    parse,
)
from muniment.search.ports import Scope
from searching import NOW, PROJECT, Ran, expected, put

_ODD = st.sampled_from(
    ["a", "A", "b%", "_x", "x'y", 'q"u', "back\\slash", "[a]", "*", "é", "a" * 63, "a" * 64, "a" * 70]
)
_NAMES = st.sampled_from(["auc", "val auc", "x'; drop table run;--", 'q"u"ote', "é"])
_NUMBERS = st.sampled_from([-1.0, 0.0, 0.5, 0.75, 1.0, 3.0, 5.0, 1e30])
_COMPARATORS = st.sampled_from([*Comparator])
_EQUALS = st.sampled_from([Comparator.EQUAL, Comparator.UNEQUAL])


def _number(value: float) -> Number:
    return Number(Decimal(repr(value)))


_NUMBER = st.builds(_number, _NUMBERS)
_TEXT = st.builds(Text, _ODD)
_MOMENTS = st.one_of(
    st.builds(Day, st.dates(date(2026, 11, 20), date(2026, 11, 24))),
    st.builds(Moment, st.integers(-250_000, 90_000).map(lambda seconds: NOW + timedelta(seconds=seconds))),
    st.builds(Now, st.integers(-200_000, 1000).map(Decimal)),
)
_PLAIN_TEXT = st.sampled_from(["status", "kind", "label", "experiment", "author"]).map(Path)
_LISTED = st.sampled_from(["name", "reference", "role", "kind"]).map(lambda name: Path("input", name))
_MEASURED = st.builds(Path, st.just("metric"), _NAMES)
_GIVEN = st.builds(Path, st.sampled_from(["param", "tag"]), _NAMES)
_COUNTED = st.one_of(_MEASURED, st.just(Path("seed")), st.just(Path("input", "version")))
_WORDED = st.one_of(_PLAIN_TEXT, _LISTED, _GIVEN)
_ANYWHERE = st.one_of(_COUNTED, _WORDED, st.sampled_from(["created", "ended", "duration"]).map(Path))
_TESTS = st.one_of(
    st.builds(Comparison, _COUNTED, _COMPARATORS, _NUMBER),
    st.builds(Comparison, _GIVEN, _COMPARATORS, _NUMBER),
    st.builds(Comparison, _WORDED, _EQUALS, _TEXT),
    st.builds(Comparison, st.sampled_from(["created", "ended"]).map(Path), _COMPARATORS, _MOMENTS),
    st.builds(
        Comparison, st.just(Path("duration")), _COMPARATORS, st.builds(Span, st.sampled_from([Decimal(0), Decimal(5)]))
    ),
    st.builds(Membership, _COUNTED, st.lists(_NUMBER, min_size=1, max_size=3).map(tuple)),
    st.builds(Membership, _GIVEN, st.lists(st.one_of(_NUMBER, _TEXT), min_size=1, max_size=3).map(tuple)),
    st.builds(Membership, _WORDED, st.lists(_TEXT, min_size=1, max_size=3).map(tuple)),
    st.builds(Match, _WORDED, st.sampled_from([*Matching]), _TEXT),
    st.builds(Presence, _ANYWHERE, st.booleans()),
)


def _flat(kind: type[All] | type[Any], parts: list[Condition]) -> Condition:
    """A node as the parser makes it: none of its own kind inside, and at least two parts."""
    inner = [one for part in parts for one in (part.parts if isinstance(part, kind) else (part,))]
    return kind(tuple(inner))


_CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    _TESTS,
    lambda inner: st.one_of(
        st.builds(Negation, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _flat(All, parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _flat(Any, parts)),
    ),
    max_leaves=6,
)
_QUERIES = st.builds(
    Query,
    st.just("run"),
    st.none() | _CONDITIONS,
    st.lists(st.builds(Key, _ANYWHERE, st.booleans()), max_size=3).map(tuple),
    st.none() | st.integers(1, 4),
    st.integers(0, 3),
)
_RUNS = st.lists(
    st.builds(
        Ran,
        number=st.just(0),
        kind=st.sampled_from(["train", "evaluate", "a"]),
        label=_ODD,
        experiment=st.none() | _ODD,
        author=st.sampled_from(["User:ana", "User:bob"]),
        age_s=st.integers(0, 250_000),
        status=st.sampled_from(["queued", "ok", "failed"]),
        seed=st.integers(0, 5),
        metrics=st.dictionaries(_NAMES, _NUMBERS, max_size=3),
        params=st.dictionaries(_NAMES, st.one_of(_NUMBERS, _ODD, st.booleans(), st.integers(0, 5)), max_size=3),
        tags=st.dictionaries(_NAMES, _ODD, max_size=2),
        inputs=st.lists(st.sampled_from(["credit", "a", "holdout"]), unique=True, max_size=2),
    ),
    max_size=7,
).map(lambda runs: [Ran(**{**run.__dict__, "number": at}) for at, run in enumerate(runs, 1)])
_SLOWLY = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@contextmanager
def _emptied(store: SqlStore) -> Iterator[Connection]:
    """A transaction that is undone."""
    with store.engine.connect() as db:
        if store.engine.dialect.name == "sqlite":
            db.exec_driver_sql("begin")
        yield db
        db.rollback()


@given(_QUERIES)
@_SLOWLY
def test_a_query_is_read_back_as_it_was_printed(query: Query) -> None:
    """Printing and parsing is the identity on trees, whatever stands in names and texts."""
    assert parse(str(query)) == query


@given(_RUNS, st.lists(_QUERIES, min_size=1, max_size=8))
@settings(_SLOWLY, max_examples=examples(60))
def test_what_is_found_is_what_the_words_mean(store: SqlStore, runs: list[Ran], queries: list[Query]) -> None:
    """On both engines a query finds, in order, what a naive evaluator over the same world finds, and counts it."""
    with _emptied(store) as db:
        put(db, runs)
        index, scope = SqlSearchIndex(db), Scope(projects=(PROJECT,), now=NOW)
        for query in queries:
            hits = index.find(query, scope, query.paths, limit=query.limit or 100, offset=query.offset)
            assert [hit.reference for hit in hits] == expected(query, runs), str(query)
            everything = Query("run", query.condition)
            assert index.count(query, scope) == len(expected(everything, runs)), str(query)


@given(
    st.text(max_size=60), st.sampled_from(["label = {}", "metric.{} > 1", "{}", "kind in ({}, {})", "tag.`{}` like {}"])
)
@example(written="count_1", around="metric.{} > 1")
@settings(_SLOWLY, max_examples=examples(300))
def test_no_text_becomes_sql(sqlite_store: SqlStore, written: str, around: str) -> None:
    """Whatever a person writes is refused with a place, or becomes a statement that holds none of it but as a value."""
    query = _read(f"run where {around.format(written, written)}")
    if query is None:
        return
    known, ordinary = _words_of_the_schema(), "\n".join(_statements(sqlite_store, parse(_ORDINARY)))
    for statement in _statements(sqlite_store, query):
        for value in _values(query):
            assert value in known or f"'{value}'" not in statement
            assert len(value) < 4 or value in known or value in ordinary or value not in statement


_ORDINARY = 'run where label = "q" and metric.q > 1 and kind in ("q", "r") and tag.q like "q"'
"""What stands in its statements too, such as ``count``, is the platform's own word."""


def _statements(store: SqlStore, query: Query) -> list[str]:
    """What the engine is sent for a query."""
    sent: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(store.engine, "before_cursor_execute", listen)
    with _emptied(store) as db:
        SqlSearchIndex(db).find(query, Scope(projects=(PROJECT,), now=NOW), query.paths, limit=5, offset=0)
    event.remove(store.engine, "before_cursor_execute", listen)
    return sent


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
@settings(_SLOWLY, max_examples=examples(500))
def test_whatever_is_asked_is_read_or_refused_with_its_place(written: str) -> None:
    """No text makes the parser fail in another way than by saying where."""
    for query in (written, f"run where {written}", f"run where metric.auc {written} order by {written}"):
        read = _read(query)
        assert read is None or parse(str(read)) == read


def test_names_that_look_like_sql_harm_nothing(store: SqlStore) -> None:
    """A metric, a parameter and a label that are SQL are found by what they are, and every table is still there."""
    evil = "x'; drop table run;--"
    with _emptied(store) as db:
        put(db, [Ran(number=1, label=evil, metrics={evil: 1.0}, params={evil: evil})])
        query = parse(f'run where metric."{evil}" = 1 and param."{evil}" = "{evil}" and label contains "drop table"')
        scope = Scope(projects=(PROJECT,), now=NOW)
        assert len(SqlSearchIndex(db).find(query, scope, query.paths, limit=5, offset=0)) == 1
        for name in METADATA.tables:
            db.execute(text(f'select 1 from "{name}" limit 1'))


def _values(query: Query) -> list[str]:
    """Everything in a query that a person chose freely."""
    found = [path.name for path in query.paths if path.name is not None]
    for test in query.condition.tests() if query.condition else ():
        if isinstance(test, Match):
            found.append(test.text.value)
        values = test.values if isinstance(test, Membership) else (getattr(test, "value", None),)
        found += [one.value for one in values if isinstance(one, Text)]
    return [one for one in found if one]


def _words_of_the_schema() -> set[str]:
    """Words that stand in every statement anyway."""
    heads = {part for kind in KINDS.values() for one in kind.fields for part in (one.head, one.name or "")}
    return heads | {column.name for table in METADATA.tables.values() for column in table.columns} | {*METADATA.tables}


def _read(written: str) -> Query | None:
    """The query, or None for one that is refused as it should be: by a code of search, with its column."""
    try:
        return parse(written)
    except Invalid as error:
        refused = error
    assert refused.code.startswith("MUNI-Q")
    assert refused.code == "MUNI-Q101" or 1 <= refused.facts["column"] <= len(written) + 1
    return None
