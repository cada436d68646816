"""Expressions over recorded facts, such as ``metric.auc >= 0.75 and fairness.air >= 0.8 and findings.high = 0``.

One small language says what must hold of something that was recorded. It is parsed once into a frozen tree, whose text
is its normal form, and evaluated over a mapping of facts, as often as wanted. Pure; it never runs what it reads.

The grammar, loosest binding first::

    condition  = term { "or" term }
    term       = factor { "and" factor }
    factor     = "not" factor | "(" condition ")" | test
    test       = name [ comparison | [ "not" ] "in" "(" value { "," value } ")" | "is" ( "present" | "absent" )
                      | "contains" value ]
    comparison = ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) ( value | name )
    value      = number | "text" | true | false | date
    name       = lower-case words joined by dots

A name alone asks whether the fact is true. Logic is three-valued (Kleene): a fact that is not recorded, or that is of
another kind than what it is compared with, makes a test *unknown*, which is neither yes nor no and cannot be negated
into either. Nothing that stands in the facts makes an evaluation raise.

Numbers are exact decimals. A binary float is taken as the shortest decimal text that reads back as the same float, the
number that people see: a measured 0.7 satisfies ``>= 0.7``, although the float lies a little below.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NoReturn

from muniment.errors import Invalid

__all__ = [
    "And",
    "Answer",
    "Comparator",
    "Comparison",
    "Containment",
    "Day",
    "Expression",
    "Literal",
    "Membership",
    "Name",
    "Not",
    "Number",
    "Or",
    "Outcome",
    "Part",
    "Presence",
    "Text",
    "Token",
    "TokenKind",
    "Truth",
    "conjuncts",
    "evaluate",
    "parse",
    "tokenize",
]

LONGEST: Final = 2000
"""Characters of an expression, as it is written and in its normal form."""

DEEPEST: Final = 30
"""Parentheses and negations around a test."""

_MOST_DIGITS: Final = 40
_WIDEST_BITS: Final = 1024
"""An integer fact beyond this is no measurement; it is not compared."""

_SHOWN: Final = 80
"""Characters of a value in a reason."""


class TokenKind(StrEnum):
    """What a piece of an expression is."""

    WORD = "word"
    NAME = "name"
    NUMBER = "number"
    DATE = "date"
    TEXT = "text"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression."""

    kind: TokenKind
    text: str
    """As written; a reserved word in lower case."""

    column: int
    """Where it begins, counted from 1."""

    def __str__(self) -> str:
        """How an error names it."""
        return "the end" if self.kind is TokenKind.END else repr(self.text[:_SHOWN])


_WORDS: Final = frozenset({"and", "or", "not", "in", "is", "present", "absent", "contains", "true", "false"})
"""Reserved: none of them is a name by itself. They are taken in any case."""

_PIECE: Final = re.compile(
    r"""(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9A-Za-z_.]))
      | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?![0-9A-Za-z_.]))
      | (?P<name>[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*(?![A-Za-z0-9_.]))
      | (?P<text>"(?:[^"\\]|\\["\\])*")
      | (?P<sign><=|>=|!=|==|<>|&&|\|\||[=<>(),])""",
    re.VERBOSE,
)
_LOWER: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*")
_FOREIGN: Final = {"==": "=", "<>": "!=", "&&": "and", "||": "or"}
"""What other languages write, and what is written here."""


def tokenize(text: str) -> list[Token]:
    """The pieces of an expression, with an END at the end.

    Raises:
        Invalid: too long, or a character that begins nothing.
    """
    if len(text) > LONGEST:
        _too_long(len(text))
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
            _unexpected(at + 1, _FOREIGN[piece], repr(piece))
        kind = TokenKind(match.lastgroup)
        if kind is TokenKind.NAME and piece.lower() in _WORDS:
            kind, piece = TokenKind.WORD, piece.lower()
        tokens.append(Token(kind, piece, at + 1))
        at = match.end()
    tokens.append(Token(TokenKind.END, "", len(text) + 1))
    return tokens


class Comparator(StrEnum):
    """How a fact is compared."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


_COMPARE: Final[Mapping[Comparator, Callable[[Any, Any], bool]]] = {
    Comparator.EQUAL: operator.eq,
    Comparator.UNEQUAL: operator.ne,
    Comparator.LESS: operator.lt,
    Comparator.AT_MOST: operator.le,
    Comparator.MORE: operator.gt,
    Comparator.AT_LEAST: operator.ge,
}
_EQUALITY: Final = frozenset({Comparator.EQUAL, Comparator.UNEQUAL})


@dataclass(frozen=True, slots=True)
class Number:
    """An exact decimal."""

    value: Decimal

    def __str__(self) -> str:
        """Without an exponent and without zeros that say nothing."""
        text = format(self.value, "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return "0" if text in ("-0", "") else text


@dataclass(frozen=True, slots=True)
class Text:
    """Printable text, compared letter by letter."""

    value: str

    def __str__(self) -> str:
        """In double quotes."""
        return '"' + self.value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Truth:
    """``true`` or ``false``."""

    value: bool

    def __str__(self) -> str:
        """In lower case."""
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Day:
    """A day in UTC."""

    value: date

    def __str__(self) -> str:
        """As ISO 8601."""
        return self.value.isoformat()


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a fact."""

    value: str

    def __str__(self) -> str:
        """The name."""
        return self.value


Literal = Number | Text | Truth | Day


class Expression:
    """A condition on facts: one of the classes below. Equal expressions have the same normal form."""

    __slots__ = ()

    @property
    def names(self) -> frozenset[str]:
        """The facts it asks about."""
        return frozenset(name for test in self.tests() for name in test.asked())

    def tests(self) -> Iterator[Question]:
        """Its tests, from left to right."""
        raise NotImplementedError


class Question(Expression):
    """An expression that asks one thing, and holds no other expression."""

    __slots__ = ()

    def tests(self) -> Iterator[Question]:
        """Itself."""
        yield self

    def asked(self) -> tuple[str, ...]:
        """The names it asks about."""
        raise NotImplementedError

    def answer(self, facts: Mapping[str, object]) -> tuple[Outcome, str]:
        """What comes out, and why."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class And(Expression):
    """All of these hold."""

    parts: tuple[Expression, ...]
    """At least two, none of them an And."""

    def tests(self) -> Iterator[Question]:
        """Those of its parts."""
        for part in self.parts:
            yield from part.tests()

    def __str__(self) -> str:
        """Joined by ``and``; an ``or`` inside stands in parentheses."""
        return " and ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Expression):
    """At least one of these holds."""

    parts: tuple[Expression, ...]
    """At least two, none of them an Or."""

    def tests(self) -> Iterator[Question]:
        """Those of its parts."""
        for part in self.parts:
            yield from part.tests()

    def __str__(self) -> str:
        """Joined by ``or``."""
        return " or ".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class Not(Expression):
    """Its inner expression does not hold."""

    inner: Expression

    def tests(self) -> Iterator[Question]:
        """Those of what it negates."""
        yield from self.inner.tests()

    def __str__(self) -> str:
        """With parentheses where they are needed."""
        return f"not ({self.inner})" if isinstance(self.inner, (And, Or)) else f"not {self.inner}"


@dataclass(frozen=True, slots=True)
class Comparison(Question):
    """A fact stands in this relation to a value, or to another fact."""

    name: str
    comparator: Comparator
    operand: Literal | Name

    def asked(self) -> tuple[str, ...]:
        """One name or two."""
        return (self.name, self.operand.value) if isinstance(self.operand, Name) else (self.name,)

    def answer(self, facts: Mapping[str, object]) -> tuple[Outcome, str]:
        """Compare; unknown when a fact is missing, or when the two are not of one kind."""
        missing = [f"{name} is not recorded" for name in self.asked() if facts.get(name) is None]
        if missing:
            return Outcome.UNKNOWN, "; ".join(missing)
        found = facts[self.name]
        if not isinstance(self.operand, Name):
            outcome, problem = _compared(found, self.comparator, self.operand)
            return outcome, f"{self.name} is {_shown(found)}" + problem
        other = facts[self.operand.value]
        outcome, problem = _compared(found, self.comparator, other)
        return outcome, f"{self.name} is {_shown(found)}; {self.operand} is {_shown(other)}" + problem

    def __str__(self) -> str:
        """``name = value``."""
        return f"{self.name} {self.comparator} {self.operand}"


@dataclass(frozen=True, slots=True)
class Membership(Question):
    """A fact equals one of these values."""

    name: str
    values: tuple[Literal, ...]

    def asked(self) -> tuple[str, ...]:
        """The name."""
        return (self.name,)

    def answer(self, facts: Mapping[str, object]) -> tuple[Outcome, str]:
        """Yes when it equals one; unknown when that cannot be said of one of the others."""
        found = facts.get(self.name)
        if found is None:
            return Outcome.UNKNOWN, f"{self.name} is not recorded"
        tried = [_compared(found, Comparator.EQUAL, value) for value in self.values]
        outcome = _any(one for one, _ in tried)
        problem = next((why for one, why in tried if one is Outcome.UNKNOWN), "")
        return outcome, f"{self.name} is {_shown(found)}" + (problem if outcome is Outcome.UNKNOWN else "")

    def __str__(self) -> str:
        """``name in (a, b)``."""
        return f"{self.name} in ({', '.join(map(str, self.values))})"


@dataclass(frozen=True, slots=True)
class Containment(Question):
    """A fact that is a list holds this value, or a fact that is a text holds this text."""

    name: str
    value: Literal

    def asked(self) -> tuple[str, ...]:
        """The name."""
        return (self.name,)

    def answer(self, facts: Mapping[str, object]) -> tuple[Outcome, str]:
        """Look it up; unknown for what is neither a list nor a text."""
        found = facts.get(self.name)
        if found is None:
            return Outcome.UNKNOWN, f"{self.name} is not recorded"
        why = f"{self.name} is {_shown(found)}"
        if isinstance(found, str) and isinstance(self.value, Text):
            return _outcome(self.value.value in found), why
        if isinstance(found, (list, tuple, set, frozenset)):
            tried = (_compared(one, Comparator.EQUAL, self.value)[0] for one in found)
            return _outcome(any(one is Outcome.YES for one in tried)), why
        return Outcome.UNKNOWN, f"{why}, which holds no {_kind(self.value)}"

    def __str__(self) -> str:
        """``name contains value``."""
        return f"{self.name} contains {self.value}"


@dataclass(frozen=True, slots=True)
class Presence(Question):
    """A fact is recorded, or is not; always yes or no."""

    name: str
    present: bool

    def asked(self) -> tuple[str, ...]:
        """The name."""
        return (self.name,)

    def answer(self, facts: Mapping[str, object]) -> tuple[Outcome, str]:
        """Whether it is there."""
        there = facts.get(self.name) is not None
        why = f"{self.name} is {_shown(facts[self.name])}" if there else f"{self.name} is not recorded"
        return _outcome(there is self.present), why

    def __str__(self) -> str:
        """``name is present``."""
        return f"{self.name} is {'present' if self.present else 'absent'}"


class Outcome(StrEnum):
    """What an expression comes to."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Part:
    """What came out of one test."""

    text: str
    """The test in its normal form."""

    outcome: Outcome
    """Of the test itself, before any ``not`` around it."""

    why: str
    """What was found, or why nothing can be said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an expression came to, and what each of its tests found."""

    outcome: Outcome
    parts: tuple[Part, ...]
    """In the order of the expression."""


def parse(text: str) -> Expression:
    """Read an expression.

    Args:
        text: at most 2,000 characters, in its normal form too, with at most 30 parentheses and negations around a test.

    Raises:
        Invalid: it is not an expression; the facts name the column, what was expected there and what was found.
    """
    reader = _Reader(tokenize(text))
    expression = reader.condition(0)
    reader.expect_end()
    normal = str(expression)
    if len(normal) > LONGEST:
        _too_long(len(normal))
    return expression


def conjuncts(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that must all hold for this one to hold."""
    return expression.parts if isinstance(expression, And) else (expression,)


def evaluate(expression: Expression, facts: Mapping[str, object]) -> Answer:
    """Judge facts by an expression. Raises nothing, whatever stands in the facts.

    Args:
        expression: what must hold.
        facts: values by name: truth values, numbers, texts, dates and moments (also as ISO 8601 text), lists of these.
            None counts as not recorded.

    Example:
        >>> evaluate(parse("metric.auc >= 0.75 and findings.high = 0"), {"metric.auc": 0.81}).outcome
        <Outcome.UNKNOWN: 'unknown'>
    """
    parts: list[Part] = []
    return Answer(_judge(expression, facts, parts), tuple(parts))


def _judge(expression: Expression, facts: Mapping[str, object], parts: list[Part]) -> Outcome:
    """Every test is made, also where the outcome is settled already: the reader wants to see all of them."""
    match expression:
        case And(inner):
            return _negated(_any([_negated(_judge(part, facts, parts)) for part in inner]))
        case Or(inner):
            return _any([_judge(part, facts, parts) for part in inner])
        case Not(inner):
            return _negated(_judge(inner, facts, parts))
        case Question():
            outcome, why = expression.answer(facts)
            parts.append(Part(str(expression), outcome, why))
            return outcome
    raise TypeError(f"{type(expression).__name__} is no expression")


def _any(outcomes: Iterable[Outcome]) -> Outcome:
    """Kleene's or."""
    found = set(outcomes)
    return next((one for one in (Outcome.YES, Outcome.UNKNOWN) if one in found), Outcome.NO)


def _negated(outcome: Outcome) -> Outcome:
    return {Outcome.YES: Outcome.NO, Outcome.NO: Outcome.YES}.get(outcome, Outcome.UNKNOWN)


def _outcome(held: bool) -> Outcome:
    return Outcome.YES if held else Outcome.NO


_Comparable = bool | Decimal | str | date | datetime


def _compared(found: object, comparator: Comparator, other: object) -> tuple[Outcome, str]:
    """The outcome of a comparison, and what is in its way, to be added to what was found."""
    left, right = _plain(found), _plain(other)
    if left is None or right is None:
        return Outcome.UNKNOWN, f", and {_kind(found if left is None else other)} cannot be compared"
    left, right = _aligned(left, right)
    if type(left) is not type(right):
        return Outcome.UNKNOWN, f", {_kind(found)}, and is compared with {_kind(other)}"
    if isinstance(left, (bool, str)) and comparator not in _EQUALITY:
        return Outcome.UNKNOWN, f", and {_kind(found)} is neither less nor more"
    return _outcome(_COMPARE[comparator](left, right)), ""


def _plain(value: object) -> _Comparable | None:
    """What can be compared in a value; None for what cannot: lists, numbers that are none, moments without a zone."""
    match value:
        case Number() | Text() | Truth() | Day():
            return value.value
        case bool():
            return value
        case str():
            return value[:]
        case int():
            return Decimal(value) if value.bit_length() <= _WIDEST_BITS else None
        case float():
            return Decimal(repr(float(value))) if math.isfinite(value) else None
        case Decimal():
            return value if value.is_finite() else None
        case datetime():
            return _in_utc(value)
        case date():
            return value
    return None


def _in_utc(value: datetime) -> datetime | None:
    try:
        return value.astimezone(UTC) if value.tzinfo is not None else None
    except OverflowError:
        return None


def _aligned(left: _Comparable, right: _Comparable) -> tuple[_Comparable, _Comparable]:
    """Both as moments, or both as days in UTC, where both can be read so; else as they are."""
    first, second = _moment(left), _moment(right)
    if first is None or second is None:
        return left, right
    if isinstance(first, datetime) and isinstance(second, datetime):
        return first, second
    return _day(first), _day(second)


_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(?P<time>[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2}))?"
)


def _moment(value: _Comparable) -> date | datetime | None:
    """A day or a moment, also when written as text."""
    if isinstance(value, date):
        return value
    match = _MOMENT.fullmatch(value) if isinstance(value, str) and value.isascii() else None
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match.group()).astimezone(UTC) if match["time"] else date.fromisoformat(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _kind(value: object) -> str:
    """What a value is, in words."""
    match value:
        case Truth() | bool():
            return "a truth value"
        case Day() | date():
            return "a date"
        case Text() | str():
            return "a text"
        case Number() | Decimal() | int() | float():
            return "a number"
        case list() | tuple() | set() | frozenset():
            return "a list"
    return "something else"


def _shown(value: object) -> str:
    """A value as a reason shows it; short, whatever it is."""
    match value:
        case bool():
            text = str(Truth(value))
        case int():
            text = str(value) if value.bit_length() <= _WIDEST_BITS else "a huge integer"
        case float():
            text = repr(float(value))
        case Decimal():
            text = str(value)
        case str():
            text = str(Text(value[: _SHOWN + 1]))
        case date():
            text = value.isoformat()
        case list() | tuple():
            text = ", ".join(_shown(one) for one in value[:4] if not isinstance(one, (list, tuple)))
            text = f"a list of {len(value)}" + (f" ({text})" if text else "")
        case _:
            text = f"of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


class _Reader:
    """Reads tokens by recursive descent, one method a rule of the grammar."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def condition(self, depth: int) -> Expression:
        """Terms joined by ``or``."""
        parts = [self._term(depth)]
        while self._take("or"):
            parts.append(self._term(depth))
        flat = [one for part in parts for one in (part.parts if isinstance(part, Or) else (part,))]
        return Or(tuple(flat)) if len(flat) > 1 else flat[0]

    def expect_end(self) -> None:
        """Nothing is left."""
        if self._next.kind is not TokenKind.END:
            self._fail("'and', 'or' or the end")

    def _term(self, depth: int) -> Expression:
        """Factors joined by ``and``."""
        parts = [self._factor(depth)]
        while self._take("and"):
            parts.append(self._factor(depth))
        flat = [one for part in parts for one in (part.parts if isinstance(part, And) else (part,))]
        return And(tuple(flat)) if len(flat) > 1 else flat[0]

    def _factor(self, depth: int) -> Expression:
        if depth > DEEPEST:
            raise Invalid(
                "MUNI-K122",
                f"the expression is nested deeper than {DEEPEST}",
                column=self._next.column,
                deepest=DEEPEST,
            )
        if self._take("not"):
            return Not(self._factor(depth + 1))
        if self._take("("):
            inner = self.condition(depth + 1)
            self._require(")")
            return inner
        return self._test()

    def _test(self) -> Expression:
        name = self._name("a name, 'not' or '('")
        token = self._next
        if token.kind is TokenKind.SIGN and token.text in _COMPARATORS:
            self._at += 1
            return Comparison(name, Comparator(token.text), self._operand())
        if self._take("is"):
            if self._take("present"):
                return Presence(name, True)
            self._require("absent", "'present' or 'absent'")
            return Presence(name, False)
        if self._take("contains"):
            return Containment(name, self._literal("a value"))
        if self._take("in"):
            return self._membership(name)
        if self._take("not"):
            self._require("in")
            return Not(self._membership(name))
        return Comparison(name, Comparator.EQUAL, Truth(True))

    def _membership(self, name: str) -> Membership:
        self._require("(")
        values = [self._literal("a value")]
        while self._take(","):
            values.append(self._literal("a value"))
        self._require(")", "',' or ')'")
        return Membership(name, tuple(values))

    def _operand(self) -> Literal | Name:
        if self._next.kind is TokenKind.NAME:
            return Name(self._name("a name"))
        return self._literal("a value or a name")

    def _literal(self, expected: str) -> Literal:
        token = self._next
        self._at += 1
        match token.kind:
            case TokenKind.NUMBER:
                if sum(map(str.isdigit, token.text)) > _MOST_DIGITS:
                    _no_value(token, f"a number has at most {_MOST_DIGITS} digits")
                return Number(Decimal(token.text))
            case TokenKind.DATE:
                try:
                    return Day(date.fromisoformat(token.text))
                except ValueError:
                    _no_value(token, "there is no such day")
            case TokenKind.TEXT:
                value = re.sub(r"\\(.)", r"\1", token.text[1:-1])
                if not value.isprintable():
                    _no_value(token, "a text holds printable characters only")
                return Text(value)
            case TokenKind.WORD if token.text in ("true", "false"):
                return Truth(token.text == "true")
        self._at -= 1
        return self._fail(expected)

    def _name(self, expected: str) -> str:
        token = self._next
        if token.kind is not TokenKind.NAME:
            self._fail(expected)
        if not _LOWER.fullmatch(token.text):
            self._fail(f"a name in lower case, such as {token.text.lower()[:_SHOWN]!r}")
        self._at += 1
        return token.text

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self, text: str) -> bool:
        """Whether this word or sign comes next; goes past it."""
        there = self._next.text == text and self._next.kind in (TokenKind.WORD, TokenKind.SIGN)
        self._at += there
        return there

    def _require(self, text: str, expected: str | None = None) -> None:
        if not self._take(text):
            self._fail(expected or repr(text))

    def _fail(self, expected: str) -> NoReturn:
        _unexpected(self._next.column, expected, str(self._next))


_COMPARATORS: Final = frozenset(map(str, Comparator))


def _unexpected(column: int, expected: str, found: str) -> NoReturn:
    raise Invalid(
        "MUNI-K124",
        f"the expression is not understood at column {column}: expected {expected}, found {found}",
        column=column,
        expected=expected,
        found=found,
    )


def _refuse_character(text: str, at: int) -> NoReturn:
    """Say what is wrong with what begins nothing: a text that does not end, or a sign that is not of the language."""
    if text[at] == '"':
        _unexpected(len(text) + 1, '\'"\' at the end of a text (a text holds \\" and \\\\ for " and \\)', "the end")
    if text[at] == "'":
        _unexpected(at + 1, 'a text in double quotes, such as "approved"', repr("'"))
    word = re.match(r"[^\s()=<>!,]{1,80}", text[at:])
    found = word.group() if word else text[at]
    raise Invalid(
        "MUNI-K123",
        f"the expression holds something that is neither a name, a value nor a sign at column {at + 1}: {found!r}",
        column=at + 1,
        found=found,
    )


def _no_value(token: Token, why: str) -> NoReturn:
    raise Invalid(
        "MUNI-K125",
        f"the expression holds no possible value at column {token.column}: {why}",
        column=token.column,
        found=token.text[:_SHOWN],
        reason=why,
    )


def _too_long(length: int) -> NoReturn:
    raise Invalid(
        "MUNI-K121", f"an expression has at most {LONGEST} characters", characters=length, most_characters=LONGEST
    )
