"""The quality of a table by declared rules: what share of its rows meets each, and whether that is enough. Pure.

Three answers, as everywhere: ``ok``, ``violated``, and ``unknown`` where nothing can be said, because no row could be
judged or because nothing was asked. A null is never a wrong value: it counts against completeness, against the
uniqueness of a key, and nowhere else. Shares are compared with their thresholds exactly.

What is measured of every table, asked or not: completeness by column, and rows that equal an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from muniment.analytics.content import type_name
from muniment.analytics.quality_rules import DIMENSIONS, Rule
from muniment.errors import Invalid
from muniment.kernel.expressions import (
    And,
    Comparator,
    Comparison,
    Containment,
    Expression,
    Literal,
    Membership,
    Name,
    Not,
    Or,
    Presence,
)

__all__ = ["assess"]

FORMAT: Final = "muniment.quality/1"
SHOWN_ROWS: Final = 10
"""Positions of so many offending rows are named, never their values."""

_NUMBER: Final = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_INTEGER: Final = r"^-?(0|[1-9][0-9]*)$"
_DATE: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_MOMENT: Final = _DATE[:-1] + r"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})$"
_COMPARE: Final = {
    Comparator.EQUAL: pc.equal,
    Comparator.UNEQUAL: pc.not_equal,
    Comparator.LESS: pc.less,
    Comparator.AT_MOST: pc.less_equal,
    Comparator.MORE: pc.greater,
    Comparator.AT_LEAST: pc.greater_equal,
}


@dataclass(frozen=True, slots=True)
class _Found:
    """What came out of one rule."""

    held: int
    failed: int
    unknown: int
    rows: tuple[int, ...] = ()
    facts: Mapping[str, Any] | None = None


def assess(table: pa.Table, rules: Sequence[Rule], as_of: datetime) -> dict[str, Any]:
    """The report of a table.

    Args:
        table: the rows.
        rules: what is asked of them.
        as_of: the moment from which ages are counted.

    Raises:
        Invalid: a rule cannot be asked of a column of that type.
    """
    results = [_result(rule, _judged(table, rule, as_of), table.num_rows) for rule in rules]
    by_dimension = {
        name: _together([one["verdict"] for one in results if one["dimension"] == name]) for name in DIMENSIONS
    }
    duplicates = _duplicates(table)
    return {
        "format": FORMAT,
        "rows": table.num_rows,
        "columns": table.num_columns,
        "as_of": as_of.astimezone(UTC).isoformat(),
        "verdict": _together([one["verdict"] for one in results]),
        "dimensions": by_dimension,
        "rules": results,
        "completeness": [
            {"column": name, "nulls": table.column(name).null_count, "share": _share(table, name)}
            for name in table.column_names
            if table.column(name).null_count
        ],
        "complete_columns": sum(1 for name in table.column_names if not table.column(name).null_count),
        "duplicate_rows": duplicates,
    }


def _share(table: pa.Table, name: str) -> float:
    return 1 - table.column(name).null_count / table.num_rows if table.num_rows else 0.0


def _result(rule: Rule, found: _Found, rows: int) -> dict[str, Any]:
    judged = found.held + found.failed
    enough = judged and Fraction(found.held, judged) >= rule.threshold
    verdict = "ok" if enough else "violated" if judged else "unknown"
    return {
        "rule": rule.name,
        "check": rule.check,
        "dimension": rule.dimension,
        "columns": list(rule.columns)[:50],
        "threshold": float(rule.threshold),
        "held": found.held,
        "failed": found.failed,
        "unknown": found.unknown,
        "share": found.held / judged if judged else None,
        "verdict": verdict,
        "first_rows": list(found.rows),
        **({"facts": dict(found.facts)} if found.facts else {}),
        **({"because": rule.because} if rule.because else {}),
    }


def _together(verdicts: Iterable[str]) -> str:
    """Violated when one is; else unknown when one is, or when there is none; else ok."""
    found = set(verdicts)
    if "violated" in found:
        return "violated"
    return "ok" if found == {"ok"} else "unknown"


def _judged(table: pa.Table, rule: Rule, as_of: datetime) -> _Found:
    try:
        if rule.check == "complete":
            return _complete(table, rule)
        if rule.check == "unique":
            return _unique(table, rule.columns)
        if rule.check == "distinct":
            gone = _duplicates(table)
            return _Found(table.num_rows - gone, gone, 0)
        if rule.check == "holds":
            assert rule.expression is not None
            names: Mapping[str, str] = rule.settings["names"]
            return _counted(_holds(rule.expression, {name: table.column(column) for name, column in names.items()}))
        values = table.column(rule.columns[0])
        if rule.check == "fresh":
            return _fresh(values, float(rule.settings["max_age_days"]), as_of)
        return _counted(_VALID[rule.check](values, rule.settings))
    except (pa.ArrowException, TypeError, OverflowError, ValueError) as broken:
        raise Invalid(
            "MUNI-J185",
            f"the rule {rule.name[:80]!r} cannot be asked of these columns",
            rule=rule.name[:200],
            check=rule.check,
            types={name[:80]: type_name(table.column(name).type) for name in rule.columns[:20]},
            reason=str(broken)[:80],
            do="compare numbers with numbers, texts with texts, days with days",
        ) from None


def _counted(outcome: Any) -> _Found:
    """From true, false and null for each row."""
    array = outcome.combine_chunks() if isinstance(outcome, pa.ChunkedArray) else outcome
    held = int(pc.sum(array).as_py() or 0)
    unknown = array.null_count
    failed = len(array) - held - unknown
    rows: tuple[int, ...] = ()
    if failed:
        wrong = np.flatnonzero(pc.fill_null(pc.invert(array), False).to_numpy(zero_copy_only=False))
        rows = tuple(int(one) + 1 for one in wrong[:SHOWN_ROWS])
    return _Found(held, failed, unknown, rows)


def _complete(table: pa.Table, rule: Rule) -> _Found:
    """Rows without a null in any of the columns; with one column, its values."""
    there: Any = None
    for name in rule.columns:
        valid = pc.is_valid(table.column(name))
        there = valid if there is None else pc.and_(there, valid)
    return _counted(there)


def _unique(table: pa.Table, columns: Sequence[str]) -> _Found:
    """Rows whose key no other row has, and is whole; all rows of a key that stands twice count as failed."""
    frame = pl.from_arrow(table.select(list(columns)))
    assert isinstance(frame, pl.DataFrame)
    whole = ~frame.select(pl.any_horizontal(pl.all().is_null())).to_series()
    good = whole & ~frame.is_duplicated()
    found = _counted(pa.array(good.to_numpy()))
    repeated = int((whole & frame.is_duplicated()).sum())
    return _Found(
        found.held, found.failed, 0, found.rows, {"repeated": repeated, "without_key": len(frame) - int(whole.sum())}
    )


def _duplicates(table: pa.Table) -> int:
    """Rows that equal an earlier row."""
    if not table.num_columns:
        return 0
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return len(frame) - int(frame.n_unique())


def _typed(values: Any, settings: Mapping[str, Any]) -> Any:
    kind, wanted = values.type, settings["type"]
    if pa.types.is_string(kind) and wanted != "text":
        patterns = {"integer": _INTEGER, "number": _NUMBER, "boolean": "^(true|false|0|1)$", "date": _DATE}
        return pc.match_substring_regex(values, patterns.get(wanted, _MOMENT))
    fits = {
        "integer": pa.types.is_integer(kind),
        "number": pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind),
        "boolean": pa.types.is_boolean(kind),
        "date": pa.types.is_date(kind),
        "moment": pa.types.is_timestamp(kind),
        "text": pa.types.is_string(kind),
    }[wanted]
    if wanted == "number" and pa.types.is_floating(kind):
        return pc.is_finite(values)
    return pc.if_else(pc.is_valid(values), fits, pa.scalar(None, pa.bool_()))


def _in_range(values: Any, settings: Mapping[str, Any]) -> Any:
    outcome: Any = pc.if_else(pc.is_valid(values), True, pa.scalar(None, pa.bool_()))
    for name, compare in (("min", pc.greater_equal), ("max", pc.less_equal)):
        if name in settings:
            left, right = _sides(values, settings[name])
            outcome = pc.and_kleene(outcome, compare(left, right))
    return outcome


def _is_allowed(values: Any, settings: Mapping[str, Any]) -> Any:
    outcome: Any = pc.if_else(pc.is_valid(values), False, pa.scalar(None, pa.bool_()))
    for value in settings["values"]:
        left, right = _sides(values, value)
        outcome = pc.or_kleene(outcome, pc.equal(left, right))
    return outcome


def _matches(values: Any, settings: Mapping[str, Any]) -> Any:
    if not pa.types.is_string(values.type):
        raise TypeError("a pattern is asked of texts")
    return pc.match_substring_regex(values, f"^(?:{settings['pattern']})$")


_VALID: Final = {"type": _typed, "range": _in_range, "allowed": _is_allowed, "pattern": _matches}


def _fresh(values: Any, most_days: float, as_of: datetime) -> _Found:
    """One question to all rows together: how old the newest event is. One that lies ahead is no proof of freshness."""
    if not (pa.types.is_date(values.type) or pa.types.is_timestamp(values.type)):
        raise TypeError("an age is asked of days or moments")
    newest, oldest = pc.max(values).as_py(), pc.min(values).as_py()
    if newest is None:
        return _Found(0, 0, 1, facts={"newest": None})
    age = (as_of.astimezone(UTC) - _utc(newest)).total_seconds() / 86_400
    good = 0 <= age <= most_days if isinstance(newest, datetime) else -1 < age <= most_days + 1
    facts = {
        "newest": newest.isoformat(), "oldest": oldest.isoformat(),
        "age_days": round(age, 3), "max_age_days": most_days,
        "ahead": age < (0 if isinstance(newest, datetime) else -1),
    }  # fmt: skip
    return _Found(int(good), int(not good), 0, facts=facts)


def _utc(value: date | datetime) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def _holds(expression: Expression, columns: Mapping[str, Any]) -> Any:
    """The expression for every row at once, in Kleene's logic: a null makes a test unknown."""
    match expression:
        case And(parts):
            return _folded(pc.and_kleene, [_holds(part, columns) for part in parts])
        case Or(parts):
            return _folded(pc.or_kleene, [_holds(part, columns) for part in parts])
        case Not(inner):
            return pc.invert(_holds(inner, columns))
        case Comparison(name, comparator, operand):
            other = columns[operand.value] if isinstance(operand, Name) else operand
            left, right = _sides(columns[name], other)
            return _COMPARE[comparator](left, right)
        case Membership(name, values):
            return _folded(pc.or_kleene, [pc.equal(*_sides(columns[name], value)) for value in values])
        case Containment(name, value):
            return pc.match_substring(columns[name], str(value.value))
        case Presence(name, present):
            valid = pc.is_valid(columns[name])
            return valid if present else pc.invert(valid)
    raise TypeError(f"{type(expression).__name__} cannot be asked of rows")


def _folded(join: Any, parts: list[Any]) -> Any:
    outcome = parts[0]
    for part in parts[1:]:
        outcome = join(outcome, part)
    return outcome


def _sides(values: Any, other: Any) -> tuple[Any, Any]:
    """A column and what it is compared with, in one type that holds both exactly.

    Raises:
        TypeError: they are of different kinds.
    """
    if isinstance(other, (pa.ChunkedArray, pa.Array)):
        left, right = _family(values.type), _family(other.type)
        if left != right:
            raise TypeError(f"{values.type} is not compared with {other.type}")
        if left == "number" and values.type != other.type:
            exact = all(pa.types.is_integer(one.type) for one in (values, other))
            kind = pa.int64() if exact else pa.float64()
            return values.cast(kind, safe=False), other.cast(kind, safe=False)
        if left == "time" and values.type != other.type:
            return values.cast(pa.timestamp("us")), other.cast(pa.timestamp("us"))
        return values, other
    plain = other.value if isinstance(other, Literal) else other
    family = _family(values.type)
    if isinstance(plain, bool):
        wanted = "truth"
    elif isinstance(plain, (int, float, Decimal)):
        wanted = "number"
    elif isinstance(plain, (date, datetime)) or (family == "time" and isinstance(plain, str)):
        wanted = "time"
    else:
        wanted = "text"
    if family != wanted:
        raise TypeError(f"{values.type} is not compared with a {wanted}")
    if wanted == "time":
        return _moments(values, plain)
    if wanted == "number":
        return _numbers(values, Decimal(str(plain)))
    return values, pa.scalar(plain)


def _numbers(values: Any, bound: Decimal) -> tuple[Any, Any]:
    whole = bound == bound.to_integral_value() and abs(bound) < 2**63
    if pa.types.is_integer(values.type) and whole:
        return values.cast(pa.int64()), pa.scalar(int(bound), pa.int64())
    if pa.types.is_decimal(values.type):
        return values, pa.scalar(bound)
    return values.cast(pa.float64(), safe=False), pa.scalar(float(bound), pa.float64())


def _moments(values: Any, bound: Any) -> tuple[Any, Any]:
    moment = datetime.fromisoformat(bound) if isinstance(bound, str) else bound
    if pa.types.is_date(values.type):
        only = moment.date() if isinstance(moment, datetime) else moment
        return values.cast(pa.date32()), pa.scalar(only, pa.date32())
    return values.cast(pa.timestamp("us", values.type.tz)), pa.scalar(
        _utc(moment) if values.type.tz else _utc(moment).replace(tzinfo=None), pa.timestamp("us", values.type.tz)
    )


def _family(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "truth"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "time"
    return "text"
