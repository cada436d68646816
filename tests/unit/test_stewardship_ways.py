"""What holds of a snapshot is told however many ways lead back to where it began."""

from __future__ import annotations

from datetime import UTC, datetime

from muniment.catalog.model import ActivityKind, ActivityNode, Edge, Entity, EntityKind, EntityNode, Graph, Relation
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.stewardship.standing import _inputs_first, _Walk

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
LEVELS = 600


def _digest(level: int, side: int) -> Digest:
    return Digest.of(f"{level} {side}".encode())


def _ladder(*, circle: bool) -> tuple[Graph, dict[Digest, Entity]]:
    """Two snapshots on each level, each made of both on the level below: two to the 599th ways lead back."""
    entities = [_digest(level, side) for level in range(LEVELS) for side in (0, 1)]
    activities, edges = {}, []
    for level in range(1, LEVELS):
        for side in (0, 1):
            run = f"{level:013d}{side:013d}"
            activities[run] = ActivityNode(run, ActivityKind.RUN, "User:ana", NOW)
            edges.append(Edge(Relation.GENERATED, run, _digest(level, side), "out", Grade.PROVEN))
            edges += [Edge(Relation.USED, run, _digest(level - 1, at), f"in{at}", Grade.PROVEN) for at in (0, 1)]
    if circle:
        activities["again"] = ActivityNode("again", ActivityKind.RUN, "User:ana", NOW)
        edges.append(Edge(Relation.GENERATED, "again", _digest(0, 0), "out", Grade.PROVEN))
        edges.append(Edge(Relation.USED, "again", _digest(1, 0), "in", Grade.PROVEN))
    graph = Graph({one: EntityNode(one, EntityKind.DATA, Grade.PROVEN) for one in entities}, activities, tuple(edges))
    return graph, {one: Entity("main", one, EntityKind.DATA, Grade.PROVEN, "User:ana", NOW) for one in entities}


def _grant(subject: Digest) -> Record:
    body = {"account": "User:ana", "purpose": "scoring", "reason": "work", "days": 3}
    return Record(
        id="0" * 26,
        project="main",
        kind=RecordKind.DATA_GRANT,
        subject=str(subject),
        at=NOW,
        by="User:ana",
        grade=Grade.DECLARED,
        body=body,
    )


def test_more_ways_lead_back_than_can_be_counted() -> None:
    """The top of a ladder of 600 levels has two kinds of ways: by the foot with a grant, and by the other."""
    graph, known = _ladder(circle=False)
    foot = _digest(0, 0)
    spoken = {one: [_grant(foot)] if one == foot else [] for one in known}
    situation = _Walk(graph, known, spoken, {}, {}).situation(_digest(LEVELS - 1, 0))
    assert sorted(tuple(grant.asked.subject for grant in way) for way in situation.grants) == [(), (str(foot),)]


def test_a_circle_at_the_bottom_does_not_slow_what_stands_above_it() -> None:
    """Only what stands in a circle is asked again for each way that leads into it."""
    graph, known = _ladder(circle=True)
    situation = _Walk(graph, known, {one: [] for one in known}, {}, {}).situation(_digest(LEVELS - 1, 1))
    assert situation.grants == ((),)


def test_inputs_come_first() -> None:
    """In the order nothing outside a circle stands before its inputs, and a circle is told from what it feeds."""
    low, one, other, high = (_digest(0, side) for side in range(4))
    order, circular = _inputs_first({high: [other], other: [one, low], one: [other], low: []})
    assert circular == {one, other}
    assert order[0] == low
    assert order[-1] == high
