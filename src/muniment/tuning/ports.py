"""What a search asks of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """A study as it is kept: what was asked for, which never changes, and whether it was stopped."""

    id: str
    project: str
    name: str
    by: str
    at: datetime
    document: Mapping[str, Any]
    """Space, sampler, seed, data by digest, objective: everything that decides how it goes."""

    stopped_at: datetime | None = None
    resumed: int = 0
    """How often it was resumed after a stop."""


@dataclass(frozen=True, slots=True)
class StudyStep:
    """A job of a study, known by what it is for: so that it is asked for once, whoever asks, however often."""

    do: str
    number: int
    attempt: int
    """0, or the number of the resumption by which a job that was stopped is done again."""

    run: str


class Studies(Protocol):
    """Studies and their jobs."""

    def add(self, study: StudyRow) -> None:
        """Keep a new study.

        Raises:
            Conflict: the project has a study of this name.
        """

    def get(self, project: str, name: str) -> StudyRow | None:
        """The study of this name."""

    def all(self, project: str, limit: int) -> Sequence[StudyRow]:
        """Studies, newest first."""

    def stop(self, study: str, at: datetime) -> None:
        """Let nothing more of it begin."""

    def resume(self, study: str) -> None:
        """Let it go on; what was stopped may be done again."""

    def add_step(self, study: str, step: StudyStep) -> None:
        """Keep that a job was asked for."""

    def steps(self, study: str) -> Sequence[StudyStep]:
        """Its jobs, in the order they were asked for."""
