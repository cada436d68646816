"""What a feature view says of itself: keys, clocks, features, sources, transform. Read by the platform and by programs.

The document is canonical JSON, ``muniment.features/1``; its digest is the view. Everything in it is checked here, once,
so that the job that fills the view and the platform that keeps it cannot read it differently. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from muniment.errors import Invalid

__all__ = ["CHANNELS", "FORMAT", "MOST_FEATURES", "View", "duration_s", "key_text", "read_view", "sampled"]

FORMAT: Final = "muniment.features/1"
MOST_FEATURES: Final = 500
MOST_SOURCES: Final = 20
CHANNELS: Final = frozenset({"view", "data", "source", "programs", "base", "environment", "model", "online"})
"""Names that no source can have: the job has other inputs by them."""

_COLUMN: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_SOURCE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_FUNCTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_TYPE: Final = re.compile(
    r"u?int(8|16|32|64)|float(32|64)|bool|string|date|timestamp\[(s|ms|us|ns)(,[A-Za-z0-9_+:/-]{1,40})?\]"
    r"|decimal\(([1-9]|[12][0-9]|3[0-8]),([0-9]|[12][0-9]|3[0-8])\)"
)
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})\s*(s|m|h|d|w)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORT: Final = {"timestamp": "timestamp[us]", "int": "int64", "float": "float64", "text": "string"}


@dataclass(frozen=True, slots=True)
class Feature:
    """One column that the transform fills."""

    name: str
    type: str
    """As schemas of snapshots write it: ``int64``, ``decimal(12,2)``."""

    description: str = ""


@dataclass(frozen=True, slots=True)
class Transform:
    """How the features come about."""

    language: str
    """``python``: a function over polars frames. ``sql``: one query in DuckDB's dialect."""

    entry: str
    """The file that holds it, inside the source tree."""

    function: str
    """Name of the function; empty for SQL."""

    source: str
    """Digest of the source tree."""


@dataclass(frozen=True, slots=True)
class View:
    """A feature view."""

    name: str
    entity: tuple[str, ...]
    """Columns that together name what the features are about."""

    event_time: str
    """Column that says when something was so."""

    knowledge_time: str | None
    """Column that says since when it is known; None: known when it happens."""

    ttl_s: int | None
    """Seconds after which a value says nothing any more; None for never."""

    owner: str
    description: str
    sources: Mapping[str, str]
    """Digest of the pinned snapshot by the name that the transform knows it by."""

    features: tuple[Feature, ...]
    transform: Transform

    @property
    def clocks(self) -> tuple[str, ...]:
        """The columns of its clocks."""
        return (self.event_time,) if self.knowledge_time is None else (self.event_time, self.knowledge_time)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of its rows, in order."""
        return (*self.entity, *self.clocks, *(feature.name for feature in self.features))

    def chosen(self, names: list[str] | None) -> tuple[str, ...]:
        """These of its features, all for None.

        Raises:
            Invalid: it has no such feature, or one is named twice.
        """
        known = [feature.name for feature in self.features]
        if names is None:
            return tuple(known)
        if strangers := sorted(set(names) - set(known)):
            raise Invalid(
                "MUNI-F107",
                f"the view {self.name} has no feature {strangers[0][:60]!r}",
                view=self.name,
                unknown=strangers[:20],
                features=known[:50],
                do="name features of the view: muni feature show " + self.name,
            )
        if len(set(names)) != len(names) or not names:
            raise Invalid("MUNI-F108", "name each feature once, and at least one", view=self.name, given=names[:50])
        return tuple(names)

    def document(self) -> dict[str, Any]:
        """As it is kept; its canonical bytes are what the digest of the view is of."""
        return {
            "format": FORMAT,
            "name": self.name,
            "entity": list(self.entity),
            "event_time": self.event_time,
            "knowledge_time": self.knowledge_time,
            "ttl_s": self.ttl_s,
            "owner": self.owner,
            "description": self.description,
            "sources": dict(self.sources),
            "features": [{"name": f.name, "type": f.type, "description": f.description} for f in self.features],
            "transform": {
                "language": self.transform.language,
                "entry": self.transform.entry,
                "function": self.transform.function,
                "source": self.transform.source,
            },
        }


def read_view(document: Mapping[str, Any]) -> View:
    """The view that a document describes.

    Raises:
        Invalid: the document is none, or says what a view cannot be; the fact ``field`` names the place.
    """
    try:
        if document["format"] != FORMAT:
            raise _wrong("format", document["format"], FORMAT)
        transform = Transform(**document["transform"])
        view = View(
            name=document["name"],
            entity=tuple(document["entity"]),
            event_time=document["event_time"],
            knowledge_time=document["knowledge_time"],
            ttl_s=document["ttl_s"],
            owner=document["owner"],
            description=document["description"],
            sources=dict(document["sources"]),
            features=tuple(
                Feature(one["name"], _SHORT.get(one["type"], one["type"]), one.get("description", ""))
                for one in document["features"]
            ),
            transform=transform,
        )
        _check(view)
    except (KeyError, TypeError, AttributeError, ValueError) as broken:
        raise Invalid(
            "MUNI-F101", "this is no definition of a feature view", reason=f"{type(broken).__name__}: {broken}"[:200]
        ) from broken
    return view


def duration_s(text: str) -> int:
    """Seconds of a duration such as ``90d``, ``12h`` or ``30 m``.

    Raises:
        Invalid: it is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise Invalid(
            "MUNI-F102",
            f"{text[:40]!r} is no duration",
            given=text[:80],
            do="write a whole number and a unit, s, m, h, d or w: 90d",
        )
    return int(match[1]) * _UNITS[match[2]]


def key_text(values: Sequence[Any]) -> str:
    """The one written form of an entity's key: ``[42]``, ``["DE","K-7"]``."""
    return json.dumps(list(values), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sampled(key: str, seed: int, share: float) -> bool:
    """Whether an entity is in the sample of a seed: the same on every side, whatever else is there."""
    drawn = int.from_bytes(hashlib.sha256(f"muniment.features-sample/1:{seed}:{key}".encode()).digest()[:8], "big")
    return drawn < share * 2.0**64


def _check(view: View) -> None:
    if not _NAME.fullmatch(view.name):
        raise _wrong("name", view.name, "lower-case letters, digits, dots, hyphens and underscores, at most 80")
    if not view.entity:
        raise _wrong("entity", "", "at least one column that names what the features are about")
    columns = list(view.columns)
    for column in columns:
        if not isinstance(column, str) or not _COLUMN.fullmatch(column):
            raise _wrong("column", str(column), "a name of 1 to 200 characters without control characters")
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise Invalid(
            "MUNI-F104",
            f"the column {twice[0][:60]!r} stands twice in the view",
            columns=twice[:20],
            do="keys, clocks and features are different columns",
        )
    if not 1 <= len(view.features) <= MOST_FEATURES:
        raise Invalid(
            "MUNI-F105",
            f"a view has 1 to {MOST_FEATURES} features",
            found=len(view.features),
            most=MOST_FEATURES,
            do="split it into views by subject; a join takes several",
        )
    for feature in view.features:
        if not _TYPE.fullmatch(feature.type):
            raise Invalid(
                "MUNI-F103",
                f"{feature.type[:40]!r} is no type of a feature",
                feature=feature.name,
                given=feature.type[:80],
                types="int8 … uint64, float32, float64, bool, string, date, timestamp[us], decimal(p,s)",
            )
    _check_rest(view)


def _check_rest(view: View) -> None:
    if view.ttl_s is not None and not (isinstance(view.ttl_s, int) and 0 < view.ttl_s < 10**10):
        raise _wrong("ttl", str(view.ttl_s), "a positive number of seconds")
    if not 1 <= len(view.sources) <= MOST_SOURCES:
        raise _wrong("sources", str(len(view.sources)), f"1 to {MOST_SOURCES} snapshots")
    for source in view.sources:
        if not _SOURCE.fullmatch(source) or source in CHANNELS:
            raise _wrong(
                "sources", source, "a lower-case identifier of at most 32, none of " + ", ".join(sorted(CHANNELS))
            )
    language, entry = view.transform.language, view.transform.entry
    if language not in ("python", "sql") or not entry.endswith(".py" if language == "python" else ".sql"):
        raise _wrong("transform", f"{language} {entry}", "a .py file and a function, or a .sql file")
    if entry.startswith("/") or ".." in entry.split("/") or "\0" in entry:
        raise _wrong("transform", entry, "a file inside the tree that came along")
    if language == "python" and not _FUNCTION.fullmatch(view.transform.function):
        raise _wrong("transform", view.transform.function, "the name of a function in the file")


def _wrong(field: str, given: str, expected: str) -> Invalid:
    return Invalid(
        "MUNI-F106",
        f"the field {field} of the feature view does not do",
        field=field,
        given=given[:200],
        expected=expected,
    )
