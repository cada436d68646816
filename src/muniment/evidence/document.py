"""A document as a tree of plain values: what is said and what bears it out, with nothing about how it looks.

There are two kinds of text. *Words* are the product's own; they never hold a number. *Values* come from the records and
bear a mark: how far they can be trusted, and the number under which the index of records names what bears them out. A
block may bear the mark for all the values in it. The tree is what makes the rule checkable that no number in a report
is typed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from muniment.evidence.charts.canvas import Chart
from muniment.evidence.displaying import displayable, shortened

__all__ = [
    "Badge",
    "Block",
    "Callout",
    "Document",
    "Facts",
    "Figure",
    "Inline",
    "Mark",
    "Missing",
    "Paragraph",
    "Part",
    "Picture",
    "Points",
    "Row",
    "Shape",
    "Table",
    "Tiles",
    "Tone",
    "Value",
    "Words",
    "everything",
    "said",
]


class Shape(StrEnum):
    """How a text is set."""

    PLAIN = "plain"
    STRONG = "strong"
    EMPHASIS = "emphasis"
    CODE = "code"
    """Digests, expressions, names of columns and files."""
    MUTED = "muted"


class Tone(StrEnum):
    """What a badge or a note says about its content."""

    GOOD = "good"
    CAREFUL = "careful"
    BAD = "bad"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands behind a value."""

    grade: str | None = None
    """``proven``, ``attested`` or ``declared``; None where another mark beside it says it."""

    record: int | None = None
    """Number in the index of records."""

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"grade": self.grade, "record": self.record}


@dataclass(frozen=True, slots=True)
class Words:
    """The product's own wording."""

    text: str
    shape: Shape = Shape.PLAIN

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"t": "words", "text": displayable(self.text) if self.text.strip() else self.text, "shape": self.shape}


@dataclass(frozen=True, slots=True)
class Value:
    """Something that the records say."""

    text: str
    mark: Mark | None = None
    """None where the block bears the mark."""

    shape: Shape = Shape.PLAIN

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        mark = None if self.mark is None else self.mark.tree()
        return {"t": "value", "text": displayable(self.text), "shape": self.shape, "mark": mark}


@dataclass(frozen=True, slots=True)
class Badge:
    """A short word in a frame: a state, an outcome."""

    text: str
    tone: Tone = Tone.NEUTRAL
    mark: Mark | None = None

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        mark = None if self.mark is None else self.mark.tree()
        return {"t": "badge", "text": shortened(displayable(self.text), 36), "tone": self.tone, "mark": mark}


Inline = Words | Value | Badge
Line = tuple[Inline, ...]


def said(*pieces: Inline | str) -> Line:
    """A line of text; plain strings are words of the product."""
    return tuple(Words(piece) if isinstance(piece, str) else piece for piece in pieces)


def _line(line: Line) -> list[dict[str, Any]]:
    return [piece.tree() for piece in line]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    line: Line
    quoted: bool = False
    """Whether somebody's own words are given."""

    mark: Mark | None = None
    """For all that is said in it, shown at its end."""

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        mark = None if self.mark is None else self.mark.tree()
        return {"t": "quote" if self.quoted else "paragraph", "line": _line(self.line), "mark": mark}


@dataclass(frozen=True, slots=True)
class Missing:
    """What is not recorded, said where it would stand."""

    what: str
    """A sentence without a number."""

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"t": "missing", "text": displayable(self.what)}


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they are."""

    rows: tuple[tuple[str, Line], ...]
    mark: Mark | None = None
    paired: bool = False
    """Whether two of them stand side by side, where all are short."""

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        rows = [{"name": displayable(name), "line": _line(line)} for name, line in self.rows]
        mark = None if self.mark is None else self.mark.tree()
        return {"t": "facts", "rows": rows, "mark": mark, "paired": self.paired}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, and what bears it out."""

    cells: tuple[Line, ...]
    mark: Mark | None = None
    strong: bool = False

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "cells": [_line(cell) for cell in self.cells],
            "mark": None if self.mark is None else self.mark.tree(),
            "strong": self.strong,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; it may run over pages, its headings are repeated."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    aligned: str = ""
    """A letter a column: l, r, c."""

    widths: tuple[float, ...] = ()
    """Shares of the width; 0 is as wide as needed. Empty: all as wide as needed, the first takes the rest."""

    caption: str = ""
    mark: Mark | None = None
    small: bool = False

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "t": "table",
            "heads": [displayable(head) if head else "" for head in self.heads],
            "rows": [row.tree() for row in self.rows],
            "aligned": self.aligned or "l" * len(self.heads),
            "widths": list(self.widths) or [1.0, *([0.0] * (len(self.heads) - 1))],
            "caption": displayable(self.caption) if self.caption else "",
            "mark": None if self.mark is None else self.mark.tree(),
            "marked": any(row.mark for row in self.rows),
            "small": self.small,
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart with its caption."""

    chart: Chart
    caption: Line
    mark: Mark | None = None

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "svg": self.chart.svg,
            "width": self.chart.width,
            "alt": displayable(self.chart.alt),
            "caption": _line(self.caption),
            "mark": None if self.mark is None else self.mark.tree(),
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture, or two side by side."""

    pictures: tuple[Picture, ...]

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"t": "figure", "pictures": [picture.tree() for picture in self.pictures]}


@dataclass(frozen=True, slots=True)
class Tiles:
    """A few numbers that matter most, large."""

    tiles: tuple[tuple[str, Value], ...]

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"t": "tiles", "tiles": [{"name": displayable(n), "value": v.tree()} for n, v in self.tiles]}


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    lines: tuple[Line, ...]
    numbered: bool = False

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"t": "points", "lines": [_line(line) for line in self.lines], "numbered": self.numbered}


@dataclass(frozen=True, slots=True)
class Callout:
    """Something to notice, in a box."""

    title: str
    blocks: tuple[Block, ...]
    tone: Tone = Tone.NEUTRAL

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "t": "callout",
            "title": displayable(self.title),
            "tone": self.tone,
            "blocks": [block.tree() for block in self.blocks],
        }


@dataclass(frozen=True, slots=True)
class Part:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...] = field(default=())

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"t": "part", "title": displayable(self.title), "blocks": [block.tree() for block in self.blocks]}


Block = Paragraph | Missing | Facts | Table | Figure | Tiles | Points | Callout | Part

FORMAT: Final = "muniment.document/1"


@dataclass(frozen=True, slots=True)
class Document:
    """A whole document: its cover, its chapters, and the index that its marks lead to."""

    title: str
    kind: str
    """What sort of document it is, above the title."""

    subtitle: Line
    cover: tuple[Block, ...]
    chapters: tuple[Part, ...]
    index: tuple[dict[str, Any], ...]
    footer: Line
    author: str
    keywords: tuple[str, ...] = ()

    def tree(self) -> dict[str, Any]:
        """As JSON, the input of a typesetter."""
        return {
            "format": FORMAT,
            "title": displayable(self.title),
            "kind": displayable(self.kind),
            "subtitle": _line(self.subtitle),
            "cover": [block.tree() for block in self.cover],
            "chapters": [chapter.tree() for chapter in self.chapters],
            "index": [
                {key: displayable(value) if isinstance(value, str) and value else value for key, value in row.items()}
                for row in self.index
            ],
            "footer": _line(self.footer),
            "author": displayable(self.author),
            "keywords": [displayable(word) for word in self.keywords],
        }


def everything(tree: Any, mark: Any = None) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each text of a document's tree with the mark that it, its row or its block bears."""
    if isinstance(tree, dict):
        own = tree.get("mark") or mark
        if tree.get("t") in ("words", "value", "badge"):
            yield tree, own
        for key, inner in tree.items():
            if key != "mark":
                yield from everything(inner, own)
    elif isinstance(tree, list):
        for inner in tree:
            yield from everything(inner, mark)
