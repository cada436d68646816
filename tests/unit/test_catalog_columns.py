"""Lineage of columns: what is told, what is not made up, and its picture."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from muniment.catalog.columns import ColumnLink, How, column_links
from muniment.catalog.columns_picture import draw_columns
from muniment.catalog.model import (
    Activity,
    ActivityKind,
    ActivityNode,
    Edge,
    Entity,
    EntityKind,
    EntityNode,
    Graph,
    Relation,
)
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOSTILE = "<b onload=x>\"'&\N{RIGHT-TO-LEFT OVERRIDE}"


def digest(name: str) -> Digest:
    return Digest.of(name.encode())


def entity(name: str, kind: EntityKind = EntityKind.DATA, columns: tuple[str, ...] = (), **facts: Any) -> Entity:
    schema = [{"name": column, "type": "int64"} for column in columns]
    return Entity("main", digest(name), kind, Grade.PROVEN, "User:ana", NOW, {"schema": schema, **facts})


def links(
    kind: ActivityKind,
    used: dict[str, Entity],
    made: dict[str, Entity],
    *,
    grade: Grade = Grade.PROVEN,
    **facts: Any,
) -> list[ColumnLink]:
    """The links of one activity, inputs and results by role."""
    activity = Activity("main", "r", kind, None, "User:ana", NOW, NOW, Grade.PROVEN, facts)
    edges = [Edge(Relation.USED, "r", one.digest, role, grade) for role, one in used.items()]
    edges += [Edge(Relation.GENERATED, "r", one.digest, role, Grade.PROVEN) for role, one in made.items()]
    known = {one.digest: one for one in (*used.values(), *made.values())}
    nodes = {digest: EntityNode(digest, one.kind, one.grade) for digest, one in known.items()}
    graph = Graph(nodes, {"r": ActivityNode("r", kind, "User:ana", NOW)}, tuple(edges))
    return column_links(graph, known, {"r": activity})


def short(found: list[ColumnLink]) -> set[tuple[str, str, str]]:
    return {(link.source_column, link.target_column, link.how.value) for link in found}


def test_ingest_and_split_hand_columns_on() -> None:
    """A file has the columns that were read of it; a part has those of the whole."""
    whole = entity("whole", columns=("a", "b"))
    read = links(ActivityKind.INGEST, {"file": entity("csv", EntityKind.FILE)}, {"snapshot": whole})
    assert short(read) == {("a", "a", "identity"), ("b", "b", "identity")}
    parts = {name: entity(name, columns=("a", "b")) for name in ("train", "test")}
    found = links(ActivityKind.SPLIT, {"data": whole}, parts, grade=Grade.DECLARED)
    assert len(found) == 4
    assert {link.grade for link in found} == {Grade.DECLARED}


def test_a_feature_rests_on_what_its_build_found_at_the_grade_it_gave() -> None:
    """The mapping is the recorded one: source by role, columns with dots in them whole, the weakest grade counts."""
    told = {
        "features": {
            "sum": {"columns": ["loans.bill", "loans.a.b"], "grade": "proven"},
            "guess": {"columns": ["loans.bill"], "grade": "declared"},
            "stray": {"columns": ["unknown.bill"], "grade": "proven"},
        }
    }
    rows = entity("rows", columns=("sum", "guess"), column_lineage=told)
    found = links(ActivityKind.TRANSFORM, {"loans": entity("loans", columns=("bill", "a.b"))}, {"rows": rows})
    assert short(found) == {("bill", "sum", "transform"), ("a.b", "sum", "transform"), ("bill", "guess", "transform")}
    assert {link.target_column: link.grade for link in found} == {"sum": Grade.PROVEN, "guess": Grade.DECLARED}


def test_a_join_hands_requests_on_and_picks_features_under_the_names_it_gave_them() -> None:
    """Columns of the requests are kept, features come from the rows of their view, renamed where that was asked."""
    params = {"time": "at", "views": {"0": [["f", "v__f"]], "1": [["g", "g"]]}}
    used = {
        "requests": entity("requests", columns=("id", "at")),
        "rows_0": entity("rows", columns=("f",)),
        "rows_1": entity("more", columns=("g",)),
    }
    joined = entity("joined", columns=("id", "at", "v__f", "g"))
    found = links(ActivityKind.JOIN, used, {"joined": joined}, params=params)
    assert short(found) == {
        ("id", "id", "identity"), ("at", "at", "identity"), ("f", "v__f", "join"), ("g", "g", "join"),
    }  # fmt: skip


def test_nothing_is_made_up() -> None:
    """What a script did to columns, what nobody may see, and facts of another form tell nothing."""
    data = entity("in", columns=("a",))
    assert links(ActivityKind.RUN, {"data": data}, {"out": entity("out", columns=("a",))}) == []
    assert links(ActivityKind.JOIN, {"rows_0": data}, {"joined": data}, params={"views": "all"}) == []
    assert links(ActivityKind.TRANSFORM, {"loans": data}, {"rows": entity("x", column_lineage="none")}) == []
    graph = Graph({}, {}, (Edge(Relation.USED, "r", data.digest, "data", Grade.PROVEN),))
    assert column_links(graph, {}, {}) == []


def test_the_picture_is_one_document_and_escapes_what_it_shows() -> None:
    """Hostile names stay text; a wide table says how many more columns there are; a circle of contents is drawn."""
    one, other = digest("one"), digest("other")
    found = [ColumnLink(one, f"{HOSTILE}{n}", other, f"c{n}", "r", How.TRANSFORM, Grade.DECLARED) for n in range(60)]
    found.append(ColumnLink(other, "c1", one, f"{HOSTILE}1", "r", How.IDENTITY, Grade.PROVEN))
    kinds = {one: EntityKind.DATA, other: EntityKind.FILE}
    svg = draw_columns(found, kinds, {one: HOSTILE, other: "data:x@1"}, title=HOSTILE)
    root = ElementTree.fromstring(svg)
    assert "<b onload" not in svg
    assert "and 20 more columns" in "".join(root.itertext())
    assert svg == draw_columns(found, kinds, {one: HOSTILE, other: "data:x@1"}, title=HOSTILE)
    ElementTree.fromstring(draw_columns([], {}, {}, title="nothing"))
