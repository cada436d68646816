"""How the story is told: chapters, facts, refusals, and a line that moves while something runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from muniment.cli.screen import Screen
from muniment.sdk.asking import Job, Watch
from muniment.sdk.shown import visible

_LABEL = 12


class Teller:
    """Tells the story on a screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self._chapter = screen, 0

    def chapter(self, title: str, person: str) -> None:
        """Begin a chapter, told by a person."""
        self._chapter += 1
        self._screen.console.print()
        self._screen.console.print(
            Text.assemble((f"{self._chapter}  ", "cyan"), (title, "bold"), (f"  [{person}]", "dim")), soft_wrap=False
        )

    def fact(self, name: str, text: str) -> None:
        """Something that is now known."""
        row = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
        row.add_column(width=_LABEL, style="dim", no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(name, visible(text))
        self._screen.console.print(Padding(row, (0, 0, 0, 3), expand=False))

    def note(self, text: str) -> None:
        """An explanation."""
        self._screen.console.print(Padding(Text(visible(text), style="dim"), (0, 0, 0, 4 + _LABEL), expand=False))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Numbers side by side."""
        self._screen.table(columns, rows, right=len(columns) - 1)

    def refusal(self, what: str, code: str, why: str, recorded: str) -> None:
        """Something that was tried and did not work."""
        sign = self._screen.mark("✗", "x")
        self._screen.console.print(
            Padding(Text.assemble((f"{sign} ", "red"), visible(what)), (0, 0, 0, 3), expand=False)
        )
        first, *rest = why.splitlines() or [""]
        reason = Text.assemble((f"[{visible(code)}] ", "yellow"), visible(first))
        self._screen.console.print(Padding(reason, (0, 0, 0, 5), expand=False), soft_wrap=False)
        for line in rest:
            self._screen.console.print(Padding(Text(visible(line)), (0, 0, 0, 7), expand=False), soft_wrap=False)
        if recorded:
            self._screen.console.print(Padding(Text(f"recorded  {recorded}", style="dim"), (0, 0, 0, 5), expand=False))

    @contextmanager
    def work(self, what: str) -> Iterator[Watch]:
        """Show that something is being done, and that it is done."""
        console = self._screen.console
        shown = Text(f"   {what}")
        if not console.is_terminal or console.is_dumb_terminal:
            yield lambda _run: None
            self._done(what)
            return
        spinner = Spinner("dots" if self._screen.mark("⠋", "") else "line", text=shown)

        def watch(run: Job) -> None:
            spinner.update(text=Text.assemble(what, (f"  {run.status}", "dim")))

        with Live(Padding(spinner, (0, 0, 0, 3), expand=False), console=console, transient=True, refresh_per_second=12):
            yield watch
        self._done(what)

    def _done(self, what: str) -> None:
        sign = self._screen.mark("✓", "+")
        self._screen.console.print(Padding(Text.assemble((f"{sign} ", "green"), what), (0, 0, 0, 3), expand=False))
