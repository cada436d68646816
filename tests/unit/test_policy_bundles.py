"""The shipped roles and core with every verb of the product: what the table of policy tests says is what is decided."""

from __future__ import annotations

import pytest

from muniment.bootstrap import VERBS
from muniment.identity.model import Role
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.cedar import check_rules
from muniment.policy.publishing import make_case, untested
from muniment.policy.schema import INTERNAL, group_of
from muniment.policy.sets import PolicySet, shipped, shipped_tests
from muniment.testing.fakes import FakeClock
from muniment.wire.policy import PolicyTest
from muniment.wire.policy import TestGrant as Held


@pytest.fixture(scope="module")
def cedar() -> CedarAuthorizer:
    return CedarAuthorizer(VERBS, FakeClock())


@pytest.fixture(scope="module")
def policies(cedar: CedarAuthorizer) -> PolicySet:
    """What decides where nothing was published."""
    return cedar.sets.in_force({}, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("test", shipped_tests(), ids=lambda test: test.name)
def test_the_shipped_table(cedar: CedarAuthorizer, policies: PolicySet, test: PolicyTest) -> None:
    """Each row of the bundle gives the decision and names the deciding policies that it says."""
    case = make_case(test, cedar.verbs)
    outcome = case.outcome(cedar.evaluate(policies, case.seen, case.resource, case.action, case.context))
    assert (outcome.got, outcome.by) == (test.expect, sorted(test.by)), outcome.reasons


def test_the_table_leaves_no_policy_open(cedar: CedarAuthorizer, policies: PolicySet) -> None:
    """Every shipped policy decides in some row and is tried from the other side in another."""
    cases = [make_case(test, cedar.verbs) for test in shipped_tests()]
    assert untested(policies.rules.values(), cases) == []


@pytest.mark.parametrize("bundle", ["core", "roles"])
def test_the_bundles_fit_the_whole_schema(cedar: CedarAuthorizer, bundle: str) -> None:
    """Core and roles validate against the schema of the whole product."""
    check_rules(shipped(bundle), cedar.sets.schema_text)


def test_every_verb_is_for_somebody_and_none_is_for_everybody(cedar: CedarAuthorizer, policies: PolicySet) -> None:
    """For each verb: who holds no role is denied unless it is his own affair; some role or the platform is allowed."""
    for action, verb in cedar.verbs.items():
        project = "credit" if verb.on.in_project else None

        def allowed(**who: object) -> bool:
            test = PolicyTest(name=action, action=action, expect="allow", project=project, **who)  # noqa: B023
            case = make_case(test, cedar.verbs)
            return cedar.evaluate(policies, case.seen, case.resource, case.action, case.context).allowed

        own = group_of(verb) == "identity:self"
        assert allowed() is own, action
        someone = [allowed(grants=[Held(role=role.value)]) for role in Role]
        someone.append(allowed(kind="System", principal="worker"))
        assert any(someone), action
        if group_of(verb) == INTERNAL:
            assert someone == [False] * len(Role) + [True], action


def test_no_role_of_another_project_opens_anything(cedar: CedarAuthorizer, policies: PolicySet) -> None:
    """For each verb in a project, every role held in another project is denied."""
    for action, verb in cedar.verbs.items():
        if not verb.on.in_project or group_of(verb) == INTERNAL:
            continue
        grants = [Held(role=role.value, scope="other") for role in Role if role is not Role.KEY_ADMINISTRATOR]
        case = make_case(
            PolicyTest(name=action, action=action, expect="deny", project="credit", grants=grants), cedar.verbs
        )
        assert not cedar.evaluate(policies, case.seen, case.resource, case.action, case.context).allowed, action
