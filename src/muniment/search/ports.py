"""What search asks of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from muniment.kernel.digest import Digest
from muniment.search.language import Path, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a search looks."""

    projects: tuple[str, ...]
    now: datetime
    starts: Mapping[str, Sequence[tuple[str, Digest | str]]] = field(default_factory=dict)
    """What each reference of a lineage test means: projects with a digest, or the id of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One object that was found."""

    reference: str
    project: str
    values: Mapping[str, Any]
    """By column: a number, a text, None, or a list where there are several."""

    guard: Mapping[str, str] = field(default_factory=dict)
    """What policies may look at: id, classification, author."""


class SearchIndex(Protocol):
    """Finds objects of one kind."""

    def find(self, query: Query, scope: Scope, columns: Sequence[Path], *, limit: int, offset: int) -> Sequence[Hit]:
        """Objects in the order that the query asks for, ties by what was recorded later.

        Args:
            query: what is asked; its own limit and offset are not looked at.
            scope: where to look.
            columns: fields to give along.
            limit: so many at most.
            offset: so many are passed over.
        """

    def count(self, query: Query, scope: Scope) -> int:
        """How many there are."""

    def words(self, projects: Sequence[str], space: str, prefix: str, limit: int) -> Sequence[str]:
        """Names in a family of fields that begin so: ``metric``, ``param``, ``tag``, ``fact`` or ``column``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearch:
    """A query under a name."""

    project: str
    name: str
    query: str
    """In its normal form."""

    by: str
    at: datetime


class SavedSearches(Protocol):
    """The queries that a project keeps."""

    def put(self, saved: SavedSearch) -> None:
        """Keep one in place of the former one of its name."""

    def get(self, project: str, name: str) -> SavedSearch | None:
        """The one of this name."""

    def all(self, project: str) -> Sequence[SavedSearch]:
        """Every one, by name."""

    def remove(self, project: str, name: str) -> None:
        """Keep it no more."""
