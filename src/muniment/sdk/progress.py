"""What a person sees while a job runs, where nobody passes a better picture.

In a notebook the card of the run, which renews itself; on a terminal one line; elsewhere nothing.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from muniment.sdk.asking import Job, Watch
from muniment.sdk.shown import duration, headline, measure, visible

__all__ = ["line", "notebook", "picture", "quiet", "terminal"]


def line(run: Job) -> str:
    """A run in one line: what it is, how it stands, its latest metrics."""
    metrics = "  ".join(f"{visible(name)} {measure(value)}" for name, value in headline(run.metrics(), 4).items())
    return "  ".join(part for part in (run.reference, visible(run.label), run.status, metrics) if part)


def quiet(run: Job) -> None:
    """Show nothing."""


def picture() -> Watch:
    """What fits where this process shows things: a notebook, a terminal, or nowhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):
        return notebook(sys.modules["IPython"].display.display)
    return terminal() if sys.stderr.isatty() else quiet


def notebook(display: Any) -> Watch:
    """The run below the cell, drawn anew as it goes on; nothing stays of it once the run has ended well.

    Args:
        display: ``IPython.display.display``.
    """
    handle: Any = None

    def watch(run: Job) -> None:
        nonlocal handle
        shown = _Passing(run)
        if handle is not None:
            handle.update(shown)
        elif not run.ended:
            handle = display(shown, display_id=True)

    return watch


def terminal() -> Watch:
    """A line on stderr that rewrites itself."""
    start = time.monotonic()

    def watch(run: Job) -> None:
        text = f"{line(run)}  {duration(time.monotonic() - start)}"[:118]
        sys.stderr.write(f"\r\x1b[K{text}" + ("\n" if run.ended else ""))
        sys.stderr.flush()

    return watch


class _Passing:
    """A run as it stands while somebody waits; empty once it has ended well, because its value is shown then."""

    def __init__(self, run: Job) -> None:
        done = run.status == "ok"
        self._text, self._html = ("", "") if done else (line(run), run.card())

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html
