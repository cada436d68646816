"""Every error the platform raises on purpose.

One root, one branch per question the caller must answer:

* MunimentError
  + Unauthenticated   (401) nobody is known by this credential; sign in, then retry
  + Denied            (403) policy or the four-eyes rule said no; retrying cannot help
  + NotFound          (404) no such object, or not visible to this principal
  + Conflict          (409) the state moved on; read again, then retry
  + Invalid           (422) the request contradicts itself, the schema or the data
  + IntegrityError    (500) stored bytes or history do not verify; stop and page a human
  + Unavailable       (503) an engine did not answer; safe to retry

A code is stable, stands in docs/reference/errors.md and is never re-used. Facts are data: strings, numbers, booleans,
lists and mappings of these. The fact ``do`` says what the reader can do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "Conflict",
    "Denied",
    "IntegrityError",
    "Invalid",
    "MunimentError",
    "NotFound",
    "Unauthenticated",
    "Unavailable",
    "from_document",
]


class MunimentError(Exception):
    """Root of the hierarchy: a stable code, a message for people and the facts as data."""

    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = facts

    def document(self) -> dict[str, Any]:
        """The error as every face shows it: ``{code, message, facts, help}``."""
        return {
            "code": self.code,
            "message": self.message,
            "facts": self.facts,
            "help": f"docs/reference/errors.md#{self.code.lower()}",
        }


class Unauthenticated(MunimentError):
    """No principal is known by the credential that came with the request."""

    http_status = 401


class Denied(MunimentError):
    """Policy said no; retrying cannot help."""

    http_status = 403


class NotFound(MunimentError):
    """No such object, or not visible to this principal."""

    http_status = 404


class Conflict(MunimentError):
    """The state moved on; read again, then retry."""

    http_status = 409


class Invalid(MunimentError):
    """The request contradicts itself, the schema or the data."""

    http_status = 422


class IntegrityError(MunimentError):
    """Stored bytes or recorded history do not verify."""


class Unavailable(MunimentError):
    """An engine did not answer; safe to retry."""

    http_status = 503
    retryable = True


_BY_STATUS: dict[int, type[MunimentError]] = {
    kind.http_status: kind
    for kind in (Unauthenticated, Denied, NotFound, Conflict, Invalid, Unavailable, IntegrityError)
}


def from_document(status: int, document: Mapping[str, Any]) -> MunimentError:
    """Rebuild an error from its document, as the SDK does with an HTTP answer of that status."""
    kind = _BY_STATUS.get(status, MunimentError)
    facts = {str(key): value for key, value in dict(document.get("facts") or {}).items()}
    return kind(str(document.get("code", "MUNI-X000")), str(document.get("message", "unknown error")), **facts)
