"""Requests and replies about promotion: a model from one project into a stricter one."""

from __future__ import annotations

from msgspec import Struct


class PromoteModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Bring an approved version from another project into this one, by digest, under the approval that it has there."""

    project: str
    """The one that it goes to: a stricter stage than where it comes from."""

    source: str
    """The project that it comes from."""

    model: str
    """Its reference or digest there."""

    digest: str | None = None
    """The digest that one means; another one is refused. None takes what the reference leads to."""

    emergency: bool = False
    """Whether one knows that it is approved by break-glass alone, and promotes it all the same."""

    reason: str = ""


class Promoted(Struct, kw_only=True, frozen=True):
    """A version as it now stands in the project that it came to."""

    project: str
    model: str
    """Its reference there."""

    digest: str
    """The same as where it came from."""

    source: str
    source_model: str
    manifest: str
    """Digest of the manifest that was signed for it here."""

    state: str
    tier: int
    emergency: bool
    expires: str
    conditions: list[str]
    use_limits: list[str]
    approvals: list[str]
    """Digests of the records of the approval, in the project that it came from."""

    approved_by: list[str]
    record: str
    """Digest of the promotion."""

    files: int
    bytes: int
