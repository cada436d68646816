"""What tracking needs from the store, beside the rows of runs, labels and measurements that all runs have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from muniment.execution.model import Run, RunStatus
from muniment.tracking.model import Artifact, Glance, Measured, Standing, Used


class TrackedRuns(Protocol):
    """Runs that tell about themselves, and what they told."""

    def start(self, run: Run, key: str | None) -> None:
        """Keep a run that is running."""

    def of_key(self, project: str, agent: str, key: str) -> str | None:
        """The run that this agent started under this key."""

    def standing(self, project: str, run: str) -> Standing | None:
        """Where a run of the project stands."""

    def upto(self, run: str, writer: str) -> int:
        """The last record of a writer's stream that is kept; 0 before the first."""

    def advance(self, run: str, writer: str, upto: int) -> None:
        """The stream is kept up to this record."""

    def end(self, run: str, status: RunStatus, ended_at: str, result: Mapping[str, Any]) -> None:
        """The run has ended."""

    def use(self, run: str, inputs: Sequence[Used]) -> None:
        """Keep what a run says it used; the same in the same role again changes nothing."""

    def used(self, run: str) -> tuple[Used, ...]:
        """What a run says it used, in the order in which it said so."""

    def keep(self, run: str, artifact: Artifact) -> None:
        """Keep a file of a run, as a version that is not there yet."""

    def artifacts(self, run: str) -> tuple[Artifact, ...]:
        """The files of a run with all versions, by path and version."""

    def delete(self, project: str, run: str, note: str | None) -> None:
        """Take a run out of lists and keep who did it and when; None puts it back."""


class Experiments(Protocol):
    """Runs of every kind, by experiment."""

    def glance(self, project: str, prefix: str, limit: int, *, deleted: bool) -> tuple[Glance, ...]:
        """The experiments of a project, the one with the newest run first."""

    def runs(self, project: str, experiment: str, limit: int, *, deleted: bool) -> tuple[Run, ...]:
        """The newest runs of an experiment, newest first."""

    def deleted(self, project: str, runs: Sequence[str]) -> frozenset[str]:
        """Those of these runs that are deleted."""


class Measurements(Protocol):
    """Questions about series that are too long to be read whole."""

    def summary(self, run: str) -> tuple[Measured, ...]:
        """Each metric of a run over all its values, by name."""

    def count(self, run: str) -> tuple[int, int]:
        """How many values a run has, and under how many names."""

    def page(
        self, run: str, name: str, after: int, limit: int
    ) -> Sequence[tuple[int, int, float | None, str, int | None]]:
        """Values of one metric behind a position: position, step, value (None for NaN), when taken, when told."""
