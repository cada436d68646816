"""A lineage as one JSON value, ``muniment.lineage/1``: what the other formats are pure functions of.

It says of every entity and activity what is recorded of it, and nothing else, so that each format shows the same graph:
the closure that the catalog finds, node by node and edge by edge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from muniment.catalog.columns import column_links
from muniment.catalog.model import Activity, ActivityKind, Direction, Entity, EntityKind, Graph, Relation
from muniment.catalog.ports import Activities, Checkpoints, Entities, Lineage, Names, Then
from muniment.catalog.service import BOTH, look_back, readable
from muniment.catalog.tracing import ends, merged
from muniment.errors import IntegrityError, Invalid
from muniment.execution.model import Run
from muniment.execution.queue import RunQueue
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.ports import Session
from muniment.kernel.release import VERSION
from muniment.kernel.verb import Call
from muniment.ledger.service import Ledger

__all__ = ["FORMAT", "gather_lineage", "labels_of"]

FORMAT: Final = "muniment.lineage/1"

_MOST_ACTIVITIES: Final = 100_000
_MOST_DEPTH: Final = 1_000_000

_DERIVING: Final = frozenset(
    {
        ActivityKind.INGEST,
        ActivityKind.SPLIT,
        ActivityKind.TRANSFORM,
        ActivityKind.JOIN,
        ActivityKind.TRAIN,
        ActivityKind.REDACT,
    }
)
"""Activities whose results a program of the platform made out of what it read: each result derives from each input."""

_SOURCES: Final = frozenset({EntityKind.FILE, EntityKind.DATA})
_RESULTS: Final = frozenset({EntityKind.DATA, EntityKind.MODEL})
_DIRECTIONS: Final = {one.value: (one,) for one in Direction} | {BOTH: tuple(Direction)}


def gather_lineage(
    call: Call, reference: str, *, direction: str = "upstream", depth: int | None = None, at: str | None = None
) -> dict[str, Any]:
    """The lineage of an entity or a run.

    Args:
        call: whose view of the store is looked at.
        reference: what it is about; as the gate saw it.
        direction: ``upstream``, ``downstream`` or ``both``.
        depth: how many activities away to go at most; None goes to the end.
        at: a point of the past; None for now.

    Raises:
        Invalid: there is no such direction, or the depth is out of range.
        NotFound: it is not known, or was not by then.
        IntegrityError: an edge leads to something that is missing from the database.
    """
    if direction not in _DIRECTIONS:
        raise Invalid(
            "MUNI-E105", f"{direction[:40]!r} is no direction", given=direction[:80], choices=list(_DIRECTIONS)
        )
    if depth is not None and not 1 <= depth <= _MOST_DEPTH:
        raise Invalid("MUNI-E106", "the depth is out of range", given=depth, least=1, most=_MOST_DEPTH)
    then, found = look_back(call, reference, at)
    session: Session = then.session if then else call.session
    start: Digest | str = found.digest if isinstance(found, Entity) else found.id
    lineage = session.use(Lineage)
    graph = merged([lineage.closure(call.project, start, one, depth) for one in _DIRECTIONS[direction]])
    return document(call, session, graph, start, direction=direction, depth=depth, then=then)


def document(
    call: Call,
    session: Session,
    graph: Graph,
    start: Digest | str,
    *,
    direction: str = "upstream",
    depth: int | None = None,
    then: Then | None = None,
) -> dict[str, Any]:
    """A graph with everything that is recorded of its nodes, as JSON."""
    project = call.project
    if len(graph.activities) > _MOST_ACTIVITIES:
        raise Invalid(
            "MUNI-E107",
            "this lineage is too large for one document",
            activities=len(graph.activities),
            most=_MOST_ACTIVITIES,
            do="limit the depth",
        )
    entities = session.use(Entities).find(project, graph.entities)
    activities = session.use(Activities).find(project, graph.activities)
    _complete(graph, entities, activities)
    shown = readable(call, entities.values())
    names = session.use(Names).of(project, graph.entities)
    labels = labels_of(entities, {digest: [str(name) for name in found] for digest, found in names.items()})
    queue = session.use(RunQueue)
    veiled = {edge.activity for edge in graph.edges if edge.entity not in shown}
    ran = {id: _activity(one, queue.get(project, id), id in veiled) for id, one in sorted(activities.items())}
    labels |= _filenames(graph, labels, ran)
    size, root = (then.size, then.root) if then else call.use(Checkpoints).covering()
    return {
        "format": FORMAT,
        "checkpoint": {"origin": call.use(Ledger).origin, "size": size, "root": str(root)},
        "past": then and {"moment": format_time(then.moment), "entries": then.entries},
        "installation": {"origin": call.use(Ledger).origin, "version": VERSION},
        "project": project,
        "reference": labels[start] if isinstance(start, Digest) else f"run:{start}",
        "start": str(start),
        "direction": direction,
        "depth": depth,
        "lineage": {
            "entities": [
                {
                    "digest": str(digest),
                    "kind": one.kind.value,
                    "label": labels[digest],
                    "names": [str(name) for name in names.get(digest, [])],
                    "grade": one.grade.value,
                    "author": one.author,
                    "at": format_time(one.at),
                    "facts": dict(one.facts) if digest in shown else {},
                    "hidden": digest not in shown,
                }
                for digest, one in sorted(entities.items())
            ],
            "activities": list(ran.values()),
            "edges": [
                {
                    "relation": edge.relation.value,
                    "activity": edge.activity,
                    "entity": str(edge.entity),
                    "role": edge.role,
                    "grade": edge.grade.value,
                    "record": edge.record and str(edge.record),
                }
                for edge in sorted(graph.edges, key=lambda one: (one.activity, one.relation, one.role, one.entity))
            ],
        },
        "derivations": _derivations(graph),
        "columns": [
            {
                "source": str(link.source),
                "source_column": link.source_column,
                "target": str(link.target),
                "target_column": link.target_column,
                "activity": link.activity,
                "how": link.how.value,
                "grade": link.grade.value,
            }
            for link in column_links(graph, shown, activities)
        ],
    }


def labels_of(entities: Mapping[Digest, Entity], names: Mapping[Digest, list[str]]) -> dict[str, str]:
    """How to call these entities: the newest name, else what the facts call it, else the digest."""
    labels: dict[str, str] = {}
    for digest, entity in entities.items():
        what = entity.facts.get("what")
        plain = f"{what} ({digest.short})" if isinstance(what, str) and what else str(digest)
        labels[digest] = names[digest][0] if names.get(digest) else plain
    return labels


def _complete(graph: Graph, entities: Collection[Digest], activities: Collection[str]) -> None:
    """Refuse a graph of which the database lost something.

    Raises:
        IntegrityError: an end of an edge, or what is known of a node, is missing.
    """
    lost = [
        end for edge in graph.edges for end in ends(edge) if end not in graph.entities and end not in graph.activities
    ]
    lost += [digest for digest in graph.entities if digest not in entities]
    lost += [id for id in graph.activities if id not in activities]
    if lost:
        raise IntegrityError(
            "MUNI-E506",
            "the lineage leads to something that is missing from the database",
            missing=sorted(set(map(str, lost)))[:20],
            do="stop, keep everything as it is: muni audit verify --profile auditor",
        )


def _filenames(graph: Graph, labels: Mapping[str, str], ran: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What files without a name were called by whoever brought them: of the first run that read each in."""
    found: dict[str, str] = {}
    for edge in sorted(graph.edges, key=lambda one: one.activity):
        called = (ran[edge.activity]["run"] or {}).get("filename")
        nameless = graph.entities[edge.entity].kind is EntityKind.FILE and labels[edge.entity] == edge.entity
        if nameless and called and edge.relation is Relation.USED:
            found.setdefault(edge.entity, f"{called} ({edge.entity.short})")
    return found


def _activity(activity: Activity, run: Run | None, hidden: bool) -> dict[str, Any]:
    facts = activity.facts
    return {
        "id": activity.id,
        "kind": activity.kind.value,
        "label": str(facts.get("label") or activity.kind),
        "agent": activity.agent,
        "started_at": format_time(activity.started_at),
        "ended_at": format_time(activity.ended_at),
        "plan": activity.plan and str(activity.plan),
        "grade": activity.grade.value,
        "status": str(facts.get("status") or "ok"),
        "experiment": facts.get("experiment"),
        "seed": facts.get("seed"),
        # Parameters may quote values of what was read; who may not see that sees none of them.
        "params": {} if hidden else dict(facts.get("params") or {}),
        "run": None if run is None else _run(run, hidden),
    }


def _run(run: Run, hidden: bool) -> dict[str, Any]:
    enforcement = run.result.get("enforcement") or {}
    error = run.result.get("error") or {}
    return {
        "program": run.job.get("program"),
        "entry": run.job.get("entry"),
        "env": run.job.get("env"),
        "source": run.job.get("source"),
        "base": run.job.get("base"),
        "code": run.job.get("code"),
        "filename": None if hidden else run.facts.get("filename"),
        "origin": {} if hidden else dict(run.facts.get("origin") or {}),
        "engine": enforcement.get("engine"),
        "engine_version": enforcement.get("version"),
        "complete": enforcement.get("complete"),
        "error": {"code": error.get("code"), "message": error.get("message")} if error and not hidden else None,
        "record": run.result.get("record"),
    }


def _derivations(graph: Graph) -> list[dict[str, Any]]:
    """Which results a program of the platform made out of which inputs."""
    used: dict[str, list[Any]] = {}
    made: dict[str, list[Any]] = {}
    for edge in graph.edges:
        if graph.activities[edge.activity].kind in _DERIVING:
            kind = graph.entities[edge.entity].kind
            if edge.relation is Relation.USED and kind in _SOURCES:
                used.setdefault(edge.activity, []).append(edge)
            elif edge.relation is Relation.GENERATED and kind in _RESULTS:
                made.setdefault(edge.activity, []).append(edge)
    found = {
        (result.entity, source.entity, activity): None
        for activity, results in made.items()
        for result in results
        for source in used.get(activity, ())
        if result.entity != source.entity
    }
    return [
        {"generated": str(generated), "used": str(source), "activity": activity}
        for generated, source, activity in sorted(found)
    ]
