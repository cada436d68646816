"""Verbs about policies: show, test, publish, explain, replay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from muniment.errors import Invalid, NotFound
from muniment.identity.ports import Projects, Standings
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, is_id
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Effect, Resource, Verb, verb
from muniment.ledger.service import Ledger
from muniment.policy import publishing
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.cedar import check_rules
from muniment.policy.ports import Decision, PolicyDocuments, Publication, Publications
from muniment.policy.schema import group_of
from muniment.policy.sets import Manifest, PolicySet, shipped, shipped_tests
from muniment.policy.slice import Context, make_slice
from muniment.wire import policy as wire

__all__ = ["VERBS", "CedarAuthorizer"]

_NAMELESS: Final = "account"


@verb(
    "policy:ShowPolicies",
    on=INSTALLATION,
    request=wire.ShowPolicies,
    reply=wire.Policies,
    event="policies.shown",
    group="policy:read",
    effect=Effect.READ,
)
def show_policies(call: Call, request: wire.ShowPolicies) -> wire.Policies:
    """The policies in force: what ships with the product and what the institution published, with every version."""
    authorizer = call.use(CedarAuthorizer)
    scope = _scope(call, request.scope)
    heads = call.use(Publications).heads(request.scope)
    policies = authorizer.sets.in_force(heads, request.scope, call.use(PolicyDocuments))
    texts = {"core": shipped("core"), "roles": shipped("roles")}
    for origin, name in (("installation", ""), ("project", scope)):
        if name in heads and (origin == "installation" or name):
            texts[origin] = _published(call, heads[name].document)["text"]
    return wire.Policies(
        scope=request.scope,
        policy_set=policies.digest,
        policies=[
            wire.PolicyView(
                id=rule.id, effect=rule.effect.value, origin=_origin(rule.id, rule.shard), reason=rule.reason
            )
            for rule in policies.shard(request.scope)
        ],
        texts=texts,
        schema=policies.schema.text,
        publications=[_publication_view(each) for each in call.use(Publications).all()],
    )


@verb(
    "policy:TestPolicies",
    on=INSTALLATION,
    request=wire.TestPolicies,
    reply=wire.TestReport,
    event="policies.tested",
    group="policy:read",
    effect=Effect.READ,
)
def test_policies(call: Call, request: wire.TestPolicies) -> wire.TestReport:
    """Run the tests of the policies in force, or of a draft, which is examined as if it were to be published."""
    scope = _scope(call, request.scope)
    if request.text is not None:
        return _examine(call, scope, request.text, request.tests)
    authorizer, documents = call.use(CedarAuthorizer), call.use(PolicyDocuments)
    heads = call.use(Publications).heads(request.scope)
    policies = authorizer.sets.in_force(heads, request.scope, documents)
    # each table runs against what it was written for: who adds a forbid below need not rewrite the tables above
    outcomes = _run(call, authorizer.sets.in_force({}, None, documents), shipped_tests())
    if "" in heads:
        outcomes += _run(call, authorizer.sets.in_force(heads, None, documents), _tests_of(call, heads[""]))
    if scope and scope in heads:
        outcomes += _run(call, policies, _tests_of(call, heads[scope]))
    outcomes += _run(call, policies, request.tests)
    return _report(policies, outcomes, [])


@verb(
    "policy:PublishPolicies",
    on=INSTALLATION,
    request=wire.PublishPolicies,
    reply=wire.Published,
    event="policies.published",
    group="policy:manage",
)
def publish_policies(call: Call, request: wire.PublishPolicies) -> wire.Published:
    """Put policies in force, in one project or everywhere, if they fit the schema and pass tests that leave no gap."""
    scope = _scope(call, request.scope)
    report = _examine(call, scope, request.text, request.tests)
    if not report.ok:
        raise Invalid(
            "MUNI-P111",
            "these policies do not pass their tests",
            failed=[f"{o.name}: expected {o.expected} by {o.expected_by}, got {o.got} by {o.by}"
                    for o in report.outcomes if not o.ok][:20],
            findings=report.findings[:20],
            do="muni policy test FILE shows each test",
        )  # fmt: skip
    documents, publications = call.use(PolicyDocuments), call.use(Publications)
    digest = documents.put(publishing.document(request.text, request.tests))
    head = publications.heads(request.scope).get(scope)
    publication = Publication(scope, head.version + 1 if head else 1, digest, call.principal.id, call.now)
    publications.add(publication)
    authorizer = call.use(CedarAuthorizer)
    authorizer.keep_manifests(call.session)
    call.note(scope=scope, version=publication.version, document=digest, policy_set=report.policy_set)
    return wire.Published(
        scope=request.scope, version=publication.version, document=digest, policy_set=report.policy_set
    )


@verb(
    "policy:ExplainDecision",
    on=INSTALLATION,
    request=wire.ExplainDecision,
    reply=wire.Explanation,
    event="decision.explained",
    group="policy:read",
    effect=Effect.READ,
)
def explain_decision(call: Call, request: wire.ExplainDecision) -> wire.Explanation:
    """What policy would say now if somebody asked for something: the decision, who decides, and why."""
    authorizer = call.use(CedarAuthorizer)
    asked = _verb(authorizer, request.action)
    standing = call.use(Standings).standing(request.principal, call.now)
    if standing is None:
        raise NotFound(
            "MUNI-P202", f"there is no account {request.principal[:80]!r}", principal=request.principal[:200]
        )
    project = request.on_project if asked.on.in_project else None
    resource = asked.on.locate(call.session, project, request.reference)
    as_them = Authentication(standing.account.principal, "token", call.now, call.authentication.ip, _NAMELESS)
    decision = authorizer.decide(call.session, as_them, asked, resource)
    return _explanation(decision, str(standing.account.principal), asked.action, resource)


@verb(
    "policy:ReplayDecision",
    on=INSTALLATION,
    request=wire.ReplayDecision,
    reply=wire.Replay,
    event="decision.replayed",
    group="audit:read",
    effect=Effect.READ,
)
def replay_decision(call: Call, request: wire.ReplayDecision) -> wire.Replay:
    """Make a recorded decision again from the record alone: the policies, the rights and the circumstances of then."""
    key: str | int = request.entry if is_id(request.entry) or not request.entry.isdecimal() else int(request.entry)
    data = call.use(Ledger).entry(key).event["data"]
    recorded = {name: data[name] for name in _RECORDED if name in data}
    if "slice" not in recorded:
        return wire.Replay(
            verdict="not replayable", recorded=recorded, again=None, because="no policy decided about this entry"
        )
    authorizer = call.use(CedarAuthorizer)
    documents = call.use(PolicyDocuments)
    kept = documents.get(Digest(recorded["policy_set"]))
    if kept is None or recorded["action"] not in authorizer.verbs:
        because = "its policy set is not kept" if kept is None else "its action no longer exists"
        return wire.Replay(verdict="not replayable", recorded=recorded, again=None, because=because)
    policies = authorizer.sets.load(Manifest.parse(kept), documents)
    asked = authorizer.verbs[recorded["action"]]
    kind, _, name = recorded["principal"].partition(":")
    principal, context = Principal(PrincipalKind(kind), name), Context.of_record(recorded["context"])
    standing = call.use(Standings).standing(name, context.now)
    what, _, id_ = recorded["resource"].partition(":")
    resource = Resource(what, id_, (recorded.get("project") or None), recorded.get("attributes", {}))
    seen = make_slice(principal, standing, resource, asked.on.attributes, context.now)
    if seen.digest != recorded["slice"]:
        because = "the rights of that moment cannot be rebuilt exactly from today's records"
        return wire.Replay(verdict="not replayable", recorded=recorded, again=None, because=because)
    again = authorizer.evaluate(policies, seen, resource, (asked.action, group_of(asked)), context)
    same = ("allow" if again.allowed else "deny", list(again.policies)) == (recorded["decision"], recorded["policies"])
    return wire.Replay(
        verdict="same" if same else "different",
        recorded=recorded,
        again=_explanation(again, recorded["principal"], asked.action, resource),
        because="the same policies, rights and circumstances give the same decision"
        if same
        else "the engine of today decides otherwise on the same policies, rights and circumstances",
    )


_RECORDED: Final = (
    "principal",
    "action",
    "resource",
    "project",
    "decision",
    "policies",
    "errors",
    "policy_set",
    "slice",
    "context",
    "attributes",
)


def _scope(call: Call, project: str | None) -> str:
    if project is None:
        return ""
    if not call.use(Projects).has_project(project):
        raise NotFound("MUNI-P203", f"there is no project {project[:80]!r}", project=project[:200])
    return project


def _verb(authorizer: CedarAuthorizer, action: str) -> Verb:
    known = authorizer.verbs.get(action)
    if known is None:
        room = action.partition(":")[0]
        near = sorted(name for name in authorizer.verbs if name.partition(":")[0] == room)
        raise NotFound("MUNI-P204", f"there is no action {action[:80]!r}", action=action[:200], near=near[:30])
    return known


def _published(call: Call, digest: Digest) -> dict[str, Any]:
    kept = call.use(PolicyDocuments).get(digest)
    document: dict[str, Any] = msgspec.json.decode(kept) if kept is not None else {"text": "", "tests": []}
    return document


def _examine(call: Call, scope: str, text: str, tests: list[wire.PolicyTest]) -> wire.TestReport:
    """Look at a draft as publishing does: form, schema, tests, and what the tests leave open."""
    authorizer, project = call.use(CedarAuthorizer), scope or None
    latest: dict[str, Publication] = {}
    for publication in call.use(Publications).all():
        latest.setdefault(publication.scope, publication)
    elsewhere = [head for name, head in latest.items() if name != scope]
    taken = [rule.id for head in elsewhere for rule in authorizer.sets.published_rules(head, call.use(PolicyDocuments))]
    rules = publishing.lint(text, tests, project, taken)
    check_rules(text, authorizer.sets.schema_text)
    everywhere = latest.get("")
    draft = publishing.document(text, tests)
    policies = authorizer.sets.draft(
        draft, project, everywhere.document if everywhere else None, call.use(PolicyDocuments)
    )
    cases = [publishing.make_case(test, authorizer.verbs) for test in tests]
    return _report(policies, _run(call, policies, tests), publishing.untested(rules, cases))


def _run(call: Call, policies: PolicySet, tests: Iterable[wire.PolicyTest]) -> list[wire.TestOutcome]:
    authorizer = call.use(CedarAuthorizer)
    cases = [publishing.make_case(test, authorizer.verbs) for test in tests]
    return [
        case.outcome(authorizer.evaluate(policies, case.seen, case.resource, case.action, case.context))
        for case in cases
    ]


def _tests_of(call: Call, publication: Publication) -> list[wire.PolicyTest]:
    return msgspec.convert(_published(call, publication.document)["tests"], list[wire.PolicyTest])


def _report(policies: PolicySet, outcomes: list[wire.TestOutcome], findings: list[str]) -> wire.TestReport:
    ok = all(outcome.ok for outcome in outcomes) and not findings
    return wire.TestReport(ok=ok, policy_set=policies.digest, outcomes=outcomes, findings=findings)


def _explanation(decision: Decision, principal: str, action: str, resource: Resource) -> wire.Explanation:
    return wire.Explanation(
        decision="allow" if decision.allowed else "deny",
        principal=principal,
        action=action,
        resource=f"{resource.kind}:{resource.id}",
        policies=list(decision.policies),
        reasons=list(decision.reasons),
        errors=list(decision.errors),
        policy_set=decision.policy_set,
        slice=str(decision.evidence["slice"]),
    )


def _origin(rule: str, shard: str | None) -> str:
    prefix = rule.partition("/")[0]
    return prefix if prefix in ("core", "role") else "installation" if shard is None else "project"


def _publication_view(publication: Publication) -> wire.PublicationView:
    return wire.PublicationView(
        scope=publication.scope or None,
        version=publication.version,
        document=publication.document,
        published_by=publication.published_by,
        published_at=format_time(publication.published_at),
    )


VERBS: Final = (explain_decision, publish_policies, replay_decision, show_policies, test_policies)
