"""What admits a job: the use case it belongs to, and the terms of the data that it would use.

The inventory knows use cases and stewardship knows terms; they implement the ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from muniment.catalog.model import Entity
from muniment.execution.model import Run
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.kernel.verb import Call

__all__ = ["LOOKUP", "READING", "Admission", "DataUse", "Frame", "Learning", "Using"]

LOOKUP: Final = "lookup"
"""Kind of a use that is no job: features are read online, out of rows that stand apart from the snapshot."""

READING: Final = "read"
"""Kind of a use that is no job either: somebody reads a file that a script left, which may hold rows of its inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """A job that would learn something, as far as a use case can ask about it."""

    experiment: str | None
    use_case: str | None
    """The use case that the asker names; None when he names none."""

    algorithm: str
    """A built-in algorithm, or ``script``."""

    columns: Mapping[str, frozenset[str] | None]
    """Reference of an input -> columns that the job can learn from; None where they are not known."""

    data: tuple[Digest, ...]
    """The snapshots among the inputs."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The use case that a job belongs to, in its version."""

    name: str
    version: int
    record: Digest
    """Digest of the record that states it."""

    def document(self) -> dict[str, str | int]:
        """As the facts of a run hold it."""
        return {"name": self.name, "version": self.version, "record": str(self.record)}


class Admission(Protocol):
    """Says which use case a job belongs to, and refuses it outside of that."""

    def admit(self, call: Call, job: Learning) -> Frame | None:
        """The use case of a job; None when it names none and its experiment is bound to none.

        Raises:
            NotFound, Conflict: the use case does not exist, or is retired.
            Denied: the use case does not allow the job; the facts say why.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Using:
    """A job that would use data, as far as the terms of the data can ask about it."""

    kind: str
    """Of the job."""

    purpose: str | None
    """What it is for, as the asker says; None when he says nothing."""

    use_case: str | None
    """Name of the use case that it belongs to."""

    inputs: tuple[Entity, ...]


class DataUse(Protocol):
    """Says whether a job may use its inputs: by policy, set for set, and by the terms that they are under."""

    def permit(self, call: Call, using: Using) -> Mapping[str, Any]:
        """What the run keeps of the permission; empty when there is nothing to say.

        Raises:
            Denied: policy, a purpose, a right, a hold or the end of a term says no; the facts say which and why.
            Conflict: an input was destroyed on purpose.
        """

    def examine(self, call: Call, using: Using) -> Sequence[str]:
        """Why a use that already happened elsewhere would have been refused here; empty when it would not."""

    def still(self, session: Session, run: Run, now: datetime) -> None:
        """Refuse a run that was permitted when it was asked for, and may not begin any more.

        Raises:
            Denied: a grant or a right ended, or a hold was placed, while it waited.
        """
