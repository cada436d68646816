"""Who may hold what: pure decisions, which return a refusal or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from muniment.errors import Invalid
from muniment.identity.model import TOKEN_LIFE_LONGEST_DAYS, Role
from muniment.kernel.identifiers import format_time, parse_time

SEGREGATED: Final = (frozenset({Role.SCIENTIST, Role.KEY_ADMINISTRATOR}),)
"""Roles that exclude each other: who builds models on the data does not hold the keys of the data."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be."""

    because: str


def segregation(held: Iterable[str], wanted: Iterable[str]) -> Refusal | None:
    """Refuse a role that excludes one already held."""
    together = {Role(role) for role in (*held, *wanted)}
    for apart in SEGREGATED:
        if apart <= together:
            return Refusal(f"{' and '.join(sorted(apart))} exclude each other (segregation of duties)")
    return None


def not_for_oneself(actor: str, beneficiaries: Iterable[str]) -> Refusal | None:
    """Refuse that somebody widens his own rights, directly, by a group or by a service account he answers for."""
    if actor in set(beneficiaries):
        return Refusal(f"{actor} would give a role to himself; another administrator must do it")
    return None


def keeps_administrator(remaining: Iterable[str]) -> Refusal | None:
    """Refuse what would leave the installation without an active administrator."""
    if not set(remaining):
        return Refusal("no active administrator would remain")
    return None


def token_end(now: datetime, days: int) -> datetime:
    """When a token issued now for so many days ends.

    Raises:
        Invalid: not between 1 and 365 days; a token without an end does not exist.
    """
    if not 1 <= days <= TOKEN_LIFE_LONGEST_DAYS:
        raise Invalid(
            "MUNI-I102", f"a token lives 1 to {TOKEN_LIFE_LONGEST_DAYS} days", days=days, do="ask for fewer days"
        )
    return now + timedelta(days=days)


def end_date(text: str | None, now: datetime) -> datetime | None:
    """The end that a request gives to a grant or membership.

    Raises:
        Invalid: it is no moment, or has passed already.
    """
    if text is None:
        return None
    end = parse_time(text)
    if end <= now:
        raise Invalid("MUNI-I103", "the end lies in the past", until=format_time(end), now=format_time(now))
    return end


def role_named(text: str) -> Role:
    """The role of this name.

    Raises:
        Invalid: there is none; the fact ``roles`` lists them all.
    """
    try:
        return Role(text)
    except ValueError:
        roles = [role.value for role in Role]
        raise Invalid("MUNI-I104", f"there is no role {text[:80]!r}", given=text[:200], roles=roles) from None
