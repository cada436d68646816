"""Identifiers and moments in their one textual form."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from muniment.errors import Invalid
from muniment.kernel.ports import Clock, Entropy

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_ID: Final = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


def new_id(clock: Clock, entropy: Entropy) -> str:
    """A ULID in lower case: 48 bits of milliseconds, then 80 random bits; sorts by time of creation."""
    number = (int(clock.now().timestamp() * 1000) << 80) | int.from_bytes(entropy.token(10), "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def is_id(text: str) -> bool:
    """Whether the text has the form of an identifier made by ``new_id``."""
    return _ID.fullmatch(text) is not None


def check_name(text: str, what: str) -> str:
    """Return a name that keeps the one rule for names.

    Raises:
        Invalid: it does not match ``[a-z0-9][a-z0-9._-]{0,127}``.
    """
    if not _NAME.fullmatch(text):
        raise Invalid(
            "MUNI-K106",
            f"{text[:80]!r} is not a name for a {what}",
            given=text[:200],
            rule="[a-z0-9][a-z0-9._-]{0,127}",
            do="use lower-case letters, digits, dots, underscores and hyphens, at most 128",
        )
    return text


def format_time(moment: datetime) -> str:
    """The moment as ``2026-11-23T04:22:00.123456Z``: sorts as text.

    Raises:
        Invalid: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise Invalid("MUNI-K107", "a moment needs a time zone", given=moment.isoformat())
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse_time(text: str) -> datetime:
    """The inverse of ``format_time``; takes any ISO 8601 text with a zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as broken:
        raise Invalid("MUNI-K108", "not a moment in ISO 8601", given=text[:80]) from broken
    if moment.tzinfo is None:
        raise Invalid("MUNI-K107", "a moment needs a time zone", given=text[:80])
    return moment.astimezone(UTC)
