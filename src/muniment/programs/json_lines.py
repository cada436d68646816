"""JSON lines, read strictly: one flat object on each line, one type in a column from first line to last."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import pyarrow as pa

from muniment.errors import Invalid
from muniment.programs.contract import visible
from muniment.programs.findings import Finding, check_names
from muniment.programs.sources import Source, too_long
from muniment.programs.values import Declared

__all__ = ["JsonLinesReader"]

_ROWS: Final = 65_536
_EXACT: Final = 2**53
_TYPES: Final = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "str": pa.string()}


class JsonLinesReader:
    """Reads one file twice: first to learn the types of all values, then to convert them.

    Every line is a JSON object without duplicate keys and without nesting. The keys of the first line are the
    columns; a key that is missing later is a null (recorded), a new key is refused. Integers and fractions may mix
    while the integers are exact as doubles; other mixtures are refused.
    """

    def __init__(self, source: Source, schema: dict[str, Declared]) -> None:
        if schema:
            raise Invalid(
                "MUNI-D124",
                "a schema is declared, but JSON values carry their types",
                columns=sorted(schema)[:20],
                do="leave the schema out",
            )
        self._source = source
        self._kinds: dict[str, str] = {}
        self._big: dict[str, int] = {}
        self._missing: dict[str, int] = {}
        self.lines = 0

    def read(self, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]) -> None:
        """Read the file and hand it over as tables.

        Raises:
            Invalid: a line breaks a rule; it is named.
        """
        for line, row in self._rows():
            self._learn(line, row)
        schema = pa.schema([pa.field(name, _TYPES.get(kind, pa.string())) for name, kind in self._kinds.items()])
        take = begin(schema)
        waiting: list[dict[str, Any]] = []
        for _, row in self._rows():
            waiting.append(row)
            if len(waiting) == _ROWS:
                take(_table(waiting, schema))
                waiting = []
        if waiting:
            take(_table(waiting, schema))

    def findings(self) -> list[Finding]:
        """What was suspicious but valid."""
        return [
            Finding("missing_keys", "lines without this key: read as null", {"column": name, "lines": lines})
            for name, lines in self._missing.items()
            if lines
        ]

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        self.lines = 0
        blank_from = 0
        for line, raw in enumerate(_lines(self._source), 1):
            self.lines = line
            if len(raw) > self._source.limits.max_record_bytes:
                raise too_long(line, self._source.limits.max_record_bytes)
            if not raw.strip():
                blank_from = blank_from or line
                continue
            if blank_from:
                raise _malformed(blank_from, "the line is blank")
            yield line, _parsed(raw, line)
        if not self.lines or blank_from == 1:
            raise Invalid("MUNI-D101", "the file is empty", do="give one JSON object on each line")

    def _learn(self, line: int, row: dict[str, Any]) -> None:
        if line == 1:
            check_names(list(row), self._source.limits.max_columns)
            self._kinds = dict.fromkeys(row, "")
            self._missing = dict.fromkeys(row, 0)
        if row.keys() != self._kinds.keys():
            new = sorted(row.keys() - self._kinds.keys())
            if new:
                raise _malformed(line, f"the key {visible(new[0])!r} is not on the first line")
            for name in self._kinds.keys() - row.keys():
                self._missing[name] += 1
        for name, value in row.items():
            if value is None:
                continue
            found = type(value).__name__
            if found not in _TYPES:
                raise Invalid(
                    "MUNI-D123",
                    f"line {line}: {visible(name)!r} holds a nested value",
                    line=line,
                    column=visible(name, 80),
                    type=found,
                    do="flatten the objects",
                )
            self._merge(line, name, value, found)

    def _merge(self, line: int, name: str, value: Any, found: str) -> None:
        if found == "int":
            if not -(2**63) <= value < 2**63:
                raise _inexact(line, name)
            if abs(value) > _EXACT and int(float(value)) != value:
                self._big.setdefault(name, line)
        known = self._kinds[name]
        if known in ("", found):
            self._kinds[name] = found
        elif {known, found} == {"int", "float"}:
            self._kinds[name] = "float"
        else:
            raise Invalid(
                "MUNI-D125",
                f"line {line}: {visible(name)!r} changes from {known} to {found}",
                line=line,
                column=visible(name, 80),
                expected=known,
                found=found,
                do="write all values of a column in one type",
            )
        if self._kinds[name] == "float" and name in self._big:
            raise _inexact(self._big[name], name)


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


def _parsed(raw: bytes, line: int) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) != len(pairs):
            raise _malformed(line, "a key stands twice")
        return row

    def refuse(word: str) -> NoReturn:
        raise _malformed(line, f"{word} is no JSON number")

    def finite(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise _malformed(line, "a number beyond the range of a double")
        return value

    if line == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        row = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=refuse, parse_float=finite)
    except UnicodeDecodeError as broken:
        raise Invalid(
            "MUNI-D108",
            f"line {line} is not UTF-8",
            line=line,
            byte=broken.start + 1,
            expected="UTF-8",
            do="convert the file to UTF-8, for example with iconv",
        ) from None
    except (ValueError, RecursionError) as broken:
        raise _malformed(line, type(broken).__name__) from None
    if not isinstance(row, dict):
        raise _malformed(line, "the line is not an object")
    for name, value in row.items():
        if isinstance(value, str) and ("\0" in value or not _encodable(value)):
            raise _malformed(line, f"{visible(name)!r} holds a NUL or half a surrogate pair")
    return row


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.table(
        {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema}, schema
    )


def _malformed(line: int, what: str) -> Invalid:
    return Invalid(
        "MUNI-D126",
        f"line {line}: {what}",
        line=line,
        found=what,
        expected="one flat JSON object on each line",
        do="correct the line: nothing is skipped",
    )


def _inexact(line: int, name: str) -> Invalid:
    return Invalid(
        "MUNI-D155",
        f"column {visible(name)!r} holds a number that 64 bits cannot hold exactly",
        column=visible(name, 80),
        line=line,
        do="write such numbers as texts",
    )
