"""The language of search: ``run where metric.auc > 0.78 and input.name = "credit" order by metric.auc desc``.

One query asks for objects of one kind. It is parsed once into a frozen tree, whose text is its normal form; the store
turns the tree into a question with bound values. Pure; it never runs what it reads, and knows nothing of SQL.

The grammar, loosest binding first::

    query      = kind [ "where" condition ] [ "order" "by" key { "," key } ] [ "limit" N ] [ "offset" N ]
    condition  = term { "or" term }
    term       = factor { "and" factor }
    factor     = "not" factor | "(" condition ")" | test | lineage
    test       = field ( comparator value
                       | [ "not" ] "in" "(" value { "," value } ")"
                       | [ "not" ] ( "contains" | "like" | "starts" "with" ) value
                       | "is" ( "present" | "absent" ) )
    lineage    = ( "upstream" | "downstream" ) ( "of" | "contains" ) reference
    comparator = "=" | "!=" | "<" | "<=" | ">" | ">="
    key        = field [ "asc" | "desc" ]
    field      = word { "." ( word | `any text` | "any text" ) }
    value      = number | "text" | word | true | false | day | moment | duration | now [ ( "+" | "-" ) duration ]
    duration   = number and one of s, m, h, d, w, such as 90s or 7d
    reference  = kind:name | kind:name@version | sha256:... | run:...

Logic is three-valued (Kleene). A test of a field that an object does not have is *unknown*: neither the test nor its
negation finds the object, and only ``is absent`` does. The same holds for a value of another kind than what it is
compared with. A field that may have several values, such as ``input.name``, passes a test when one of them does;
``!=`` and every ``not`` ask that none does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NoReturn

from muniment.errors import Invalid
from muniment.kernel.expressions import Comparator, Day, Number, Text, Truth
from muniment.search.kinds import Field, Kind, Type, find_field, kind_of

__all__ = [
    "All",
    "Any",
    "Comparison",
    "Condition",
    "Key",
    "Lineage",
    "Match",
    "Matching",
    "Membership",
    "Moment",
    "Negation",
    "Now",
    "Path",
    "Presence",
    "Query",
    "Span",
    "Value",
    "parse",
]

LONGEST: Final = 4000
"""Characters of a query, as written and in its normal form."""

DEEPEST: Final = 30
"""Parentheses and negations around a test."""

MOST_TESTS: Final = 40
"""Tests in one query."""

MOST_VALUES: Final = 200
"""Values in one list."""

MOST_KEYS: Final = 5
MOST_LIMIT: Final = 10_000
MOST_OFFSET: Final = 10_000_000
_MOST_DIGITS: Final = 40
_SHOWN: Final = 60

_UNITS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LOGIC: Final = ("and", "or", "not", "in", "is", "present", "absent", "contains", "like", "starts", "with")
_CLAUSES: Final = ("where", "order", "by", "asc", "desc", "limit", "offset", "upstream", "downstream", "of")
_WORDS: Final = frozenset({*_LOGIC, *_CLAUSES, "true", "false", "now"})
"""Reserved, in any case: none of them is a field or a text by itself."""

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Sort(StrEnum):
    """What a piece of a query is."""

    WORD = "word"
    FIELD = "field"
    NUMBER = "number"
    SPAN = "span"
    DAY = "day"
    MOMENT = "moment"
    TEXT = "text"
    REFERENCE = "reference"
    SIGN = "sign"
    END = "end"


_QUOTED: Final = r'"(?:[^"\\]|\\["\\])*"'
_PART: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_PIECE: Final = re.compile(
    rf"""(?P<moment>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,6}})?)?Z)
      | (?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?![0-9A-Za-z_.]))
      | (?P<span>[0-9]+(?:\.[0-9]+)?[smhdw](?![0-9A-Za-z_.]))
      | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{{1,3}})?(?![0-9A-Za-z_.]))
      | (?P<reference>(?:sha256|[a-z]{{2,16}}):[A-Za-z0-9_][A-Za-z0-9_./@+-]*)
      | (?P<field>{_PART}(?:\.(?:{_PART}|`[^`]*`|{_QUOTED}))+(?![A-Za-z0-9_.`"]))
      | (?P<word>{_PART}(?![A-Za-z0-9_.`"]))
      | (?P<text>{_QUOTED})
      | (?P<sign><=|>=|!=|==|<>|&&|\|\||[=<>(),+-])""",
    re.VERBOSE | re.ASCII,
)
_PARTS: Final = re.compile(rf"`(?P<tick>[^`]*)`|(?P<quoted>{_QUOTED})|(?P<plain>{_PART})", re.ASCII)
_FOREIGN: Final = {"==": "=", "<>": "!=", "&&": "and", "||": "or"}
"""What other languages write, and what is written here."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of a query."""

    sort: _Sort
    text: str
    column: int
    """Where it begins, counted from 1."""

    def __str__(self) -> str:
        """How an error names it."""
        return "the end" if self.sort is _Sort.END else repr(self.text[:_SHOWN])


@dataclass(frozen=True, slots=True)
class Path:
    """The name of a field: ``status``, or a family and the name in it: ``metric.auc``."""

    head: str
    name: str | None = None

    def __str__(self) -> str:
        """As it is written; a name that is no plain word stands in quotes."""
        if self.name is None:
            return self.head
        return f"{self.head}.{self.name if _PLAIN.fullmatch(self.name) else Text(self.name)}"


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in UTC."""

    value: datetime

    def __str__(self) -> str:
        """As ISO 8601."""
        return self.value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Span:
    """A duration, in seconds."""

    seconds: Decimal

    def __str__(self) -> str:
        """In seconds."""
        return f"{Number(self.seconds)}s"


@dataclass(frozen=True, slots=True)
class Now:
    """The moment of the search, moved by so much."""

    by: Decimal = Decimal(0)
    """Seconds, negative for the past."""

    def __str__(self) -> str:
        """Relative to now."""
        if not self.by:
            return "now"
        return f"now {'-' if self.by < 0 else '+'} {Span(abs(self.by))}"

    def at(self, now: datetime) -> datetime:
        """The moment it means."""
        return now + timedelta(seconds=float(self.by))


Value = Number | Text | Truth | Day | Moment | Span | Now


class Condition:
    """What must hold of an object: one of the classes below."""

    __slots__ = ()

    def tests(self) -> Iterator[Test]:
        """Its tests, from left to right."""
        raise NotImplementedError


class Test(Condition):
    """A condition that asks one thing."""

    __slots__ = ()

    def tests(self) -> Iterator[Test]:
        """Itself."""
        yield self


@dataclass(frozen=True, slots=True)
class All(Condition):
    """All of these hold."""

    parts: tuple[Condition, ...]
    """At least two, none of them an All."""

    def tests(self) -> Iterator[Test]:
        """Those of its parts."""
        for part in self.parts:
            yield from part.tests()

    def __str__(self) -> str:
        """Joined by ``and``."""
        return " and ".join(f"({part})" if isinstance(part, Any) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Any(Condition):
    """At least one of these holds."""

    parts: tuple[Condition, ...]
    """At least two, none of them an Any."""

    def tests(self) -> Iterator[Test]:
        """Those of its parts."""
        for part in self.parts:
            yield from part.tests()

    def __str__(self) -> str:
        """Joined by ``or``."""
        return " or ".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class Negation(Condition):
    """The inner condition does not hold."""

    inner: Condition

    def tests(self) -> Iterator[Test]:
        """Those of what it negates."""
        yield from self.inner.tests()

    def __str__(self) -> str:
        """With parentheses where they are needed."""
        return f"not ({self.inner})" if isinstance(self.inner, (All, Any)) else f"not {self.inner}"


@dataclass(frozen=True, slots=True)
class Comparison(Test):
    """A field stands in this relation to a value."""

    path: Path
    comparator: Comparator
    value: Value

    def __str__(self) -> str:
        """``field = value``."""
        return f"{self.path} {self.comparator} {self.value}"


@dataclass(frozen=True, slots=True)
class Membership(Test):
    """A field equals one of these values."""

    path: Path
    values: tuple[Value, ...]

    def __str__(self) -> str:
        """``field in (a, b)``."""
        return f"{self.path} in ({', '.join(map(str, self.values))})"


class Matching(StrEnum):
    """How a text is looked at."""

    CONTAINS = "contains"
    LIKE = "like"
    """``%`` stands for any text, ``_`` for one character, ``\\`` before either for itself."""

    STARTS = "starts with"


@dataclass(frozen=True, slots=True)
class Match(Test):
    """A text matches, letter by letter; upper and lower case differ."""

    path: Path
    how: Matching
    text: Text

    def __str__(self) -> str:
        """``field contains "text"``."""
        return f"{self.path} {self.how} {self.text}"


@dataclass(frozen=True, slots=True)
class Presence(Test):
    """An object has the field, or has not; always yes or no."""

    path: Path
    present: bool

    def __str__(self) -> str:
        """``field is present``."""
        return f"{self.path} is {'present' if self.present else 'absent'}"


@dataclass(frozen=True, slots=True)
class Lineage(Test):
    """An object lies on the way to something, or comes from it; always yes or no."""

    upstream: bool
    """True: it is part of what the other came from. False: it was made, however far away, from the other."""

    reference: str

    def __str__(self) -> str:
        """``upstream of model:m@1``."""
        return f"{'upstream' if self.upstream else 'downstream'} of {self.reference}"


@dataclass(frozen=True, slots=True)
class Key:
    """What results are ordered by; objects without the field come last either way."""

    path: Path
    descending: bool = False

    def __str__(self) -> str:
        """``field desc``."""
        return f"{self.path} desc" if self.descending else str(self.path)


@dataclass(frozen=True, slots=True)
class Query:
    """A whole question."""

    kind: str
    condition: Condition | None = None
    order: tuple[Key, ...] = ()
    """Ties are broken by what was recorded later, so that an order never changes by itself."""

    limit: int | None = None
    offset: int = 0

    def __str__(self) -> str:
        """The normal form: queries that mean the same tree have the same text."""
        parts = [self.kind]
        if self.condition is not None:
            parts.append(f"where {self.condition}")
        if self.order:
            parts.append(f"order by {', '.join(map(str, self.order))}")
        if self.limit is not None:
            parts.append(f"limit {self.limit}")
        if self.offset:
            parts.append(f"offset {self.offset}")
        return " ".join(parts)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The fields it speaks of, each once, in the order of the text."""
        asked = self.condition.tests() if self.condition is not None else ()
        tested = [test.path for test in asked if isinstance(test, (Comparison, Membership, Match, Presence))]
        return tuple(dict.fromkeys([*tested, *(key.path for key in self.order)]))


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        Invalid: it is not one; the facts name the column, what was expected there, what was found, and where a name is
            not known those that look alike.
    """
    if len(text) > LONGEST:
        raise Invalid(
            "MUNI-Q101", f"a query has at most {LONGEST} characters", characters=len(text), most_characters=LONGEST
        )
    query = _Reader(text, _tokens(text)).query()
    normal = str(query)
    if len(normal) > LONGEST:
        raise Invalid(
            "MUNI-Q101", f"a query has at most {LONGEST} characters", characters=len(normal), most_characters=LONGEST
        )
    return query


def parse_path(text: str, kind: Kind) -> Path:
    """Read the name of a field of a kind, as a column of a result is asked for.

    Raises:
        Invalid: it names no field.
    """
    reader = _Reader(text, _tokens(text))
    reader.kind = kind
    path, _ = reader.field("a field")
    reader.expect_end()
    return path


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _PIECE.match(text, at)
        if match is None or match.lastgroup is None:
            _refuse_character(text, at)
        piece = match.group()
        if piece in _FOREIGN:
            _unexpected(text, at + 1, _FOREIGN[piece], repr(piece))
        tokens.append(_Token(_Sort(match.lastgroup), piece, at + 1))
        at = match.end()
    tokens.append(_Token(_Sort.END, "", len(text) + 1))
    return tokens


class _Cursor:
    """A place among the tokens of a query: looks at the next one, goes past it, or says what was expected there."""

    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        self._text, self._tokens = text, tokens
        self._at = 0

    def expect_end(self, expected: str | None = None) -> None:
        """Nothing is left."""
        if self._next.sort is not _Sort.END:
            self._fail(expected or "'and', 'or', 'order by', 'limit' or the end")

    def _whole(self, what: str, least: int, most: int) -> int:
        token = self._next
        if token.sort is not _Sort.NUMBER or not token.text.isdigit():
            self._fail(f"a whole number after '{what}'")
        if len(token.text) > 12 or not least <= int(token.text) <= most:
            self._no_value(token, f"'{what}' lies between {least} and {most}")
        self._at += 1
        return int(token.text)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, text: str) -> bool:
        """Whether this word or sign comes next; goes past it."""
        token = self._next
        there = token.sort in (_Sort.WORD, _Sort.SIGN) and token.text.lower() == text
        self._at += there
        return there

    def _require(self, text: str, expected: str | None = None) -> None:
        if not self._take(text):
            self._fail(expected or repr(text))

    def _fail(self, expected: str) -> NoReturn:
        _unexpected(self._text, self._next.column, expected, str(self._next))

    def _no_value(self, token: _Token, why: str) -> NoReturn:
        raise Invalid(
            "MUNI-Q105",
            f"the query holds nothing possible at column {token.column}: {why}",
            **_place(self._text, token.column, None, token.text[:_SHOWN]),
            reason=why,
        )

    def _bound(self, what: str, given: int, most: int) -> NoReturn:
        raise Invalid(
            "MUNI-Q106",
            f"a query has at most {most} {what}",
            **_place(self._text, self._next.column, None, str(self._next)),
            given=given,
            most=most,
        )


class _Reader(_Cursor):
    """Reads tokens by recursive descent, one method a rule of the grammar."""

    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        super().__init__(text, tokens)
        self._tests = 0
        self.kind: Kind

    def query(self) -> Query:
        """The whole."""
        self.kind = self._kind()
        condition = self._condition(0) if self._take("where") else None
        order: list[Key] = []
        if self._take("order"):
            self._require("by")
            order.append(self._key())
            while self._take(","):
                order.append(self._key())
            if len(order) > MOST_KEYS:
                self._bound("keys to order by", len(order), MOST_KEYS)
        limit = self._whole("limit", 1, MOST_LIMIT) if self._take("limit") else None
        offset = (self._whole("offset", 0, MOST_OFFSET) if self._take("offset") else None) or 0
        self.expect_end("'where', 'order by', 'limit' or the end" if condition is None else None)
        return Query(self.kind.name, condition, tuple(order), limit, offset)

    def field(self, expected: str) -> tuple[Path, Field]:
        """The name of a field that the kind has."""
        token = self._next
        if token.sort is _Sort.WORD and token.text.lower() not in _WORDS:
            parts = [token.text]
        elif token.sort is _Sort.FIELD:
            parts = _parts(token.text)
        else:
            self._fail(expected)
        head, name = parts[0], ".".join(parts[1:]) if len(parts) > 1 else None
        if name is not None and (not name or len(name) > 200 or not name.isprintable()):
            self._no_value(token, "a name has 1 to 200 printable characters")
        found = find_field(self.kind, head, name)
        if found is None:
            self._unknown_field(token, head, name)
        self._at += 1
        path, field = found
        return Path(*path), field

    def _kind(self) -> Kind:
        token = self._next
        found = kind_of(token.text) if token.sort is _Sort.WORD else None
        if isinstance(found, Kind):
            self._at += 1
            return found
        names = found if found is not None else kind_of("")
        assert isinstance(names, tuple)
        near = difflib.get_close_matches(token.text.lower(), names, n=3, cutoff=0.6)
        raise Invalid(
            "MUNI-Q102",
            "a query begins with what is searched for, such as: run where status = ok",
            **_place(self._text, token.column, "a kind of object", str(token)),
            near=near,
            kinds=list(names),
        )

    def _condition(self, depth: int) -> Condition:
        parts = [self._term(depth)]
        while self._take("or"):
            parts.append(self._term(depth))
        flat = tuple(one for part in parts for one in (part.parts if isinstance(part, Any) else (part,)))
        return Any(flat) if len(flat) > 1 else flat[0]

    def _term(self, depth: int) -> Condition:
        parts = [self._factor(depth)]
        while self._take("and"):
            parts.append(self._factor(depth))
        flat = tuple(one for part in parts for one in (part.parts if isinstance(part, All) else (part,)))
        return All(flat) if len(flat) > 1 else flat[0]

    def _factor(self, depth: int) -> Condition:
        if depth > DEEPEST:
            self._bound("parentheses and negations around a test", depth, DEEPEST)
        if self._take("not"):
            return Negation(self._factor(depth + 1))
        if self._take("("):
            inner = self._condition(depth + 1)
            self._require(")")
            return inner
        self._tests += 1
        if self._tests > MOST_TESTS:
            self._bound("tests", self._tests, MOST_TESTS)
        for word in ("upstream", "downstream"):
            if self._take(word):
                return self._lineage(word == "upstream")
        return self._test()

    def _lineage(self, upstream: bool) -> Condition:
        if self._take("contains"):
            upstream = not upstream  # what is upstream of me contains it: I am downstream of it
        else:
            self._require("of", "'of' or 'contains'")
        if not self.kind.lineage:
            self._fail(f"a field: a {self.kind.name} has no lineage")
        token = self._next
        if token.sort is not _Sort.REFERENCE:
            self._fail("a reference, such as data:credit@1, sha256:… or run:…")
        self._at += 1
        return Lineage(upstream, token.text)

    def _test(self) -> Condition:
        path, field = self.field("a field, 'not' or '('")
        token = self._next
        if token.sort is _Sort.SIGN and token.text in _COMPARATORS:
            self._at += 1
            comparator = Comparator(token.text)
            at = self._next
            value = self._value("a value", field)
            if comparator not in _EQUALITY and not _ordered(field, value):
                self._no_value(at, f"{path} and a text are compared by =, !=, in, contains, like and starts with")
            return Comparison(path, comparator, value)
        if self._take("is"):
            if self._take("present"):
                return Presence(path, True)
            self._require("absent", "'present' or 'absent'")
            return Presence(path, False)
        negated = self._take("not")
        test = self._set_or_text(path, field, negated)
        return Negation(test) if negated else test

    def _set_or_text(self, path: Path, field: Field, negated: bool) -> Condition:
        if self._take("in"):
            self._require("(")
            values = [self._value("a value", field)]
            while self._take(","):
                values.append(self._value("a value", field))
                if len(values) > MOST_VALUES:
                    self._bound("values in a list", len(values), MOST_VALUES)
            self._require(")", "',' or ')'")
            return Membership(path, tuple(values))
        for how in Matching:
            column = self._next
            if self._take(how.split()[0]):
                if how is Matching.STARTS:
                    self._require("with")
                if field.type not in (Type.TEXT, Type.ANY):
                    self._no_value(column, f"{path} is no text: compare it by =, <, > or in")
                return Match(path, how, self._text_value())
        if negated:
            self._fail("'in', 'contains', 'like' or 'starts with'")
        return self._fail("'=', '!=', '<', '<=', '>', '>=', 'in', 'contains', 'like', 'starts with' or 'is'")

    def _text_value(self) -> Text:
        token = self._next
        value = self._literal(token)
        if not isinstance(value, Text):
            self._fail("a text in double quotes")
        if not value.value:
            self._no_value(token, "an empty text is part of every text")
        self._at += 1
        return value

    def _value(self, expected: str, field: Field) -> Value:
        token = self._next
        value = self._literal(token)
        if value is None:
            self._fail(expected)
        self._at += 1
        if isinstance(value, Now):
            value = self._moved(value)
        why = _misfit(field, value)
        if why is not None:
            self._no_value(token, why)
        return _fitted(field, value)

    def _moved(self, value: Now) -> Now:
        for sign in ("-", "+"):
            if self._take(sign):
                token = self._next
                if token.sort is not _Sort.SPAN:
                    self._fail("a duration such as 7d or 90m")
                self._at += 1
                seconds = _span(token.text)
                if seconds > 100 * 365 * 86_400:
                    self._no_value(token, "a hundred years are the most")
                return Now(-seconds if sign == "-" else seconds)
        return value

    def _literal(self, token: _Token) -> Value | None:
        match token.sort:
            case _Sort.NUMBER:
                value = Decimal(token.text)
                if abs(value.adjusted()) >= _MOST_DIGITS or sum(map(str.isdigit, str(Number(value)))) > _MOST_DIGITS:
                    self._no_value(token, f"a number has at most {_MOST_DIGITS} digits, written out")
                return Number(value)
            case _Sort.SPAN:
                return Span(_span(token.text))
            case _Sort.DAY | _Sort.MOMENT:
                try:
                    if token.sort is _Sort.DAY:
                        return Day(date.fromisoformat(token.text))
                    return Moment(datetime.fromisoformat(token.text).astimezone(UTC))
                except ValueError:
                    self._no_value(token, "there is no such moment")
            case _Sort.TEXT:
                value_text = _unquoted(token.text)
                if not value_text.isprintable():
                    self._no_value(token, "a text holds printable characters only")
                return Text(value_text)
            case _Sort.REFERENCE:
                return Text(token.text)
            case _Sort.WORD:
                return _worded(token.text)
        return None

    def _key(self) -> Key:
        path, _ = self.field("a field to order by")
        descending = self._take("desc")
        if not descending:
            self._take("asc")
        return Key(path, descending)

    def _unknown_field(self, token: _Token, head: str, name: str | None) -> NoReturn:
        known = [field.shown for field in self.kind.fields]
        given = head if name is None else f"{head}.{name}"
        plain = [one.replace("NAME", name or "NAME") for one in known]
        near = difflib.get_close_matches(given, plain, n=3, cutoff=0.6)
        if not near and name is not None:
            near = [one.replace("NAME", name) for one in known if one.endswith(".NAME")][:1]
        if not near and name is None:
            near = [f"{one.removesuffix('NAME')}{head}" for one in known if one == "metric.NAME"]
        raise Invalid(
            "MUNI-Q107",
            f"a {self.kind.name} has no field {given[:_SHOWN]!r}",
            **_place(self._text, token.column, "a field", token.text[:_SHOWN]),
            near=near,
            fields=known,
        )


_COMPARATORS: Final = frozenset(map(str, Comparator))
_EQUALITY: Final = frozenset({Comparator.EQUAL, Comparator.UNEQUAL})


def _misfit(field: Field, value: Value) -> str | None:
    """Why a value can never be one of this field; None when it can."""
    match field.type:
        case Type.NUMBER if not isinstance(value, Number):
            return f"{field.shown} is a number"
        case Type.SPAN if not isinstance(value, (Number, Span)):
            return f"{field.shown} is a duration, such as 90s, 5m or 2h"
        case Type.MOMENT if not isinstance(value, (Day, Moment, Now)):
            return f"{field.shown} is a moment, such as 2026-11-23, 2026-11-23T09:00Z or now - 7d"
        case Type.TEXT if not isinstance(value, (Text, Day, Number, Truth)):
            return f"{field.shown} is a text"
        case Type.ANY if not isinstance(value, (Text, Number, Truth, Day)):
            return f"{field.shown} is a number or a text"
    return None


def _fitted(field: Field, value: Value) -> Value:
    """The value in the form that the field has: what is written without quotes is a text where texts stand."""
    if field.type is Type.TEXT and not isinstance(value, Text):
        return Text(str(value))
    if field.type is Type.ANY and isinstance(value, (Truth, Day)):
        return Text(str(value))
    if field.type is Type.SPAN and isinstance(value, Number):
        return Span(value.value)
    return value


def _ordered(field: Field, value: Value) -> bool:
    return field.type is not Type.TEXT and not isinstance(value, Text)


def _worded(word: str) -> Value | None:
    """What a bare word means as a value: itself, unless it is reserved."""
    lowered = word.lower()
    if lowered in ("true", "false"):
        return Truth(lowered == "true")
    if lowered == "now":
        return Now()
    return None if lowered in _WORDS else Text(word)


def _span(text: str) -> Decimal:
    return Decimal(text[:-1]) * _UNITS[text[-1]]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _parts(text: str) -> list[str]:
    """The parts of a dotted name, without their quotes."""
    found = []
    for match in _PARTS.finditer(text):
        quoted = match["quoted"]
        found.append(_unquoted(quoted) if quoted is not None else match["tick"] or match["plain"] or "")
    return found


def _place(text: str, column: int, expected: str | None, found: str) -> dict[str, str | int]:
    """Where in the query something is wrong, with a mark under it."""
    start = max(0, column - 41)
    line = "".join(c if c.isprintable() else " " for c in text[start : start + 80])
    place: dict[str, str | int] = {
        "column": column,
        "found": found,
        "query": line,
        "place": " " * (column - 1 - start) + "^",
    }
    if expected is not None:
        place["expected"] = expected
    return place


def _unexpected(text: str, column: int, expected: str, found: str) -> NoReturn:
    raise Invalid(
        "MUNI-Q103",
        f"the query is not understood at column {column}: expected {expected}, found {found}",
        **_place(text, column, expected, found),
    )


def _refuse_character(text: str, at: int) -> NoReturn:
    """Say what is wrong with what begins nothing."""
    if text[at] == '"':
        _unexpected(text, len(text) + 1, "a '\"' that ends the text from column " + str(at + 1), "the end")
    if text[at] == "'":
        _unexpected(text, at + 1, 'a text in double quotes, such as "credit"', repr("'"))
    word = re.match(r"[^\s()=<>!,]{1,60}", text[at:])
    found = word.group() if word else text[at]
    hint = f"'{found}' in double quotes, or a name with odd letters in quotes: metric.\"val-auc\""
    raise Invalid(
        "MUNI-Q104",
        f"the query holds something that is neither a name, a value nor a sign at column {at + 1}: {found!r}",
        **_place(text, at + 1, hint, found),
    )
