"""Requests and replies of search."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.wire.catalog import Checkpoint


class Search(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A query, and how much of its answer is wanted."""

    project: str
    query: str
    """The query, or ``@NAME`` for a saved one."""

    columns: list[str] = field(default_factory=list)
    """Fields to show; empty for those that the query speaks of and those of its kind."""

    limit: int = 100
    """At most so many, 1 to 10,000; a smaller ``limit`` in the query wins."""

    offset: int = 0
    """So many more are passed over than the query says."""

    count: bool = False
    """Count everything that is found, and give no rows when ``limit`` is 0."""

    everywhere: bool = False
    """Look in every project that the asker may read, not only in this one."""

    checkpoint: bool = False
    """Sign the state of the ledger that the answer was given at."""


class FoundRow(Struct, kw_only=True, frozen=True):
    """One object that was found."""

    reference: str
    project: str
    values: dict[str, Any]
    """By column: a number, a text, a list where there are several; None for what it does not have."""


class Found(Struct, kw_only=True, frozen=True):
    """What a search found, cut to what the asker may see."""

    kind: str
    query: str
    """The normal form."""

    columns: list[str]
    rows: list[FoundRow]
    total: int | None
    """How many there are, when that was asked for."""

    more: bool
    """Whether there are more than these."""

    next_offset: int | None
    """Where the next page begins."""

    projects: list[str]
    """Where was looked."""

    hints: list[str]
    """What may be wrong with the question, such as a metric that nothing has."""

    checkpoint: Checkpoint | None = None


class SaveSearch(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A query to be kept in the project under a name."""

    project: str
    name: str
    query: str


class SavedSearch(Struct, kw_only=True, frozen=True):
    """A query under a name."""

    name: str
    query: str
    by: str
    at: str


class ListSearches(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The queries that a project keeps."""

    project: str


class SavedSearches(Struct, kw_only=True, frozen=True):
    """The queries that a project keeps, by name."""

    searches: list[SavedSearch]


class RemoveSearch(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A saved query that is to be kept no more."""

    project: str
    name: str


class SearchWords(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a query may go on with."""

    project: str
    kind: str = ""
    """What is searched for; empty for the kinds themselves."""

    prefix: str = ""
    limit: int = 50


class Words(Struct, kw_only=True, frozen=True):
    """Words that begin as asked, each with what it means."""

    words: dict[str, str]
