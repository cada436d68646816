"""The engine's traps, each as it is, and the rule that keeps us out of it."""

from __future__ import annotations

import json

import cedarpy
import pytest

from charter import ADD, READ, TABLE, authorizer, dataset
from muniment.errors import Invalid
from muniment.identity.model import Account, Role, RoleGrant, Standing, SubjectKind
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.verb import Resource
from muniment.policy.cedar import Link, Question, RuleSet, Schema, check_rules, parse_rules
from muniment.policy.ports import Facts
from muniment.policy.schema import build_schema
from muniment.policy.slice import make_context, make_slice
from muniment.testing.fakes import FakeClock

CLOCK = FakeClock()
SCHEMA = Schema(build_schema(TABLE))
ALL = '@id("all") permit(principal, action, resource in Installation::"muniment");'


def question(resource: Resource | None = None, action: str = READ.action, principal: str = "ana") -> Question:
    """Ana, who holds no role, asks to read a data set."""
    account = Account("ana", PrincipalKind.USER, None, CLOCK.now(), "root")
    who = Principal(PrincipalKind.USER, "ana")
    seen = make_slice(
        who, Standing(account, (), ()), resource or dataset("credit", "d"), READ.on.attributes, CLOCK.now()
    )
    known = Authentication(who, "token", CLOCK.now(), "10.0.0.1", "c")
    asked = seen.question(action, make_context(known, CLOCK.now(), (action, ""), Facts()).record())
    return Question((asked.principal[0], principal), asked.action, asked.resource, asked.context, asked.entities)


def test_without_traps_the_engine_allows() -> None:
    """The question of this module is allowed when a policy permits it, so each refusal below has its own reason."""
    answer = RuleSet(parse_rules(ALL)).ask(question(), SCHEMA)
    assert (answer.allowed, answer.deciders, answer.errors) == (True, ("all",), ())


def test_trap_1_a_forbid_that_errs_denies() -> None:
    """Cedar skips a forbid that errs and allows; we deny, and the validator refuses such a policy beforehand."""
    text = ALL + '@id("broken") forbid(principal, action, resource) when { context.missing };'
    raw = cedarpy.is_authorized(
        {"principal": 'User::"ana"', "action": f'Action::"{READ.action}"', "resource": 'Dataset::"d"', "context": "{}"},
        text,
        question().entities,
    )
    assert raw.allowed, "the engine no longer skips a forbid that errs: relax the rule with care"
    answer = RuleSet(parse_rules(text)).ask(question(), SCHEMA)
    assert not answer.allowed
    assert "missing" in answer.errors[0]
    with pytest.raises(Invalid) as refused:
        check_rules(text, SCHEMA.text)
    assert "missing" in str(refused.value.facts["findings"])


def test_trap_2_a_resource_that_is_not_in_the_slice_is_denied() -> None:
    """An absent resource makes a forbid err and be skipped; errors deny, and a bounded permit does not match it."""
    forbid = '@id("own") forbid(principal, action, resource is Dataset) when { resource.author == principal };'
    asked = question()
    absent = Question(asked.principal, asked.action, ("Dataset", "other"), asked.context, asked.entities)
    open_ = RuleSet(parse_rules('@id("open") permit(principal, action, resource);' + forbid)).ask(absent, SCHEMA)
    assert not open_.allowed
    assert open_.errors
    bounded = RuleSet(parse_rules(ALL)).ask(absent, SCHEMA)
    assert (bounded.allowed, bounded.deciders) == (False, ())


def test_trap_3_a_slice_that_does_not_fit_the_schema_is_denied() -> None:
    """A missing, surplus or mistyped attribute is an error of the slice, whatever the policies say."""
    good = dataset("credit", "d")
    for attributes in (
        {k: v for k, v in good.attributes.items() if k != "author"},
        {**good.attributes, "surplus": "x"},
        {**good.attributes, "size": "seven"},
    ):
        answer = RuleSet(parse_rules(ALL)).ask(question(Resource("Dataset", "d", "credit", attributes)), SCHEMA)
        assert not answer.allowed
        assert answer.errors


def test_trap_4_the_validator_passes_what_can_never_match() -> None:
    """A policy that can never match fits the schema without a word: only the tests of a publication find it."""
    impossible = "context.mfa_age_s > 5 && context.mfa_age_s < 3"
    never = f'@id("own/never@1") forbid(principal, action, resource) when {{ {impossible} }};'
    check_rules(never, SCHEMA.text)


def test_trap_5_ids_are_ours_and_unique() -> None:
    """A policy without @id, or with another's, is refused; deciders are named by @id wherever a policy stands."""
    with pytest.raises(Invalid, match="needs an @id"):
        parse_rules("permit(principal, action, resource);")
    with pytest.raises(Invalid, match="two policies"):
        parse_rules(ALL + ALL)
    for text in (ALL + '@id("z") permit(principal, action, resource == Project::"x");',
                 '@id("z") permit(principal, action, resource == Project::"x");' + ALL):  # fmt: skip
        assert RuleSet(parse_rules(text)).ask(question(), SCHEMA).deciders == ("all",)


def test_trap_6_an_invalid_schema_is_refused() -> None:
    """A schema that does not parse is an error, never ignored; nor is a policy checked against one."""
    for broken in ("entity", "{", 'action "a" appliesTo { principal: [Nobody], resource: [Nobody] };'):
        with pytest.raises(Invalid):
            Schema(broken)
        with pytest.raises((Invalid, ValueError)):
            check_rules(ALL, broken)


@pytest.mark.parametrize("action", ["data:Nothing", "data:write", "", 'x"; permit'])
def test_an_action_that_does_not_exist_is_denied(action: str) -> None:
    """No decision is a deny: an unknown action, or a group in place of an action, is never allowed."""
    answer = RuleSet(parse_rules(ALL)).ask(question(action=action), SCHEMA)
    assert not answer.allowed
    assert answer.errors


def test_an_action_on_the_wrong_kind_is_denied() -> None:
    """An action of projects asked for on a data set is no decision, hence a deny."""
    answer = RuleSet(parse_rules(ALL)).ask(question(action=ADD.action), SCHEMA)
    assert not answer.allowed
    assert answer.errors


@pytest.mark.parametrize("ip", ["", "testclient", "10.0.0.256", '1"}'])
def test_an_address_that_is_none_is_denied(ip: str) -> None:
    """A context that cannot be built is an error, hence a deny."""
    asked = question()
    context = json.loads(asked.context)
    context["ip"]["__extn"]["arg"] = ip
    odd = Question(asked.principal, asked.action, asked.resource, json.dumps(context), asked.entities)
    answer = RuleSet(parse_rules(ALL)).ask(odd, SCHEMA)
    assert not answer.allowed
    assert answer.errors


def test_garbage_from_the_slice_never_raises() -> None:
    """Whatever the engine is given, the answer is a value, and it is no."""
    asked = question()
    for entities in ("", "[", "null", '[{"uid":1}]'):
        odd = Question(asked.principal, asked.action, asked.resource, asked.context, entities)
        assert not RuleSet(parse_rules(ALL)).ask(odd, SCHEMA).allowed


@pytest.mark.parametrize("name", ['x"y', "x\ny", 'ana", User::"root', "ana\\", "日本"])
def test_names_never_become_policy_text(name: str) -> None:
    """Ids reach the engine as data, so no name can widen a grant."""
    template = '@id("role/scientist@1") permit(principal in ?principal, action, resource in ?resource);'
    link = Link("g", "scientist", ("User", name), ("Project", "credit"))
    answer = RuleSet(parse_rules(template)).linked([link]).ask(question(), SCHEMA)
    assert (answer.allowed, answer.errors) == (False, ())


def test_a_link_of_an_unknown_role_permits_nothing() -> None:
    """A grant of a role that the policy set does not know is no grant."""
    link = Link("g", "ghost", ("User", "ana"), ("Project", "credit"))
    assert not RuleSet(parse_rules("")).linked([link]).ask(question(), SCHEMA).allowed


def test_nothing_is_allowed_after_the_engine_failed() -> None:
    """Roles that would permit do not help when another policy errs in the same decision."""
    rules = authorizer(CLOCK).sets.in_force({}, "credit", None).rules  # type: ignore[arg-type]
    broken = parse_rules('@id("own/broken@1") forbid(principal, action, resource) when { context.missing };')
    account = Account("ana", PrincipalKind.USER, None, CLOCK.now(), "root")
    grant = RoleGrant("g", SubjectKind.USER, "ana", Role.SCIENTIST, "credit", CLOCK.now(), None, "root")
    who = Principal(PrincipalKind.USER, "ana")
    seen = make_slice(who, Standing(account, (), (grant,)), dataset("credit", "d"), READ.on.attributes, CLOCK.now())
    context = make_context(Authentication(who, "token", CLOCK.now(), "10.0.0.1", "c"), CLOCK.now(), ("", ""), Facts())
    asked = seen.question(READ.action, context.record())
    assert RuleSet(rules.values()).linked(seen.links).ask(asked, SCHEMA).allowed
    answer = RuleSet([*rules.values(), *broken]).linked(seen.links).ask(asked, SCHEMA)
    assert not answer.allowed
    assert answer.errors
