"""Requests and replies about policies and decisions."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class TestGrant(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A role that the principal of a policy test holds."""

    role: str
    scope: str | None = None
    """Name of a project; None for the whole installation."""


class PolicyTest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One row of a table of policy tests: a request, the world it is made in, and what must come out."""

    name: str
    action: str
    expect: str
    """``allow`` or ``deny``."""

    by: list[str] = field(default_factory=list)
    """Ids of all deciding policies; empty when it is denied because nothing permits it."""

    principal: str = "ana"
    kind: str = "User"
    """``User``, ``ServiceAccount`` or ``System``."""

    active: bool = True
    groups: list[str] = field(default_factory=list)
    grants: list[TestGrant] = field(default_factory=list)
    project: str | None = None
    """Project of the resource; None for what belongs to the installation."""

    resource: str = ""
    """Id of the resource; empty for the project or the installation itself."""

    attributes: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    """Differences from an ordinary request: ``ip``, ``now``, ``expires``, ``covered``, ``method``, ``mfa_age_s``,
    ``purpose``, ``tls``."""


class TestOutcome(Struct, kw_only=True, frozen=True):
    """What came out of one policy test."""

    name: str
    ok: bool
    expected: str
    got: str
    expected_by: list[str]
    by: list[str]
    reasons: list[str]


class TestPolicies(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Run the policy tests of what is in force; with ``text``, of a draft that is not published."""

    scope: str | None = None
    """Name of a project; None for the whole installation."""

    text: str | None = None
    tests: list[PolicyTest] = field(default_factory=list)


class TestReport(Struct, kw_only=True, frozen=True):
    """The outcomes of policy tests."""

    ok: bool
    policy_set: str
    outcomes: list[TestOutcome]
    findings: list[str]
    """Why a draft could not be published, besides failed tests."""


class PublishPolicies(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Put policies of one's own in force, in place of those published before in the same scope."""

    scope: str | None = None
    """Name of a project; None for the whole installation."""

    text: str
    tests: list[PolicyTest]


class Published(Struct, kw_only=True, frozen=True):
    """Policies that are in force from now on."""

    scope: str | None
    version: int
    document: str
    """Digest of text and tests."""

    policy_set: str
    """Digest of the policy set that decides in this scope from now on."""


class ShowPolicies(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The policies in force for a project or for the whole installation."""

    scope: str | None = None


class PolicyView(Struct, kw_only=True, frozen=True):
    """One policy or role template."""

    id: str
    effect: str
    origin: str
    """``core``, ``role``, ``installation`` or ``project``."""

    reason: str


class PublicationView(Struct, kw_only=True, frozen=True):
    """One version of published policies."""

    scope: str | None
    version: int
    document: str
    published_by: str
    published_at: str


class Policies(Struct, kw_only=True, frozen=True):
    """What is in force."""

    scope: str | None
    policy_set: str
    policies: list[PolicyView]
    texts: dict[str, str]
    """Cedar text by origin."""

    schema: str
    publications: list[PublicationView]
    """Newest first."""


class ExplainDecision(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ask what policy would say now."""

    principal: str
    """Name of an account."""

    action: str
    on_project: str | None = None
    reference: str = ""
    """Reference of the resource, as the action's own request would carry it."""


class ReplayDecision(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ask why something was allowed or denied, from the record alone."""

    entry: str
    """Id or index of the ledger entry."""


class Explanation(Struct, kw_only=True, frozen=True):
    """A decision in words."""

    decision: str
    """``allow`` or ``deny``."""

    principal: str
    action: str
    resource: str
    policies: list[str]
    """Ids of the deciding policies."""

    reasons: list[str]
    errors: list[str]
    policy_set: str
    slice: str


class Replay(Struct, kw_only=True, frozen=True):
    """A recorded decision, made again."""

    verdict: str
    """``same``, ``different``, or ``not replayable`` when the world of that moment cannot be rebuilt exactly."""

    recorded: dict[str, Any]
    again: Explanation | None
    because: str
