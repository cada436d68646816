"""The vault: seals what is stored, opens it again, and refuses whatever does not verify."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from muniment.errors import IntegrityError, Invalid, NotFound, Unavailable
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Clock, Entropy, Faults, Session, Store
from muniment.vault.envelope import (
    CHUNK,
    FORMAT,
    NONCE_SIZE,
    OpeningStream,
    SealingStream,
    storage_name,
    stream_binding,
)
from muniment.vault.keyring import Keyring
from muniment.vault.model import Sealed
from muniment.vault.ports import BlobStore, Draft, KeyService, SealedObjects

SMALL: Final = 16 << 20
"""Bytes that ``read_bytes`` takes into memory when it is not told otherwise."""

_PAGE: Final = 1000


class Vault:
    """Sealed, content-addressed objects, by project.

    Sealing and opening hold no transaction while bytes flow. An object exists for others once ``register`` has been
    committed with whatever refers to it.
    """

    def __init__(  # noqa: PLR0917 - the ports of the platform, in the order that every service takes them
        self, store: Store, blobs: BlobStore, keys: KeyService, clock: Clock, entropy: Entropy, faults: Faults
    ) -> None:
        self._store, self._blobs, self._clock = store, blobs, clock
        self._entropy, self._faults = entropy, faults
        self._keyring = Keyring(keys, clock, entropy)

    def create_project_key(self, session: Session, project: str) -> None:
        """Give a new project its first key; without one it cannot store.

        Raises:
            Conflict: the project has a key.
        """
        self._keyring.create(session, project)

    def seal(self, project: str, source: BinaryIO, *, limit: int | None = None) -> Sealed:
        """Encrypt what the source gives, in one pass, into a blob that no record names yet.

        Args:
            project: whose key is used.
            source: read to its end.
            limit: the most bytes that are taken.

        Raises:
            Conflict: the project has no key.
            Invalid: there are more bytes than the limit.
            Unavailable: the disk is full or fails; nothing is left behind.
        """
        with self._store.read() as session:
            keys = self._keyring.current(session, project)
        nonce = self._entropy.token(NONCE_SIZE)
        draft = self._blobs.draft()
        try:
            stream = SealingStream(draft, stream_binding(project, nonce))
            try:
                digest, size = _pump(source, stream, limit)
                stream.finish()
            finally:
                stream.abandon()
            _publish(draft, storage_name(keys.name_key, nonce, digest))
        except (Exception, KeyboardInterrupt, SystemExit):
            draft.discard()
            raise
        bare = Sealed(project, digest, size, b"", keys.kek.version, FORMAT, nonce, self._clock.now())
        return keys.kek.enclose(bare, stream.data_key)

    def seal_bytes(self, project: str, data: bytes) -> Sealed:
        """Seal a small content from memory; see ``seal``."""
        return self.seal(project, io.BytesIO(data))

    def register(self, session: Session, project: str, sealed: Sealed) -> None:
        """Keep the record of a sealed object in this transaction.

        When the project has the same content already, the new blob is dropped: the older one serves.

        Raises:
            Invalid: the object was sealed for another project.
            Conflict: the project has no key.
            Unavailable: the blob was dropped since; seal again.
        """
        if sealed.project != project:
            raise Invalid("MUNI-V107", "an object is registered in the project it was sealed for", project=project)
        keys = self._keyring.version(session, project, sealed.kek_version)
        name = storage_name(keys.name_key, sealed.nonce, sealed.digest)
        known = session.use(SealedObjects).find(project, sealed.digest)
        if known is not None:
            if known.nonce != sealed.nonce:
                self._blobs.delete(name)
            return
        if not self._blobs.exists(name):
            raise Unavailable("MUNI-V515", "the sealed bytes are gone; store the content again", digest=sealed.digest)
        current = self._keyring.current(session, project)
        if current.kek.version != sealed.kek_version:
            sealed = current.kek.enclose(sealed, keys.kek.disclose(sealed))
        self._faults.point("vault.register")
        session.use(SealedObjects).add(sealed)

    @contextmanager
    def open(self, project: str, digest: Digest) -> Iterator[SealedReader]:
        """The plaintext of an object, to be read to its end: only the end proves that nothing is missing.

        Raises:
            NotFound: the project has no such object.
            IntegrityError: bytes, key, record or digest do not verify, or the block was left before the end.
            Unavailable: the store failed.
        """
        with self._store.read() as session:
            sealed = _required(session, project, digest)
            keys = self._keyring.version(session, project, sealed.kek_version)
        if sealed.format != FORMAT:
            raise IntegrityError("MUNI-V507", "the object's format is unknown", digest=digest, format=sealed.format)
        data_key = keys.kek.disclose(sealed)
        try:
            blob = self._blobs.open(storage_name(keys.name_key, sealed.nonce, digest))
        except NotFound as gone:
            raise IntegrityError(
                "MUNI-V508", "the stored bytes of an object are missing", digest=digest, do="restore them: muni fsck"
            ) from gone
        with blob:
            reader = SealedReader(OpeningStream(blob, data_key, stream_binding(project, sealed.nonce)), sealed)
            yield reader
            reader.check_complete()

    def read_bytes(self, project: str, digest: Digest, limit: int = SMALL) -> bytes:
        """The whole of a small object, verified.

        Raises:
            Invalid: it is larger than the limit.
            NotFound, IntegrityError, Unavailable: as for ``open``.
        """
        with self._store.read() as session:
            size = _required(session, project, digest).size
        if size > limit:
            raise Invalid("MUNI-V108", "the object is too large to be read at once", size=size, limit=limit)
        return b"".join(self.stream(project, digest))

    def stream(self, project: str, digest: Digest) -> Iterator[bytes]:
        """The object piece by piece; raises at the end when it does not verify, so act on nothing before."""
        with self.open(project, digest) as reader:
            while piece := reader.read(CHUNK):
                yield piece

    def has(self, session: Session, project: str, digest: Digest) -> bool:
        """Whether the project has this content."""
        return session.use(SealedObjects).find(project, digest) is not None

    def size(self, session: Session, project: str, digest: Digest) -> int:
        """Bytes of plaintext; raises NotFound when the project has no such object."""
        return _required(session, project, digest).size

    def rotate(self, session: Session, project: str) -> int:
        """Make the project's next key and re-wrap every object's key under it; how many there were.

        No stored byte changes, and what was read before stays readable.
        """
        self._faults.point("vault.rotate")
        new = self._keyring.rotate(session, project).kek
        objects, done, last = session.use(SealedObjects), 0, None
        while page := objects.page(project, last, _PAGE):
            old = {version: self._keyring.version(session, project, version).kek for version in _versions(page)}
            wrapped = [new.enclose(sealed, old[sealed.kek_version].disclose(sealed)).wrapped_key for sealed in page]
            self._faults.point("vault.rewrap")
            objects.rewrap(project, new.version, zip((sealed.digest for sealed in page), wrapped, strict=True))
            done, last = done + len(page), page[-1].digest
        return done


class SealedReader(io.RawIOBase):
    """Reads an object's plaintext; the last read raises unless everything was there and has the right digest."""

    def __init__(self, stream: OpeningStream, sealed: Sealed) -> None:
        super().__init__()
        self._stream, self._sealed = stream, sealed
        self._hash, self._size, self._complete = hashlib.sha256(), 0, False

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes, empty at the verified end; without a size, all that is left."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if self._complete or not size:
            return b""
        try:
            piece = self._stream.read(size)
        except OSError as broken:
            raise Unavailable("MUNI-V512", "the object store cannot be read", reason=broken.strerror or "") from broken
        self._size += len(piece)
        if piece and self._size <= self._sealed.size:
            self._hash.update(piece)
            return piece
        if piece or self._size != self._sealed.size or self._hash.digest() != self._sealed.digest.raw:
            raise IntegrityError(
                "MUNI-V509", "an object's content does not have its digest", digest=self._sealed.digest
            )
        self._complete = True
        return b""

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as one read goes; 0 at the verified end."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def check_complete(self) -> None:
        """Raise IntegrityError unless the verified end was reached, or only the end is left."""
        if not self._complete and (self._size != self._sealed.size or self.read(1)):
            raise IntegrityError(
                "MUNI-V510",
                "an object was not read to its end, so what was read is not verified",
                digest=self._sealed.digest,
            )


def _pump(source: BinaryIO, stream: SealingStream, limit: int | None) -> tuple[Digest, int]:
    content, size = hashlib.sha256(), 0
    while piece := source.read(CHUNK):
        size += len(piece)
        if limit is not None and size > limit:
            raise Invalid("MUNI-V101", "there are more bytes than may be stored at once", limit=limit)
        content.update(piece)
        stream.write(piece)
    return Digest.from_bytes(content.digest()), size


def _publish(draft: Draft, name: str) -> None:
    if not draft.publish(name):
        raise IntegrityError("MUNI-V516", "a random storage name was taken: the random source repeats itself")


def _required(session: Session, project: str, digest: Digest) -> Sealed:
    sealed = session.use(SealedObjects).find(project, digest)
    if sealed is None:
        raise NotFound("MUNI-V201", "the project has no such object", project=project, digest=digest)
    return sealed


def _versions(page: list[Sealed]) -> set[int]:
    return {sealed.kek_version for sealed in page}


VERBS: Final = ()
