"""The picture of a lineage is well formed, complete, bounded and safe, whatever the lineage is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from muniment.catalog.model import (
    ActivityKind,
    ActivityNode,
    Direction,
    Edge,
    EntityKind,
    EntityNode,
    Graph,
    Relation,
)
from muniment.catalog.picture import draw
from muniment.catalog.tracing import depths, ends, nearest
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def digest(number: int) -> Digest:
    return Digest.of(str(number).encode())


def node(number: int, kind: EntityKind = EntityKind.DATA) -> EntityNode:
    return EntityNode(digest(number), kind, Grade.PROVEN)


def graph(entities: list[EntityNode], arrows: list[tuple[Relation, str, int, Grade]]) -> Graph:
    activities = {a: ActivityNode(a, ActivityKind.TRAIN, "User:ana", NOW) for _, a, _, _ in arrows}
    edges = tuple(Edge(relation, a, digest(e), "role", grade) for relation, a, e, grade in arrows)
    return Graph({e.digest: e for e in entities}, activities, edges)


@st.composite
def graphs(draw_from: st.DrawFn) -> Graph:
    """Any lineage, circles included: content can come back to what it was."""
    size = draw_from(st.integers(1, 7))
    kinds = draw_from(st.lists(st.sampled_from(EntityKind), min_size=size, max_size=size))
    arrow = st.tuples(
        st.sampled_from(Relation),
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, size - 1),
        st.sampled_from(Grade),
    )
    arrows = draw_from(st.lists(arrow, max_size=20, unique_by=lambda a: a[:3]))
    return graph([node(n, kind) for n, kind in enumerate(kinds)], arrows)


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@given(graphs())
def test_any_lineage_can_be_drawn(lineage: Graph) -> None:
    """Every node is in the picture once, every rectangle lies inside it, and no two boxes overlap."""
    svg = draw(lineage, digest(0), {}, title="t")
    root = ElementTree.fromstring(svg)
    tips = " ".join(text for text in (title.text for title in root.iter(f"{SVG}title")) if text)
    assert {digest for digest in lineage.entities if digest not in tips} == set()
    assert {id for id in lineage.activities if f"run:{id}" not in tips} == set()
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = [
        tuple(float(one.attrib[name]) for name in ("x", "y", "width", "height"))
        for one in (
            group.find(f"{SVG}rect") for group in root.findall(f"{SVG}g") if group.find(f"{SVG}title") is not None
        )
        if one is not None
    ]
    for x, y, w, h in boxes:
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
    for position, (x1, y1, w1, h1) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:position]:
            apart = x1 + w1 <= x2 + 0.2 or x2 + w2 <= x1 + 0.2 or y1 + h1 <= y2 + 0.2 or y2 + h2 <= y1 + 0.2
            assert apart, (x1, y1, w1, h1, x2, y2, w2, h2)


@given(st.text(max_size=60), st.text(max_size=40), st.text(max_size=40))
def test_no_text_leaves_its_place(label: str, agent: str, role: str) -> None:
    """Names, roles and agents from outside appear as text and nothing else, and cannot turn the reading direction."""
    activity = ActivityNode("a", ActivityKind.RUN, agent, NOW)
    edges = (
        Edge(Relation.USED, "a", digest(1), role, Grade.PROVEN),
        Edge(Relation.GENERATED, "a", digest(2), role, Grade.PROVEN),
    )
    lineage = Graph({digest(1): node(1), digest(2): node(2, EntityKind.MODEL)}, {"a": activity}, edges)
    svg = draw(lineage, digest(2), {digest(1): label, digest(2): label}, title=label)
    elements = {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(svg).iter()}
    assert elements <= {"svg", "title", "defs", "marker", "path", "rect", "text", "g", "line", "tspan"}
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", svg)


def test_markup_in_a_name_is_shown_not_obeyed() -> None:
    """A name that looks like a script is text."""
    evil = '<script>alert("x")</script>'
    svg = draw(Graph({digest(1): node(1)}, {}, ()), digest(1), {digest(1): evil}, title=evil)
    assert "<script" not in svg
    assert evil in texts(svg)


def test_grades_are_told_by_the_line() -> None:
    """Proven is solid, attested dashed, declared dotted, and the legend says which of them occur."""
    arrows = [(Relation.USED, "a", number, grade) for number, grade in enumerate(Grade)]
    svg = draw(graph([node(n) for n in range(3)], arrows), "a", {}, title="t")
    paths = [p for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if "marker-end" in p.attrib]
    assert sorted(path.attrib.get("stroke-dasharray", "") for path in paths) == ["", "2 4", "7 4"]
    assert {grade.value for grade in Grade} <= set(texts(svg))
    only = draw(graph([node(0)], arrows[:1]), "a", {}, title="t")
    assert Grade.PROVEN in texts(only)
    assert Grade.DECLARED not in texts(only)


def test_surroundings_of_several_activities_are_numbered_and_explained() -> None:
    """An environment that two activities used is a chip on both and one note; nothing of it is lost."""
    entities = [node(1), node(2, EntityKind.ENVIRONMENT), node(3, EntityKind.CODE)]
    arrows = [(Relation.USED, a, e, Grade.PROVEN) for a in ("a", "b") for e in (1, 2)]
    svg = draw(
        graph(entities, [*arrows, (Relation.USED, "a", 3, Grade.PROVEN)]), digest(1), {digest(2): "env:t@1"}, title="t"
    )
    shown = texts(svg)
    assert shown.count("1") == 3
    assert any(text.startswith("t@1") for text in shown)
    assert any(digest(3).short in text for text in shown)


def test_what_is_left_out_is_said() -> None:
    """A picture that does not show everything says how much is missing."""
    svg = draw(Graph({digest(1): node(1)}, {}, ()), digest(1), {}, title="t", omitted=7)
    assert "7 more nodes are not shown" in texts(svg)


@given(graphs(), st.sampled_from(Direction), st.integers(1, 6))
def test_the_nearest_part_is_connected_and_bounded(lineage: Graph, direction: Direction, limit: int) -> None:
    """It holds at most so many nodes, none farther than one left out, and every edge between those that it holds."""
    everything = depths(lineage, digest(0), direction)
    part, steps = nearest(lineage, digest(0), direction, limit)
    assert set(part.entities) | set(part.activities) == set(steps)
    assert len(steps) == min(limit, len(everything))
    left_out = [depth for one, depth in everything.items() if one not in steps]
    assert max(steps.values()) <= min(left_out, default=max(steps.values()))
    assert set(part.edges) == {edge for edge in lineage.edges if set(ends(edge)) <= set(steps)}
    assert all(everything[one] == depth for one, depth in steps.items())
