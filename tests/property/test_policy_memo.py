"""Remembered decisions: equal to decisions made anew, whatever changed in between, and never made from too little."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from charter import ADD, LIST, READ, authorizer, dataset
from laws import examples
from muniment.identity.model import Account, Role, RoleGrant, Standing, SubjectKind
from muniment.kernel.digest import Digest
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.verb import Resource, Verb
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.cedar import RuleSet, Schema, parse_rules
from muniment.policy.memo import Kept, Sight
from muniment.policy.ports import NO_SECOND_FACTOR, Decision, Facts, Publication
from muniment.policy.schema import group_of
from muniment.policy.slice import Context, make_context, make_slice
from muniment.testing.fakes import FakeClock

START = FakeClock().now()
NONE, SECOND = timedelta(), timedelta(seconds=1)
ANA = Principal(PrincipalKind.USER, "ana")
REFERENCE = authorizer(FakeClock())
SHIPPED = REFERENCE.sets.in_force({}, None, None)  # type: ignore[arg-type]
SCHEMA = Schema(SHIPPED.schema.text)
PROJECTS = ("p0", "p1")

BLIND = [
    "",
    "when { context.tls }",
    "unless { context.covered }",
    'when { principal.roles.contains("scientist") }',
    "when { resource.size > 5 }",
    "when { context.nothing }",
    'when { context.ip.isInRange(ip("10.0.0.0/8")) }',
    'when { context.purpose == "audit" && context.method != "token" }',
    "unless { context.now < context.expires }",
    "when { context.expires <= context.now }",
    "when { context.expires == context.now }",
    'when { context["now"] != context["expires"] }',
]
"""Conditions that cannot see the moment but for the side of the credential's end."""

SEEING = [
    'when { context.now < datetime("2026-11-23T12:00:00Z") }',
    'when { context.expires.durationSince(context.now) < duration("1h") }',
    'unless { context.now.toTime() < duration("10h") }',
    'when { context.now <= context.now.offset(duration("1ms")) && context.now < context.expires }',
    'when { (if context.tls then context else context).now < context.expires.offset(duration("-1h")) }',
    "when { {inner: context}.inner.now < context.expires }",
    "when { [context.now].contains(context.expires) }",
    "when { context == context }",
    "when { context has now }",
]
"""Conditions that can, or that a reader cannot be sure of."""

FACTOR = "when { context.mfa_age_s < 600 }"

heads = st.sampled_from(["principal, action, resource", 'principal, action in Action::"data:read", resource',
                         "principal is User, action, resource is Dataset",
                         'principal, action, resource in Project::"p0"'])  # fmt: skip
policies = st.lists(
    st.tuples(st.sampled_from(["permit", "forbid"]), heads, st.sampled_from([*BLIND * 2, *SEEING, FACTOR])), max_size=4
).map(
    lambda parts: "".join(
        f'@id("own/{n}@1") {effect}({head}) {when};\n' for n, (effect, head, when) in enumerate(parts)
    )
)
grants = st.builds(
    lambda n, role, project: RoleGrant(
        f"g{n}", SubjectKind.USER, "ana", role, project, START - timedelta(days=1), None, "root"
    ),
    st.integers(0, 5),
    st.sampled_from([Role.SCIENTIST, Role.AUDITOR, Role.ADMINISTRATOR]),
    st.sampled_from([None, *PROJECTS]),
)
holdings = st.lists(grants, max_size=3, unique_by=lambda grant: grant.id).map(tuple)
things = st.one_of(
    st.tuples(st.sampled_from([ADD, LIST]), st.sampled_from(PROJECTS).map(lambda p: Resource("Project", p, p))),
    st.tuples(
        st.just(READ),
        st.builds(
            lambda project, author, size: Resource(
                "Dataset", "d", project, {**dataset(project, "d", author).attributes, "size": size}
            ),
            st.sampled_from(PROJECTS),
            st.sampled_from(["ana", "bob"]),
            st.sampled_from([0, 1, 7]),
        ),
    ),
)
lives = st.sampled_from([None, *(timedelta(milliseconds=ms) for ms in (-3_600_000, -1, 0, 1, 3_000_000, 90_000_000))])
"""How long the credential lives from the moment on; None for one that never ends."""

How = tuple[str, frozenset[str] | None, str, timedelta | None, Facts]
"""Address, limits of the credential, method, life of the credential, and what the gate knows besides."""

PLAIN: How = ("10.1.2.3", None, "token", None, Facts())


def but_for(changes: Mapping[int, Any], plain: How = PLAIN) -> How:
    """The plain circumstances but for these."""
    return tuple(changes.get(n, value) for n, value in enumerate(plain))  # type: ignore[return-value]


ways = {
    0: st.sampled_from(["10.1.2.3", "192.0.2.1", "::1", "no address"]),
    1: st.sampled_from([None, frozenset({"data:read"})]),
    2: st.sampled_from(["token", "password"]),
    3: lives,
    4: st.builds(
        Facts,
        mfa_age_s=st.sampled_from([NO_SECOND_FACTOR, 5, 700]),
        purpose=st.sampled_from(["", "audit"]),
        tls=st.booleans(),
    ),
}
differences = st.sampled_from(list(ways)).flatmap(lambda n: ways[n].map(lambda value: {n: value}))
circumstances = st.lists(differences, max_size=2).map(
    lambda some: but_for({k: v for one in some for k, v in one.items()})
)
moments = st.sampled_from([timedelta(), timedelta(microseconds=400), timedelta(milliseconds=1), timedelta(hours=2)])


class World:
    """Rights and policies that a test may change at will; a session, and every repository in it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.held: tuple[RoleGrant, ...] = ()
        self.disabled: timedelta | None = None
        self.published: dict[str, Publication] = {}
        self.documents: dict[Digest, bytes] = {}

    def use(self, port: type[Any]) -> Any:
        return self

    def standing(self, name: str, at: Any) -> Standing:
        account = Account(
            name, PrincipalKind.USER, None, START, "root", None if self.disabled is None else START + self.disabled
        )
        return Standing(account, (), self.held)

    def heads(self, project: str | None) -> Mapping[str, Publication]:
        return {scope: kept for scope, kept in self.published.items() if scope in ("", project)}

    def get(self, digest: Digest) -> bytes | None:
        return self.documents.get(digest)

    def publish(self, scope: str, text: str) -> None:
        document = msgspec.json.encode({"text": text.replace("own/", f"own/{scope}/")})
        digest = Digest.of(document)
        self.documents[digest] = document
        self.published[scope] = Publication(scope, 1, digest, "root", START)


def known(world: World, how: How) -> Authentication:
    ip, limits, method, life, _ = how
    now = world.clock.now()
    return Authentication(ANA, method, now, ip, "c", limits, None if life is None else now + life)


def anew(world: World, how: How, verb: Verb, resource: Resource) -> Decision:
    """The decision with nothing remembered."""
    now, action = world.clock.now(), (verb.action, group_of(verb))
    policies = REFERENCE.sets.in_force(world.heads(resource.project), resource.project, world)
    seen = make_slice(ANA, world.standing("ana", now), resource, verb.on.attributes, now)
    return REFERENCE.evaluate(policies, seen, resource, action, make_context(known(world, how), now, action, how[4]))


steps = st.one_of(
    st.tuples(st.just("hold"), holdings),
    st.tuples(st.just("disable"), st.sampled_from([None, timedelta(), timedelta(hours=1)])),
    st.tuples(st.just("publish"), st.tuples(st.sampled_from(["", *PROJECTS]), policies)),
    st.tuples(st.just("wait"), moments),
    *[st.tuples(st.just("ask"), st.tuples(circumstances, things))] * 5,
)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(steps, min_size=4, max_size=25))
def test_what_is_remembered_is_what_would_be_decided(changes: list[tuple[str, Any]]) -> None:
    """Whatever was granted, revoked, disabled, published or waited for: a request is answered as if for the first time.

    Decision, deciders, reasons and evidence are those that it would get with nothing remembered, and so once more.
    """
    world = World()
    remembering = authorizer(world.clock)
    for what, value in changes:
        if what == "hold":
            world.held = value
        elif what == "disable":
            world.disabled = value
        elif what == "publish":
            world.publish(*value)
        elif what == "wait":
            world.clock.advance(seconds=value.total_seconds())
        else:
            how, (verb, resource) = value
            for _ in range(2):
                said = remembering.decide(world, known(world, how), verb, resource, how[4])
                assert said == anew(world, how, verb, resource)


NO_TIME = (timedelta(), timedelta())
NEW_FACTOR = but_for({4: Facts(mfa_age_s=5)})


def both(text: str, first: Context, second: Context) -> list[tuple[bool, tuple[str, ...], bool]]:
    """What the same question is answered in two contexts."""
    seen = make_slice(ANA, World().standing("ana", START), dataset("p0", "d"), READ.on.attributes, START)
    rules = RuleSet(parse_rules(text))
    answers = [rules.ask(seen.question(READ.action, context.record()), SCHEMA) for context in (first, second)]
    return [(answer.allowed, answer.deciders, bool(answer.errors)) for answer in answers]


def context(moment: timedelta, how: How) -> Context:
    ip, limits, method, life, facts = how
    now = START + moment
    expires = None if life is None else now + life
    return make_context(Authentication(ANA, method, now, ip, "c", limits, expires), now, ("a", "data:read"), facts)


@settings(max_examples=examples(400), deadline=None)
@given(policies, moments, moments, circumstances, differences)
@example(f'@id("a") permit(principal, action, resource) {FACTOR};', *NO_TIME, NEW_FACTOR, {})
def test_contexts_that_look_alike_are_answered_alike(
    text: str, early: timedelta, late: timedelta, how: How, change: Mapping[int, Any]
) -> None:
    """When all that policies can see of two contexts is equal, so is the engine's answer."""
    first, second = context(early, how), context(late, but_for(change, how))
    sight = Sight.of(parse_rules(text))
    views = [sight.view(each.record()) for each in (first, second)]
    event(f"moment seen: {sight.moment}, alike: {None not in views and views[0] == views[1]}")
    if views[0] is not None and views[0] == views[1]:
        before, after = both(text, first, second)
        assert before == after


FORBID = '@id("own/0@1") forbid(principal, action, resource) {};'
SCIENTIST = RoleGrant("g", SubjectKind.USER, "ana", Role.SCIENTIST, None, START - timedelta(days=1), None, "root")
SMALL, LARGE = (Resource("Dataset", "d", "p0", {**dataset("p0", "d").attributes, "size": size}) for size in (1, 7))
P0, P1 = (Resource("Project", name, name) for name in PROJECTS)


@pytest.mark.parametrize(
    ("when", "first", "second"),
    [
        ('when { context.ip.isInRange(ip("10.0.0.0/8")) }', (PLAIN, READ, SMALL), (but_for({0: "::1"}), READ, SMALL)),
        ("", (but_for({0: "10.0.0.1"}), READ, SMALL), (but_for({0: "no address"}), READ, SMALL)),
        ("when { !context.covered }", (PLAIN, ADD, P0), (but_for({1: frozenset({"data:read"})}), ADD, P0)),
        ('when { context.method == "token" }', (PLAIN, ADD, P0), (but_for({2: "password"}), ADD, P0)),
        ("", (but_for({3: timedelta(milliseconds=1)}), ADD, P0), (but_for({3: NONE}), ADD, P0)),
        ("when { context.now == context.expires }", (but_for({3: NONE}), ADD, P0), (but_for({3: -SECOND}), ADD, P0)),
        (FACTOR, (PLAIN, ADD, P0), (but_for({4: Facts(mfa_age_s=5)}), ADD, P0)),
        ('when { context.purpose == "audit" }', (PLAIN, ADD, P0), (but_for({4: Facts(purpose="audit")}), ADD, P0)),
        ("when { context.tls }", (PLAIN, ADD, P0), (but_for({4: Facts(tls=True)}), ADD, P0)),
        ("when { resource.size > 5 }", (PLAIN, READ, SMALL), (PLAIN, READ, LARGE)),
        ('when { resource == Project::"p1" }', (PLAIN, ADD, P0), (PLAIN, ADD, P1)),
        ('when { action == Action::"data:ListDatasets" }', (PLAIN, ADD, P0), (PLAIN, LIST, P0)),
        (
            'when { resource in Project::"p1" }',
            (PLAIN, READ, SMALL),
            (PLAIN, READ, Resource("Dataset", "d", "p1", SMALL.attributes)),
        ),
    ],
)  # fmt: skip
def test_each_part_of_a_request_counts(when: str, first: tuple, second: tuple) -> None:
    """Two requests that differ in one thing alone, which policies can see, are told apart, whichever came first."""
    for order in ((first, second, first), (second, first, second)):
        world = World()
        world.held = (SCIENTIST,)
        remembering = authorizer(world.clock)
        if when:
            world.publish("", FORBID.format(when))
        said = [remembering.decide(world, known(world, how), verb, resource, how[4]) for how, verb, resource in order]
        assert said == [anew(world, how, verb, resource) for how, verb, resource in order]
        assert (said[0].policies, said[0].errors) != (said[1].policies, said[1].errors)


@pytest.mark.parametrize(
    "change",
    [
        lambda world: setattr(world, "held", ()),
        lambda world: setattr(world, "held", (replace(SCIENTIST, project="p1"),)),
        lambda world: setattr(world, "disabled", NONE),
        lambda world: world.publish("", FORBID.format("")),
        lambda world: world.publish("p0", FORBID.format("")),
    ],
    ids=["revoked", "held elsewhere", "disabled", "forbidden everywhere", "forbidden here"],
)
def test_a_change_counts_in_the_next_request(change: Callable[[World], None]) -> None:
    """What is remembered as allowed is denied as soon as the rights or the policies that are read say so."""
    world = World()
    world.held = (SCIENTIST,)
    remembering = authorizer(world.clock)
    assert [remembering.decide(world, known(world, PLAIN), ADD, P0).allowed for _ in range(2)] == [True, True]
    change(world)
    assert not remembering.decide(world, known(world, PLAIN), ADD, P0).allowed


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60), st.integers(1, 5))
def test_the_most_recently_used_are_kept(uses: list[tuple[int, bool]], most: int) -> None:
    """What is kept are the values used last, at most so many; what is given is always the key's own value."""
    kept: Kept[str] = Kept(most)
    recent: list[int] = []
    for key, _ in uses:
        assert (kept.find(key) is not None) == (key in recent)
        assert kept.get(key, lambda key=key: f"value {key}") == f"value {key}"
        recent = [*(one for one in recent if one != key), key][-most:]


def test_an_account_that_ends_later_ends_then() -> None:
    """An account that is to be disabled at a moment to come is allowed what it was until then, and not after."""
    world = World()
    world.held, world.disabled = (SCIENTIST,), SECOND
    remembering = authorizer(world.clock)
    said = []
    for _ in range(3):
        said.append(remembering.decide(world, known(world, PLAIN), ADD, P0).allowed)
        world.clock.advance(seconds=0.5)
    assert said == [True, True, False]


def test_what_a_policy_can_see_is_read_off_it() -> None:
    """Comparing the moment with the end of the credential shows nothing else of it; any other look does."""
    for body, moment, factor in [
        *((body, False, False) for body in BLIND),
        *((body, True, "context == context" in body or "(if" in body or "inner" in body) for body in SEEING),
        (FACTOR, False, True),
    ]:
        sight = Sight.of(parse_rules(f'@id("a") permit(principal, action, resource) {body};'))
        assert (sight.moment, sight.second_factor) == (moment, factor), body
    assert Sight.of(SHIPPED.rules.values()) == Sight(moment=False, second_factor=False)


def decided_twice(cedar: CedarAuthorizer, world: World) -> tuple[Decision, Decision]:
    how = but_for({3: timedelta(hours=5)})
    first = cedar.decide(world, known(world, how), ADD, Resource("Project", "p0", "p0"), how[4])
    world.clock.advance(minutes=1)
    return first, cedar.decide(world, known(world, how), ADD, Resource("Project", "p0", "p0"), how[4])


def test_a_decision_is_remembered_unless_policies_see_the_moment() -> None:
    """The same request a minute later is answered from memory, unless a policy looks at the clock.

    The evidence holds the circumstances of each request either way.
    """
    world = World()
    cedar = authorizer(world.clock)
    first, again = decided_twice(cedar, world)
    assert again.reasons is first.reasons
    assert first.evidence["context"]["now"] < again.evidence["context"]["now"]
    world.publish("", f'@id("own/0@1") forbid(principal, action, resource) {SEEING[0]};')
    first, again = decided_twice(cedar, world)
    assert again.reasons is not first.reasons
    assert first.evidence["context"]["now"] < again.evidence["context"]["now"]


def test_a_decision_that_failed_is_made_again() -> None:
    """An error of the engine is a deny, and is not remembered: the next request asks the engine again."""
    world = World()
    cedar = authorizer(world.clock)
    world.publish("", '@id("own/0@1") permit(principal, action, resource) when { context.nothing };')
    first, again = decided_twice(cedar, world)
    assert (first.allowed, again.allowed) == (False, False)
    assert first.errors
    assert again.errors
    assert again.reasons is not first.reasons
