"""What the gate asks of policy, and what policy asks of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.kernel.principal import Authentication
from muniment.kernel.verb import Resource, Verb

NO_SECOND_FACTOR: Final = 2**31
"""Seconds; what ``mfa_age_s`` says when there was no second factor, because a policy may not meet an absent value."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a policy may know about a request beyond principal, action and resource; written by the gate alone."""

    mfa_age_s: int = NO_SECOND_FACTOR
    """Seconds since the second factor was shown."""

    purpose: str = ""
    """Purpose that the request names."""

    tls: bool = False
    """Whether the request came over TLS."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy said, why, and what is needed to say it again years later."""

    allowed: bool
    """True only when the engine said Allow and no policy failed."""

    policies: tuple[str, ...]
    """Ids of the deciding policies, such as ``role/scientist@1``; empty when nothing permits."""

    errors: tuple[str, ...]
    """What went wrong while policies were evaluated; any error is a deny."""

    policy_set: Digest
    """The set of policies that decided."""

    reasons: tuple[str, ...]
    """The decision in words."""

    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What the ledger entry keeps so that the decision can be replayed: digests, deciders and the context."""


class Authorizer(Protocol):
    """Says whether a principal may do something."""

    def decide(
        self,
        session: Session,
        authentication: Authentication,
        verb: Verb,
        resource: Resource,
        facts: Facts = Facts(),
    ) -> Decision:
        """The decision of the policies in force.

        Raises:
            NotFound: the principal has no account.
        """


@dataclass(frozen=True, slots=True)
class Publication:
    """One version of the policies that an institution wrote itself, for one project or for all."""

    scope: str
    """Name of a project; empty for the whole installation."""

    version: int
    """From 1 on, one higher with each publication."""

    document: Digest
    """Of the document that holds text and tests."""

    published_by: str
    published_at: datetime


class DocumentSource(Protocol):
    """Where policy documents come from."""

    def get(self, digest: Digest) -> bytes | None:
        """The document of this digest, or None."""


class PolicyDocuments(DocumentSource, Protocol):
    """Immutable policy texts, schemas and sets, named by their digest."""

    def put(self, document: bytes) -> Digest:
        """Keep a document; keeping it again changes nothing."""


class Publications(Protocol):
    """Which policies are in force in which scope."""

    def add(self, publication: Publication) -> None:
        """Put the next version of its scope in force."""

    def heads(self, project: str | None) -> Mapping[str, Publication]:
        """The versions in force by scope: of the installation and, when given, of the project."""

    def all(self) -> tuple[Publication, ...]:
        """Every version of every scope, newest first."""
