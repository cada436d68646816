"""Search: what a query found, as rows, as a data frame and in a notebook; and the queries that a project keeps."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from muniment.sdk.asking import Asking
from muniment.sdk.cells import note, table
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import brief, measure, visible
from muniment.wire import search as wire

__all__ = ["Found", "Searches", "search_in"]

_PRINTED = 20
"""So many objects are printed; the rest is counted."""


class Found(Sequence[wire.FoundRow]):
    """What a query found, in its order."""

    def __init__(self, reply: wire.Found) -> None:
        self.reply = reply
        """The answer in full."""

    def __getitem__(self, index: Any) -> Any:
        return self.reply.rows[index]

    def __len__(self) -> int:
        return len(self.reply.rows)

    @property
    def references(self) -> list[str]:
        """The references of the objects, for other methods to take."""
        return [row.reference for row in self.reply.rows]

    @property
    def total(self) -> int | None:
        """How many there are, when that was asked for."""
        return self.reply.total

    @property
    def hints(self) -> list[str]:
        """What may be wrong with a query that found nothing."""
        return self.reply.hints

    @property
    def headings(self) -> list[str]:
        """Names of the columns, the reference first; the project too where several were looked in."""
        first = ["project"] if len(self.reply.projects) > 1 else []
        return [self.reply.kind, *first, *self.reply.columns]

    def lines(self) -> Iterator[list[Any]]:
        """The cells of each object, under ``headings``."""
        for row in self.reply.rows:
            first = [row.project] if len(self.reply.projects) > 1 else []
            yield [row.reference, *first, *(row.values.get(name) for name in self.reply.columns)]

    def to_frame(self) -> Any:
        """A data frame, one row per object, one column per field."""
        names = self.headings
        return to_frame([dict(zip(names, line, strict=True)) for line in self.lines()], names)

    def to_csv(self) -> str:
        """CSV with a heading (RFC 4180); a list stands as JSON, and nothing that a spreadsheet would run."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([_inert(name) for name in self.headings])
        writer.writerows([_inert(_plain(value)) for value in line] for line in self.lines())
        return text.getvalue()

    def __repr__(self) -> str:
        lines = [
            "  ".join(visible(shown(value)) for value in line) for line in [self.headings, *[*self.lines()][:_PRINTED]]
        ]
        left = len(self) - _PRINTED
        return "\n".join([*lines, *([f"and {left} more"] if left > 0 else []), *self.hints])

    def _repr_html_(self) -> str:
        rows = [[shown(value) for value in line] for line in self.lines()]
        under = f"{len(self)} of {self.total}" if self.total is not None else f"{len(self)}"
        under += ", and there are more" if self.reply.more else ""
        return table(self.headings, rows) + note("; ".join([f"{self.reply.query}: {under}", *self.hints]))


class Searches:
    """The queries that a project keeps; ``client.search("@name")`` asks one."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def save(self, name: str, query: str) -> wire.SavedSearch:
        """Keep a query under a name, in place of one's own former one of that name."""
        request = wire.SaveSearch(project=self._asking.project, name=name, query=query)
        return self._asking.ask("search:SaveSearch", request, wire.SavedSearch)

    def all(self) -> list[wire.SavedSearch]:
        """Every saved query, by name."""
        request = wire.ListSearches(project=self._asking.project)
        return self._asking.ask("search:ListSearches", request, wire.SavedSearches).searches

    def remove(self, name: str) -> wire.SavedSearch:
        """Keep one's own query no more."""
        request = wire.RemoveSearch(project=self._asking.project, name=name)
        return self._asking.ask("search:RemoveSearch", request, wire.SavedSearch)

    def words(self, kind: str = "", prefix: str = "", limit: int = 50) -> dict[str, str]:
        """What a query may go on with: kinds, or the fields of a kind that begin so, each with its meaning."""
        request = wire.SearchWords(project=self._asking.project, kind=kind, prefix=prefix, limit=limit)
        return self._asking.ask("search:SearchWords", request, wire.Words).words


def search_in(
    asking: Asking,
    query: str,
    *,
    columns: Sequence[str] = (),
    limit: int = 100,
    offset: int = 0,
    count: bool = False,
    everywhere: bool = False,
    checkpoint: bool = False,
) -> Found:
    """Find objects by a query; see ``Client.search``."""
    request = wire.Search(
        project=asking.project,
        query=query,
        columns=list(columns),
        limit=limit,
        offset=offset,
        count=count,
        everywhere=everywhere,
        checkpoint=checkpoint,
    )
    return Found(asking.ask("search:Search", request, wire.Found))


def shown(value: Any) -> str:
    """A cell for people."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(shown(one) for one in value)
    return measure(value) if isinstance(value, float) else brief(value)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


def _inert(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula; numbers stay numbers."""
    if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text):
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
