"""What policies of an institution's own must satisfy before they come into force, and the tests that prove it. Pure.

1. They parse, fit the schema, and each has an ``@id`` of its own that is not one of the product's.
2. None is a template; no permit leaves its resource open; in a project's publication each is confined to that project.
3. Every test gives the decision and the deciding policies it expects.
4. Every policy decides in some test, and some test tries it from the other side: an action in its scope, and another
   outcome without it. The validator passes policies that can never match; this finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from muniment.errors import Invalid, MunimentError
from muniment.identity.model import Account, Role, RoleGrant, Standing, SubjectKind
from muniment.kernel.canonical import canonical
from muniment.kernel.principal import Principal, PrincipalKind
from muniment.kernel.verb import Resource, Verb
from muniment.policy.cedar import Effect, Rule, parse_rules
from muniment.policy.ports import Decision
from muniment.policy.schema import INSTALLATION_ID, group_of
from muniment.policy.slice import Context, Slice, make_slice
from muniment.wire import policy as wire
from muniment.wire.policy import PolicyTest

OWN: Final = "own/"
"""What the ``@id`` of an institution's policy begins with; the rest is its name and version, ``own/office-hours@2``."""

_THEN: Final = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
_MOST_TESTS: Final = 500
_LONGEST: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Case:
    """A policy test made ready for the engine."""

    test: PolicyTest
    action: tuple[str, str]
    """The action and its group."""

    resource: Resource
    seen: Slice
    context: Context

    def outcome(self, decision: Decision) -> wire.TestOutcome:
        """Compare what came out with what must."""
        got = "allow" if decision.allowed else "deny"
        by = sorted(decision.policies)
        return wire.TestOutcome(
            name=self.test.name,
            ok=got == self.test.expect and by == sorted(self.test.by) and not decision.errors,
            expected=self.test.expect,
            got=got,
            expected_by=sorted(self.test.by),
            by=by,
            reasons=list(decision.reasons),
        )


def make_case(test: PolicyTest, verbs: Mapping[str, Verb]) -> Case:
    """Build the world that a policy test describes.

    Raises:
        Invalid: the test names what does not exist, or contradicts itself.
    """
    try:
        return _case(test, verbs[test.action])
    except (KeyError, TypeError, ValueError, MunimentError) as broken:
        raise Invalid(
            "MUNI-P108",
            f"the policy test {test.name[:80]!r} describes no possible request",
            test=test.name[:200],
            reason=f"{type(broken).__name__}: {broken}"[:300],
        ) from broken


def _case(test: PolicyTest, verb: Verb) -> Case:
    if test.expect not in ("allow", "deny"):
        raise ValueError("a test expects allow or deny")
    principal = Principal(PrincipalKind(test.kind), test.principal)
    standing = None if principal.kind is PrincipalKind.SYSTEM else _standing(test, principal)
    kind = verb.on.name
    own = {"Installation": INSTALLATION_ID, "Project": test.project}.get(kind, test.resource or "it")
    if own is None or (kind != "Installation" and verb.on.in_project and test.project is None):
        raise ValueError("the resource of this action lives in a project; name one")
    project = test.project if verb.on.in_project else None
    resource = Resource(kind, own, project, _plain_attributes(verb) | test.attributes)
    usual = Context("10.0.0.1", _THEN, datetime(2026, 2, 1, tzinfo=UTC), covered=True, method="token", tls=True)
    context = Context.of_record(usual.record() | test.context)
    seen = make_slice(principal, standing, resource, verb.on.attributes, context.now)
    return Case(test, (verb.action, group_of(verb)), resource, seen, context)


def _plain_attributes(verb: Verb) -> dict[str, Any]:
    """A value for each attribute that the kind declares."""
    plain: dict[str, Any] = {"Long": 0, "Bool": False}
    return {
        name: [] if type_.startswith("Set<") else plain.get(type_, "") for name, type_ in verb.on.attributes.items()
    }


def _standing(test: PolicyTest, principal: Principal) -> Standing:
    kind = SubjectKind(principal.kind.value)
    account = Account(principal.id, principal.kind, None, _THEN, "test", None if test.active else _THEN)
    grants = tuple(
        RoleGrant(f"grant{n}", kind, principal.id, Role(grant.role), grant.scope, _THEN, None, "test")
        for n, grant in enumerate(test.grants)
    )
    return Standing(account, tuple(sorted(test.groups)), grants)


def document(text: str, tests: Iterable[PolicyTest]) -> bytes:
    """The publication's canonical bytes: text and tests together, because neither is worth much alone."""
    return canonical({"tests": msgspec.to_builtins(list(tests)), "text": text})


def lint(text: str, tests: list[PolicyTest], project: str | None, taken: Iterable[str]) -> tuple[Rule, ...]:
    """The policies of a draft, when they may be published in this scope as far as their form goes.

    Args:
        text: Cedar policies.
        tests: their tests.
        project: the project they are for; None for the whole installation.
        taken: ids in force in other scopes.

    Raises:
        Invalid: with the first rule they break.
    """
    if len(text) > _LONGEST or len(tests) > _MOST_TESTS:
        raise Invalid("MUNI-P109", "too much for one publication", characters=_LONGEST, tests=_MOST_TESTS)
    rules, others = parse_rules(text), set(taken)
    for rule in rules:
        broken = _broken(rule, project, others)
        if broken:
            raise Invalid("MUNI-P110", f"the policy {rule.id!r} {broken}", policy=rule.id, rule=broken)
    return rules


def _broken(rule: Rule, project: str | None, taken: set[str]) -> str:
    """The rule that a policy breaks, in words; empty when it breaks none."""
    if not rule.id.startswith(OWN) or len(rule.id) > 100:
        return f"needs an @id that begins with {OWN!r}, of at most 100 characters"
    if rule.id in taken:
        return "carries an @id that is in force in another scope"
    if rule.template:
        return "is a template; only the shipped roles are"
    if rule.effect is Effect.PERMIT and rule.resource_open:
        return "permits on every resource, also on one that does not exist; say: resource in …"
    if project is not None and rule.shard != project:
        return f'must be confined to its project; say: resource in Project::"{project}"'
    return ""


def untested(rules: Iterable[Rule], cases: Iterable[Case]) -> list[str]:
    """What the tests leave open, in words: a policy that never decides, or that is never tried from the other side."""
    tried = list(cases)
    findings = []
    for rule in rules:
        opposite = "deny" if rule.effect is Effect.PERMIT else "allow"
        if not any(rule.id in case.test.by for case in tried):
            findings.append(f"{rule.id} decides in no test")
        if not any(
            case.test.expect == opposite and rule.id not in case.test.by and _in_scope(rule, case) for case in tried
        ):
            findings.append(f"{rule.id} is never tried from the other side: no test of its actions expects {opposite}")
    return findings


def _in_scope(rule: Rule, case: Case) -> bool:
    return rule.actions is None or not rule.actions.isdisjoint(case.action)
