"""Verifier keys after C2SP signed-note: a public key with the name it signs under, as one line of text. Pure.

``<name>+<key id>+<base64(type + public key)>``: type 1 is Ed25519 over the note itself, as a ledger signs; type 4 is
a timestamped Ed25519 cosignature, as a witness signs (C2SP tlog-cosignature). The key id is the first four bytes of
SHA-256(name + newline + type + public key).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from muniment.errors import Invalid
from muniment.ledger.note import check_origin

_SIGN: Final = 1 << 255
_P: Final = 2**255 - 19
_EIGHTH: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL: Final = frozenset({0, 1, _P - 1, _EIGHTH, _P - _EIGHTH})
"""The y coordinates of the eight points of small order: under such a key anybody can sign."""


class KeyType(IntEnum):
    """What a key signs (C2SP signed-note, signature types)."""

    LEDGER = 1
    """Ed25519 over the text of the note."""

    WITNESS = 4
    """Ed25519 over time and text: a cosignature."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and the name it signs under."""

    name: str
    type: KeyType
    public_key: bytes
    """32 bytes."""

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature line says which key made it."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public_key).digest()[:4]

    @property
    def text(self) -> str:
        """The key as it is passed around."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.type]) + self.public_key).decode()}"

    def __str__(self) -> str:
        return self.text


def parse_key(text: str, type_: KeyType) -> VerifierKey:
    """Read a verifier key of the type that is wanted.

    Raises:
        Invalid: it is not one, was damaged on the way, is of another type, or anybody could sign under it.
    """
    given = text.strip()
    name, _, rest = given.partition("+")
    id_, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 33 or base64.b64encode(raw).decode() != encoded:
        raise Invalid(
            "MUNI-L110",
            "this is not a verifier key",
            given=given[:200],
            expected="NAME+KEYID+BASE64, one line, as muni audit checkpoint --json or muni witness show prints it",
        )
    if raw[0] != type_:
        raise Invalid(
            "MUNI-L111",
            "this verifier key is of another type",
            given=raw[0],
            wanted=int(type_),
            do="a ledger's key has type 1, a witness's key has type 4: give the other one",
        )
    key = VerifierKey(check_origin(name), type_, raw[1:])
    if key.id.hex() != id_:
        raise Invalid(
            "MUNI-L112", "the verifier key was damaged on its way: its id does not fit", given=given[:200], id=id_[:16]
        )
    y = int.from_bytes(key.public_key, "little") % _SIGN
    if y >= _P or y in _SMALL:
        raise Invalid("MUNI-L113", "under this public key anybody could sign", given=given[:200])
    return key
