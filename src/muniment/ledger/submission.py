"""What a ledger sends to a witness, after C2SP tlog-witness: the body of ``add-checkpoint``. Pure.

``old <size>``, then up to 63 lines with one hash of the consistency proof each, an empty line, and the checkpoint: a
signed note of at least three lines (origin, size, root) with signatures of any kind and number. Every line ends in a
newline, numbers have no leading zeroes, hashes are in standard base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muniment.errors import Invalid
from muniment.ledger.cosignature import lines_of, names_key, text_of
from muniment.ledger.verifier import VerifierKey

LONGEST: Final = 128 * 1024
"""Bytes of a submission: room for 16 signatures of the largest kind that the specifications know."""

PROOF_LINES: Final = 63
_SIGNATURES: Final = 64
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class Stated:
    """A checkpoint as its note states it, whoever signed it."""

    origin: str
    size: int
    root: bytes
    note: str

    @property
    def text(self) -> str:
        """What is signed."""
        return text_of(self.note)


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint on its way to a witness."""

    old: int
    """The size of the last checkpoint that the witness cosigned, as the sender believes."""

    proof: tuple[bytes, ...]
    """That the tree of the checkpoint begins with that of size ``old``."""

    checkpoint: Stated

    def body(self) -> str:
        """The text that is sent."""
        lines = "".join(f"{base64.b64encode(hash_).decode()}\n" for hash_ in self.proof)
        return f"old {self.old}\n{lines}\n{self.checkpoint.note}"


def submission(old: int, proof: Sequence[bytes], note: str) -> Submission:
    """What to send a witness of that checkpoint; raises Invalid when the note is no checkpoint."""
    return Submission(old, tuple(proof), parse_checkpoint(note))


def parse_submission(body: bytes) -> Submission:
    """Read what a ledger sent.

    Raises:
        Invalid: it does not have the form, is too long, or says more than 63 hashes.
    """
    if len(body) > LONGEST:
        raise Invalid("MUNI-L114", f"a submission to a witness is at most {LONGEST:,} bytes", size=len(body))
    head, gap, note = _text(body).partition("\n\n")
    first, *hashes = head.split("\n")
    if not gap or not first.startswith("old ") or not _NUMBER.fullmatch(first[4:]):
        raise _malformed("it begins with 'old SIZE', proof lines and an empty line")
    if len(hashes) > PROOF_LINES:
        raise _malformed(f"a proof has at most {PROOF_LINES} hashes")
    return Submission(int(first[4:]), tuple(_hash(line) for line in hashes), parse_checkpoint(note))


def parse_checkpoint(note: str) -> Stated:
    """Read a checkpoint's note without believing it: its signatures are not verified.

    Raises:
        Invalid: it is not a signed note that states origin, size and root, or has more than 64 signatures.
    """
    _text(note.encode())
    lines, text = lines_of(note), text_of(note)
    stated = text.removesuffix("\n").split("\n")
    if len(stated) < 3 or not all(stated) or not _NUMBER.fullmatch(stated[1]):
        raise _malformed("a checkpoint states origin, size and root, each on a line of its own")
    if not 1 <= len(lines) <= _SIGNATURES or any(
        not line.startswith("\N{EM DASH} ") or not line.endswith("\n") or line.count(" ") != 2 for line in lines
    ):
        raise _malformed(f"a checkpoint is signed, by at most {_SIGNATURES} lines")
    return Stated(stated[0], int(stated[1]), _hash(stated[2]), note)


def signed_by(checkpoint: Stated, keys: Sequence[VerifierKey]) -> bool:
    """Whether one of these ledger keys signed, and no line in the name of one of them is false.

    Lines of keys that are not known are ignored (C2SP signed-note).
    """
    found = False
    for line in lines_of(checkpoint.note):
        for key in keys:
            if names_key(line, key):
                signature = base64.b64decode(line.rpartition(" ")[2].rstrip("\n"), validate=True)[4:]
                try:
                    Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, checkpoint.text.encode())
                except (InvalidSignature, ValueError):
                    return False
                found = True
    return found


def _text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as broken:
        raise _malformed("it is not UTF-8") from broken
    if _CONTROL.search(text):
        raise _malformed("it has control characters")
    return text


def _hash(line: str) -> bytes:
    try:
        raw = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32 or base64.b64encode(raw).decode() != line:
        raise _malformed("a hash is 32 bytes in base64")
    return raw


def _malformed(reason: str) -> Invalid:
    return Invalid("MUNI-L115", "this is not what a ledger sends to a witness", reason=reason)
