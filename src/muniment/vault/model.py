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

    @property
    def sound(self) -> bool:
        """Whether all registered content can be read, as far as the check looked."""
        return not any(finding.harm for finding in self.findings)
