"""MLflow's filter language, parsed once into clauses: ``metrics.auc > 0.7 and tags.team = 'risk'``. Pure.

Source: MLflow's documentation of ``search_runs``, ``search_experiments``, ``search_registered_models``,
``search_model_versions`` and ``search_logged_models``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from muniment.errors import Invalid

__all__ = ["Clause", "Sorting", "matches", "offset_of", "order", "pages", "parse", "token_of"]

T = TypeVar("T")

_LONGEST: Final = 16_384
_MOST: Final = 50
_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<quoted>`[^`]+`)
    | (?P<op>!=|<>|>=|<=|=|<|>)
    | (?P<mark>[(),.])
    | (?P<word>[A-Za-z_][\w/:\-]*)
    )""",
    re.VERBOSE,
)
_KINDS: Final = {
    "metric": "metric",
    "metrics": "metric",
    "param": "param",
    "params": "param",
    "parameter": "param",
    "parameters": "param",
    "tag": "tag",
    "tags": "tag",
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "run": "attribute",
    "dataset": "dataset",
    "datasets": "dataset",
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison."""

    of: str
    """metric, param, tag, attribute or dataset."""

    name: str
    op: str
    """One of = != > >= < <= like ilike in, not in, is null, is not null."""

    value: str | float | list[str] | None


@dataclass(frozen=True, slots=True)
class Sorting:
    """One thing to order by."""

    of: str
    name: str
    descending: bool


def parse(text: str | None) -> list[Clause]:
    """The clauses of a filter, all of which must hold.

    Raises:
        Invalid: it is none; the facts say where and what was expected.
    """
    if not text or not text.strip():
        return []
    reader = _Reader(text)
    clauses = [_clause(reader)]
    while not reader.done:
        reader.word("and")
        clauses.append(_clause(reader))
        if len(clauses) > _MOST:
            raise Invalid("MUNI-Y101", f"a filter has at most {_MOST} comparisons", most=_MOST)
    return clauses


def order(texts: Iterable[str]) -> list[Sorting]:
    """What ``order_by`` asks for: ``metrics.auc DESC``; raises Invalid when it does not have that form."""
    found = []
    for text in texts:
        reader = _Reader(text)
        of, name = _key(reader)
        direction = "" if reader.done else reader.take("word", "ASC or DESC").lower()
        if direction not in ("", "asc", "desc") or not reader.done:
            raise reader.expected("ASC or DESC")
        found.append(Sorting(of, name, direction == "desc"))
    return found


def matches(clauses: Sequence[Clause], value_of: Callable[[str, str], Any]) -> bool:
    """Whether all clauses hold of a thing.

    Args:
        clauses: the comparisons.
        value_of: the thing's value of a kind and name; None where it has none.
    """
    return all(_holds(clause, value_of(clause.of, clause.name)) for clause in clauses)


def pages(found: Sequence[T], limit: int, token: str | None) -> tuple[list[T], str | None]:
    """One page of a list, and the token of the next."""
    start = offset_of(token)
    end = start + limit
    return list(found[start:end]), token_of(end) if end < len(found) else None


def token_of(offset: int) -> str:
    """The token of the page that begins at an offset."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def offset_of(token: str | None) -> int:
    """The offset that a page token stands for; raises Invalid when it is none of ours."""
    if not token:
        return 0
    try:
        offset = json.loads(base64.b64decode(token, validate=True))["offset"]
        if isinstance(offset, int) and not isinstance(offset, bool) and 0 <= offset <= 10_000_000:
            return offset
    except (binascii.Error, ValueError, KeyError, TypeError):
        pass
    raise Invalid("MUNI-Y102", "not a page token of this server", given=token[:80])


class _Reader:
    """Reads a filter token by token."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise Invalid("MUNI-Y103", "a filter is too long", length=len(text), most=_LONGEST)
        self._text, self._at = text, 0

    @property
    def done(self) -> bool:
        """Whether nothing but blanks is left."""
        return not self._text[self._at :].strip()

    def peek(self) -> tuple[str, str]:
        """Kind and text of the next token; empty at the end."""
        found = _TOKEN.match(self._text, self._at)
        if found is None or self.done:
            return "", ""
        return str(found.lastgroup), found[str(found.lastgroup)]

    def take(self, kind: str, what: str) -> str:
        """The next token, which is of this kind."""
        found = _TOKEN.match(self._text, self._at)
        if found is None or found.lastgroup != kind:
            raise self.expected(what)
        self._at = found.end()
        return found[kind]

    def word(self, word: str) -> None:
        """Read over a word."""
        if self.peek()[1].lower() != word:
            raise self.expected(word.upper() if word.isalpha() else word)
        self.take(self.peek()[0], word)

    def tail(self) -> str:
        """The rest of a name that goes on without blanks: names of metrics may hold dots and more."""
        found = re.compile(r"[^\s=!<>(),'\"`]+").match(self._text, self._at)
        if found is None:
            raise self.expected("a name")
        self._at = found.end()
        return found[0]

    def expected(self, what: str) -> Invalid:
        """The error that says where the text stops being a filter."""
        at = len(self._text) - len(self._text[self._at :].lstrip())
        return Invalid(
            "MUNI-Y104",
            f"the filter is not understood at character {at + 1}: expected {what}, found {self._text[at : at + 20]!r}",
            filter=self._text[:500],
            at=at,
            expected=what,
            do="write comparisons joined by AND, such as metrics.auc > 0.7 and params.depth = '5'",
        )


def _key(reader: _Reader) -> tuple[str, str]:
    kind, text = reader.peek()
    if kind not in ("word", "quoted"):
        raise reader.expected("what is compared, such as metrics.auc")
    reader.take(kind, "a name")
    if kind == "word" and text.lower() in _KINDS and reader.peek() == ("mark", "."):
        reader.take("mark", ".")
        kind_next, name = reader.peek()
        if kind_next == "quoted":
            reader.take("quoted", "a name")
            return _KINDS[text.lower()], name[1:-1]
        if kind_next == "text":
            reader.take("text", "a name")
            return _KINDS[text.lower()], _unquoted(name)
        return _KINDS[text.lower()], reader.tail()
    return "attribute", text.strip("`")


def _clause(reader: _Reader) -> Clause:
    of, name = _key(reader)
    kind, text = reader.peek()
    if kind == "op":
        reader.take("op", "a comparison")
        return Clause(of, name, "!=" if text == "<>" else text, _literal(reader))
    word = text.lower() if kind == "word" else ""
    if word in ("like", "ilike"):
        reader.take("word", word)
        return Clause(of, name, word, _unquoted(reader.take("text", "a pattern in quotes")))
    if word == "is":
        reader.take("word", "is")
        negated = reader.peek()[1].lower() == "not"
        if negated:
            reader.take("word", "not")
        reader.word("null")
        return Clause(of, name, "is not null" if negated else "is null", None)
    negated = word == "not"
    if negated:
        reader.take("word", "not")
    if reader.peek()[1].lower() != "in":
        raise reader.expected("a comparison: = != > >= < <= LIKE ILIKE IN IS NULL")
    reader.take("word", "in")
    return Clause(of, name, "not in" if negated else "in", _list(reader))


def _literal(reader: _Reader) -> str | float:
    kind, text = reader.peek()
    if kind == "number":
        reader.take("number", "a number")
        return float(text)
    if kind == "text":
        reader.take("text", "a text")
        return _unquoted(text)
    raise reader.expected("a number, or a text in quotes")


def _list(reader: _Reader) -> list[str]:
    reader.word("(")
    texts = [_unquoted(reader.take("text", "a text in quotes"))]
    while reader.peek()[1] == ",":
        reader.word(",")
        texts.append(_unquoted(reader.take("text", "a text in quotes")))
    reader.word(")")
    return texts


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _holds(clause: Clause, value: Any) -> bool:  # noqa: PLR0912 - one branch for each comparison
    if clause.op == "is null":
        return value is None
    if clause.op == "is not null":
        return value is not None
    if value is None:
        return False
    wanted: Any = clause.value
    if isinstance(value, int | float) and not isinstance(wanted, list):
        try:
            wanted = float(wanted)
        except (TypeError, ValueError):
            raise Invalid(
                "MUNI-Y105", "this is compared with a number", name=clause.name, given=str(clause.value)[:80]
            ) from None
    elif isinstance(value, str) and isinstance(wanted, float):
        raise Invalid("MUNI-Y106", "this is compared with a text in quotes", name=clause.name, given=str(clause.value))
    match clause.op:
        case "=":
            return bool(value == wanted)
        case "!=":
            return bool(value != wanted)
        case ">":
            return bool(value > wanted)
        case ">=":
            return bool(value >= wanted)
        case "<":
            return bool(value < wanted)
        case "<=":
            return bool(value <= wanted)
        case "in":
            return str(value) in wanted
        case "not in":
            return str(value) not in wanted
        case _:
            fold = str.lower if clause.op == "ilike" else str
            return _like(fold(str(value)), fold(str(wanted)))


def _like(text: str, pattern: str) -> bool:
    """Whether a text has the form of a pattern with ``%`` and ``_``; in time that no pattern can blow up."""
    at = within = 0
    star, resumed = -1, 0
    while at < len(text):
        if within < len(pattern) and pattern[within] == "%":
            star, resumed = within, at
            within += 1
        elif within < len(pattern) and pattern[within] in ("_", text[at]):
            at, within = at + 1, within + 1
        elif star >= 0:
            resumed += 1
            at, within = resumed, star + 1
        else:
            return False
    return not pattern[within:].strip("%")
