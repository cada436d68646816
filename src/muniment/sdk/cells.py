"""How values look in a notebook: small HTML that fits a light and a dark page, and a narrow cell.

Only styles on the elements themselves are used, because a notebook that is not trusted drops style sheets and scripts.
Colours of text come from the page; what is coloured is half transparent. Nothing from outside stands unescaped.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from muniment.sdk.shown import brief, measure, short, visible

__all__ = ["badge", "card", "facts", "fold", "note", "picture", "table", "tiles"]

_LINE: Final = "1px solid rgba(128,128,128,.28)"
_FAINT: Final = "opacity:.66"
_LABEL: Final = f"{_FAINT};font-size:11px;font-weight:400"
_MONO: Final = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px"
_FIGURES: Final = "font-variant-numeric:tabular-nums"
_CARD: Final = (
    f"box-sizing:border-box;max-width:960px;margin:4px 0;padding:12px 16px;border:{_LINE};border-radius:10px;"
    "font:13px/1.5 system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;text-align:left"
)
_GRID: Final = (
    "display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,200px),1fr));gap:8px 20px;margin-top:10px"
)
_READABLE: Final = 600
"""Pixels below which a drawing is not made smaller; a wide one keeps three fifths of its width."""

_TABLE: Final = "border-collapse:collapse;margin:8px 0 0;border:0;font-size:13px"
_CELL: Final = f"text-align:left;vertical-align:top;padding:4px 18px 4px 0;border-bottom:{_LINE};white-space:nowrap"
_TONES: Final = {"good": "34,163,90", "care": "217,134,6", "bad": "220,60,50", "": "128,128,128"}
_TONE_OF: Final = {
    word: tone
    for tone, words in {
        "good": "ok proven unused rows-unused approved finished",
        "care": "queued running declared attested unused-object rows-unclear cancelled stopped expired",
        "bad": "violated failed timeout oom limit refused lost used rows-used EMERGENCY rejected",
    }.items()
    for word in words.split()
}
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", re.ASCII)
_RUN: Final = re.compile(r"run:[0-9a-z]{26}", re.ASCII)
_WIDTH: Final = re.compile(r'<svg\b[^>]*?\bviewBox="0 0 (\d+)')


def badge(word: str) -> str:
    """A word of the platform, such as a status or a grade, in the colour of what it means."""
    tone = _TONES[_TONE_OF.get(word, "")]
    dot = f'<span style="color:rgb({tone})">●</span>'
    style = f"background:rgba({tone},.15);border-radius:9px;padding:1px 9px 1px 7px;white-space:nowrap;font-size:12px"
    return f'<span style="{style}">{dot} {_text(word)}</span>'


def card(title: str, *inside: str, kind: str = "", badges: Sequence[str] = ()) -> str:
    """A titled box around what the other functions gave.

    Args:
        title: what it is, as a reference.
        inside: HTML.
        kind: a few faint words after the title.
        badges: words for ``badge``.
    """
    head = f'<b style="font-size:15px;overflow-wrap:anywhere">{_text(title)}</b>'
    head += f'<span style="{_FAINT}">{_text(kind)}</span>' if kind else ""
    head += "".join(badge(word) for word in badges if word)
    row = "display:flex;flex-wrap:wrap;gap:2px 10px;align-items:baseline"
    return f'<div style="{_CARD}"><div style="{row}">{head}</div>{"".join(inside)}</div>'


def facts(known: Mapping[str, Any]) -> str:
    """Names over values, as many beside each other as fit; what is empty is left out."""
    items = "".join(
        f'<div style="min-width:0"><div style="{_LABEL}">{_text(name)}</div>'
        f'<div style="overflow-wrap:anywhere">{_value(value, 400)}</div></div>'
        for name, value in known.items()
        if value not in (None, "", [], {})
    )
    return f'<div style="{_GRID}">{items}</div>' if items else ""


def tiles(metrics: Mapping[str, float]) -> str:
    """Numbers in large type, each under its name."""
    items = "".join(
        f'<div><div style="{_LABEL}">{_text(name)}</div>'
        f'<div style="font-size:18px;line-height:1.3;{_FIGURES}">{_text(measure(value))}</div></div>'
        for name, value in metrics.items()
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:6px 26px;margin-top:10px">{items}</div>' if items else ""


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table that scrolls by itself when the page is narrower; statuses and grades as badges."""
    head = "".join(f'<th style="{_CELL};{_LABEL}">{_text(name)}</th>' for name in headers)
    lines = ("".join(_cell(name, value) for name, value in zip(headers, row, strict=False)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    inner = f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div style="overflow-x:auto">{inner}</div>'


def fold(title: str, inside: str) -> str:
    """Something that opens on a click; nothing when there is nothing inside."""
    summary = f'<summary style="cursor:pointer;{_FAINT}">{_text(title)}</summary>'
    return f'<details style="margin-top:10px">{summary}{inside}</details>' if inside else ""


def note(text: str) -> str:
    """A sentence or more."""
    return f'<div style="margin-top:8px;overflow-wrap:anywhere">{_text(text)}</div>' if text else ""


def picture(svg: str | None, what: str) -> str:
    """A drawing as wide as the page and never wider than it was drawn; it scrolls before it gets too small to read.

    It is shown as an image, so that nothing in it can act.
    """
    if not svg:
        return ""
    found = _WIDTH.search(svg)
    drawn = int(found[1]) if found else _READABLE
    least = min(drawn, max(_READABLE, drawn * 3 // 5))
    style = f"display:block;width:100%;min-width:{least}px;max-width:{drawn}px;height:auto"
    source = f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
    return (
        f'<div style="overflow-x:auto;margin-top:10px"><img alt="{_text(what)}" src="{source}" style="{style}"></div>'
    )


def _cell(name: str, value: Any) -> str:
    if name in ("status", "grade", "verdict") and value:
        return f'<td style="{_CELL}">{badge(str(value))}</td>'
    return f'<td style="{_CELL};{_FIGURES}">{_value(value, 120)}</td>'


def _value(value: Any, limit: int) -> str:
    """A value in one line; a digest and a moment short, and whole when the mouse rests on them."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return f'<span title="{_text(value)}">{_text(value[:19].replace("T", " "))} UTC</span>'
    if isinstance(value, str) and short(value) != value:
        return f'<span style="{_MONO}" title="{_text(value)}">{_text(short(value))}</span>'
    if isinstance(value, str) and _RUN.fullmatch(value):
        return f'<span style="font-size:11.5px;white-space:nowrap">{value}</span>'
    return _text(brief(value, limit))


def _text(value: object) -> str:
    return escape(visible(value))
