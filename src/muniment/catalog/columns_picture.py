"""Lineage of columns as an SVG picture: a box for each table with its columns, and a line from column to column.

Tables stand in layers by the longest way from a source, so that every line goes to the right; a column's line is solid
where the mapping is proven, dashed where attested, dotted where declared, as in the picture of whole things. Of a wide
table only columns that a line touches are shown, and of many the first; the box says how many more there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from muniment.catalog.columns import ColumnLink, How
from muniment.catalog.model import EntityKind
from muniment.catalog.picture import COLOURS, DASHES, FONT, safe, shortened, width_of
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade

__all__ = ["draw_columns"]

_MOST_COLUMNS: Final = 40
_MOST_TABLES: Final = 40
_ROW: Final = 20.0
_HEAD: Final = 40.0
_MARGIN: Final = 28.0
_TOP: Final = 62.0
_GAP: Final = 26.0
_BETWEEN: Final = 130.0
_NARROWEST: Final = 130.0
_LEGEND: Final = 52.0
_TONES: Final = {How.IDENTITY: "#94a3b8", How.TRANSFORM: "#c27803", How.JOIN: "#2b6cb0"}
_MEANINGS: Final = {
    How.IDENTITY: "handed on as it is",
    How.TRANSFORM: "went into a feature",
    How.JOIN: "picked as known at the time",
}


@dataclass(slots=True)
class _Table:
    """The box of one table."""

    digest: Digest
    title: str
    subtitle: str
    kind: EntityKind
    columns: dict[str, float] = field(default_factory=dict)
    """Columns in order, each with its height in the picture."""

    left_out: int = 0
    layer: int = 0
    x: float = 0
    y: float = 0

    @property
    def width(self) -> float:
        texts = [width_of(self.title, 12.5, 1.1), width_of(self.subtitle, 10.5)]
        return max(_NARROWEST, *texts, *(width_of(shortened(name), 11.5) for name in self.columns)) + 24

    @property
    def height(self) -> float:
        return _HEAD + _ROW * (len(self.columns) + (1 if self.left_out else 0)) + 8


def draw_columns(
    links: Sequence[ColumnLink], kinds: Mapping[Digest, EntityKind], labels: Mapping[str, str], *, title: str
) -> str:
    """An SVG document of these links; everything that comes from outside is escaped.

    Args:
        links: which column rests on which.
        kinds: the kind of each entity that a link names.
        labels: names of entities by digest; the digest itself where there is none.
        title: the heading.
    """
    tables = _tables(links, kinds, labels)
    omitted = 0
    if len(tables) > _MOST_TABLES:
        omitted = len(tables) - _MOST_TABLES
        tables = dict(list(tables.items())[:_MOST_TABLES])
    shown = [one for one in links if one.source in tables and one.target in tables]
    layers = _layers(tables, shown)
    _place(layers, shown)
    return "".join(_document(tables, shown, title, omitted))


def _tables(
    links: Sequence[ColumnLink], kinds: Mapping[Digest, EntityKind], labels: Mapping[str, str]
) -> dict[Digest, _Table]:
    tables: dict[Digest, _Table] = {}
    touched: dict[Digest, dict[str, None]] = {}
    for link in links:
        for digest, column in ((link.source, link.source_column), (link.target, link.target_column)):
            touched.setdefault(digest, {})[column] = None
    for digest, columns in touched.items():
        kind, label = kinds[digest], labels.get(digest, digest)
        name = kind.value if label == digest else shortened(label.removeprefix(f"{kind}:"))
        table = tables[digest] = _Table(digest, name, f"{kind} · {digest.short}", kind)
        table.columns = dict.fromkeys(list(columns)[:_MOST_COLUMNS], 0.0)
        table.left_out = len(columns) - len(table.columns)
    return tables


def _layers(tables: Mapping[Digest, _Table], links: Sequence[ColumnLink]) -> list[list[_Table]]:
    """Tables by the longest way to them; a circle of equal contents ends where it began."""
    before: dict[Digest, set[Digest]] = {digest: set() for digest in tables}
    for link in links:
        if link.source != link.target:
            before[link.target].add(link.source)
    waiting, layer = set(tables), 0
    layers: list[list[_Table]] = []
    while waiting:
        ready = {digest for digest in waiting if not before[digest] & waiting} or {min(waiting)}
        for digest in ready:
            tables[digest].layer = layer
        layers.append(sorted((tables[digest] for digest in ready), key=lambda table: (table.title, table.digest)))
        waiting -= ready
        layer += 1
    return layers


def _place(layers: Sequence[Sequence[_Table]], links: Sequence[ColumnLink]) -> None:
    sources: dict[Digest, list[Digest]] = {}
    for link in links:
        sources.setdefault(link.target, []).append(link.source)
    middle: dict[Digest, float] = {}
    x = _MARGIN
    for layer in layers:
        ordered = sorted(
            layer, key=lambda table: _mean([middle[one] for one in sources.get(table.digest, ()) if one in middle])
        )
        y = _TOP
        for table in ordered:
            table.x, table.y = x, y
            middle[table.digest] = y + table.height / 2
            for row, column in enumerate(table.columns):
                table.columns[column] = y + _HEAD + _ROW * row + _ROW / 2
            y += table.height + _GAP
        x += max(table.width for table in layer) + _BETWEEN


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _document(tables: Mapping[Digest, _Table], links: Sequence[ColumnLink], title: str, omitted: int) -> Iterator[str]:
    grades = sorted({link.grade for link in links}, reverse=True)
    hows = [how for how in How if any(link.how is how for link in links)]
    legend, reach = _legend(hows, grades, omitted)
    right = max((table.x + table.width for table in tables.values()), default=0.0)
    bottom = max((table.y + table.height for table in tables.values()), default=_TOP) + _MARGIN
    width = max(right, reach, _MARGIN + width_of(title, 16, 1.1)) + _MARGIN
    height = bottom + _LEGEND
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="{FONT}"><title>{safe(title)}</title>'
        '<rect width="100%" height="100%" rx="10" fill="#ffffff"/>'
        f'<text x="{_MARGIN}" y="38" font-size="16" font-weight="600" fill="#1f2937">{safe(title)}</text>'
    )
    for link in links:
        yield _line(tables[link.source], tables[link.target], link)
    for table in tables.values():
        yield _box(table)
    yield (
        f'<line x1="{_MARGIN}" x2="{width - _MARGIN:.0f}" y1="{bottom:.0f}" y2="{bottom:.0f}" stroke="#e5e7eb"/>'
        f'<g transform="translate(0 {bottom + 28:.0f})">{legend}</g></svg>'
    )


def _line(source: _Table, target: _Table, link: ColumnLink) -> str:
    if link.source_column not in source.columns or link.target_column not in target.columns:
        return ""
    x1, y1 = source.x + source.width, source.columns[link.source_column]
    x2, y2 = target.x, target.columns[link.target_column]
    bend = max(40.0, abs(x2 - x1) / 2)
    dashes = f' stroke-dasharray="{DASHES[link.grade]}"' if DASHES[link.grade] else ""
    tip = f"{link.source_column} → {link.target_column}\n{_MEANINGS[link.how]}, {link.grade}\nrun:{link.activity}"
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}" fill="none" '
        f'stroke="{_TONES[link.how]}" stroke-width="1.4"{dashes}><title>{safe(tip)}</title></path>'
    )


def _box(table: _Table) -> str:
    fill, edge = COLOURS[table.kind]
    tip = f"{table.title}\n{table.digest}"
    parts = [
        f"<g><title>{safe(tip)}</title>"
        f'<rect x="{table.x:.1f}" y="{table.y:.1f}" width="{table.width:.1f}" height="{table.height:.1f}" rx="9" '
        f'fill="#ffffff" stroke="{edge}" stroke-width="1.3"/>'
        f'<path d="M{table.x:.1f} {table.y + _HEAD - 4:.1f}v-{_HEAD - 13:.1f}a9 9 0 0 1 9 -9h{table.width - 18:.1f}'
        f'a9 9 0 0 1 9 9v{_HEAD - 13:.1f}z" fill="{fill}" stroke="{edge}" stroke-width="1.3"/>'
        f'<text x="{table.x + 12:.1f}" y="{table.y + 15:.1f}" font-size="12.5" font-weight="600" fill="#1f2937">'
        f"{safe(table.title)}</text>"
        f'<text x="{table.x + 12:.1f}" y="{table.y + 29:.1f}" font-size="10.5" fill="#6b7280">'
        f"{safe(table.subtitle)}</text>"
    ]
    for column, y in table.columns.items():
        parts.append(
            f'<text x="{table.x + 12:.1f}" y="{y + 4:.1f}" font-size="11.5" fill="#1f2937">'
            f"<title>{safe(column)}</title>{safe(shortened(column))}</text>"
        )
    if table.left_out:
        y = table.y + _HEAD + _ROW * len(table.columns) + _ROW / 2
        parts.append(
            f'<text x="{table.x + 12:.1f}" y="{y + 4:.1f}" font-size="10.5" fill="#6b7280">'
            f"and {table.left_out} more columns</text>"
        )
    return "".join(parts) + "</g>"


def _legend(hows: Sequence[How], grades: Sequence[Grade], omitted: int) -> tuple[str, float]:
    parts, x = [], _MARGIN
    signs = [(_TONES[how], "", _MEANINGS[how]) for how in hows]
    signs += [("#8593a7", DASHES[grade], grade.value) for grade in grades]
    for tone, dash, text in signs:
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(
            f'<line x1="{x:.1f}" x2="{x + 26:.1f}" y1="0" y2="0" stroke="{tone}" stroke-width="2"{dashes}/>'
            f'<text x="{x + 32:.1f}" y="4" font-size="11" fill="#6b7280">{safe(text)}</text>'
        )
        x += 32 + width_of(text, 11) + 18
    if omitted:
        text = f"{omitted} more tables are not shown"
        parts.append(f'<text x="{x:.1f}" y="4" font-size="11" fill="#6b7280">{safe(text)}</text>')
        x += width_of(text, 11) + 18
    return "".join(parts), x
