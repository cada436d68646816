"""What the inventory asks of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from muniment.inventory.model import Record, RecordKind


class Records(Protocol):
    """Statements about models and use cases; append-only."""

    def append(self, record: Record) -> None:
        """Keep a record whose id is new."""

    def get(self, project: str, record: str) -> Record | None:
        """The record of this id."""

    def about(self, project: str, subjects: Iterable[str], kind: RecordKind | None = None) -> Sequence[Record]:
        """What was said about these subjects, oldest first; of one kind or of all."""

    def of_kind(self, project: str, kind: RecordKind, limit: int | None = None) -> Sequence[Record]:
        """Records of one kind, newest first; all of them without a limit."""
