"""The ports that every room may ask for: time, chance, failure and the store."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC, with microseconds."""


class Entropy(Protocol):
    """Gives unpredictable bytes."""

    def token(self, size: int) -> bytes:
        """Exactly ``size`` bytes from a cryptographic source."""


class Faults(Protocol):
    """Called by adapters immediately before each irreversible step."""

    def point(self, name: str) -> None:
        """Return normally, or raise as if the machine had died here."""


class Session(Protocol):
    """One transaction's view of the store."""

    def use(self, port: type[T]) -> T:
        """The repository that implements this port, bound to the transaction."""


class Store(Protocol):
    """Where state and the ledger's entries live together, so that they commit together."""

    def write(self) -> AbstractContextManager[Session]:
        """A writing transaction: commits when the block ends, rolls back when it raises.

        Raises:
            Unavailable: the store cannot be written.
        """

    def read(self) -> AbstractContextManager[Session]:
        """A reading transaction: one consistent view, never written."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current moment in UTC."""
        return datetime.now(UTC)


class SystemEntropy:
    """The operating system's random source."""

    def token(self, size: int) -> bytes:
        """Bytes from the kernel."""
        return os.urandom(size)


class NoFaults:
    """In production nothing fails on purpose."""

    def point(self, name: str) -> None:
        """Do nothing."""
