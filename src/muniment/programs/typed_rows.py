"""Rows that a connector read from a database: typed, exact, and ended by their count.

The first line is ``{"format": "muniment.rows/1", "columns": [{"name", "type"}, ...]}``, every further line one row as a
JSON array, the last line ``{"rows": n}``: a file that was cut off is noticed. Whole numbers are JSON integers, decimals
and times are texts, null is ``null`` and never the empty text. A column of type ``any`` comes from a database whose
columns have no type (SQLite); its type is found from all its values, like that of JSON lines.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import pyarrow as pa

from muniment.errors import Invalid
from muniment.programs.contract import visible
from muniment.programs.findings import check_names
from muniment.programs.sources import Source, too_long, too_many_rows
from muniment.programs.values import CONVERT, DECLARED_TYPES, FORMS, Declared

__all__ = ["MAGIC", "TypedRowsReader"]

MAGIC: Final = b'{"format":"muniment.rows/1"'
_CELLS: Final = 2_000_000
_LOOK: Final = 4_096
_EXACT: Final = 2**53
_INT64: Final = range(-(2**63), 2**63)
_MOST_DIGITS: Final = 38
_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_PLAIN: Final[dict[str, tuple[pa.DataType, set[type]]]] = {
    "int64": (pa.int64(), {int}),
    "bool": (pa.bool_(), {bool}),
    "string": (pa.string(), {str}),
}
_ANY: Final = {"int": "int64", "float": "float64", "bool": "bool", "str": "string"}


class _Column:
    """One column: what it is said to be, and what it turns out to be."""

    def __init__(self, name: str, told: str, declared: Declared | None) -> None:
        self.name = name
        self.told = told
        self.declared = declared
        self.found = ""
        self.big = 0
        self.whole = 1
        self.fraction = 0

    @property
    def open(self) -> bool:
        """Whether all values must be seen before the type is known."""
        return self.told in ("any", "decimal")

    def learn_all(self, first: int, values: Sequence[Any]) -> None:
        """Look at many values of an open column; one by one only where their kinds do not settle it."""
        kinds = set(map(type, values)) - {type(None)}
        if self.told == "any" and len(kinds) == 1 and kinds <= {int, str, bool, float}:
            (kind,) = kinds
            small = kind is not int or all(value is None or -_EXACT <= value <= _EXACT for value in values)
            if small and self.found in ("", kind.__name__):
                self.found = kind.__name__
                return
        for line, value in enumerate(values, first):
            self.learn(line, value)

    def learn(self, line: int, value: Any) -> None:
        """Look at one value of an open column."""
        if value is None:
            return
        if self.told == "decimal":
            _, digits, exponent = _decimal(line, self.name, value).as_tuple()
            assert isinstance(exponent, int)
            self.fraction = max(self.fraction, -exponent)
            self.whole = max(self.whole, len(digits) + exponent)
            return
        found = type(value).__name__
        if found == "int":
            if value not in _INT64:
                raise _inexact(line, self.name)
            if abs(value) > _EXACT and int(float(value)) != value:
                self.big = self.big or line
        if found not in _ANY:
            raise _malformed(line, f"{visible(self.name)!r} holds a nested value")
        if self.found in ("", found):
            self.found = found
        elif {self.found, found} == {"int", "float"}:
            self.found = "float"
        else:
            raise Invalid(
                "MUNI-J101",
                f"row {line - 1}: {visible(self.name)!r} changes from {self.found} to {found}",
                row=line - 1,
                column=visible(self.name, 80),
                expected=self.found,
                found=found,
                do="cast the column to one type in the query",
            )
        if self.found == "float" and self.big:
            raise _inexact(self.big, self.name)

    def settled(self) -> tuple[str, pa.DataType]:
        """The name of the type and the Arrow type, once all values were seen.

        Raises:
            Invalid: a decimal needs more than 38 digits, or the type is none that we know.
        """
        told = self.told
        if told == "any":
            told = _ANY.get(self.found, "string")
        if told == "decimal":
            told = f"decimal({min(self.whole + self.fraction, 99)},{self.fraction})"
        if match := _DECIMAL.fullmatch(told):
            precision, scale = int(match[1]), int(match[2])
            if not 1 <= precision <= _MOST_DIGITS or scale > precision:
                raise Invalid(
                    "MUNI-J102",
                    f"the decimals of {visible(self.name)!r} need more than {_MOST_DIGITS} digits",
                    column=visible(self.name, 80),
                    digits=precision,
                    allowed=_MOST_DIGITS,
                    do="round the column in the query, or cast it to text",
                )
            return told, pa.decimal128(precision, scale)
        known = {
            **{name: kind for name, (kind, _) in _PLAIN.items()},
            "float64": pa.float64(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us", "UTC"),
            "timestamp_local": pa.timestamp("us"),
        }
        if told not in known:
            raise _malformed(1, f"{visible(told)!r} is no type")
        return told, known[told]


class TypedRowsReader:
    """Reads one file of typed rows, twice where a type depends on all values."""

    def __init__(self, source: Source, schema: dict[str, Declared]) -> None:
        self._source = source
        self._declared = schema
        self._columns: list[_Column] = []
        self.lines = 0

    def read(self, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]) -> None:
        """Read the file and hand it over as tables.

        Raises:
            Invalid: a line breaks a rule, the file is cut off, or a value is not of its column's type.
        """
        rows = self._rows()
        self._columns = self._header(next(rows, (1, None))[1])
        if strangers := sorted(self._declared.keys() - {column.name for column in self._columns}):
            raise Invalid(
                "MUNI-J103",
                f"there is no column {visible(strangers[0])!r} in the result of the query",
                columns=strangers[:20],
                known=[column.name for column in self._columns][:50],
                do="name a column of the query",
            )
        if open_columns := [(at, column) for at, column in enumerate(self._columns) if column.open]:
            for first, piece in _pieces(rows, _LOOK):
                for at, column in open_columns:
                    column.learn_all(first, [row[at] for row in piece])
        settled = [column.settled() for column in self._columns]
        types = [
            kind if column.declared is None else DECLARED_TYPES[column.declared]
            for column, (_, kind) in zip(self._columns, settled, strict=True)
        ]
        schema = pa.schema([pa.field(c.name, kind) for c, kind in zip(self._columns, types, strict=True)])
        take = begin(schema)
        size = max(1, min(65_536, _CELLS // len(self._columns)))
        waiting: list[list[Any]] = []
        first = 2
        again = self._rows()
        next(again)
        for line, row in again:
            if not waiting:
                first = line
            waiting.append(row)
            if len(waiting) == size:
                take(self._table(waiting, first, [name for name, _ in settled], schema))
                waiting = []
        if waiting:
            take(self._table(waiting, first, [name for name, _ in settled], schema))

    def _header(self, header: Any) -> list[_Column]:
        columns = header.get("columns") if isinstance(header, dict) else None
        if (
            not isinstance(columns, list)
            or not columns
            or not all(
                isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("type"), str)
                for one in columns
            )
        ):
            raise _malformed(1, "the header names no columns")
        check_names([one["name"] for one in columns], self._source.limits.max_columns)
        return [_Column(one["name"], one["type"], self._declared.get(one["name"])) for one in columns]

    def _rows(self) -> Iterator[tuple[int, Any]]:
        """The header, then each row; the count at the end is checked and not handed over."""
        width, count, ended = 0, 0, False
        line = 0
        for line, raw in enumerate(_lines(self._source), 1):
            if ended:
                raise _malformed(line, "something follows the end")
            if len(raw) > self._source.limits.max_record_bytes:
                raise too_long(line, self._source.limits.max_record_bytes)
            value = _parsed(line, raw)
            if line == 1:
                yield line, value
                width = len(value["columns"])
            elif isinstance(value, list):
                if len(value) != width:
                    raise _malformed(line, f"{len(value)} values instead of {width}")
                count += 1
                if count > self._source.limits.max_rows:
                    raise too_many_rows(self._source.limits.max_rows)
                yield line, value
            elif isinstance(value, dict) and value == {"rows": count}:
                ended = True
            else:
                raise _malformed(line, "neither a row nor the end")
        self.lines = line
        if not ended:
            raise Invalid(
                "MUNI-J104",
                "the rows are cut off: their end is missing",
                rows=count,
                do="read the source again; the connection may have broken",
            )

    def _table(self, rows: Sequence[list[Any]], first: int, types: Sequence[str], schema: pa.Schema) -> pa.Table:
        arrays = []
        for column, kind, values, field in zip(self._columns, types, zip(*rows, strict=True), schema, strict=True):
            if column.declared is not None:
                arrays.append(_as_declared(column, values, first))
                continue
            arrays.append(_array(column.name, kind, values, field.type, first))
        return pa.table(arrays, schema=schema)


def _array(name: str, kind: str, values: Sequence[Any], arrow: pa.DataType, first: int) -> pa.Array:
    """One column of a piece, exactly; raises Invalid for the first value of another type."""
    if kind in _PLAIN:
        _check_types(name, values, _PLAIN[kind][1], first)
        try:
            return pa.array(values, arrow)
        except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError) as broken:
            raise _malformed(first, f"{visible(name)!r}: {visible(str(broken), 80)}") from broken
    if kind == "float64":
        _check_types(name, values, {int, float, str}, first)
        return pa.array([_float(name, value, first) for value in values], arrow)
    return pa.array([None if v is None else _exactly(kind, name, v, first) for v in values], arrow)


def _exactly(kind: str, name: str, value: Any, first: int) -> Any:
    try:
        if kind.startswith("decimal"):
            return _decimal(first, name, value)
        if kind == "date":
            return date.fromisoformat(value)
        moment = datetime.fromisoformat(value)
        if (moment.tzinfo is None) != (kind == "timestamp_local"):
            raise ValueError(value)
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise _malformed(first, f"{visible(name)!r} holds {visible(str(value))!r}, which is no {kind}") from None


def _float(name: str, value: Any, first: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        if value not in _NOT_FINITE:
            raise _malformed(first, f"{visible(name)!r} holds a text among numbers")
        return _NOT_FINITE[value]
    return float(value)


def _as_declared(column: _Column, values: Sequence[Any], first: int) -> pa.Array:
    assert column.declared is not None
    kind = DECLARED_TYPES[column.declared]
    if column.declared is Declared.STRING:
        return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values], kind)
    convert = CONVERT[column.declared]
    made: list[Any] = []
    known: dict[Any, Any] = {}
    for at, value in enumerate(values):
        try:
            if (asked := (type(value), value)) not in known:
                known[asked] = None if value is None else convert(_text(value))
            made.append(known[asked])
        except (ValueError, ArithmeticError):
            raise Invalid(
                "MUNI-J105",
                f"row {first - 1 + at}: a value of {visible(column.name)!r} is no {column.declared}",
                row=first - 1 + at,
                column=visible(column.name, 80),
                expected=str(column.declared),
                do=FORMS[column.declared],
            ) from None
    return pa.array(made, kind)


def _text(value: Any) -> str:
    return value.strip(" \t") if isinstance(value, str) else json.dumps(value)


def _decimal(line: int, name: str, value: Any) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, str) else Decimal("nan")
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or abs(number.adjusted()) > 1000:
        raise Invalid(
            "MUNI-J106",
            f"row {line - 1}: {visible(name)!r} holds a decimal that is no finite number",
            row=line - 1,
            column=visible(name, 80),
            found=visible(str(value)),
            do="filter such values in the query, or cast the column to double precision",
        )
    return number


def _check_types(name: str, values: Sequence[Any], allowed: set[type], first: int) -> None:
    if not set(map(type, values)) - {type(None)} <= allowed:
        at = next(n for n, value in enumerate(values) if value is not None and type(value) not in allowed)
        raise _malformed(first + at, f"{visible(name)!r} holds a value of another type")


def _pieces(rows: Iterator[tuple[int, list[Any]]], size: int) -> Iterator[tuple[int, list[list[Any]]]]:
    """The rows in pieces, each with the line of its first one; rows stand on lines that follow each other."""
    waiting: list[list[Any]] = []
    first = 0
    for line, row in rows:
        first = first if waiting else line
        waiting.append(row)
        if len(waiting) == size:
            yield first, waiting
            waiting = []
    if waiting:
        yield first, waiting


def _lines(source: Source) -> Iterator[bytes]:
    pending = b""
    for chunk in source.chunks():
        *lines, pending = (pending + chunk).split(b"\n")
        yield from lines
        if len(pending) > source.limits.max_record_bytes:
            yield pending
            return
    if pending:
        yield pending


def _parsed(line: int, raw: bytes) -> Any:
    def refuse(word: str) -> NoReturn:
        raise ValueError(word)

    try:
        return json.loads(raw, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise _malformed(line, "this is no JSON") from None


def _inexact(line: int, name: str) -> Invalid:
    return Invalid(
        "MUNI-J107",
        f"column {visible(name)!r} holds a number that 64 bits cannot hold exactly",
        column=visible(name, 80),
        row=line - 1,
        do="cast the column to text in the query",
    )


def _malformed(line: int, what: str) -> Invalid:
    return Invalid(
        "MUNI-J108",
        f"line {line} of the typed rows: {what}",
        line=line,
        found=what,
        do="read the source again with this release of muni",
    )
