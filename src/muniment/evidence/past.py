"""What an installation knew at a checkpoint: rows of the store, as far as the ledger told of them by then.

Rows bear no number of the ledger. A run or a record belongs to a checkpoint when the entry that tells of it does, and
one that no entry tells of belongs nowhere: somebody put it into the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

from muniment.catalog.model import (
    Activity,
    ActivityKind,
    Direction,
    Entity,
    EntityKind,
    Graph,
    Match,
    Name,
)
from muniment.catalog.ports import Activities, Entities, Lineage, Names
from muniment.catalog.tracing import depths
from muniment.errors import IntegrityError
from muniment.execution.completing import complete_run
from muniment.execution.model import Run
from muniment.execution.queue import RunQueue
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.ports import Session
from muniment.ledger.model import Checkpoint, Entry
from muniment.ledger.ports import EntryRepository
from muniment.tracking.telling import end_run, start_run

__all__ = ["Past", "Told"]

T = TypeVar("T")

_SPANS: Final = (timedelta(seconds=2), timedelta(minutes=16))
"""How far around its moment an entry is looked for, before the whole ledger is: requests take seconds at most, and
clocks are set back by minutes at most."""

_EVERYTHING: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Ends:
    """The entries that tell of a run."""

    asked: Entry
    """Who asked for it, and for which plan."""

    ended: Entry
    """How it ended, with the digests of all that is kept of it."""


class Told:
    """Finds the entries that tell of runs and records, under one checkpoint."""

    def __init__(self, entries: EntryRepository, checkpoint: Checkpoint, until: datetime | None = None) -> None:
        """``until``: entries under the checkpoint that are later than this moment do not count either."""
        self.checkpoint = checkpoint
        self._entries, self._until = entries, until
        self._runs: dict[str, Ends | None] = {}
        self._records: dict[str, Entry | None] = {}
        self.newest = _last(entries, checkpoint.size) if until is None else None
        """The last entry under the checkpoint; None under that of the empty ledger, and where a moment decides."""

    @property
    def moment(self) -> datetime:
        """When the last entry under the checkpoint was made: the time at which the past is told."""
        if self._until is not None:
            return self._until
        return parse_time(str(self.newest.event["time"])) if self.newest else datetime.fromisoformat(_EPOCH)

    def of_record(self, record: Record) -> Entry | None:
        """The entry that tells of a record; None when it is not under the checkpoint.

        Raises:
            IntegrityError: no entry tells of it.
        """
        digest = str(record.digest)
        if digest not in self._records:
            found = self._find(digest, record.at, lambda e: digest in _facts(e).get("records", ()))
            if found is None:
                raise _untold("record", record.id)
            self._records[digest] = self._under(found)
        return self._records[digest]

    def of_run(self, run: Run) -> Ends | None:
        """The entries that tell of a run; None when its end is not under the checkpoint.

        Raises:
            IntegrityError: no entry tells of its end, or of who asked for it.
        """
        if not run.status.ended or run.ended_at is None or not run.result:
            return None
        if run.id not in self._runs:
            ended = self._find(run.id, parse_time(run.ended_at), lambda e: _tells(e, run.id, ended=True))
            asked = self._find(run.id, parse_time(run.created_at), lambda e: _tells(e, run.id, ended=False))
            if ended is None or asked is None:
                raise _untold("run", run.id)
            under = self._under(ended)
            self._runs[run.id] = None if under is None else Ends(asked, under)
        return self._runs[run.id]

    def holding(self, text: str, at: datetime, fits: Callable[[Entry], bool]) -> Entry | None:
        """Another entry under the checkpoint, by a text in it and the moment it was made at; None without one."""
        found = self._find(text, at, fits)
        return found and self._under(found)

    def _under(self, entry: Entry) -> Entry | None:
        if self._until is not None:
            # The checkpoint may be younger than this view of the store, in which entries have no number yet.
            late = parse_time(str(entry.event["time"])) > self._until
            return None if late or (entry.index or 0) >= self.checkpoint.size else entry
        return entry if entry.index is not None and entry.index < self.checkpoint.size else None

    def _find(self, text: str, at: datetime, fits: Callable[[Entry], bool]) -> Entry | None:
        spans: list[tuple[str | None, str | None]] = [(format_time(at - s), format_time(at + s)) for s in _SPANS]
        for since, until in (*spans, (None, None)):
            found = [e for e in self._entries.holding(text, since, until) if _outcome(e) == "ok" and fits(e)]
            if found:
                return min(found, key=lambda e: (e.index is None, e.index, str(e.event["id"])))
        return None


class Past:
    """One transaction's view of the store as it was at a checkpoint; what has no past is seen as it is."""

    def __init__(self, session: Session, told: Told) -> None:
        self._session, self._told = session, told

    def use(self, port: type[T]) -> T:
        """The repository that implements this port, showing what was told of by then."""
        view = _VIEWS.get(port)
        repository = self._session.use(port)
        return repository if view is None else cast("T", view(repository, self))

    @property
    def told(self) -> Told:
        """The entries that decide."""
        return self._told

    def holds(self, project: str, activity: str, ended_at: datetime | None) -> bool:
        """Whether an activity had ended by then."""
        run = self._session.use(RunQueue).get(project, activity)
        if run is not None:
            return self._told.of_run(run) is not None
        return ended_at is not None and ended_at <= self._told.moment


class _Records:
    def __init__(self, records: Records, past: Past) -> None:
        self._records, self._told = records, past.told

    def append(self, record: Record) -> None:
        self._records.append(record)

    def get(self, project: str, record: str) -> Record | None:
        found = self._records.get(project, record)
        return found if found is not None and self._told.of_record(found) else None

    def about(self, project: str, subjects: Iterable[str], kind: RecordKind | None = None) -> Sequence[Record]:
        return [one for one in self._records.about(project, subjects, kind) if self._told.of_record(one)]

    def of_kind(self, project: str, kind: RecordKind, limit: int | None = None) -> Sequence[Record]:
        found = [one for one in self._records.of_kind(project, kind) if self._told.of_record(one)]
        return found[:limit]


class _Runs:
    def __init__(self, queue: RunQueue, past: Past) -> None:
        self._queue, self._told = queue, past.told

    def __getattr__(self, name: str) -> Any:
        """What changes runs, and what the platform asks for itself, goes through as it is."""
        return getattr(self._queue, name)

    def get(self, project: str, run: str) -> Run | None:
        found = self._queue.get(project, run)
        return found if found is not None and self._told.of_run(found) else None

    def find(
        self, project: str, *, experiment: str | None, kind: str | None, status: str | None, limit: int
    ) -> tuple[Run, ...]:
        found = self._queue.find(project, experiment=experiment, kind=kind, status=status, limit=_EVERYTHING)
        return tuple(self._filtered(found, limit))

    def of_plan(self, project: str, plan: Digest) -> tuple[Run, ...]:
        return tuple(self._filtered(self._queue.of_plan(project, plan), _EVERYTHING))

    def _filtered(self, runs: Iterable[Run], limit: int) -> Iterator[Run]:
        for run in runs:
            if limit and self._told.of_run(run):
                limit -= 1
                yield run


class _Activities:
    def __init__(self, activities: Activities, past: Past) -> None:
        self._activities, self._past = activities, past

    def record(self, activity: Activity) -> None:
        self._activities.record(activity)

    def find(self, project: str, ids: Iterable[str]) -> dict[str, Activity]:
        found = self._activities.find(project, ids)
        return {id: one for id, one in found.items() if self._past.holds(project, id, one.ended_at)}

    def newest(self, project: str, kind: ActivityKind | None, experiment: str | None, limit: int) -> Sequence[Activity]:
        found = self._activities.newest(project, kind, experiment, _EVERYTHING)
        return [one for one in found if self._past.holds(project, one.id, one.ended_at)][:limit]

    def experiments(self, project: str) -> dict[str, int]:
        return self._activities.experiments(project)


class _Lineage:
    def __init__(self, lineage: Lineage, past: Past) -> None:
        self._lineage, self._past = lineage, past

    def record(self, project: str, edges: Iterable[Any]) -> None:
        self._lineage.record(project, edges)

    def closure(self, project: str, start: Digest | str, direction: Direction, depth: int | None = None) -> Graph:
        graph = self._known(project, self._lineage.closure(project, start, direction, depth))
        return _within(graph, depths(graph, start, direction))

    def around(self, project: str, digests: Iterable[Digest]) -> Graph:
        return self._known(project, self._lineage.around(project, digests))

    def of_activities(self, project: str, ids: Iterable[str]) -> Graph:
        graph = self._known(project, self._lineage.of_activities(project, ids))
        return _within(graph, {end for edge in graph.edges for end in (edge.activity, edge.entity)})

    def _known(self, project: str, graph: Graph) -> Graph:
        # An activity without a run was recorded elsewhere; its start is all that a walk knows of when it was.
        known = {id: n for id, n in graph.activities.items() if self._past.holds(project, id, n.started_at)}
        return Graph(graph.entities, known, tuple(edge for edge in graph.edges if edge.activity in known))


class _Names:
    def __init__(self, names: Names, past: Past) -> None:
        self._names, self._moment = names, past.told.moment

    def append(self, *args: Any, **how: Any) -> Name:
        return self._names.append(*args, **how)

    def find(self, project: str, kind: EntityKind, name: str, version: int | None) -> Name | None:
        return next((one for one in self.versions(project, kind, name) if version in (None, one.version)), None)

    def versions(self, project: str, kind: EntityKind, name: str) -> Sequence[Name]:
        return [one for one in self._names.versions(project, kind, name) if one.at <= self._moment]

    def of(self, project: str, digests: Iterable[Digest]) -> dict[Digest, list[Name]]:
        found = self._names.of(project, digests)
        kept = {digest: [one for one in names if one.at <= self._moment] for digest, names in found.items()}
        return {digest: names for digest, names in kept.items() if names}

    def latest(self, project: str, kind: EntityKind, prefix: str, limit: int) -> Sequence[Name]:
        found = [one for one in self._names.latest(project, kind, prefix, _EVERYTHING) if one.at <= self._moment]
        return found[:limit]


class _Entities:
    def __init__(self, entities: Entities, past: Past) -> None:
        self._entities, self._moment = entities, past.told.moment

    def record(self, entity: Entity, parts: Iterable[Digest] = ()) -> None:
        self._entities.record(entity, parts)

    def find(self, project: str, digests: Iterable[Digest]) -> dict[Digest, Entity]:
        found = self._entities.find(project, digests)
        return {digest: one for digest, one in found.items() if one.at <= self._moment}

    def newest(self, project: str, kind: EntityKind | None, prefix: str, limit: int) -> Sequence[Entity]:
        return [one for one in self._entities.newest(project, kind, prefix, limit) if one.at <= self._moment]

    def alike(self, project: str, digests: Iterable[Digest]) -> Sequence[Match]:
        found = list(self._entities.alike(project, digests))
        known = self.find(project, {one.entity for one in found})
        return [one for one in found if one.entity in known]


_VIEWS: Final[Mapping[type[Any], Callable[[Any, Past], Any]]] = {
    Activities: _Activities,
    Entities: _Entities,
    Lineage: _Lineage,
    Names: _Names,
    Records: _Records,
    RunQueue: _Runs,
}

_EPOCH: Final = "1970-01-01T00:00:00+00:00"


def _within(graph: Graph, nodes: Collection[str]) -> Graph:
    return Graph(
        {digest: node for digest, node in graph.entities.items() if digest in nodes},
        {id: node for id, node in graph.activities.items() if id in nodes},
        tuple(edge for edge in graph.edges if edge.activity in nodes and edge.entity in nodes),
    )


def _last(entries: EntryRepository, size: int) -> Entry | None:
    found = entries.bodies(size - 1, size) if size else []
    if size and not found:
        raise IntegrityError(
            "MUNI-E505",
            "an entry under the checkpoint is missing from the database",
            index=size - 1,
            do="muni audit verify --profile auditor names the first",
        )
    return next((Entry(index, json.loads(body), body.encode()) for index, body in found), None)


def _facts(entry: Entry) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = entry.event["data"].get("facts", {})
    return facts


def _outcome(entry: Entry) -> str:
    return str(entry.event["data"].get("outcome", ""))


def _tells(entry: Entry, run: str, *, ended: bool) -> bool:
    """Whether an entry tells of the end of a run, or of the request for it: the only one that names kind and plan.

    A run that was tracked is told of by whoever ran it; of its end only the first entry tells what it came to.
    """
    facts = _facts(entry)
    if not ended and facts.get("run") != run:
        return any(json.loads(one)["run"] == run for one in facts.get("also", ()))
    if facts.get("run") != run:
        return False
    if ended:
        return entry.event["type"] in (complete_run.event, end_run.event) and "plan" in facts
    begun = entry.event["type"] == start_run.event and "plan" in facts
    return begun or {"kind", "plan", "inputs"} <= facts.keys()


def _untold(what: str, id: str) -> IntegrityError:
    return IntegrityError(
        "MUNI-E501",
        "the database holds something that the ledger does not tell of",
        kind=what,
        id=id,
        do="stop, keep everything as it is: muni audit verify --profile auditor",
    )
