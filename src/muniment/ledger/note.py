"""Signed notes after C2SP signed-note and tlog-checkpoint: text that is signed line by line, readable by people. Pure.

A note is its text, an empty line, and one line per signature: ``— <name> <base64(key id + signature)>``. The key id
is the first four bytes of SHA-256(name + newline + type + public key); type 1 is Ed25519.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muniment.errors import IntegrityError, Invalid
from muniment.kernel.digest import Digest
from muniment.ledger.model import Checkpoint
from muniment.ledger.ports import Signer

_ED25519: Final = b"\x01"
_CHECKPOINT: Final = re.compile(r"(?P<origin>.+)\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n")


def check_origin(origin: str) -> str:
    """Return a name that may stand in a note; raises Invalid for one that is empty or has spaces or ``+``."""
    if not origin or not origin.isascii() or not origin.isprintable() or set(origin) & {" ", "+"} or len(origin) > 200:
        raise Invalid(
            "MUNI-L107", "not a name for a ledger", given=origin[:200], rule="printable ASCII, no space, no +"
        )
    return origin


def key_id(name: str, public_key: bytes) -> bytes:
    """The four bytes by which a signature line says which key made it."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """The public key as auditors pass it around: ``<name>+<key id>+<base64(type + key)>``."""
    return f"{name}+{key_id(name, public_key).hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"


def sign_note(text: str, name: str, signer: Signer) -> str:
    """The note with this text, which ends in a newline, and one signature."""
    signature = key_id(name, signer.public_key) + signer.sign(text.encode())
    return f"{text}\n\N{EM DASH} {name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, name: str, public_key: bytes) -> str:
    """The text of a note that carries exactly one signature, by this key.

    Raises:
        IntegrityError: it is not such a note, or the signature does not fit.
    """
    text, gap, line = note.rpartition("\n\n")
    text += "\n"
    prefix = f"\N{EM DASH} {name} "
    try:
        if not gap or not line.startswith(prefix) or not line.endswith("\n"):
            raise ValueError("not a signed note of this name")
        encoded = line[len(prefix) : -1]
        raw = base64.b64decode(encoded, validate=True)
        if base64.b64encode(raw).decode() != encoded or raw[:4] != key_id(name, public_key):
            raise ValueError("signed with another key")
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw[4:], text.encode())
    except (ValueError, InvalidSignature) as broken:
        raise IntegrityError(
            "MUNI-L501",
            "a signed note of the ledger does not verify",
            name=name,
            reason=str(broken) or "the signature does not fit the text",
            do="stop, keep the files as they are, and compare with a checkpoint that is kept elsewhere",
        ) from broken
    return text


def sign_checkpoint(origin: str, size: int, root: bytes, signer: Signer) -> Checkpoint:
    """The signed checkpoint of a tree."""
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    return Checkpoint(origin, size, Digest.from_bytes(root), sign_note(text, origin, signer))


def open_checkpoint(note: str, origin: str, public_key: bytes) -> Checkpoint:
    """The checkpoint that a note states, its signature verified; raises IntegrityError otherwise."""
    text = open_note(note, origin, public_key)
    stated = _CHECKPOINT.fullmatch(text)
    root = base64.b64decode(stated["root"]) if stated else b""
    if not stated or stated["origin"] != origin or base64.b64encode(root).decode() != stated["root"]:
        raise IntegrityError("MUNI-L502", "a signed note is not a checkpoint of this ledger", origin=origin)
    return Checkpoint(origin, int(stated["size"]), Digest.from_bytes(root), note)
