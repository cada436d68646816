"""What the vault needs from outside: a place for sealed bytes, a keeper of keys, and two repositories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import BinaryIO, Protocol

from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.vault.model import Erased, KeyEnd, ProjectKey, Sealed


class Source(Protocol):
    """Gives bytes to be sealed: a file, a request's body, a pipe from a job."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""


class Draft(Protocol):
    """A blob being written: it has no name yet, and nobody can open it."""

    def write(self, data: bytes) -> int:
        """Append all of the data; the number of bytes written.

        Raises:
            Unavailable: the disk is full or fails.
        """

    def publish(self, name: str) -> bool:
        """Make the blob durable under this name, unless there is one already; ends the draft either way.

        Returns:
            True when the blob stands under the name now; False when another stood there, which is left as it is.

        Raises:
            Unavailable: it could not be made durable; the draft is left to be discarded.
        """

    def discard(self) -> None:
        """Forget the draft and free its space; nothing happens when it has ended already."""


class BlobStore(Protocol):
    """Keeps opaque, immutable blobs under names of 64 lower-case hex digits."""

    def draft(self) -> Draft:
        """Begin a blob.

        Raises:
            Unavailable: the store cannot be written.
        """

    def open(self, name: str) -> BinaryIO:
        """The blob's bytes from the beginning; the caller closes.

        Raises:
            NotFound: there is no blob of this name.
            Unavailable: the store does not answer.
        """

    def exists(self, name: str) -> bool:
        """Whether there is a blob of this name."""

    def delete(self, name: str) -> None:
        """Remove the blob; nothing happens when there is none."""

    def names(self) -> Iterator[str]:
        """The names of all blobs, in no particular order."""

    def abandoned(self) -> Iterator[str]:
        """The drafts whose writer is gone, as text for people."""

    def sweep(self) -> int:
        """Remove the abandoned drafts; how many there were."""


class Signer(Protocol):
    """Signs with one Ed25519 key that stays with the key service (RFC 8032)."""

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""


class KeyService(Protocol):
    """Keeps keys that never leave it (a KMS).

    There is no verb that rotates a key: a rotated project gets a new one, because a key that wraps two versions would
    bring the older back from any backup.
    """

    def generate(self, purpose: str) -> str:
        """Make a wrapping key; its name, which begins with the purpose.

        Raises:
            Unavailable: it could not be made durable.
        """

    def wrap(self, key: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt a small secret, bound to its context.

        Raises:
            NotFound: there is no such key; perhaps it was destroyed.
        """

    def unwrap(self, key: str, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The inverse of ``wrap`` for the same key and context.

        Raises:
            NotFound: there is no such key; perhaps it was destroyed.
            IntegrityError: the bytes or the context are not those that were wrapped.
        """

    def destroy(self, key: str) -> None:
        """Forget the key for ever; nothing happens when there is none."""

    def signer(self, name: str) -> Signer:
        """The signing key of this name; made when first asked for."""


class ProjectKeys(Protocol):
    """The KEK versions of all projects."""

    def add(self, key: ProjectKey) -> None:
        """Keep a new version; raises Conflict when the version is there already."""

    def current(self, project: str) -> ProjectKey | None:
        """The highest version."""

    def version(self, project: str, version: int) -> ProjectKey | None:
        """One version."""

    def versions(self, project: str) -> list[ProjectKey]:
        """All versions, newest first."""

    def projects(self) -> list[str]:
        """The projects that have a key, in order."""


class SealedObjects(Protocol):
    """The records of what is sealed; one for each content in a project."""

    def add(self, sealed: Sealed) -> bool:
        """Keep the record; False, and nothing changes, when the project has this content already."""

    def find(self, project: str, digest: Digest) -> Sealed | None:
        """The record of this content."""

    def page(self, project: str, after: Digest | None, limit: int) -> list[Sealed]:
        """The next records in the order of their digests."""

    def rewrap(self, project: str, kek_version: int, wrapped: Iterable[tuple[Digest, bytes]]) -> None:
        """Replace the wrapped keys of these objects by those under another version."""

    def count_by_version(self, project: str) -> dict[int, int]:
        """How many objects are sealed under each KEK version."""

    def remove(self, project: str, digests: Iterable[Digest]) -> None:
        """Forget these records, and with them the wrapped keys."""


class ErasedObjects(Protocol):
    """What was destroyed on purpose; append-only."""

    def add(self, erased: Iterable[Erased]) -> None:
        """Keep what is left of objects."""

    def find(self, project: str, digests: Iterable[Digest]) -> Mapping[Digest, Erased]:
        """Those of these contents that were destroyed."""

    def all(self, project: str | None = None) -> list[Erased]:
        """Everything that was destroyed, of one project or of all, oldest first."""


class KeyEnds(Protocol):
    """KEK versions that end, or have ended."""

    def order(self, end: KeyEnd) -> None:
        """Let a version end; ordering it again changes nothing."""

    def pending(self) -> list[KeyEnd]:
        """Ends that were ordered and are not done, oldest first."""

    def done(self, project: str, version: int, at: datetime) -> None:
        """The key of this version is destroyed."""

    def of(self, project: str) -> list[KeyEnd]:
        """The ends of a project's versions."""


class Guards(Protocol):
    """What may not be destroyed: objects that the law, or a hold, wants kept."""

    def guarded(self, session: Session, project: str, digests: Iterable[Digest], now: datetime) -> Mapping[Digest, str]:
        """Those of these objects that must stay, each with why, in words."""
