"""Verbs of search: asking, keeping queries under a name, and what a query may go on with.

What is found is cut to what the asker may see: the projects in which policy lets him read the catalog, and in them each
object that the verb which shows it would show him.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from muniment.catalog.model import Entity
from muniment.catalog.ports import Checkpoints
from muniment.catalog.resources import find
from muniment.catalog.service import get_entity
from muniment.errors import Conflict, Invalid, NotFound
from muniment.execution.reading import show_run
from muniment.identity.ports import Projects
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, Resource, Verb, verb
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.ports import Publications
from muniment.search.kinds import KINDS, Kind, kind_of
from muniment.search.language import Lineage, Path, Query, parse, parse_path
from muniment.search.ports import Hit, SavedSearch, SavedSearches, Scope, SearchIndex
from muniment.wire import catalog as wire_catalog
from muniment.wire import search as wire

__all__ = ["VERBS"]

_MOST: Final = 10_000
_MOST_COLUMNS: Final = 40
_MOST_SAVED: Final = 500
_MOST_WORDS: Final = 500
_MOST_JUDGED: Final = 20_000
"""Objects that are put to the policies for one answer, where policies tell objects of one project apart."""

_PAGE: Final = 500
_SAVED_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)


@verb(
    "search:Search",
    on=PROJECT,
    request=wire.Search,
    reply=wire.Found,
    event="search.asked",
    group="catalog:read",
    effect=Effect.READ,
)
def search(call: Call, request: wire.Search) -> wire.Found:
    """Find objects by a query, cut to what the asker may see."""
    query = parse(_text_of(call, request.query))
    kind = KINDS[query.kind]
    columns = _columns(kind, query, request.columns)
    limit, offset = _bounds(query, request)
    scope = _scope(call, query, everywhere=request.everywhere)
    call.note(query=str(digest_of(str(query))), kind=query.kind, projects=list(scope.projects))
    looking = _Looking(call, query, scope)
    found = looking.page(columns, limit + 1, offset) if limit else []
    total = looking.count() if request.count else None
    rows, more = found[:limit], len(found) > limit
    call.note(found=len(rows))
    size_root = call.use(Checkpoints).covering() if request.checkpoint else None
    return wire.Found(
        kind=query.kind,
        query=str(query),
        columns=[str(path) for path in columns],
        rows=[wire.FoundRow(reference=hit.reference, project=hit.project, values=dict(hit.values)) for hit in rows],
        total=total,
        more=more or (not limit and bool(total)),
        next_offset=request.offset + limit if more else None,
        projects=list(scope.projects),
        hints=[] if rows or total else [*_hints(call, query, scope)],
        checkpoint=None if size_root is None else wire_catalog.Checkpoint(size=size_root[0], root=size_root[1]),
    )


@verb(
    "search:SaveSearch",
    on=PROJECT,
    request=wire.SaveSearch,
    reply=wire.SavedSearch,
    event="search.saved",
    group="catalog:read",
)
def save_search(call: Call, request: wire.SaveSearch) -> wire.SavedSearch:
    """Keep a query in the project under a name; everybody who may read the project can use it."""
    if not _SAVED_NAME.fullmatch(request.name):
        raise Invalid(
            "MUNI-Q110",
            "a saved search has a name of lower-case letters, digits, dots and dashes",
            given=request.name[:120],
        )
    searches = call.use(SavedSearches)
    known = searches.get(call.project, request.name)
    if known is not None:
        _own(call, known)
    if known is None and len(searches.all(call.project)) >= _MOST_SAVED:
        raise Conflict("MUNI-Q302", f"a project keeps {_MOST_SAVED} searches", do="muni search --remove NAME")
    query = str(parse(request.query))
    saved = SavedSearch(project=call.project, name=request.name, query=query, by=str(call.principal), at=call.now)
    searches.put(saved)
    call.note(search=request.name, query=str(digest_of(query)))
    return _shown(saved)


@verb(
    "search:ListSearches",
    on=PROJECT,
    request=wire.ListSearches,
    reply=wire.SavedSearches,
    event="searches.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_searches(call: Call, request: wire.ListSearches) -> wire.SavedSearches:
    """List the queries that the project keeps."""
    return wire.SavedSearches(searches=[*map(_shown, call.use(SavedSearches).all(call.project))])


@verb(
    "search:RemoveSearch",
    on=PROJECT,
    request=wire.RemoveSearch,
    reply=wire.SavedSearch,
    event="search.removed",
    group="catalog:read",
)
def remove_search(call: Call, request: wire.RemoveSearch) -> wire.SavedSearch:
    """Keep one's own saved query no more."""
    saved = _saved(call, request.name)
    _own(call, saved)
    call.use(SavedSearches).remove(call.project, request.name)
    call.note(search=request.name)
    return _shown(saved)


@verb(
    "search:SearchWords",
    on=PROJECT,
    request=wire.SearchWords,
    reply=wire.Words,
    event="words.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def search_words(call: Call, request: wire.SearchWords) -> wire.Words:
    """List what a query may go on with: kinds, fields of a kind, and the metrics, parameters and columns there are."""
    most = max(1, min(request.limit, _MOST_WORDS))
    if not request.kind:
        words = {kind.name: kind.meaning for kind in KINDS.values()}
    else:
        kind = kind_of(request.kind)
        if not isinstance(kind, Kind):
            raise NotFound(
                "MUNI-Q202",
                f"there is no kind of object {request.kind[:60]!r}",
                kinds=list(kind),
                given=request.kind[:60],
            )
        words = {one.shown: one.meaning for one in kind.fields if one.name != "NAME"}
        head, dot, begun = request.prefix.partition(".")
        for one in kind.fields:
            if one.name != "NAME" or (one.head in _SPACES and not (dot and head == one.head)):
                continue
            space = _SPACES.get(one.head, one.head)
            names = call.use(SearchIndex).words([call.project], space, begun if dot else "", most)
            words |= {str(Path(one.head, name)): one.meaning for name in names}
    fitting = {word: meaning for word, meaning in words.items() if word.startswith(request.prefix)}
    return wire.Words(words=dict([*fitting.items()][:most]))


_SPACES: Final = {"fact": "fact", "column": "column"}
"""Families that have so many names that they are listed only once one is begun."""


def _text_of(call: Call, given: str) -> str:
    """The query itself, or the one that was saved under ``@NAME``."""
    text = given.strip()
    return _saved(call, text[1:]).query if text.startswith("@") else given


def _saved(call: Call, name: str) -> SavedSearch:
    searches = call.use(SavedSearches)
    found = searches.get(call.project, name)
    if found is None:
        known = [one.name for one in searches.all(call.project)]
        raise NotFound(
            "MUNI-Q201",
            f"no search is saved as {name[:80]!r}",
            name=name[:120],
            near=difflib.get_close_matches(name, known, n=3, cutoff=0.5),
            do="muni search --list",
        )
    return found


def _own(call: Call, saved: SavedSearch) -> None:
    """Only who saved a search changes it."""
    if saved.by != str(call.principal):
        raise Conflict(
            "MUNI-Q301",
            f"the saved search {saved.name} is somebody else's",
            name=saved.name,
            by=saved.by,
            do="take another name",
        )


def _shown(saved: SavedSearch) -> wire.SavedSearch:
    return wire.SavedSearch(name=saved.name, query=saved.query, by=saved.by, at=format_time(saved.at))


def _columns(kind: Kind, query: Query, wanted: Sequence[str]) -> list[Path]:
    """What an answer tells of each object: what was asked for, else what the query speaks of and what is usual."""
    if len(wanted) > _MOST_COLUMNS:
        raise Invalid("MUNI-Q111", f"an answer has at most {_MOST_COLUMNS} columns", given=len(wanted))
    if wanted:
        return [*dict.fromkeys(parse_path(column, kind) for column in wanted)]
    usual = [parse_path(column, kind) for column in kind.columns]
    return [*dict.fromkeys((*query.paths, *usual))][:_MOST_COLUMNS]


def _bounds(query: Query, request: wire.Search) -> tuple[int, int]:
    least = 0 if request.count else 1
    if not least <= request.limit <= _MOST:
        raise Invalid("MUNI-Q112", f"a page has 1 to {_MOST} objects", limit=request.limit)
    if not 0 <= request.offset <= 10 * _MOST * _MOST:
        raise Invalid("MUNI-Q113", "an offset is not negative, and has at most ten digits", offset=request.offset)
    if query.limit is None:
        return request.limit, query.offset + request.offset
    left = max(0, query.limit - request.offset)
    return min(request.limit, left), query.offset + request.offset


def _scope(call: Call, query: Query, *, everywhere: bool) -> Scope:
    projects = [call.project]
    if everywhere:
        authorizer = call.use(CedarAuthorizer)
        others = sorted(one.name for one in call.use(Projects).all() if one.name != call.project)
        projects += [one for one in others if _may(call, authorizer, search, Resource("Project", one, one))]
    tests = query.condition.tests() if query.condition is not None else ()
    references = dict.fromkeys(test.reference for test in tests if isinstance(test, Lineage))
    starts = {reference: _starts(call, projects, reference) for reference in references}
    return Scope(projects=tuple(projects), now=call.now, starts=starts)


def _starts(call: Call, projects: Sequence[str], reference: str) -> list[tuple[str, Digest | str]]:
    """What a reference means, in each project that knows it."""
    found: list[tuple[str, Digest | str]] = []
    missing: NotFound | None = None
    for project in projects:
        try:
            what = find(call.session, project, reference)
        except NotFound as unknown:
            missing = missing or unknown
            continue
        found.append((project, what.digest if isinstance(what, Entity) else what.id))
    if not found and missing is not None:
        raise missing
    return found


def _may(call: Call, authorizer: CedarAuthorizer, what: Verb, resource: Resource) -> bool:
    return authorizer.decide(call.session, call.authentication, what, resource).allowed


class _Looking:
    """One query on its way to an answer that the asker may see."""

    def __init__(self, call: Call, query: Query, scope: Scope) -> None:
        self._call, self._query, self._scope = call, query, scope
        self._index = call.use(SearchIndex)
        self._authorizer = call.use(CedarAuthorizer)
        publications = call.use(Publications)
        own = any(publications.heads(project) for project in scope.projects)
        # the shipped policies never tell objects of one project apart where reading is concerned; an institution's may
        self._judge = _JUDGES.get(query.kind) if own else None
        self._most = query.limit

    def page(self, columns: Sequence[Path], limit: int, offset: int) -> list[Hit]:
        """Objects of a page, all of which the asker may see."""
        if self._judge is None:
            return [*self._index.find(self._query, self._scope, columns, limit=limit, offset=offset)]
        found: list[Hit] = []
        for at, hit in enumerate(self._seen(columns)):
            if at >= offset:
                found.append(hit)
            if len(found) == limit:
                break
        return found

    def count(self) -> int:
        """How many objects the asker may see; at most what the query's own limit lets through."""
        judged = self._judge is not None
        many = sum(1 for _ in self._seen(())) if judged else self._index.count(self._query, self._scope)
        left = max(0, many - self._query.offset)
        return left if self._most is None else min(left, self._most)

    def _seen(self, columns: Sequence[Path]) -> Iterator[Hit]:
        assert self._judge is not None
        for at in range(0, _MOST_JUDGED, _PAGE):
            hits = self._index.find(self._query, self._scope, columns, limit=_PAGE, offset=at)
            for hit in hits:
                if all(_may(self._call, self._authorizer, what, thing) for what, thing in self._judge(hit)):
                    yield hit
            if len(hits) < _PAGE:
                return
        raise Invalid(
            "MUNI-Q114",
            f"policies here look at each object, and so at most {_MOST_JUDGED} can be looked through",
            do="ask for less: add a condition",
        )


def _judge_run(hit: Hit) -> list[tuple[Verb, Resource]]:
    attributes = {"kind": hit.guard["kind"], "requested_by": hit.guard["author"]}
    return [(show_run, Resource("Run", hit.guard["id"], hit.project, attributes))]


def _judge_entity(hit: Hit) -> list[tuple[Verb, Resource]]:
    attributes = {"classification": hit.guard["classification"] or "internal", "author": hit.guard["author"]}
    return [(get_entity, Resource("Entity", f"{hit.project}/{hit.guard['id']}", hit.project, attributes))]


_Judge = Callable[[Hit], list[tuple[Verb, Resource]]]
_JUDGES: Final[Mapping[str, _Judge]] = {
    "run": _judge_run,
    **dict.fromkeys(("data", "model", "file", "env", "report", "proof", "features", "artifact", "code"), _judge_entity),
}
"""The verb that shows an object, and the object as that verb's policies see it; others are read with their project."""


def _hints(call: Call, query: Query, scope: Scope) -> Iterator[str]:
    """What may be wrong with a question that found nothing: names that nothing bears."""
    index = call.use(SearchIndex)
    for path in query.paths:
        if path.head not in ("metric", "param", "tag") or path.name is None:
            continue
        known = index.words(scope.projects, path.head, "", _MOST_WORDS)
        if path.name in known:
            continue
        near = difflib.get_close_matches(path.name, known, n=3, cutoff=0.5)
        also = f"; there is {', '.join(str(Path(path.head, one)) for one in near)}" if near else ""
        yield f"nothing here has {path}{also}"


VERBS: Final = (search, save_search, list_searches, remove_search, search_words)
