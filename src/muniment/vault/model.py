"""What the vault keeps: project keys, sealed objects, and what a check of them finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from muniment.kernel.digest import Digest


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """One version of a project's key encryption key (KEK), as it is stored: wrapped by the key service."""

    project: str
    version: int
    """Counted from 1; new objects are sealed under the highest."""

    kms_key: str
    """Name of the key-service key that wraps this version, and only this one: destroy it and the version is dead."""

    wrapped_kek: bytes = field(repr=False)
    wrapped_name_key: bytes = field(repr=False)
    """The project's key for storage names: the same key in every version, wrapped anew."""

    created_at: datetime


@dataclass(frozen=True, slots=True)
class Sealed:
    """An object in the vault: what it is, and what is needed to open it, together with the project's key."""

    project: str
    digest: Digest
    """SHA-256 of the plaintext: the public name."""

    size: int
    """Bytes of plaintext."""

    wrapped_key: bytes = field(repr=False)
    """The object's data key under the KEK, bound to every other field but the time."""

    kek_version: int
    format: str
    nonce: bytes
    """16 random bytes that tie the stored bytes to this record, and keep storage names unique."""

    created_at: datetime


@dataclass(frozen=True, slots=True)
class Erased:
    """What is left of an object that was destroyed on purpose: that it was there, and who decided."""

    project: str
    digest: Digest
    size: int
    """Bytes of plaintext it had."""

    decision: str
    """Digest of the record that decided it."""

    why: str
    """``erasure`` or ``retention``."""

    at: datetime
    blob: str
    """Name of the sealed bytes, which nothing opens any more."""


@dataclass(frozen=True, slots=True)
class KeyEnd:
    """The end of a KEK version: ordered with the change that left nothing under it, and done after that."""

    project: str
    version: int
    kms_key: str
    ordered_at: datetime
    destroyed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """What destroying objects came to."""

    erased: tuple[Erased, ...]
    survivors: int
    """Objects whose keys were wrapped anew."""

    version: int
    """The KEK version that they are under now."""

    ending: tuple[int, ...]
    """KEK versions that end with it."""


class FindingCode(StrEnum):
    """What a check of the vault can find."""

    KEY_LOST = "key-lost"
    BLOB_MISSING = "blob-missing"
    DOES_NOT_OPEN = "does-not-open"
    ORPHAN_BLOB = "orphan-blob"
    ABANDONED_DRAFT = "abandoned-draft"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    code: FindingCode
    object: str
    """The object's digest, the project whose key is meant, or a stored name."""

    what: str
    do: str
    harm: bool
    """True when registered content cannot be read; False when only space is lost."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check looked at, and what it found."""

    objects: int
    bytes_opened: int
    """Plaintext bytes read and hashed; 0 when the check was not deep."""

    findings: tuple[Finding, ...]
    erased: int = 0
    """Objects that were destroyed on purpose, each by a record that stands."""

    @property
    def sound(self) -> bool:
        """Whether all registered content can be read, as far as the check looked."""
        return not any(finding.harm for finding in self.findings)
