"""Reading a sealed object: pieces that are authentic, and an end that says that they are all."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from muniment.errors import IntegrityError, Unavailable
from muniment.vault.envelope import CHUNK, OpeningStream
from muniment.vault.model import Sealed


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
