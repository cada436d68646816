r"""Cosignatures after C2SP tlog-cosignature: a witness states that it saw a ledger grow to a checkpoint. Pure.

The bytes, exactly, for whoever verifies one without this module:

* A witness has a name and an Ed25519 key; its key id is ``SHA-256(name + "\n" + 0x04 + public key)[:4]``.
* A cosignature is a signature line of the checkpoint's note: ``— <name> <base64>\n`` with an em dash (U+2014) and
  standard base64, padded, of 76 bytes: key id (4), time (8, big-endian, seconds since 1970), signature (64).
* Signed is ``"cosignature/v1\ntime <seconds>\n"`` followed by the text of the note: everything before its last empty
  line, with the newline that ends the text, without the empty line and the signature lines. ``<seconds>`` is ASCII
  decimal without leading zeroes, the same number as in the line.
* For a checkpoint of Muniment the signed message is thus these five lines, each ended by a newline::

      cosignature/v1
      time 1679315147
      example.com/behind-the-sofa
      20852163
      CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

It says: at that time, the largest tree of this origin that the witness has seen has this size and root, and every
tree of it that the witness cosigned before is a beginning of it.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muniment.errors import IntegrityError
from muniment.ledger.ports import Signer
from muniment.ledger.verifier import KeyType, VerifierKey, parse_key

_DASH: Final = "\N{EM DASH} "
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BYTES: Final = 4 + 8 + 64


def text_of(note: str) -> str:
    """The signed text of a note: what stands before its last empty line; a bare text is itself."""
    text, gap, _ = note.rpartition("\n\n")
    return text + "\n" if gap else note


def witness_key(name: str, public_key: bytes) -> VerifierKey:
    """The verifier key of a witness."""
    return VerifierKey(name, KeyType.WITNESS, public_key)


def cosign(note: str, name: str, signer: Signer, at: datetime) -> str:
    """The cosignature line of a checkpoint's note, ended by a newline; ``at`` is cut to whole seconds."""
    seconds = (at - _EPOCH) // timedelta(seconds=1)
    signature = signer.sign(_message(seconds, text_of(note)))
    raw = witness_key(name, signer.public_key).id + seconds.to_bytes(8, "big") + signature
    return f"{_DASH}{name} {base64.b64encode(raw).decode()}\n"


def verify_cosignature(note_text: str, line: str, verifier_key: str | VerifierKey) -> datetime:
    """When the witness cosigned, if it did.

    Args:
        note_text: the text of the checkpoint, or its whole note.
        line: the cosignature line, ended by a newline or not.
        verifier_key: the witness's key, of type 4.

    Raises:
        IntegrityError: the line is not this witness's cosignature of this checkpoint.
        Invalid: the verifier key is not one of a witness.
    """
    key = parse_key(verifier_key, KeyType.WITNESS) if isinstance(verifier_key, str) else verifier_key
    prefix = f"{_DASH}{key.name} "
    encoded = line.removesuffix("\n").removeprefix(prefix)
    try:
        raw = base64.b64decode(encoded, validate=True)
        if not line.startswith(prefix) or len(raw) != _BYTES or base64.b64encode(raw).decode() != encoded:
            raise ValueError("not a cosignature line of this witness")
        if raw[:4] != key.id:
            raise ValueError("made with another key")
        seconds = int.from_bytes(raw[4:12], "big")
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(raw[12:], _message(seconds, text_of(note_text)))
        return _EPOCH + timedelta(seconds=seconds)
    except (ValueError, OverflowError, binascii.Error, InvalidSignature) as broken:
        raise IntegrityError(
            "MUNI-L514",
            "a cosignature does not verify",
            witness=key.name,
            reason=str(broken) or "the signature does not fit checkpoint and time",
            do="ask the witness for what it cosigned last, and compare it with the ledger",
        ) from broken


def lines_of(note: str) -> list[str]:
    """The signature lines of a note, each ended by a newline; none when it has no signatures."""
    _, gap, lines = note.rpartition("\n\n")
    return lines.splitlines(keepends=True) if gap else []


def names_key(line: str, key: VerifierKey) -> bool:
    """Whether a signature line says that it was made by this key; that it was, only verification shows."""
    prefix = f"{_DASH}{key.name} "
    if not line.startswith(prefix):
        return False
    try:
        return base64.b64decode(line[len(prefix) :].rstrip("\n"), validate=True)[:4] == key.id
    except (binascii.Error, ValueError):
        return False


def _message(seconds: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
