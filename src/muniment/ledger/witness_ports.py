"""What the ledger needs to know of witnesses and from them: the values, and the two ports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from muniment.errors import MunimentError
from muniment.ledger.verifier import VerifierKey


@dataclass(frozen=True, slots=True)
class Registered:
    """A witness that an administrator named."""

    key: VerifierKey
    url: str | None
    """Where its ``add-checkpoint`` is found; None for a witness that is reached by carrying files."""

    added_at: datetime
    added_by: str

    @property
    def name(self) -> str:
        """Its name, as it stands in its cosignatures."""
        return self.key.name


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's statement about one checkpoint."""

    witness: str
    """Name of the witness."""

    key: str
    """Its verifier key."""

    size: int
    """Entries of the checkpoint."""

    line: str
    """The signature line, ended by a newline, as it may be added to the checkpoint's note."""

    time: datetime
    """When it was made, by the clock of the witness; whole seconds."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from a witness."""

    status: int
    body: str
    media_type: str = ""


class WitnessClient(Protocol):
    """Reaches witnesses."""

    def check(self, url: str) -> str:
        """The URL in the form in which it is kept; raises Invalid for one that is never contacted."""

    def add_checkpoint(self, url: str, body: str) -> Reply:
        """Send a submission to ``<url>/add-checkpoint``; raises Unavailable when no answer comes in time."""


class WitnessRepository(Protocol):
    """Witnesses and their cosignatures within one transaction."""

    def add(self, witness: Registered) -> None:
        """Keep a witness in place of one of the same name."""

    def remove(self, name: str) -> None:
        """Forget a witness; its cosignatures stay."""

    def all(self) -> list[Registered]:
        """The witnesses, by name."""

    def required(self) -> int | None:
        """How many must cosign; None for all of them."""

    def require(self, count: int | None) -> None:
        """Replace that number."""

    def keep(self, cosignature: Cosignature) -> None:
        """Keep a cosignature in place of an older one of the same key and size."""

    def newest(self, key: str) -> Cosignature | None:
        """The cosignature of this key over the largest checkpoint."""

    def of_size(self, size: int) -> list[Cosignature]:
        """The cosignatures of the checkpoint of exactly this size, by witness."""

    def cosigned(self, keys: Sequence[str], count: int) -> int | None:
        """The largest size that at least ``count`` of these keys cosigned."""

    def each(self) -> Iterable[Cosignature]:
        """All of them, by size."""


class Witnessed(StrEnum):
    """How an attempt to have the newest checkpoint cosigned ended."""

    COSIGNED = "cosigned"
    CURRENT = "current"
    """It had cosigned this checkpoint not long ago, and was not asked."""

    UNREACHABLE = "unreachable"
    """No answer, or none that a witness gives."""

    REFUSED = "refused"
    """It does not know the ledger, or not by the key that signs."""

    FORKED = "forked"
    """It saw a history that this ledger does not continue."""

    OFFLINE = "offline"
    """It has no URL: a person carries the files."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking one witness."""

    witness: str
    status: Witnessed
    size: int
    """Entries of the checkpoint that was to be cosigned."""

    cosignature: Cosignature | None = None
    error: MunimentError | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one witness has come."""

    witness: Registered
    newest: Cosignature | None
    problem: MunimentError | None
    """Why it could not be asked last, or what is wrong with its newest cosignature."""
