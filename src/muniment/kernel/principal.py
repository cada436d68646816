"""Who acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PrincipalKind(StrEnum):
    """The Cedar entity types a principal can have."""

    USER = "User"
    SERVICE_ACCOUNT = "ServiceAccount"
    SYSTEM = "System"


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone or something that may be permitted to act."""

    kind: PrincipalKind
    id: str
    """The unique name: a person's user name, a service account's name, or the name of a part of the platform."""

    def __str__(self) -> str:
        """The form that stands in the ledger, ``User:ana``."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Authentication:
    """How and from where the principal of a request was recognised."""

    principal: Principal
    method: str
    """``token``, ``password`` or ``system``."""

    at: datetime
    """When the credential was checked."""

    ip: str
    """The peer's address as the socket says; ``127.0.0.1`` in process."""

    credential: str
    """The id of the credential (never the secret)."""

    actions: frozenset[str] | None = None
    """Actions the credential is limited to; None when it carries all of its owner's rights."""

    expires: datetime | None = None
    """When the credential ends; None for the platform itself. Policy looks at it again at each decision."""
