"""Secrets that a project lends to jobs, derived from what its keys carry on, so that rotation keeps them.

HKDF with SHA-256 (RFC 5869) over the project's name key, which every version of the project's keys carries on. Key and
name come from one derivation, so the name tells nobody the key, and a name that a plan recorded years ago is only met
again by the same key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE: Final = 32
_NAME_SIZE: Final = 8
_SALT: Final = b"muniment/lent-key/1"


@dataclass(frozen=True, slots=True)
class LentKey:
    """A secret for one use, and the name by which plans and records speak of it."""

    name: str
    """``rows-1-<16 hex digits>``: which use, and which secret."""

    secret: bytes = field(repr=False)


def lend(name_key: bytes, project: str, use: str) -> LentKey:
    """The secret of a project for one use, the same whenever it is asked for.

    Args:
        name_key: what all versions of the project's keys have in common.
        project: whose it is.
        use: what for, such as ``rows-1``; another use gives an unrelated secret.
    """
    info = f"{use}\0{project}".encode()
    material = HKDF(SHA256(), KEY_SIZE + _NAME_SIZE, _SALT, info).derive(name_key)
    return LentKey(f"{use}-{material[KEY_SIZE:].hex()}", material[:KEY_SIZE])
