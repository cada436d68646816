"""What a field of text is: the one grammar of numbers, and the declared types.

Everything here looks at one value at a time; ``delimited`` calls it for the values that Arrow's vectorised conversion
does not settle, and both must agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntFlag, StrEnum
from typing import Any, Final

import pyarrow as pa

__all__ = [
    "CONVERT",
    "DECLARED_TYPES",
    "FORMS",
    "NOTHING",
    "WORDS",
    "Declared",
    "Fact",
    "Plan",
    "exponent_integer",
    "kind",
    "looks_like",
    "plan_for",
]

_INT64: Final = range(-(2**63), 2**63)


class Declared(StrEnum):
    """The types that a column may be declared to have."""

    STRING = "string"
    INT64 = "int64"
    FLOAT64 = "float64"
    BOOL = "bool"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Fact(IntFlag):
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


NOTHING: Final = Fact(0)
WORDS: Final = Fact.TEXT | Fact.LEADING_ZERO


class Plan(StrEnum):
    """How a column is converted."""

    INTEGER = "int64"
    EXPONENT = "int64, some in exponent form"
    FLOAT = "float64"
    TEXT = "string"
    DECLARED = "as declared"


_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_PADDED: Final = re.compile(r"-?0[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_FLOAT: Final = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
_LONGEST_INTEGER: Final = 20
_EXACT: Final = 2**53
_TOO_LARGE_INTEGER: Final = Fact.INTEGER | Fact.TOO_LARGE
_TOO_LARGE_FRACTION: Final = Fact.FRACTION | Fact.TOO_LARGE
_INEXACT_INTEGER: Final = Fact.INTEGER | Fact.INEXACT


def kind(text: str) -> Fact:
    """What one value is, by the rules above; blanks around it do not count."""
    text = text.strip(" \t")
    if _INTEGER.fullmatch(text):
        if len(text) > _LONGEST_INTEGER or (value := int(text)) not in _INT64:
            return _TOO_LARGE_INTEGER
        return Fact.INTEGER if abs(value) < _EXACT or int(float(value)) == value else _INEXACT_INTEGER
    if _PADDED.fullmatch(text):
        return Fact.LEADING_ZERO
    if not _FLOAT.fullmatch(text):
        return Fact.TEXT
    number = float(text)
    if math.isinf(number) or (number == 0 and text.lower().partition("e")[0].strip("-0.")):
        return _TOO_LARGE_FRACTION
    if "e" in text.lower() and _integral(text) is not None:
        return Fact.EXPONENT
    return Fact.FRACTION


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a text resembles without being read as it."""

    code: str
    message: str


_LIKENESSES: Final = (
    (
        re.compile(r"-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+),[0-9]+"),
        Likeness("decimal_comma", "the first value has a decimal comma: the column is text"),
    ),
    (
        re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"),
        Likeness("time", "the first value is a day or a moment: text unless declared"),
    ),
)


def looks_like(text: str) -> Likeness | None:
    """What else the text could have been meant as; None when nothing suggests itself."""
    text = text.strip(" \t")
    return next((likeness for pattern, likeness in _LIKENESSES if pattern.fullmatch(text)), None)


def _integral(text: str) -> int | None:
    """The integer that a number in exponent form stands for, exactly; None when it is none within 64 bits."""
    value = Decimal(text)
    if value.adjusted() > 19 or value != value.to_integral_value():
        return None
    number = int(value)
    return number if number in _INT64 else None


def exponent_integer(text: str) -> int:
    """The integer that a text of kind INTEGER or EXPONENT stands for, exactly."""
    return int(Decimal(text.strip(" \t")))


def plan_for(facts: Fact) -> Plan:
    """How a column with such values is converted."""
    if facts & (WORDS | Fact.TOO_LARGE):
        return Plan.TEXT
    if facts & Fact.FRACTION:
        return Plan.TEXT if facts & Fact.INEXACT else Plan.FLOAT
    return Plan.EXPONENT if facts & Fact.EXPONENT else Plan.INTEGER


DECLARED_TYPES: Final = {
    Declared.STRING: pa.string(),
    Declared.INT64: pa.int64(),
    Declared.FLOAT64: pa.float64(),
    Declared.BOOL: pa.bool_(),
    Declared.DATE: pa.date32(),
    Declared.TIMESTAMP: pa.timestamp("us", "UTC"),
}


def _boolean(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


def _exact_integer(text: str) -> int:
    if kind(text) & (Fact.INTEGER | Fact.EXPONENT) and not kind(text) & Fact.TOO_LARGE:
        return int(Decimal(text))
    raise ValueError(text)


def _finite(text: str) -> float:
    facts = kind(text)
    if facts & (WORDS | Fact.TOO_LARGE | Fact.INEXACT):
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


CONVERT: Final[dict[Declared, Callable[[str], Any]]] = {
    Declared.INT64: _exact_integer,
    Declared.FLOAT64: _finite,
    Declared.BOOL: _truth,
    Declared.DATE: _day,
    Declared.TIMESTAMP: _moment,
}
FORMS: Final = {
    Declared.STRING: "any text",
    Declared.INT64: "write integers within 64 bits",
    Declared.FLOAT64: "write finite decimal numbers",
    Declared.BOOL: "write true or false, 1 or 0",
    Declared.DATE: "write dates as 2026-11-23",
    Declared.TIMESTAMP: "write moments as 2026-11-23T04:22:00Z, with their zone",
}
