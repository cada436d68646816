"""The durable queue of runs: leases, heartbeats, logs. Nothing in it is lost or done twice when a process dies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from muniment.execution.model import Run, RunStatus
from muniment.kernel.digest import Digest

DELETED: Final = "muniment.deleted"
"""The tag of a run that was taken out of lists: when, and by whom. Everything of it is retained."""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A sealed piece of what a run printed."""

    offset: int
    """Position of its first byte in the whole log."""

    size: int
    digest: Digest


class RunQueue(Protocol):
    """Runs of all projects, in the order they were asked for."""

    def add(self, run: Run) -> None:
        """Put a run at the end of the queue."""

    def get(self, project: str, run: str) -> Run | None:
        """One run."""

    def asked_by(self, project: str, run: str) -> tuple[str, str] | None:
        """Kind of a run and who asked for it: what policy looks at, without the rest; None when there is no run."""

    def status(self, run: str) -> RunStatus | None:
        """Where a run of any project stands; for the platform itself, which waits for it."""

    def find(
        self,
        project: str,
        *,
        experiment: str | None,
        kind: str | None,
        status: str | None,
        limit: int,
        trial: str | None = None,
        deleted: bool = True,
    ) -> tuple[Run, ...]:
        """Runs of a project, newest first; without ``deleted`` those only that nobody took out of lists."""

    def of_plan(self, project: str, plan: Digest) -> tuple[Run, ...]:
        """The runs of one plan, oldest first."""

    def waiting(self, now: str) -> bool:
        """Whether a run is queued, or running under a lease that has run out."""

    def lease(self, owner: str, now: str, until: str, most_attempts: int) -> Run | None:
        """Take the oldest waiting run: it becomes running, owned, with one attempt more.

        One whose lease ran out is not begun again when somebody asked to cancel it, or after ``most_attempts``: it
        ends, and comes back CANCELLED or LOST.
        """

    def renew(self, run: str, owner: str, until: str) -> bool | None:
        """Keep a lease alive; answers whether somebody asked to cancel, None when the lease is no longer held."""

    def finish(self, run: str, owner: str, status: RunStatus, ended_at: str, result: Mapping[str, Any]) -> bool:
        """End a run that this owner still holds; False when he does not."""

    def withdraw(self, project: str, run: str, ended_at: str) -> RunStatus:
        """Ask for a stop: a queued run is cancelled at once, a running one is marked. Answers the status after it."""


class RunLogs(Protocol):
    """What runs printed, as sealed chunks."""

    def append(self, run: str, attempt: int, chunk: LogChunk) -> None:
        """Add the next chunk; adding it again changes nothing."""

    def chunks(self, run: str, attempt: int, offset: int) -> tuple[LogChunk, ...]:
        """Chunks that hold bytes at or behind the offset, in order."""


class RunLabels(Protocol):
    """Parameters and tags of runs, one value each, so that runs are found by them.

    A parameter is set once; a tag may be set again. Values are text; a parameter that is a number is found as one too.
    """

    def params(self, project: str, run: str, params: Mapping[str, Any]) -> None:
        """Keep parameters; one that is known keeps its value.

        Raises:
            Conflict: a parameter is known with another value.
        """

    def tags(self, project: str, run: str, tags: Mapping[str, str | None]) -> None:
        """Set tags; None takes one away."""

    def forget(self, run: str, given: Iterable[str]) -> None:
        """Drop what a run told about itself that begins again from the start; parameters it was given stay."""

    def params_of(self, project: str, runs: Iterable[str]) -> dict[str, dict[str, str]]:
        """Parameters by run and name."""

    def tags_of(self, project: str, runs: Iterable[str]) -> dict[str, dict[str, str]]:
        """Tags by run and name."""
