"""Control catalogues: what a supervisor asks of a model, item by item, and the query that answers it. Pure.

A catalogue is one file, a version of it is another file, and neither is code: guidance changes faster than software.
What is shipped lies in ``catalogues/`` as ``ID@VERSION.toml``; an institution publishes its own in the same form.

A file is read strictly. An unknown key, a broken query, a query about a fact that no model can have, an id that stands
twice: each is refused with the place where it stands, because an item that cannot be judged would look unanswered
forever, and nobody would know why.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final, NoReturn

from muniment.errors import Invalid, NotFound
from muniment.inventory.facts.fact import near
from muniment.inventory.model import RecordKind
from muniment.kernel.digest import Digest
from muniment.kernel.expressions import Expression, parse

__all__ = [
    "REPORT_FACTS",
    "Answerable",
    "Catalogue",
    "Catalogues",
    "Confidence",
    "Item",
    "check_successor",
    "read",
    "shipped",
]

FORMAT: Final = "muniment.catalogue/1"
LARGEST: Final = 256 * 1024
"""Bytes of a catalogue file."""

MOST_ITEMS: Final = 500
_LONGEST: Final = 4000
"""Characters of a text."""

_MOST_DOTS: Final = 100
"""On a line: a key of n parts costs TOML's reader memory of n squared, and one of 100,000 parts all there is."""

_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHOWN: Final = 120

REPORT_FACTS: Final[Mapping[str, str]] = {
    "report.catalogue": "id of the catalogue that the report is made by",
    "report.version": "version of that catalogue",
    "report.effective_from": "day from which the catalogue applies",
    "report.checkpoint": "entries of the ledger that the report rests on",
}
"""What a query may ask of the report itself, besides what it may ask of the model."""

SOURCES: Final = frozenset(
    {
        *(kind.value for kind in RecordKind),
        *("data", "environment", "evaluation", "explanation", "fairness report", "keys", "ledger", "lineage"),
        *("policies", "report", "reproduction", "run", "witness"),
    }
)
"""What an item may rest on: kinds of inventory records, and what else the platform keeps."""

CODES: Final = frozenset(
    {
        *("APP", "AUD", "CAP", "CFG", "DEP", "DS", "EXC", "EXP", "EXT", "FAIR", "FEA", "HIL", "INC"),
        *("KEY", "LIN", "MDOC", "MOD", "MON", "OUT", "OVR", "POL", "REP", "RET", "RUN", "SBOM", "VAL"),
    }
)
"""Short names of the kinds of evidence that requirements speak of; docs/explanation/control-catalogues.md explains."""


class Confidence(StrEnum):
    """Whether the reference of an item was compared with its source."""

    CHECKED = "checked"
    """The numbering agrees with a machine-readable text or a publication that was read."""

    MEMORY = "memory"
    """Written from memory: look it up before quoting it."""

    UNRECORDED = "unrecorded"
    """Nobody recorded a comparison: look it up before quoting it."""


class Answerable(StrEnum):
    """How far records can answer an item at best."""

    FULLY = "fully"
    IN_PART = "in part"
    """There is a query, and a gap that it does not show."""

    OPEN = "open"
    """No query can answer it with what is recorded today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One requirement, in our own words, and how records answer it."""

    id: str
    """Unique in the catalogue."""

    reference: str
    """Where it stands in the source."""

    title: str
    text: str
    confidence: Confidence
    query: Expression | None
    """What must hold of a model; None when no query can answer it."""

    gap: str
    """What the query does not show; empty when it shows everything. An item with a gap is answered in part at best."""

    open: str
    """Why no query can answer it; empty when there is one."""

    records: tuple[str, ...]
    """Kinds of records that answer it."""

    evidence: tuple[str, ...]
    """Short names of the evidence that the requirement speaks of."""

    @property
    def answerable(self) -> Answerable:
        """How far records can answer it at best."""
        if self.query is None:
            return Answerable.OPEN
        return Answerable.IN_PART if self.gap else Answerable.FULLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """One version of what a supervisor asks."""

    id: str
    version: int
    """From 1 on."""

    title: str
    issuer: str
    effective_from: date
    superseded_by: str | None
    """Id of the catalogue that took its place."""

    status: str
    """How firm it is, and what is not known about it."""

    sources: tuple[str, ...]
    items: tuple[Item, ...]
    digest: Digest = field(compare=False)
    """Of the bytes it was read from."""

    @property
    def name(self) -> str:
        """``id@version``."""
        return f"{self.id}@{self.version}"


class Catalogues:
    """Every version of every catalogue that is known in a project."""

    def __init__(self, known: Iterable[Catalogue]) -> None:
        self._known: dict[str, dict[int, Catalogue]] = {}
        for catalogue in known:
            self._known.setdefault(catalogue.id, {})[catalogue.version] = catalogue

    def newest(self) -> tuple[Catalogue, ...]:
        """The newest version of each, those in force first, by id."""
        newest = [versions[max(versions)] for versions in self._known.values()]
        return tuple(sorted(newest, key=lambda one: (one.superseded_by is not None, one.id)))

    def versions(self, id_: str) -> tuple[int, ...]:
        """The versions of one, oldest first; none when it is not known."""
        return tuple(sorted(self._known.get(id_, {})))

    def get(self, reference: str) -> Catalogue:
        """The catalogue of a reference, ``ID`` for its newest version or ``ID@VERSION``.

        Raises:
            NotFound: there is none; the fact ``near`` names those that look like it.
        """
        id_, _, version = reference.partition("@")
        versions = self._known.get(id_, {})
        if versions and not version:
            return versions[max(versions)]
        if version.isdecimal() and version.isascii() and len(version) < 10 and int(version) in versions:
            return versions[int(version)]
        close = [f"{id_}@{one}" for one in sorted(versions)] or difflib.get_close_matches(id_, self._known, 3, 0.4)
        raise NotFound(
            "MUNI-E250",
            f"there is no control catalogue {reference[:_SHOWN]!r}",
            catalogue=reference[:_SHOWN],
            near=close,
            do="muni catalogue list",
        )


@cache
def shipped() -> tuple[Catalogue, ...]:
    """The catalogues that come with the product, by name."""
    folder = files("muniment.evidence") / "catalogues"
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    catalogues = tuple(read(one.read_bytes(), one.name) for one in found)
    ids = {one.id for one in catalogues}
    for catalogue in catalogues:
        check_successor(catalogue, ids)
    return catalogues


def check_successor(catalogue: Catalogue, known: Iterable[str]) -> None:
    """What took a catalogue's place must be known.

    Raises:
        Invalid: it is not.
    """
    if catalogue.superseded_by is not None and catalogue.superseded_by not in set(known):
        raise Invalid(
            "MUNI-E154",
            f"the catalogue {catalogue.name} is superseded by {catalogue.superseded_by!r}, which nobody knows",
            catalogue=catalogue.name,
            superseded_by=catalogue.superseded_by,
            do="publish that catalogue first",
        )


def read(content: bytes, file: str) -> Catalogue:
    """Read a catalogue file.

    Args:
        content: TOML of at most 256 KiB.
        file: its name, for errors.

    Raises:
        Invalid: it is not TOML, or it breaks a rule; the facts name the file, the item, the key and what was found.
    """
    if len(content) > LARGEST:
        _unreadable(file, f"it is larger than {LARGEST} bytes")
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.count(b".") > _MOST_DOTS:
            _unreadable(file, f"line {number} has more than {_MOST_DOTS} dots")
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as broken:
        _unreadable(file, str(broken) or "it is nested too deep")
    whole = _Table(document, file, "the catalogue")
    whole.only({*_HEAD, "item"})
    if whole.text("format") != FORMAT:
        whole.refuse("format", f"this release reads {FORMAT!r}")
    items = tuple(_item(one) for one in whole.tables("item"))
    _unique(whole, "id", [item.id for item in items])
    _unique(whole, "reference", [item.reference for item in items])
    successor = whole.id("superseded_by") if "superseded_by" in document else None
    if successor == document.get("id"):
        whole.refuse("superseded_by", "it is superseded by itself")
    return Catalogue(
        id=whole.id("id"),
        version=whole.positive("version"),
        title=whole.text("title"),
        issuer=whole.text("issuer"),
        effective_from=whole.day("effective_from"),
        superseded_by=successor,
        status=whole.text("status"),
        sources=whole.texts("sources"),
        items=items,
        digest=Digest.of(content),
    )


_HEAD: Final = {
    *("format", "id", "version", "title", "issuer", "effective_from", "superseded_by", "status", "sources"),
}
_ITEM: Final = {"id", "reference", "title", "text", "confidence", "query", "gap", "open", "records", "evidence"}


def _item(table: _Table) -> Item:
    table.only(_ITEM)
    id_ = table.id("id")
    table.where = f"item {id_!r}"
    query = table.query("query") if table.has("query") else None
    gap = table.text("gap") if table.has("gap") else ""
    reason = table.text("open") if table.has("open") else ""
    if (query is None) is not bool(reason):
        table.refuse("open", "an item has either a query, or a reason why it is open")
    if gap and query is None:
        table.refuse("gap", "a gap says what a query does not show, and there is none")
    records = table.texts("records", SOURCES)
    if bool(records) is not (query is not None):
        table.refuse("records", "an item with a query names the records it rests on, and an open one names none")
    return Item(
        id=id_,
        reference=table.text("reference"),
        title=table.text("title"),
        text=table.text("text"),
        confidence=table.choice("confidence", Confidence),
        query=query,
        gap=gap,
        open=reason,
        records=records,
        evidence=table.texts("evidence", CODES),
    )


class _Table:
    """A table of a file, read key by key; knows how to say what is wrong with it."""

    def __init__(self, document: Mapping[str, Any], file: str, where: str) -> None:
        self._document, self._file, self.where = document, file, where

    def has(self, key: str) -> bool:
        return key in self._document

    def only(self, keys: set[str]) -> None:
        """No other key, which a misspelling would be."""
        for key in self._document:
            if key not in keys:
                close = difflib.get_close_matches(key, keys, 1)
                self.refuse(key, "there is no such key" + (f"; did you mean {close[0]!r}?" if close else ""))

    def text(self, key: str) -> str:
        """One line or paragraph that says something."""
        value = self._typed(key, str, "a text")
        text = " ".join(value.split())
        if not text or len(text) > _LONGEST or not text.isprintable():
            self.refuse(key, f"it is a printable text of 1 to {_LONGEST} characters")
        return text

    def id(self, key: str) -> str:
        value = self.text(key)
        if not _ID.fullmatch(value) or len(value) > 64:
            self.refuse(key, "it is lower-case words joined by hyphens, at most 64 characters")
        return value

    def positive(self, key: str) -> int:
        value: int = self._typed(key, int, "a whole number")
        if isinstance(value, bool) or not 1 <= value < 10**9:
            self.refuse(key, "it is a whole number from 1 on")
        return value

    def day(self, key: str) -> date:
        value: date = self._typed(key, date, "a day such as 2026-04-17")
        if isinstance(value, datetime):
            self.refuse(key, "it is a day such as 2026-04-17, without a time")
        return value

    def texts(self, key: str, among: frozenset[str] | None = None) -> tuple[str, ...]:
        values = self._typed(key, list, "a list of texts")
        for value in values:
            if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST or not value.isprintable():
                self.refuse(key, "it is a list of printable texts")
            if among is not None and value not in among:
                self.refuse(key, f"{value[:_SHOWN]!r} is none of: {', '.join(sorted(among))}")
        if len(set(values)) < len(values):
            self.refuse(key, "something stands in it twice")
        return tuple(values)

    def choice(self, key: str, among: type[Confidence]) -> Confidence:
        value = self.text(key)
        if value not in {one.value for one in among}:
            self.refuse(key, f"it is one of: {', '.join(among)}")
        return among(value)

    def tables(self, key: str) -> list[_Table]:
        values = self._typed(key, list, "a list of tables, [[item]]")
        if not 1 <= len(values) <= MOST_ITEMS or not all(isinstance(value, dict) for value in values):
            self.refuse(key, f"there are 1 to {MOST_ITEMS} of it, each a table, [[item]]")
        return [_Table(value, self._file, f"item {at}") for at, value in enumerate(values, 1)]

    def query(self, key: str) -> Expression:
        """An expression over facts that a model can have."""
        text = self.text(key)
        try:
            expression = parse(text)
        except Invalid as broken:
            raise Invalid(
                "MUNI-E152",
                f"the catalogue file {self._file!r} has a broken query in {self.where}: {broken.message}",
                file=self._file,
                item=self.where,
                query=text[:_SHOWN],
                reason=broken.code,
                **{name: value for name, value in broken.facts.items() if name in ("column", "expected", "found")},
            ) from broken
        for name in sorted(expression.names - REPORT_FACTS.keys()):
            close = near(name)
            if close is not None:
                raise Invalid(
                    "MUNI-E153",
                    f"the catalogue file {self._file!r} asks in {self.where} for {name!r}, which no model has",
                    file=self._file,
                    item=self.where,
                    fact=name,
                    near=[*close, *difflib.get_close_matches(name, REPORT_FACTS, 2)],
                )
        return expression

    def refuse(self, key: str, problem: str) -> NoReturn:
        raise Invalid(
            "MUNI-E151",
            f"the catalogue file {self._file!r} breaks a rule in {self.where}, key {key[:_SHOWN]!r}: {problem}",
            file=self._file,
            item=self.where,
            key=key[:_SHOWN],
            problem=problem,
        )

    def _typed(self, key: str, kind: type[Any], what: str) -> Any:
        if key not in self._document:
            self.refuse(key, f"it is missing; it is {what}")
        value = self._document[key]
        if not isinstance(value, kind):
            self.refuse(key, f"it is {what}")
        return value


def _unique(table: _Table, key: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            table.refuse(key, f"two items have the {key} {value[:_SHOWN]!r}")
        seen.add(value)


def _unreadable(file: str, reason: str) -> NoReturn:
    raise Invalid(
        "MUNI-E150",
        f"the catalogue file {file!r} cannot be read as TOML: {reason}",
        file=file,
        reason=reason,
    )
