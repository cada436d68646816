"""What can be asked of the catalog: entities, lineage, and whether something was used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from muniment.catalog.absence import ROW_KINDS, AbsenceProof, Evidence, Verdict, apart, decide
from muniment.catalog.columns import ColumnLink, column_links
from muniment.catalog.columns_picture import draw_columns
from muniment.catalog.model import (
    Activity,
    ActivityKind,
    Direction,
    Entity,
    EntityKind,
    EntityNode,
    Graph,
    Relation,
)
from muniment.catalog.naming import label, resolve
from muniment.catalog.picture import draw
from muniment.catalog.ports import Activities, Checkpoints, Entities, Histories, Lineage, Names, Then
from muniment.catalog.resources import ENTITY, MODEL, entity_resource, find
from muniment.catalog.tracing import ends, merged, nearest_each
from muniment.catalog.walking import Step
from muniment.errors import Conflict, Invalid, NotFound
from muniment.kernel.digest import Digest
from muniment.kernel.grade import weakest
from muniment.kernel.identifiers import format_time
from muniment.kernel.ports import Session
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.policy.authorizer import CedarAuthorizer
from muniment.wire import catalog as wire

Choice = TypeVar("Choice", bound=StrEnum)

_BY_PEOPLE: Final = frozenset(ActivityKind) - {ActivityKind.INGEST, ActivityKind.SPLIT}
"""What shows people something of what it read: a log, metrics, a report, files."""

_MOST_LISTED: Final = 1000
_MOST_SHOWN: Final = 2000
"""Nodes of a lineage in one reply."""
_MOST_DRAWN: Final = 100
"""Nodes of a lineage in one picture; beyond that nobody can read it."""
_MOST_COLUMNS: Final = 20_000
"""Links between columns in one reply."""

BOTH: Final = "both"
"""Upstream and downstream at once."""

_TITLES: Final = {
    Direction.UPSTREAM.value: "Where {} comes from",
    Direction.DOWNSTREAM.value: "What was made of {}",
    BOTH: "Where {} comes from, and what was made of it",
}


@verb(
    "catalog:GetEntity",
    on=ENTITY,
    request=wire.GetEntity,
    reply=wire.EntityDetail,
    event="entity.read",
    group="catalog:read",
    effect=Effect.READ,
)
def get_entity(call: Call, request: wire.GetEntity) -> wire.EntityDetail:
    """Show what is known about an entity: kind, names, facts, and every activity that generated it."""
    session, project = call.session, call.project
    entity = resolve(session, project, request.reference)
    origin = session.use(Lineage).closure(project, entity.digest, Direction.UPSTREAM, 1)
    made = [e for e in origin.edges if e.relation is Relation.GENERATED and e.entity == entity.digest]
    names = [str(name) for name in session.use(Names).of(project, [entity.digest]).get(entity.digest, [])]
    call.note(digest=entity.digest)
    return wire.EntityDetail(
        **_summary(entity, names),
        names=names,
        facts=dict(entity.facts),
        generated_by=[
            wire.Origin(
                run=f"run:{edge.activity}",
                kind=origin.activities[edge.activity].kind,
                agent=origin.activities[edge.activity].agent,
                role=edge.role,
                grade=edge.grade,
                started_at=format_time(origin.activities[edge.activity].started_at),
            )
            for edge in sorted(made, key=lambda edge: edge.activity, reverse=True)
        ],
    )


@verb(
    "catalog:ListEntities",
    on=PROJECT,
    request=wire.ListEntities,
    reply=wire.Entities,
    event="entities.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_entities(call: Call, request: wire.ListEntities) -> wire.Entities:
    """List the entities of a project, newest first."""
    limit = _bounded("limit", request.limit, 1, _MOST_LISTED)
    kind = None if request.kind is None else _choice(EntityKind, "kind", request.kind)
    found = call.use(Entities).newest(call.project, kind, request.prefix, limit)
    names = call.use(Names).of(call.project, [entity.digest for entity in found])
    call.note(count=len(found))
    return wire.Entities(
        entities=[
            wire.EntitySummary(**_summary(entity, [str(name) for name in names.get(entity.digest, [])]))
            for entity in found
        ]
    )


@verb(
    "catalog:GetLineage",
    on=ENTITY,
    request=wire.GetLineage,
    reply=wire.LineageView,
    event="lineage.read",
    group="catalog:read",
    effect=Effect.READ,
)
def get_lineage(call: Call, request: wire.GetLineage) -> wire.LineageView:
    """Show where something comes from, or what was made of it, both as a table and as a picture."""
    directions = _directions(request.direction)
    depth = None if request.depth is None else _bounded("depth", request.depth, 1, 1_000_000)
    then, found = look_back(call, request.reference, request.at)
    session, project = then.session if then else call.session, call.project
    start = found.digest if isinstance(found, Entity) else found.id
    whole = merged([session.use(Lineage).closure(project, start, direction, depth) for direction in directions])
    graph, steps = nearest_each(whole, start, directions, _MOST_SHOWN)
    labels = _labels(session, project, graph.entities)
    call.note(start=str(start), direction=request.direction, nodes=len(steps), **_noted(then))
    links, hidden = columns_of(call, session, graph) if request.columns else ([], 0)
    picture = None
    if request.picture:
        name = labels[start] if isinstance(start, Digest) else f"run:{start}"
        title = _TITLES[request.direction].format(name) + (f", as of {then.moment:%Y-%m-%d %H:%M} UTC" if then else "")
        if request.columns:
            kinds = {digest: node.kind for digest, node in graph.entities.items()}
            picture = draw_columns(links, kinds, labels, title=f"{title}: columns")
        else:
            part, near = nearest_each(whole, start, directions, _MOST_DRAWN)
            left_out = len(whole.entities) + len(whole.activities) - len(near)
            picture = draw(part, start, labels, title=title, omitted=left_out)
    origins = [edge.grade for edge in whole.edges]
    if isinstance(found, Entity) and Direction.UPSTREAM in directions and not _made_here(whole, found.digest):
        origins.append(found.grade)
    return wire.LineageView(
        reference=labels.get(start, f"run:{start}") if isinstance(start, Digest) else f"run:{start}",
        direction=request.direction,
        grade=weakest(origins),
        elsewhere=_elsewhere(whole, found) if isinstance(found, Entity) else None,
        nodes=[_node(graph, node, steps[node], labels) for node in steps],
        edges=[
            wire.LineageEdge(
                source=_address(graph, ends(edge)[0]),
                target=_address(graph, ends(edge)[1]),
                relation=edge.relation,
                role=edge.role,
                grade=edge.grade,
                record=edge.record,
            )
            for edge in sorted(graph.edges, key=lambda edge: (steps[ends(edge)[0]], ends(edge), edge.role))
        ],
        truncated=len(steps) < len(whole.entities) + len(whole.activities),
        svg=picture,
        columns=[
            wire.ColumnEdge(
                source=link.source,
                source_label=labels[link.source],
                source_column=link.source_column,
                target=link.target,
                target_label=labels[link.target],
                target_column=link.target_column,
                run=f"run:{link.activity}",
                how=link.how,
                grade=link.grade,
            )
            for link in links[:_MOST_COLUMNS]
        ],
        hidden=hidden,
        past=_past(then),
    )


def look_back(call: Call, reference: str, at: str | None) -> tuple[Then | None, Entity | Activity]:
    """What a reference means, and the past it is told at, where one is asked for.

    The gate decided about what the reference means now; so it may not mean anything else then.

    Raises:
        NotFound: it was not recorded by then.
        Conflict: it meant something else then.
    """
    found = find(call.session, call.project, reference)
    if at is None:
        return None, found
    then = call.use(Histories).then(call.session, at, call.now)
    try:
        before = find(then.session, call.project, reference)
    except NotFound as unknown:
        raise NotFound(
            "MUNI-C208",
            "it was not recorded by then",
            given=reference[:200],
            at=at[:80],
            moment=format_time(then.moment),
            do="name a later moment, or none",
        ) from unknown
    if (before.digest if isinstance(before, Entity) else before.id) != (
        found.digest if isinstance(found, Entity) else found.id
    ):
        meant = str(before.digest) if isinstance(before, Entity) else f"run:{before.id}"
        raise Conflict(
            "MUNI-C305",
            "this name meant something else then",
            given=reference[:200],
            at=at[:80],
            meant=meant,
            do=f"ask for {meant}, or for a version of the name",
        )
    return then, before


def columns_of(call: Call, session: Session, graph: Graph) -> tuple[list[ColumnLink], int]:
    """Which column rests on which, as far as the asker may see the columns; and of how many things he may not."""
    entities = session.use(Entities).find(call.project, graph.entities)
    shown = readable(call, entities.values())
    activities = session.use(Activities).find(call.project, graph.activities)
    return column_links(graph, shown, activities), len(entities) - len(shown)


def readable(call: Call, entities: Iterable[Entity]) -> dict[Digest, Entity]:
    """Those of these entities whose facts the asker may see."""
    authorizer = call.use(CedarAuthorizer)
    return {
        one.digest: one
        for one in entities
        if authorizer.decide(call.session, call.authentication, get_entity, entity_resource(one)).allowed
    }


def _directions(given: str) -> tuple[Direction, ...]:
    return tuple(Direction) if given == BOTH else (_choice(Direction, "direction", given),)


def _past(then: Then | None) -> wire.Past | None:
    if then is None:
        return None
    checkpoint = wire.Checkpoint(size=then.size, root=then.root)
    return wire.Past(moment=format_time(then.moment), entries=then.entries, checkpoint=checkpoint)


def _noted(then: Then | None) -> dict[str, int]:
    return {} if then is None else {"as_of": then.entries}


@verb(
    "catalog:ProveUnused",
    on=MODEL,
    request=wire.ProveUnused,
    reply=wire.AbsenceReply,
    event="absence.proved",
    group="catalog:read",
    effect=Effect.READ,
)
def prove_unused(call: Call, request: wire.ProveUnused) -> wire.AbsenceReply:
    """Answer whether something was used to make a model, with the scope, the grade and the checkpoint of the answer."""
    session, project = call.session, call.project
    asked = resolve(session, project, request.reference)
    model = resolve(session, project, request.model, EntityKind.MODEL)
    evidence = gather(session, project, asked, model.digest)
    source = _elsewhere(evidence.closure, model)
    if source is not None:
        raise Conflict(
            "MUNI-C304",
            f"what this model was made from is recorded in project {source}, where it was promoted from",
            model=label(session, project, model.digest),
            source=source,
            do=f"ask there: muni prove-unused REFERENCE --in {model.digest} --project {source}",
        )
    proof = decide(evidence)
    size, root = call.use(Checkpoints).covering()
    named = {asked.digest, model.digest, *proof.shared, *(c.part for c in proof.citations)}
    labels = _labels(session, project, {*named, *(end for s in proof.path for end in (s.source, s.target))})
    call.note(asked=asked.digest, model=model.digest, verdict=proof.verdict.value, grade=proof.grade.value)
    return wire.AbsenceReply(
        unused=proof.unused,
        verdict=proof.verdict,
        grade=proof.grade,
        scope=scope_of(evidence, proof, project, labels),
        checkpoint=wire.Checkpoint(size=size, root=root),
        reference=labels[asked.digest],
        model=labels[model.digest],
        entities=proof.entities,
        activities=proof.activities,
        path=[_proof_step(step, labels) for step in proof.path],
        disjointness=[
            wire.Disjointness(
                proof=citation.proof,
                run=f"run:{citation.activity}",
                part=labels.get(citation.part, citation.part),
                other=labels.get(citation.other, citation.other),
                grade=citation.grade,
            )
            for citation in proof.citations
        ],
        weakest=_weak(proof, labels),
        digest=asked.digest,
        model_digest=model.digest,
    )


def gather(session: Session, project: str, asked: Entity, model: Digest) -> Evidence:
    """Load what the decision about an absence looks at: both closures, copies, and the splits with their proofs."""
    lineage, entities = session.use(Lineage), session.use(Entities)
    closure = lineage.closure(project, model, Direction.UPSTREAM)
    ancestry = lineage.closure(project, asked.digest, Direction.UPSTREAM)
    with_rows = [digest for digest, node in ancestry.entities.items() if node.kind in ROW_KINDS]
    splitting = (ActivityKind.SPLIT, ActivityKind.REPRODUCE)
    splits = lineage.of_activities(project, [a.id for a in ancestry.activities.values() if a.kind in splitting])
    known = entities.find(project, splits.entities)
    near = lineage.around(project, [asked.digest])
    readers = {edge.activity for edge in near.edges if edge.relation is Relation.USED}
    return Evidence(
        asked=EntityNode(asked.digest, asked.kind, asked.grade, asked.content_digest),
        model=model,
        closure=closure,
        ancestry=ancestry,
        copies=entities.alike(project, {asked.digest, *with_rows}),
        splits=splits,
        proofs={digest: set(parts) for digest, entity in known.items() if (parts := _disjoint_parts(entity))},
        readers=[one for one in readers if near.activities[one].kind in _BY_PEOPLE],
    )


def _disjoint_parts(entity: Entity) -> Collection[Digest]:
    """The parts that a split's report proves to be disjoint, as the platform took them from it; none for any other."""
    parts = entity.facts.get("parts")
    if entity.facts.get("disjoint") is not True or not isinstance(parts, dict):
        return ()
    return [Digest(part) for part in parts.values()]


def scope_of(evidence: Evidence, proof: AbsenceProof, project: str, labels: Mapping[str, str]) -> str:
    """In words: what was searched and how, what that says of rows, and what it does not say."""
    asked, model = labels[evidence.asked.digest], labels[evidence.model]
    by = "its bytes, its content (schema and values)" if evidence.asked.content_digest else "its bytes"
    searched = (
        f"Searched: everything that {model} was made from, as recorded in project {project} "
        f"({proof.entities} entities, {proof.activities} activities), for {asked} by {by} and its pieces."
    )
    shared = ", ".join(labels.get(digest, digest) for digest in proof.shared[:5])
    if proof.verdict is Verdict.USED:
        return f"{searched} Found: it could be read on the way shown; what was done with it is not part of the answer."
    if proof.verdict is Verdict.UNUSED_OBJECT:
        return (
            f"Object level only. {searched} Not found. But both come from {shared}, and no proof of disjoint parts "
            f"stands on the way shown: rows of {asked} may have entered."
        )
    rows = ""
    if shared:
        rows = f" Both come from {shared}; every way from there to the model goes through a part proven disjoint."
    elif evidence.asked.kind in ROW_KINDS:
        rows = " They have no recorded origin of rows in common."
    blind = ""
    if proof.unrecognisable:
        blind = f" {proof.unrecognisable} of the entities have no content digest and were compared by bytes and pieces."
    return f"{searched} Not found.{rows}{blind} Not covered: {'; '.join(_not_covered(evidence, proof, asked))}."


def _not_covered(evidence: Evidence, proof: AbsenceProof, asked: str) -> Iterator[str]:
    """The ways that no digest shows, on which rows or what was learnt from them may still have come."""
    entities, edges = evidence.closure.entities.values(), evidence.closure.edges
    foreign = sum(node.kind is EntityKind.FILE and node.digest not in proof.shared for node in entities)
    written = len({edge.entity for edge in edges if edge.relation is Relation.USED and edge.role == "source"})
    if evidence.asked.kind in ROW_KINDS:
        yield f"rows in files of other origin, unless all content or a whole piece is equal (such files: {foreign})"
        yield "rows of another part that have equal values"
        if mixing := apart(evidence).mixing:
            told = "what a job worked out over rows of both before they were parted, such as a mean"
            yield f"{told} (such jobs: {mixing})"
    places = "code, feature views, parameters, names or environments"
    yield f"what people wrote into {places} (source trees of theirs: {written})"
    yield f"what people learnt from {asked} elsewhere (runs that read it: {len(evidence.readers)})"
    yield "changes of the lineage in the database itself (muni audit verify compares it with the ledger)"


def _made_here(graph: Graph, digest: Digest) -> bool:
    """Whether an activity of this project generated something."""
    return any(edge.relation is Relation.GENERATED and edge.entity == digest for edge in graph.edges)


def _elsewhere(graph: Graph, entity: Entity) -> str | None:
    """The project that something was promoted from, when nothing of this project made it."""
    source = entity.facts.get("promoted_from")
    return source if isinstance(source, str) and not _made_here(graph, entity.digest) else None


def _summary(entity: Entity, names: list[str]) -> dict[str, str]:
    return {
        "reference": names[0] if names else str(entity.digest),
        "digest": str(entity.digest),
        "kind": entity.kind.value,
        "grade": entity.grade.value,
        "author": entity.author,
        "recorded_at": format_time(entity.at),
    }


def _labels(session: Session, project: str, nodes: Iterable[str]) -> dict[str, str]:
    """How to call these entities: the newest name, else what the facts call it, else the digest."""
    digests = [node for node in nodes if isinstance(node, Digest)]
    named = session.use(Names).of(project, digests)
    labels: dict[str, str] = {digest: str(names[0]) for digest, names in named.items()}
    for digest, entity in session.use(Entities).find(project, [d for d in digests if d not in named]).items():
        what = entity.facts.get("what")
        labels[digest] = f"{what} ({digest.short})" if isinstance(what, str) and what else str(digest)
    return labels


def _address(graph: Graph, node: str) -> str:
    return node if node in graph.entities else f"run:{node}"


def _node(graph: Graph, node: str, depth: int, labels: Mapping[str, str]) -> wire.LineageNode:
    if node in graph.entities:
        entity = graph.entities[Digest(node)]
        return wire.LineageNode(id=node, label=labels[node], type="entity", kind=entity.kind, depth=depth)
    activity = graph.activities[node]
    return wire.LineageNode(
        id=f"run:{node}",
        label=activity.kind,
        type="activity",
        kind=activity.kind,
        depth=depth,
        agent=activity.agent,
        at=format_time(activity.started_at),
    )


def _called(end: str, labels: Mapping[str, str]) -> str:
    return labels.get(end, f"run:{end}")


def _proof_step(step: Step, labels: Mapping[str, str]) -> wire.ProofStep:
    return wire.ProofStep(
        relation=step.link,
        source=step.source,
        source_label=_called(step.source, labels),
        target=step.target,
        target_label=_called(step.target, labels),
        role=step.role,
        grade=step.grade,
    )


def _weak(proof: AbsenceProof, labels: Mapping[str, str]) -> str | None:
    weak = proof.weakest
    if isinstance(weak, Step):
        return f"{_called(weak.source, labels)} {weak.link} {_called(weak.target, labels)} ({weak.role}): {weak.grade}"
    return None if weak is None else f"{labels.get(weak, weak)}: its facts or its origin are {proof.grade}"


def _bounded(field: str, given: int, least: int, most: int) -> int:
    if not least <= given <= most:
        raise Invalid("MUNI-C105", f"{field} is out of range", field=field, given=given, least=least, most=most)
    return given


def _choice(kind: type[Choice], field: str, given: str) -> Choice:
    try:
        return kind(given)
    except ValueError:
        choices = [*(c.value for c in kind), *([BOTH] if kind is Direction else [])]
        raise Invalid(
            "MUNI-C106", f"{given[:40]!r} is no {field}", field=field, given=given[:80], choices=choices
        ) from None


VERBS: Final = (get_entity, list_entities, get_lineage, prove_unused)
