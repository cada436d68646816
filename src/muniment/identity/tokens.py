"""The text of a token: ``muni_<kind>_<id>_<secret><crc>``.

The prefix lets leak scanners find it, the checksum lets them and us tell a token from a typing error without asking the
store. The secret has 256 bits, so a plain SHA-256 of the text is all that needs keeping: there is nothing to guess.
"""

from __future__ import annotations

import hmac
import re
from binascii import crc32
from dataclasses import dataclass
from typing import Final

from muniment.identity.model import TokenKind
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Entropy

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TO_BASE_32: Final = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
"""From our digits to those that ``int`` reads."""

_KINDS: Final = {kind.value: kind for kind in TokenKind}
_SECRET_DIGITS: Final = 52
_CRC_DIGITS: Final = 7
_FORM: Final = re.compile(
    r"muni_(?P<kind>pat|svc|ses|boot)_(?P<id>[0-9a-hjkmnp-tv-z]{26})_[0-9a-hjkmnp-tv-z]{52}(?P<crc>[0-9a-hjkmnp-tv-z]{7})"
)


@dataclass(frozen=True, slots=True)
class Presented:
    """A token that has the form of one."""

    kind: TokenKind
    id: str
    digest: Digest

    def matches(self, kept: Digest) -> bool:
        """Whether this is the token whose digest was kept; takes the same time for every wrong one."""
        return hmac.compare_digest(self.digest, kept)


def mint(kind: TokenKind, token_id: str, entropy: Entropy) -> str:
    """A new token's text."""
    secret = _digits(int.from_bytes(entropy.token(32), "big"), _SECRET_DIGITS)
    body = f"muni_{kind}_{token_id}_{secret}"
    return body + _crc(body)


def read(text: str) -> Presented | None:
    """The parts of a token; None when the text is no token or was mistyped."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    kind, id_, crc = match.groups()
    content = text.encode()
    if crc32(content[:-_CRC_DIGITS]) != int(crc.translate(_TO_BASE_32), 32):
        return None
    return Presented(_KINDS[kind], id_, Digest.of(content))


def _crc(body: str) -> str:
    return _digits(crc32(body.encode()), _CRC_DIGITS)


def _digits(number: int, count: int) -> str:
    return "".join([_ALPHABET[(number >> shift) & 31] for shift in range(5 * count - 5, -1, -5)])
