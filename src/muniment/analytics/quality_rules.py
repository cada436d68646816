"""What data are to be like: rules of quality, as somebody declares them. Standard library only.

A rule asks one thing of every row, or of the rows together, and says which share of them has to meet it::

    [[rule]]
    check = "range"           # complete, type, range, allowed, pattern, unique, distinct, holds or fresh
    column = "age"
    min = 18
    max = 120
    threshold = 0.99          # 1 unless said otherwise

Each check belongs to one dimension of data quality (ISO/IEC 25012:2008, sections 5.3.1 and 5.3.2): completeness,
validity, uniqueness, consistency, timeliness.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final

from muniment.errors import Invalid
from muniment.kernel.expressions import Expression, parse

__all__ = ["CHECKS", "DIMENSIONS", "TYPES", "Rule", "column_named", "read_rules"]

CHECKS: Final[Mapping[str, str]] = {
    "complete": "completeness",
    "type": "validity",
    "range": "validity",
    "allowed": "validity",
    "pattern": "validity",
    "unique": "uniqueness",
    "distinct": "uniqueness",
    "holds": "consistency",
    "fresh": "timeliness",
}
"""Each check, and the dimension it belongs to."""

DIMENSIONS: Final = ("completeness", "validity", "uniqueness", "consistency", "timeliness")
TYPES: Final = ("integer", "number", "boolean", "date", "moment", "text")
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "complete": frozenset({"column", "columns"}),
    "type": frozenset({"column", "type"}),
    "range": frozenset({"column", "min", "max"}),
    "allowed": frozenset({"column", "values"}),
    "pattern": frozenset({"column", "pattern"}),
    "unique": frozenset({"column", "columns"}),
    "distinct": frozenset(),
    "holds": frozenset({"expression", "names"}),
    "fresh": frozenset({"column", "max_age_days"}),
}
_COMMON: Final = frozenset({"check", "name", "threshold", "because"})
_MOST: Final = 500
_LONGEST: Final = 400
_MOST_VALUES: Final = 1000
_PLAIN: Final = re.compile(r"[^a-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule."""

    name: str
    check: str
    columns: tuple[str, ...] = ()
    threshold: Fraction = Fraction(1)
    """The share of rows, among those that can be judged, that must meet it."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    expression: Expression | None = None
    because: str | None = None

    @property
    def dimension(self) -> str:
        """The dimension of quality that it is about."""
        return CHECKS[self.check]


def read_rules(document: Mapping[str, Any], columns: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of a document ``{"rule": [{...}]}``.

    Args:
        document: as TOML or JSON gives it.
        columns: the columns of the data.

    Raises:
        Invalid: it is no such document, a rule lacks or has too much, or asks about a column that is not there.
    """
    given = document.get("rule")
    if not isinstance(given, list) or set(document) - {"rule"} or not all(isinstance(one, dict) for one in given):
        raise Invalid(
            "MUNI-J180", "this holds no rules of quality", expected="[[rule]] …", fields=sorted(map(str, document))[:20]
        )
    if len(given) > _MOST:
        raise Invalid("MUNI-J181", f"at most {_MOST} rules are checked at once", given=len(given))
    rules = [_rule(number, one, columns) for number, one in enumerate(given, 1)]
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Invalid("MUNI-J182", f"two rules are called {twice[0][:80]!r}", name=twice[0][:80], do="give them names")
    return tuple(rules)


def column_named(name: str, columns: Sequence[str]) -> str | None:
    """The column that a name in an expression means: itself, or the only one that reads so in lower-case letters.

    >>> column_named("pay_0", ["ID", "PAY_0"])
    'PAY_0'
    """
    if name in columns:
        return name
    alike = [column for column in columns if _PLAIN.sub("_", column.lower()).strip("_") == name]
    return alike[0] if len(alike) == 1 else None


def _rule(number: int, given: Mapping[str, Any], columns: Sequence[str]) -> Rule:
    check = given.get("check")
    if check not in CHECKS:
        raise _wrong(number, "check", check, " | ".join(CHECKS))
    assert isinstance(check, str)
    if strangers := sorted(set(given) - _COMMON - _FIELDS[check]):
        raise _wrong(number, strangers[0], given[strangers[0]], f"no such field with the check {check}")
    about = _columns(number, given, check, columns)
    expression = None
    settings = {name: given[name] for name in _FIELDS[check] - {"column", "columns", "expression"} if name in given}
    if check == "holds":
        text = given.get("expression")
        if not isinstance(text, str):
            raise _wrong(number, "expression", text, "a condition, such as: opened <= closed")
        expression = parse(text)
        about = _asked(number, expression, settings.get("names", {}), columns)
        settings["names"] = dict(zip(sorted(expression.names), about, strict=True))
    else:
        _SETTINGS.get(check, _anything)(number, settings)
    threshold = _share(number, given.get("threshold", 1))
    because = given.get("because")
    if because is not None and (not isinstance(because, str) or len(because) > _LONGEST):
        raise _wrong(number, "because", because, f"a text of at most {_LONGEST} characters")
    name = given.get("name") or _called(check, about, expression, columns)
    if not isinstance(name, str) or len(name) > _LONGEST:
        raise _wrong(number, "name", name, f"a text of at most {_LONGEST} characters")
    return Rule(
        name=name,
        check=check,
        columns=about,
        threshold=threshold,
        settings=settings,
        expression=expression,
        because=because,
    )


def _called(check: str, about: Sequence[str], expression: Expression | None, columns: Sequence[str]) -> str:
    """A name for a rule that has none."""
    if expression is not None:
        return f"holds {expression}"[:200]
    if check == "complete" and list(about) == list(columns):
        return "complete in every column"
    return " ".join([check, *about])[:200]


def _columns(number: int, given: Mapping[str, Any], check: str, columns: Sequence[str]) -> tuple[str, ...]:
    fields = _FIELDS[check]
    several = given.get("columns") if "columns" in fields else None
    single = given.get("column") if "column" in fields else None
    if not fields & {"column", "columns"}:
        return ()
    if several is None and single is None and check == "complete":
        return tuple(columns)
    about = [single] if several is None else several
    if single is not None and several is not None:
        raise _wrong(number, "columns", several, "column or columns, not both")
    if not isinstance(about, list) or not about or not all(isinstance(one, str) for one in about):
        raise _wrong(number, "column", about, "the name of a column")
    if missing := [one for one in about if one not in columns]:
        raise Invalid(
            "MUNI-J183",
            f"rule {number} asks about a column that is not there",
            rule=number,
            column=missing[0][:80],
            known=list(columns)[:50],
            do="correct the name; names are taken exactly",
        )
    return tuple(about)


def _asked(number: int, expression: Expression, names: Any, columns: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(names, dict) or not all(isinstance(one, str) for one in names.values()):
        raise _wrong(number, "names", names, "name = column")
    about = []
    for name in sorted(expression.names):
        wanted = names.get(name)
        column = column_named(name, columns) if wanted is None else (wanted if wanted in columns else None)
        if column is None:
            raise Invalid(
                "MUNI-J183",
                f"rule {number} asks about a column that is not there",
                rule=number,
                column=(wanted or name)[:80],
                known=list(columns)[:50],
                do='correct the name, or say which column it means: names = { x = "The Column" }',
            )
        about.append(column)
    return tuple(about)


def _check_type(number: int, settings: Mapping[str, Any]) -> None:
    if settings.get("type") not in TYPES:
        raise _wrong(number, "type", settings.get("type"), " | ".join(TYPES))


def _check_range(number: int, settings: Mapping[str, Any]) -> None:
    if not settings:
        raise _wrong(number, "min", None, "min, max or both")
    for name, value in settings.items():
        bound = value if isinstance(value, (int, float)) and not isinstance(value, bool) else _moment(value)
        if bound is None or (isinstance(bound, float) and not math.isfinite(bound)):
            raise _wrong(number, name, value, "a number, a day or a moment")


def _check_allowed(number: int, settings: Mapping[str, Any]) -> None:
    values = settings.get("values")
    plain = isinstance(values, list) and all(isinstance(one, (str, int, float, bool)) for one in values)
    if not plain or not 1 <= len(values or []) <= _MOST_VALUES:
        raise _wrong(number, "values", values, f"1 to {_MOST_VALUES} texts, numbers or truth values")


def _check_pattern(number: int, settings: Mapping[str, Any]) -> None:
    pattern = settings.get("pattern")
    if not isinstance(pattern, str) or not 1 <= len(pattern) <= _LONGEST:
        raise _wrong(number, "pattern", pattern, f"a regular expression of at most {_LONGEST} characters")


def _check_fresh(number: int, settings: Mapping[str, Any]) -> None:
    days = settings.get("max_age_days")
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 < days < 100_000:
        raise _wrong(number, "max_age_days", days, "a number of days")


def _anything(number: int, settings: Mapping[str, Any]) -> None:
    """No settings, nothing to check."""


_SETTINGS: Final = {
    "type": _check_type,
    "range": _check_range,
    "allowed": _check_allowed,
    "pattern": _check_pattern,
    "fresh": _check_fresh,
}


def _share(number: int, given: Any) -> Fraction:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given <= 1:
        raise _wrong(number, "threshold", given, "a share above 0, at most 1")
    return Fraction(str(given))


def _moment(value: Any) -> date | datetime | None:
    if isinstance(value, (date, datetime)):
        return value
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _wrong(number: int, name: str, given: Any, expected: str) -> Invalid:
    return Invalid(
        "MUNI-J184",
        f"rule {number} does not do: its field {name[:40]}",
        rule=number,
        field=name[:80],
        given=str(given)[:80],
        expected=expected,
    )
