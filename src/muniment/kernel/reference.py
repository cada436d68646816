"""References: how people name things, ``kind:name@version``, and what is stored instead, the digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from muniment.errors import Invalid
from muniment.kernel.digest import Digest

_NAMED: Final = re.compile(
    r"(?P<kind>[a-z]{2,16}):(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?:/[a-z0-9][a-z0-9._-]{0,63})?)"
    r"(?:@(?P<version>[1-9][0-9]{0,8}|latest))?"
)


@dataclass(frozen=True, slots=True)
class Named:
    """A reference by kind, name and version, such as ``data:credit/train@3``."""

    kind: str
    name: str
    version: int | None
    """A positive version; None means the latest, resolved once at the edge."""

    def __str__(self) -> str:
        """The text form."""
        return f"{self.kind}:{self.name}" + (f"@{self.version}" if self.version else "")


Reference = Named | Digest


def parse_reference(text: str, *, kind: str | None = None) -> Reference:
    """Read a reference; with ``kind`` the prefix may be left out, and another kind is refused.

    Raises:
        Invalid: the text is neither ``kind:name@version`` nor ``sha256:<hex>``, or is of another kind.
    """
    if text.startswith("sha256:"):
        return Digest(text)
    full = text if ":" in text or kind is None else f"{kind}:{text}"
    match = _NAMED.fullmatch(full)
    if match is None:
        raise Invalid(
            "MUNI-K109",
            f"{text[:80]!r} is not a reference",
            given=text[:200],
            expected="kind:name@version or sha256:<hex>",
        )
    if kind is not None and match["kind"] != kind:
        raise Invalid("MUNI-K110", f"{text[:80]!r} is not a {kind} reference", given=text[:200], expected=f"{kind}:…")
    version = match["version"]
    return Named(match["kind"], match["name"], None if version in (None, "latest") else int(version))
