"""What every reader of outside files shares: findings, and the rules for column names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from muniment.errors import Invalid
from muniment.programs.contract import visible

__all__ = ["Finding", "check_names"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something suspicious but valid: recorded, never changed in silence."""

    code: str
    message: str
    facts: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As it stands in the report."""
        return {"code": self.code, "message": self.message, "facts": self.facts}


def check_names(names: Sequence[str], limit: int) -> None:
    """Column names are unique, not empty and not too many; they are kept exactly.

    Raises:
        Invalid: one of these does not hold.
    """
    if len(names) > limit:
        raise Invalid(
            "MUNI-D128",
            f"the file has {len(names)} columns",
            limit=limit,
            found=len(names),
            setting="max_columns",
            do="check the separator, or raise the limit: --at-most columns=NUMBER",
        )
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name.strip():
            raise Invalid(
                "MUNI-D105", f"column {position} has no name", column=position, line=1, do="name every column"
            )
        if name in seen:
            raise Invalid(
                "MUNI-D107",
                f"two columns are called {visible(name)!r}",
                column=visible(name, 80),
                positions=[seen[name], position],
                line=1,
                do="give every column its own name",
            )
        if len(name) > 255:
            raise Invalid(
                "MUNI-D106",
                f"the name of column {position} is longer than 255 characters",
                column=position,
                line=1,
                do="shorten the name; a missing line end may have joined it with data",
            )
        seen[name] = position
