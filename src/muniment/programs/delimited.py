"""Delimited text, read strictly: the structure is checked byte by byte, and the whole column decides its type.

The rules, RFC 4180 made strict:

* UTF-8 without NUL; a byte order mark at the start is taken off and reported; lines end with LF or CRLF.
* The separator is declared, never guessed. Every record has as many fields as the header, and names are unique and not empty.
* A quote opens a field only at its start and closes it only at its end; within, a quote is doubled.
* A field of no bytes is null. ``""`` is the empty text. Further spellings of null are declared; quoted, they are text.
* Integers are ``-?(0|[1-9][0-9]*)`` within 64 bits and never pass through floats. Numbers with leading zeros, plus signs,
  hexadecimal digits, thousands separators or words such as NaN are text. Blanks around a number are ignored.
* A column is the narrowest of int64, float64 and string that *all* its values fit. Whole numbers in exponent form
  (``5.00E+05``) are integers when the whole column is integral. Integers that no 64-bit number holds exactly are refused
  unless the column is declared a string. Dates and booleans are read only where they are declared.

How: blocks of whole records are checked with vectorised byte comparisons, then parsed by Arrow with declared types. Types
begin as those of the first records and widen whenever a block does not fit; then the file is read again from the start, so
that the result depends on the set of values and never on where a block ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntFlag, StrEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from muniment.errors import Invalid
from muniment.programs.contract import visible
from muniment.programs.sources import Limits, Source

__all__ = ["Dialect", "DelimitedReader", "Finding"]

_BLOCK: Final = 4 << 20
_FIRST_LOOK: Final = 256 << 10
_LF, _CR, _QUOTE, _ZERO, _MINUS, _BLANK, _TAB = 10, 13, 34, 48, 45, 32, 9
_INT64: Final = range(-(2**63), 2**63)
_EXACT_FLOAT: Final = 2**53


class Declared(StrEnum):
    """The types that a column may be declared to have."""

    STRING = "string"
    INT64 = "int64"
    FLOAT64 = "float64"
    BOOL = "bool"
    DATE = "date"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the text is laid out, as declared by whoever sends it."""

    delimiter: str = ","
    names: tuple[str, ...] | None = None
    """Column names when the file has no header line."""

    nulls: tuple[str, ...] = ()
    """Spellings of null besides the empty field."""

    schema: dict[str, Declared] = field(default_factory=dict)
    """Declared types by column name; the rest is found."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something suspicious but valid: recorded, never changed in silence."""

    code: str
    message: str
    facts: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As it stands in the report."""
        return {"code": self.code, "message": self.message, "facts": self.facts}


class _Fact(IntFlag):
    """What was seen among the values of a column."""

    INTEGER = 1
    EXPONENT = 2
    FRACTION = 4
    TEXT = 8
    LEADING_ZERO = 16
    TOO_LARGE = 32
    """An integer beyond 64 bits, or a number beyond the range of a double."""

    INEXACT = 64
    """An integer beyond 2^53: exact as int64, not among fractions."""


_WORDS: Final = _Fact.TEXT | _Fact.LEADING_ZERO


class _Plan(StrEnum):
    """How a column is converted."""

    INTEGER = "int64"
    EXPONENT = "int64, some in exponent form"
    FLOAT = "float64"
    TEXT = "string"
    DECLARED = "as declared"


_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_PADDED: Final = re.compile(r"-?0[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_FLOAT: Final = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
_LONGEST_NUMBER: Final = 400


def kind(text: str) -> _Fact:
    """What one value is, by the rules above; blanks around it do not count."""
    text = text.strip(" \t")
    if len(text) > _LONGEST_NUMBER:
        return _Fact.TEXT
    if _INTEGER.fullmatch(text):
        value = int(text)
        if value not in _INT64:
            return _Fact.INTEGER | _Fact.TOO_LARGE
        return _Fact.INTEGER | (_Fact.INEXACT if int(float(value)) != value else _Fact(0))
    if _PADDED.fullmatch(text):
        return _Fact.LEADING_ZERO
    if not _FLOAT.fullmatch(text):
        return _Fact.TEXT
    number = float(text)
    if number in (float("inf"), float("-inf")) or (number == 0 and text.lower().partition("e")[0].strip("-0.")):
        return _Fact.FRACTION | _Fact.TOO_LARGE
    if "e" in text.lower() and _integral(text) is not None:
        return _Fact.EXPONENT
    return _Fact.FRACTION


def _integral(text: str) -> int | None:
    """The integer that a number in exponent form stands for, exactly; None when it is none within 64 bits."""
    value = Decimal(text)
    if value.adjusted() > 19 or value != value.to_integral_value():
        return None
    number = int(value)
    return number if number in _INT64 else None


def plan_for(facts: _Fact) -> _Plan:
    """How a column with such values is converted."""
    if facts & (_WORDS | _Fact.TOO_LARGE):
        return _Plan.TEXT
    if facts & _Fact.FRACTION:
        return _Plan.TEXT if facts & _Fact.INEXACT else _Plan.FLOAT
    return _Plan.EXPONENT if facts & _Fact.EXPONENT else _Plan.INTEGER


@dataclass(slots=True)
class _ColumnState:
    """What is known about a column so far; facts are only ever added."""

    name: str
    declared: Declared | None
    facts: _Fact = _Fact(0)
    offence: tuple[int, str] | None = None
    """Line and value of the first integer that no 64-bit number holds."""

    first_word: tuple[int, str] | None = None

    @property
    def plan(self) -> _Plan:
        return _Plan.DECLARED if self.declared is not None else plan_for(self.facts)

    @property
    def undecided(self) -> bool:
        """A column kept as text only because of a number that is too large: words would make it text for good."""
        return self.declared is None and self.plan is _Plan.TEXT and not self.facts & _WORDS

    @property
    def type(self) -> pa.DataType:
        if self.declared is not None:
            return _DECLARED_TYPES[self.declared]
        return {_Plan.INTEGER: pa.int64(), _Plan.EXPONENT: pa.int64(), _Plan.FLOAT: pa.float64()}.get(
            self.plan, pa.string()
        )

    def add(self, values: Iterable[str], line_of: Callable[[str], int]) -> None:
        for value in values:
            found = kind(value)
            if found & _Fact.TOO_LARGE and self.offence is None:
                self.offence = (line_of(value), value)
            if found & _WORDS and self.first_word is None:
                self.first_word = (line_of(value), value)
            self.facts |= found


_DECLARED_TYPES: Final = {
    Declared.STRING: pa.string(),
    Declared.INT64: pa.int64(),
    Declared.FLOAT64: pa.float64(),
    Declared.BOOL: pa.bool_(),
    Declared.DATE: pa.date32(),
    Declared.TIMESTAMP: pa.timestamp("us", "UTC"),
}


@dataclass(slots=True)
class _Block:
    """Whole records, structurally sound, ending with a line end."""

    data: bytes
    line: int
    """Number of the first line, counted from 1."""

    ends: np.ndarray
    """Positions of the line feeds that end records."""

    quotes: np.ndarray
    lines: int
    """Line feeds, also those within quotes."""

    @property
    def records(self) -> int:
        return len(self.ends)

    def line_of(self, record: int) -> int:
        """The line on which a record starts."""
        start = 0 if record == 0 else int(self.ends[record - 1]) + 1
        return self.line + self.data.count(b"\n", 0, start)


class _Blocks:
    """Cuts a byte stream into blocks at record ends and checks their structure."""

    def __init__(self, source: Source, dialect: Dialect) -> None:
        self._source = source
        self._limit = source.limits.max_record_bytes
        self._separator = dialect.delimiter.encode()[0]
        self.had_mark = False
        self.crlf = 0
        self.lf = 0
        self.blank_lines_at_end = 0
        self.final_newline = True

    def __iter__(self) -> Iterator[_Block]:
        line = 1
        pending = b""
        first = True
        for chunk in self._source.chunks(_BLOCK):
            data = pending + chunk if pending else chunk
            if first and len(data) >= 4:
                data, first = self._unmarked(data), False
            cut, quotes = self._cut(data, line)
            if not cut:
                pending = data
                self._check_length(len(pending), line)
                continue
            pending = data[cut:]
            block = self._checked(data[:cut] if pending else data, quotes, line)
            line += block.lines
            if block.records:
                yield block
        if first:
            pending = self._unmarked(pending)
        if pending:
            self.final_newline = False
            data = pending + b"\n"
            cut, quotes = self._cut(data, line)
            if cut != len(data):
                raise self._open_quote(data, quotes, line)
            block = self._checked(data, quotes, line)
            if block.records:
                yield block

    def _unmarked(self, data: bytes) -> bytes:
        for mark, name in ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
            if data.startswith(mark):
                raise Invalid(
                    "MUNI-D147", f"the file is {name}, not UTF-8", found=name, expected="UTF-8", line=1,
                    do=f"convert it: iconv -f {name} -t UTF-8",
                )
        if data.startswith(b"\xef\xbb\xbf"):
            self.had_mark = True
            return data[3:]
        return data

    def _cut(self, data: bytes, line: int) -> tuple[int, np.ndarray]:
        """Where the last whole record ends, and the positions of the quotes."""
        if b'"' not in data:
            return data.rfind(b"\n") + 1, _NOWHERE
        quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == _QUOTE)
        at = len(data)
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            before = int(np.searchsorted(quotes, at))
            if before % 2 == 0:
                return at + 1, quotes[:before]
            # Within quotes: no record ends after the quote that is open here.
            at = int(quotes[before - 1])
        return 0, quotes

    def _checked(self, data: bytes, quotes: np.ndarray, line: int) -> _Block:
        """The block, or the refusal that names the line."""
        if (at := data.find(b"\0")) >= 0:
            raise _nul(data, at, line)
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError as broken:
                raise _not_utf8(data, broken, line) from None
        array = np.frombuffer(data, np.uint8)
        feeds = np.flatnonzero(array == _LF)
        ends = feeds
        if len(quotes):
            self._check_quotes(data, array, quotes, line)
            ends = feeds[np.searchsorted(quotes, feeds) % 2 == 0]
        self._check_returns(data, quotes, line)
        lengths = np.diff(ends, prepend=-1)
        if lengths.max(initial=0) > self._limit:
            record = int(np.argmax(lengths > self._limit))
            self._check_length(int(lengths[record]), line + data.count(b"\n", 0, int(ends[record - 1]) + 1 if record else 0))
        return self._without_blank_lines(_Block(data, line, ends, quotes, len(feeds)), lengths)

    def _check_length(self, length: int, line: int) -> None:
        if length > self._limit:
            raise Invalid(
                "MUNI-D150", f"line {line} is longer than {self._limit} bytes", line=line, limit=self._limit,
                setting="max_record_bytes", do="check for a missing line end or an open quote, or raise the limit",
            )

    def _check_quotes(self, data: bytes, array: np.ndarray, quotes: np.ndarray, line: int) -> None:
        opening, closing = quotes[0::2], quotes[1::2]
        before = np.where(opening > 0, array[opening - 1], _LF)
        bad = (before != self._separator) & (before != _LF) & (before != _QUOTE)
        if bad.any():
            raise self._broken_quote(data, int(opening[np.argmax(bad)]), line, "opens within a field")
        after = array[closing + 1]
        ends = (after == _CR) & (array[np.minimum(closing + 2, len(array) - 1)] == _LF)
        bad = (after != self._separator) & (after != _LF) & (after != _QUOTE) & ~ends
        if bad.any():
            raise self._broken_quote(data, int(closing[np.argmax(bad)]), line, "is followed by more text in the same field")

    def _broken_quote(self, data: bytes, at: int, line: int, how: str) -> Invalid:
        here = line + data.count(b"\n", 0, at)
        return Invalid(
            "MUNI-D148", f"line {here}: a quote {how}", line=here, expected="quotes around the whole field, doubled within",
            found=visible(data[max(0, at - 10) : at + 10].decode("utf-8", "replace")),
            do="export the file again with RFC 4180 quoting",
        )

    def _open_quote(self, data: bytes, quotes: np.ndarray, line: int) -> Invalid:
        at = int(quotes[-1]) if len(quotes) % 2 else 0
        here = line + data.count(b"\n", 0, at)
        return Invalid(
            "MUNI-D148", f"line {here}: a quote is never closed", line=here, expected="a closing quote",
            do="the file may be cut off: compare its size with the sender's",
        )

    def _check_returns(self, data: bytes, quotes: np.ndarray, line: int) -> None:
        if b"\r" not in data:
            self.lf += 1
            return
        pairs = data.count(b"\r\n")
        self.crlf += pairs
        self.lf += data.count(b"\n") - pairs
        if data.count(b"\r") == pairs:
            return
        array = np.frombuffer(data, np.uint8)
        returns = np.flatnonzero(array == _CR)
        alone = returns[array[np.minimum(returns + 1, len(array) - 1)] != _LF]
        alone = alone[np.searchsorted(quotes, alone) % 2 == 0]
        if len(alone):
            here = line + data.count(b"\n", 0, int(alone[0]))
            raise Invalid(
                "MUNI-D149", f"line {here} holds a carriage return without a line feed", line=here, expected="LF or CRLF",
                do="convert the line ends to LF",
            )

    def _without_blank_lines(self, block: _Block, lengths: np.ndarray) -> _Block:
        """Blank lines may only stand at the end of the file."""
        blank = lengths == 1
        twos = np.flatnonzero(lengths == 2)
        if len(twos):
            blank[twos[[block.data[int(block.ends[i]) - 1] == _CR for i in twos]]] = True
        if self.blank_lines_at_end and not blank.all():
            self._blank_line(block.line - 1)
        if not blank.any():
            return block
        first = int(np.argmax(blank))
        if not blank[first:].all():
            self._blank_line(block.line_of(first))
        self.blank_lines_at_end += len(blank) - first
        cut = int(block.ends[first - 1]) + 1 if first else 0
        return _Block(block.data[:cut], block.line, block.ends[:first], block.quotes, block.lines)

    def _blank_line(self, line: int) -> None:
        raise Invalid(
            "MUNI-D142", f"line {line} is blank", line=line, expected="a record", found="nothing",
            do='take the line out; a single empty text is written ""',
        )


_NOWHERE: Final = np.empty(0, np.int64)


def _nul(data: bytes, at: int, line: int) -> Invalid:
    here = line + data.count(b"\n", 0, at)
    return Invalid(
        "MUNI-D146", f"line {here} holds a NUL byte", line=here, byte=at - data.rfind(b"\n", 0, at),
        do="this is not UTF-8 text, or it is damaged: send it again as UTF-8",
    )


def _not_utf8(data: bytes, broken: UnicodeDecodeError, line: int) -> Invalid:
    here = line + data.count(b"\n", 0, broken.start)
    return Invalid(
        "MUNI-D145", f"line {here} is not UTF-8", line=here, byte=broken.start - data.rfind(b"\n", 0, broken.start),
        found=data[broken.start : broken.start + 4].hex(), expected="UTF-8", do="convert the file to UTF-8, for example with iconv",
    )


class DelimitedReader:
    """Reads one delimited file; ``read`` hands over tables in the final schema and may be called again from the start."""

    def __init__(self, source: Source, dialect: Dialect) -> None:
        if len(dialect.delimiter.encode()) != 1 or dialect.delimiter in '"\r\n':
            raise Invalid(
                "MUNI-D132", "the delimiter must be one ASCII character", parameter="delimiter",
                given=dialect.delimiter[:40], allowed="one ASCII character other than a quote or a line end",
                do="choose one character",
            )
        self._source = source
        self._dialect = dialect
        self._columns: list[_ColumnState] = []
        self._blocks = _Blocks(source, dialect)
        self._blanks_beside = False
        self._quoted = False
        self._lines = 0

    def read(self, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]) -> None:
        """Read the file and hand it over.

        Args:
            begin: called with the schema whenever reading starts from the first record; returns what takes the tables. When
                a type has to widen, ``begin`` is called again and everything handed over before is void.

        Raises:
            Invalid: the file breaks a rule; the line or the column is named.
        """
        while not self._pass(begin):
            pass

    @property
    def lines(self) -> int:
        """Lines of the file, the header and blank lines at the end included."""
        return self._lines

    def findings(self) -> list[Finding]:
        """What was suspicious but valid, once the file is read."""
        found = []
        blocks = self._blocks
        if blocks.had_mark:
            found.append(Finding("byte_order_mark", "the file begins with a byte order mark; it was taken off", {}))
        if blocks.crlf and blocks.lf:
            found.append(Finding("mixed_line_ends", "some lines end with CRLF and some with LF", {"crlf": blocks.crlf}))
        if not blocks.final_newline:
            found.append(
                Finding("no_final_line_end", "the last line has no line end: the file may be cut off", {"line": self._lines})
            )
        if blocks.blank_lines_at_end:
            found.append(Finding("blank_lines_at_end", "blank lines at the end", {"lines": blocks.blank_lines_at_end}))
        if self._blanks_beside:
            found.append(
                Finding("blanks_beside_delimiters", "blanks beside separators: ignored around numbers, kept in texts", {})
            )
        for column in self._columns:
            found.extend(_column_findings(column))
        return found

    def _pass(self, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]) -> bool:
        """One reading of the whole file; False when a column had to widen and everything must be read again."""
        self._blocks = _Blocks(self._source, self._dialect)
        blocks = iter(self._blocks)
        first = next(blocks, None)
        if first is None:
            raise Invalid("MUNI-D140", "the file holds no line", do="give a file with a header line and rows")
        first, names = self._named(first)
        if not self._columns:
            self._columns = self._declare(names)
            self._survey(_beginning(first))
        take: Callable[[pa.Table], None] | None = begin(self._schema())
        rows = 0
        self._lines = first.line - 1
        for block in _chain(first, blocks):
            self._lines = block.line + block.lines - 1
            if not block.records:
                continue
            rows += block.records
            if rows > self._source.limits.max_rows:
                raise Invalid(
                    "MUNI-D151", "the file has too many rows", limit=self._source.limits.max_rows, setting="max_rows",
                    do="raise the limit or send the file in pieces",
                )
            before = self._plans()
            table = self._parsed(block)
            if self._plans() != before:
                take = None
            if take is not None and table is not None:
                take(table)
        if not rows:
            raise Invalid(
                "MUNI-D141", "the file has a header and no rows", columns=len(names), line=1, do="give a file with rows"
            )
        if take is None:
            return False
        return self._settled()

    def _settled(self) -> bool:
        for column in self._columns:
            if column.declared is None and not column.facts:
                # Nothing but nulls: there is no value to say what they would have been.
                column.facts |= _Fact.TEXT
                return False
            if column.undecided:
                line, value = column.offence or (0, "")
                raise Invalid(
                    "MUNI-D155", f"column {column.name!r} holds a number that 64 bits cannot hold exactly", column=column.name,
                    line=line, value=visible(value), do=f"declare the column: schema {{{column.name!r}: 'string'}}",
                )
        return True

    def _plans(self) -> list[_Plan]:
        return [column.plan for column in self._columns]

    def _schema(self) -> pa.Schema:
        return pa.schema([pa.field(column.name, column.type) for column in self._columns])

    def _named(self, block: _Block) -> tuple[_Block, list[str]]:
        """The records without the header, and the column names."""
        dialect = self._dialect
        end = int(block.ends[0]) + 1
        header = _fields(block.data[:end], dialect.delimiter)
        if len(header) == 1:
            self._check_separator(block, end)
        if dialect.names is not None:
            names = list(dialect.names)
        else:
            names = header
            used = int(np.searchsorted(block.quotes, end))
            inner = block.data.count(b"\n", 0, end)
            block = _Block(
                block.data[end:], block.line + inner, block.ends[1:] - end, block.quotes[used:] - end, block.lines - inner
            )
        check_names(names, self._source.limits.max_columns)
        return block, names

    def _check_separator(self, block: _Block, end: int) -> None:
        """A single column whose lines are full of another separator was declared wrongly."""
        line = block.data[:end]
        if self._dialect.delimiter.encode() in line:
            return
        second = block.data[end : int(block.ends[1]) + 1] if block.records > 1 else b""
        for mark, name in ((b";", ";"), (b"\t", "tab"), (b"|", "|"), (b",", ","), (b" ", "blank")):
            if line.count(mark) and (line.count(mark) == second.count(mark) or not second):
                raise Invalid(
                    "MUNI-D157", f"the separator is declared as {self._dialect.delimiter!r}, but the lines look separated by {name}",
                    declared=self._dialect.delimiter, likely=name, line=1, do=f"declare the separator: --delimiter {name!r}",
                )

    def _declare(self, names: Sequence[str]) -> list[_ColumnState]:
        unknown = sorted(set(self._dialect.schema) - set(names))
        if unknown:
            raise Invalid(
                "MUNI-D158", f"the schema declares a column {unknown[0]!r} that the file does not have", columns=unknown[:20],
                do="declare only columns of the file",
            )
        return [_ColumnState(name, self._dialect.schema.get(name)) for name in names]

    def _parsed(self, block: _Block) -> pa.Table | None:
        """The block in the planned types; None when a column had to widen, which its state then says."""
        self._check_padding(block)
        self._survey_undecided(block)
        types = {
            column.name: pa.string() if column.plan in (_Plan.TEXT, _Plan.EXPONENT, _Plan.DECLARED) else column.type
            for column in self._columns
        }
        try:
            table = self._arrow(block, types)
        except pa.ArrowInvalid:
            self._survey(block)
            return None
        arrays: list[pa.Array] = []
        for column, values in zip(self._columns, table.columns, strict=True):
            array = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
            if column.plan is _Plan.FLOAT and not _ordinary(array):
                self._survey(block, only=column.name)
            if column.plan is _Plan.EXPONENT:
                converted = self._exponents(column, array, block)
            elif column.plan is _Plan.DECLARED and column.declared is not Declared.STRING:
                converted = self._as_declared(column, array, block)
            else:
                converted = array
            arrays.append(converted)
        if any(array is None or array.type != column.type for array, column in zip(arrays, self._columns, strict=True)):
            return None
        return pa.table(arrays, schema=self._schema())

    def _arrow(self, block: _Block, types: dict[str, pa.DataType]) -> pa.Table:
        names = [column.name for column in self._columns]
        table = pa.csv.read_csv(
            pa.BufferReader(block.data),
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=len(block.data) + 1, column_names=names),
            parse_options=pa.csv.ParseOptions(
                delimiter=self._dialect.delimiter, newlines_in_values=len(block.quotes) > 0, ignore_empty_lines=False
            ),
            convert_options=pa.csv.ConvertOptions(
                check_utf8=False, column_types=types, null_values=["", *self._dialect.nulls], strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        if table.num_rows != block.records:
            raise AssertionError(f"{block.records} records, but {table.num_rows} rows")
        return table

    def _texts(self, block: _Block) -> pa.Table:
        """The block as texts; every record is known to have the right number of fields.

        Raises:
            Invalid: a record has too few or too many fields.
        """
        try:
            return self._arrow(block, {column.name: pa.string() for column in self._columns})
        except pa.ArrowInvalid:
            self._refuse_ragged(block)
            raise

    def _refuse_ragged(self, block: _Block) -> None:
        start = 0
        for record, end in enumerate(block.ends.tolist()):
            found = len(_fields(block.data[start : end + 1], self._dialect.delimiter))
            if found != len(self._columns):
                line = block.line_of(record)
                raise Invalid(
                    "MUNI-D142", f"line {line} has {found} fields instead of {len(self._columns)}", line=line,
                    expected=len(self._columns), found=found, do="correct the line: nothing is padded, cut or skipped",
                )
            start = end + 1

    def _survey(self, block: _Block, only: str | None = None) -> None:
        """Learn what the values of a block are, one by one."""
        if not block.records:
            return
        texts = self._texts(block)
        for column in self._columns:
            if column.declared is not None or (only is not None and column.name != only) or column.facts & _WORDS:
                continue
            values = texts.column(column.name)

            def line_of(value: str, values: pa.ChunkedArray = values) -> int:
                return block.line_of(pc.index(values, value).as_py())

            column.add((value for value in pc.unique(values).to_pylist() if value is not None), line_of)

    def _survey_undecided(self, block: _Block) -> None:
        for column in self._columns:
            if column.undecided:
                self._survey(block, only=column.name)

    def _check_padding(self, block: _Block) -> None:
        """Arrow reads 007 and 0x7 as 7: find the columns where a field begins so, and look at their values."""
        suspects = self._padded_columns(block)
        for column in suspects:
            if column.plan in (_Plan.INTEGER, _Plan.FLOAT, _Plan.EXPONENT):
                self._survey(block, only=column.name)

    def _padded_columns(self, block: _Block) -> list[_ColumnState]:
        array = np.frombuffer(block.data, np.uint8)
        separator = ord(self._dialect.delimiter)
        edge = array == separator
        edge |= array == _LF
        before, after = edge[:-1], array[1:]
        starts = np.flatnonzero(before & (after == _ZERO)) + 1
        if array[0] == _ZERO:
            starts = np.append(starts, 0)
        skipped = [mark for mark in (_BLANK, _TAB, _MINUS, _QUOTE) if mark != separator and bytes([mark]) in block.data]
        if skipped:
            starts = np.concatenate([starts, self._skip(array, before, after, skipped)])
        following = array[np.minimum(starts + 1, len(array) - 1)]
        digit = (following >= 48) & (following <= 57) | (following == 120) | (following == 88)
        hits = starts[digit & (array[starts] == _ZERO)]
        if not len(hits):
            return []
        borders = np.flatnonzero(edge)
        if len(block.quotes):
            borders = borders[np.searchsorted(block.quotes, borders) % 2 == 0]
        columns = np.unique(np.searchsorted(borders, hits) % len(self._columns))
        return [self._columns[int(i)] for i in columns]

    def _skip(self, array: np.ndarray, before: np.ndarray, after: np.ndarray, skipped: list[int]) -> np.ndarray:
        """Positions where fields begin behind blanks, quotes and minus signs."""
        mask = after == skipped[0]
        for mark in skipped[1:]:
            mask |= after == mark
        at = np.flatnonzero(before & mask) + 1
        if array[0] in skipped:
            at = np.append(at, 0)
        if (_BLANK in skipped or _TAB in skipped) and not self._blanks_beside:
            self._blanks_beside = bool(np.isin(array[at], [_BLANK, _TAB]).any())
        while (moving := np.isin(array[at], skipped) & (at < len(array) - 1)).any():
            at = at + moving
        return at

    def _exponents(self, column: _ColumnState, array: pa.Array, block: _Block) -> pa.Array | None:
        """Integers of which some are in exponent form, exactly; None when the column has to widen."""
        encoded = array.dictionary_encode()
        integers: list[int] = []
        for text in encoded.dictionary.to_pylist():
            found = kind(text)
            if found & ~(_Fact.INTEGER | _Fact.EXPONENT | _Fact.INEXACT):
                self._survey(block, only=column.name)
                return None
            column.facts |= found
            text = text.strip(" \t")
            integers.append(int(text) if found & _Fact.INTEGER else int(Decimal(text)))
        return pa.array(integers, pa.int64()).take(encoded.indices)

    def _as_declared(self, column: _ColumnState, array: pa.Array, block: _Block) -> pa.Array:
        assert column.declared is not None
        convert = _CONVERT[column.declared]
        encoded = array.dictionary_encode()
        values: list[Any] = []
        for text in encoded.dictionary.to_pylist():
            try:
                values.append(convert(text.strip(" \t")))
            except (ValueError, ArithmeticError):
                line = block.line_of(pc.index(array, text).as_py())
                raise Invalid(
                    "MUNI-D156", f"line {line}: a value of {column.name!r} is no {column.declared}", line=line,
                    column=column.name, value=visible(text), expected=str(column.declared), do=_FORMS[column.declared],
                ) from None
        return pa.array(values, column.type).take(encoded.indices)


def check_names(names: Sequence[str], limit: int) -> None:
    """Column names are unique, not empty and not too many; they are kept exactly.

    Raises:
        Invalid: one of these does not hold.
    """
    if len(names) > limit:
        raise Invalid(
            "MUNI-D151", f"the file has {len(names)} columns", limit=limit, found=len(names), setting="max_columns",
            do="raise the limit, or check the separator",
        )
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name.strip():
            raise Invalid("MUNI-D143", f"column {position} has no name", column=position, line=1, do="name every column")
        if name in seen:
            raise Invalid(
                "MUNI-D144", f"two columns are called {visible(name)!r}", column=visible(name, 80), positions=[seen[name], position],
                line=1, do="give every column its own name",
            )
        if len(name) > 255:
            raise Invalid("MUNI-D143", f"the name of column {position} is longer than 255 characters", column=position, line=1,
                          do="shorten the name; a missing line end may have joined it with data")
        seen[name] = position


def _fields(record: bytes, delimiter: str) -> list[str]:
    """The fields of one record that is structurally sound."""
    text = record.decode()
    text = text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
    fields, at = [], 0
    while True:
        if text.startswith('"', at):
            end = at + 1
            while not (text[end] == '"' and text[end + 1 : end + 2] != '"'):
                end += 2 if text[end] == '"' else 1
            fields.append(text[at + 1 : end].replace('""', '"'))
            end += 1
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            fields.append(text[at:end])
        if end >= len(text):
            return fields
        at = end + 1


def _chain(first: _Block, rest: Iterator[_Block]) -> Iterator[_Block]:
    yield first
    yield from rest


def _beginning(block: _Block) -> _Block:
    """The first records of a block: enough to guess types that need not widen."""
    if not block.records:
        return block
    count = max(1, int(np.searchsorted(block.ends, _FIRST_LOOK)))
    end = int(block.ends[count - 1]) + 1
    used = int(np.searchsorted(block.quotes, end))
    return _Block(block.data[:end], block.line, block.ends[:count], block.quotes[:used], block.data.count(b"\n", 0, end))


def _ordinary(array: pa.Array) -> bool:
    """Whether all floats are finite and so small that integers among them are exact."""
    values = array.to_numpy(zero_copy_only=False)
    if array.null_count:
        values = values[array.is_valid().to_numpy(zero_copy_only=False)]
    return bool((np.abs(values) < _EXACT_FLOAT).all())


def _column_findings(column: _ColumnState) -> Iterator[Finding]:
    if column.declared is not None:
        return
    facts = column.facts
    numeric = facts & (_Fact.INTEGER | _Fact.EXPONENT | _Fact.FRACTION)
    if facts & _Fact.LEADING_ZERO:
        yield Finding("leading_zeros", "numbers with leading zeros: the column is text", {"column": column.name})
    if facts & _Fact.TEXT and numeric:
        line, value = column.first_word or (0, "")
        yield Finding(
            "mixed_types", "numbers and other texts: the column is text",
            {"column": column.name, "line": line, "value": visible(value)},
        )
    if column.plan is _Plan.EXPONENT:
        yield Finding("exponent_integers", "whole numbers in exponent form: read as integers, exactly", {"column": column.name})


def _boolean(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


def _exact_integer(text: str) -> int:
    if kind(text) & (_Fact.INTEGER | _Fact.EXPONENT) and not kind(text) & _Fact.TOO_LARGE:
        return int(Decimal(text))
    raise ValueError(text)


def _finite(text: str) -> float:
    facts = kind(text)
    if facts & (_WORDS | _Fact.TOO_LARGE | _Fact.INEXACT):
        raise ValueError(text)
    return float(text)


def _day(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    return date.fromisoformat(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def _truth(text: str) -> bool:
    try:
        return _boolean(text)
    except KeyError:
        raise ValueError(text) from None


_CONVERT: Final[dict[Declared, Callable[[str], Any]]] = {
    Declared.INT64: _exact_integer,
    Declared.FLOAT64: _finite,
    Declared.BOOL: _truth,
    Declared.DATE: _day,
    Declared.TIMESTAMP: _moment,
}
_FORMS: Final = {
    Declared.STRING: "any text",
    Declared.INT64: "write integers within 64 bits",
    Declared.FLOAT64: "write finite decimal numbers",
    Declared.BOOL: "write true or false, 1 or 0",
    Declared.DATE: "write dates as 2026-11-23",
    Declared.TIMESTAMP: "write moments as 2026-11-23T04:22:00Z, with their zone",
}
