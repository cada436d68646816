"""What the ledger holds: events, the entries they become, and the checkpoints that commit to all of them.

An event is written in the terms of CloudEvents 1.0. Its canonical JSON bytes are the entry: a leaf of the Merkle
tree, stored once and never changed. Entries hold only strings, booleans, integers, lists and mappings with ASCII
keys, so that every implementation of canonical JSON gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

import msgspec

from muniment.errors import Invalid
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time

ENTRY_BYTES: Final = 65_535
"""The longest entry: its length stands in two bytes of an entry bundle (C2SP tlog-tiles)."""

_DEPTH: Final = 16
_EXACT: Final = 2**53
_COLUMN: Final = 200


def _bare(value: object) -> str | int:
    """A name or number that is of a type of its own, such as a digest, as plain text or integer."""
    return str.__str__(value) if isinstance(value, str) else int.__int__(cast("int", value))


_encode: Final = msgspec.json.Encoder(order="sorted", enc_hook=_bare).encode
"""The bytes of ``kernel.canonical`` for what ``_plain`` lets through; a property test holds the two together."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: an act, a read, a refusal or a login."""

    id: str
    """A ULID, unique in the ledger."""

    type: str
    """What happened, such as ``muniment.data.dataset.read.v1``."""

    time: datetime
    """When, aware."""

    subject: str
    """What it happened to, such as ``Dataset:credit@3``."""

    data: Mapping[str, Any]
    """Who, with which outcome and why: ``principal``, ``action``, ``resource``, ``outcome`` and further facts. Digests
    and names, never personal data in clear. A member that is None is left out."""

    def body(self, origin: str) -> bytes:
        """The entry: CloudEvents 1.0 in canonical JSON, its ``source`` the ledger's origin.

        Raises:
            Invalid: the data hold something other than strings, booleans, integers, lists and mappings with ASCII
            keys, or the entry would be longer than ``ENTRY_BYTES``.
        """
        return self._render(origin)[1]

    def row(self, origin: str) -> NewEntry:
        """The entry with the columns that it is searched by; raises as ``body`` does."""
        document, body = self._render(origin)
        return columns(document, body.decode())

    def _render(self, origin: str) -> tuple[dict[str, Any], bytes]:
        document = {
            "specversion": "1.0",
            "id": self.id,
            "source": origin,
            "type": self.type,
            "time": format_time(self.time),
            "subject": self.subject,
            "datacontenttype": "application/json",
            "data": _plain(self.data, "data", 0),
        }
        try:
            body = _encode(document)
        except UnicodeEncodeError as broken:
            raise Invalid(
                "MUNI-L103", "an entry holds text that has no UTF-8 form", at=broken.start, do="replace lone surrogates"
            ) from broken
        if len(body) > ENTRY_BYTES:
            raise Invalid(
                "MUNI-L101",
                f"a ledger entry is at most {ENTRY_BYTES:,} bytes",
                size=len(body),
                type=self.type,
                do="store the payload as an object and refer to it by its digest",
            )
        return document, body


class NewEntry(NamedTuple):
    """An entry on its way into the store: the exact text, and what it is searched by."""

    id: str
    body: str
    type: str
    time: str
    principal: str
    project: str | None
    outcome: str
    subject: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the ledger holds it."""

    index: int | None
    """Its leaf in the tree, from 0; None until the sequencer has numbered it."""

    event: Mapping[str, Any]
    """The CloudEvents document."""

    body: bytes
    """The exact bytes that were hashed."""

    @property
    def line(self) -> str:
        """One line for people; control characters in a value are shown as escapes and cannot start a new line."""
        data = self.event.get("data", {})
        number = "-" if self.index is None else str(self.index)
        parts = (
            number,
            self.event.get("time", ""),
            data.get("principal", ""),
            data.get("outcome", ""),
            self.event.get("type", ""),
            self.event.get("subject", ""),
        )
        return "  ".join(visible(str(part)) for part in parts if part != "")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement: the ledger of this origin has this many entries, and their tree has this root."""

    origin: str
    size: int
    """Number of entries."""

    root: Digest
    """The Merkle tree hash (RFC 6962, section 2.1)."""

    note: str
    """The signed note (C2SP tlog-checkpoint) whose text says so."""


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for in the ledger; a field that is None does not limit."""

    principal: str | None = None
    type: str | None = None
    """The whole event type, or its beginning when it ends in ``*``."""

    project: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    """Events at or after this moment."""

    until: datetime | None = None
    """Events before this moment."""

    text: str | None = None
    """Text that occurs in a value or key, as data: no character has a special meaning. ASCII case does not matter."""

    limit: int = 100
    """At most this many entries, the newest."""


def columns(document: Mapping[str, Any], body: str) -> NewEntry:
    """An event's document and text with the columns that it is searched by."""
    data = document["data"]
    project = data.get("project")
    return NewEntry(
        document["id"],
        body,
        column(document["type"]),
        document["time"],
        column(data.get("principal", "")),
        None if project is None else column(project),
        column(data.get("outcome", "")),
        column(document["subject"]),
    )


def column(value: object) -> str:
    """The form of a value in a search column: at most 200 characters, control characters replaced."""
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text[:_COLUMN]


def visible(text: str) -> str:
    """The text with every character that does not print written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _plain(value: Any, where: str, depth: int) -> Any:
    """A copy that holds nothing but what every canonical JSON writes the same way."""
    kind = type(value)
    if kind is str or kind is bool:
        return value
    if depth < _DEPTH:
        if kind is dict or isinstance(value, Mapping):
            plain = {}
            for key, inner in value.items():
                if inner is None:
                    continue
                if not isinstance(key, str) or not key.isascii():
                    raise Invalid("MUNI-L104", "the keys of an entry are ASCII text", where=where, key=repr(key)[:80])
                plain[key] = inner if type(inner) is str else _plain(inner, key, depth + 1)
            return plain
        if kind is list or isinstance(value, (list, tuple)):
            return [inner if type(inner) is str else _plain(inner, where, depth + 1) for inner in value]
    if isinstance(value, str) or (isinstance(value, int) and -_EXACT <= value <= _EXACT):
        return value
    raise Invalid(
        "MUNI-L102",
        "an entry holds only strings, booleans, integers within 2^53, lists and mappings, not too deep",
        where=where,
        type=type(value).__name__,
        depth=depth,
    )
