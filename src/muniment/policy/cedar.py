"""The one module that talks to the Cedar engine.

Cedar skips a policy that errs while it is evaluated, also a forbid, and then allows (reproduced; see the regression
tests). So here a decision is Allow only when the engine says Allow **and** reports no error; an exception, an unknown
action, a slice that does not fit the schema and ``NoDecision`` are all deny.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import cedarpy

from muniment.errors import Invalid

_WORLDS_KEPT: Final = 1024


class Effect(StrEnum):
    """What a policy does when it matches."""

    PERMIT = "permit"
    FORBID = "forbid"


@dataclass(frozen=True, slots=True)
class Rule:
    """One parsed policy or template."""

    id: str
    """Its ``@id``: Cedar's own ids are positions and mean nothing."""

    effect: Effect
    template: bool
    shard: str | None
    """The only project it can concern, as its scope ``resource in Project::"…"`` says; None when it may concern any."""

    reason: str
    """Its ``@reason``, in words."""

    tree: Mapping[str, Any]
    """Cedar's JSON form."""

    @property
    def actions(self) -> frozenset[str] | None:
        """Actions and groups that its scope names; None when it names none and so concerns all."""
        scope = self.tree["action"]
        if scope["op"] == "All":
            return None
        entities = scope["entities"] if "entities" in scope else [scope["entity"]]
        return frozenset(entity["id"] for entity in entities)

    @property
    def resource_open(self) -> bool:
        """Whether its scope leaves the resource open: such a permit also fits a resource that does not exist."""
        scope = self.tree["resource"]
        return scope["op"] == "All" or (scope["op"] == "is" and "in" not in scope)


@dataclass(frozen=True, slots=True)
class Link:
    """A template filled in: who holds a role, and where."""

    id: str
    """Of the grant."""

    role: str
    """Names the template ``role/<role>@<version>``."""

    principal: tuple[str, str]
    """Entity type and id."""

    resource: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """One request as the engine takes it, with the slice of the world that it may look at."""

    principal: tuple[str, str]
    action: str
    resource: tuple[str, str]
    context: str
    """JSON of the context record."""

    entities: str
    """JSON list of the entities."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine said."""

    allowed: bool
    deciders: tuple[str, ...]
    """Ids of rules and links, sorted."""

    errors: tuple[str, ...]


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The policies and templates of a text, sorted by id.

    Raises:
        Invalid: it does not parse, or a policy has no ``@id`` or another one's.
    """
    try:
        tree = json.loads(cedarpy.policies_to_json_str(text)) if text.strip() else {}
    except ValueError as broken:
        raise _unparsed(broken) from broken
    rules: dict[str, Rule] = {}
    for template, parsed in ((False, tree.get("staticPolicies", {})), (True, tree.get("templates", {}))):
        for position, policy in parsed.items():
            notes = policy.get("annotations") or {}
            name = notes.get("id") or ""
            if not name:
                raise Invalid("MUNI-P104", "every policy needs an @id", position=position)
            if name in rules:
                raise Invalid("MUNI-P105", f"two policies carry the @id {name!r}", id=name)
            rules[name] = Rule(
                name, Effect(policy["effect"]), template, _shard(policy["resource"]), notes.get("reason") or "", policy
            )
    return tuple(rules[name] for name in sorted(rules))


def check_rules(text: str, schema: str) -> None:
    """Refuse policies that do not fit the schema.

    Raises:
        Invalid: with what the validator found.
    """
    try:
        outcome = cedarpy.validate_policies(text, schema)
    except ValueError as broken:
        raise _unparsed(broken) from broken
    if not outcome.validation_passed:
        raise Invalid(
            "MUNI-P106",
            "the policies do not fit the schema",
            findings=[str(error)[:500] for error in outcome.errors][:20],
        )


class Schema:
    """A parsed schema."""

    def __init__(self, text: str) -> None:
        try:
            self.handle: Final = cedarpy.Schema.from_str(text)
        except ValueError as broken:
            raise Invalid("MUNI-P107", "the schema does not parse", reason=str(broken)[:1000]) from broken
        self.text: Final = text
        self.world: Final = lru_cache(_WORLDS_KEPT)(self._world)
        """The engine's form of a list of entities, checked against the schema; kept by its exact text: never stale."""

    def _world(self, entities: str) -> Any:
        return cedarpy.Entities.from_json_str(entities, self.handle)


class RuleSet:
    """Parsed policies, ready to be asked; immutable."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        known = {rule.id: rule for rule in rules}
        document = {
            "staticPolicies": {name: rule.tree for name, rule in known.items() if not rule.template},
            "templates": {name: rule.tree for name, rule in known.items() if rule.template},
            "templateLinks": [],
        }
        self._handle = cedarpy.PolicySet.from_json_str(json.dumps(document))
        self._templates = {role_of(name): name for name, rule in known.items() if rule.template}

    def linked(self, links: Iterable[Link]) -> RuleSet:
        """The set with templates filled in; a role that the set does not know permits nothing."""
        batch = [
            {
                "template_id": self._templates[link.role],
                "new_id": link.id,
                "values": {"?principal": _uid(link.principal), "?resource": _uid(link.resource)},
            }
            for link in links
            if link.role in self._templates
        ]
        wider = copy(self)
        if batch:
            wider._handle = self._handle.with_linked_batch(batch)
        return wider

    def ask(self, question: Question, schema: Schema) -> Answer:
        """Evaluate one request; never raises, and never allows after an error."""
        request = {
            "principal": _uid(question.principal),
            "action": {"type": "Action", "id": question.action},
            "resource": _uid(question.resource),
            "context": question.context,
        }
        try:
            world = schema.world(question.entities)
            result = cedarpy.is_authorized(request, self._handle, world, schema.handle)
            errors = tuple(str(error) for error in result.diagnostics.errors)
            decision = result.decision
            deciders = tuple(sorted(result.diagnostics.reasons))
        except Exception as failure:
            return Answer(allowed=False, deciders=(), errors=(f"the policy engine failed: {failure}",))
        if decision is cedarpy.Decision.NoDecision and not errors:
            errors = ("the policy engine made no decision",)
        return Answer(decision is cedarpy.Decision.Allow and not errors, deciders, errors)


def _unparsed(broken: ValueError) -> Invalid:
    return Invalid("MUNI-P103", "the policies do not parse", reason=str(broken)[:1000])


def role_of(template: str) -> str:
    """The role whose template has this id: ``role/scientist@1`` is the scientist's."""
    return template.removeprefix("role/").partition("@")[0]


def _uid(entity: tuple[str, str]) -> dict[str, str]:
    return {"type": entity[0], "id": entity[1]}


def _shard(scope: Mapping[str, Any]) -> str | None:
    """The project a resource scope is confined to."""
    entity = scope.get("entity") or (scope.get("in") or {}).get("entity") or {}
    return entity["id"] if entity.get("type") == "Project" else None
