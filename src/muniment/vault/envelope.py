"""Envelope encryption: one data key per object, wrapped by the project's key; Google Tink does the cryptography.

An object is stored as a line that names the format, then Tink's streaming AEAD ``AES256_GCM_HKDF_1MB``. The digest is
not known when the stream begins, so the stream is bound to format, project and a random nonce, and the wrap of its key
is bound to those and to the KEK, the plaintext's digest and its size: bytes, key and record only open together.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any, BinaryIO, Final, cast

import tink
from tink import aead, proto_keyset_format, secret_key_access, streaming_aead

from muniment.errors import IntegrityError, MunimentError
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.vault.model import Sealed
from muniment.vault.ports import Draft

aead.register()
streaming_aead.register()

FORMAT: Final = "muniment-sealed-1/tink-aes256-gcm-hkdf-1mb"
HEADER: Final = FORMAT.encode() + b"\n"
CHUNK: Final = 1 << 20
NONCE_SIZE: Final = 16
NAME_KEY_SIZE: Final = 32


class Kek:
    """A project's key encryption key, unwrapped: AES-256-GCM."""

    def __init__(self, secret: bytes, version: int, kms_key: str) -> None:
        self.version, self.kms_key = version, kms_key
        self._aead = proto_keyset_format.parse(secret, secret_key_access.TOKEN).primitive(aead.Aead)

    @staticmethod
    def fresh() -> bytes:
        """A new key as a serialised Tink keyset."""
        handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
        return cast("bytes", proto_keyset_format.serialize(handle, secret_key_access.TOKEN))

    def enclose(self, sealed: Sealed, data_key: bytes) -> Sealed:
        """The record with the data key wrapped under this key, and bound to all that the record says."""
        wrapped = self._aead.encrypt(data_key, self._binding(sealed))
        return replace(sealed, wrapped_key=wrapped, kek_version=self.version)

    def disclose(self, sealed: Sealed) -> bytes:
        """The data key of a record.

        Raises:
            IntegrityError: the record, or its wrapped key, is not what was written, or its format is unknown.
        """
        if sealed.format != FORMAT:
            raise IntegrityError(
                "MUNI-V507", "an object's format is unknown", digest=sealed.digest, format=sealed.format
            )
        try:
            return cast("bytes", self._aead.decrypt(sealed.wrapped_key, self._binding(sealed)))
        except tink.TinkError as broken:
            raise IntegrityError(
                "MUNI-V502",
                "an object's key does not belong to its record",
                project=sealed.project,
                digest=sealed.digest,
                do="the record was altered: compare it with a backup",
            ) from broken

    def _binding(self, sealed: Sealed) -> bytes:
        return canonical(
            {
                "format": sealed.format,
                "project": sealed.project,
                "kek": self.kms_key,
                "version": self.version,
                "nonce": sealed.nonce.hex(),
                "digest": sealed.digest,
                "size": str(sealed.size),
            }
        )


def stream_binding(project: str, nonce: bytes) -> bytes:
    """What the stream itself is bound to."""
    return canonical({"format": FORMAT, "project": project, "nonce": nonce.hex()})


def storage_name(name_key: bytes, nonce: bytes, digest: Digest) -> str:
    """The name an object is stored under: tells nobody without the key what it is, or whether two are equal.

    The nonce is part of it, so that sealing the same content again never touches bytes that a record already names.
    """
    return hmac.digest(name_key, nonce + digest.raw, "sha256").hex()


class SealingStream:
    """Encrypts into a draft. Only ``finish`` makes a valid object; whatever is abandoned stays unreadable.

    Tink's own stream completes the object when it is closed or garbage-collected, also after an error; so its output is
    cut off as soon as the stream is abandoned.
    """

    def __init__(self, draft: Draft, binding: bytes) -> None:
        handle = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB)
        self.data_key = cast("bytes", proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
        self._sink = _Sink(draft)
        draft.write(HEADER)
        primitive = handle.primitive(streaming_aead.StreamingAead)
        self._stream: Any = primitive.new_encrypting_stream(cast("BinaryIO", self._sink), binding).detach()

    def write(self, data: bytes) -> None:
        """Encrypt all of the data."""
        view = data
        while view:
            view = view[self._guard(lambda piece=view: self._stream.write(piece)) :]

    def finish(self) -> None:
        """Write the last segment, which marks the end."""
        self._guard(self._stream.close)

    def abandon(self) -> None:
        """Let nothing more through."""
        self._sink.draft = None

    def _guard(self, step: Any) -> Any:
        try:
            return step()
        except tink.TinkError:
            if self._sink.failure is not None:
                raise self._sink.failure from None
            raise


class _Sink:
    """The file that Tink writes to: remembers why writing failed, and never closes the draft."""

    closed = False

    def __init__(self, draft: Draft) -> None:
        self.draft: Draft | None = draft
        self.failure: MunimentError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        if self.draft is None:
            return len(data)
        try:
            return self.draft.write(data)
        except MunimentError as broken:
            self.failure = broken
            raise

    def close(self) -> None:
        pass


class _Source:
    """The file that Tink reads from: remembers why reading failed, so that a bad disk is not called forgery."""

    closed = False

    def __init__(self, blob: BinaryIO) -> None:
        self._blob = blob
        self.failure: OSError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int) -> bytes:
        try:
            return self._blob.read(size)
        except OSError as broken:
            self.failure = broken
            raise

    def close(self) -> None:
        pass


class OpeningStream:
    """Decrypts a blob piece by piece; each piece is authentic, and only the end says that none is missing."""

    def __init__(self, blob: BinaryIO, data_key: bytes, binding: bytes) -> None:
        if blob.read(len(HEADER)) != HEADER:
            raise IntegrityError("MUNI-V503", "the stored bytes do not begin with the format of their record")
        self._source = _Source(blob)
        handle = proto_keyset_format.parse(data_key, secret_key_access.TOKEN)
        primitive = handle.primitive(streaming_aead.StreamingAead)
        self._stream: Any = primitive.new_decrypting_stream(cast("BinaryIO", self._source), binding).detach()

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the authenticated end.

        Raises:
            IntegrityError: the stored bytes are not those that were sealed under this key.
            OSError: the store failed.
        """
        try:
            return cast("bytes", self._stream.read(size))
        except tink.TinkError as broken:
            if self._source.failure is not None:
                raise self._source.failure from None
            raise IntegrityError("MUNI-V504", "the stored bytes are not those that were sealed") from broken
