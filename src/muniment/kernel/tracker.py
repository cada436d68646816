"""Where what a script logs goes: the tracked runs that are open in this process, the innermost first.

Scripts log by ``muniment.log_metric`` and its sisters, whether they run as a job or outside. Inside a job nothing is
open here and the words go to the job's own channel; outside, to the run that ``track`` opened. This module stands
between the two because neither side may know the other. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

__all__ = ["Tracker", "close", "current", "open_"]


class Tracker(Protocol):
    """Takes what a script tells about its run."""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Tell parameters; each is set once."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Tell measurements of one moment."""

    def set_tags(self, tags: Mapping[str, str | None]) -> None:
        """Set tags; None takes one away."""

    def log_input(self, data: Any, role: str = "input") -> None:
        """Tell what the run uses."""

    def log_artifact(self, path: Any, name: str | None = None) -> None:
        """Keep a file, or all files of a folder."""

    def log_figure(self, figure: Any, name: str) -> None:
        """Keep a picture."""


_OPEN: Final[list[Tracker]] = []


def open_(tracker: Tracker) -> None:
    """What is logged goes to this one from now on, from every thread."""
    _OPEN.append(tracker)


def close(tracker: Tracker) -> None:
    """What is logged does not go there any more."""
    if tracker in _OPEN:
        _OPEN.remove(tracker)


def current() -> Tracker | None:
    """The one that was opened last; None when none is open."""
    return _OPEN[-1] if _OPEN else None
