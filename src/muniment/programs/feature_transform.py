"""Runs the transform of a feature view, watches what it asks for, and finds out which columns each feature rests on.

A transform is a function of the pinned sources and of nothing else. The walls of the sandbox keep everything else away
but two things: the clock and chance. So it runs twice, and both runs must give the same content; while it runs the
first time, a read of the wall clock from its own code is caught with its line. The network does not exist; asking for
it is refused in plain words.

Columns: a Python transform gets lazy frames whose scan is ours. The engine optimises the plan of each feature and asks
the scan for the columns it still needs, and for no other: that list is the answer, filters, groups and join keys
included. For SQL the same list stands in the scans of DuckDB's plan. A transform that takes data frames, or collects
on the way, is read as far as it can be, and the answer then is wider, never narrower. The list is checked: with every
other column blanked the feature must come out the same.
"""

from __future__ import annotations

import dis
import importlib.util
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from muniment.errors import Invalid, MunimentError
from muniment.programs.contract import visible
from muniment.programs.feature_view import View

__all__ = ["PythonTransform", "Reads", "SqlTransform", "Transforming"]

Reads = dict[str, dict[str, list[str]]]
"""Feature -> source -> columns."""

_WALL_CLOCK: Final = frozenset({time.time, time.time_ns, time.clock_gettime, time.clock_gettime_ns})
_NOW: Final = frozenset({"now", "utcnow", "today"})
_WITHOUT_MOMENT: Final = {time.localtime: 0, time.gmtime: 0, time.ctime: 0, time.asctime: 0, time.strftime: 1}
"""Functions that take the present moment when they are given no more arguments than this."""

_CALLS: Final = frozenset({"PRECALL", "CALL"})
_NETWORK: Final = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind")
_CLOCK_WORDS: Final = frozenset(
    {
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
        "current_localtime",
        "current_localtimestamp",
        "get_current_time",
        "get_current_timestamp",
        "now",
        "today",
        "transaction_timestamp",
    }
)
_TELLING: Final = ("ColumnNotFoundError", "SchemaError", "DuplicateError", "BinderException", "CatalogException")
"""Errors whose text speaks of columns and types, never of values."""


class Transforming:
    """What both kinds of transform have in common."""

    method: str
    """How the columns are found: ``projection``, ``plan``, or ``sources`` where only the bound is known."""

    def __call__(self, sources: Mapping[str, pa.Table], *, watched: bool = False) -> pa.Table:
        """The rows that the transform makes of the sources.

        Args:
            sources: the rows of each source by its name.
            watched: whether to look out for the clock; it slows Python code down.

        Raises:
            Invalid: it failed, gave something that is no table, or asked for what it must not have.
        """
        raise NotImplementedError

    def reads(self, schemas: Mapping[str, pa.Schema], features: tuple[str, ...]) -> Reads:
        """The columns that each feature rests on: as few as the engine needs, and none too few."""
        raise NotImplementedError


class PythonTransform(Transforming):
    """A plain function over polars frames."""

    def __init__(self, view: View, tree: Path) -> None:
        """Load the function.

        Raises:
            Invalid: the file or the function is missing, cannot be loaded, or takes other arguments than the sources.
        """
        self._view, self._tree = view, tree
        self.method = "projection"
        path = tree / view.transform.entry
        if not path.is_file():
            raise _missing(view.transform.entry)
        with _guarded(self._tree, view.transform.entry, watched=False):
            spec = importlib.util.spec_from_file_location("feature_transform_of_the_view", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.path.insert(0, str(path.parent))
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        function = getattr(module, view.transform.function, None)
        if not callable(function):
            raise Invalid(
                "MUNI-F121",
                f"{view.transform.entry} has no function {view.transform.function}",
                file=view.transform.entry,
                function=view.transform.function,
                functions=sorted(name for name, one in vars(module).items() if inspect.isfunction(one))[:20],
                do="name the function that takes the sources and gives the features",
            )
        self._function: Callable[..., Any] = function
        self._eager = self._wants()

    def _wants(self) -> dict[str, tuple[str, bool]]:
        """Parameter by source, and whether it asks for a data frame instead of a lazy one."""
        names = list(self._view.sources)
        taken = [
            one
            for one in inspect.signature(self._function).parameters.values()
            if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        ]
        needed = [one for one in taken if one.default is one.empty]
        by_name = {one.name: one for one in taken}
        if len(names) == 1 and len(needed) == 1 and names[0] not in by_name:
            by_name = {names[0]: needed[0]}
        if set(names) - set(by_name) or {one.name for one in needed} - {by_name[name].name for name in names}:
            raise Invalid(
                "MUNI-F122",
                f"{self._view.transform.function} does not take the sources of the view",
                sources=names,
                parameters=[one.name for one in taken],
                do="give it one parameter for each source, by the source's name",
            )
        return {name: (by_name[name].name, _is_eager(by_name[name].annotation)) for name in names}

    def __call__(self, sources: Mapping[str, pa.Table], *, watched: bool = False) -> pa.Table:
        """The rows that the function makes of the sources."""
        frames = {name: pl.from_arrow(table) for name, table in sources.items()}
        with _guarded(self._tree, self._view.transform.entry, watched=watched, function=self._function):
            made = self._call({name: frame.lazy() for name, frame in frames.items()})
            return _frame(made, self._view).to_arrow()

    def reads(self, schemas: Mapping[str, pa.Schema], features: tuple[str, ...]) -> Reads:
        """The columns that the optimised plan of each feature asks the sources for."""
        if any(eager for _, eager in self._eager.values()):
            self.method = "sources"
            return {feature: {name: list(schema.names) for name, schema in schemas.items()} for feature in features}
        asked: dict[str, set[str]] = {name: set() for name in schemas}
        empty = {name: pl.from_arrow(schema.empty_table()) for name, schema in schemas.items()}
        found: Reads = {}
        for feature in features:
            for columns in asked.values():
                columns.clear()
            with _guarded(self._tree, self._view.transform.entry, watched=False, function=self._function):
                spies = {name: _spied(frame, asked[name]) for name, frame in empty.items()}
                made = self._call(spies)
                if isinstance(made, pl.LazyFrame):
                    made.select(feature).collect()
            found[feature] = {
                name: [column for column in schemas[name].names if column in asked[name]] for name in schemas
            }
        return found

    def _call(self, frames: Mapping[str, pl.LazyFrame]) -> Any:
        given = {}
        for source, (parameter, eager) in self._eager.items():
            given[parameter] = frames[source].collect() if eager else frames[source]
        if len(given) == 1:
            return self._function(*given.values())
        return self._function(**given)


class SqlTransform(Transforming):
    """One query in DuckDB's dialect; each source is a table of its name."""

    def __init__(self, view: View, tree: Path) -> None:
        """Read and check the query.

        Raises:
            Invalid: the file is missing, holds no single query, or calls what depends on the moment or on chance.
        """
        self._view = view
        self.method = "plan"
        path = tree / view.transform.entry
        if not path.is_file():
            raise _missing(view.transform.entry)
        self._query = path.read_text(encoding="utf-8").strip().rstrip(";")
        self._refuse_changeable()

    def __call__(self, sources: Mapping[str, pa.Table], *, watched: bool = False) -> pa.Table:
        """The rows that the query makes of the sources."""
        with _asking(self._view.transform.entry), _database(sources) as database:
            return database.execute(self._query).to_arrow_table()

    def reads(self, schemas: Mapping[str, pa.Schema], features: tuple[str, ...]) -> Reads:
        """The columns that the scans in the plan of each feature still hold."""
        empty = {name: schema.empty_table() for name, schema in schemas.items()}
        found: Reads = {}
        with _asking(self._view.transform.entry), _database(empty) as database:
            # What a scan filters by leaves its list of columns, and an empty table would leave the plan: not here.
            database.execute(
                "set disabled_optimizers = "
                "'filter_pushdown,statistics_propagation,empty_result_pullup,expression_rewriter'"
            )
            for feature in features:
                wanted = '"' + feature.replace('"', '""') + '"'
                plan = database.execute(f"explain (format json) select {wanted} from ({self._query})").fetchall()  # noqa: S608
                columns: dict[str, set[str]] = {name: set() for name in schemas}
                for node in json.loads(plan[0][1]):
                    _scans(node, columns)
                found[feature] = {name: [c for c in schemas[name].names if c in columns[name]] for name in schemas}
        return found

    def _refuse_changeable(self) -> None:
        with duckdb.connect(config={"threads": "1"}) as database:
            written = json.loads(database.execute("select json_serialize_sql(?)", [self._query]).fetchall()[0][0])
            if written.get("error") or len(written.get("statements", [])) != 1:
                raise Invalid(
                    "MUNI-F133",
                    f"{self._view.transform.entry} is not one SELECT statement",
                    file=self._view.transform.entry,
                    reason=visible(str(written.get("error_message", "several statements")), 300),
                    line=_line(self._query, written.get("position")),
                    do="write one query in DuckDB's dialect",
                )
            volatile = {
                str(name)
                for (name,) in database.execute(
                    "select distinct function_name from duckdb_functions() where stability = 'VOLATILE' "
                    "or (stability <> 'CONSISTENT' and len(parameters) = 0)"
                ).fetchall()
            }
        for name, position in _called(written["statements"]):
            where = f"{self._view.transform.entry}:{_line(self._query, position)}"
            if name in _CLOCK_WORDS:
                raise clock_read(name, where)
            if name in volatile:
                raise by_chance(where, call=name)


def clock_read(call: str, where: str) -> Invalid:
    """The refusal of a transform that reads the wall clock."""
    return Invalid(
        "MUNI-F129",
        "the transform reads the clock, so the same sources would give other features tomorrow",
        call=call,
        where=where,
        do="take the moment from a column of a source",
    )


def by_chance(where: str, **facts: Any) -> Invalid:
    """The refusal of a transform whose result is not settled by its sources."""
    return Invalid(
        "MUNI-F128",
        "the transform does not give the same features each time it runs",
        where=where,
        **facts,
        do="seed what is random, sort what has no order, and read nothing but the sources",
    )


def _missing(entry: str) -> Invalid:
    return Invalid("MUNI-F120", f"the source tree does not hold {entry[:80]}", file=entry[:200], do="define it again")


def _frame(made: Any, view: View) -> pl.DataFrame:
    """The data frame that a transform gave, collected where it was lazy."""
    if isinstance(made, pl.LazyFrame):
        made = made.collect()
    if isinstance(made, pl.DataFrame):
        return made
    raise Invalid(
        "MUNI-F123",
        f"{view.transform.function} gives a {type(made).__name__[:40]}, not a polars frame",
        function=view.transform.function,
        found=type(made).__name__[:80],
        do="return a polars LazyFrame or DataFrame",
    )


def _is_eager(annotation: Any) -> bool:
    return annotation is pl.DataFrame or (isinstance(annotation, str) and annotation.rpartition(".")[2] == "DataFrame")


def _spied(frame: Any, asked: set[str]) -> pl.LazyFrame:
    """A lazy frame that writes down which columns are asked of it."""

    def scan(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        rows = frame if with_columns is None else frame.select(with_columns)
        asked.update(rows.columns)
        if predicate is not None:
            asked.update(predicate.meta.root_names())
            rows = frame.filter(predicate).select(rows.columns)
        yield rows

    return register_io_source(scan, schema=frame.schema)


@contextmanager
def _database(sources: Mapping[str, pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that holds the sources and can reach nothing else."""
    with duckdb.connect(config={"threads": "1", "autoinstall_known_extensions": "false"}) as database:
        with suppress(duckdb.Error):  # without its time zones DuckDB knows UTC alone, which is what is wanted
            database.execute("set TimeZone = 'UTC'")
        for name, table in sources.items():
            database.register("muniment_source", table)
            database.execute(f'create table "{name}" as select * from muniment_source')  # noqa: S608
            database.unregister("muniment_source")
        database.execute("set enable_external_access = false")
        database.execute("set lock_configuration = false")
        yield database


@contextmanager
def _asking(entry: str) -> Iterator[None]:
    """Turn what DuckDB says into a refusal that names the file."""
    try:
        yield
    except duckdb.Error as broken:
        raise _failed(broken, f"{entry}", entry) from broken


_armed: list[tuple[str, list[str]]] = []
"""The tree whose requests for the network are caught just now, and what was caught."""


def _listen(event: str, _: tuple[Any, ...]) -> None:
    if event in _NETWORK and _armed:
        tree, caught = _armed[-1]
        frame: FrameType | None = sys._getframe(1)
        caught.append(f"{_own(frame, tree) or 'a library'}")
        raise OSError("a transform has no network")


sys.addaudithook(_listen)


@contextmanager
def _guarded(tree: Path, entry: str, *, watched: bool, function: Callable[..., Any] | None = None) -> Iterator[None]:
    """Run a user's code: what it raises is told by type and place, the network is refused, the clock is seen."""
    caught: list[str] = []
    seen: list[tuple[str, str]] = []
    prefix = f"{tree}/"

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call" and frame.f_code.co_filename.startswith(prefix) and not seen:
            owner = getattr(arg, "__self__", None)
            is_now = arg.__name__ in _NOW and isinstance(owner, type) and issubclass(owner, date)
            if is_now or arg in _WALL_CLOCK or _takes_now(frame, arg):
                seen.append((f"{arg.__qualname__}", f"{frame.f_code.co_filename[len(prefix) :]}:{frame.f_lineno}"))

    _armed.append((prefix, caught))
    if watched:
        sys.setprofile(profile)
    try:
        yield
    except MunimentError:
        raise
    except BaseException as broken:
        sys.setprofile(None)
        if caught:
            raise _network(caught[0]) from broken
        raise _failed(broken, _place(broken, prefix) or _defined(function, prefix) or entry, entry) from broken
    finally:
        sys.setprofile(None)
        _armed.pop()
    if caught:
        raise _network(caught[0])
    if seen:
        raise clock_read(*seen[0])


def _takes_now(frame: FrameType, function: Any) -> bool:
    """Whether a call leaves the moment out: the instruction that makes it says how many arguments there are."""
    most = _WITHOUT_MOMENT.get(function)
    code, at = frame.f_code.co_code, frame.f_lasti
    return most is not None and dis.opname[code[at]] in _CALLS and code[at + 1] <= most


def _network(where: str) -> Invalid:
    return Invalid(
        "MUNI-F130",
        "the transform asks for the network, and there is none",
        where=where,
        do="bring the data in as a data set, and name it among the sources: muni data add",
    )


def _failed(broken: BaseException, where: str, entry: str) -> Invalid:
    kind = type(broken).__name__
    facts: dict[str, Any] = {"file": entry, "where": where, "type": visible(kind)}
    if kind in _TELLING:
        facts["reason"] = visible(str(broken).splitlines()[0] if str(broken) else "", 300)
    return Invalid(
        "MUNI-F131",
        f"the transform failed: {visible(kind)} at {visible(where, 120)}",
        **facts,
        do="the log holds the traceback: muni runs logs RUN",
    )


def _place(broken: BaseException, prefix: str) -> str | None:
    """The last line of the user's own files on the way to where it broke."""
    where, step = None, broken.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name.startswith(prefix):
            where = f"{name[len(prefix) :]}:{step.tb_lineno}"
        step = step.tb_next
    if isinstance(broken, SyntaxError) and (broken.filename or "").startswith(prefix):
        where = f"{str(broken.filename)[len(prefix) :]}:{broken.lineno}"
    return where


def _defined(function: Callable[..., Any] | None, prefix: str) -> str | None:
    """Where the function itself stands: a lazy frame breaks when nobody's line is on the way any more."""
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    if code is None or not code.co_filename.startswith(prefix):
        return None
    return f"{code.co_filename[len(prefix) :]}:{code.co_firstlineno}"


def _own(frame: FrameType | None, prefix: str) -> str | None:
    while frame is not None:
        if frame.f_code.co_filename.startswith(prefix):
            return f"{frame.f_code.co_filename[len(prefix) :]}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def _scans(node: Mapping[str, Any], columns: dict[str, set[str]]) -> None:
    """Gather the columns that the scans below a node of a plan hold."""
    info = node.get("extra_info", {})
    table = str(info.get("Table", "")).rpartition(".")[2].strip('"')
    if table in columns:
        held = info.get("Projections", [])
        columns[table].update([held] if isinstance(held, str) else held)
    for child in node.get("children", []):
        _scans(child, columns)


def _called(node: Any) -> Iterator[tuple[str, int | None]]:
    """The functions and the words that a parsed query calls, with their position."""
    if isinstance(node, list):
        for one in node:
            yield from _called(one)
    elif isinstance(node, dict):
        if node.get("class") == "FUNCTION" or node.get("type") == "FUNCTION":
            name = str(node.get("function_name", "")).lower()
            alone = name == "age" and len(node.get("arguments") or node.get("children") or []) == 1
            yield "current_timestamp" if alone else name, node.get("query_location")
        if node.get("class") == "COLUMN_REF" and len(node.get("column_names", [])) == 1:
            word = str(node["column_names"][0]).lower()
            if word in _CLOCK_WORDS:
                yield word, node.get("query_location")
        for one in node.values():
            yield from _called(one)


def _line(query: str, position: Any) -> int | None:
    """The line of a position in the query."""
    try:
        return query[: int(position)].count("\n") + 1
    except (TypeError, ValueError):
        return None
