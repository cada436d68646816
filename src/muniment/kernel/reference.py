"""References: how people name things, ``kind:name@version`` or ``kind:name@moment``; what is stored is the digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from muniment.errors import Invalid
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time

_NAMED: Final = re.compile(
    r"(?P<kind>[a-z]{2,16}):(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?:/[a-z0-9][a-z0-9._-]{0,63})?)"
    r"(?:@(?P<version>[1-9][0-9]{0,8}|latest|(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.+Zz-]{2,26})))?"
)


@dataclass(frozen=True, slots=True)
class Named:
    """A reference by kind, name and version, such as ``data:credit/train@3``."""

    kind: str
    name: str
    version: int | None
    """A positive version; None means the latest, resolved once at the edge."""

    at: datetime | None = None
    """The moment whose latest version is meant, where no version is given; resolved once at the edge too."""

    def __str__(self) -> str:
        """The text form."""
        if self.at is not None:
            return f"{self.kind}:{self.name}@{format_time(self.at)}"
        return f"{self.kind}:{self.name}" + (f"@{self.version}" if self.version else "")


Reference = Named | Digest


def bears_kind(text: str) -> bool:
    """Whether a reference says of which kind it is; the colons of a moment do not count."""
    return ":" in text.partition("@")[0]


def parse_reference(text: str, *, kind: str | None = None) -> Reference:
    """Read a reference; with ``kind`` the prefix may be left out, and another kind is refused.

    Raises:
        Invalid: the text is neither ``kind:name@version`` nor ``sha256:<hex>``, is of another kind, or its moment has
            no zone.
    """
    if text.startswith("sha256:"):
        return Digest(text)
    full = text if bears_kind(text) or kind is None else f"{kind}:{text}"
    match = _NAMED.fullmatch(full)
    if match is None:
        raise Invalid(
            "MUNI-K109",
            f"{text[:80]!r} is not a reference",
            given=text[:200],
            expected="kind:name@version, kind:name@2026-11-01T00:00:00Z or sha256:<hex>",
        )
    if kind is not None and match["kind"] != kind:
        raise Invalid("MUNI-K110", f"{text[:80]!r} is not a {kind} reference", given=text[:200], expected=f"{kind}:…")
    if match["at"] is not None:
        return Named(match["kind"], match["name"], None, parse_time(match["at"]))
    version = match["version"]
    return Named(match["kind"], match["name"], None if version in (None, "latest") else int(version))
