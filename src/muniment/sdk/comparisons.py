"""Runs side by side: as a table, as pictures, in a notebook, and as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from muniment.sdk.cells import card, facts, fold, note, picture, table
from muniment.sdk.drawings import lines
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import brief, count, measure, visible
from muniment.wire import execution as wx

__all__ = ["Comparison", "data_facts", "page"]

_INKS: Final = {"+": "34,163,90", "-": "220,60,50", "@": "31,90,150"}
_MOST_SHOWN: Final = 8
"""So many pictures are shown at once; the rest opens on a click."""


class Comparison:
    """Runs side by side: what differs, and what was measured."""

    def __init__(self, reply: wx.Comparison) -> None:
        self.reply = reply

    @property
    def runs(self) -> list[str]:
        """References of the runs."""
        return self.reply.runs

    @property
    def curves(self) -> dict[str, dict[str, list[tuple[float, float]]]]:
        """What was reported step by step: by metric and run, steps and values."""
        return {
            curve.metric: {
                run: [(one[0], one[1]) for one in points]
                for run, points in zip(self.names(), curve.points, strict=True)
                if points
            }
            for curve in self.reply.curves
        }

    def names(self) -> list[str]:
        """A short name for each run, by which pictures tell them apart."""
        return [f"{number}: …{run[-8:]}" for number, run in enumerate(self.reply.runs, 1)]

    def pictures(self) -> dict[str, str]:
        """The curves of each metric over each other, as SVG."""
        drawn = {metric: lines(series, metric) for metric, series in self.curves.items()}
        return {metric: svg for metric, svg in drawn.items() if svg}

    def code_diff(self) -> str:
        """How the source trees differ, as one unified diff; empty when they do not, or are none."""
        parts = []
        for one in self.reply.code:
            parts.append(
                f"# {self.reply.runs[0]} and {self.reply.runs[one.run]}" + (f": {one.note}" if one.note else "")
            )
            for file in one.files:
                parts += [f"--- {file.path}", f"+++ {file.path}"] if file.lines else [f"# {file.change}: {file.path}"]
                parts += [*file.lines, *([f"# {file.note}"] if file.note else [])]
            if one.more:
                parts.append(f"# and {one.more} more files")
        return visible("\n".join(parts), lines=True)

    def to_frame(self) -> Any:
        """A data frame, one row per aspect, one column per run."""
        return to_frame(
            [
                {"section": row.section, "name": row.name, **dict(zip(self.reply.runs, row.values, strict=True))}
                for row in self.reply.rows
            ],
            ("section", "name", *self.reply.runs),
        )

    def __repr__(self) -> str:
        said = "\n".join(
            f"{'*' if row.differs else ' '} {row.section:11} {visible(row.name):24} "
            + "  ".join(brief(value, 24) for value in row.values)
            for row in self.reply.rows
        )
        return "\n".join(part for part in (said, self.code_diff()) if part)

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """Pictures, what differs, code and data, for a notebook or a page."""
        shown = [picture(svg, f"{metric} of the runs") for metric, svg in self.pictures().items()]
        differing = [row for row in self.reply.rows if row.differs or row.section == "metric"]
        same = [row for row in self.reply.rows if not row.differs and row.section != "metric"]
        headers = ["", "", *self.names()]
        parts = [
            facts(dict(zip(self.names(), self.reply.runs, strict=True))),
            *shown[:_MOST_SHOWN],
            fold(f"{len(shown) - _MOST_SHOWN} more curves", "".join(shown[_MOST_SHOWN:])),
            table(headers, [_row(row) for row in differing]),
            fold("what is the same", table(headers, [_row(row) for row in same]) if same else ""),
            *(self._data(one) for one in self.reply.data),
            *(self._code(one) for one in self.reply.code),
        ]
        return card("runs side by side", *parts, kind=f"{len(self.reply.runs)} runs")

    def _data(self, one: wx.DataDifference) -> str:
        title = f"input {one.channel} of {self.names()[one.run]} differs from that of the first"
        return note(title) + facts(data_facts(one))

    def _code(self, one: wx.CodeDifference) -> str:
        parts = [note(f"code of {self.names()[one.run]} differs from that of the first")]
        parts += [note(one.note)] if one.note else []
        for file in one.files:
            inside = note(file.note) if file.note else ""
            inside += _diff(file.lines) if file.lines else ""
            parts.append(fold(f"{file.change}: {file.path}", inside))
        if one.more:
            parts.append(note(f"and {count(one.more)} more files"))
        return "".join(parts)


def data_facts(one: wx.DataDifference) -> dict[str, Any]:
    """How an input differs, in words."""
    before, after = one.references
    rows = [count(value) if isinstance(value, int) else "?" for value in one.rows]
    return {
        "references": f"{before or 'none'} became {after or 'none'}",
        "rows": rows[0] if rows[0] == rows[1] else f"{rows[0]} became {rows[1]}",
        "columns added": ", ".join(one.added),
        "columns removed": ", ".join(one.removed),
        "columns of another type": ", ".join(one.retyped),
        "content": "the same: only files differ" if one.same_content else None,
        "row by row": f"muni data diff {before} {after}" if before and after else None,
    }


def page(found: Comparison, title: str = "Runs side by side") -> str:
    """A page that needs nothing else: no script, no font and no picture is fetched by it."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(visible(title))}</title>"
        "<style>:root{color-scheme:light dark}body{margin:24px auto;max-width:1000px;padding:0 16px}</style></head>"
        f"<body>{found.html()}</body></html>\n"
    )


def _row(row: wx.ComparisonRow) -> list[Any]:
    values = [measure(v) if row.section == "metric" and isinstance(v, (int, float)) else v for v in row.values]
    return ["≠" if row.differs else "", f"{row.section} {row.name}", *("" if v is None else v for v in values)]


def _diff(lines_: Sequence[str]) -> str:
    def styled(line: str) -> str:
        ink = _INKS.get(line[:1])
        style = f"background:rgba({ink},.13)" if ink else ""
        return f'<div style="{style};min-height:1.35em">{escape(visible(line))}</div>'

    mono = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px;line-height:1.35"
    inside = "".join(styled(line) for line in lines_)
    return f'<div style="overflow-x:auto;{mono};white-space:pre;margin-top:6px">{inside}</div>'
