"""Walking a lineage graph: by which node an edge hangs, and which way between two nodes can be trusted most."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from muniment.catalog.model import ActivityKind, Edge, Graph, Relation
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade, weakest

DESCENDING: Final = (Grade.PROVEN, Grade.ATTESTED, Grade.DECLARED)
"""Grades, the strongest first."""


class Link(StrEnum):
    """What joins the two ends of a step."""

    USED = "used"
    GENERATED = "was_generated_by"
    SHARES = "shares_content_with"
    PART_OF = "is_part_of"
    DERIVES = "derives_from"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path; an end is the digest of an entity or the id of an activity."""

    link: Link
    source: str
    target: str
    role: str
    grade: Grade


Path = tuple[Step, ...]


def step(edge: Edge) -> Step:
    """The step that goes upstream along an edge."""
    if edge.relation is Relation.USED:
        return Step(Link.USED, edge.activity, edge.entity, edge.role, edge.grade)
    return Step(Link.GENERATED, edge.entity, edge.activity, edge.role, edge.grade)


def strength(path: Sequence[Step]) -> Grade:
    """The grade of what a path shows."""
    return weakest(one.grade for one in path)


class Walk:
    """A graph by its nodes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers: dict[Digest, list[Edge]] = {}
        """``was_generated_by`` by entity."""
        self.products: dict[str, list[Edge]] = {}
        """``was_generated_by`` by activity."""
        self.inputs: dict[str, list[Edge]] = {}
        """``used`` by activity."""
        self.readers: dict[Digest, list[Edge]] = {}
        """``used`` by entity."""
        self.edges = sorted(graph.edges, key=lambda edge: (edge.activity, edge.relation, edge.role, edge.entity))
        """All of them in an order that does not depend on that of the record: the same graph gives the same answer."""
        for edge in self.edges:
            if edge.relation is Relation.GENERATED:
                self.makers.setdefault(edge.entity, []).append(edge)
                self.products.setdefault(edge.activity, []).append(edge)
            else:
                self.inputs.setdefault(edge.activity, []).append(edge)
                self.readers.setdefault(edge.entity, []).append(edge)
        nodes = graph.activities.values()
        self._originals = {node.plan: node.kind for node in nodes if node.kind is not ActivityKind.REPRODUCE}

    def kind(self, activity: str) -> ActivityKind:
        """What an activity did; a reproduction did what the activity with the same plan did."""
        node = self.graph.activities[activity]
        if node.kind is ActivityKind.REPRODUCE and node.plan is not None:
            return self._originals.get(node.plan, node.kind)
        return node.kind

    def upstream(
        self,
        start: Digest,
        endings: Mapping[Digest, Path],
        counts: Callable[[Edge, Edge], bool] = lambda made, used: True,
        closed: Collection[Digest] = (),
    ) -> Path | None:
        """The way up from an entity whose weakest step is strongest, and the shortest of those; None where none leads.

        Args:
            start: where to begin.
            endings: where to end, each with the steps that complete the path there.
            counts: whether an ending counts when it is reached over these two edges.
            closed: entities that the way must not pass.
        """
        present = {edge.grade for edge in self.graph.edges} | {strength(rest) for rest in endings.values()}
        for floor in (grade for grade in DESCENDING if grade in present and endings):
            allowed = {end: rest for end, rest in endings.items() if _at_least(floor, strength(rest))}
            if start in allowed:
                return allowed[start]
            came: dict[Digest, tuple[Edge, Edge]] = {}
            waiting = deque([start] if start not in closed else [])
            while waiting:
                for made in self.makers.get(waiting.popleft(), ()):
                    for used in self.inputs.get(made.activity, ()):
                        if not _at_least(floor, weakest((made.grade, used.grade))):
                            continue
                        if used.entity in allowed and counts(made, used):
                            return (*_back(came, start, made.entity), step(made), step(used), *allowed[used.entity])
                        if used.entity not in came and used.entity != start and used.entity not in closed:
                            came[used.entity] = (made, used)
                            waiting.append(used.entity)
        return None

    def downstream(self, starts: Collection[Digest], end: Digest, closed: Collection[Digest]) -> Path | None:
        """A shortest way from one of the starts down to the end that passes nothing closed, written from the end."""
        came: dict[Digest, tuple[Edge, Edge] | None] = {start: None for start in sorted(starts) if start not in closed}
        waiting = deque(came)
        while waiting:
            here = waiting.popleft()
            if here == end:
                path: list[Step] = []
                while (edges := came[here]) is not None:
                    path += map(step, edges)
                    here = edges[1].entity
                return tuple(path)
            for used in self.readers.get(here, ()):
                for made in self.products.get(used.activity, ()):
                    if made.entity not in came and made.entity not in closed:
                        came[made.entity] = (made, used)
                        waiting.append(made.entity)
        return None


def _at_least(floor: Grade, grade: Grade) -> bool:
    return weakest((floor, grade)) is floor


def _back(came: Mapping[Digest, tuple[Edge, Edge]], start: Digest, here: Digest) -> Path:
    steps: list[Step] = []
    while here != start:
        made, used = came[here]
        steps += (step(used), step(made))
        here = made.entity
    return tuple(reversed(steps))
