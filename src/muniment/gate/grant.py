"""The proof that a policy said yes; no verb runs without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from muniment.kernel.digest import Digest
from muniment.policy.ports import Decision


class _Minted(type):
    """Makes a class that only this module can instantiate."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{cls.__name__} is minted by a decision, never constructed")


@final
@dataclass(frozen=True, slots=True)
class Grant(metaclass=_Minted):
    """One decision: this principal may do this action on this resource, by these policies."""

    principal: str
    action: str
    resource: str
    policies: tuple[str, ...]
    policy_set: Digest | None
    """None for what no policy decides: internal verbs, and those that are asked without a credential."""


def grant_from(decision: Decision, principal: str, action: str, resource: str) -> Grant | None:
    """The grant that a clean Allow earns; None otherwise."""
    if not decision.allowed or decision.errors:
        return None
    return _mint(principal, action, resource, decision.policies, decision.policy_set)


def grant_internal(principal: str, action: str, resource: str) -> Grant:
    """The grant of an internal verb, which no request from outside can name."""
    return _mint(principal, action, resource, ("core/internal",), None)


def grant_public(principal: str, action: str, resource: str) -> Grant:
    """The grant of a verb that is asked without a credential, because its function checks what it is given."""
    return _mint(principal, action, resource, ("core/public",), None)


def _mint(*fields: Any) -> Grant:
    grant: Grant = type.__call__(Grant, *fields)
    return grant
