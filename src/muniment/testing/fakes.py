"""Fakes for the kernel's ports: time that moves when told, chance that repeats, failures on schedule."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """The current fake moment."""
        return self._now

    def advance(self, **parts: float) -> None:
        """Move on by a ``timedelta(**parts)``."""
        self._now += timedelta(**parts)


class SeededEntropy:
    """Bytes that look random and repeat for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._seed, self._drawn = seed, 0

    def token(self, size: int) -> bytes:
        """The next ``size`` bytes of the seeded stream."""
        self._drawn += 1
        return hashlib.shake_256(f"{self._seed}/{self._drawn}".encode()).digest(size)


class PowerCut(BaseException):
    """The process vanished; BaseException so that no ``except Exception`` can tidy up after death."""


class CutAt:
    """Die at the n-th point (counted from 1) and remember where."""

    def __init__(self, n: int) -> None:
        self.n, self.seen, self.died_at = n, 0, ""

    def point(self, name: str) -> None:
        """Count, and die when the count is reached."""
        self.seen += 1
        if self.seen == self.n:
            self.died_at = name
            raise PowerCut(name)
