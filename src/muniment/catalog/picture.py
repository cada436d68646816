"""A lineage as an SVG picture: sources on the left, what was made of them on the right.

Entities are rounded boxes coloured by kind, activities are dark pills; an arrow goes the way the content went and bears
the role. Proven arrows are solid, attested ones dashed, declared ones dotted. What only surrounds jobs (code, base
root, environment) would hide the story behind its arrows: where several activities used it, each bears a numbered chip
instead, and the number is explained below; where one did, all of it shares one box.

Layers come from the longest way to a node, so that no arrow points back; within a layer nodes are ordered by the middle
of their neighbours (the barycentre heuristic of Sugiyama, Tagawa, Toda: Methods for Visual Understanding of
Hierarchical System Structures, 1981) and then moved as near to it as their order and their size allow, by isotonic
regression. Text is measured by average widths, because nothing here may depend on a font that is installed or is not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Final

from muniment.catalog.model import EntityKind, Graph, Relation
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade, weakest

COLOURS: Final = {
    EntityKind.DATA: ("#e3f0fb", "#2b6cb0"),
    EntityKind.FILE: ("#eef1f4", "#64748b"),
    EntityKind.CODE: ("#f1eafb", "#7c4dbd"),
    EntityKind.ENVIRONMENT: ("#e2f4f0", "#2a8172"),
    EntityKind.BASE: ("#ecf1e8", "#5f7f4a"),
    EntityKind.MODEL: ("#fdf0dc", "#c27803"),
    EntityKind.REPORT: ("#fbe9f0", "#b83268"),
    EntityKind.PROOF: ("#e6f6e1", "#3a8a2a"),
    EntityKind.METRICS: ("#fbe9e6", "#c2452d"),
    EntityKind.FEATURES: ("#e4f3f7", "#1f7a8c"),
    EntityKind.FINGERPRINTS: ("#efeef6", "#5b5f97"),
    EntityKind.ARTIFACT: ("#f3eee6", "#8a6d4b"),
}
DASHES: Final = {Grade.PROVEN: "", Grade.ATTESTED: "7 4", Grade.DECLARED: "2 4"}
_SURROUNDINGS: Final = frozenset({EntityKind.CODE, EntityKind.ENVIRONMENT, EntityKind.BASE})
_INK: Final = "#1f2937"
_MUTED: Final = "#6b7280"
_ARROW: Final = "#8593a7"
_PILL: Final = "#334155"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
_LONGEST: Final = 28
"""Characters of a label before its middle is left out; the whole of it is in the tooltip."""
_LINE: Final = 15.0
_PADDING: Final = 11.0
_ROW_GAP: Final = 20.0
_CHIP: Final = 15.0
_MARGIN: Final = 28.0
_HEADER: Final = 46.0
_LEGEND: Final = 56.0
_SWEEPS: Final = 10
_NARROW: Final = frozenset("fijlrtI.,:;!|'()[]/ ")
_WIDE: Final = frozenset("mwMW@%")


@dataclass(frozen=True, slots=True)
class _Chip:
    """A surrounding that several activities used, by its number."""

    number: int
    kind: EntityKind
    line: tuple[str, str]
    tip: str


@dataclass(slots=True)
class _Box:
    """A node of the picture, or a bend of a long arrow when it has no lines."""

    lines: list[tuple[str, str]]
    """Title and subtitle of each thing that the box stands for."""

    tip: str
    kind: EntityKind | None = None
    """None for an activity and for a bend."""

    start: bool = False
    chips: list[tuple[_Chip, Grade]] = field(default_factory=list)
    layer: int = 0
    x: float = 0
    y: float = 0
    """Of the middle."""

    before: list[_Box] = field(default_factory=list)
    after: list[_Box] = field(default_factory=list)

    @property
    def width(self) -> float:
        texts = [width for pair in self.lines for width in (width_of(pair[0], 12.5, 1.1), width_of(pair[1], 10.5))]
        inner = max([*texts, len(self.chips) * (_CHIP + 4) + 8], default=0)
        return inner + (2 * _PADDING if self.lines else 0)

    @property
    def height(self) -> float:
        if not self.lines:
            return 4
        return 2 * _LINE * len(self.lines) + _PADDING + (_CHIP + 4 if self.chips else 0)


@dataclass(slots=True)
class _Arrow:
    """One or several edges between two boxes, through the bends in between."""

    source: _Box
    target: _Box
    label: str
    grade: Grade
    through: list[_Box] = field(default_factory=list)

    @property
    def stops(self) -> list[_Box]:
        return [self.source, *self.through, self.target]


def draw(graph: Graph, start: str, labels: Mapping[str, str], *, title: str, omitted: int = 0) -> str:
    """An SVG document that shows the graph; everything that comes from outside is escaped.

    Args:
        graph: what to show.
        start: the entity (by digest) or the activity (by id) that the question was about; it is drawn bold.
        labels: names of entities by digest; the digest itself where there is none.
        title: the heading.
        omitted: how many nodes were left out because there are too many; the picture says so.
    """
    chips = _chips(graph, start, labels)
    boxes = _boxes(graph, start, labels, chips)
    arrows = _arrows(graph, boxes)
    distinct = list({id(box): box for box in boxes.values()}.values())
    layers = _layers(distinct, arrows)
    _order(layers)
    gaps = _gaps(layers, arrows)
    _place(layers, gaps)
    return "".join(_document(layers, arrows, list(chips.values()), _used_kinds(graph), title, omitted))


def _surroundings(graph: Graph, start: str) -> dict[Digest, frozenset[str]]:
    """What only surrounds activities, by kind, with the activities that used it."""
    made = {edge.entity for edge in graph.edges if edge.relation is Relation.GENERATED}
    readers: dict[Digest, set[str]] = {}
    for edge in graph.edges:
        around = graph.entities[edge.entity].kind in _SURROUNDINGS and edge.entity not in made and edge.entity != start
        if around:
            readers.setdefault(edge.entity, set()).add(edge.activity)
    ordered = sorted(readers, key=lambda digest: (graph.entities[digest].kind, digest))
    return {digest: frozenset(readers[digest]) for digest in ordered}


def _chips(graph: Graph, start: str, labels: Mapping[str, str]) -> dict[Digest, _Chip]:
    """Those surroundings that several activities used."""
    several = [digest for digest, readers in _surroundings(graph, start).items() if len(readers) > 1]
    chips = {}
    for number, digest in enumerate(several, 1):
        kind, label = graph.entities[digest].kind, labels.get(digest, digest)
        chips[digest] = _Chip(number, kind, _entity_lines(label, kind, digest), f"{label}\n{digest}")
    return chips


def _boxes(graph: Graph, start: str, labels: Mapping[str, str], chips: Mapping[Digest, _Chip]) -> dict[str, _Box]:
    """The box of each node that has one."""
    around = _surroundings(graph, start)
    boxes: dict[str, _Box] = {}
    for id, activity in sorted(graph.activities.items()):
        who = activity.agent.partition(":")[2] or activity.agent
        lines = [(shortened(activity.kind), shortened(f"{who} · {activity.started_at:%Y-%m-%d}"))]
        tip = f"run:{id}\n{activity.agent}\n{activity.started_at:%Y-%m-%d %H:%M:%S} UTC"
        boxes[id] = _Box(lines, tip, None, id == start)
    for edge in sorted(graph.edges, key=lambda edge: chips[edge.entity].number if edge.entity in chips else 0):
        if edge.entity in chips:
            boxes[edge.activity].chips.append((chips[edge.entity], edge.grade))
    shared: dict[str, _Box] = {}
    for digest, entity in sorted(graph.entities.items(), key=lambda item: (item[1].kind, labels.get(item[0], ""))):
        label = labels.get(digest, digest)
        line = _entity_lines(label, entity.kind, digest)
        if digest in chips:
            continue
        if digest in around:
            (activity_id,) = around[digest]
            box = boxes[digest] = shared.setdefault(activity_id, _Box([], "", entity.kind))
            box.lines.append(line)
            box.tip += f"{label} {digest}\n"
        else:
            boxes[digest] = _Box([line], f"{label}\n{digest}", entity.kind, digest == start)
    return boxes


def _entity_lines(label: str, kind: EntityKind, digest: Digest) -> tuple[str, str]:
    if label == digest:
        return kind.value, digest.short
    return shortened(label.removeprefix(f"{kind}:").removesuffix(f" ({digest.short})")), f"{kind} · {digest.short}"


def _arrows(graph: Graph, boxes: Mapping[str, _Box]) -> list[_Arrow]:
    """The arrows of the picture, without those that would close a circle."""
    found: dict[tuple[int, int], _Arrow] = {}
    for edge in sorted(graph.edges, key=lambda edge: (edge.activity, edge.relation, edge.role, edge.entity)):
        if edge.entity not in boxes:
            continue
        ends = boxes[edge.entity], boxes[edge.activity]
        source, target = ends if edge.relation is Relation.USED else (ends[1], ends[0])
        role = "" if len(ends[0].lines) > 1 or edge.role == ends[0].kind else edge.role
        arrow = found.setdefault((id(source), id(target)), _Arrow(source, target, "", edge.grade))
        arrow.grade = weakest((arrow.grade, edge.grade))
        arrow.label = shortened(", ".join(filter(None, (arrow.label, role))))
    arrows = list(found.values())
    for arrow in arrows:
        arrow.source.after.append(arrow.target)
        arrow.target.before.append(arrow.source)
    for arrow in _closing(arrows):
        arrows.remove(arrow)
        arrow.source.after.remove(arrow.target)
        arrow.target.before.remove(arrow.source)
    return arrows


def _closing(arrows: Sequence[_Arrow]) -> list[_Arrow]:
    """Arrows whose removal leaves no circle: those that a depth-first walk finds pointing back."""
    state: dict[int, int] = {}
    back: set[tuple[int, int]] = set()
    for root in (arrow.source for arrow in arrows):
        path = [(root, iter(root.after))] if id(root) not in state else []
        while path:
            here, onward = path[-1]
            state[id(here)] = 1
            for there in onward:
                if state.get(id(there)) == 1:
                    back.add((id(here), id(there)))
                elif id(there) not in state:
                    path.append((there, iter(there.after)))
                    break
            else:
                state[id(here)] = 2
                path.pop()
    return [arrow for arrow in arrows if (id(arrow.source), id(arrow.target)) in back]


def _layers(boxes: Sequence[_Box], arrows: Sequence[_Arrow]) -> list[list[_Box]]:
    """Boxes by layer, with a bend in every layer that a long arrow crosses."""
    waiting = {id(box): len(box.before) for box in boxes}
    ready = [box for box in boxes if not box.before]
    ordered: list[_Box] = []
    while ready:
        box = ready.pop()
        ordered.append(box)
        for there in box.after:
            there.layer = max(there.layer, box.layer + 1)
            waiting[id(there)] -= 1
            if not waiting[id(there)]:
                ready.append(there)
    for box in reversed(ordered):
        if not box.before and box.after:
            box.layer = min(there.layer for there in box.after) - 1
    layers: list[list[_Box]] = [[] for _ in range(1 + max((box.layer for box in boxes), default=0))]
    for box in ordered:
        layers[box.layer].append(box)
    for arrow in arrows:
        for layer in range(arrow.source.layer + 1, arrow.target.layer):
            bend = _Box([], "", layer=layer)
            arrow.through.append(bend)
            layers[layer].append(bend)
    for box in boxes:
        box.before, box.after = [], []
    for arrow in arrows:
        for one, other in pairwise(arrow.stops):
            one.after.append(other)
            other.before.append(one)
    return [layer for layer in layers if layer]


def _order(layers: Sequence[list[_Box]]) -> None:
    """Order each layer by the middle of its neighbours, sweeping back and forth."""
    _number(layers)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            wanted = {id(box): _middle(box.before if forward else box.after, box.y) for box in layer}
            layer.sort(key=lambda box: wanted[id(box)])
            _number([layer])


def _number(layers: Iterable[list[_Box]]) -> None:
    for layer in layers:
        for position, box in enumerate(layer):
            box.y = position - len(layer) / 2


def _middle(neighbours: Sequence[_Box], otherwise: float) -> float:
    return sum(box.y for box in neighbours) / len(neighbours) if neighbours else otherwise


def _gaps(layers: Sequence[Sequence[_Box]], arrows: Sequence[_Arrow]) -> list[float]:
    """The space after each layer: wide enough for the longest label that stands in it."""
    gaps = [40.0] * len(layers)
    first = layers[0][0].layer if layers else 0
    for arrow in arrows:
        left = _labelled(arrow)[0].layer - first
        gaps[left] = max(gaps[left], width_of(arrow.label, 10.5) + 26)
    return gaps


def _labelled(arrow: _Arrow) -> tuple[_Box, _Box]:
    """The stretch of an arrow that bears its label: the one at the activity."""
    stops = arrow.stops
    return (stops[-2], stops[-1]) if arrow.target.kind is None else (stops[0], stops[1])


def _place(layers: Sequence[Sequence[_Box]], gaps: Sequence[float]) -> None:
    """Give every box its place."""
    x = _MARGIN
    for layer, gap in zip(layers, gaps, strict=True):
        widest = max(box.width for box in layer)
        for box in layer:
            box.x = x + widest / 2
        x += widest + gap
        y = -sum(box.height + _ROW_GAP for box in layer) / 2
        for box in layer:
            box.y = y + box.height / 2
            y += box.height + _ROW_GAP
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _settle(layer)
    top = min(box.y - box.height / 2 for layer in layers for box in layer) if layers else 0
    for layer in layers:
        for box in layer:
            box.y += _HEADER + _MARGIN - top


def _settle(layer: Sequence[_Box]) -> None:
    """Move boxes towards their neighbours as far as order and size allow: least squares by pooling violators."""
    offsets = [0.0]
    for one, other in pairwise(layer):
        gap = _ROW_GAP if one.lines or other.lines else _ROW_GAP / 2
        offsets.append(offsets[-1] + (one.height + other.height) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []
    for box, offset in zip(layer, offsets, strict=True):
        weight = 1.0 if box.lines else 3.0
        wanted, count = _middle([*box.before, *box.after], box.y) - offset, 1
        while blocks and blocks[-1][0] >= wanted:
            value, other_weight, other_count = blocks.pop()
            wanted = (wanted * weight + value * other_weight) / (weight + other_weight)
            weight, count = weight + other_weight, count + other_count
        blocks.append((wanted, weight, count))
    places = [value for value, _, count in blocks for _ in range(count)]
    for box, offset, place in zip(layer, offsets, places, strict=True):
        box.y = place + offset


def _document(
    layers: Sequence[Sequence[_Box]],
    arrows: Sequence[_Arrow],
    chips: Sequence[_Chip],
    kinds: Sequence[EntityKind],
    title: str,
    omitted: int,
) -> Iterator[str]:
    boxes = [box for layer in layers for box in layer]
    grades = {arrow.grade for arrow in arrows} | {grade for box in boxes for _, grade in box.chips}
    legend = _legend(kinds, sorted(grades, reverse=True), omitted)
    right = max((box.x + box.width / 2 for box in boxes), default=0)
    width = max(right, legend[1], _MARGIN + width_of(title, 16, 1.1)) + _MARGIN
    notes, notes_height = _notes(chips, width)
    floor = max((box.y + box.height / 2 for box in boxes), default=_HEADER) + _MARGIN
    bottom = floor + notes_height
    height = bottom + _LEGEND
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="{FONT}">'
        f"<title>{safe(title)}</title>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0.5 0.8 7.5 4 0.5 7.2 2 4z" fill="{_ARROW}"/></marker></defs>'
        f'<rect width="100%" height="100%" rx="10" fill="#ffffff"/>'
        f'<text x="{_MARGIN}" y="38" font-size="16" font-weight="600" fill="{_INK}">{safe(title)}</text>'
    )
    ports = _ports(arrows)
    for arrow in arrows:
        yield _arrow_svg(arrow, ports)
    for box in boxes:
        if box.lines:
            yield _box_svg(box)
    for arrow in arrows:
        yield _label_svg(arrow, ports)
    yield f'<g transform="translate(0 {floor:.0f})">{notes}</g>'
    yield (
        f'<line x1="{_MARGIN}" x2="{width - _MARGIN:.0f}" y1="{bottom:.0f}" y2="{bottom:.0f}" stroke="#e5e7eb"/>'
        f'<g transform="translate(0 {bottom + 30:.0f})">{legend[0]}</g></svg>'
    )


def _ports(arrows: Sequence[_Arrow]) -> dict[tuple[int, int, str], float]:
    """Where each stretch leaves and enters a box: spread along its side in the order of the other ends."""
    sides: dict[tuple[int, str], list[tuple[float, int, _Box]]] = {}
    for arrow in arrows:
        for one, other in pairwise(arrow.stops):
            sides.setdefault((id(one), "out"), []).append((other.y, id(other), one))
            sides.setdefault((id(other), "in"), []).append((one.y, id(one), other))
    places: dict[tuple[int, int, str], float] = {}
    for (box_id, side), others in sides.items():
        others.sort(key=lambda other: other[0])
        box = others[0][2]
        step = min(13.0, (box.height - 14) / max(1, len(others) - 1)) if box.lines else 0.0
        for position, (_, other_id, _box) in enumerate(others):
            places[box_id, other_id, side] = box.y + (position - (len(others) - 1) / 2) * step
    return places


def _arrow_svg(arrow: _Arrow, ports: Mapping[tuple[int, int, str], float]) -> str:
    path = ""
    for one, other in pairwise(arrow.stops):
        x1, y1, x2, y2 = _stretch(one, other, ports)
        path += f"M{x1:.1f} {y1:.1f}" if not path else f"L{x1:.1f} {y1:.1f}"
        bend = (x2 - x1) / 2
        path += f"C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    dashes = f' stroke-dasharray="{DASHES[arrow.grade]}"' if DASHES[arrow.grade] else ""
    return f'<path d="{path}" fill="none" stroke="{_ARROW}" stroke-width="1.5"{dashes} marker-end="url(#tip)"/>'


def _stretch(one: _Box, other: _Box, ports: Mapping[tuple[int, int, str], float]) -> tuple[float, float, float, float]:
    return (
        one.x + one.width / 2,
        ports[id(one), id(other), "out"],
        other.x - other.width / 2 - (2 if other.lines else 0),
        ports[id(other), id(one), "in"],
    )


def _label_svg(arrow: _Arrow, ports: Mapping[tuple[int, int, str], float]) -> str:
    if not arrow.label:
        return ""
    x1, y1, x2, y2 = _stretch(*_labelled(arrow), ports)
    return (
        f'<text x="{(x1 + x2) / 2:.1f}" y="{(y1 + y2) / 2 - 4:.1f}" font-size="10.5" fill="{_MUTED}" '
        'text-anchor="middle" stroke="#ffffff" stroke-width="3" paint-order="stroke" stroke-linejoin="round">'
        f"{safe(arrow.label)}</text>"
    )


def _box_svg(box: _Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    fill, edge = COLOURS[box.kind] if box.kind else (_PILL, _PILL)
    radius = 9.0 if box.kind else min(20.0, box.height / 2)
    ink, muted = (_INK, _MUTED) if box.kind else ("#ffffff", "#cbd5e1")
    thick = 3 if box.start else 1.3
    parts = [
        f"<g><title>{safe(box.tip.strip())}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius:.1f}" '
        f'fill="{fill}" stroke="{_INK if box.start and not box.kind else edge}" stroke-width="{thick}"/>'
    ]
    for row, (title, subtitle) in enumerate(box.lines):
        y = top + _PADDING / 2 + 2 * _LINE * row
        parts.append(
            f'<text x="{box.x:.1f}" y="{y + 13:.1f}" font-size="12.5" font-weight="600" fill="{ink}" '
            f'text-anchor="middle">{safe(title)}</text>'
            f'<text x="{box.x:.1f}" y="{y + 27:.1f}" font-size="10.5" fill="{muted}" '
            f'text-anchor="middle">{safe(subtitle)}</text>'
        )
    shelf = top + box.height - _CHIP - 6
    left = box.x - len(box.chips) * (_CHIP + 4) / 2 + 2
    for position, (chip, grade) in enumerate(box.chips):
        parts.append(_chip_svg(chip, left + position * (_CHIP + 4), shelf, grade))
    return "".join(parts) + "</g>"


def _chip_svg(chip: _Chip, x: float, y: float, grade: Grade = Grade.PROVEN) -> str:
    fill, edge = COLOURS[chip.kind]
    dashes = ' stroke-dasharray="2 2"' if grade is not Grade.PROVEN else ""
    return (
        f"<g><title>{safe(chip.tip)}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_CHIP}" height="{_CHIP}" rx="4" fill="{fill}" stroke="{edge}"{dashes}/>'
        f'<text x="{x + _CHIP / 2:.1f}" y="{y + 11:.1f}" font-size="9.5" font-weight="600" fill="{edge}" '
        f'text-anchor="middle">{chip.number}</text></g>'
    )


def _notes(chips: Sequence[_Chip], width: float) -> tuple[str, float]:
    """What the numbers of the chips stand for, in lines that fit the width, and how high that is."""
    parts: list[str] = []
    x, y = _MARGIN, 0.0
    for chip in chips:
        needed = _CHIP + 8 + width_of(chip.line[0], 11.5, 1.08) + 8 + width_of(chip.line[1], 10.5) + 24
        if x > _MARGIN and x + needed > width - _MARGIN:
            x, y = _MARGIN, y + 24
        parts.append(
            _chip_svg(chip, x, y) + f'<text x="{x + _CHIP + 8:.1f}" y="{y + 12:.1f}" font-size="11.5" fill="{_INK}">'
            f'<tspan font-weight="600">{safe(chip.line[0])}</tspan>'
            f'<tspan dx="8" font-size="10.5" fill="{_MUTED}">{safe(chip.line[1])}</tspan></text>'
        )
        x += needed
    return "".join(parts), y + 32 if chips else 0.0


def _used_kinds(graph: Graph) -> list[EntityKind]:
    present = {entity.kind for entity in graph.entities.values()}
    return [kind for kind in EntityKind if kind in present]


def _legend(kinds: Sequence[EntityKind], grades: Sequence[Grade], omitted: int) -> tuple[str, float]:
    """The legend, and how far right it reaches."""
    parts, x = [], _MARGIN

    def say(text: str, sign: float) -> None:
        nonlocal x
        parts.append(f'<text x="{x + sign + 6:.1f}" y="4" font-size="11" fill="{_MUTED}">{safe(text)}</text>')
        x += sign + 6 + width_of(text, 11) + 18

    for kind in kinds:
        fill, edge = COLOURS[kind]
        parts.append(f'<rect x="{x:.1f}" y="-7" width="16" height="14" rx="4" fill="{fill}" stroke="{edge}"/>')
        say(kind.value, 16)
    parts.append(f'<rect x="{x:.1f}" y="-7" width="22" height="14" rx="7" fill="{_PILL}"/>')
    say("activity", 22)
    for grade in grades:
        dashes = f' stroke-dasharray="{DASHES[grade]}"' if DASHES[grade] else ""
        line = f'<line x1="{x:.1f}" x2="{x + 30:.1f}" y1="0" y2="0" stroke="{_ARROW}" stroke-width="2"{dashes}/>'
        parts.append(line)
        say(grade.value, 30)
    if omitted:
        say(f"{omitted} more nodes are not shown", 0)
    return "".join(parts), x


def shortened(text: str) -> str:
    """The text with its middle left out where it is long."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 12]}…{text[-11:]}"


def safe(text: str) -> str:
    """Safe text: markup escaped, and what could not be printed or could turn the reading direction replaced."""
    hidden = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    plain = "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in hidden else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )
    return escape(plain)


def width_of(text: str, size: float, weight: float = 1.0) -> float:
    """About how many pixels a text is wide at a font size."""
    ems = sum(0.34 if letter in _NARROW else 0.95 if letter in _WIDE else 0.63 for letter in text)
    return ems * size * weight
