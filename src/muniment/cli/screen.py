"""Answers and errors for people: tables that fit the terminal, colours only on one, nothing unescaped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from muniment import errors
from muniment.sdk.shown import brief, short, visible

__all__ = ["Screen", "show_error"]

_HEADLINES: Final[tuple[tuple[type[errors.MunimentError], str], ...]] = (
    (errors.Denied, "Refused"),
    (errors.Unauthenticated, "Not signed in"),
    (errors.NotFound, "Not found"),
    (errors.Conflict, "Conflict"),
    (errors.Invalid, "Invalid"),
    (errors.IntegrityError, "Integrity"),
    (errors.Unavailable, "Unavailable"),
    (errors.MunimentError, "Failed"),
)
_FIRST: Final = ("policy", "policies", "because")
_LAST: Final = ("do", "entry")
_NAMES: Final = {"policies": "policy", "entry": "recorded"}

_GAP: Final = 2
"""Blanks between columns."""

_COMFORT: Final = 28
"""A column of text this wide says enough, where there is not room for all of it."""

_LEAST: Final = 6
"""Below this width a column says nothing."""

COLOURS: Final = {
    "ok": "green",
    "proven": "green",
    "attested": "yellow",
    "declared": "yellow",
    "running": "cyan",
    "queued": "dim",
    "failed": "red",
    "timeout": "red",
    "oom": "red",
    "limit": "red",
    "refused": "red",
    "denied": "red",
    "lost": "red",
    "cancelled": "yellow",
    "stopped": "yellow",
}
"""Words that mean the same everywhere look the same everywhere."""


class Screen:
    """A place where people read."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @classmethod
    def on_stdout(cls) -> Screen:
        """The place of answers."""
        return cls(_console(sys.stdout))

    @classmethod
    def on_stderr(cls) -> Screen:
        """The place of progress, hints and errors."""
        return cls(_console(sys.stderr))

    def line(self, text: str = "", style: str = "") -> None:
        """One paragraph, wrapped."""
        self.console.print(Text(visible(text), style=style), soft_wrap=not self.console.is_terminal)

    def raw(self, text: str) -> None:
        """Text that is already safe, line by line, never wrapped."""
        self.console.print(Text(text), soft_wrap=True, end="")

    def done(self, text: str) -> None:
        """Something went well."""
        self.console.print(Text.assemble((self.mark("✓", "+") + " ", "green"), visible(text)), soft_wrap=True)

    def facts(self, title: str, facts: Mapping[str, Any]) -> None:
        """A title over aligned names and values; what is not known is left out. A tuple is shown line by line."""
        if title:
            self.console.print(Text(visible(title), style="bold"), soft_wrap=True)
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for name, value in facts.items():
            if value not in (None, "", [], {}, ()):
                table.add_row("  " + visible(name), self._lines(value))
        self._print(table)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        *,
        empty: str = "nothing here yet",
        right: int = 0,
        spare: Sequence[str] = (),
        wrap: Sequence[str] = (),
    ) -> None:
        """A table of one line per row. The first column, which names things, is never cut.

        Args:
            columns: headings.
            rows: values, as many as columns.
            empty: what stands there when there is no row.
            right: how many of the last columns hold numbers.
            spare: columns that go, in this order, when the terminal is too narrow.
            wrap: columns whose text is broken into lines instead of being cut.
        """
        cells = [[self._cell(value) for value in row] for row in rows]
        if not cells:
            self.line(empty, style="dim")
            return
        widths = [max(len(name), *(row[at].cell_len for row in cells)) for at, name in enumerate(columns)]
        kept = self._fitted(columns, widths, spare, right)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for at, width in kept.items():
            table.add_column(
                visible(columns[at]),
                justify="right" if at >= len(columns) - right else "left",
                no_wrap=columns[at] not in wrap,
                width=width,
                overflow="fold" if columns[at] in wrap else "ellipsis",
            )
        for row in cells:
            table.add_row(*(row[at] for at in kept))
        self._print(table)

    def _fitted(
        self, columns: Sequence[str], widths: Sequence[int], spare: Sequence[str], right: int
    ) -> dict[int, int]:
        """Positions and widths of the columns that stay: spare ones go first, then the widest texts are cut."""
        fixed = {0, *range(len(columns) - right, len(columns))}
        kept = {at: width if at in fixed else min(width, _COMFORT) for at, width in enumerate(widths)}

        def excess() -> int:
            return sum(width + _GAP for width in kept.values()) - self.console.width

        for name in spare:
            if excess() > 0:
                del kept[list(columns).index(name)]
        while excess() > 0 and (cuttable := [at for at in kept if at not in fixed and kept[at] > _LEAST]):
            kept[max(cuttable, key=kept.__getitem__)] -= 1
        for at in sorted(kept, key=widths.__getitem__):
            kept[at] += max(0, min(widths[at] - kept[at], -excess()))
        return kept

    def mark(self, sign: str, plain: str) -> str:
        """The sign, where the terminal's encoding has it."""
        try:
            sign.encode(self.console.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return plain
        return sign

    def _print(self, table: Table) -> None:
        """Without the blanks that fill up the last column, where they would end up in a file."""
        if self.console.is_terminal:
            self.console.print(table)
            return
        with self.console.capture() as captured:
            self.console.print(table)
        self.raw("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def _lines(self, value: Any) -> Text:
        if isinstance(value, tuple):
            return Text("\n").join(self._cell(line, 2000) for line in value)
        return self._cell(value, 2000)

    def _cell(self, value: Any, limit: int = 160) -> Text:
        text = value if isinstance(value, Text) else Text("" if value is None else brief(value, limit))
        if text.plain in COLOURS:
            text.stylize(COLOURS[text.plain])
        return text


def show_error(error: errors.MunimentError) -> None:
    """An error as interfaces promise it: what, why, what to do, and where it is recorded."""
    screen = Screen.on_stderr()
    headline = next(word for kind, word in _HEADLINES if isinstance(error, kind))
    title = Text.assemble(
        (f"{screen.mark('✗', 'x')} {headline} [{error.code}]", "bold red"), "  ", visible(error.message)
    )
    screen.console.print(title, soft_wrap=True)
    facts = error.facts
    order = [
        *(name for name in _FIRST if name in facts),
        *(name for name in facts if name not in (*_FIRST, *_LAST)),
        *(name for name in _LAST if name in facts),
    ]
    shown: dict[str, Any] = {}
    for name in order:
        value = facts[name]
        if name == "entry":
            shown["recorded"] = f"ledger entry {value}"
        else:
            shown[_NAMES.get(name, name)] = tuple(map(short, value)) if _is_texts(value) else value
    if shown:
        screen.facts("", shown)


def _is_texts(value: Any) -> bool:
    """Whether these are sentences, which want a line each, and not names."""
    return (
        isinstance(value, (list, tuple))
        and all(isinstance(inner, str) for inner in value)
        and any(" " in inner for inner in value)
    )


def _console(stream: IO[str]) -> Console:
    """A console on a stream; lines are as long as they need to be where no terminal cuts them."""
    terminal = stream.isatty()
    width = None if terminal or "COLUMNS" in os.environ else 10_000
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
