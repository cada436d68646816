"""Passwords: argon2id hashes, at most two at once, and a growing delay after failures instead of a lock."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import BoundedSemaphore, Lock
from typing import Final

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

from muniment.errors import Invalid, Unauthenticated, Unavailable
from muniment.kernel.ports import Entropy

SHORTEST: Final = 15
"""Characters of a password that stands alone (NIST SP 800-63B-4, section 3.1.1.2)."""

LONGEST: Final = 1024
_AT_ONCE: Final = 2
_PATIENCE_S: Final = 10.0
_FREE_FAILURES: Final = 5
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Cost:
    """How dear one hash is."""

    memory_kib: int = 19_456
    passes: int = 2
    lanes: int = 1


OWASP: Final = Cost()
"""19 MiB, two passes: 25 ms, because the hash is computed while a transaction is open (OWASP Password Storage)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out of comparing a password with a hash."""

    matches: bool
    outdated: bool
    """Whether the hash was made with a lower cost than today's and should be made again."""


class PasswordHasher:
    """Makes and checks hashes; two at once and no more, or signing in would be the way to exhaust the machine."""

    def __init__(self, entropy: Entropy, cost: Cost = OWASP) -> None:
        self._entropy, self._cost = entropy, cost
        self._turn = BoundedSemaphore(_AT_ONCE)
        self._nobody = ""

    def hash(self, password: str) -> str:
        """The argon2id hash in PHC text form, with a fresh salt."""
        cost = self._cost
        salt = self._entropy.token(16)
        with _Turn(self._turn):
            return hash_secret(password.encode(), salt, cost.passes, cost.memory_kib, cost.lanes, 32, Type.ID).decode()

    def verify(self, kept: str | None, password: str) -> Verdict:
        """Compare; with no hash kept the same work is done for nothing, so that time does not tell who has one."""
        if kept is None:
            if not self._nobody:
                self._nobody = self.hash("nobody has this password")
            self._matches(self._nobody, password)
            return Verdict(matches=False, outdated=False)
        matches = self._matches(kept, password)
        return Verdict(matches, matches and self._outdated(kept))

    def _matches(self, kept: str, password: str) -> bool:
        with _Turn(self._turn):
            try:
                return verify_secret(kept.encode(), password.encode(), Type.ID)
            except (VerificationError, InvalidHashError):
                return False

    def _outdated(self, kept: str) -> bool:
        made, cost = extract_parameters(kept), self._cost
        return (made.memory_cost, made.time_cost) < (cost.memory_kib, cost.passes)


class _Turn:
    """Waits for one of the few turns, but not for ever."""

    def __init__(self, turn: BoundedSemaphore) -> None:
        self._turn = turn

    def __enter__(self) -> None:
        if not self._turn.acquire(timeout=_PATIENCE_S):
            raise Unavailable("MUNI-I501", "too many people are signing in at once; try again", do="try again shortly")

    def __exit__(self, *_: object) -> None:
        self._turn.release()


def check_password(password: str) -> None:
    """Refuse a password that is too short or absurdly long.

    Raises:
        Invalid: with the rule, never with the password.
    """
    if not SHORTEST <= len(password) <= LONGEST or not password.strip():
        raise Invalid(
            "MUNI-I101",
            f"a password needs {SHORTEST} to {LONGEST} characters",
            length=len(password),
            do="take a sentence that only you would think of",
        )


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last: datetime


class SignInDelays:
    """Slows down guessing, never locks out.

    After five failures in a row each further attempt from the same address must wait twice as long as the one before,
    at most 15 minutes. Counted over all addresses an account waits at most 10 seconds, so that nobody can keep another
    person out.
    Kept in memory: a restart forgets it, and each server process counts for itself.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._lock = Lock()

    def check(self, account: str, address: str, now: datetime) -> None:
        """Let an attempt pass.

        Raises:
            Unauthenticated: it comes too soon after failures; the fact ``wait_s`` says how long to wait.
        """
        with self._lock:
            wait = max(
                self._wait((account, address), timedelta(minutes=15), now),
                self._wait((account, ""), timedelta(seconds=10), now),
            )
        if wait > timedelta(0):
            raise Unauthenticated(
                "MUNI-I403",
                "too many failed attempts; wait before the next one",
                wait_s=int(wait.total_seconds()) + 1,
                do="wait, then try again; a token still works",
            )

    def failed(self, account: str, address: str, now: datetime) -> None:
        """Note a failure."""
        with self._lock:
            for key in ((account, address), (account, "")):
                before = self._seen.pop(key, None)
                self._seen[key] = _Failures((before.count if before else 0) + 1, now)
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the failures of this account from this address, and in total."""
        with self._lock:
            self._seen.pop((account, address), None)
            self._seen.pop((account, ""), None)

    def _wait(self, key: tuple[str, str], longest: timedelta, now: datetime) -> timedelta:
        failures = self._seen.get(key)
        if failures is None or failures.count < _FREE_FAILURES:
            return timedelta(0)
        delay = min(longest, timedelta(seconds=2 ** min(failures.count - _FREE_FAILURES, 20)))
        return failures.last + delay - now
