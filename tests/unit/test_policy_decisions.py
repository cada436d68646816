"""Decisions over the shipped roles, with rights from the store: allowed, denied, in words, and replayable evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from charter import ADD, LEASE, LIST, READ, ROTATE, SEARCH, TABLE, authorizer, dataset, declare, known_as
from desk import Desk, make_administrators
from muniment.adapters.sql.store import SqlStore
from muniment.errors import Invalid, NotFound
from muniment.identity.model import Role
from muniment.identity.people import (
    add_group,
    add_member,
    add_project,
    add_service_account,
    add_user,
    disable_user,
    grant_role,
    remove_member,
    revoke_role,
)
from muniment.identity.service import VERBS as IDENTITY
from muniment.kernel.canonical import canonical
from muniment.kernel.identifiers import format_time
from muniment.kernel.principal import PrincipalKind
from muniment.kernel.verb import Resource, ResourceKind
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.cedar import check_rules, parse_rules
from muniment.policy.ports import Decision
from muniment.policy.schema import GROUPS, build_schema, group_of
from muniment.policy.sets import shipped
from muniment.testing.fakes import FakeClock
from muniment.wire import identity as wire
from statements import reading

CREDIT = Resource("Project", "credit", "credit")
FRAUD = Resource("Project", "fraud", "fraud")
HERE = Resource("Installation", "muniment", None)
WHO_AM_I = next(verb for verb in IDENTITY if verb.action == "identity:WhoAmI")


@pytest.fixture
def desk(sqlite_store: SqlStore, clock: FakeClock) -> Desk:
    """Administrators root and rita; ana, bob, the program robot of ana's; the projects credit and fraud."""
    desk = Desk(sqlite_store, clock)
    make_administrators(desk)
    for name in ("ana", "bob"):
        desk.ask(add_user, wire.AddUser(name=name))
    desk.ask(add_service_account, wire.AddServiceAccount(name="robot", owner="ana"))
    for name in ("credit", "fraud"):
        desk.ask(add_project, wire.AddProject(name=name))
    return desk


@pytest.fixture
def cedar(clock: FakeClock) -> CedarAuthorizer:
    return authorizer(clock)


def decide(desk: Desk, cedar: CedarAuthorizer, name, verb, resource, **more) -> Decision:
    kind = more.pop("kind", PrincipalKind.USER)
    with desk.store.read() as session:
        return cedar.decide(session, known_as(name, desk.clock, kind, **more), verb, resource)


def grant(desk: Desk, subject: str, role: str, scope: str | None = None, **more: str):
    return desk.ask(grant_role, wire.GrantRole(subject=subject, role=role, scope=scope, **more))


def test_without_a_role_everything_is_denied_but_oneself(desk: Desk, cedar: CedarAuthorizer) -> None:
    """Default deny: an account without grants may look after itself and nothing else."""
    for verb, resource in ((ADD, CREDIT), (LIST, CREDIT), (READ, dataset("credit", "d")), (SEARCH, HERE)):
        decision = decide(desk, cedar, "ana", verb, resource)
        assert (decision.allowed, decision.policies, decision.errors) == (False, (), ())
    assert decide(desk, cedar, "ana", WHO_AM_I, HERE).policies == ("core/self@1",)


def test_a_role_counts_where_it_is_held(desk: Desk, cedar: CedarAuthorizer) -> None:
    """A scientist of credit adds data there, not in fraud; the deciding policy is the role's template."""
    grant(desk, "ana", "scientist", "credit")
    allowed = decide(desk, cedar, "ana", ADD, CREDIT)
    assert (allowed.allowed, allowed.policies) == (True, ("role/scientist@1",))
    assert not decide(desk, cedar, "ana", ADD, FRAUD).allowed
    assert decide(desk, cedar, "ana", READ, dataset("credit", "d")).allowed
    assert not decide(desk, cedar, "ana", READ, dataset("fraud", "d")).allowed


def test_a_role_of_the_installation_counts_everywhere(desk: Desk, cedar: CedarAuthorizer) -> None:
    """A grant without a project reaches each project and the installation."""
    grant(desk, "ana", "auditor")
    assert decide(desk, cedar, "ana", SEARCH, HERE).allowed
    assert decide(desk, cedar, "ana", LIST, FRAUD).allowed
    assert not decide(desk, cedar, "ana", ADD, FRAUD).allowed


def test_rights_of_a_group_come_and_go_with_membership(desk: Desk, cedar: CedarAuthorizer) -> None:
    """A member has what the group has, from the moment he joins to the moment he leaves."""
    desk.ask(add_group, wire.AddGroup(name="risk"))
    grant(desk, "group:risk", "scientist", "credit")
    assert not decide(desk, cedar, "ana", ADD, CREDIT).allowed
    desk.ask(add_member, wire.AddMember(group="risk", member="ana"))
    decision = decide(desk, cedar, "ana", ADD, CREDIT)
    assert decision.allowed
    assert "Group risk is scientist in Project credit" in decision.reasons[0]
    assert not decide(desk, cedar, "bob", ADD, CREDIT).allowed
    desk.ask(remove_member, wire.RemoveMember(group="risk", member="ana"))
    assert not decide(desk, cedar, "ana", ADD, CREDIT).allowed


def test_a_right_ends_at_once(desk: Desk, cedar: CedarAuthorizer) -> None:
    """Revocation, the end date and disabling count from that very moment, also with everything cached."""
    until = format_time(desk.clock.now() + timedelta(hours=1))
    held = grant(desk, "ana", "scientist", "credit")
    grant(desk, "bob", "scientist", "credit", until=until)
    grant(desk, "robot", "scientist", "credit")
    robot = {"kind": PrincipalKind.SERVICE_ACCOUNT}
    for name, kind in (("ana", {}), ("bob", {}), ("robot", robot)):
        assert decide(desk, cedar, name, ADD, CREDIT, **kind).allowed
    desk.ask(revoke_role, wire.RevokeRole(grant=held.id))
    desk.ask(disable_user, wire.DisableUser(name="robot"))
    desk.clock.advance(hours=1)
    assert decide(desk, cedar, "ana", ADD, CREDIT).policies == ()
    assert decide(desk, cedar, "bob", ADD, CREDIT).policies == ()
    assert decide(desk, cedar, "robot", ADD, CREDIT, **robot).policies == ("core/inactive@1",)


def test_a_limited_credential_reaches_no_further(desk: Desk, cedar: CedarAuthorizer) -> None:
    """Limits name groups or actions; outside them the core forbids, whatever the owner may."""
    grant(desk, "ana", "scientist", "credit")
    for limits, may_add in ((["data:write"], True), (["data:AddDataset"], True), (["data:read"], False), ([], False)):
        decision = decide(desk, cedar, "ana", ADD, CREDIT, actions=frozenset(limits))
        assert decision.allowed is may_add
        assert decision.policies == (("role/scientist@1",) if may_add else ("core/limited@1",))
    # naming what the owner may not gives nothing
    assert not decide(desk, cedar, "ana", ROTATE, CREDIT, actions=frozenset({"key:manage"})).allowed


def test_a_held_authentication_ends_with_its_credential(desk: Desk, cedar: CedarAuthorizer) -> None:
    """Policy looks at the expiry again at each decision, for connections that outlive their credential."""
    grant(desk, "ana", "scientist", "credit")
    known = known_as("ana", desk.clock, expires=desk.clock.now() + timedelta(minutes=1))
    for advance, allowed in ((59, True), (1, False)):
        desk.clock.advance(seconds=advance)
        with desk.store.read() as session:
            assert cedar.decide(session, known, ADD, CREDIT).allowed is allowed


def test_internal_verbs_are_the_platforms_own(desk: Desk, cedar: CedarAuthorizer) -> None:
    """Nobody leases runs but the platform; the platform does nothing else by policy."""
    system = {"kind": PrincipalKind.SYSTEM}
    assert decide(desk, cedar, "worker", LEASE, HERE, **system).policies == ("core/system@1",)
    assert not decide(desk, cedar, "worker", ADD, CREDIT, **system).allowed
    assert decide(desk, cedar, "root", LEASE, HERE).policies == ("core/system-only@1",)


def test_who_has_no_account_is_not_found(desk: Desk, cedar: CedarAuthorizer) -> None:
    """A principal without a row, or of another kind than its row, gets no decision at all."""
    for name, kind in (("nobody", PrincipalKind.USER), ("ana", PrincipalKind.SERVICE_ACCOUNT)):
        with pytest.raises(NotFound):
            decide(desk, cedar, name, ADD, CREDIT, kind=kind)


def test_a_denial_says_who_may(desk: Desk, cedar: CedarAuthorizer) -> None:
    """When nothing permits, the words name the roles held and the roles that would."""
    grant(desk, "ana", "validator", "credit")
    words = " ".join(decide(desk, cedar, "ana", ADD, CREDIT).reasons)
    assert "no policy permits data:AddDataset" in words
    assert "validator" in words
    assert "scientist" in words


def test_evidence_is_json_without_floats_and_small(desk: Desk, cedar: CedarAuthorizer) -> None:
    """What goes into the ledger entry is canonical JSON, names policy set and slice, and stays below 2 KiB."""
    grant(desk, "ana", "scientist", "credit")
    evidence = decide(desk, cedar, "ana", READ, dataset("credit", "d")).evidence
    assert len(canonical(dict(evidence))) < 2048
    assert evidence["policy_set"].startswith("sha256:")
    assert evidence["slice"].startswith("sha256:")
    assert evidence["attributes"]["readers"] == ["ana", "bob"]


def test_the_slice_digest_tells_worlds_apart(desk: Desk, cedar: CedarAuthorizer) -> None:
    """Another grant, attribute or resource gives another slice; the same world gives the same one."""
    grant(desk, "ana", "scientist", "credit")
    seen = [decide(desk, cedar, "ana", READ, dataset("credit", "d")) for _ in range(2)]
    seen += [decide(desk, cedar, "ana", READ, dataset("credit", "d", classification="public"))]
    seen += [decide(desk, cedar, "ana", READ, dataset("credit", "e"))]
    grant(desk, "ana", "validator", "fraud")
    seen += [decide(desk, cedar, "ana", READ, dataset("credit", "d"))]
    digests = [decision.evidence["slice"] for decision in seen]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_shipped_policies_fit_the_schema_and_cover_the_roles() -> None:
    """Core and roles validate, each role is exactly one template with a reason, and permits known groups only."""
    schema = build_schema(TABLE)
    for bundle in ("core", "roles"):
        check_rules(shipped(bundle), schema)
    roles = parse_rules(shipped("roles"))
    assert [rule.id for rule in roles] == sorted(f"role/{role.value}@1" for role in Role)
    assert all(rule.template and rule.reason and rule.actions is not None for rule in roles)
    assert {group for rule in roles for group in rule.actions or ()} | {"identity:self"} == set(GROUPS)
    core = parse_rules(shipped("core"))
    assert all(rule.id.startswith("core/") and rule.reason and not rule.template for rule in core)
    assert not any(rule.resource_open for rule in [*roles, *core] if rule.effect == "permit")


def test_a_new_verb_in_a_known_group_needs_no_policy(desk: Desk, clock: FakeClock) -> None:
    """A verb added to the table is permitted to the roles of its group, with the policies as they are."""
    extra = declare("data:PolishDataset", READ.on, "data:write")
    cedar = CedarAuthorizer([*TABLE, extra], clock)
    grant(desk, "ana", "scientist", "credit")
    assert decide(desk, cedar, "ana", extra, dataset("credit", "d")).allowed
    assert not decide(desk, cedar, "bob", extra, dataset("credit", "d")).allowed


def test_a_verb_that_no_role_permits_cannot_be_declared() -> None:
    """A group outside the roles, or an attribute of no known type, is refused when the schema is built."""
    with pytest.raises(Invalid, match="no role permits"):
        build_schema([declare("data:Gamble", READ.on, "data:gamble")])
    odd = ResourceKind("Odd", "odds", "dataset", READ.on.locate, attributes={"x": "Decimal128<3>"})
    with pytest.raises(Invalid, match="no attribute type"):
        build_schema([declare("data:Odd", odd, "data:read")])
    assert group_of(LEASE) == "platform:internal"


def test_a_decision_asks_the_store_twice(desk: Desk, cedar: CedarAuthorizer) -> None:
    """One question for the rights, one for the policies in force; nothing in between is remembered from before."""
    with reading(desk.store) as (session, statements):
        cedar.decide(session, known_as("ana", desk.clock), ADD, CREDIT)
        assert len(statements) == 2
