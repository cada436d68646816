"""What a person sees while a job runs, where nobody passes a better picture: one line on a terminal, else nothing."""

from __future__ import annotations

import sys
import time

from muniment.sdk.asking import Job, Watch
from muniment.sdk.shown import duration, headline, measure, visible

__all__ = ["line", "quiet", "terminal"]


def line(run: Job) -> str:
    """A run in one line: what it is, how it stands, its latest metrics."""
    metrics = "  ".join(f"{visible(name)} {measure(value)}" for name, value in headline(run.metrics(), 4).items())
    return "  ".join(part for part in (run.reference, visible(run.label), run.status, metrics) if part)


def quiet(run: Job) -> None:
    """Show nothing."""


def terminal() -> Watch:
    """A line on stderr that rewrites itself when stderr is a terminal; otherwise quiet."""
    if not sys.stderr.isatty():
        return quiet
    start = time.monotonic()

    def watch(run: Job) -> None:
        text = f"{line(run)}  {duration(time.monotonic() - start)}"[:118]
        sys.stderr.write(f"\r\x1b[K{text}" + ("\n" if run.ended else ""))
        sys.stderr.flush()

    return watch
