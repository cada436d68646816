"""Delimited text, read strictly: the structure is checked byte by byte, and the whole column decides its type.

The rules, RFC 4180 made strict:

* UTF-8 without NUL; a byte order mark at the start is taken off and reported; lines end with LF or CRLF.
* The separator is declared, never guessed. Every record has as many fields as the header, and names are unique and
  not empty.
* A quote opens a field only at its start and closes it only at its end; within, a quote is doubled.
* A field of no bytes is null. ``""`` is the empty text. Further spellings of null are declared; quoted, they are text.
* Integers are ``-?(0|[1-9][0-9]*)`` within 64 bits and never pass through floats. Leading zeros, plus signs,
  hexadecimal digits, thousands separators or words such as NaN are text. Blanks around a number are ignored.
* A column is the narrowest of int64, float64 and string that *all* its values fit. Whole numbers in exponent form
  (``5.00E+05``) are integers when the whole column is integral. Integers that no 64-bit number holds exactly are
  refused unless the column is declared a string. Dates and booleans are read only where they are declared.

How: blocks of whole records are checked with vectorised byte comparisons, then parsed by Arrow with declared types.
Types begin as those of the first records and widen whenever a block does not fit; then the file is read again from
the start, so that the result depends on the set of values and never on where a block ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from muniment.errors import Invalid
from muniment.programs.contract import visible
from muniment.programs.findings import Finding, check_names
from muniment.programs.padding import padded_fields
from muniment.programs.records import Block, Blocks, beginning, fields
from muniment.programs.sources import Source, too_many_rows
from muniment.programs.values import (
    CONVERT,
    DECLARED_TYPES,
    FORMS,
    NOTHING,
    WORDS,
    Declared,
    Fact,
    Plan,
    exponent_integer,
    kind,
    looks_like,
    plan_for,
)

__all__ = ["DelimitedReader", "Dialect"]

_BLOCK: Final = 1 << 20
_FIRST_LOOK: Final = 256 << 10
_EXACT_FLOAT: Final = 2**53
_TINY: Final = (b"e-", b"E-", b"0" * 300)
"""Without one of these no text is so near to zero that a double holds it as zero."""


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


class _ColumnState:
    """What is known about a column so far; facts are only ever added."""

    def __init__(self, name: str, declared: Declared | None) -> None:
        self.name = name
        self.declared = declared
        self.facts = NOTHING
        self.plan = Plan.INTEGER if declared is None else Plan.DECLARED
        self.offence = 0
        """The line of the first number that no 64-bit number holds exactly; 0 for none."""

        self.first_word: tuple[int, str] | None = None
        """Line and value of the first text that is no number."""

    @property
    def undecided(self) -> bool:
        """A column kept as text only because of a number that is too large: words would make it text for good."""
        return self.plan is Plan.TEXT and not self.facts & WORDS

    @property
    def type(self) -> pa.DataType:
        return DECLARED_TYPES[self.declared] if self.declared is not None else _PLANNED_TYPES[self.plan]

    def learn(self, found: Fact) -> None:
        self.facts |= found
        if self.declared is None:
            self.plan = plan_for(self.facts)

    def add(self, values: Iterable[str], line_of: Callable[[str], int]) -> None:
        seen = set()
        for value in values:
            found = kind(value)
            if found in seen:
                continue
            seen.add(found)
            if found & (Fact.TOO_LARGE | Fact.INEXACT) and not self.offence:
                self.offence = line_of(value)
            if found & WORDS and self.first_word is None:
                self.first_word = (line_of(value), value)
            self.learn(found)


_PLANNED_TYPES: Final = {
    Plan.INTEGER: pa.int64(),
    Plan.EXPONENT: pa.int64(),
    Plan.FLOAT: pa.float64(),
    Plan.TEXT: pa.string(),
}


class DelimitedReader:
    """Reads one delimited file; ``read`` hands over tables in the final schema and may start over."""

    def __init__(self, source: Source, dialect: Dialect, *, block_bytes: int = _BLOCK) -> None:
        if len(dialect.delimiter.encode()) != 1 or dialect.delimiter in '"\r\n':
            raise Invalid(
                "MUNI-D115",
                "the delimiter must be one ASCII character",
                parameter="delimiter",
                given=dialect.delimiter[:40],
                allowed="one ASCII character other than a quote or a line end",
                do="choose one character",
            )
        _check_separator(source.head, dialect.delimiter)
        self._source = source
        self._dialect = dialect
        self._block_bytes = block_bytes
        self._columns: list[_ColumnState] = []
        self._blocks = Blocks(source, dialect.delimiter, block_bytes)
        self._blanks_beside = False
        self._unmet = set(dialect.nulls)
        self._lines = 0

    def read(self, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]) -> None:
        """Read the file and hand it over.

        Args:
            begin: called with the schema whenever reading starts from the first record; returns what takes the
            tables. When
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
                Finding(
                    "no_final_line_end", "the last line has no line end: the file may be cut off", {"line": self._lines}
                )
            )
        if blocks.blank_lines_at_end:
            found.append(Finding("blank_lines_at_end", "blank lines at the end", {"lines": blocks.blank_lines_at_end}))
        if self._blanks_beside:
            found.append(
                Finding(
                    "blanks_beside_delimiters", "blanks beside separators: ignored around numbers, kept in texts", {}
                )
            )
        for spelling in sorted(self._unmet):
            found.append(Finding("null_not_met", "no field has this declared spelling of null", {"null": spelling}))
        if self._dialect.names is None:
            found.extend(
                Finding("number_as_name", "the name is a number: is the header line missing?", {"column": column.name})
                for column in self._columns
                if not kind(column.name) & Fact.TEXT
            )
        for column in self._columns:
            found.extend(_column_findings(column))
        return found

    def _pass(self, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]) -> bool:
        """One reading of the whole file; False when a column had to widen and everything must be read again."""
        self._blocks = Blocks(self._source, self._dialect.delimiter, self._block_bytes)
        blocks = iter(self._blocks)
        first = next(blocks, None)
        if first is None:
            raise Invalid("MUNI-D101", "the file is empty", do="give a file with a header line and rows")
        first, names = self._named(first)
        if not self._columns:
            self._columns = self._declare(names)
            self._survey(beginning(first, _FIRST_LOOK))
        take: Callable[[pa.Table], None] | None = begin(self._schema())
        rows = 0
        self._lines = first.line - 1
        for block in chain([first], blocks):
            self._lines = block.line + block.lines - 1
            if not block.records:
                continue
            rows += block.records
            if rows > self._source.limits.max_rows:
                raise too_many_rows(self._source.limits.max_rows)
            before = self._plans()
            table = self._parsed(block)
            if self._plans() != before:
                take = None
            elif table is None:
                raise AssertionError(f"line {block.line}: neither converted nor widened")
            elif take is not None:
                take(table)
        if not rows:
            raise Invalid("MUNI-D102", "the file has no rows", columns=len(names), line=1, do="give a file with rows")
        if take is None:
            return False
        return self._settled()

    def _settled(self) -> bool:
        for column in self._columns:
            if column.declared is None and not column.facts:
                # Nothing but nulls: there is no value to say what they would have been.
                column.learn(Fact.TEXT)
                return False
            if column.undecided:
                raise Invalid(
                    "MUNI-D155",
                    f"column {column.name!r} holds a number that 64 bits cannot hold exactly",
                    column=column.name,
                    line=column.offence,
                    do=f"declare it a text: --column {column.name}=string, in Python columns={{...: 'string'}}",
                )
        return True

    def _plans(self) -> list[Plan]:
        return [column.plan for column in self._columns]

    def _schema(self) -> pa.Schema:
        return pa.schema([pa.field(column.name, column.type) for column in self._columns])

    def _named(self, block: Block) -> tuple[Block, list[str]]:
        """The records without the header, and the column names."""
        dialect = self._dialect
        end = int(block.ends[0]) + 1
        header = fields(block.data[:end], dialect.delimiter)
        if dialect.names is not None:
            names = list(dialect.names)
        else:
            names = header
            used = int(np.searchsorted(block.quotes, end))
            inner = block.data.count(b"\n", 0, end)
            block = Block(
                block.data[end:],
                block.line + inner,
                block.ends[1:] - end,
                block.quotes[used:] - end,
                block.lines - inner,
            )
        check_names(names, self._source.limits.max_columns)
        return block, names

    def _declare(self, names: Sequence[str]) -> list[_ColumnState]:
        unknown = sorted(set(self._dialect.schema) - set(names))
        if unknown:
            raise Invalid(
                "MUNI-D158",
                f"the schema declares a column {unknown[0]!r} that the file does not have",
                columns=unknown[:20],
                do="declare only columns of the file",
            )
        return [_ColumnState(name, self._dialect.schema.get(name)) for name in names]

    def _parsed(self, block: Block) -> pa.Table | None:
        """The block in the planned types; None when a column had to widen, which its state then says."""
        self._check_padding(block)
        self._meet_nulls(block)
        self._survey_undecided(block)
        types = {
            column.name: pa.string() if column.plan in (Plan.TEXT, Plan.EXPONENT, Plan.DECLARED) else column.type
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
            if not column.facts and array.null_count < len(array):
                column.learn(Fact.INTEGER)
            if column.plan is Plan.FLOAT and not _ordinary(array, block.data):
                self._survey(block, only=column.name)
            if column.plan is Plan.EXPONENT:
                converted = self._exponents(column, array, block)
            elif column.plan is Plan.DECLARED and column.declared is not Declared.STRING:
                converted = _as_declared(column, array, block)
            else:
                converted = array
            arrays.append(converted)
        if any(array is None or array.type != column.type for array, column in zip(arrays, self._columns, strict=True)):
            return None
        return pa.table(arrays, schema=self._schema())

    def _arrow(self, block: Block, types: dict[str, pa.DataType]) -> pa.Table:
        names = [column.name for column in self._columns]
        table = pa.csv.read_csv(
            pa.BufferReader(block.data),
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=len(block.data) + 1, column_names=names),
            parse_options=pa.csv.ParseOptions(
                delimiter=self._dialect.delimiter, newlines_in_values=len(block.quotes) > 0, ignore_empty_lines=False
            ),
            convert_options=pa.csv.ConvertOptions(
                check_utf8=False,
                column_types=types,
                null_values=["", *self._dialect.nulls],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        if table.num_rows != block.records:
            raise AssertionError(f"{block.records} records, but {table.num_rows} rows")
        return table

    def _texts(self, block: Block) -> pa.Table:
        """The block as texts; every record is known to have the right number of fields.

        Raises:
            Invalid: a record has too few or too many fields.
        """
        try:
            return self._arrow(block, {column.name: pa.string() for column in self._columns})
        except pa.ArrowInvalid:
            self._refuse_ragged(block)
            raise

    def _refuse_ragged(self, block: Block) -> None:
        start = 0
        for record, end in enumerate(block.ends.tolist()):
            found = len(fields(block.data[start : end + 1], self._dialect.delimiter))
            if found != len(self._columns):
                line = block.line_of(record)
                raise Invalid(
                    "MUNI-D103",
                    f"line {line} has {found} fields instead of {len(self._columns)}",
                    line=line,
                    expected=len(self._columns),
                    found=found,
                    do="correct the line: nothing is padded, cut or skipped",
                )
            start = end + 1

    def _survey(self, block: Block, only: str | None = None) -> None:
        """Learn what the values of a block are, one by one."""
        if not block.records:
            return
        texts = self._texts(block)
        for column in self._columns:
            if column.declared is not None or (only is not None and column.name != only) or column.facts & WORDS:
                continue
            values = texts.column(column.name)

            def line_of(value: str, values: pa.ChunkedArray = values) -> int:
                return block.line_of(pc.index(values, value).as_py())

            column.add((value for value in pc.unique(values).to_pylist() if value is not None), line_of)

    def _survey_undecided(self, block: Block) -> None:
        for column in self._columns:
            if column.undecided:
                self._survey(block, only=column.name)

    def _check_padding(self, block: Block) -> None:
        """Arrow reads 007, 0x7 and +7 as 7: find the columns where a field begins so, and look at their values."""
        suspects, blanks = padded_fields(block, ord(self._dialect.delimiter), len(self._columns))
        self._blanks_beside |= blanks
        for column in (self._columns[position] for position in suspects):
            if column.plan in (Plan.INTEGER, Plan.FLOAT, Plan.EXPONENT):
                self._survey(block, only=column.name)

    def _meet_nulls(self, block: Block) -> None:
        """Strike off the spellings of null that stand as a whole field of the block."""
        if not self._unmet:
            return
        edges = (self._dialect.delimiter.encode(), b"\n", b"\r\n")
        data = b"\n" + block.data
        self._unmet = {
            spelling
            for spelling in self._unmet
            if not any(before + spelling.encode() + after in data for before in edges[:2] for after in edges)
        }

    def _exponents(self, column: _ColumnState, array: pa.Array, block: Block) -> pa.Array | None:
        """Integers of which some are in exponent form, exactly; None when the column has to widen."""
        marked = pc.match_substring_regex(array, "[eE]")
        try:
            plain = pc.if_else(marked, None, array).cast(pa.int64())
        except pa.ArrowInvalid:
            plain = None
        encoded = (array if plain is None else pc.if_else(marked, array, None)).dictionary_encode()
        integers: list[int] = []
        for text in encoded.dictionary.to_pylist():
            found = kind(text)
            if found & ~(Fact.INTEGER | Fact.EXPONENT | Fact.INEXACT):
                self._survey(block, only=column.name)
                return None
            column.learn(found)
            integers.append(exponent_integer(text))
        exponents = pa.array(integers, pa.int64()).take(encoded.indices)
        return exponents if plain is None else pc.coalesce(plain, exponents)


def _as_declared(column: _ColumnState, array: pa.Array, block: Block) -> pa.Array:
    """The values of a column in the type that was declared for it; raises Invalid for the first that is none."""
    assert column.declared is not None
    convert = CONVERT[column.declared]
    encoded = array.dictionary_encode()
    values: list[Any] = []
    for text in encoded.dictionary.to_pylist():
        try:
            values.append(convert(text.strip(" \t")))
        except (ValueError, ArithmeticError):
            line = block.line_of(pc.index(array, text).as_py())
            raise Invalid(
                "MUNI-D156",
                f"line {line}: a value of {column.name!r} is no {column.declared}",
                line=line,
                column=column.name,
                expected=str(column.declared),
                do=FORMS[column.declared],
            ) from None
    return pa.array(values, column.type).take(encoded.indices)


def _check_separator(head: bytes, declared: str) -> None:
    """Refuse lines without the declared separator that another one divides evenly: it is named, not assumed."""
    lines = head.split(b"\n", 2)
    if declared.encode() in lines[0]:
        return
    for mark in (";", "\t", "|", ",", " "):
        count = lines[0].count(mark.encode())
        if count and (len(lines) < 3 or lines[1].count(mark.encode()) == count):
            raise Invalid(
                "MUNI-D157",
                f"the separator is declared as {declared!r}, but the lines look separated by {mark!r}",
                declared=declared,
                likely=mark,
                line=1,
                do=f"declare the separator: --delimiter {mark!r}, in Python delimiter={mark!r}",
            )


def _ordinary(array: pa.Array, data: bytes) -> bool:
    """Whether all floats are finite, so small that integers among them are exact, and none is zero for being tiny."""
    values = array.to_numpy(zero_copy_only=False)
    if array.null_count:
        values = values[array.is_valid().to_numpy(zero_copy_only=False)]
    if not (np.abs(values) < _EXACT_FLOAT).all():
        return False
    return bool((values != 0).all()) or not any(mark in data for mark in _TINY)


def _column_findings(column: _ColumnState) -> Iterator[Finding]:
    if column.declared is not None:
        return
    facts = column.facts
    numeric = facts & (Fact.INTEGER | Fact.EXPONENT | Fact.FRACTION)
    if facts & Fact.LEADING_ZERO:
        yield Finding("leading_zeros", "numbers with leading zeros: the column is text", {"column": column.name})
    if facts & Fact.TEXT and numeric:
        line, value = column.first_word or (0, "")
        yield Finding(
            "mixed_types",
            "numbers and other texts: the column is text",
            {"column": column.name, "line": line, "value": visible(value)},
        )
    elif column.first_word is not None and (seen := looks_like(column.first_word[1])) is not None:
        line, value = column.first_word
        yield Finding(
            f"text_like_{seen.code}", seen.message, {"column": column.name, "line": line, "value": visible(value)}
        )
    if column.plan is Plan.EXPONENT:
        yield Finding(
            "exponent_integers", "whole numbers in exponent form: read as integers, exactly", {"column": column.name}
        )
