"""Laws of policy over generated policies, rights and requests."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from charter import ADD, LIST, READ, TABLE, authorizer, dataset
from laws import examples
from muniment.identity.model import Account, Role, RoleGrant, Standing, SubjectKind
from muniment.kernel.digest import Digest
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.verb import Resource
from muniment.policy.cedar import Answer, RuleSet, Schema, parse_rules
from muniment.policy.ports import Facts
from muniment.policy.schema import build_schema, group_of
from muniment.policy.sets import Manifest, PolicySet
from muniment.policy.slice import Context, Slice, make_context, make_slice
from muniment.testing.fakes import FakeClock

CLOCK = FakeClock()
SCHEMA = Schema(build_schema(TABLE))
CEDAR = authorizer(CLOCK)
SHIPPED = CEDAR.sets.in_force({}, None, None)  # type: ignore[arg-type]
PROJECTS = ("p0", "p1", "p2")
NOW = CLOCK.now()

principals = st.sampled_from(
    [
        "principal",
        "principal is User",
        'principal == User::"ana"',
        'principal in Group::"g0"',
        'principal in Group::"g1"',
    ]
)
actions = st.sampled_from(
    ["action", 'action == Action::"data:AddDataset"', 'action in Action::"data:read"',
     'action in [Action::"data:write", Action::"catalog:read"]']
)  # fmt: skip
resources = st.one_of(
    st.sampled_from(["resource", "resource is Dataset", 'resource in Installation::"muniment"']),
    st.sampled_from(PROJECTS).map(lambda p: f'resource in Project::"{p}"'),
    st.sampled_from(PROJECTS).map(lambda p: f'resource == Project::"{p}"'),
    st.sampled_from(PROJECTS).map(lambda p: f'resource is Dataset in Project::"{p}"'),
)
conditions = st.sampled_from(
    ["", "when { context.tls }", "unless { context.covered }", 'when { principal.roles.contains("scientist") }',
     "when { resource.author == principal }", "when { resource.size > 5 }", "when { context.nothing }",
     'when { context.ip.isInRange(ip("10.0.0.0/8")) }', 'unless { resource in Project::"p1" }']
)  # fmt: skip
bodies = st.builds("({}, {}, {}) {};".format, principals, actions, resources, conditions)
policies = st.lists(st.tuples(st.sampled_from(["permit", "forbid"]), bodies), max_size=12).map(
    lambda pairs: "".join(f'@id("own/{n}@1") {effect}{body}\n' for n, (effect, body) in enumerate(pairs))
)
grants = st.lists(
    st.builds(
        lambda n, role, project, group: RoleGrant(
            f"g{n}",
            SubjectKind.GROUP if group else SubjectKind.USER,
            group or "ana",
            role,
            project,
            NOW - timedelta(days=1),
            None,
            "root",
        ),
        st.integers(0, 10**6),
        st.sampled_from(Role),
        st.sampled_from([None, *PROJECTS]),
        st.sampled_from([None, "g0"]),
    ),
    max_size=4,
    unique_by=lambda grant: grant.id,
)
verbs_and_resources = st.one_of(
    st.tuples(st.sampled_from([ADD, LIST]), st.sampled_from(PROJECTS).map(lambda p: Resource("Project", p, p))),
    st.tuples(
        st.just(READ),
        st.builds(dataset, st.sampled_from(PROJECTS), st.just("d"), st.sampled_from(["ana", "bob"])),
    ),
)
contexts = st.builds(
    lambda tls, limited, ip: (Facts(tls=tls), frozenset({"data:read"}) if limited else None, ip),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["10.1.2.3", "192.0.2.1", "::1"]),
)


def world(held: list[RoleGrant], asked: tuple, context: tuple) -> tuple[Slice, Context]:
    """The slice and context of ana asking."""
    verb, resource = asked
    account = Account("ana", PrincipalKind.USER, None, NOW, "root")
    who = Principal(PrincipalKind.USER, "ana")
    facts, limits, ip = context
    seen = make_slice(who, Standing(account, ("g0",), tuple(held)), resource, verb.on.attributes, NOW)
    known = Authentication(who, "token", NOW, ip, "c", limits)
    return seen, make_context(known, NOW, (verb.action, group_of(verb)), facts)


def policy_set(text: str) -> PolicySet:
    """The shipped policies and these."""
    rules = dict(SHIPPED.rules) | {rule.id: rule for rule in parse_rules(text)}
    return PolicySet(Digest.of(text.encode()), rules, SHIPPED.templates, SCHEMA)


def answer(rules, seen: Slice, action: str, context: Context) -> Answer:
    return RuleSet(rules).linked(seen.links).ask(seen.question(action, context.record()), SCHEMA)


@settings(max_examples=examples(150), deadline=None)
@given(policies, grants, verbs_and_resources, contexts)
def test_sharded_equals_full(text: str, held: list[RoleGrant], asked: tuple, context: tuple) -> None:
    """Leaving out policies that are confined to other projects changes neither decision, nor deciders, nor errors."""
    seen, circumstances = world(held, asked, context)
    known = policy_set(text)
    full = answer(known.rules.values(), seen, asked[0].action, circumstances)
    sharded = answer(known.shard(asked[1].project), seen, asked[0].action, circumstances)
    assert (sharded.allowed, sharded.deciders, len(sharded.errors)) == (full.allowed, full.deciders, len(full.errors))


@settings(max_examples=examples(150), deadline=None)
@given(policies, bodies, grants, verbs_and_resources, contexts)
def test_adding_a_forbid_never_allows(
    text: str, body: str, held: list[RoleGrant], asked: tuple, context: tuple
) -> None:
    """A further forbid, even one that errs, never turns a deny into an allow."""
    seen, circumstances = world(held, asked, context)
    before = answer(policy_set(text).rules.values(), seen, asked[0].action, circumstances)
    more = text + f'@id("own/more@1") forbid{body}'
    after = answer(policy_set(more).rules.values(), seen, asked[0].action, circumstances)
    assert before.allowed or not after.allowed


@settings(max_examples=examples(100), deadline=None)
@given(policies, grants, verbs_and_resources, contexts)
def test_an_allow_has_a_permit_and_no_error(text: str, held: list[RoleGrant], asked: tuple, context: tuple) -> None:
    """Whatever the policies: allowed means that some policy says so and that none failed."""
    seen, circumstances = world(held, asked, context)
    said = answer(policy_set(text).rules.values(), seen, asked[0].action, circumstances)
    assert not said.allowed or (said.deciders and not said.errors)


@settings(max_examples=examples(100), deadline=None)
@given(grants, verbs_and_resources, contexts)
def test_a_decision_is_a_function_of_its_record(held: list[RoleGrant], asked: tuple, context: tuple) -> None:
    """Deciding again on the recorded context and a slice of the same digest gives the recorded decision."""
    verb, resource = asked
    seen, circumstances = world(held, asked, context)
    action = (verb.action, group_of(verb))
    first = CEDAR.evaluate(SHIPPED, seen, resource, action, circumstances)
    kept = json.loads(json.dumps(first.evidence))
    attributes = kept.get("attributes", {})
    again_seen, _ = world(held, (verb, Resource(resource.kind, resource.id, resource.project, attributes)), context)
    assert again_seen.digest == kept["slice"]
    again = CEDAR.evaluate(SHIPPED, again_seen, resource, action, Context.of_record(kept["context"]))
    assert (again.allowed, again.policies, again.evidence) == (first.allowed, first.policies, first.evidence)


@given(st.lists(st.binary(max_size=4), min_size=5, max_size=5), st.booleans(), st.booleans())
def test_a_manifest_survives_its_document(parts: list[bytes], installation: bool, project: bool) -> None:
    """A policy set's manifest is read back from its canonical bytes, and its name covers every part."""
    digests = [Digest.of(bytes([n]) + part) for n, part in enumerate(parts)]
    manifest = Manifest(*digests[:3], digests[3] if installation else None, digests[4] if project else None)
    assert Manifest.parse(manifest.document()) == manifest
    other = Manifest(
        Digest.of(b"other"), *[getattr(manifest, name) for name in ("roles", "schema", "installation", "project")]
    )
    assert other.digest != manifest.digest
