"""The Cedar schema, built from the table of verbs: one action per verb, so a verb without an action cannot exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from muniment.errors import Invalid
from muniment.kernel.verb import ResourceKind, Verb

GROUPS: Final = (
    "audit:read",
    "audit:verify",
    "catalog:read",
    "data:read",
    "data:steward",
    "data:use",
    "data:write",
    "env:manage",
    "env:read",
    "evidence:read",
    "identity:manage",
    "identity:read",
    "identity:self",
    "inventory:approve",
    "inventory:challenge",
    "inventory:decide",
    "inventory:emergency",
    "inventory:examine",
    "inventory:manage",
    "inventory:oversee",
    "inventory:promote",
    "inventory:sign",
    "inventory:validate",
    "inventory:write",
    "key:manage",
    "key:read",
    "model:read",
    "policy:manage",
    "policy:read",
    "run:reproduce",
    "run:validate",
    "run:write",
    "system:export",
    "system:operate",
)
"""Every group of actions that a shipped role permits."""

INTERNAL: Final = "platform:internal"
"""The group of all internal verbs; the platform itself alone may act in it."""

INSTALLATION_ID: Final = "muniment"

_BUILT_IN: Final = frozenset({"Installation", "Project"})
_SCALARS: Final = frozenset({"String", "Long", "Bool"})
_TYPE: Final = re.compile(r"(?P<set>Set<)?(?P<inner>[A-Z][A-Za-z]*)(?(set)>)")

_HEAD: Final = """\
type Context = {
  ip: ipaddr,
  now: datetime,
  expires: datetime,
  covered: Bool,
  method: String,
  mfa_age_s: Long,
  purpose: String,
  tls: Bool,
};
entity Installation;
entity Project in [Installation];
entity Group;
entity User, ServiceAccount in [Group] { active: Bool, roles: Set<String> };
entity System { active: Bool, roles: Set<String> };
"""


def build_schema(verbs: Iterable[Verb]) -> str:
    """The schema text for these verbs, the same for the same verbs.

    No attribute is optional: an absent one is an error in a policy, and Cedar skips a forbid that errs.

    Raises:
        Invalid: no shipped role permits the group of a verb, or a kind declares an attribute of an unknown type.
    """
    table = sorted(verbs, key=lambda verb: verb.action)
    kinds = {verb.on.name: verb.on for verb in table}
    lines = [_entity(kind) for name, kind in sorted(kinds.items()) if name not in _BUILT_IN]
    lines += [f"action {_quoted(group)};" for group in (*GROUPS, INTERNAL)]
    lines += [
        f"action {_quoted(verb.action)} in [Action::{_quoted(group_of(verb))}] appliesTo "
        f"{{ principal: [User, ServiceAccount, System], resource: [{verb.on.name}], context: Context }};"
        for verb in table
    ]
    return _HEAD + "\n".join(lines) + "\n"


def group_of(verb: Verb) -> str:
    """The action group that policies see a verb in.

    Raises:
        Invalid: no shipped role permits the group, so nobody could ever use the verb.
    """
    if verb.internal:
        return INTERNAL
    if verb.group not in GROUPS:
        raise Invalid(
            "MUNI-P101",
            f"no role permits the group {verb.group!r} of {verb.action}",
            action=verb.action,
            group=verb.group,
            groups=list(GROUPS),
        )
    return verb.group


def attribute_type(text: str) -> tuple[bool, str | None]:
    """Whether an attribute is a set, and the entity type of its values (None for plain values).

    Raises:
        Invalid: not a type that a slice can carry.
    """
    match = _TYPE.fullmatch(text)
    if match is None:
        raise Invalid("MUNI-P102", f"{text[:80]!r} is no attribute type", given=text[:80])
    inner = match["inner"]
    return match["set"] is not None, None if inner in _SCALARS else inner


def _entity(kind: ResourceKind) -> str:
    for type_ in kind.attributes.values():
        attribute_type(type_)
    shape = ", ".join(f"{name}: {type_}" for name, type_ in sorted(kind.attributes.items()))
    parent = "Project" if kind.in_project else "Installation"
    return f"entity {kind.name} in [{parent}]" + (f" {{ {shape} }};" if shape else ";")


def _quoted(text: str) -> str:
    return json.dumps(text)
