"""Content digests: the name of an object is the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from muniment.errors import Invalid

_FORM: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Digest(str):
    """A SHA-256 in the form ``sha256:<64 lower-case hex digits>``; ordered and compared as text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        """Take the text form; raises Invalid when it is not one."""
        if not _FORM.fullmatch(text):
            raise Invalid("MUNI-K101", "not a digest", given=text[:80], expected="sha256:<64 lower-case hex digits>")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, content: bytes) -> Digest:
        """The digest of these bytes."""
        return str.__new__(cls, "sha256:" + hashlib.sha256(content).hexdigest())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Digest:
        """The digest whose 32 raw bytes these are."""
        return cls("sha256:" + raw.hex())

    @property
    def hex(self) -> str:
        """The 64 hex digits."""
        return self[7:]

    @property
    def raw(self) -> bytes:
        """The 32 bytes."""
        return bytes.fromhex(self[7:])

    @property
    def short(self) -> str:
        """The first 12 hex digits, for people; never for identity."""
        return self[7:19]
