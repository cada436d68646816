"""What the feature store needs from the store: the online table, and what was published into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from muniment.kernel.digest import Digest


@dataclass(frozen=True, slots=True)
class OnlineRow:
    """What is known of one entity."""

    key: str
    """As ``key_text`` writes it."""

    event: int
    """Microseconds since 1970."""

    known: int
    """Microseconds since 1970."""

    content: str
    """The values in the order of the view's features, a JSON list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One filling of the online table; never changed."""

    id: str
    """The run that picked the values."""

    project: str
    view: Digest
    build: Digest
    """The rows that they were picked from."""

    as_of: str
    at: str
    by: str
    key_types: str
    """Types of the key columns, a JSON list."""

    offered: int
    """Entities that the run picked."""

    accepted: int
    """Those whose row was taken; the others would have gone back in time."""

    removed: int
    """Entities that the build does not hold, taken out on demand."""


class Online(Protocol):
    """The online tables: one for each view, its entities as primary key."""

    def put(self, project: str, view: Digest, publication: str, rows: Iterable[OnlineRow]) -> int:
        """Keep rows; how many were taken. One that goes back in (event, known) is left out, and its older one stays."""

    def keep_only(self, project: str, view: Digest, keys: Iterable[str]) -> int:
        """Take out the entities that are not among these; how many."""

    def get(self, project: str, view: Digest, keys: Sequence[str]) -> Mapping[str, OnlineRow]:
        """What is known of these entities, by key; absent where nothing is."""

    def rows(self, project: str, view: Digest) -> Iterator[OnlineRow]:
        """Every row, in order of the keys."""

    def count(self, project: str, view: Digest) -> int:
        """How many entities the table holds."""

    def views(self, project: str) -> Sequence[Digest]:
        """The views of a project that have a table."""

    def held(self, project: str, view: Digest) -> Mapping[str, int]:
        """How many rows came with each publication."""

    def remove(self, project: str, view: Digest, keys: Sequence[str]) -> int:
        """Take entities out; how many were there."""

    def remove_of(self, project: str, view: Digest, publications: Sequence[str]) -> int:
        """Take out every row that came with one of these publications; how many."""

    def published(self, publication: Publication) -> None:
        """Keep that the table was filled."""

    def publications(self, project: str, view: Digest, limit: int) -> Sequence[Publication]:
        """The latest fillings, newest first."""
