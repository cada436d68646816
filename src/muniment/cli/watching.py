"""What a person sees while a job runs: a line that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import rich.progress
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.text import Text

from muniment.cli.screen import COLOURS, Screen
from muniment.sdk.asking import Job, Watch
from muniment.sdk.shown import duration, elapsed, headline, measure, visible

__all__ = ["counting", "sending", "stages", "watching"]

_LARGE = 8 << 20
"""Bytes from which a person wants to see how much has gone."""

_METRICS = 5
"""So many metrics fit on a line next to the rest."""


@contextmanager
def watching(screen: Screen, run: Job) -> Iterator[Watch]:
    """A watch for ``Run.wait``; Ctrl-C leaves the run as it is and says how to come back to it."""
    try:
        if screen.console.is_terminal and not screen.console.is_dumb_terminal:
            with _Moving(screen) as moving:
                yield moving
        else:
            yield _Plain(screen)
    except KeyboardInterrupt:
        screen.line(f"{run.reference} is left as it is.")
        screen.line(f"  come back  muni runs watch {run.reference}")
        screen.line(f"  stop it    muni runs cancel {run.reference}")
        raise


@contextmanager
def counting(screen: Screen, what: str) -> Iterator[Callable[[int, int], None]]:
    """Something to tell how many of how many are done; a bar on a terminal, one line elsewhere."""
    if not screen.console.is_terminal or screen.console.is_dumb_terminal:
        screen.line(what)
        yield lambda done, of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen.console, transient=True) as bar:
        task = bar.add_task(what)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def stages(screen: Screen) -> Iterator[Callable[[str, int, int], None]]:
    """Something to tell what is being done, how much of it is done and how much there is (0: nobody knows).

    A bar on a terminal; elsewhere a line when something else begins.
    """
    if not screen.console.is_terminal or screen.console.is_dumb_terminal:
        named = ""

        def tell(what: str, done: int, of: int) -> None:
            nonlocal named
            if what != named:
                screen.line(what)
                named = what

        yield tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen.console, transient=True) as bar:
        task = bar.add_task("")
        yield lambda what, done, of: bar.update(task, description=what, completed=done, total=of or None)


@contextmanager
def sending(screen: Screen, path: Path) -> Iterator[BinaryIO]:
    """A file to send; on a terminal a bar shows how much of a large one has gone."""
    if path.stat().st_size < _LARGE or not screen.console.is_terminal or screen.console.is_dumb_terminal:
        with path.open("rb") as body:
            yield body
        return
    with rich.progress.open(
        path, "rb", description=visible(path.name), console=screen.console, transient=True
    ) as shown:
        yield shown


class _Moving:
    """One line at the bottom, with a spinner and the time that has passed."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self._start = screen, time.monotonic()
        self._run = Text("asking")
        self._spinner = Spinner("dots" if screen.mark("⠋", "") else "line")
        self._live = Live(console=screen.console, get_renderable=self._picture, transient=True, refresh_per_second=10)

    def __enter__(self) -> _Moving:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, run: Job) -> None:
        """Show how it stands; once it has ended, leave a last line behind."""
        self._run = _line(run)
        if run.ended:
            self._live.stop()
            self._screen.console.print(_last(self._screen, run), no_wrap=True, overflow="ellipsis", crop=True)

    def _picture(self) -> Spinner:
        took = Text(f"  {duration(time.monotonic() - self._start)}", style="dim")
        text = Text.assemble(self._run, took, overflow="ellipsis", no_wrap=True)
        self._spinner.update(text=text)
        return self._spinner


class _Plain:
    """A line whenever the status changes."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self._status = screen, ""

    def __call__(self, run: Job) -> None:
        """Show how it stands, if that has changed."""
        if run.status != self._status:
            self._status = run.status
            self._screen.console.print(_last(self._screen, run) if run.ended else _line(run), soft_wrap=True)


def _line(run: Job) -> Text:
    metrics = headline(run.metrics(), _METRICS).items()
    return Text.assemble(
        (run.reference, "dim"),
        "  ",
        visible(run.label),
        "  ",
        (run.status, COLOURS.get(run.status, "")),
        *(f"  {visible(name)} {measure(value)}" for name, value in metrics),
    )


def _last(screen: Screen, run: Job) -> Text:
    good = run.status == "ok"
    sign = screen.mark("✓", "+") if good else screen.mark("✗", "x")
    took = elapsed(run.detail.started_at, run.detail.ended_at)
    return Text.assemble((sign + " ", "green" if good else "red"), _line(run), (f"  {took}" if took else "", "dim"))
