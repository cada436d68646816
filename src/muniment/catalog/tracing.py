"""How far each node of a lineage is from where one started, and the nearest part of one that is too large to show."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from muniment.catalog.model import Direction, Edge, Graph, Relation


def depths(graph: Graph, start: str, direction: Direction) -> dict[str, int]:
    """Steps from the start to every node that can be reached, nearest first; entities and activities alternate.

    Args:
        graph: the lineage.
        start: the digest of an entity or the id of an activity.
        direction: which way the edges are followed.
    """
    onward: dict[str, list[str]] = {}
    for edge in graph.edges:
        here, there = ends(edge)
        if direction is Direction.DOWNSTREAM:
            here, there = there, here
        onward.setdefault(here, []).append(there)
    found = {start: 0}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for there in sorted(onward.get(here, ())):
            if there not in found:
                found[there] = found[here] + 1
                waiting.append(there)
    return found


def ends(edge: Edge) -> tuple[str, str]:
    """What rests on what: the activity on what it used, the entity on the activity that generated it."""
    return (edge.activity, edge.entity) if edge.relation is Relation.USED else (edge.entity, edge.activity)


def nearest(graph: Graph, start: str, direction: Direction, limit: int) -> tuple[Graph, dict[str, int]]:
    """The part of a lineage made of the ``limit`` nodes nearest to the start, with how far each is."""
    return nearest_each(graph, start, (direction,), limit)


def nearest_each(graph: Graph, start: str, directions: Iterable[Direction], limit: int) -> tuple[Graph, dict[str, int]]:
    """The same in several directions from the start; how far a node is says nothing of the direction."""
    far: dict[str, int] = {}
    for direction in directions:
        for node, depth in depths(graph, start, direction).items():
            far[node] = min(depth, far.get(node, depth))
    kept = dict(sorted(far.items(), key=lambda item: item[1])[:limit])
    return (
        Graph(
            {digest: node for digest, node in graph.entities.items() if digest in kept},
            {id: node for id, node in graph.activities.items() if id in kept},
            tuple(edge for edge in graph.edges if edge.activity in kept and edge.entity in kept),
        ),
        kept,
    )


def merged(graphs: Sequence[Graph]) -> Graph:
    """Several parts of one lineage as one."""
    if len(graphs) == 1:
        return graphs[0]
    return Graph(
        {digest: node for graph in graphs for digest, node in graph.entities.items()},
        {id: node for graph in graphs for id, node in graph.activities.items()},
        tuple(dict.fromkeys(edge for graph in graphs for edge in graph.edges)),
    )
