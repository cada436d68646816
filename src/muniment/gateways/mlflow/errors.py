"""What a refusal is called in MLflow's words, so that its clients show it well. Pure."""

from __future__ import annotations

from typing import Any, Final

from muniment.errors import (
    Conflict,
    Denied,
    Invalid,
    MunimentError,
    NotFound,
    Unauthenticated,
    Unavailable,
)

__all__ = ["refusal"]

_EXISTS: Final = frozenset({"MUNI-R353", "MUNI-R354", "MUNI-R357"})
_PARAMETER: Final = frozenset({"MUNI-X305", "MUNI-R356", "MUNI-Y207"})
"""What MLflow calls a wrong parameter: another value for what is set once, and an alias that there is not."""

_NOT_SPOKEN: Final = frozenset({"MUNI-Y201", "MUNI-Y216"})

_KINDS: Final[tuple[tuple[type[MunimentError], str, int], ...]] = (
    (Unauthenticated, "UNAUTHENTICATED", 401),
    (Denied, "PERMISSION_DENIED", 403),
    (NotFound, "RESOURCE_DOES_NOT_EXIST", 404),
    (Conflict, "INVALID_STATE", 409),
    (Invalid, "INVALID_PARAMETER_VALUE", 400),
    (Unavailable, "TEMPORARILY_UNAVAILABLE", 503),
)


def refusal(error: MunimentError) -> tuple[int, dict[str, Any]]:
    """HTTP status and document of a refusal.

    The client shows ``error_code`` and ``message``; our own code and what can be done stand in the message, the facts
    beside it.
    """
    code, status = next(
        ((name, status) for kind, name, status in _KINDS if isinstance(error, kind)), ("INTERNAL_ERROR", 500)
    )
    if error.code in _EXISTS:
        code, status = "RESOURCE_ALREADY_EXISTS", 400
    elif error.code in _PARAMETER:
        code, status = "INVALID_PARAMETER_VALUE", 400
    elif error.code in _NOT_SPOKEN:
        code = "ENDPOINT_NOT_FOUND"
    message = f"{error.message} ({error.code})"
    details = [f"{name}: {error.facts[name]}" for name in ("because", "reason") if error.facts.get(name)]
    if todo := error.facts.get("do"):
        details.append(f"to do: {todo}")
    if details:
        message = f"{message}; {'; '.join(details)}"
    return status, {"error_code": code, "message": message, "code": error.code, "facts": error.facts}
