"""Policies of an institution's own: what is refused, what comes into force where, and decisions made again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from charter import ADD, LIST, READ, ROTATE, TABLE, authorizer, dataset, known_as
from desk import Desk, make_administrators
from muniment.adapters.sql.store import SqlStore
from muniment.errors import IntegrityError, Invalid, NotFound
from muniment.identity.people import add_project, add_user, grant_role, revoke_role
from muniment.kernel.verb import Resource
from muniment.ledger.service import Ledger
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.service import (
    explain_decision,
    publish_policies,
    replay_decision,
    show_policies,
)
from muniment.policy.service import (
    test_policies as try_policies,
)
from muniment.policy.sets import shipped_tests
from muniment.testing.fakes import FakeClock
from muniment.wire import identity as people
from muniment.wire.policy import (
    ExplainDecision,
    PolicyTest,
    PublishPolicies,
    ReplayDecision,
    ShowPolicies,
)
from muniment.wire.policy import (
    TestGrant as Held,
)
from muniment.wire.policy import (
    TestPolicies as TryPolicies,
)

CREDIT = Resource("Project", "credit", "credit")
FRAUD = Resource("Project", "fraud", "fraud")

OFFICE = '@id("own/office@1") @reason("data come in from the office only") forbid(principal, action == \
Action::"data:AddDataset", resource) unless { context.ip.isInRange(ip("10.0.0.0/8")) };'


def case(name: str, expect: str, *by: str, **more: Any) -> PolicyTest:
    """A scientist of credit adds data."""
    grants = [Held(role="scientist", scope="credit")]
    facts = {"action": ADD.action, "grants": grants, "project": "credit"} | more
    return PolicyTest(name=name, expect=expect, by=list(by), **facts)


INSIDE = case("from the office", "allow", "role/scientist@1")
OUTSIDE = case("from elsewhere", "deny", "own/office@1", context={"ip": "192.0.2.1"})


@pytest.fixture
def desk(sqlite_store: SqlStore, clock: FakeClock) -> Desk:
    """Administrators root and rita, the scientist ana, and the projects credit and fraud."""
    desk = Desk(sqlite_store, clock)
    make_administrators(desk)
    desk.ask(add_user, people.AddUser(name="ana"))
    for name in ("credit", "fraud"):
        desk.ask(add_project, people.AddProject(name=name))
        desk.ask(grant_role, people.GrantRole(subject="ana", role="scientist", scope=name))
    cedar = authorizer(clock)
    cedar.install(sqlite_store)
    desk.services[CedarAuthorizer] = cedar
    clock.advance(seconds=1)
    return desk


def decide(desk: Desk, verb, resource, ip: str = "10.0.0.1"):
    cedar: CedarAuthorizer = desk.services[CedarAuthorizer]
    with desk.store.read() as session:
        return cedar.decide(session, known_as("ana", desk.clock, ip=ip), verb, resource)


def publish(desk: Desk, text: str, tests: list[PolicyTest], scope: str | None = None):
    return desk.ask(publish_policies, PublishPolicies(scope=scope, text=text, tests=tests))


def test_a_policy_comes_into_force_at_once(desk: Desk) -> None:
    """From the commit on, what was published decides; the version before does no more."""
    assert decide(desk, ADD, CREDIT, "192.0.2.1").allowed
    first = publish(desk, OFFICE, [INSIDE, OUTSIDE])
    assert first.version == 1
    denied = decide(desk, ADD, CREDIT, "192.0.2.1")
    assert (denied.allowed, denied.policies, denied.policy_set) == (False, ("own/office@1",), first.policy_set)
    assert "office only" in denied.reasons[0]
    second = publish(desk, "", [])
    assert second.version == 2
    assert decide(desk, ADD, CREDIT, "192.0.2.1").allowed
    shown = desk.ask(show_policies, ShowPolicies())
    assert [(each.version, each.published_by) for each in shown.publications] == [(2, "root"), (1, "root")]
    # the same texts are the same set, whoever published them when
    assert publish(desk, OFFICE, [INSIDE, OUTSIDE]).policy_set == first.policy_set


def test_a_projects_policy_decides_in_that_project_alone(desk: Desk) -> None:
    """What is published for credit is not even looked at in fraud; the whole installation's counts in both."""
    text = OFFICE.replace("resource)", 'resource in Project::"credit")')
    publish(desk, text, [INSIDE, OUTSIDE], scope="credit")
    assert not decide(desk, ADD, CREDIT, "192.0.2.1").allowed
    assert decide(desk, ADD, FRAUD, "192.0.2.1").allowed
    everywhere = text.replace('"credit"', '"fraud"').replace("office@1", "office@2")
    tests = [
        case("in", "allow", "role/scientist@1", project="fraud", grants=[Held(role="scientist")]),
        case("out", "deny", "own/office@2", project="fraud", context={"ip": "192.0.2.1"}),
    ]
    publish(desk, everywhere, tests)
    assert not decide(desk, ADD, FRAUD, "192.0.2.1").allowed
    assert decide(desk, ADD, CREDIT, "192.0.2.1").policies == ("own/office@1",)
    shown = desk.ask(show_policies, ShowPolicies(scope="credit"))
    assert {policy.id: policy.origin for policy in shown.policies}["own/office@1"] == "project"
    assert "own/office@2" not in {policy.id for policy in shown.policies}
    assert set(shown.texts) == {"core", "roles", "installation", "project"}


FAIL: dict[str, tuple[str, list[PolicyTest], str]] = {
    "does not parse": ("permit(", [], "parse"),
    "has no id": ("forbid(principal, action, resource);", [], "@id"),
    "claims to be core": (OFFICE.replace("own/office@1", "core/inactive@1"), [INSIDE, OUTSIDE], "own/"),
    "is a template": (
        '@id("own/t@1") permit(principal in ?principal, action, resource in ?resource);',
        [INSIDE],
        "template",
    ),
    "permits on everything": ('@id("own/p@1") permit(principal, action, resource);', [INSIDE], "every resource"),
    "permits on a whole kind": (
        '@id("own/p@1") permit(principal, action, resource is Dataset);',
        [INSIDE],
        "every resource",
    ),
    "does not fit the schema": (OFFICE.replace("context.ip", "context.address"), [INSIDE, OUTSIDE], "schema"),
    "names no action of ours": (OFFICE.replace("data:AddDataset", "data:Nothing"), [INSIDE, OUTSIDE], "schema"),
    "decides in no test": (OFFICE, [INSIDE], "pass"),
    "is never tried from the other side": (OFFICE, [OUTSIDE], "pass"),
    "can never match": (OFFICE.replace("unless", "when { context.mfa_age_s < 0 } unless"), [INSIDE, OUTSIDE], "pass"),
    "is tested from the other side by another action only": (
        OFFICE,
        [OUTSIDE, case("list", "allow", "role/scientist@1", action=LIST.action)],
        "pass",
    ),
    "decides otherwise than tested": (OFFICE, [INSIDE, case("x", "allow", context={"ip": "192.0.2.1"})], "pass"),
    "is tested with a wrong decider": (OFFICE, [INSIDE, OUTSIDE, case("x", "allow", "own/office@1")], "pass"),
    "is tested by the impossible": (OFFICE, [INSIDE, OUTSIDE, case("x", "deny", action="data:Nothing")], "possible"),
    "is tested with an unknown role": (
        OFFICE,
        [INSIDE, OUTSIDE, case("x", "deny", grants=[Held(role="god")])],
        "possible",
    ),
    "is tested without a project": (OFFICE, [INSIDE, OUTSIDE, case("x", "deny", project=None)], "possible"),
    "is tested in a made-up context": (OFFICE, [INSIDE, OUTSIDE, case("x", "deny", context={"moon": 1})], "possible"),
}


@pytest.mark.parametrize(("text", "tests", "says"), FAIL.values(), ids=FAIL)
def test_a_policy_is_refused_that(desk: Desk, text: str, tests: list[PolicyTest], says: str) -> None:
    """Each of these never comes into force, and what was in force stays."""
    before = decide(desk, ADD, CREDIT, "192.0.2.1").policy_set
    with pytest.raises(Invalid, match=says):
        publish(desk, text, tests)
    assert decide(desk, ADD, CREDIT, "192.0.2.1").policy_set == before


def test_a_projects_publication_stays_in_its_project(desk: Desk) -> None:
    """A policy that is not confined to the project, or to another one, cannot be published for it."""
    for text in (OFFICE, OFFICE.replace("resource)", 'resource in Project::"fraud")')):
        with pytest.raises(Invalid, match="confined"):
            publish(desk, text, [INSIDE, OUTSIDE], scope="credit")
    with pytest.raises(NotFound):
        publish(desk, OFFICE, [INSIDE, OUTSIDE], scope="nowhere")


def test_an_id_in_force_elsewhere_is_taken(desk: Desk) -> None:
    """Two scopes never carry one @id: a decision must name one policy."""
    publish(desk, OFFICE, [INSIDE, OUTSIDE])
    with pytest.raises(Invalid, match="another scope"):
        publish(desk, OFFICE.replace("resource)", 'resource in Project::"credit")'), [INSIDE, OUTSIDE], "credit")


def test_a_project_may_be_stricter_than_the_installation(desk: Desk) -> None:
    """Each table of tests runs against what it was written for: a project's own forbid breaks no table above it."""
    publish(desk, OFFICE, [INSIDE, OUTSIDE])
    text = '@id("own/closed@1") forbid(principal, action == Action::"data:AddDataset", resource in Project::"credit");'
    listing = case("listing is not adding", "allow", "role/scientist@1", action=LIST.action)
    with pytest.raises(Invalid, match="pass"):
        publish(desk, text, [case("closed", "deny", "own/closed@1"), listing], scope="credit")
    text = text.replace(");", ') unless { context.purpose == "pd" };')
    purposes = [
        case("closed", "deny", "own/closed@1"),
        case("pd", "allow", "role/scientist@1", context={"purpose": "pd"}),
    ]
    publish(desk, text, purposes, scope="credit")
    report = desk.ask(try_policies, TryPolicies(scope="credit"))
    assert report.ok
    assert len(report.outcomes) == len(shipped_tests()) + 4


def test_a_draft_is_examined_without_coming_into_force(desk: Desk) -> None:
    """Testing a draft shows each outcome and what the tests leave open, and changes nothing."""
    report = desk.ask(try_policies, TryPolicies(text=OFFICE, tests=[INSIDE]))
    assert not report.ok
    assert "decides in no test" in report.findings[0]
    good = desk.ask(try_policies, TryPolicies(text=OFFICE, tests=[INSIDE, OUTSIDE]))
    assert good.ok
    assert decide(desk, ADD, CREDIT, "192.0.2.1").allowed


def test_what_is_in_force_is_tested_as_a_whole(desk: Desk) -> None:
    """The shipped tests and those that were published run against what decides now."""
    shipped = desk.ask(try_policies, TryPolicies())
    assert shipped.ok
    assert len(shipped.outcomes) == len(shipped_tests())
    publish(desk, OFFICE, [INSIDE, OUTSIDE])
    after = desk.ask(try_policies, TryPolicies())
    assert after.ok
    assert len(after.outcomes) == len(shipped.outcomes) + 2


def test_the_core_cannot_be_overridden(desk: Desk) -> None:
    """A permit for everything in the installation permits nothing that the core forbids."""
    text = '@id("own/all@1") permit(principal, action, resource in Installation::"muniment");'
    tests = [
        case("all", "allow", "own/all@1", grants=[]),
        case("but", "deny", "core/expired@1", context={"expires": "2020-01-01T00:00:00Z"}),
    ]
    publish(desk, text, tests)
    assert decide(desk, ADD, CREDIT).policies == ("own/all@1", "role/scientist@1")
    assert decide(desk, ROTATE, CREDIT).policies == ("core/segregation@1",)
    with desk.store.read() as session:
        limited = known_as("ana", desk.clock, actions=frozenset({"data:read"}))
        assert desk.services[CedarAuthorizer].decide(session, limited, ADD, CREDIT).policies == ("core/limited@1",)


def test_explaining_says_what_would_be_decided(desk: Desk) -> None:
    """Explaining names decision, deciders and reasons for anybody, action and resource, without doing it."""
    told = desk.ask(
        explain_decision, ExplainDecision(principal="ana", action=READ.action, on_project="credit", reference="d")
    )
    assert (told.decision, told.policies, told.resource) == ("allow", ["role/scientist@1"], "Dataset:d")
    told = desk.ask(explain_decision, ExplainDecision(principal="ana", action="vault:RotateKey", on_project="credit"))
    assert (told.decision, told.policies) == ("deny", ["core/segregation@1"])
    for wrong in (
        ExplainDecision(principal="nobody", action=READ.action, on_project="credit"),
        ExplainDecision(principal="ana", action="data:Nothing"),
        ExplainDecision(principal="ana", action=ADD.action, on_project="nowhere"),
    ):
        with pytest.raises(NotFound):
            desk.ask(explain_decision, wrong)


def record(desk: Desk, decision: Any, verb: Any, resource: Resource) -> None:
    """Let the ledger hold one entry, as the gate writes it."""
    data = {
        "principal": "User:ana",
        "action": verb.action,
        "resource": f"{resource.kind}:{resource.id}",
        "project": resource.project or "",
        "outcome": "ok",
    } | dict(decision.evidence)
    desk.services[Ledger] = SimpleNamespace(entry=lambda key: SimpleNamespace(event={"data": data}))


def test_a_decision_is_made_again_from_its_record(desk: Desk) -> None:
    """Years later, with other policies, roles and code in between, the recorded decision comes out the same."""
    publish(desk, OFFICE, [INSIDE, OUTSIDE])
    resource = dataset("credit", "d")
    for verb, what, ip in ((ADD, CREDIT, "10.0.0.1"), (ADD, CREDIT, "192.0.2.1"), (READ, resource, "::1")):
        decision = decide(desk, verb, what, ip)
        record(desk, decision, verb, what)
        desk.clock.advance(days=1)
        publish(desk, "", [])
        held = desk.ask(grant_role, people.GrantRole(subject="ana", role="validator", scope="credit"))
        desk.services[CedarAuthorizer] = CedarAuthorizer([*TABLE], desk.clock)
        again = desk.ask(replay_decision, ReplayDecision(entry="1"))
        assert again.verdict == "same"
        assert again.again is not None
        assert (again.again.decision == "allow", tuple(again.again.policies)) == (decision.allowed, decision.policies)
        assert again.again.slice == decision.evidence["slice"]
        desk.ask(revoke_role, people.RevokeRole(grant=held.id))
        desk.clock.advance(days=1)
        publish(desk, OFFICE, [INSIDE, OUTSIDE])


def test_a_world_that_cannot_be_rebuilt_is_said_to_be_so(desk: Desk) -> None:
    """When a row of the past was altered, the slice digest tells, and no decision is claimed."""
    record(desk, decide(desk, ADD, CREDIT), ADD, CREDIT)
    with desk.store.engine.begin() as connection:
        connection.exec_driver_sql("update identity_grants set role = 'auditor' where subject = 'ana'")
    again = desk.ask(replay_decision, ReplayDecision(entry="1"))
    assert (again.verdict, again.again) == ("not replayable", None)
    record(desk, SimpleNamespace(evidence={}), ADD, CREDIT)
    assert desk.ask(replay_decision, ReplayDecision(entry="1")).verdict == "not replayable"


def test_an_altered_policy_text_decides_nothing(desk: Desk) -> None:
    """A publication whose bytes no longer match their digest stops every decision that would rest on it."""
    published = publish(desk, OFFICE, [INSIDE, OUTSIDE])
    with desk.store.engine.begin() as connection:
        altered = "update policy_documents set document = x'00' where digest = ?"
        connection.exec_driver_sql(altered, (published.document,))
    desk.services[CedarAuthorizer] = authorizer(desk.clock)
    with pytest.raises(IntegrityError):
        decide(desk, ADD, CREDIT)
