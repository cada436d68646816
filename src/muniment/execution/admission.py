"""What admits a learning job: the use case it belongs to. The inventory knows use cases and implements the port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call

__all__ = ["Admission", "Frame", "Learning"]


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
