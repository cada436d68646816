"""Where a model comes from, drawn for a page: sources on top, the model at the bottom.

What only surrounds jobs (code, base root, environment) would hide the story behind its arrows: it is a numbered chip in
each job that used it, explained below. Proven links are solid, attested ones dashed, declared ones dotted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from muniment.evidence.charts.canvas import Canvas, Chart, Colour, width_of
from muniment.evidence.displaying import day, displayable, shortened

__all__ = ["lineage_chart"]

WIDTH: Final = 460.0
_LAYER: Final = 47.0
_BOX: Final = 29.0
_WIDEST: Final = 150.0
_ACROSS: Final = 5
_DEEPEST: Final = 12
_SURROUNDINGS: Final = frozenset({"code", "env", "environment", "base"})
_DASHES: Final = {"proven": "", "attested": "4 2.5", "declared": "1.2 2.2"}
_FILLS: Final = {
    "data": ("#e8f0f8", Colour.BLUE),
    "model": ("#fbeed8", "#9a5c06"),
    "file": ("#f0f2f4", Colour.MUTED),
}


@dataclass(slots=True)
class _Node:
    """A box of the picture."""

    key: str
    title: str
    below: str
    kind: str
    job: bool
    chips: list[int] = field(default_factory=list)
    layer: int = 0
    x: float = 0.0
    width: float = _WIDEST


def lineage_chart(lineage: Mapping[str, Any], subject: str) -> Chart | None:
    """The picture; None when nothing is recorded.

    Args:
        lineage: entities, activities and edges as in a dossier.
        subject: digest of the model.
    """
    nodes, notes = _nodes(lineage)
    links = [
        (e["entity"], e["activity"], e) if e.get("relation") == "used" else (e["activity"], e["entity"], e)
        for e in lineage.get("edges") or []
        if e.get("activity") in nodes and e.get("entity") in nodes
    ]
    if not nodes or not links:
        return None
    _layer(nodes, links)
    rows, hidden = _rows(nodes, links, subject)
    return _draw(rows, links, notes, hidden, subject)


def _nodes(lineage: Mapping[str, Any]) -> tuple[dict[str, _Node], list[tuple[str, str]]]:
    entities = {e["digest"]: e for e in lineage.get("entities") or []}
    around = [key for key, e in entities.items() if str(e.get("kind")) in _SURROUNDINGS]
    numbers = {key: place + 1 for place, key in enumerate(around)}
    nodes = {
        key: _Node(key, _title(e, key), _short(key), str(e.get("kind") or ""), job=False)
        for key, e in entities.items()
        if key not in numbers
    }
    for one in lineage.get("activities") or []:
        agent = str(one.get("agent") or "").rpartition(":")[2]
        below = " · ".join(filter(None, (agent, day(one["started_at"]) if one.get("started_at") else "")))
        kind, label = str(one.get("kind") or ""), str(one.get("label") or "")
        title = f"{kind}: {label}" if kind and label and label != kind else kind or label
        nodes[one["id"]] = _Node(one["id"], title, below, "", job=True)
    for edge in lineage.get("edges") or []:
        job = nodes.get(edge.get("activity"))
        if job is not None and edge.get("entity") in numbers and edge.get("relation") == "used":
            job.chips.append(numbers[edge["entity"]])
    for node in nodes.values():
        node.chips = sorted(set(node.chips))
    used = {number for node in nodes.values() for number in node.chips}
    notes = [(str(numbers[key]), f"{entities[key].get('label') or key}") for key in around if numbers[key] in used]
    return nodes, notes


def _title(entity: Mapping[str, Any], key: str) -> str:
    label = str(entity.get("label") or key)
    return str(entity.get("kind") or label) if label == key else label.removesuffix(f" ({_short(key)})")


def _short(key: str) -> str:
    return key.removeprefix("sha256:")[:12]


def _layer(nodes: Mapping[str, _Node], links: Sequence[tuple[str, str, Any]]) -> None:
    """Each node one layer below the lowest of what it comes from; a circle is cut after as many rounds as nodes."""
    for _ in range(min(len(nodes), 200)):
        moved = False
        for above, below, _edge in links:
            if nodes[below].layer <= nodes[above].layer < len(nodes):
                nodes[below].layer, moved = nodes[above].layer + 1, True
        if not moved:
            return


def _rows(
    nodes: Mapping[str, _Node], links: Sequence[tuple[str, str, Any]], subject: str
) -> tuple[list[list[_Node]], int]:
    """Nodes by layer, each as near to its neighbours as the order allows, and how many had no room."""
    layers: dict[int, list[_Node]] = {}
    for node in nodes.values():
        layers.setdefault(node.layer, []).append(node)
    rows, hidden = [layers[key] for key in sorted(layers)], 0
    if len(rows) > _DEEPEST:
        hidden += sum(len(row) for row in rows[:-_DEEPEST])
        rows = rows[-_DEEPEST:]
    neighbours: dict[str, list[_Node]] = {}
    for above, below, _edge in links:
        neighbours.setdefault(below, []).append(nodes[above])
        neighbours.setdefault(above, []).append(nodes[below])
    for row in rows:
        row.sort(key=lambda node: (node.key != subject, node.layer, node.key))
        hidden += max(0, len(row) - _ACROSS)
        del row[_ACROSS:]
        _spread(row)
    for order in (rows[1:], rows[-2::-1], rows[1:]):
        for row in order:
            row.sort(key=lambda node: (_middle(node, neighbours), node.key))
            _spread(row)
    return rows, hidden


def _middle(node: _Node, neighbours: Mapping[str, list[_Node]]) -> float:
    near = [one.x for one in neighbours.get(node.key, []) if one.x]
    return sum(near) / len(near) if near else node.x


def _spread(row: Sequence[_Node]) -> None:
    gap = 12.0
    width = min(_WIDEST, (WIDTH - gap * (len(row) - 1)) / max(1, len(row)))
    left = (WIDTH - width * len(row) - gap * (len(row) - 1)) / 2
    for place, node in enumerate(row):
        node.width = width
        node.x = left + width / 2 + place * (width + gap)


def _draw(
    rows: Sequence[Sequence[_Node]],
    links: Sequence[tuple[str, str, Mapping[str, Any]]],
    notes: Sequence[tuple[str, str]],
    hidden: int,
    subject: str,
) -> Chart:
    height = _LAYER * len(rows) - (_LAYER - _BOX) + 6 + 12.0 * ((len(notes) + 1) // 2) + 28 + (12 if hidden else 0)
    canvas = Canvas(WIDTH, height, "Lineage")
    places = {node.key: (node, 3 + _LAYER * level) for level, row in enumerate(rows) for node in row}
    for above, below, edge in links:
        if above in places and below in places:
            _arrow(
                canvas, places[above], places[below], str(edge.get("grade") or "declared"), str(edge.get("role") or "")
            )
    for node, top in places.values():
        _box(canvas, node, top, subject)
    y = 3 + _LAYER * (len(rows) - 1) + _BOX + 20
    for place, (number, text) in enumerate(notes):
        x = 4 + (place % 2) * WIDTH / 2
        _chip(canvas, x, y - 7, number)
        canvas.text(x + 13, y, shortened(displayable(text), 48), size=7.5)
        y += 12 if place % 2 or place == len(notes) - 1 else 0
    x = 4.0
    for name, dash in _DASHES.items():
        canvas.line(x, y + 3, x + 22, y + 3, Colour.INK, 1.0, dash)
        canvas.text(x + 26, y + 5.5, name, size=7.5, colour=Colour.MUTED)
        x += 34 + width_of(name, 7.5)
    if hidden:
        canvas.text(
            4,
            y + 17,
            f"{hidden} more boxes have no room here; the table and the dossier hold all.",
            size=7.5,
            italic=True,
            colour=Colour.MUTED,
        )
    return canvas.chart(
        "Lineage from sources to the model: " + "; ".join(", ".join(node.title for node in row) for row in rows)
    )


def _arrow(canvas: Canvas, start: tuple[_Node, float], end: tuple[_Node, float], grade: str, role: str) -> None:
    (above, top), (below, bottom) = start, end
    x1, y1, x2, y2 = above.x, top + _BOX, below.x, bottom - 3.5
    half = (y2 - y1) / 2
    dash = _DASHES.get(grade, _DASHES["declared"])
    canvas.parts.append(
        f'<path d="M{x1:.2f} {y1:.2f}C{x1:.2f} {y1 + half:.2f} {x2:.2f} {y2 - half:.2f} {x2:.2f} {y2:.2f}" fill="none" '
        f'stroke="{Colour.MUTED}" stroke-width="0.9"' + (f' stroke-dasharray="{dash}"/>' if dash else "/>")
    )
    canvas.area([(x2 - 2.6, y2 - 1.5), (x2 + 2.6, y2 - 1.5), (x2, y2 + 3.2)], Colour.MUTED)
    if role and abs(y2 - y1) < _LAYER:
        x, y = (x1 + x2) / 2, (y1 + y2) / 2 + 2.2
        canvas.text(x + 4, y, shortened(displayable(role), 18), size=7, colour=Colour.MUTED, italic=True, halo=True)


def _box(canvas: Canvas, node: _Node, top: float, subject: str) -> None:
    left = node.x - node.width / 2
    if node.job:
        canvas.rect(left, top, node.width, _BOX, Colour.INK, radius=_BOX / 2)
        ink, muted = Colour.PAPER, "#c9d2dc"
    else:
        fill, edge = _FILLS.get(node.kind, ("#f3f0ea", "#7a6a4f"))
        canvas.rect(left, top, node.width, _BOX, fill, edge, 1.8 if node.key == subject else 0.8, radius=3)
        ink, muted = Colour.INK, Colour.MUTED
    canvas.text(
        node.x, top + 12, _fitting(node.title, 9, node.width - 14), size=9, weight=600, colour=ink, anchor="middle"
    )
    chips = len(node.chips) * 11.0
    canvas.text(
        node.x - chips / 2,
        top + 23,
        _fitting(node.below, 7.5, node.width - 14 - chips),
        size=7.5,
        colour=muted,
        anchor="middle",
    )
    x = node.x - chips / 2 + width_of(_fitting(node.below, 7.5, node.width - 14 - chips), 7.5) / 2 + 4
    for number in node.chips:
        _chip(canvas, x, top + 15.5, str(number))
        x += 11


def _chip(canvas: Canvas, x: float, y: float, number: str) -> None:
    canvas.rect(x, y, 9, 9, Colour.PAPER, Colour.MUTED, 0.6, radius=2)
    canvas.text(x + 4.5, y + 7, number, size=7, weight=600, anchor="middle")


def _fitting(text: str, size: float, width: float) -> str:
    """The text, shortened in its middle until it fits."""
    text = displayable(text)
    longest = len(text)
    while longest > 6 and width_of(shortened(text, longest), size) > width:
        longest -= 1
    return shortened(text, longest)
