"""A lineage told as a story, nearest first: the steps back to the sources, and what must not be overlooked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from muniment.inventory.model import Record, RecordKind
from muniment.kernel.grade import Grade, weakest
from muniment.kernel.identifiers import format_time
from muniment.wire import lineage as wire
from muniment.wire.catalog import Past

__all__ = ["story"]

_SURROUNDINGS: Final = frozenset({"code", "env", "base"})
_ENDS: Final = frozenset({"file", "features"})
"""What comes from outside: bytes, and definitions that people wrote."""

_STATED: Final = {
    RecordKind.REGISTRATION: "registered in the inventory",
    RecordKind.SUBMISSION: "submitted for validation",
    RecordKind.REVIEW: "validated",
    RecordKind.APPROVAL: "approved",
    RecordKind.REJECTION: "rejected",
    RecordKind.RETIREMENT: "retired",
    RecordKind.DETERMINATION: "determined what it is",
    RecordKind.TIER: "assigned to a tier",
}
_MOST_LINKS: Final = 20
_REASONS: Final = ("reason", "note", "text", "description", "conditions")


def story(told: Mapping[str, Any], records: Sequence[Record], past: Past | None) -> wire.Trace:
    """The story of a ``muniment.lineage/1`` upstream.

    Args:
        told: the lineage.
        records: what people stated about the thing, oldest first.
        past: the point of the past at which it is told.
    """
    entities = {one["digest"]: one for one in told["lineage"]["entities"]}
    activities = {one["id"]: one for one in told["lineage"]["activities"]}
    edges = told["lineage"]["edges"]
    made = {edge["entity"] for edge in edges if edge["relation"] != "used"}
    start = entities.get(told["start"])
    order = _ordered(told)
    again = _made_again(edges, activities)
    steps = [_step(activities[id], edges, entities) for id in order if id not in again]
    sources = [
        _source(one, edges, activities)
        for digest, one in entities.items()
        if digest not in made and one["kind"] not in _SURROUNDINGS
    ]
    grades = [Grade(edge["grade"]) for edge in edges]
    if start is not None and start["digest"] not in made:
        grades.append(Grade(start["grade"]))
    subject = start or activities[told["start"]]
    return wire.Trace(
        reference=told["reference"],
        digest=start and start["digest"],
        kind=subject["kind"],
        grade=weakest(grades),
        by=start["author"] if start else subject["agent"],
        at=start["at"] if start else subject["ended_at"],
        complete=all(one.kind in _ENDS for one in sources),
        steps=steps,
        sources=sorted(sources, key=lambda one: (one.kind, one.reference)),
        marks=[*_marks(told, entities, activities, start), *_statements(records)],
        origin=told["checkpoint"]["origin"],
        size=told["checkpoint"]["size"],
        root=told["checkpoint"]["root"],
        past=past,
    )


def _ordered(told: Mapping[str, Any]) -> list[str]:
    """Activities from the nearest to the farthest; of those that are equally far the later first."""
    edges = told["lineage"]["edges"]
    makers: dict[str, list[str]] = {}
    inputs: dict[str, list[str]] = {}
    for edge in edges:
        if edge["relation"] == "used":
            inputs.setdefault(edge["activity"], []).append(edge["entity"])
        else:
            makers.setdefault(edge["entity"], []).append(edge["activity"])
    ended = {one["id"]: one["ended_at"] for one in told["lineage"]["activities"]}
    here = makers.get(told["start"], []) if told["start"] not in ended else [told["start"]]
    found: dict[str, None] = {}
    while here:
        here = sorted({one for one in here if one not in found}, key=lambda one: (ended[one], one), reverse=True)
        found.update(dict.fromkeys(here))
        here = [maker for one in here for entity in inputs.get(one, ()) for maker in makers.get(entity, ())]
    return list(found)


def _made_again(edges: Sequence[Mapping[str, Any]], activities: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Reproductions of what another activity made too: a later making of the same bytes is no origin of theirs."""
    makers: dict[str, set[str]] = {}
    for edge in edges:
        if edge["relation"] != "used":
            makers.setdefault(edge["entity"], set()).add(edge["activity"])
    again = {id for id, one in activities.items() if one["kind"] == "reproduce"}
    needed = {id for ids in makers.values() for id in ids if not ids - again}
    return again - needed


def _step(
    activity: Mapping[str, Any], edges: Sequence[Mapping[str, Any]], entities: Mapping[str, Mapping[str, Any]]
) -> wire.TraceStep:
    own = [edge for edge in edges if edge["activity"] == activity["id"]]
    run = activity["run"] or {}
    around = {
        edge["role"]: entities[edge["entity"]] for edge in own if entities[edge["entity"]]["kind"] in _SURROUNDINGS
    }
    code = None
    if run.get("source"):
        origin = run.get("origin") or {}
        code = {"digest": run["source"], "entry": run.get("entry")}
        code |= {name: origin[name] for name in ("commit", "clean", "author", "committed_at") if name in origin}
    return wire.TraceStep(
        run=f"run:{activity['id']}",
        kind=activity["kind"],
        label=activity["label"],
        by=activity["agent"],
        started_at=activity["started_at"],
        ended_at=activity["ended_at"],
        status=activity["status"],
        grade=activity["grade"],
        used=[
            _input(edge, entities)
            for edge in own
            if edge["relation"] == "used" and entities[edge["entity"]]["kind"] not in _SURROUNDINGS
        ],
        made=[_input(edge, entities) for edge in own if edge["relation"] != "used"],
        plan=activity["plan"],
        code=code,
        environment=around["environment"]["label"] if "environment" in around else None,
        enforced=run.get("complete"),
        seed=activity["seed"],
        params=activity["params"],
    )


def _input(edge: Mapping[str, Any], entities: Mapping[str, Mapping[str, Any]]) -> wire.TraceInput:
    entity = entities[edge["entity"]]
    return wire.TraceInput(
        role=edge["role"],
        reference=entity["label"],
        kind=entity["kind"],
        digest=entity["digest"],
        grade=edge["grade"],
    )


def _source(
    entity: Mapping[str, Any], edges: Sequence[Mapping[str, Any]], activities: Mapping[str, Mapping[str, Any]]
) -> wire.TraceSource:
    """Where a way ends, with what the run that read it in was told of it; the first such run where several did."""
    readers = sorted(
        edge["activity"]
        for edge in edges
        if edge["relation"] == "used" and edge["entity"] == entity["digest"]
        if activities[edge["activity"]]["kind"] == "ingest"
    )
    run = (activities[readers[0]]["run"] or {}) if readers else {}
    said = run.get("origin") or entity["facts"].get("origin")
    return wire.TraceSource(
        reference=entity["label"],
        digest=entity["digest"],
        kind=entity["kind"],
        by=entity["author"],
        at=entity["at"],
        grade=entity["grade"],
        origin=dict(said) if isinstance(said, Mapping) and said else None,
        filename=run.get("filename"),
        run=f"run:{readers[0]}" if readers else None,
    )


def _marks(
    told: Mapping[str, Any],
    entities: Mapping[str, Mapping[str, Any]],
    activities: Mapping[str, Mapping[str, Any]],
    start: Mapping[str, Any] | None,
) -> Iterator[wire.TraceMark]:
    """What the graph itself says that a reader must not overlook."""
    made: dict[str, set[str]] = {}
    weak: dict[tuple[str, str], list[str]] = {}
    for edge in told["lineage"]["edges"]:
        if edge["relation"] != "used":
            made.setdefault(edge["entity"], set()).add(edge["activity"])
        if edge["grade"] != Grade.PROVEN:
            link = "used" if edge["relation"] == "used" else "made"
            label = entities[edge["entity"]]["label"]
            weak.setdefault((edge["activity"], edge["grade"]), []).append(f"{link} {label} as {edge['role']}")
    for (id, grade), links in sorted(weak.items()):
        activity = activities[id]
        yield wire.TraceMark(
            kind=grade,
            what=f"run:{id} ({activity['kind']}) {'; '.join(links[:_MOST_LINKS])}"
            + (f"; and {len(links) - _MOST_LINKS} more links" if len(links) > _MOST_LINKS else ""),
            by=activity["agent"],
            at=activity["ended_at"],
        )
    for digest, makers in sorted(made.items()):
        if len(makers) > 1:
            runs = ", ".join(f"run:{one} ({activities[one]['kind']})" for one in sorted(makers))
            yield wire.TraceMark(kind="repeated", what=f"{entities[digest]['label']} came out of several runs: {runs}")
    for digest, entity in sorted(entities.items()):
        for run in _origins(digest, told, activities) if entity["kind"] == "file" else ():
            said = run["run"]["origin"]
            yield wire.TraceMark(
                kind=str(said.get("grade") or Grade.DECLARED.value),
                what=f"{entity['label']} was read from {said.get('kind')} {said.get('location')}: its bringer's word",
                by=run["agent"],
                at=said.get("read_at") or run["started_at"],
            )
    source = (start or {}).get("facts", {}).get("promoted_from")
    if start is not None and source and start["digest"] not in made:
        yield wire.TraceMark(kind="elsewhere", what=f"what it was made from is recorded in project {source}")


def _origins(
    digest: str, told: Mapping[str, Any], activities: Mapping[str, Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """The runs that read a file in and were told where it came from."""
    for edge in told["lineage"]["edges"]:
        activity = activities[edge["activity"]]
        read = edge["entity"] == digest and edge["relation"] == "used" and activity["kind"] == "ingest"
        if read and ((activity["run"] or {}).get("origin") or {}).get("location"):
            yield activity


def _statements(records: Sequence[Record]) -> Iterator[wire.TraceMark]:
    """What people stated, where rules were set aside first."""
    for record in records:
        emergency = record.kind is RecordKind.BREAK_GLASS or bool(record.body.get("emergency"))
        what = _STATED.get(record.kind)
        if emergency:
            what = "approved in an emergency, past the steps that its tier asks for"
        if what is not None:
            said = next((record.body[name] for name in _REASONS if record.body.get(name)), None)
            reason = "; ".join(map(str, said)) if isinstance(said, list | tuple) else said and str(said)
            yield wire.TraceMark(
                kind="override" if emergency else "statement",
                what=what,
                by=record.by,
                at=format_time(record.at),
                reason=reason,
                record=str(record.digest),
            )
