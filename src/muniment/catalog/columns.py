"""Lineage at the level of columns: which column of what was used each column of a result rests on. Pure.

Only what a program of the platform establishes is told. Ingest and split keep columns as they are; a join hands on the
columns of its requests and those features that it was asked for; the build of a feature view says for each feature on
which columns it rests, and how far that was checked. What a user's script does to columns nobody knows, so nothing is
made up for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from muniment.catalog.model import Activity, ActivityKind, Edge, Entity, EntityKind, Graph, Relation
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade, weakest

__all__ = ["ColumnLink", "How", "column_links"]

_KEEPING: Final = {
    ActivityKind.INGEST: EntityKind.FILE,
    ActivityKind.SPLIT: EntityKind.DATA,
    ActivityKind.REDACT: EntityKind.DATA,
}
"""Activities whose programs hand every column on under its name, with the kind of what they read."""


class How(StrEnum):
    """What became of the values."""

    IDENTITY = "identity"
    """They are handed on."""

    TRANSFORM = "transform"
    """They went into a feature."""

    JOIN = "join"
    """They were picked for each request as they were known at its moment."""


@dataclass(frozen=True, slots=True)
class ColumnLink:
    """A column of a result rests on a column of what was used."""

    source: Digest
    source_column: str
    target: Digest
    target_column: str
    activity: str
    how: How
    grade: Grade
    """Who stands behind it: the weakest of what was recorded of the mapping and of both edges."""


def column_links(
    graph: Graph, entities: Mapping[Digest, Entity], activities: Mapping[str, Activity]
) -> list[ColumnLink]:
    """The links between columns that a lineage holds, in the order of activities, then of columns.

    Args:
        graph: the lineage.
        entities: what is known of its entities; of one that is missing nothing is told.
        activities: the same of its activities.
    """
    edges: dict[str, list[Edge]] = {}
    for edge in sorted(graph.edges, key=lambda edge: (edge.activity, edge.relation, edge.role, edge.entity)):
        edges.setdefault(edge.activity, []).append(edge)
    found: dict[ColumnLink, None] = {}
    for id, of in edges.items():
        if id in activities and id in graph.activities:
            found.update(dict.fromkeys(_of_activity(activities[id], of, entities)))
    return list(found)


def _of_activity(activity: Activity, edges: Sequence[Edge], entities: Mapping[Digest, Entity]) -> Iterator[ColumnLink]:
    used = [edge for edge in edges if edge.relation is Relation.USED and edge.entity in entities]
    made = [
        edge
        for edge in edges
        if edge.relation is Relation.GENERATED
        and edge.entity in entities
        and entities[edge.entity].kind is EntityKind.DATA
    ]
    for result in made:
        target = entities[result.entity]
        if activity.kind in _KEEPING:
            sources = [edge for edge in used if entities[edge.entity].kind is _KEEPING[activity.kind]]
            for edge in sources[:1] if len(sources) == 1 else ():
                yield from _kept(activity.id, edge, result, entities)
        elif activity.kind is ActivityKind.TRANSFORM:
            yield from _transformed(activity.id, {edge.role: edge for edge in used}, result, target)
        elif activity.kind is ActivityKind.JOIN:
            yield from _joined(activity, {edge.role: edge for edge in used}, result, entities)


def _kept(activity: str, edge: Edge, result: Edge, entities: Mapping[Digest, Entity]) -> Iterator[ColumnLink]:
    """Columns that go on under their names; a file has no list of its own, so it has those that were read of it."""
    source, columns = entities[edge.entity], _columns(entities[result.entity])
    had = columns if source.kind is EntityKind.FILE else _columns(source)
    grade = weakest((edge.grade, result.grade))
    for column in columns:
        if column in had:
            yield ColumnLink(edge.entity, column, result.entity, column, activity, How.IDENTITY, grade)


def _transformed(activity: str, used: Mapping[str, Edge], result: Edge, target: Entity) -> Iterator[ColumnLink]:
    """What each feature rests on, as the build found and graded it; ``source.column`` names the input by its role."""
    told = target.facts.get("column_lineage")
    features = told.get("features") if isinstance(told, Mapping) else None
    for feature, mapping in (features or {}).items():
        for name in mapping.get("columns") or ():
            # A role holds no dot; a column may.
            role, _, column = str(name).partition(".")
            if role in used:
                grades = (Grade(mapping.get("grade", Grade.DECLARED)), used[role].grade, result.grade)
                yield ColumnLink(
                    used[role].entity, column, result.entity, str(feature), activity, How.TRANSFORM, weakest(grades)
                )


def _joined(
    activity: Activity, used: Mapping[str, Edge], result: Edge, entities: Mapping[Digest, Entity]
) -> Iterator[ColumnLink]:
    """The columns of the requests, and the features that were picked for them."""
    if "requests" in used:
        yield from _kept(activity.id, used["requests"], result, entities)
    for number, pairs in _views(activity.facts.get("params")):
        edge = used.get(f"rows_{number}")
        if edge is None:
            continue
        grade = weakest((edge.grade, result.grade))
        for name, given in pairs:
            yield ColumnLink(edge.entity, name, result.entity, given, activity.id, How.JOIN, grade)


def _views(params: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    views = params.get("views") if isinstance(params, Mapping) else None
    for number, pairs in sorted((views or {}).items()) if isinstance(views, Mapping) else ():
        yield str(number), [(str(one[0]), str(one[1])) for one in pairs if len(one) == 2]


def _columns(entity: Entity) -> list[str]:
    schema = entity.facts.get("schema")
    listed = schema if isinstance(schema, list | tuple) else ()
    return [str(one["name"]) for one in listed if isinstance(one, Mapping) and "name" in one]
