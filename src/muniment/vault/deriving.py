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

from muniment.errors import IntegrityError
from muniment.kernel.ports import Session
from muniment.vault.keyring import Keyring

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


class Lending:
    """Lends secrets to jobs that run a program of the platform; plans and records know their names alone."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def name(self, session: Session, project: str, use: str) -> str:
        """How plans name the secret that this project lends for a use; raises Conflict when it has no key."""
        return lend(self._keyring.current(session, project).name_key, project, use).name

    def secret(self, session: Session, project: str, name: str) -> bytes:
        """The secret of this name.

        Raises:
            IntegrityError: the keys of the project do not give a secret of this name.
        """
        lent = lend(self._keyring.current(session, project).name_key, project, name.rpartition("-")[0])
        if lent.name != name:
            raise IntegrityError(
                "MUNI-V518",
                "the project's keys are not those that a plan was made under",
                project=project,
                planned=name,
                here=lent.name,
                do="make the fingerprints again; if nobody changed the keys, compare them with a backup",
            )
        return lent.secret
