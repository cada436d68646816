"""What the ledger needs from outside: rows in the store, static files, and a key that signs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from muniment.ledger.model import Checkpoint, Entry, NewEntry, Search


class Signer(Protocol):
    """Holds the ledger's Ed25519 key."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public key."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature (RFC 8032)."""


class EntryRepository(Protocol):
    """The ledger's entries within one transaction. Nothing here changes or removes an entry's body."""

    def add(self, rows: Sequence[NewEntry]) -> None:
        """Store entries that have no index yet."""

    def unsequenced(self, limit: int) -> list[tuple[str, str]]:
        """The id and body of the oldest entries without an index, by time and id."""

    def number(self, first: int, ids: Sequence[str]) -> None:
        """Give these entries the indices from ``first`` on; raises IntegrityError when one has an index already."""

    def bodies(self, start: int, stop: int) -> list[tuple[int, str]]:
        """The index and body of the entries with ``start <= index < stop``, in order."""

    def rows(self, start: int, stop: int) -> list[tuple[int, NewEntry]]:
        """The index of the same entries with everything that is stored of them."""

    def find(self, key: str | int) -> Entry | None:
        """The entry with this id or index."""

    def search(self, search: Search) -> list[Entry]:
        """The entries that fit, the newest first; those without an index are the newest."""

    def holding(self, text: str, since: str | None, until: str | None) -> list[Entry]:
        """The entries from ``since`` on and before ``until`` whose text holds this text as it stands, in no order.

        Moments in their written form; what lies outside of them is not looked at. None leaves an end open.
        """

    def counts(self) -> tuple[int, int, int]:
        """How many entries have an index, the largest index (-1 without any), and how many have none."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the tree stands."""

    checkpoint: Checkpoint
    frontier: tuple[bytes, ...]


class CheckpointRepository(Protocol):
    """The signed checkpoints and the head of the tree within one transaction."""

    def hold(self) -> None:
        """Wait until no other process sequences, and keep them out until the transaction ends."""

    def head(self) -> Head | None:
        """The head; None before the first checkpoint."""

    def advance(self, head: Head, time: str) -> None:
        """Store a checkpoint and make it the head."""

    def at(self, size: int) -> Checkpoint | None:
        """The checkpoint of exactly this size."""

    def next(self, after: int, within: int) -> Checkpoint | None:
        """The largest checkpoint of at most ``after + within`` entries, or else the next; None when none is larger."""

    def each(self) -> Iterator[Checkpoint]:
        """All of them, by size."""


class TileStore(Protocol):
    """Static files of the tree: the second place where the last checkpoint is kept."""

    def get(self, path: str) -> bytes | None:
        """The content of a file; None when there is none."""

    def put(self, path: str, content: bytes, *, lasting: bool) -> None:
        """Write a file as a whole or not at all; a lasting one is on the disk when this returns."""

    def drop_partials(self, path: str) -> None:
        """Remove the partial versions of a tile or bundle whose full version exists."""

    def kept(self) -> str | None:
        """The note of the last checkpoint, of all places where it is kept."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint in place of a smaller one; on the disk when this returns."""
