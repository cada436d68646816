"""Where one person is: what the hermetic search counted, and what lineage adds to it. Nothing here knows who he is.

His value lies in a sealed document with random salt; the document's digest stands for him in every record, and says
nothing once the document is destroyed (EDPB Guidelines 02/2025: a bare hash of what can be guessed is personal data).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from muniment.catalog.model import ActivityKind, Direction, Entity, EntityKind, Graph, Relation
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Activities, Entities, Lineage
from muniment.errors import NotFound
from muniment.execution.model import RunStatus
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of
from muniment.execution.submitting import files_of
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call
from muniment.stewardship.serving import Served, of_person
from muniment.vault.ports import SealedObjects
from muniment.vault.service import Vault
from muniment.wire.stewardship import Affected

__all__ = ["Plan", "Searched", "plan_for", "searched_for", "to_search"]

SUBJECT = "a person who was searched for"
_MOST = 1 << 30
_MOST_SCANS = 10_000
_HOLDING = frozenset({EntityKind.DATA, EntityKind.FEATURES, EntityKind.FINGERPRINTS})
"""Kinds that are rows, or stand for rows: made of somebody's row, they are his too."""

_JUDGED = frozenset({ActivityKind.PREDICT, ActivityKind.EXPLAIN})
"""What decides or says something about the people in its input."""


_WORDS: Final = {
    EntityKind.REPORT: "counts or describes the rows of",
    EntityKind.METRICS: "was measured on",
    EntityKind.PROOF: "proves something about",
}
"""What kinds of results say about the rows that they were made of; a person has to judge whether they tell of him."""


@dataclass(slots=True)
class Searched:
    """What was searched for a subject so far."""

    column: str
    counted: dict[Digest, int] = field(default_factory=dict)
    """Rows of his, by snapshot."""

    without: set[Digest] = field(default_factory=set)
    """Snapshots that have no such column."""

    clean: set[Digest] = field(default_factory=set)
    """Snapshots that were made without him."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would destroy, and what it touches."""

    column: str
    searched: int
    missing: tuple[Digest, ...]
    found: tuple[Affected, ...]
    affected: tuple[Affected, ...]
    objects: tuple[Digest, ...]
    bytes: int
    obstacles: tuple[str, ...]
    served: tuple[Served, ...] = ()
    """Rows of online tables that go with it; they stand among ``found`` too."""


def find_subject(call: Call, subject: str) -> Entity:
    """The sealed document that stands for a person.

    Raises:
        NotFound: nobody was searched for under this digest.
    """
    entity = call.use(Entities).find(call.project, [Digest(subject)]).get(Digest(subject))
    if entity is None or entity.facts.get("what") != SUBJECT:
        raise NotFound("MUNI-W203", "nobody was searched for under this digest", subject=subject[:80])
    return entity


def to_search(call: Call, column: str) -> list[Entity]:
    """The snapshots that can hold somebody by a column: those that have it, or whose columns are not known."""
    found = []
    for entity in call.use(Entities).newest(call.project, EntityKind.DATA, "", _MOST):
        schema = entity.facts.get("schema")
        has = schema is None or any(one.get("name") == column for one in schema)
        pieces = _pieces(entity)
        if has and pieces and not call.use(Vault).erased(call.session, call.project, pieces):
            found.append(entity)
    return found


def searched_for(call: Call, subject: Entity) -> Searched:
    """What the searches for a subject found, from what they left in the record."""
    graph = call.use(Lineage).closure(call.project, subject.digest, Direction.DOWNSTREAM, 1)
    searched = Searched(str(subject.facts["column"]))
    for id_, node in sorted(graph.activities.items()):
        run = call.use(RunQueue).get(call.project, id_)
        if run is None or run.status is not RunStatus.OK:
            continue
        if node.kind is ActivityKind.SCAN:
            counts = (report_of(call, run) or {}).get("snapshots", {})
            for channel, digest in run.job["inputs"].items():
                if channel in counts:
                    _take(searched, Digest(digest), counts[channel])
        elif node.kind is ActivityKind.REDACT:
            searched.clean |= {Digest(one["digest"]) for one in run.result["products"] if one["kind"] == "data"}
    return searched


def _take(searched: Searched, digest: Digest, count: Mapping[str, Any]) -> None:
    if count["has_column"]:
        searched.counted[digest] = int(count["matches"])
    else:
        searched.without.add(digest)


def plan_for(call: Call, subject: Entity, keep: Sequence[str] = (), include: Sequence[str] = ()) -> Plan:
    """What the erasure of a subject comes to, as the record is now.

    Args:
        call: the request.
        subject: the sealed document that stands for him.
        keep: things by lineage that shall stay.
        include: other things that shall go.
    """
    searched = searched_for(call, subject)
    kept = {resolve(call.session, call.project, one).digest for one in keep}
    wanted = {resolve(call.session, call.project, one).digest: "named by who asks" for one in include}
    known = to_search(call, searched.column)
    missing = sorted(
        one.digest
        for one in known
        if one.digest not in searched.counted | dict.fromkeys(searched.without | searched.clean, 0)
    )
    held = {one: rows for one, rows in searched.counted.items() if rows and one not in searched.clean}
    going: dict[Digest, str] = {one: f"holds {rows} of his rows" for one, rows in held.items()}
    touched: dict[Digest, tuple[str, str]] = {}
    for start in sorted(held):
        _around(call, start, searched, going, touched)
    for digest, why in wanted.items():
        going.setdefault(digest, why)
    _share(call, going)
    known_entities = call.use(Entities).find(call.project, {*going, *touched})
    found = [
        _affected(call, known_entities[one], why, held.get(one), "keep" if one in kept else "destroy")
        for one, why in sorted(going.items())
        if one in known_entities
    ]
    affected = [
        _affected(call, known_entities[one], why, None, action)
        for one, (why, action) in sorted(touched.items())
        if one in known_entities and one not in going
    ]
    destroyed = [known_entities[Digest(one.digest)] for one in found if one.action == "destroy"]
    objects = _objects(call, destroyed)
    objects |= _objects(call, _same_person(call, subject))
    staying = {piece for one in found if one.action == "keep" for piece in _pieces(known_entities[Digest(one.digest)])}
    chosen = sorted(set(objects) - staying)
    guarded = call.use(Vault).guarded(call.session, call.project, chosen, call.now)
    served = of_person(call, subject, {one.digest for one in destroyed})
    found += [one.affected(call, "keep" if one.view in kept else "destroy") for one in served]
    return Plan(
        column=searched.column,
        searched=len(searched.counted) + len(searched.without),
        missing=tuple(missing),
        found=tuple(found),
        affected=tuple(affected),
        objects=tuple(chosen),
        bytes=sum(objects[one] for one in chosen),
        obstacles=tuple(sorted(set(guarded.values()))),
        served=tuple(one for one in served if one.view not in kept),
    )


def _around(
    call: Call,
    start: Digest,
    searched: Searched,
    going: dict[Digest, str],
    touched: dict[Digest, tuple[str, str]],
) -> None:
    """What lineage adds around a snapshot that holds him: its source file, and what was made of his rows."""
    name = label(call.session, call.project, start)
    for digest, node in _inputs_of(call.use(Lineage).closure(call.project, start, Direction.UPSTREAM, 1), start):
        if node is EntityKind.FILE:
            going.setdefault(digest, f"the file that {name} was read from")
    queue, seen = [start], {start}
    while queue:
        one = queue.pop(0)
        origin = label(call.session, call.project, one)
        graph = _used_by(call, one)
        for digest, why in _copied(graph, origin):
            going.setdefault(digest, why)
        for digest, kind, activity in _made_of(graph, one):
            if digest in seen:
                continue
            seen.add(digest)
            maker = graph.activities[activity].kind
            if kind is EntityKind.MODEL:
                touched.setdefault(digest, (f"learned from {origin}", "retrain"))
            elif kind in _HOLDING:
                if digest in searched.counted or digest in searched.clean:
                    continue  # it was counted by itself
                going.setdefault(digest, f"made of {origin}, without the column")
                queue.append(digest)
            elif maker is ActivityKind.PUBLISH and kind is EntityKind.ARTIFACT:
                going.setdefault(digest, f"picked from {origin} for online reads")
            else:
                what = "decides or says something about" if maker in _JUDGED else _WORDS.get(kind, "made of")
                touched.setdefault(digest, (f"{what} {origin}", "review"))


def _used_by(call: Call, digest: Digest) -> Graph:
    """Everything that used an entity, searches for people apart, with all that it used and generated."""
    lineage = call.use(Lineage)
    graph = lineage.closure(call.project, digest, Direction.DOWNSTREAM, 1)
    users = {e.activity for e in graph.edges if e.relation is Relation.USED and e.entity == digest}
    return lineage.of_activities(
        call.project, sorted(one for one in users if graph.activities[one].kind is not ActivityKind.SCAN)
    )


def _copied(graph: Graph, origin: str) -> list[tuple[Digest, str]]:
    """Copies of online rows that were taken to compare them with a snapshot."""
    compared = {id_ for id_, node in graph.activities.items() if node.kind is ActivityKind.SKEW}
    return sorted(
        (edge.entity, f"online rows that were compared with {origin}")
        for edge in graph.edges
        if edge.relation is Relation.USED
        and edge.activity in compared
        and graph.entities[edge.entity].kind is EntityKind.FILE
    )


def _inputs_of(graph: Graph, digest: Digest) -> list[tuple[Digest, EntityKind]]:
    makers = {e.activity for e in graph.edges if e.relation is Relation.GENERATED and e.entity == digest}
    return sorted(
        {
            (edge.entity, graph.entities[edge.entity].kind)
            for edge in graph.edges
            if edge.relation is Relation.USED and edge.activity in makers and edge.entity in graph.entities
        }
    )


def _made_of(graph: Graph, digest: Digest) -> list[tuple[Digest, EntityKind, str]]:
    users = {e.activity for e in graph.edges if e.relation is Relation.USED and e.entity == digest}
    return sorted(
        {
            (edge.entity, graph.entities[edge.entity].kind, edge.activity)
            for edge in graph.edges
            if edge.relation is Relation.GENERATED and edge.activity in users and edge.entity in graph.entities
        }
    )


def _share(call: Call, going: dict[Digest, str]) -> None:
    """Add what has a piece in common with something that goes: it could not be read afterwards anyway."""
    entities = call.use(Entities)
    known = entities.find(call.project, going)
    pieces = {piece for entity in known.values() for piece in _pieces(entity)}
    for holders in entities.holders(call.project, pieces).values():
        for other in sorted(holders - set(going)):
            going[other] = "shares a piece with what goes"


def _objects(call: Call, entities: Iterable[Entity]) -> dict[Digest, int]:
    """The sealed objects of entities that are still there, with their bytes."""
    objects = call.session.use(SealedObjects)
    found: dict[Digest, int] = {}
    for entity in entities:
        for piece in holding(entity):
            sealed = objects.find(call.project, piece)
            if sealed is not None:
                found[piece] = sealed.size
    return found


def _same_person(call: Call, subject: Entity) -> list[Entity]:
    """Every sealed document that stands for the same person: he may have been searched for more than once."""
    scans = [one.id for one in call.use(Activities).newest(call.project, ActivityKind.SCAN, None, _MOST_SCANS)]
    graph = call.use(Lineage).of_activities(call.project, scans)
    known = call.use(Entities).find(
        call.project, [d for d, n in graph.entities.items() if n.kind is EntityKind.ARTIFACT]
    )
    told = _told(call, subject)
    others = [one for one in known.values() if one.facts.get("what") == SUBJECT and one.digest != subject.digest]
    return [subject, *(one for one in others if told is not None and _told(call, one) == told)]


def _told(call: Call, subject: Entity) -> tuple[str, str] | None:
    """Column and value of a document that is still there."""
    if not call.use(Vault).has(call.session, call.project, subject.digest):
        return None
    document = json.loads(call.use(Vault).read_bytes(call.project, subject.digest))
    return document["column"], document["value"]


def holding(entity: Entity) -> set[Digest]:
    """The objects of an entity that may hold what was in the rows.

    The list of a snapshot's parts holds none: names of columns, digests and counts. It stays, so that whoever verifies
    a model still sees what it was made from.
    """
    pieces = {entity.digest, *_pieces(entity)}
    return pieces - {entity.digest} if entity.kind is EntityKind.DATA and len(pieces) > 1 else pieces


def _pieces(entity: Entity) -> list[Digest]:
    return [Digest(str(file["digest"])) for file in files_of(entity)]


def _affected(call: Call, entity: Entity, why: str, rows: int | None, action: str) -> Affected:
    return Affected(
        reference=label(call.session, call.project, entity.digest),
        digest=str(entity.digest),
        kind=entity.kind.value,
        why=why,
        rows=rows,
        action=action,
    )
